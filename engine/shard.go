package engine

import (
	"container/heap"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"strings"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/engine/flat"
	"github.com/aidr-engine/aidr/engine/fold"
	"github.com/aidr-engine/aidr/engine/item"
	"github.com/aidr-engine/aidr/engine/store"
	"github.com/aidr-engine/aidr/rules"
	"github.com/aidr-engine/aidr/schema"
)

// message is the unit that a shard receives: a sub-batch of items, late items that become findings of their own, a barrier, or a
// function to call.
type message struct {
	items   []item.Item // the shard takes them over
	late    []item.Item
	barrier *barrier
	call    func(s *shard)
}

// barrier asks a shard for its part of a checkpoint.
type barrier struct {
	now       schema.Instant
	watermark []schema.Instant // by rule
	warming   []schema.Instant // by rule: see checkpointer.warming; constant until the shard has replied
	all       bool             // the flood guard holds nothing back: a caller waits for the checkpoint, or it is the last
	reply     chan<- shardPart
}

// shardPart is a shard's part of a checkpoint.
type shardPart struct {
	cells   []store.KV
	items   [][]byte               // items that came since the last checkpoint and are pending: see itemParts; valid until the next one
	newest  map[int]schema.Instant // by rule: the highest time among them
	entries []connectors.Entry
}

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
	stored     bool           // the store has a value for the cell, or will have one with the checkpoint under way
	wake       schema.Instant // a timer is set for this instant, or for an earlier one
	storedWake schema.Instant // the wake time last written to the store
}

// noWake is the wake time of a cell that waits for nothing.
const noWake = schema.MaxInstant

// shard owns the cells of one range of hashes. One goroutine, no locks.
//
// A cell is hot while it has pending items, or changes that no checkpoint holds: hot cells stay in memory. The others are
// cold and in an LRU, and a cell that falls out of it is in the store already: eviction is paging, not forgetting.
type shard struct {
	rules   *ruleSet
	store   *store.Store // nil: nothing outlives the engine
	retry   *retrier     // of reads of the store
	log     *slog.Logger
	metrics *Metrics
	in      chan message

	hot       map[cellKey]*cachedCell
	cold      *simplelru.LRU[cellKey, *cachedCell]
	dirty     []*cachedCell
	lastDirty []*cachedCell      // the dirty list of the last checkpoint, whose memory is used again
	inflight  map[cellKey][]byte // values of the checkpoint under way, nil: deleted; the store may not have them yet
	timers    []timers           // by rule
	watermark []schema.Instant   // by rule: that of the last checkpoint; no item below it can come

	unsaved  [][]item.Item      // items that came since the last checkpoint
	flat     map[int][]byte     // by rule: the flat pending items of a checkpoint, scratch
	late     []*schema.Finding  // findings of late items since the last checkpoint
	lateSeen map[schema.ID]bool // of this checkpoint and the one under way
}

func newShard(rs *ruleSet, opts Options, retry *retrier) *shard {
	s := &shard{
		rules: rs, store: opts.Store, retry: retry, log: opts.Log, metrics: opts.Metrics,
		in: make(chan message, shardQueue), hot: map[cellKey]*cachedCell{}, inflight: map[cellKey][]byte{},
		timers: make([]timers, len(rs.programs)), watermark: make([]schema.Instant, len(rs.programs)),
		flat: map[int][]byte{}, lateSeen: map[schema.ID]bool{},
	}
	for i := range s.watermark {
		s.watermark[i] = never
	}
	size := opts.CacheCells
	if opts.Store == nil {
		size = math.MaxInt // there is nowhere to page to
	}
	cold, err := simplelru.NewLRU[cellKey, *cachedCell](size, nil)
	if err != nil {
		panic("BUG: " + err.Error())
	}
	s.cold = cold
	return s
}

// run handles messages until the channel is closed.
func (s *shard) run() {
	for m := range s.in {
		if len(m.items) > 0 {
			s.add(m.items)
		}
		for i := range m.late {
			s.addLate(&m.late[i])
		}
		if m.call != nil {
			m.call(s)
		}
		if m.barrier != nil {
			m.barrier.reply <- s.checkpoint(m.barrier)
		}
	}
}

// add gives items to their cells and remembers them for the next checkpoint.
func (s *shard) add(items []item.Item) {
	for i := range items {
		s.insert(&items[i])
	}
	if s.store != nil {
		s.unsaved = append(s.unsaved, items)
	}
}

// insert gives an item to its cell.
func (s *shard) insert(it *item.Item) {
	c := s.get(cellKey{it.Rule, it.Group})
	s.touch(c)
	c.cell.Add(it)
	s.schedule(c)
}

// addLate makes a finding of a late item, unless the same item gave one before.
func (s *shard) addLate(it *item.Item) {
	f := fold.Late(s.rules.programs[it.Rule], it)
	if s.lateSeen[f.ID] {
		return
	}
	if s.store != nil {
		known := false
		s.retry.do("look up a finding", func() (err error) {
			_, known, err = s.store.Finding(f.ID)
			return err
		})
		if known {
			return
		}
	}
	s.lateSeen[f.ID] = true
	s.late = append(s.late, f)
}

// get returns the cell of a key: from memory, from the checkpoint under way, from the store, or a new one. The group may
// be part of an item, which the cell outlives, so the cell keeps a copy.
func (s *shard) get(k cellKey) *cachedCell {
	if c, ok := s.hot[k]; ok {
		return c
	}
	if c, ok := s.cold.Get(k); ok {
		return c
	}
	k.group = strings.Clone(k.group)
	c := s.load(k)
	c.cell.Advance(s.watermark[k.rule])
	s.cold.Add(k, c)
	return c
}

// load reads a cell that is not in memory, or makes a new one.
func (s *shard) load(k cellKey) *cachedCell {
	value, inflight := s.inflight[k]
	if !inflight && s.store != nil {
		s.retry.do("read State", func() (err error) {
			value, err = s.store.Cell(s.storeKey(k))
			return err
		})
	}
	p := s.rules.programs[k.rule]
	if wake, body, ok := readCellValue(value, p.Rule); ok {
		cell, err := fold.LoadCell(p, k.group, body)
		if err == nil {
			// The timer is set already: restore sets one for each cell of the store.
			return &cachedCell{key: k, cell: cell, stored: true, wake: wake, storedWake: wake}
		}
		s.metrics.evidenceLost(p.Rule.ID)
		s.log.Error("damaged State entry, starting empty", "rule", p.Rule.ID, "error", err)
	}
	return &cachedCell{key: k, cell: fold.NewCell(p, k.group), stored: value != nil, wake: noWake}
}

// touch makes the cell hot and dirty.
func (s *shard) touch(c *cachedCell) {
	if c.dirty {
		return
	}
	c.dirty = true
	s.dirty = append(s.dirty, c)
	if _, ok := s.hot[c.key]; !ok {
		s.hot[c.key] = c
		s.cold.Remove(c.key)
	}
}

// schedule sets a timer for the cell unless one is set that comes early enough.
func (s *shard) schedule(c *cachedCell) {
	if w, ok := c.cell.Wake(); ok && w < c.wake {
		c.wake = w
		heap.Push(&s.timers[c.key.rule], timer{w, c.key.group})
	}
}

// checkpoint advances the cells whose time has come and returns everything that changed.
func (s *shard) checkpoint(b *barrier) shardPart {
	s.inflight = map[cellKey][]byte{} // the last checkpoint is durable
	for rule := range s.timers {
		s.watermark[rule] = b.watermark[rule]
		s.advance(rule)
	}
	var out shardPart
	dirty := s.dirty
	s.dirty, s.lastDirty = s.lastDirty[:0], dirty
	for _, c := range dirty {
		c.dirty = false
		s.emit(c, b, &out)
		s.cool(c, &out)
	}
	for _, f := range s.late {
		f.Revision, f.DetectedAt = 1, &b.now
		out.entries = append(out.entries, connectors.Entry{Type: connectors.EntryTypeOf(f), Finding: f})
	}
	clear(s.lateSeen)
	for _, f := range s.late {
		s.lateSeen[f.ID] = true // the store may not have the finding before the next checkpoint
	}
	s.late = nil
	if s.store != nil {
		s.saveItems(&out)
	}
	return out
}

// emit adds the changes of a cell's findings to the checkpoint.
func (s *shard) emit(c *cachedCell, b *barrier, out *shardPart) {
	emit := c.cell.EmitPaced
	if b.all {
		emit = c.cell.Emit
	}
	emit(b.now, func(f *schema.Finding) {
		if until := b.warming[c.key.rule]; until != 0 && f.GroupStart < until {
			f.WarmingUntil = &until
		}
		out.entries = append(out.entries, connectors.Entry{Type: connectors.EntryTypeOf(f), Finding: f})
	})
}

// saveItems adds the items that came since the last checkpoint and are still pending. The others are in base.
func (s *shard) saveItems(out *shardPart) {
	for rule, items := range s.flat { // the last checkpoint is durable
		if cap(items) > maxFlatItems {
			delete(s.flat, rule)
		} else {
			s.flat[rule] = items[:0] // filled again instead of allocated at every checkpoint
		}
	}
	for _, items := range s.unsaved {
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
	clear(s.unsaved)
	s.unsaved = s.unsaved[:0]
	if out.newest != nil {
		out.items = itemParts(s.flat, s.rules.set)
	}
}

// maxFlatItems is the memory in bytes for the items of one rule that is kept from checkpoint to checkpoint, so that the
// memory of a burst is returned.
const maxFlatItems = 1 << 20

// cool adds a dirty cell to the checkpoint and makes it cold unless items are pending.
func (s *shard) cool(c *cachedCell, out *shardPart) {
	s.metrics.limits(s.rules.id(c.key.rule), c.cell.TakeLimits())
	if s.store != nil {
		s.save(c, out)
	}
	s.schedule(c)
	if c.cell.Held() {
		s.touch(c) // for the next checkpoint
	}
	if c.cell.Pending() > 0 || c.dirty {
		return
	}
	delete(s.hot, c.key)
	if !c.cell.Empty() {
		s.cold.Add(c.key, c)
	}
}

// save adds a cell to the checkpoint unless the store already holds its current value. The wake time is part of that
// value, because a cell that is paged back in is scheduled by the stored one.
func (s *shard) save(c *cachedCell, out *shardPart) {
	wake, ok := c.cell.Wake()
	if !ok {
		wake = noWake
	}
	if c.cell.Held() {
		wake = c.cell.Watermark() // so that after a crash the cell is examined immediately
	}
	if c.stored && !c.cell.Changed() && wake == c.storedWake {
		return
	}
	kv := store.KV{Key: s.storeKey(c.key)}
	if !c.cell.Empty() {
		kv.Value = c.cell.Append(appendCellHead(nil, s.rules.programs[c.key.rule].Rule, wake))
	}
	if kv.Value != nil || c.stored {
		out.cells = append(out.cells, kv)
		s.inflight[c.key] = kv.Value
		c.stored, c.storedWake = kv.Value != nil, wake
	}
}

// advance moves the cells of a rule whose time has come.
func (s *shard) advance(rule int) {
	t, w := &s.timers[rule], s.watermark[rule]
	for len(*t) > 0 && (*t)[0].at <= w {
		due := heap.Pop(t).(timer)
		c := s.get(cellKey{rule, due.group})
		if c.wake < due.at {
			continue // an earlier timer was set after this one
		}
		s.touch(c)
		c.wake = noWake
		c.cell.Advance(w)
		// If a cell has two timers for one instant, the second has no effect.
		s.schedule(c)
	}
}

// timer wakes a cell when the rule's watermark reaches at.
type timer struct {
	at    schema.Instant
	group string
}

// timers is a heap, the earliest first.
type timers []timer

func (h timers) Len() int           { return len(h) }
func (h timers) Less(i, j int) bool { return h[i].at < h[j].at }
func (h timers) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *timers) Push(x any)        { *h = append(*h, x.(timer)) }
func (h *timers) Pop() any {
	old := *h
	last := old[len(old)-1]
	old[len(old)-1] = timer{}
	*h = old[:len(old)-1]
	return last
}

// storeKey returns the key of a cell in the store: the hash that chooses its shard, the rule's id, 0x00, the group key.
func (s *shard) storeKey(k cellKey) []byte {
	p := s.rules.programs[k.rule]
	b := binary.BigEndian.AppendUint64(make([]byte, 0, 9+len(p.Rule.ID)+len(k.group)), p.Hash(k.group))
	b = append(b, p.Rule.ID...)
	b = append(b, 0)
	return append(b, k.group...)
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
// read, and the wake time. The cell's flat form follows.
func appendCellHead(dst []byte, r *rules.Rule, wake schema.Instant) []byte {
	dst = append(dst, r.Shape[:]...)
	return binary.BigEndian.AppendUint64(dst, uint64(wake))
}

// readCellValue reads a cell's value; ok is false if it is not of the rule's shape.
func readCellValue(v []byte, r *rules.Rule) (wake schema.Instant, cell []byte, ok bool) {
	n := len(r.Shape)
	if len(v) < n+8 || [16]byte(v[:n]) != r.Shape {
		return 0, nil, false
	}
	return schema.Instant(binary.BigEndian.Uint64(v[n:])), v[n+8:], true
}

// itemParts returns the pending items of a checkpoint as the parts of one value: for each rule its id and the size of its
// items, then the items themselves, which are not copied. Rules are named by id, because their places change with the
// Set.
func itemParts(byRule map[int][]byte, set *rules.Set) (parts [][]byte) {
	for rule, r := range set.Rules { // in order of rule: the same items give the same bytes
		items := byRule[rule]
		if len(items) == 0 {
			continue
		}
		head := flat.AppendText(nil, r.ID)
		parts = append(parts, binary.AppendUvarint(head, uint64(len(items))), items)
	}
	return parts
}

// readItems calls yield with every item of a value that itemParts made, and with the id of the item's rule.
func readItems(value []byte, yield func(rule string, it item.Item)) error {
	for len(value) > 0 {
		r := flat.NewReader(value)
		id, items := r.Text(), r.Text()
		if r.Bad() {
			return errors.New("pending items are damaged")
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
