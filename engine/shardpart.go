package engine

import (
	"slices"

	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/engine/budget"
	"github.com/aidr-engine/aidr/engine/inventory"
	"github.com/aidr-engine/aidr/engine/item"
	"github.com/aidr-engine/aidr/engine/store"
	"github.com/aidr-engine/aidr/schema"
)

// shardPart is a shard's part of a checkpoint.
type shardPart struct {
	shard   int // its number
	cells   []store.KV
	timers  []store.KV             // changes of timers in the store; a nil value deletes
	paged   []store.KV             // pending items of cells that left memory; a nil value deletes
	reached []schema.Instant       // by rule: the watermark that all its cells have reached
	size    int64                  // estimate of the memory that the part takes until it is durable
	items   [][]byte               // items that came since the last checkpoint and are pending: see items.go; valid until the next one
	newest  map[int]schema.Instant // by rule: the highest time among them
	entries []connectors.Entry

	deferred bool // findings wait for the next checkpoint, because this one has no room for them

	triggers []item.Item // of rules above the level, for any shard
	audit    []store.AuditEntry

	inventory inventory.Part
	settled   map[int]settled // by rule; nil without a ledger of counts
}

// checkpoint advances the cells of one level whose time has come and returns everything in them that changed.
func (s *shard) checkpoint(b *barrier) shardPart {
	if b.level == 0 {
		s.begin()
	}
	room, out := s.change, shardPart{shard: s.number}
	for rule := range s.timers {
		if s.rules.level(rule) == b.level {
			start := s.clock.Now()
			room = s.advance(rule, b.watermark[rule], room, &out)
			s.meter.rules[rule].fold.Add(int64(s.clock.Now().Sub(start)))
		}
	}
	ch := &s.changes[b.level]
	out.reached, out.size, out.audit = slices.Clone(s.watermark), ch.size, ch.audit
	ch.audit = nil
	s.size[budget.Dirty] -= ch.size
	ch.size = 0
	dirty := ch.dirty
	ch.dirty, ch.lastDirty = ch.lastDirty[:0], dirty
	for _, c := range dirty {
		c.dirty = false
		if c.cell.Held() { // its row in the store wakes it after a restart only
			c.cell.Advance(s.watermark[c.key.rule])
		}
		if left := s.change - int64(len(out.entries))*findingSize; left > 0 {
			s.emit(c, b, &out)
		} else {
			c.cell.Defer() // the next checkpoint has room for its findings
			out.deferred = out.deferred || c.cell.Held()
		}
		s.feed(c, &out)
		s.cool(c, &out)
	}
	clear(dirty)
	if b.level == 0 {
		s.emitLate(b, &out)
		s.saveInventory(b, &out)
	}
	if s.store != nil {
		s.saveItems(b.level, &out)
		s.page(b.level, &out)
	}
	out.size += int64(len(out.entries)) * findingSize
	s.budget.Add(budget.Checkpoint, out.size)
	return out
}

// begin begins a checkpoint. The last one is durable.
func (s *shard) begin() {
	s.inflight, s.paging = map[cellKey][]byte{}, map[cellKey][]byte{}
	s.count++
	s.capturer.Begin()
	for rule, items := range s.flat {
		if cap(items) > maxFlatItems {
			delete(s.flat, rule)
		} else {
			s.flat[rule] = items[:0] // filled again instead of allocated at every checkpoint
		}
	}
}

// emitLate adds the findings of late items to the checkpoint.
func (s *shard) emitLate(b *barrier, out *shardPart) {
	clear(s.lateSeen)
	for _, f := range s.late {
		f.Revision, f.DetectedAt = 1, &b.now
		out.entries = append(out.entries, connectors.Entry{Type: connectors.EntryTypeOf(f), Finding: f})
		s.lateSeen[f.ID] = true // the store may not have the finding before the next checkpoint
	}
	s.late = nil
}

// feed adds the items that the rules over the cell's rule have of its new triggers, and those of its losses.
func (s *shard) feed(c *cachedCell, out *shardPart) {
	source := s.rules.sources[c.key.rule]
	c.cell.Losses(func(t *item.Trigger, limit string) {
		if s.rules.limit < 0 {
			return
		}
		s.capturer.ReadLoss(source, t, limit)
		s.capturer.Capture(s.rules.plans[s.rules.limit], s.rules.limit, func(it *item.Item) { out.triggers = append(out.triggers, *it) })
	})
	over := s.rules.over[c.key.rule]
	if len(over) == 0 {
		return
	}
	c.cell.Triggers(func(t *item.Trigger, gone bool) {
		s.capturer.Read(source, t)
		for _, rule := range over {
			missing, failed := s.capturer.Capture(s.rules.plans[rule], rule, func(it *item.Item) {
				it.Gone = gone
				out.triggers = append(out.triggers, *it)
			})
			if !gone && missing+failed > 0 {
				s.metrics.triggered(s.rules.id(rule), missing, failed)
				s.meter.rules[rule].failed.Add(int64(failed))
			}
		}
	})
}

// emit adds the changes of a cell's findings to the checkpoint.
func (s *shard) emit(c *cachedCell, b *barrier, out *shardPart) {
	emit := c.cell.EmitPaced
	if b.all || s.size[budget.Hot] > 2*s.cellShare { // cells with changes held back cannot be paged out
		emit = c.cell.Emit
	}
	emit(b.now, func(f *schema.Finding) {
		if until := b.warming[c.key.rule]; until != 0 && f.GroupStart < until {
			f.WarmingUntil = &until
		}
		out.entries = append(out.entries, connectors.Entry{Type: connectors.EntryTypeOf(f), Finding: f})
	})
}

// saveItems adds the items of a level that came since its last checkpoint and are still pending. The others are in base.
func (s *shard) saveItems(level int, out *shardPart) {
	ch := &s.changes[level]
	for _, items := range ch.unsaved {
		for i := range items {
			it := &items[i]
			if it.Time < s.watermark[it.Rule] {
				continue
			}
			if out.newest == nil {
				out.newest = map[int]schema.Instant{}
			}
			s.flat[it.Rule] = item.Append(s.flat[it.Rule], it)
			if t, ok := out.newest[it.Rule]; !ok || it.Time > t {
				out.newest[it.Rule] = it.Time
			}
		}
	}
	clear(ch.unsaved)
	ch.unsaved = ch.unsaved[:0]
	if out.newest != nil {
		out.items = [][]byte{ch.parts.pack(s.flat, s.rules.set, level)}
	}
}

// countLimits counts the limits that the cell reached, and the triggers that it settled.
func (s *shard) countLimits(c *cachedCell, out *shardPart) {
	l := c.cell.TakeLimits()
	if l.Triggers+l.Held > 0 && s.tallies {
		if out.settled == nil {
			out.settled = map[int]settled{}
		}
		n := out.settled[c.key.rule]
		out.settled[c.key.rule] = settled{n.triggers + l.Triggers, n.held + l.Held}
	}
	s.metrics.limits(s.rules.id(c.key.rule), l)
}

// maxFlatItems is the memory in bytes for the items of one rule that is kept from checkpoint to checkpoint, so that the
// memory of a burst is returned.
const maxFlatItems = 1 << 20

// cool adds a dirty cell to the checkpoint and makes it cold unless items are pending.
func (s *shard) cool(c *cachedCell, out *shardPart) {
	s.countLimits(c, out)
	if s.store != nil {
		if c.cell.Empty() && c.cell.Watermark() > s.watermark[c.key.rule] {
			c.cell.StayAhead() // advance had too little room for other cells
		}
		s.save(c, out)
	} else {
		s.moveRow(c, c.wanted(), out)
	}
	s.schedule(c)
	c.checkpoint = s.count
	s.size[budget.Hot] -= c.size
	c.size = c.measure()
	s.size[budget.Hot] += c.size
	if c.cell.Held() {
		before := s.changesOf(c.key.rule).size
		s.touch(c)                                              // for the next checkpoint
		s.grow(c.key.rule, before-s.changesOf(c.key.rule).size) // lanes must not wait for a change that is held back
	}
	if c.cell.Pending() > 0 || c.dirty {
		return
	}
	s.removeHot(c)
	if c.paged {
		s.dropPaged(c, out)
	}
	if !c.cell.Empty() {
		s.rest(c)
	}
}

// save adds a cell to the checkpoint unless the store already holds its current value.
func (s *shard) save(c *cachedCell, out *shardPart) {
	row := c.wanted()
	if c.stored && !c.unreadable && !c.cell.Changed() && row == c.row {
		return
	}
	kv := store.KV{Key: s.storeKey(c.key)}
	if !c.cell.Empty() {
		kv.Value = c.cell.Append(appendCellHead(nil, s.rules.programs[c.key.rule].Rule, row))
	}
	if kv.Value != nil || c.stored {
		c.state = int64(len(kv.Value))
		out.cells = append(out.cells, kv)
		s.inflight[c.key] = kv.Value
		c.stored, c.unreadable = kv.Value != nil, false
		s.moveRow(c, row, out)
	}
}
