package match

import (
	"cmp"
	"math"
	"slices"
)

// interval is an atom that is a range of numbers. The intervals of a column are sorted by their lower bound and form a
// balanced tree: the root of a part is in its middle.
type interval struct {
	low, high float64
	highest   float64 // of the part of which the interval is the middle
	atom      uint32
}

// arrangeIntervals sorts intervals and prepares the tree.
func arrangeIntervals(items []interval) []interval {
	slices.SortFunc(items, func(a, b interval) int {
		return cmp.Or(cmp.Compare(a.low, b.low), cmp.Compare(a.high, b.high), cmp.Compare(a.atom, b.atom))
	})
	setHighest(items)
	return items
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
