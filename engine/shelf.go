package engine

import (
	"encoding/binary"

	"github.com/aidr-engine/aidr/schema"
)

// shelf holds cells in a flat form, the one that was put last first. A cell in use is not on the shelf: it is taken off, and
// put back when it rests again.
//
// Each shard has two. That of cells at rest has values as the store has them, so it saves reading the store, and anything may
// be dropped from it. That of packed cells is described in pack.go.
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
	s.putData(hash, data)
}

// has reports whether a cell with the hash is on the shelf.
func (s *shelf) has(hash uint64) bool {
	_, ok := s.index[hash]
	return ok
}

// putData puts a cell on the shelf whose hash is not on it.
func (s *shelf) putData(hash uint64, data []byte) {
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
	rule, group, data := readShelfData(s.slots[at].data)
	if rule != k.rule || string(group) != k.group {
		return 0, nil, false
	}
	s.remove(at)
	return schema.Instant(binary.BigEndian.Uint64(data)), data[8:], true
}

// append appends to the flat form of a cell on the shelf; ok is false if the cell is not on it. It copies value.
func (s *shelf) append(hash uint64, k cellKey, value []byte) (ok bool) {
	at, ok := s.index[hash]
	if !ok {
		return false
	}
	x := &s.slots[at]
	if rule, group, _ := readShelfData(x.data); rule != k.rule || string(group) != k.group {
		return false
	}
	s.bytes -= int64(cap(x.data))
	x.data = append(x.data, value...)
	s.bytes += int64(cap(x.data))
	return true
}

// readShelfData returns the key of a cell on the shelf, and its row with its flat form: views of data.
func readShelfData(data []byte) (rule int, group, rest []byte) {
	r, n := binary.Uvarint(data)
	size, m := binary.Uvarint(data[n:])
	data = data[n+m:]
	return int(r), data[:size], data[size:]
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
