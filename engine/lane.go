package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/engine/budget"
	"github.com/aidr-engine/aidr/engine/clock"
	"github.com/aidr-engine/aidr/engine/gate"
	"github.com/aidr-engine/aidr/engine/inventory"
	"github.com/aidr-engine/aidr/engine/item"
	"github.com/aidr-engine/aidr/engine/store"
	"github.com/aidr-engine/aidr/engine/tally"
	"github.com/aidr-engine/aidr/rules"
	"github.com/aidr-engine/aidr/schema"
)

// input is the engine's side of one source.
type input struct {
	Input
	delays    delays
	ruleDelay []time.Duration // by rule; -1: the source never carries the rule's datasets
	announced bool            // the source has announced its partitions; guarded by lanes.mu
	standby   string          // why the source only waits; guarded by lanes.mu
}

func newInput(in Input, set *rules.Set) *input {
	i := &input{Input: in, delays: delays{own: in.Delays, datasets: in.Datasets, internal: in.Internal}}
	for _, r := range set.Rules {
		d, ok := i.delays.forRule(r)
		if !ok {
			d = -1
		}
		i.ruleDelay = append(i.ruleDelay, d)
	}
	return i
}

// lanes holds all lanes and their shared parts.
type lanes struct {
	rules   *ruleSet
	shards  []*shard
	gate    *gate.Gate
	budget  *budget.Budget
	clock   clock.Clock
	metrics *Metrics
	urge    func() // asks for a checkpoint soon
	routed  func(*Routed)
	results resultPool
	ledger  tally.Ledger

	// mu guards all and the state of each lane. A lane holds it for reading while it routes one batch, a checkpoint
	// for writing while it notes positions and puts its barriers: see "A checkpoint is one instant" in doc.go.
	mu      sync.RWMutex
	all     map[connectors.Partition]*lane
	running sync.WaitGroup
}

func newLanes(e *Engine) *lanes {
	return &lanes{
		rules: e.rules, shards: e.shards, gate: e.gate, budget: e.budget, clock: e.opts.Clock, metrics: e.opts.Metrics,
		routed: e.opts.Routed,
		results: resultPool{
			shards: len(e.shards), inventory: func() *inventory.Batch { return newInventoryBatch(e.opts) },
			tally: func() *tally.Batch { return newTallyBatch(e.opts, len(e.rules.set.Rules)) },
		},
		all: map[connectors.Partition]*lane{},
	}
}

// lane is one partition. Any worker decodes its batches, and the lane routes them in order, one after another, because
// whether an event is late depends on the records before it in its partition, and on nothing else.
type lane struct {
	*lanes
	partition connectors.Partition
	in        *input
	queue     chan *job

	// Everything below is written by the lane's goroutine while it holds lanes.mu for reading, and read by a
	// checkpoint that holds it for writing.
	progress  progress
	next      int64 // position after the last batch that was routed
	known     bool  // next is a position: something was read, or a checkpoint holds one
	records   int64 // number read since the start
	highWater int64
	atEnd     bool      // read to its end, as a live connection reported
	final     bool      // nothing more will come
	revoked   bool      // another process reads it for now
	lost      bool      // the State of earlier records is lost, and no event was read since
	lostAt    int64     // records when it was lost
	heard     time.Time // wall clock of its last record, or of its assignment
	seen      time.Time // until when atEnd is known; zero: until now
	// lastRecord is the wall clock of its last record, also of one before a restart; zero if there was none.
	lastRecord time.Time
	dead       []store.DeadLetter
	archive    [][]byte // rows of archived events

	lostLatest schema.Instant // latest event time when the State was lost

	late []bool // by event of the batch that is routed, scratch
}

// get returns the lane of a partition, nil if it was not announced.
func (ls *lanes) get(p connectors.Partition) *lane {
	ls.mu.RLock()
	defer ls.mu.RUnlock()
	return ls.all[p]
}

// add makes a lane and starts its goroutine. mu is held.
func (ls *lanes) add(p connectors.Partition, in *input) *lane {
	l := &lane{lanes: ls, partition: p, in: in, queue: make(chan *job, laneQueue), progress: newProgress(), highWater: -1}
	l.heard = ls.clock.Now()
	ls.all[p] = l
	ls.running.Go(l.run)
	return l
}

// end closes all queues and waits until everything in them is routed. Nothing may be submitted from now on.
func (ls *lanes) end() {
	ls.mu.RLock()
	for _, l := range ls.all {
		close(l.queue)
	}
	ls.mu.RUnlock()
	ls.running.Wait()
}

// progress returns how far each partition has come. mu is held.
func (ls *lanes) progress() []progress {
	out := make([]progress, 0, len(ls.all))
	for _, l := range ls.all {
		out = append(out, l.progress)
	}
	return out
}

// anyRead reports whether something was read from the input. mu is held.
func (ls *lanes) anyRead(in *input) bool {
	for _, l := range ls.all {
		if l.in == in && l.records > 0 {
			return true
		}
	}
	return false
}

// lowest returns the lowest high of the input's lanes other than except and than those that are final. mu is held.
func (ls *lanes) lowest(in *input, except *lane) schema.Instant {
	low, first := never, true
	for _, l := range ls.all {
		if l.in == in && l != except && !l.final {
			if h := l.progress.high(); first || h < low {
				low, first = h, false
			}
		}
	}
	return low
}

// Assigned implements connectors.Reader.
func (e *Engine) Assigned(p connectors.Partition) (from int64, ok bool) {
	in := e.inputs[p.Source]
	if in == nil {
		panic(fmt.Sprintf("BUG: source %q is not an input of the engine", p.Source))
	}
	e.lanes.mu.Lock()
	defer e.lanes.mu.Unlock()
	l := e.lanes.all[p]
	if l == nil {
		l = e.lanes.add(p, in)
		if e.checkpoints.restored || e.lanes.anyRead(in) {
			// The partition appeared later. It starts at the watermark of the others, which is an input like a position.
			l.progress.floor = e.lanes.lowest(in, l)
		}
	}
	l.revoked, l.atEnd, l.heard = false, false, e.opts.Clock.Now()
	in.standby, in.announced = "", true
	e.opts.Metrics.assigned(p)
	e.gate.Move(p, l.progress.front(), true)
	return l.next, l.known
}

// StateLost implements connectors.StateLost: findings from here on lack the events that were read before. The next event
// that is read determines until when they carry warming_until; checkpoints record the loss until then.
func (e *Engine) StateLost(p connectors.Partition) {
	e.lanes.mu.Lock()
	defer e.lanes.mu.Unlock()
	if l := e.lanes.all[p]; l != nil {
		l.lost, l.lostAt, l.lostLatest = true, l.records, latestOf([]progress{l.progress})
	}
}

// Read implements connectors.Reader: it takes over the batch, and blocks while the engine is full.
func (e *Engine) Read(ctx context.Context, b *connectors.Batch) error {
	l := e.lanes.get(b.Partition)
	if l == nil {
		return fmt.Errorf("partition %v was not announced", b.Partition)
	}
	if err := e.gate.Pass(ctx, b.Partition); errors.Is(err, gate.ErrEnded) {
		return ErrStopped
	} else if err != nil {
		return err
	}
	if err := e.budget.AwaitRead(ctx); err != nil {
		return err
	}
	if err := e.Err(); err != nil {
		return err
	}
	return e.submit(ctx, &job{lane: l, batch: b, done: make(chan struct{})})
}

// submit hands a job to a worker and to its lane. It waits while both are busy. The wait always ends, because workers
// and shards wait for no other stage, and lanes only for shards.
func (e *Engine) submit(ctx context.Context, j *job) error {
	e.intake.RLock()
	defer e.intake.RUnlock()
	if e.ended {
		return ErrStopped
	}
	j.take(e.budget, batchSize(j.batch))
	switch {
	case j.batch == nil: // a fence
	case len(j.batch.Records) > 0:
		select {
		case e.jobs <- j:
		case <-ctx.Done():
			e.budget.Add(budget.Lanes, -j.size)
			return ctx.Err()
		}
	default:
		j.result = e.lanes.results.get()
		close(j.done)
	}
	j.lane.queue <- j
	return nil
}

// Revoked implements connectors.Reader.
func (e *Engine) Revoked(ctx context.Context, p connectors.Partition) error {
	l := e.lanes.get(p)
	if l == nil {
		return nil
	}
	j := &job{lane: l, done: make(chan struct{})}
	if err := e.submit(ctx, j); err != nil {
		return err
	}
	select {
	case <-j.done: // the lane has routed everything before it
	case <-ctx.Done():
		return ctx.Err()
	}
	e.lanes.mu.Lock()
	l.revoked = true
	e.gate.Move(p, never, false)
	e.lanes.mu.Unlock()
	e.opts.Metrics.revoked(p)
	err := e.Checkpoint(ctx)
	if err == nil || errors.Is(err, ErrStopped) {
		return err
	}
	// A state directory that cannot be written is no reason to end: the position at the source does not move, so the next
	// reader of the partition reads the same records again.
	e.opts.Log.Warn("partition given up before its last records are durable; its next reader reads them again",
		"source", p.Source, "topic", p.Topic, "partition", p.Number, "error", err)
	return nil
}

// Standby implements connectors.Reader.
func (e *Engine) Standby(source, why string) {
	e.lanes.mu.Lock()
	defer e.lanes.mu.Unlock()
	if in := e.inputs[source]; in != nil {
		in.standby = why
	}
}

// run routes the lane's jobs until the queue is closed.
func (l *lane) run() {
	for j := range l.queue {
		if j.batch == nil {
			close(j.done)
			continue
		}
		<-j.done
		l.budget.AwaitRoute()
		l.mu.RLock()
		if j.replayed != nil {
			l.routeReplayed(j)
		} else {
			l.route(j.batch, j.result)
		}
		l.gate.Move(l.partition, l.progress.front(), !l.atEnd && !l.final && !l.revoked)
		l.mu.RUnlock()
		l.results.put(j.result)
		l.budget.Add(budget.Lanes, -j.size)
	}
}

// routeReplayed routes a dead letter that was handed in again: position, watermark and dead letters stay as they are.
func (l *lane) routeReplayed(j *job) {
	late := make([]bool, len(j.result.events))
	for i, ref := range j.result.events {
		if why := l.judge(ref, j.result.datasets, l.progress.high(), 0); why != onTime {
			l.metrics.late(j.result.datasets[ref.dataset], why)
			late[i] = true
		}
	}
	l.tallyBatch(j.result, late)
	l.keepArchive(j.result)
	l.dispatch(j.result, late)
	j.replayed <- len(late)
}

// route decides for each event whether it is late and sends its items to their shards. An event meets the watermark
// that its partition had before its record, so that a record cannot make its own events late.
func (l *lane) route(b *connectors.Batch, r *result) {
	late := l.late[:0] // by event
	n := 0
	for i := range b.Records {
		high, event, own := l.progress.high(), never, false
		for ; n < len(r.events) && int(r.events[n].record) == i; n++ {
			ref := r.events[n]
			why := l.judge(ref, r.datasets, high, b.Records[i].Time)
			if why != onTime {
				l.metrics.late(r.datasets[ref.dataset], why)
			}
			if why != futureDated && (ref.own || !own) {
				if ref.own != own {
					event, own = never, true // an own time counts more than a borrowed one
				}
				event = max(event, ref.time)
			}
			late = append(late, why != onTime)
		}
		l.progress.advance(b.Records[i].Time, event, own)
	}
	l.late = late
	l.tallyBatch(r, late)
	l.keepArchive(r)
	l.dispatch(r, late)
	l.account(b, r)
	l.report(b, r, late)
}

// lateness is the reason why an event is treated as late; it is the value of the metric's label.
type lateness string

const (
	onTime         lateness = ""
	belowWatermark lateness = "late"   // below the partition's watermark
	futureDated    lateness = "future" // more than MaxSkew past its record's timestamp
)

// judge reports whether and why an event is late. high is the partition's before the event's record, recordTime is 0 if
// the record has no timestamp.
func (l *lane) judge(ref eventRef, datasets []string, high, recordTime schema.Instant) lateness {
	if recordTime != 0 && ref.time.Sub(MaxSkew) > recordTime {
		return futureDated
	}
	if high != never && ref.time < high.Sub(l.in.delays.of(datasets[ref.dataset])) {
		return belowWatermark
	}
	return onTime
}

// dispatch sends the items to their shards in sub-batches; isLate is indexed by event. A late item of a rule without a
// stateful clause becomes a finding of its own, late items of the other rules are counted.
func (l *lane) dispatch(r *result, isLate []bool) {
	anyLate, urgent := slices.Contains(isLate, true), false
	critical := func(it item.Item) bool { return l.rules.critical[it.Rule] }
	if anyLate && r.inventory != nil {
		r.deltas = r.inventory.Seal(len(l.shards), isLate)
	}
	for i, s := range l.shards {
		msg := message{items: r.shards[i].items}
		if r.deltas != nil {
			msg.deltas = r.deltas[i]
		}
		if anyLate {
			msg.items, msg.late = l.separate(r, i, isLate)
		}
		for k := range msg.items {
			urgent = urgent || l.rules.critical[msg.items[k].Rule]
		}
		urgent = urgent || slices.ContainsFunc(msg.late, critical)
		if len(msg.items) > 0 || len(msg.late) > 0 || msg.deltas != "" {
			msg.size = int64(len(msg.items)+len(msg.late))*s.perItem.Load() + int64(len(msg.deltas))
			l.budget.Add(budget.Queued, msg.size)
			s.in <- msg
		}
	}
	if urgent {
		l.urge()
	}
}

// separate parts a shard's items into those in time and the late ones that become findings of their own.
func (l *lane) separate(r *result, shard int, isLate []bool) (inTime, alone []item.Item) {
	o := &r.shards[shard]
	inTime = o.items[:0]
	for i := range o.items {
		it := &o.items[i]
		rule := l.rules.set.Rules[it.Rule]
		switch {
		case !isLate[o.events[i]]:
			inTime = append(inTime, *it)
		case rule.Kind == rules.KindNone:
			alone = append(alone, *it)
		default:
			l.metrics.ruleLate(rule.ID, r.datasets[r.events[o.events[i]].dataset])
		}
	}
	clear(o.items[len(inTime):])
	return inTime, alone
}

// account moves the position and counts.
func (l *lane) account(b *connectors.Batch, r *result) {
	l.next, l.known = b.Next, true
	l.atEnd, l.seen, l.final = b.AtEnd, b.Seen, l.final || b.Final
	if b.HighWater >= 0 {
		l.highWater = b.HighWater
	}
	if n := len(b.Records); n > 0 {
		l.records += int64(n)
		l.heard = l.clock.Now()
		l.lastRecord = l.heard
		l.metrics.read(l.partition, n, r.tombstones)
	}
	if l.highWater >= 0 {
		l.metrics.lag(l.partition, max(0, l.highWater-l.next))
	}
	l.metrics.decoded(l.rules, r)
	for i := range r.dead {
		l.budget.Add(budget.Dead, deadSize(&r.dead[i]))
	}
	l.dead = append(l.dead, r.dead...)
}

// idle reports whether the partition is read to its end on a live connection and has been silent for long.
func (l *lane) idle(now time.Time) bool {
	return l.atEnd && !l.final && !l.revoked && now.Sub(l.heard) >= l.in.Idle
}

// silentUntil returns the instant until which an idle partition is known to have no further records. While an answer of a
// broker is on its way, records may come that the engine learns of much later.
func (l *lane) silentUntil(now time.Time) schema.Instant {
	if l.seen.IsZero() || now.Before(l.seen) {
		return schema.InstantOf(now)
	}
	return schema.InstantOf(l.seen)
}

// deleted reports whether the partition was revoked and did not come back although others of its source did. mu is held.
func (l *lane) deleted() bool {
	if !l.revoked || l.clock.Now().Sub(l.heard) < l.in.Idle {
		return false
	}
	for _, o := range l.all {
		if o.in == l.in && !o.revoked {
			return true
		}
	}
	return false
}

// watermark returns the partition's watermark for its slowest dataset, for people to look at.
func (l *lane) watermark() schema.Instant { return l.progress.high().Sub(l.in.delays.longest()) }
