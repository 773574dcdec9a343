package engine

import (
	"log/slog"
	"math"
	"strings"
	"sync/atomic"

	"github.com/aidr-engine/aidr/engine/budget"
	"github.com/aidr-engine/aidr/engine/capture"
	"github.com/aidr-engine/aidr/engine/clock"
	"github.com/aidr-engine/aidr/engine/fold"
	"github.com/aidr-engine/aidr/engine/inventory"
	"github.com/aidr-engine/aidr/engine/item"
	"github.com/aidr-engine/aidr/engine/store"
	"github.com/aidr-engine/aidr/rules"
	"github.com/aidr-engine/aidr/schema"
)

// message is the unit that a shard receives: a sub-batch of items, late items that become findings of their own, a
// barrier, or a function to call.
type message struct {
	items   []item.Item // the shard takes them over
	late    []item.Item
	deltas  string // of the inventory
	size    int64  // counted as budget.Queued
	barrier *barrier
	call    func(s *shard)
}

// barrier asks a shard for its part of a checkpoint: for the part of the rules of one level, after those below it. The
// message of a level above 0 has the items that the triggers of the levels below give.
type barrier struct {
	level     int
	now       schema.Instant
	watermark []schema.Instant // by rule
	warming   []schema.Instant // by rule: see checkpointer.warming; constant until the shard has replied
	all       bool             // the flood guard holds nothing back: a caller waits for the checkpoint, or it is the last
	reply     chan<- shardPart
	inventory schema.Instant // its watermark
	rowing    inventory.Rowing
}

// shard owns the cells of one range of hashes. One goroutine, no locks.
//
// A cell is hot while it has pending items or changes that the store lacks. The others are at rest, on a shelf, and a cell
// that falls off it is in the store already: eviction is paging, not forgetting. If the hot cells exceed their share of
// the memory budget, a checkpoint packs some clean cells (pack.go). If that is too little, it also writes the pending items of
// packed cells, by owner, and these cells leave memory.
// The rows belong to the checkpoint, so that the store never holds items of one moment and base of another. They are a
// copy that only the running engine reads: after a restart the items come from the checkpoints that first held them.
type shard struct {
	rules   *ruleSet
	number  int          // of the shard
	tallies bool         // settled triggers are counted for rows
	shards  int          // the number of shards
	store   *store.Store // nil: nothing outlives the engine
	retry   *retrier     // of reads of the store
	log     *slog.Logger
	metrics *Metrics
	budget  *budget.Budget
	clock   clock.Clock
	meter   *meter
	seats   seats        // set before run
	added   int          // number of items
	perItem atomic.Int64 // bytes of changes that an item made, on average of the last message
	cost    shardMeter
	in      chan message

	hot         map[cellKey]*cachedCell
	shelf       shelf                   // cells at rest, if there is a store
	resting     map[cellKey]*cachedCell // cells at rest, without a store: there is nowhere to page to
	most        int                     // cells on the shelf
	changes     []changes               // by level of the rules: what changed since the level's last checkpoint
	capturer    *capture.TriggerCapturer
	inflight    map[cellKey][]byte         // values of the checkpoint under way, nil: deleted; the store may not have them yet
	paging      map[cellKey][]byte         // the same for paged items
	paged       pageMarks                  // of the cells with paged items
	unpagedSize int64                      // of unpaged, in bytes
	lazy        bool                       // restored items wait for a use of their cells
	restoring   bool                       // memory is full of restored cells: the items that follow are paged at once
	unpaged     []store.KV                 // the items that were to be paged at once and are not written yet
	restored    map[cellKey]schema.Instant // while items are restored: their wake times
	packed      shelf                      // hot cells in flat form: see pack.go
	timers      []ruleTimers               // by rule
	watermark   []schema.Instant           // by rule: the one that all cells have reached; no item below it can come

	count             uint64                      // of checkpoints
	inventory         *inventory.Shard            // nil without an inventory
	size              [budget.Inventory + 1]int64 // by part: bytes of this shard; of these
	reported          [budget.Inventory + 1]int64 // the budget has these
	cellShare, change int64                       // see budget.Cells and budget.Changes; noShare without a limit

	flat map[int][]byte // by rule: the flat pending items of a checkpoint, scratch

	unknown  int                // above 0 if most cells that were read lately had no value in the store
	value    []byte             // of a cell, scratch
	packing  []byte             // of a packed cell, scratch
	late     []*schema.Finding  // findings of late items since the last checkpoint
	lateSeen map[schema.ID]bool // of this checkpoint and the one under way
}

// changes are the changes of the cells of one level of rules.
type changes struct {
	dirty     []*cachedCell
	lastDirty []*cachedCell // the dirty list of the last checkpoint, whose memory is used again
	size      int64         // of budget.Dirty
	unsaved   [][]item.Item // items that came since the last checkpoint
	parts     itemParts     // of a checkpoint, scratch
	audit     []store.AuditEntry
}

// noShare is a share that nothing exceeds.
const noShare = math.MaxInt64 / 4

func newShard(number int, rs *ruleSet, opts Options, retry *retrier, bud *budget.Budget, m *meter) *shard {
	s := &shard{
		rules: rs, number: number, shards: opts.Shards, store: opts.Store, retry: retry, log: opts.Log, metrics: opts.Metrics,
		in: make(chan message, shardQueue), hot: map[cellKey]*cachedCell{}, inflight: map[cellKey][]byte{},
		timers: make([]ruleTimers, len(rs.programs)), watermark: make([]schema.Instant, len(rs.programs)),
		flat: map[int][]byte{}, paged: pageMarks{}, shelf: newShelf(), packed: newShelf(), restored: map[cellKey]schema.Instant{}, resting: map[cellKey]*cachedCell{}, most: opts.CacheCells, lateSeen: map[schema.ID]bool{},
		budget: bud, clock: opts.Clock, meter: m, paging: map[cellKey][]byte{}, cellShare: noShare, change: noShare,
		tallies: opts.Rows && opts.Store != nil,
		changes: make([]changes, rs.levels), capturer: capture.NewTriggerCapturer(rs.set),
	}
	if n, ok := bud.Cells(opts.Shards); ok {
		s.cellShare = n
		s.change, _ = bud.Changes(opts.Shards)
	}
	s.perItem.Store(changeSize)
	for i := range s.watermark {
		s.watermark[i] = never
		s.timers[i] = newRuleTimers(opts.Store != nil, opts.timerPage)
	}
	s.inventory = newInventoryShard(s, opts)
	return s
}

// run handles messages until the channel is closed.
func (s *shard) run() {
	for m := range s.in {
		s.seats.take()
		start := s.clock.Now()
		before := s.size[budget.Dirty]
		if len(m.items) > 0 {
			s.add(m.items)
		}
		for i := range m.late {
			s.addLate(&m.late[i])
		}
		if n := len(m.items) + len(m.late); n > 0 {
			s.perItem.Store((s.size[budget.Dirty] - before) / int64(n))
		}
		if m.deltas != "" {
			s.addDeltas(m.deltas)
		}
		if m.call != nil {
			m.call(s)
		}
		var part shardPart
		if m.barrier != nil {
			part = s.checkpoint(m.barrier)
		}
		s.report()
		s.budget.Add(budget.Queued, -m.size)
		took := int64(s.clock.Now().Sub(start))
		s.meter.busy.Add(took)
		s.showCost(len(m.items)+len(m.late), took)
		s.seats.leave()
		if m.barrier != nil {
			m.barrier.reply <- part
		}
	}
}

// report adds to the budget the growth of each part of the shard since the last report.
func (s *shard) report() {
	for part, n := range s.size {
		if n != s.reported[part] {
			s.budget.Add(budget.Part(part), n-s.reported[part])
			s.reported[part] = n
		}
	}
}

// add gives items to their cells and remembers them for the next checkpoint.
func (s *shard) add(items []item.Item) {
	for i := range items {
		if s.added++; s.added%sampleEvery != 0 {
			s.insert(&items[i])
			continue
		}
		start := s.clock.Now()
		s.insert(&items[i])
		s.meter.rules[items[i].Rule].fold.Add(sampleEvery * int64(s.clock.Now().Sub(start)))
	}
	if s.store != nil {
		ch := s.changesOf(items[0].Rule)
		ch.unsaved = append(ch.unsaved, items)
	}
}

// changesOf returns the changes of the level of a rule. All items of a message are of one level.
func (s *shard) changesOf(rule int) *changes { return &s.changes[s.rules.level(rule)] }

// grow adds to the memory of the changes of a rule that wait for a checkpoint.
func (s *shard) grow(rule int, bytes int64) {
	s.changesOf(rule).size += bytes
	s.size[budget.Dirty] += bytes
}

// insert gives an item to its cell.
func (s *shard) insert(it *item.Item) {
	c := s.get(cellKey{it.Rule, it.Group})
	s.touch(c)
	if c.cell.Add(it) {
		n := int64(it.Size())
		c.size += n
		s.size[budget.Hot] += n
		s.grow(it.Rule, n)
	}
	s.schedule(c)
}

// addLate makes a finding of a late item, unless the same item gave one before.
func (s *shard) addLate(it *item.Item) {
	if s.rules.set.Rules[it.Rule].Stage == rules.StageBlock {
		return
	}
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
	s.grow(it.Rule, findingSize)
}

// get returns the cell of a key: from memory, from the checkpoint under way, from the store, or a new one. The group may
// be part of an item, which the cell outlives, so the cell keeps a copy. The caller touches or releases it.
func (s *shard) get(k cellKey) *cachedCell {
	if c, ok := s.hot[k]; ok {
		return c
	}
	if c, ok := s.resting[k]; ok {
		return c
	}
	k.group = strings.Clone(k.group)
	c := s.load(k)
	c.cell.Advance(s.watermark[k.rule])
	return c
}

// rest lets a cell rest that is not hot: it goes onto the shelf, and the oldest cells over their share of memory leave it.
func (s *shard) rest(c *cachedCell) {
	switch {
	case s.store == nil:
		if _, ok := s.resting[c.key]; !ok {
			s.resting[c.key] = c
			s.size[budget.Cold] += c.size
		}
	case c.stored && !c.unreadable:
		s.value = c.cell.Append(s.value[:0])
		s.shelf.put(s.rules.programs[c.key.rule].Hash(c.key.group), c.key, c.row, s.value)
		s.shrinkShelf()
	}
}

// release lets a cell rest that get returned and that was not touched.
func (s *shard) release(c *cachedCell) {
	switch _, hot := s.hot[c.key]; {
	case hot:
	case c.cell.Pending() > 0 && !c.paged: // restored items, which are in memory only
		s.touch(c)
	default:
		s.rest(c)
	}
}

// shrinkShelf drops the oldest cells on the shelf over their share of memory, which is the part of both shares that the hot
// cells leave. With keys that are drawn evenly from millions, the cells on the shelf are hardly ever used again, but each
// hot cell that is paged out is read back once or twice.
func (s *shard) shrinkShelf() {
	if s.store == nil {
		return
	}
	for s.shelf.len() > 0 && (s.shelf.len() > s.most || s.size[budget.Hot]+s.shelf.bytes > 2*s.cellShare) {
		s.shelf.dropOldest()
	}
	s.size[budget.Cold] = s.shelf.bytes
}

// removeHot makes a cell not hot.
func (s *shard) removeHot(c *cachedCell) {
	delete(s.hot, c.key)
	s.size[budget.Hot] -= c.size
}

// load unpacks a cell, reads it, or makes a new one.
func (s *shard) load(k cellKey) *cachedCell {
	hash := s.rules.programs[k.rule].Hash(k.group)
	c, items, packed := s.takePacked(hash, k)
	if c == nil {
		c = s.read(k, hash)
	}
	if packed {
		s.unpack(c, items)
	}
	return c
}

// read reads a cell that is not in memory, or makes a new one.
func (s *shard) read(k cellKey, hash uint64) *cachedCell {
	p := s.rules.programs[k.rule]
	if row, body, ok := s.shelf.take(hash, k); ok {
		s.size[budget.Cold] = s.shelf.bytes
		if cell, err := fold.LoadCell(p, k.group, body); err == nil {
			return s.loaded(k, hash, cell, row, cellHeadSize+len(body))
		}
	}
	value, inflight := s.inflight[k]
	if !inflight && s.store != nil {
		value = s.readValue(k)
	}
	if row, body, ok := readCellValue(value, p.Rule); ok {
		cell, err := fold.LoadCell(p, k.group, body)
		if err == nil {
			return s.loaded(k, hash, cell, row, len(value))
		}
		s.metrics.evidenceLost(p.Rule.ID)
		s.log.Error("damaged State entry, starting empty", "rule", p.Rule.ID, "error", err)
	}
	c := &cachedCell{key: k, cell: fold.NewCell(p, k.group), stored: value != nil, unreadable: value != nil, wake: noWake, row: noWake}
	return s.addPaged(c, hash)
}

// readValue reads the value of a cell from the store, nil if it has none.
func (s *shard) readValue(k cellKey) (value []byte) {
	read := s.store.Cell
	if s.unknown > 0 {
		read = s.store.RareCell
	}
	key := s.storeKey(k)
	s.retry.do("read State", func() (err error) {
		value, err = read(key)
		return err
	})
	if value == nil {
		s.unknown = min(s.unknown+1, unknownSpan)
	} else {
		s.unknown = max(s.unknown-1, -unknownSpan)
	}
	return value
}

// unknownSpan bounds shard.unknown, so that it follows a change of the keys within some reads.
const unknownSpan = 8

const (
	// cellSize is the memory in bytes of a cell in memory beyond fold.Cell.Size: the struct, its group key, the map's entry, and
	// the timer.
	cellSize = 224
	// changeSize is the memory in bytes that a changed cell takes in a checkpoint, beyond its items and its State: its key
	// and value in the batch, in the memory table of the store and in inflight.
	changeSize = 2 << 10
	// findingSize is the memory in bytes that a finding takes in a checkpoint: itself, its JSON, and both in the batch and
	// the memory table. A finding with one event of evidence took about 14 KB in the flood of 100,000 agents.
	findingSize = 14 << 10
	// pinnedSize is the size in bytes from which a cell that keeps receiving items is not paged out. Such a cell would be
	// read back for the next batch, which costs more memory than it frees.
	pinnedSize = 1 << 20
)

// loaded returns a cell that was read from its value, of a size in bytes.
func (s *shard) loaded(k cellKey, hash uint64, cell *fold.Cell, row schema.Instant, size int) *cachedCell {
	cell.SweepBy(row)
	return s.addPaged(&cachedCell{key: k, cell: cell, stored: true, wake: noWake, row: row, state: int64(size)}, hash)
}

// measure returns an estimate of the memory that the cell takes.
func (c *cachedCell) measure() int64 { return cellSize + int64(c.cell.Size()) }

// touch makes the cell hot and dirty.
func (s *shard) touch(c *cachedCell) {
	if c.dirty {
		return
	}
	c.dirty = true
	ch := s.changesOf(c.key.rule)
	ch.dirty = append(ch.dirty, c)
	s.grow(c.key.rule, changeSize+c.state)
	if _, ok := s.hot[c.key]; !ok {
		s.hot[c.key] = c
		s.size[budget.Hot] += c.size
		if _, ok := s.resting[c.key]; ok {
			delete(s.resting, c.key)
			s.size[budget.Cold] -= c.size
		}
	}
}
