package engine

import (
	"encoding/binary"

	"github.com/aidr-engine/aidr/engine/fold"
	"github.com/aidr-engine/aidr/rules"
	"github.com/aidr-engine/aidr/schema"
)

// cellKey names a cell.
type cellKey struct {
	rule  int
	group string
}

// cachedCell is a cell in memory.
type cachedCell struct {
	key        cellKey
	cell       *fold.Cell
	dirty      bool
	paged      bool           // the store has paged items for the cell; those of a hot cell are obsolete
	size       int64          // estimate of its memory in bytes
	state      int64          // of that, the size of its value in the store
	checkpoint uint64         // the shard's count of checkpoints when it was last dirty
	stored     bool           // the store has a value for the cell, or will have one with the checkpoint under way
	unreadable bool           // that value is of another shape, or damaged
	wake       schema.Instant // the earliest timer of the cell's pending items; noWake for none
	row        schema.Instant // the cell's timer in the store (timer.go); noWake for none
}

// storeKey returns the key of a cell in the store: the hash that chooses its shard, the rule's id, 0x00, the group key.
func (s *shard) storeKey(k cellKey) []byte { return storeKey(s.rules.programs[k.rule], k.group) }

func storeKey(p *fold.Program, group string) []byte {
	b := binary.BigEndian.AppendUint64(make([]byte, 0, 9+len(p.Rule.ID)+len(group)), p.Hash(group))
	b = append(b, p.Rule.ID...)
	b = append(b, 0)
	return append(b, group...)
}

// readStoreKey reads the hash, the rule's id and the group key of a store key.
func readStoreKey(k []byte) (hash uint64, rule, group string, ok bool) {
	if len(k) < 9 {
		return 0, "", "", false
	}
	for i := 8; i < len(k); i++ {
		if k[i] == 0 {
			return binary.BigEndian.Uint64(k), string(k[8:i]), string(k[i+1:]), true
		}
	}
	return 0, "", "", false
}

// appendCellHead appends the head of a cell's value in the store: the rule's shape, because State of another shape is not
// read, and the cell's timer in the store. The cell's flat form follows.
func appendCellHead(dst []byte, r *rules.Rule, row schema.Instant) []byte {
	dst = append(dst, r.Shape[:]...)
	return binary.BigEndian.AppendUint64(dst, uint64(row))
}

// cellHeadSize is the size in bytes of the head of a cell's value.
const cellHeadSize = len(rules.Rule{}.Shape) + 8

// readCellValue reads a cell's value; ok is false if it is not of the rule's shape.
func readCellValue(v []byte, r *rules.Rule) (row schema.Instant, cell []byte, ok bool) {
	n := len(r.Shape)
	if len(v) < n+8 || [16]byte(v[:n]) != r.Shape {
		return 0, nil, false
	}
	return schema.Instant(binary.BigEndian.Uint64(v[n:])), v[n+8:], true
}
