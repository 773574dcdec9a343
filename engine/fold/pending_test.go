package fold

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/aidr-engine/aidr/engine/item"
	"github.com/aidr-engine/aidr/schema"
)

// TestPending compares pending with a slice: its items, their order, and that removed items are not kept alive.
func TestPending(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var p pending
		var want []*item.Item
		for range rapid.IntRange(1, 200).Draw(t, "steps") {
			switch n := len(want); {
			case n == 0 || rapid.IntRange(0, 4).Draw(t, "insert") > 0:
				i := rapid.IntRange(0, n).Draw(t, "index")
				it := &item.Item{Time: schema.Instant(rapid.IntRange(0, 9).Draw(t, "time"))}
				p.insert(i, it)
				want = slices.Insert(want, i, it)
			case rapid.Bool().Draw(t, "remove"):
				i := rapid.IntRange(0, n-1).Draw(t, "index")
				p.remove(i)
				want = slices.Delete(want, i, i+1)
			default:
				n := rapid.IntRange(0, n).Draw(t, "remove first")
				p.removeFirst(n)
				want = slices.Delete(want, 0, n)
			}
			if p.len() != len(want) {
				t.Fatalf("got %d items, want %d", p.len(), len(want))
			}
			for i, it := range want {
				if p.at(i) != it || p.timeAt(i) != it.Time {
					t.Fatalf("item %d of %d: got %+v, want %+v", i, len(want), p.at(i), it)
				}
			}
			alive := 0
			for _, s := range p.slots {
				if s.item != nil {
					alive++
				}
			}
			if alive != len(want) {
				t.Fatalf("%d items are kept alive, want %d", alive, len(want))
			}
		}
	})
}

// TestPendingSearch searches on both sides of the gap.
func TestPendingSearch(t *testing.T) {
	var p pending
	for i, at := range []schema.Instant{1, 3, 3, 7} {
		p.insert(i, &item.Item{Time: at})
	}
	p.moveGap(1)
	for at, want := range map[schema.Instant]int{0: 0, 1: 0, 2: 1, 3: 1, 4: 3, 7: 3, 8: 4} {
		if got := p.search(at); got != want {
			t.Errorf("search(%d): got %d, want %d", at, got, want)
		}
	}
}
