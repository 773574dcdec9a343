package contain

import "slices"

// indexShards is the number of parts of an index. A change copies the parts that it touches: with 100,000 entries about 400
// slots each, which takes microseconds.
const indexShards = 256

// index is an immutable hash index: a multimap of hashes to values, in parts that versions share. The hash is that of a key
// of which the value knows whether it is its own.
type index[V any] struct {
	shards [indexShards]*indexShard[V]
	len    int
}

// indexShard is a table of slots with linear probing. Its size is a power of two, and at most half of the slots are used. A
// hash of 0 marks a free slot.
type indexShard[V any] struct {
	slots []indexSlot[V]
	used  int
}

type indexSlot[V any] struct {
	hash  uint64
	value V
}

// minSlots is the number of slots of the smallest shard.
const minSlots = 8

// fixed returns a hash that is not 0.
func fixed(hash uint64) uint64 {
	if hash == 0 {
		return 1
	}
	return hash
}

// first returns the shard of a hash and the place at which its values begin; shard is nil if there are none. next goes on.
func (x *index[V]) first(hash uint64) (shard *indexShard[V], at int) {
	s := x.shards[hash>>56]
	if s == nil {
		return nil, 0
	}
	return s, int(hash) & (len(s.slots) - 1)
}

// next returns the next value of the hash from a place on, and the place after it.
func (s *indexShard[V]) next(hash uint64, at int) (value V, after int, ok bool) {
	mask := len(s.slots) - 1
	for {
		slot := &s.slots[at]
		if slot.hash == hash {
			return slot.value, (at + 1) & mask, true
		}
		if slot.hash == 0 {
			return value, at, false
		}
		at = (at + 1) & mask
	}
}

// indexEdit is a change of an index: values by hash that leave and that come.
type indexEdit[V any] struct {
	hash   uint64
	remove bool
	value  V
}

// edited returns the index with the edits applied, in order. equal compares values. The shards without an edit are shared.
func (x *index[V]) edited(edits []indexEdit[V], equal func(a, b V) bool) *index[V] {
	if len(edits) == 0 {
		return x
	}
	out := *x
	byShard := map[uint64][]indexEdit[V]{}
	for _, e := range edits {
		byShard[e.hash>>56] = append(byShard[e.hash>>56], e)
	}
	for n, list := range byShard {
		var values []indexSlot[V]
		if old := x.shards[n]; old != nil {
			for _, slot := range old.slots {
				if slot.hash != 0 {
					values = append(values, slot)
				}
			}
		}
		before := len(values)
		for _, e := range list {
			if !e.remove {
				values = append(values, indexSlot[V]{e.hash, e.value})
				continue
			}
			if i := slices.IndexFunc(values, func(s indexSlot[V]) bool { return s.hash == e.hash && equal(s.value, e.value) }); i >= 0 {
				values = slices.Delete(values, i, i+1)
			}
		}
		out.len += len(values) - before
		out.shards[n] = newIndexShard(values)
	}
	return &out
}

func newIndexShard[V any](values []indexSlot[V]) *indexShard[V] {
	if len(values) == 0 {
		return nil
	}
	size := minSlots
	for size < 2*len(values) {
		size *= 2
	}
	s := &indexShard[V]{slots: make([]indexSlot[V], size), used: len(values)}
	for _, v := range values {
		at := int(v.hash) & (size - 1)
		for s.slots[at].hash != 0 {
			at = (at + 1) & (size - 1)
		}
		s.slots[at] = v
	}
	return s
}
