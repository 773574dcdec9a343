package engine

import (
	"encoding/binary"

	"github.com/aidr-engine/aidr/schema"
)

// shelf holds the values of cells at rest, the one that was put last first. A value is as the store has it, so the shelf
// saves reading the store, and anything may be dropped from it. A cell in use is not on the shelf: it is taken off, and put
// back when it rests again.
//
// An encoded cell takes an eighth of the memory of one that can be folded. With keys drawn by Zipf's law most events have
// keys that lie far apart in the store, so the same memory as a cache of blocks would hold a twentieth of them.
//
// The index has no pointers, and a cell has one, so that the garbage collector has little to do with millions of cells.
type shelf struct {
	index          map[uint64]int32 // by the hash of the owner
	slots          []shelfSlot
	free           int32 // the first free slot; the others follow by next
	newest, oldest int32
	bytes          int64 // estimate of the memory in use
}

// shelfSlot is a place for one cell.
type shelfSlot struct {
	hash        uint64
	newer, next int32 // next is the next older one, or the next free one
	// data is the rule (uvarint), the size of the group key (uvarint), the group key, the cell's row (8 bytes), and its flat form.
	data []byte
}

// noSlot is the place of no cell.
const noSlot = -1

// shelfSize is the memory in bytes of a cell on the shelf without its data: the slot, and its part of the map.
const shelfSize = 88

func newShelf() shelf {
	return shelf{index: map[uint64]int32{}, free: noSlot, newest: noSlot, oldest: noSlot}
}

func (s *shelf) len() int { return len(s.index) }

// put puts a cell on the shelf. It copies value.
func (s *shelf) put(hash uint64, k cellKey, row schema.Instant, value []byte) {
	if at, ok := s.index[hash]; ok {
		s.remove(at) // another owner with the same hash
	}
	data := make([]byte, 0, 2*binary.MaxVarintLen32+len(k.group)+8+len(value))
	data = appendShelfKey(data, k)
	data = append(binary.BigEndian.AppendUint64(data, uint64(row)), value...)
	at := s.free
	if at == noSlot {
		at = int32(len(s.slots))
		s.slots = append(s.slots, shelfSlot{})
	} else {
		s.free = s.slots[at].next
	}
	s.slots[at] = shelfSlot{hash: hash, newer: noSlot, next: s.newest, data: data}
	if s.newest != noSlot {
		s.slots[s.newest].newer = at
	} else {
		s.oldest = at
	}
	s.newest = at
	s.index[hash] = at
	s.bytes += shelfSize + int64(cap(data))
}

func appendShelfKey(dst []byte, k cellKey) []byte {
	dst = binary.AppendUvarint(dst, uint64(k.rule))
	dst = binary.AppendUvarint(dst, uint64(len(k.group)))
	return append(dst, k.group...)
}

// take takes a cell off the shelf and returns its row and its flat form.
func (s *shelf) take(hash uint64, k cellKey) (row schema.Instant, value []byte, ok bool) {
	at, ok := s.index[hash]
	if !ok {
		return 0, nil, false
	}
	data := s.slots[at].data
	rule, n := binary.Uvarint(data)
	size, m := binary.Uvarint(data[n:])
	data = data[n+m:]
	if rule != uint64(k.rule) || size != uint64(len(k.group)) || string(data[:size]) != k.group {
		return 0, nil, false
	}
	s.remove(at)
	data = data[size:]
	return schema.Instant(binary.BigEndian.Uint64(data)), data[8:], true
}

// dropOldest drops the cell that was put first.
func (s *shelf) dropOldest() { s.remove(s.oldest) }

func (s *shelf) remove(at int32) {
	x := &s.slots[at]
	if x.newer != noSlot {
		s.slots[x.newer].next = x.next
	} else {
		s.newest = x.next
	}
	if x.next != noSlot {
		s.slots[x.next].newer = x.newer
	} else {
		s.oldest = x.newer
	}
	s.bytes -= shelfSize + int64(cap(x.data))
	delete(s.index, x.hash)
	*x = shelfSlot{next: s.free}
	s.free = at
}
