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

// indexShard is a table of slots with linear probing. Its size is a power of two, and at most half of the slots are used. The
// tags, one byte of the hash for each slot and 0 for a free one, are apart from the slots, so that those of 100,000 entries stay
// in the processor's cache: most look-ups find nothing, and read nothing else.
type indexShard[V any] struct {
	tags  []uint8
	slots []indexSlot[V]
}

type indexSlot[V any] struct {
	hash  uint64
	value V
}

// minSlots is the number of slots of the smallest shard.
const minSlots = 8

// tagOf returns the tag of a hash, which is not 0. The highest byte of the hash chooses the shard, and the lowest bits the slot.
func tagOf(hash uint64) uint8 { return uint8(hash>>48) | 1 }

// first returns the shard of a hash and the place at which its values begin; shard is nil if there are none. next goes on.
func (x *index[V]) first(hash uint64) (shard *indexShard[V], at int) {
	s := x.shards[hash>>56]
	if s == nil {
		return nil, 0
	}
	return s, int(hash) & (len(s.tags) - 1)
}

// next returns the next value of the hash from a place on, and the place after it; value is nil after the last one.
func (s *indexShard[V]) next(hash uint64, at int) (value *V, after int) {
	tag := tagOf(hash)
	mask := len(s.tags) - 1
	for {
		switch s.tags[at&mask] {
		case tag:
			if slot := &s.slots[at&mask]; slot.hash == hash {
				return &slot.value, at + 1
			}
		case 0:
			return nil, at
		}
		at++
	}
}

// all calls yield with each value until yield returns false.
func (x *index[V]) all(yield func(*V) bool) {
	for _, s := range x.shards {
		if s == nil {
			continue
		}
		for i, tag := range s.tags {
			if tag != 0 && !yield(&s.slots[i].value) {
				return
			}
		}
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
			for i, tag := range old.tags {
				if tag != 0 {
					values = append(values, old.slots[i])
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
	s := &indexShard[V]{tags: make([]uint8, size), slots: make([]indexSlot[V], size)}
	for _, v := range values {
		at := int(v.hash) & (size - 1)
		for s.tags[at] != 0 {
			at = (at + 1) & (size - 1)
		}
		s.tags[at], s.slots[at] = tagOf(v.hash), v
	}
	return s
}
