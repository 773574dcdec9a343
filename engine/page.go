package engine

import (
	"bytes"
	"cmp"
	"slices"

	"github.com/aidr-engine/aidr/engine/budget"
	"github.com/aidr-engine/aidr/engine/item"
	"github.com/aidr-engine/aidr/engine/store"
)

// addPaged gives a cell that was loaded its pending items back, if they were paged out.
func (s *shard) addPaged(c *cachedCell, hash uint64) *cachedCell {
	if s.paged.has(pageMark(hash, c.key.rule)) {
		value, paging := s.paging[c.key]
		if !paging {
			s.retry.do("read pending items", func() (err error) {
				value, err = s.store.Paged(s.storeKey(c.key))
				return err
			})
		}
		c.paged = value != nil
		s.addPending(c, value)
	}
	c.size = c.measure()
	return c
}

// addPending adds the flat forms of pending items to a cell.
func (s *shard) addPending(c *cachedCell, items []byte) {
	if !c.cell.AddPending(items) {
		id := s.rules.id(c.key.rule)
		s.metrics.evidenceLost(id)
		s.log.Error("damaged pending items, some are lost", "rule", id)
	}
	c.wake, _ = c.cell.PendingWake() // its timer did not leave memory
}

// page packs hot cells of a level if the hot cells take more than their share, those first that have been unchanged
// for longest, then small ones. If they take more than mostHot all the same, it writes the pending items of packed cells to the store, and
// these cells leave memory.
func (s *shard) page(level int, out *shardPart) {
	s.shrinkShelf()
	if s.size[budget.Hot] <= s.cellShare {
		return
	}
	var cells []*cachedCell
	for _, c := range s.hot {
		if s.rules.level(c.key.rule) != level {
			continue
		}
		if active := c.checkpoint == s.count; !c.dirty && !(active && c.size > pinnedSize) {
			cells = append(cells, c)
		}
	}
	slices.SortFunc(cells, func(a, b *cachedCell) int {
		return cmp.Or(cmp.Compare(a.checkpoint, b.checkpoint), cmp.Compare(a.size, b.size),
			cmp.Compare(a.key.rule, b.key.rule), cmp.Compare(a.key.group, b.key.group))
	})
	for _, c := range cells {
		if s.size[budget.Hot] <= s.cellShare/2 {
			break
		}
		s.pack(c)
	}
	if s.size[budget.Hot] > s.mostHot() {
		s.pageOut(level, s.mostHot()-s.cellShare/2, out)
	}
}

// mostHot returns the number of bytes of hot cells above which some leave memory: the cells at rest give up most of their
// share to them.
func (s *shard) mostHot() int64 { return 2*s.cellShare - s.cellShare/4 }

// pageMarks counts owners with paged items by a hash, so that the others need no look into the store.
type pageMarks map[uint64]int32

func (m pageMarks) has(mark uint64) bool { return len(m) > 0 && m[mark] > 0 }

func (m pageMarks) add(mark uint64) { m[mark]++ }

func (m pageMarks) remove(mark uint64) {
	if m[mark]--; m[mark] == 0 {
		delete(m, mark)
	}
}

// pageMark returns the mark of a cell: hash is that of its owner, which depends on the rule already.
func pageMark(hash uint64, rule int) uint64 { return hash + uint64(rule)*0x9e3779b97f4a7c15 }

func (s *shard) pageMark(k cellKey) uint64 {
	return pageMark(s.rules.programs[k.rule].Hash(k.group), k.rule)
}

// dropPaged deletes the paged items of a cell whose pending items have all moved to base.
func (s *shard) dropPaged(c *cachedCell, out *shardPart) {
	c.paged = false
	s.paged.remove(s.pageMark(c.key))
	out.paged = append(out.paged, store.KV{Key: s.storeKey(c.key)})
	s.paging[c.key] = nil
}

// restoreItem keeps an item of the last checkpoint for its cell, which is read when it is used; or now, if the rules changed,
// because the cells of a rule that returns emit their findings again. Once memory is full, the items
// are written to the store, and so are those that follow. The cells are clean: the checkpoint that held the items emitted
// their findings. They are woken by the timers that endRestore sets, and by those in the store.
func (s *shard) restoreItem(it *item.Item) error {
	if !s.lazy && !s.restoring {
		s.insert(it)
		if s.size[budget.Hot] <= s.mostHot() {
			return nil
		}
		s.restoring = true
		s.pageRestored()
		return s.writeUnpaged()
	}
	k := cellKey{it.Rule, it.Group}
	w, ok := s.restored[k]
	if !ok || it.Time.Add(1) < w {
		s.restored[k] = it.Time.Add(1)
	}
	hash := s.rules.programs[k.rule].Hash(k.group)
	if !s.restoring {
		if _, packed := s.packItem(hash, k, it); !packed {
			s.insert(it) // another cell has its hash
		}
		if s.size[budget.Hot] <= s.mostHot() {
			return nil
		}
		s.restoring = true
		s.pageRestored()
		return s.writeUnpaged()
	}
	if !ok {
		s.paged.add(pageMark(hash, k.rule))
	}
	kv := store.KV{Key: s.storeKey(k), Value: item.Append(nil, it)}
	s.unpaged = append(s.unpaged, kv)
	s.unpagedSize += int64(len(kv.Key) + len(kv.Value))
	if s.unpagedSize < min(s.cellShare/2, restoreBytes) {
		return nil
	}
	return s.writeUnpaged()
}

// endRestore ends the restoring of items.
func (s *shard) endRestore() error {
	for k, w := range s.restored {
		s.setTimer(k, w, false)
	}
	s.restored = nil
	return s.writeUnpaged()
}

// pageRestored makes all restored items leave memory.
func (s *shard) pageRestored() {
	for s.packed.len() > 0 {
		x := &s.packed.slots[s.packed.oldest]
		rule, group, value := readShelfData(x.data)
		k := cellKey{rule, string(group)}
		_, _, items := readPacked(value[8:])
		s.unpaged = append(s.unpaged, store.KV{Key: s.storeKey(k), Value: items})
		s.paged.add(pageMark(x.hash, rule))
		before := s.packed.bytes
		s.packed.dropOldest()
		s.size[budget.Hot] += s.packed.bytes - before
	}
	for i := range s.changes {
		ch := &s.changes[i]
		for _, c := range ch.dirty {
			s.unpaged = append(s.unpaged, store.KV{Key: s.storeKey(c.key), Value: c.cell.AppendPending(nil)})
			s.removeHot(c)
			s.paged.add(s.pageMark(c.key))
			s.restored[c.key] = c.wake
		}
		s.size[budget.Dirty] -= ch.size
		ch.dirty, ch.size = nil, 0
	}
}

// restoreBytes is the size of the items that are paged out in one write while they are restored. They arrive in the order
// of checkpoints, and are written in that of their owners: the larger the write, the fewer pieces an owner's items have.
const restoreBytes = 16 << 20

func (s *shard) writeUnpaged() error {
	if len(s.unpaged) == 0 {
		return nil
	}
	slices.SortStableFunc(s.unpaged, func(a, b store.KV) int { return bytes.Compare(a.Key, b.Key) })
	joined := s.unpaged[:0]
	for _, kv := range s.unpaged {
		if n := len(joined); n > 0 && bytes.Equal(joined[n-1].Key, kv.Key) {
			joined[n-1].Value = append(joined[n-1].Value, kv.Value...)
		} else {
			joined = append(joined, kv)
		}
	}
	err := s.store.AppendPaged(joined)
	clear(s.unpaged)
	s.unpaged, s.unpagedSize = s.unpaged[:0], 0
	return err
}
