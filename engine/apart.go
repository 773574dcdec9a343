package engine

import (
	"slices"

	"github.com/aidr-engine/aidr/engine/item"
	"github.com/aidr-engine/aidr/schema"
)

// apart is how far the shards of a rule are ahead of the watermark that all of them have reached. A checkpoint that has too
// little room for all cells leaves some shards behind others, and the rule's watermark in the store is that of the slowest.
// The items between that and a shard's own watermark are in base of the shard's cells, and the cell of some is gone since. A
// restart reads these items again. Cells that remain ignore them, but a new one in place of one that is gone would fold them
// a second time, and hand on their triggers a second time.
//
// Each list holds the watermarks of the shards by number. Its length is their number. There are several lists if the number
// changed before all shards had reached what those of the former number had.
type apart [][]int64

// done reports whether an item of the owner with a hash is in base, although it is not below the rule's watermark.
func (a apart) done(it *item.Item, hash func(group string) uint64) bool {
	if len(a) == 0 {
		return false
	}
	h := hash(it.Group)
	return slices.ContainsFunc(a, func(list []int64) bool {
		return len(list) > 0 && it.Time < schema.Instant(list[h%uint64(len(list))])
	})
}

// next returns apart after a checkpoint in which the shards reached watermarks, and all of them the lowest.
func (a apart) next(shards []int64, lowest schema.Instant) apart {
	var out apart
	for _, list := range append(slices.Clip(a), shards) {
		if slices.Max(list) <= int64(lowest) {
			continue
		}
		if last := len(out) - 1; last >= 0 && len(out[last]) == len(list) {
			for i, t := range list {
				out[last][i] = max(out[last][i], t)
			}
			continue
		}
		out = append(out, slices.Clone(list))
	}
	return out
}
