package engine

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/klauspost/compress/s2"

	"github.com/aidr-engine/aidr/engine/flat"
	"github.com/aidr-engine/aidr/engine/item"
	"github.com/aidr-engine/aidr/rules"
)

// The pending items of a checkpoint are one value of parts. A part is
//
//	rule     uvarint length of: the rule's id; rules are named by id, because their places change with the Set
//	items    uvarint length of: their flat forms
//
// or, if the id is empty, a packed part: s2 of parts that are not packed, in the place of the items. Earlier versions wrote no
// packed parts. The items of a few rules for one event, and those of one key, differ in little: packed they take less than a third,
// in the log, in the memory table, and in the tables that the store writes until they are dropped.

// packItemsFrom is the size in bytes from which items are packed.
const packItemsFrom = 1 << 10

// maxItemsPart is the most that a packed part may hold, in bytes; one that claims more is damaged. The budget bounds what
// comes within a checkpoint far below it.
const maxItemsPart = 1 << 30

// itemParts is the memory in which the items of a checkpoint are put together. It is used again for the next one.
type itemParts struct{ raw, packed []byte }

// maxItemParts is the memory in bytes that is kept from checkpoint to checkpoint: that of a burst is returned.
const maxItemParts = 4 << 20

// pack returns the pending items of the rules of a level, for a checkpoint. The result is valid until the next call.
func (ps *itemParts) pack(byRule map[int][]byte, set *rules.Set, level int) []byte {
	if cap(ps.raw) > maxItemParts {
		*ps = itemParts{}
	}
	raw := ps.raw[:0]
	for rule, r := range set.Rules { // in order of rule: the same items give the same bytes
		if items := byRule[rule]; len(items) > 0 && r.Level == level {
			raw = flat.AppendText(flat.AppendText(raw, r.ID), items)
		}
	}
	ps.raw = raw
	if len(raw) < packItemsFrom || len(raw) > maxItemsPart {
		return raw
	}
	// The id and the length come before the items, and how long they are is known afterwards only.
	const most = 1 + binary.MaxVarintLen64
	if n := most + s2.MaxEncodedLen(len(raw)); cap(ps.packed) < n {
		ps.packed = make([]byte, n)
	}
	packed := ps.packed[:cap(ps.packed)]
	n := len(s2.Encode(packed[most:], raw))
	head := binary.AppendUvarint([]byte{0}, uint64(n))
	start := most - len(head)
	copy(packed[start:], head)
	return packed[start : most+n]
}

var errItemsDamaged = errors.New("pending items are damaged")

// unpackItems returns a value without packed parts: value itself if it has none.
func unpackItems(value []byte) ([]byte, error) {
	var out []byte
	for rest := value; len(rest) > 0; {
		r := flat.NewReader(rest)
		id, body := r.Text(), r.Text()
		if r.Bad() {
			return nil, errItemsDamaged
		}
		after := r.Rest()
		if len(id) > 0 {
			if out != nil {
				out = append(out, rest[:len(rest)-len(after)]...)
			}
			rest = after
			continue
		}
		if out == nil {
			out = append(make([]byte, 0, len(value)), value[:len(value)-len(rest)]...)
		}
		n, err := s2.DecodedLen(body)
		if err != nil || n > maxItemsPart {
			return nil, errItemsDamaged
		}
		parts, err := s2.Decode(make([]byte, n), body)
		if err != nil {
			return nil, errItemsDamaged
		}
		out, rest = append(out, parts...), after
	}
	if out == nil {
		return value, nil
	}
	return out, nil
}

// readItems calls yield with every item of a checkpoint's value, and with the id of the item's rule.
func readItems(value []byte, yield func(rule string, it item.Item)) error {
	value, err := unpackItems(value)
	if err != nil {
		return err
	}
	for len(value) > 0 {
		r := flat.NewReader(value)
		id, items := r.Text(), r.Text()
		if r.Bad() || len(id) == 0 {
			return errItemsDamaged
		}
		value = r.Rest()
		for len(items) > 0 {
			it, rest, ok := item.Read(items)
			if !ok {
				return fmt.Errorf("a pending item of rule %q is damaged", id)
			}
			yield(string(id), it)
			items = rest
		}
	}
	return nil
}
