package engine

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/engine/budget"
	"github.com/aidr-engine/aidr/engine/clock"
	"github.com/aidr-engine/aidr/engine/gate"
	"github.com/aidr-engine/aidr/engine/item"
	"github.com/aidr-engine/aidr/engine/store"
	"github.com/aidr-engine/aidr/schema"
)

const (
	// idleStep is how far the watermark of an idle partition follows the clock at a time: each step is a checkpoint.
	idleStep = time.Second
	// slowestPace is the longest time between checkpoints. If a checkpoint takes long, checkpoints become rarer, so that
	// they take at most half of the time.
	slowestPace = 2 * time.Second
)

// checkpointer makes the checkpoints, one at a time: on a ticker, on request, and soon after a critical match. Its
// goroutine owns every field without a comment to the contrary.
type checkpointer struct {
	rules     *ruleSet
	inputs    map[string]*input
	lanes     *lanes
	shards    []*shard
	gate      *gate.Gate
	store     *store.Store // nil: nothing outlives the engine
	every     time.Duration
	clock     clock.Clock
	log       *slog.Logger
	metrics   *Metrics
	committed func([]connectors.Entry)
	guide     func(*schema.Finding) *schema.Guide // nil: findings have none
	budget    *budget.Budget

	requests chan chan error
	urgent   chan struct{}
	pressed  chan struct{} // memory is to be freed
	stopping chan stopRequest
	stopped  chan struct{}

	seq       uint64
	restored  bool                           // the engine started from a checkpoint
	watermark []schema.Instant               // by rule: the watermark up to which the last checkpoint could move its cells
	reached   []schema.Instant               // by rule: the watermark that all its cells have reached
	ahead     []apart                        // by rule: how far some shards are ahead of that
	byShard   [][]int64                      // by rule and shard: the watermark that the shard's cells reached with the checkpoint under way
	behind    bool                           // of some rule, reached is below watermark, or findings wait: the next checkpoint goes on
	warming   []schema.Instant               // by rule: until when its State does not know its whole window; 0 if it does
	positions map[connectors.Partition]int64 // committed with the last checkpoint
	pending   []pendingItems
	last      time.Time
	write     func(*store.Checkpoint) error // store.Commit
	retired   *retiredRules                 // nil if the engine did not start from a checkpoint
	responses *responder                    // nil: nothing is contained
	inventory inventoryProgress
	tallied   *tallied  // nil unless sinks want rows
	observer  *observer // nil without a store: findings about the process are for live engines
	abandoned error     // set once a checkpoint was abandoned: its contents are lost, so no later one may be committed

	mu        sync.Mutex // guards the fields below, which Status shows
	took      time.Duration
	trace     connectors.Trace  // nil: nothing gets checkpoints
	err       error             // why the last checkpoint is not durable yet
	warmRules int               // rules whose watermark has not reached their warming
	warmUntil schema.Instant    // the latest warming of those
	openOps   []*schema.Finding // the operational findings that are open
}

// pendingItems are the items of one checkpoint that are still above a watermark.
type pendingItems struct {
	seq    uint64
	newest map[int]schema.Instant // by rule: the highest time
}

type stopRequest struct {
	ctx   context.Context
	until *schema.Instant // of a replay
	done  chan error
}

func newCheckpointer(e *Engine) *checkpointer {
	n := len(e.rules.programs)
	c := &checkpointer{
		trace: e.opts.Trace, rules: e.rules, inputs: e.inputs, lanes: e.lanes, shards: e.shards, gate: e.gate, store: e.opts.Store,
		every: e.opts.CheckpointEvery, clock: e.opts.Clock, log: e.opts.Log, metrics: e.opts.Metrics, committed: e.opts.Committed, guide: e.opts.Guide,
		budget: e.budget, responses: e.responses, pressed: make(chan struct{}, 1), reached: make([]schema.Instant, n),
		requests: make(chan chan error), urgent: make(chan struct{}, 1), stopping: make(chan stopRequest, 1), stopped: make(chan struct{}),
		positions: map[connectors.Partition]int64{}, watermark: make([]schema.Instant, n), warming: make([]schema.Instant, n),
		ahead: make([]apart, n), byShard: make([][]int64, n),
	}
	for i := range c.watermark {
		c.watermark[i], c.reached[i] = never, never
		c.byShard[i] = make([]int64, len(e.shards))
	}
	c.inventory.watermark, c.inventory.rows, c.inventory.committed = never, e.opts.Rows, e.opts.RowsCommitted
	if c.store != nil {
		c.write = c.store.Commit
		c.observer = &observer{
			findings: newOperational(e.opts.Redact), inputs: e.inputs, lanes: e.lanes, rules: e.rules, meter: e.meter,
			metrics: e.opts.Metrics, degraded: map[string]time.Time{}, full: c.store.OutboxFull,
			paused: func() bool { return e.gate.Why() != "" || e.budget.Why() != "" }, responses: e.responses, canary: e.opts.Canary,
		}
	}
	return c
}

func (c *checkpointer) run() {
	defer close(c.stopped)
	tick, stop := c.clock.Tick(c.every)
	defer stop()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var soon postponed
	for {
		before := c.seq
		select {
		case now := <-tick:
			if now.Sub(c.last) >= min(2*c.took, slowestPace) {
				c.checkpoint(ctx, nil, false)
			}
			c.checkOutbox()
			c.reportMemory()
		case <-c.urgent:
			if wait := UrgentAfter - c.clock.Now().Sub(c.last); wait > 0 {
				soon.set(c.clock, wait)
				continue
			}
			c.checkpoint(ctx, nil, false)
		case <-soon.due:
			soon.cancel()
			c.checkpoint(ctx, nil, false)
		case <-c.pressed:
			if c.behind || c.budget.Pressed() {
				c.checkpoint(ctx, nil, false)
			}
		case done := <-c.requests:
			done <- c.checkpoint(ctx, nil, true)
		case r := <-c.stopping:
			soon.cancel()
			err := c.checkpoint(r.ctx, r.until, true)
			for err == nil && c.behind && r.until != nil {
				err = c.checkpoint(r.ctx, r.until, true)
			}
			r.done <- err
			return
		}
		if c.seq != before {
			soon.cancel() // the match was in a queue before it was urgent, so this checkpoint has it
		}
	}
}

// postponed is an urgent checkpoint that waits until UrgentAfter has passed since the last one. The zero value waits for
// nothing.
type postponed struct {
	due  <-chan time.Time
	stop func()
}

// set makes the checkpoint due after d, unless it is due sooner.
func (p *postponed) set(c clock.Clock, d time.Duration) {
	if p.due == nil {
		p.due, p.stop = c.Tick(d)
	}
}

// cancel forgets the checkpoint.
func (p *postponed) cancel() {
	if p.due != nil {
		p.stop()
		*p = postponed{}
	}
}

// urge asks for a checkpoint soon. It never blocks and may be called from any goroutine.
func (c *checkpointer) urge() {
	select {
	case c.urgent <- struct{}{}:
	default:
	}
}

// press asks for a checkpoint at once, to free memory. It never blocks and may be called from any goroutine.
func (c *checkpointer) press() {
	select {
	case c.pressed <- struct{}{}:
	default:
	}
}

// reportMemory sets the gauges of memory and logs when memory begins or ceases to hold reading back.
func (c *checkpointer) reportMemory() {
	c.metrics.memory(c.budget)
	pressed, changed := c.budget.Pressure()
	switch {
	case changed && pressed:
		c.log.Warn("memory budget used up; reading waits for checkpoints, and cells are paged out", "memory_mib", c.budget.Limit()>>20)
	case changed:
		c.log.Info("memory budget no longer holds reading back", "memory_mib", c.budget.Limit()>>20)
	}
}

// now makes a checkpoint and returns when it is durable. It may be called from any goroutine.
func (c *checkpointer) now(ctx context.Context) error {
	done := make(chan error, 1)
	select {
	case c.requests <- done:
	case <-c.stopped:
		return ErrStopped
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// stop makes the last checkpoint and ends run.
func (c *checkpointer) stop(ctx context.Context, until *schema.Instant) error {
	r := stopRequest{ctx: ctx, until: until, done: make(chan error, 1)}
	c.stopping <- r
	err := <-r.done
	<-c.stopped
	return err
}

// checkpoint makes one checkpoint. Without force it does nothing if nothing has moved.
func (c *checkpointer) checkpoint(ctx context.Context, until *schema.Instant, force bool) error {
	if c.abandoned != nil {
		return c.abandoned
	}
	start := c.clock.Now()
	c.last = start
	c.observe(start)
	reply := make(chan shardPart, len(c.shards))
	state, dead, moved := c.snapshot(start, until, force, reply)
	if !moved {
		return nil
	}
	cp := &store.Checkpoint{Seq: c.seq + 1, Dead: dead}
	newest, size := c.collect(cp, state, reply)
	cp.Rows = append(cp.Rows, state.archive...)
	size += int64(partsLen(state.archive)) // counted since the lanes kept them
	defer c.budget.Add(budget.Checkpoint, -size)
	if c.store != nil {
		cp.Outbox = append(cp.Outbox, c.observer.findings.take()...)
		c.responses.take(cp)
		cp.State = state.encode()
		cp.Drop = c.takeFolded()
		c.dropDeltas(cp)
		c.addGuides(cp.Outbox)
		c.closeTally(cp, state.barrier.rowing)
		if err := c.commit(ctx, cp); err != nil {
			return err
		}
		c.responses.saved()
	}
	c.seq++
	if len(newest) > 0 {
		c.pending = append(c.pending, pendingItems{c.seq, newest})
	}
	c.publish(ctx, cp, state)
	if len(cp.Rows) > 0 {
		c.inventory.committed()
	}
	c.mu.Lock()
	end := c.clock.Now()
	c.took = end.Sub(start)
	c.countWarming()
	c.mu.Unlock()
	c.metrics.checkpointed(end, c.took, cp.Size)
	if c.trace != nil {
		c.trace(connectors.Span{Name: connectors.SpanCheckpoint, Start: start, Took: c.took, Size: int64(cp.Size)})
	}
	c.reportMemory()
	if c.behind {
		c.press()
	}
	return nil
}

// addGuides adds the guides to the findings of a checkpoint, which have a revision that nobody has seen yet.
func (c *checkpointer) addGuides(entries []connectors.Entry) {
	if c.guide == nil {
		return
	}
	for _, en := range entries {
		if en.Finding != nil {
			en.Finding.Guide = c.guide(en.Finding)
		}
	}
}

// snapshot pauses the lanes for a moment. It returns positions, watermarks and dead letters of one instant, and puts a
// barrier into every shard's queue at that instant. moved is false if there is nothing to write.
func (c *checkpointer) snapshot(
	now time.Time, until *schema.Instant, force bool, reply chan<- shardPart,
) (state *engineState, dead []store.DeadLetter, moved bool) {
	c.lanes.mu.Lock()
	defer c.lanes.mu.Unlock()
	at := schema.InstantOf(now)
	moved = force || c.behind || c.observer != nil && len(c.observer.findings.changes) > 0 || c.budget.Pressed() || c.retired.isClosing() || c.responses.dirty()
	for _, l := range c.lanes.all {
		if silent := l.silentUntil(now); l.idle(now) && silent.Sub(idleStep) >= l.progress.floor {
			l.progress.floor = silent
			moved = true
		}
		if latest := latestOf([]progress{l.progress}); l.lost && l.records > l.lostAt && latest != never {
			l.lost = latest == l.lostLatest // after a gap, the quantile may need some more records to follow
			c.warm(latest)
		}
		moved = moved || l.known && l.next != c.positions[l.partition]
		for i := range l.dead {
			l.dead[i].Time = at
		}
		moved = moved || len(l.dead) > 0
	}
	if !moved {
		return nil, nil, false
	}
	for _, l := range c.lanes.all {
		dead = append(dead, l.dead...)
		l.dead = nil
	}
	c.raise(until)
	if c.tallied != nil {
		c.tallied.counts = c.lanes.ledger.Take()
	}
	b := &barrier{
		now: at, watermark: slices.Clone(c.watermark), warming: c.warming, all: force, reply: reply, inventory: c.inventory.watermark, rowing: c.inventory.rowing(now, force),
	}
	for _, s := range c.shards {
		s.in <- message{barrier: b}
	}
	state = c.state()
	state.barrier = b
	state.archive = c.takeArchive()
	return state, dead, true
}

// collect puts the parts of all shards into the checkpoint, level by level, and records how far the rules' cells have
// moved. It returns the highest time of new pending items, by rule, and the estimated memory of the checkpoint.
func (c *checkpointer) collect(cp *store.Checkpoint, state *engineState, reply <-chan shardPart) (newest map[int]schema.Instant, size int64) {
	newest = map[int]schema.Instant{}
	c.reached, c.behind = slices.Clone(c.watermark), false
	for i := range cp.Dead {
		size += deadSize(&cp.Dead[i])
	}
	c.budget.Add(budget.Checkpoint, size)
	c.budget.Add(budget.Dead, -size)
	var triggers []item.Item
	for level := range c.rules.levels {
		if level > 0 {
			c.raiseLevel(level)
			c.sendTriggers(level, state.barrier, triggers)
			triggers = slices.DeleteFunc(triggers, func(it item.Item) bool { return c.rules.level(it.Rule) == level })
		}
		for range c.shards {
			part := <-reply
			size += part.size
			c.collectPart(level, &part, cp, newest)
			triggers = append(triggers, part.triggers...)
		}
	}
	for rule, low := range c.reached {
		c.ahead[rule] = c.ahead[rule].next(c.byShard[rule], low)
	}
	state.setReached(c.reached, c.ahead)
	return newest, size
}

// collectPart puts the part of one shard for a level into the checkpoint.
func (c *checkpointer) collectPart(level int, part *shardPart, cp *store.Checkpoint, newest map[int]schema.Instant) {
	for rule, t := range part.reached {
		if c.rules.level(rule) == level {
			c.reached[rule] = min(c.reached[rule], t)
			c.byShard[rule][part.shard] = int64(t)
			c.behind = c.behind || t < c.watermark[rule]
		}
	}
	c.behind = c.behind || part.deferred
	cp.Cells = append(cp.Cells, part.cells...)
	cp.Timers = append(cp.Timers, part.timers...)
	cp.Paged = append(cp.Paged, part.paged...)
	cp.Items = append(cp.Items, part.items...)
	cp.Outbox = append(cp.Outbox, part.entries...)
	c.responses.changed(part.entries)
	cp.Audit = append(cp.Audit, part.audit...)
	if level == 0 {
		c.collectInventory(&part.inventory, cp)
	}
	c.collectTally(part)
	for rule, t := range part.newest {
		if old, ok := newest[rule]; !ok || t > old {
			newest[rule] = t
		}
	}
}

// raiseLevel brings the watermarks of the rules of a level above 0 up to date: each is that of the slowest of the rules
// that feed it.
func (c *checkpointer) raiseLevel(level int) {
	for rule := range c.watermark {
		if c.rules.level(rule) != level || len(c.rules.feeding[rule]) == 0 {
			continue
		}
		low := schema.MaxInstant
		for _, f := range c.rules.feeding[rule] {
			low = min(low, c.reached[f])
		}
		c.watermark[rule] = max(c.watermark[rule], low)
		c.reached[rule] = c.watermark[rule]
	}
}

// sendTriggers gives each shard its items of the rules of a level, and the barrier of the level.
func (c *checkpointer) sendTriggers(level int, below *barrier, triggers []item.Item) {
	b := *below
	b.level, b.watermark = level, slices.Clone(c.watermark)
	messages := make([]message, len(c.shards))
	for i := range triggers {
		if it := &triggers[i]; c.rules.level(it.Rule) == level {
			m := &messages[c.rules.shardOf(it, len(c.shards))]
			m.items = append(m.items, *it)
		}
	}
	for i, s := range c.shards {
		messages[i].barrier = &b
		s.in <- messages[i]
	}
}

// warm records that no rule has seen the events before t. A rule needs its whole window and the groups that had begun:
// without an open group, the same triggers start another group, which is another finding.
func (c *checkpointer) warm(t schema.Instant) {
	for rule, r := range c.rules.set.Rules {
		if c.rules.isSilent(rule) {
			continue // it has no items, and so no watermark
		}
		if m := r.Lookback() + r.GroupFor; m > 0 {
			c.warming[rule] = max(c.warming[rule], t.Add(m))
		}
	}
}

// countWarming counts the rules whose State does not know its whole window yet. mu is held.
func (c *checkpointer) countWarming() {
	c.warmRules, c.warmUntil = 0, 0
	for rule, until := range c.warming {
		if until != 0 && c.watermark[rule] < until {
			c.warmRules++
			c.warmUntil = max(c.warmUntil, until)
		}
	}
	c.metrics.warming(c.warmRules)
}

// raise brings each rule's watermark up to date: the minimum over all partitions that may carry one of its datasets. At
// the end of a replay it is the highest event time of the whole input (see latestOf), or until. lanes.mu is held.
func (c *checkpointer) raise(until *schema.Instant) {
	if until != nil {
		end := *until
		if end == 0 {
			end = never
		}
		end = max(end, latestOf(c.lanes.progress()))
		for rule := range c.watermark {
			if c.rules.level(rule) == 0 {
				c.watermark[rule] = max(c.watermark[rule], end)
			}
		}
		c.raiseInventory(&end)
		return
	}
	c.raiseInventory(nil)
	lows := c.lows()
	for rule := range c.watermark {
		if c.rules.level(rule) > 0 {
			continue // see raiseLevel
		}
		low, found := schema.Instant(0), false
		for in, high := range lows {
			if d := in.ruleDelay[rule]; d >= 0 {
				if w := high.Sub(d); !found || w < low {
					low, found = w, true
				}
			}
		}
		if found {
			c.watermark[rule] = max(c.watermark[rule], low)
		}
	}
}

// lows returns the lowest high of each input that still counts. lanes.mu is held.
func (c *checkpointer) lows() map[*input]schema.Instant {
	lows := make(map[*input]schema.Instant, len(c.inputs))
	for _, in := range c.inputs {
		if !in.announced {
			lows[in] = never
		}
	}
	for _, l := range c.lanes.all {
		if l.final || l.deleted() {
			continue
		}
		if low, ok := lows[l.in]; !ok || l.progress.high() < low {
			lows[l.in] = l.progress.high()
		}
	}
	return lows
}

// takeFolded forgets the checkpoints whose pending items have all moved into base, and returns their numbers.
func (c *checkpointer) takeFolded() (folded []uint64) {
	kept := c.pending[:0]
	for _, p := range c.pending {
		all := true
		for rule, t := range p.newest {
			all = all && t < c.reached[rule]
		}
		if all {
			folded = append(folded, p.seq)
		} else {
			kept = append(kept, p)
		}
	}
	c.pending = kept
	return folded
}

// publish passes on the durable results: findings to the deliverer, positions to the sources.
func (c *checkpointer) publish(ctx context.Context, cp *store.Checkpoint, state *engineState) {
	for _, en := range cp.Outbox {
		if en.Finding != nil {
			c.metrics.finding(en.Finding)
		}
	}
	if len(cp.Outbox) > 0 {
		c.committed(cp.Outbox)
	}
	moved := map[string]map[connectors.Partition]int64{} // by source
	for _, p := range state.Partitions {
		key := p.key()
		c.metrics.watermark(key, p.watermark)
		if p.Known && c.positions[key] != p.Next {
			c.positions[key] = p.Next
			if moved[p.Source] == nil {
				moved[p.Source] = map[connectors.Partition]int64{}
			}
			moved[p.Source][key] = p.Next
		}
	}
	for rule, w := range c.reached {
		c.metrics.ruleWatermark(c.rules.id(rule), w)
	}
	if c.store == nil {
		return
	}
	for name, positions := range moved {
		if in := c.inputs[name]; in != nil {
			if err := in.Source.Commit(ctx, positions); err != nil {
				c.log.Debug("positions not committed at the source; the checkpoint holds them", "source", name, "error", err)
			}
		}
	}
}
