package fold_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/aidr-engine/aidr/engine/fold"
	"github.com/aidr-engine/aidr/engine/item"
	"github.com/aidr-engine/aidr/schema"
)

// TestLiveIsBaseAndPending checks that live, however it came about, is the result of folding all pending items onto base,
// State for State. For that it compares the cell with one that is loaded from base and folds pending at once.
func TestLiveIsBaseAndPending(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := kinds()
		r := all[rapid.IntRange(0, len(all)-1).Draw(t, "kind")]
		r.GroupFor = rapid.SampledFrom([]time.Duration{0, 5 * time.Second, 100 * time.Second}).Draw(t, "for")
		p := fold.NewProgram(r)
		c := fold.NewCell(p, "a\x00\x01")
		c.Advance(0)
		var added []item.Item
		for i := range rapid.IntRange(1, 25).Draw(t, "operations") {
			switch rapid.IntRange(0, 3).Draw(t, "operation") {
			case 0:
				c.Emit(schema.Instant(i), func(*schema.Finding) {})
			case 1:
				c.Advance(c.Watermark() + schema.Instant(rapid.Int64Range(0, 20).Draw(t, "by")*1e9))
			default:
				it := at(rapid.IntRange(0, 7).Draw(t, "after")*10, rapid.Uint64Range(0, 5).Draw(t, "id"))
				it.Time += c.Watermark() / 10e9 * 10e9
				it.Time = max(it.Time, c.Watermark())
				it.Key += rapid.SampledFrom([]string{"x\x00\x01", "y\x00\x01", "z\x00\x01"}).Draw(t, "key")
				it.Data = data(r, rapid.IntRange(0, 4).Draw(t, "data"))
				if n := len(r.Roles); n > 1 {
					setRoles(r, &it, uint32(rapid.IntRange(1, 1<<n-1).Draw(t, "roles")))
				}
				added = append(added, it)
				c.Add(&it)
			}
			if rapid.IntRange(0, 2).Draw(t, "compares") == 0 {
				continue
			}
			loaded, err := fold.LoadCell(p, "a\x00\x01", c.Append(nil))
			if err != nil {
				t.Fatal(err)
			}
			for _, it := range added {
				if it.Time >= c.Watermark() {
					loaded.Add(&it)
				}
			}
			if got, want := fold.Live(c), fold.Live(loaded); got != want {
				t.Fatalf("live is\n%s, but base and pending are\n%s", got, want)
			}
		}
	})
}

// TestLiveAfterACopyOfAnotherRole replaces an item that live has folded by its copy, which comes after an item that live
// has not folded.
func TestLiveAfterACopyOfAnotherRole(t *testing.T) {
	for i := range 20 { // about half of the copies supersede the item
		c := fold.NewCell(fold.NewProgram(twoSources()), "a\x00\x01")
		c.Advance(0)
		first, second, other := at(1, 1), at(1, 2), at(1, 1)
		first.Roles, first.Role = 1, 1
		second.Roles, second.Role = 1, 1
		other.Roles, other.Role = 2, 2
		other.Evidence = string(make([]byte, i))
		c.Add(&first)
		before := fold.Live(c)
		c.Add(&second)
		replaced := c.Add(&other)
		inOrder := fold.NewCell(fold.NewProgram(twoSources()), "a\x00\x01")
		inOrder.Advance(0)
		for _, it := range []item.Item{other, second, first} {
			inOrder.Add(&it)
		}
		if got, want := fold.Live(c), fold.Live(inOrder); got != want || replaced && got == before {
			t.Errorf("live is\n%s, but base and pending are\n%s", got, want)
		}
	}
}
