package engine

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/aidr-engine/aidr/engine/item"
	"github.com/aidr-engine/aidr/rules"
)

// itemsOf returns the items of two rules in flat form, and all of them in the order of a checkpoint.
func itemsOf(n int) (byRule map[int][]byte, want []string) {
	byRule = map[int][]byte{}
	for rule := range 2 {
		for i := range n {
			it := item.Item{Group: fmt.Sprint("agent-", i), Time: 5, Evidence: "the same evidence of every item"}
			byRule[rule] = item.Append(byRule[rule], &it)
			want = append(want, fmt.Sprintf("r%d %s", rule, it.Group))
		}
	}
	return byRule, want
}

// TestItemsArePacked checks that the items of a checkpoint take little, that they are read as they were, also next to those of
// another shard and to those of an earlier version, and that damage is found.
func TestItemsArePacked(t *testing.T) {
	set := &rules.Set{Rules: []*rules.Rule{{ID: "r0"}, {ID: "r1"}}}
	few, wantFew := itemsOf(1)
	many, wantMany := itemsOf(1000)
	var one, other itemParts
	value := append(bytes.Clone(one.pack(few, set, 0)), other.pack(many, set, 0)...)
	value = append(value, one.pack(few, set, 0)...)
	if most := (len(many[0]) + len(many[1])) / 3; len(value) > most {
		t.Errorf("the items take %d bytes, want at most %d", len(value), most)
	}
	want := append(append(append([]string(nil), wantFew...), wantMany...), wantFew...)
	var got []string
	err := readItems(value, func(rule string, it item.Item) { got = append(got, rule+" "+it.Group) })
	if err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %d items, want %d (error: %v)", len(got), len(want), err)
	}
	for n := range value {
		damaged := bytes.Clone(value)
		damaged[n] ^= 0x40
		_ = readItems(damaged, func(string, item.Item) {}) // must not panic
	}
	if err := readItems(value[:len(value)-1], func(string, item.Item) {}); err == nil {
		t.Error("a byte is missing, and no error")
	}
	nested := append([]byte{0}, byte(len(value)%128))
	if err := readItems(nested, func(string, item.Item) {}); err == nil {
		t.Error("a packed part without its items is no error")
	}
}
