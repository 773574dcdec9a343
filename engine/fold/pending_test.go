package fold

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/aidr-engine/aidr/engine/item"
)

// TestPending holds pending to a slice: what is in it, in which order, and that nothing that was taken out is kept alive.
func TestPending(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var p pending
		var want []*item.Item
		for range rapid.IntRange(1, 200).Draw(t, "steps") {
			switch n := len(want); {
			case n == 0 || rapid.IntRange(0, 4).Draw(t, "insert") > 0:
				i := rapid.IntRange(0, n).Draw(t, "place")
				it := &item.Item{Time: int64(rapid.IntRange(0, 9).Draw(t, "time"))}
				p.insert(i, it)
				want = slices.Insert(want, i, it)
			case rapid.Bool().Draw(t, "remove"):
				i := rapid.IntRange(0, n-1).Draw(t, "place")
				p.remove(i)
				want = slices.Delete(want, i, i+1)
			default:
				n := rapid.IntRange(0, n).Draw(t, "drop")
				p.drop(n)
				want = slices.Delete(want, 0, n)
			}
			if p.len() != len(want) {
				t.Fatalf("got %d items, want %d", p.len(), len(want))
			}
			for i, it := range want {
				if p.at(i) != it || p.timeAt(i) != it.Time {
					t.Fatalf("item %d of %d is another one", i, len(want))
				}
			}
			held := 0
			for _, place := range p.order {
				if place.item != nil {
					held++
				}
			}
			if held != len(want) {
				t.Fatalf("%d items are kept alive, want %d", held, len(want))
			}
		}
	})
}

// TestPendingFrom: the first item that is not before an instant.
func TestPendingFrom(t *testing.T) {
	var p pending
	for i, at := range []int64{1, 3, 3, 7} {
		p.insert(i, &item.Item{Time: at})
	}
	p.open(1)
	for at, want := range map[int64]int{0: 0, 1: 0, 2: 1, 3: 1, 4: 3, 7: 3, 8: 4} {
		if got := p.from(at); got != want {
			t.Errorf("from(%d) is %d, want %d", at, got, want)
		}
	}
}
