package match

import (
	"cmp"
	"math"
	"slices"
)

// intervals finds the intervals that contain a number. They are sorted by their lower bound and form a balanced tree: the
// root of a part is in its middle.
type intervals struct {
	slot  int32
	items []interval
}

type interval struct {
	low, high float64
	highest   float64 // of the part of which the interval is the middle
	child     uint32
}

// arrange sorts the intervals and prepares the tree.
func (v *intervals) arrange() {
	slices.SortFunc(v.items, func(a, b interval) int {
		return cmp.Or(cmp.Compare(a.low, b.low), cmp.Compare(a.high, b.high), cmp.Compare(a.child, b.child))
	})
	setHighest(v.items)
}

func setHighest(items []interval) float64 {
	if len(items) == 0 {
		return math.Inf(-1)
	}
	mid := len(items) / 2
	highest := max(items[mid].high, setHighest(items[:mid]), setHighest(items[mid+1:]))
	items[mid].highest = highest
	return highest
}
