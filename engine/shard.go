package engine

import (
	"container/heap"
	"encoding/binary"
	"fmt"
	"math"
	"strings"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/engine/fold"
	"github.com/aidr-engine/aidr/engine/item"
	"github.com/aidr-engine/aidr/engine/store"
	"github.com/aidr-engine/aidr/rules"
	"github.com/aidr-engine/aidr/schema"
)

// message is what a shard receives: a sub-batch of items, late items that are findings of their own, a barrier, or a
// question.
type message struct {
	items   []item.Item // the shard's from here on
	late    []item.Item
	barrier *barrier
	ask     func(s *shard)
}

// barrier asks a shard for its part of a cut.
type barrier struct {
	now       schema.Instant
	watermark []int64 // by rule
	all       bool    // nothing is held back: somebody waits for the cut, or it is the last
	reply     chan<- shardCut
}

// shardCut is a shard's part of a cut.
type shardCut struct {
	cells   []store.KV
	items   [][]byte      // items that came since the last cut and are pending, see itemParts; good until the next cut
	newest  map[int]int64 // rule -> highest time among them
	entries []connectors.Entry
}

// cellKey names an owner.
type cellKey struct {
	rule  int
	group string
}

// entry is an owner's cell in memory.
type entry struct {
	key    cellKey
	cell   *fold.Cell
	dirty  bool
	stored bool  // the store has, or will have with the cut under way, a value for it
	wake   int64 // the timers hold this entry for this instant, or for an earlier one
	told   int64 // the wake that stands in the store
}

// shard owns the cells of one range of hashes. One goroutine, no locks.
//
// A cell is hot while it has pending items or changes that no cut holds: hot cells stay in memory. The others are in an
// LRU, and what falls out of it is in the store already: eviction is paging, not forgetting.
type shard struct {
	e        *Engine
	in       chan message
	hot      map[cellKey]*entry
	cold     *simplelru.LRU[cellKey, *entry]
	dirty    []*entry
	spare    []*entry           // dirty's other room: what a cut holds back is dirty again
	inflight map[cellKey][]byte // handed over with the cut under way, nil: deleted; the store may not have it yet
	timers   []wakes            // by rule
	mark     []int64            // by rule: the watermark of the last cut; no item below it can come any more
	fresh    [][]item.Item      // since the last cut
	flat     map[int][]byte     // rule -> flat pending items of a cut, scratch
	late     []*schema.Finding
	lateSeen map[schema.ID]bool // of this cut and the one under way
}

func newShard(e *Engine, number int) *shard {
	s := &shard{
		e: e, in: make(chan message, shardQueue), hot: map[cellKey]*entry{}, inflight: map[cellKey][]byte{},
		timers: make([]wakes, len(e.programs)), mark: make([]int64, len(e.programs)), flat: map[int][]byte{}, lateSeen: map[schema.ID]bool{},
	}
	for i := range s.mark {
		s.mark[i] = never
	}
	size := e.o.CacheCells
	if e.o.Store == nil {
		size = math.MaxInt // there is nowhere to page to
	}
	cold, err := simplelru.NewLRU[cellKey, *entry](size, nil)
	if err != nil {
		panic("BUG: " + err.Error())
	}
	s.cold = cold
	return s
}

func (s *shard) run() {
	for m := range s.in {
		if len(m.items) > 0 {
			s.add(m.items)
		}
		for i := range m.late {
			s.addLate(&m.late[i])
		}
		if m.ask != nil {
			m.ask(s)
		}
		if m.barrier != nil {
			m.barrier.reply <- s.cut(m.barrier)
		}
	}
}

// add gives items to their cells and remembers them for the next cut.
func (s *shard) add(items []item.Item) {
	for i := range items {
		s.insert(&items[i])
	}
	if s.e.o.Store != nil {
		s.fresh = append(s.fresh, items)
	}
}

// insert gives an item to its cell.
func (s *shard) insert(it *item.Item) {
	en := s.entry(cellKey{it.Rule, it.Group})
	s.touch(en)
	en.cell.Add(it)
	s.schedule(en)
}

func (s *shard) addLate(it *item.Item) {
	f := fold.Late(s.e.programs[it.Rule], it)
	if s.lateSeen[f.ID] {
		return
	}
	if s.e.o.Store != nil {
		known := false
		s.e.persist("look up a finding", func() (err error) {
			_, known, err = s.e.o.Store.Finding(f.ID)
			return err
		})
		if known {
			return
		}
	}
	s.lateSeen[f.ID] = true
	s.late = append(s.late, f)
}

// entry returns the owner's cell, from memory, from what a cut is about to store, from the store, or new. The group may be
// part of an item, which the entry outlives: it keeps a copy.
func (s *shard) entry(k cellKey) *entry {
	if en, ok := s.hot[k]; ok {
		return en
	}
	if en, ok := s.cold.Get(k); ok {
		return en
	}
	k.group = strings.Clone(k.group)
	en := &entry{key: k, wake: math.MaxInt64}
	flat, handed := s.inflight[k]
	if !handed && s.e.o.Store != nil {
		s.e.persist("read State", func() (err error) {
			flat, err = s.e.o.Store.Cell(s.storeKey(k))
			return err
		})
	}
	p := s.e.programs[k.rule]
	if at, cell, ok := cutCellValue(flat, p.Rule); ok {
		c, err := fold.LoadCell(p, k.group, cell)
		if err != nil {
			s.e.o.Metrics.evidenceLost(p.Rule.ID)
			s.e.o.Log.Error("a State entry is damaged and starts anew", "rule", p.Rule.ID, "error", err)
		} else {
			en.cell, en.stored, en.wake, en.told = c, true, at, at // the timers hold it already
		}
	}
	if en.cell == nil {
		en.cell, en.stored = fold.NewCell(p, k.group), flat != nil
	}
	en.cell.Advance(schema.Instant(s.mark[k.rule]))
	s.cold.Add(k, en)
	return en
}

// touch makes the entry hot and dirty.
func (s *shard) touch(en *entry) {
	if en.dirty {
		return
	}
	en.dirty = true
	s.dirty = append(s.dirty, en)
	if _, ok := s.hot[en.key]; !ok {
		s.hot[en.key] = en
		s.cold.Remove(en.key)
	}
}

// schedule has the timers hold the entry at the latest by when it wakes.
func (s *shard) schedule(en *entry) {
	if at, ok := en.cell.Wake(); ok && int64(at) < en.wake {
		w := int64(at)
		en.wake = w
		heap.Push(&s.timers[en.key.rule], wake{w, en.key.group})
	}
}

// cut advances the cells whose time has come and hands over everything that changed.
func (s *shard) cut(b *barrier) shardCut {
	s.inflight = map[cellKey][]byte{} // the cut before this one is durable
	for rule := range s.timers {
		s.mark[rule] = b.watermark[rule]
		s.advance(rule)
	}
	var out shardCut
	keep := s.e.o.Store != nil
	dirty := s.dirty
	s.dirty, s.spare = s.spare[:0], dirty
	for _, en := range dirty {
		en.dirty = false
		emit := en.cell.EmitPaced
		if b.all {
			emit = en.cell.Emit
		}
		emit(b.now, func(f *schema.Finding) {
			if until := s.e.cuts.warming[en.key.rule]; until != 0 && int64(f.GroupStart) < until {
				at := schema.Instant(until)
				f.WarmingUntil = &at
			}
			out.entries = append(out.entries, connectors.Entry{Type: connectors.EntryTypeOf(f), Finding: f})
		})
		s.settle(en, &out, keep)
	}
	for _, f := range s.late {
		f.Revision, f.DetectedAt = 1, &b.now
		out.entries = append(out.entries, connectors.Entry{Type: connectors.EntryTypeOf(f), Finding: f})
	}
	clear(s.lateSeen)
	for _, f := range s.late {
		s.lateSeen[f.ID] = true // the store may not have it before the next cut
	}
	s.late = nil
	if keep {
		s.keepFresh(&out)
	}
	return out
}

// keepFresh writes into the cut what came since the last one and is still pending: what is not has moved into base.
func (s *shard) keepFresh(out *shardCut) {
	for rule, items := range s.flat { // the cut before this one is durable
		if cap(items) > maxFresh {
			delete(s.flat, rule)
		} else {
			s.flat[rule] = items[:0] // to be filled again, not grown anew at every cut
		}
	}
	for _, items := range s.fresh {
		for i := range items {
			it := &items[i]
			if int64(it.Time) < s.mark[it.Rule] {
				continue
			}
			if out.newest == nil {
				out.newest = map[int]int64{}
			}
			s.flat[it.Rule] = item.Append(s.flat[it.Rule], it)
			if t, ok := out.newest[it.Rule]; !ok || int64(it.Time) > t {
				out.newest[it.Rule] = int64(it.Time)
			}
		}
	}
	clear(s.fresh)
	s.fresh = s.fresh[:0]
	if out.newest == nil {
		return
	}
	out.items = itemParts(s.flat, s.e.o.Set)
}

// maxFresh is how much room for the items of one rule is kept from cut to cut, in bytes: a burst must not stay for ever.
const maxFresh = 1 << 20

// settle writes a dirty entry into the cut and lets it grow cold where nothing is pending.
func (s *shard) settle(en *entry, out *shardCut, keep bool) {
	s.e.o.Metrics.limits(s.e.programs[en.key.rule].Rule.ID, en.cell.TakeLimits())
	if keep {
		s.keep(en, out)
	}
	s.schedule(en)
	if en.cell.Held() {
		s.touch(en) // for the next cut
	}
	if en.cell.Pending() > 0 || en.dirty {
		return
	}
	delete(s.hot, en.key)
	if !en.cell.Empty() {
		s.cold.Add(en.key, en)
	}
}

// keep writes an entry into the cut where the store does not hold it as it is. When it wakes belongs to that: an entry
// that is paged in again is scheduled against what the store says of it.
func (s *shard) keep(en *entry, out *shardCut) {
	w := int64(math.MaxInt64)
	if at, ok := en.cell.Wake(); ok {
		w = int64(at)
	}
	if en.cell.Held() {
		w = int64(en.cell.Watermark()) // who comes back after a crash looks at it at once
	}
	if en.stored && !en.cell.Changed() && w == en.told {
		return
	}
	kv := store.KV{Key: s.storeKey(en.key)}
	if !en.cell.Empty() {
		kv.Value = en.cell.Append(appendCellHead(nil, s.e.programs[en.key.rule].Rule, w))
	}
	if kv.Value != nil || en.stored {
		out.cells = append(out.cells, kv)
		s.inflight[en.key] = kv.Value
		en.stored, en.told = kv.Value != nil, w
	}
}

// advance moves the cells of a rule whose time has come.
func (s *shard) advance(rule int) {
	t, w := &s.timers[rule], s.mark[rule]
	for len(*t) > 0 && (*t)[0].at <= w {
		k := heap.Pop(t).(wake)
		en := s.entry(cellKey{rule, k.group})
		if en.wake < k.at {
			continue // an earlier timer has been set since; it has or will come
		}
		s.touch(en)
		en.wake = math.MaxInt64
		en.cell.Advance(schema.Instant(w))
		// Two timers of one instant: the second finds nothing to do, which is harmless.
		s.schedule(en)
	}
}

// wake is a timer: the owner has something to do at the watermark at.
type wake struct {
	at    int64
	group string
}

// wakes is a heap of timers, the earliest first.
type wakes []wake

func (h wakes) Len() int           { return len(h) }
func (h wakes) Less(i, j int) bool { return h[i].at < h[j].at }
func (h wakes) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *wakes) Push(x any)        { *h = append(*h, x.(wake)) }
func (h *wakes) Pop() any {
	old := *h
	last := old[len(old)-1]
	old[len(old)-1] = wake{}
	*h = old[:len(old)-1]
	return last
}

// storeKey is the key of an owner in the store: the hash that chooses its shard, the rule's id, 0x00, the group key.
func (s *shard) storeKey(k cellKey) []byte {
	p := s.e.programs[k.rule]
	b := binary.BigEndian.AppendUint64(make([]byte, 0, 9+len(p.Rule.ID)+len(k.group)), p.Hash(k.group))
	b = append(b, p.Rule.ID...)
	b = append(b, 0)
	return append(b, k.group...)
}

// cutStoreKey reads the rule's id and the group key out of a store key.
func cutStoreKey(k []byte) (hash uint64, rule, group string, ok bool) {
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

// A cell's value in the store: the rule's shape (State of another shape is not read), when it wakes, the cell.
func appendCellHead(dst []byte, r *rules.Rule, wake int64) []byte {
	dst = append(dst, r.Shape[:]...)
	return binary.BigEndian.AppendUint64(dst, uint64(wake))
}

func cutCellValue(v []byte, r *rules.Rule) (wake int64, cell []byte, ok bool) {
	n := len(r.Shape)
	if len(v) < n+8 || [16]byte(v[:n]) != r.Shape {
		return 0, nil, false
	}
	return int64(binary.BigEndian.Uint64(v[n:])), v[n+8:], true
}

// itemParts returns the pending items of a cut as parts of one value: for each rule its id, its items' size, and them, which
// are not copied. Rules stand by id, because their places change with the Set.
func itemParts(flat map[int][]byte, set *rules.Set) (parts [][]byte) {
	for rule, r := range set.Rules { // in order of rule: the same items give the same bytes
		items := flat[rule]
		if len(items) == 0 {
			continue
		}
		head := append(binary.AppendUvarint(nil, uint64(len(r.ID))), r.ID...)
		parts = append(parts, binary.AppendUvarint(head, uint64(len(items))), items)
	}
	return parts
}

// cutItems calls yield with every item of what itemParts holds, with the id of its rule.
func cutItems(src []byte, yield func(rule string, it item.Item)) error {
	text := func() ([]byte, bool) {
		n, w := binary.Uvarint(src)
		if w <= 0 || n > uint64(len(src)-w) {
			return nil, false
		}
		b := src[w : w+int(n)]
		src = src[w+int(n):]
		return b, true
	}
	for len(src) > 0 {
		id, ok1 := text()
		items, ok2 := text()
		if !ok1 || !ok2 {
			return fmt.Errorf("pending items are damaged")
		}
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
