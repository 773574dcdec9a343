package engine

import (
	"encoding/binary"
	"strings"

	"github.com/aidr-engine/aidr/engine/budget"
	"github.com/aidr-engine/aidr/engine/flat"
	"github.com/aidr-engine/aidr/engine/fold"
	"github.com/aidr-engine/aidr/engine/item"
	"github.com/aidr-engine/aidr/engine/store"
)

// A packed cell is a hot cell that waits for the watermark in a flat form: its base, if it was read, and its pending items.
// Most keys have one event within the delay of a dataset, so their cells only wait for it to pass. A packed cell takes a third
// of the memory of one that can be folded, and packing it costs far less than paging it out, which makes the store write its
// items, and read base and items again.
//
// A packed cell has no changes that the store lacks. It is counted as budget.Hot. A checkpoint packs cells if the hot ones take
// more than packAbove of their share; what is still too much is paged out, the cells that were packed first first (page.go).
// The items that a restart brings are packed without reading their cells.
//
// The value of a packed cell on its shelf is
//
//	flags    1 byte: see below
//	base     uvarint length of: the flat form, if packedBase is set
//	items    the flat forms of the pending items, up to the end
const (
	packedBase   = 1 << iota // base was read
	packedStored             // cachedCell.stored
	packedPaged              // cachedCell.paged
)

// pack packs a hot cell that has not changed. It reports whether it did: a cell with the hash of another one stays as it is.
func (s *shard) pack(c *cachedCell) bool {
	hash := s.rules.programs[c.key.rule].Hash(c.key.group)
	if s.packed.has(hash) || c.unreadable || c.cell.Pending() == 0 {
		return false
	}
	flags := byte(packedBase)
	if c.stored {
		flags |= packedStored
	}
	if c.paged {
		flags |= packedPaged
	}
	s.value = c.cell.Append(s.value[:0])
	s.packing = append(s.packing[:0], flags)
	s.packing = binary.AppendUvarint(s.packing, uint64(len(s.value)))
	s.packing = append(s.packing, s.value...)
	s.packing = c.cell.AppendPending(s.packing)
	s.removeHot(c)
	before := s.packed.bytes
	s.packed.put(hash, c.key, c.row, s.packing)
	s.size[budget.Hot] += s.packed.bytes - before
	return true
}

// packItem gives an item to a packed cell that was not read; first reports whether it is the cell's first. ok is false if
// another cell has its hash.
func (s *shard) packItem(hash uint64, k cellKey, it *item.Item) (first, ok bool) {
	before := s.packed.bytes
	if first = !s.packed.has(hash); first {
		k.group = strings.Clone(k.group)
		s.packing = item.Append(append(s.packing[:0], 0), it)
		s.packed.put(hash, k, noWake, s.packing)
	} else {
		s.packing = item.Append(s.packing[:0], it)
		if !s.packed.append(hash, k, s.packing) {
			return false, false
		}
	}
	s.size[budget.Hot] += s.packed.bytes - before
	return first, true
}

// takePacked takes a cell from the packed ones.
func (s *shard) takePacked(hash uint64, k cellKey) (c *cachedCell, items []byte, ok bool) {
	before := s.packed.bytes
	row, value, ok := s.packed.take(hash, k)
	if !ok {
		return nil, nil, false
	}
	s.size[budget.Hot] += s.packed.bytes - before
	flags, base, items := readPacked(value)
	if flags&packedBase == 0 {
		return nil, items, true
	}
	cell, err := fold.LoadCell(s.rules.programs[k.rule], k.group, base)
	if err != nil {
		panic("BUG: a packed cell cannot be read: " + err.Error())
	}
	cell.SweepBy(row)
	c = &cachedCell{
		key: k, cell: cell, wake: noWake, row: row, stored: flags&packedStored != 0, paged: flags&packedPaged != 0,
	}
	if c.stored {
		c.state = int64(cellHeadSize + len(base))
	}
	return c, items, true
}

// readPacked reads the value of a packed cell. base and items are views.
func readPacked(value []byte) (flags byte, base, items []byte) {
	flags, value = value[0], value[1:]
	if flags&packedBase != 0 {
		base, value = flat.ReadText(value)
	}
	return flags, base, value
}

// unpack makes a cell of a packed one, which is hot again. c is the cell without its items.
func (s *shard) unpack(c *cachedCell, items []byte) *cachedCell {
	s.addPending(c, items)
	c.size = c.measure()
	if c.cell.Pending() > 0 { // else they add up to nothing: the cell was beyond them (cool), or they were taken back
		s.hot[c.key] = c
		s.size[budget.Hot] += c.size
	}
	return c
}

// pageOut makes packed cells of a level leave memory, those that were packed first first, until the hot cells take most.
func (s *shard) pageOut(level int, most int64, out *shardPart) {
	for at := s.packed.oldest; at != noSlot && s.size[budget.Hot] > most; {
		x := &s.packed.slots[at]
		next := x.newer
		rule, group, value := readShelfData(x.data)
		if s.rules.level(rule) == level {
			k := cellKey{rule, string(group)}
			flags, _, items := readPacked(value[8:])
			if flags&packedPaged == 0 {
				s.paged.add(pageMark(x.hash, rule))
			}
			kv := store.KV{Key: s.storeKey(k), Value: items}
			out.paged = append(out.paged, kv)
			out.size += int64(len(kv.Value))
			s.paging[k] = kv.Value
			before := s.packed.bytes
			s.packed.remove(at)
			s.size[budget.Hot] += s.packed.bytes - before
		}
		at = next
	}
}
