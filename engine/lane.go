package engine

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/engine/item"
	"github.com/aidr-engine/aidr/engine/store"
	"github.com/aidr-engine/aidr/rules"
)

// lane is one partition: its batches are decoded by any worker and routed here in order, one after another, because
// whether an event is late depends on what stood before it in its partition and on nothing else.
type lane struct {
	e     *Engine
	p     connectors.Partition
	in    *input
	queue chan *job

	// Everything below is written by the lane's goroutine under cutMu (read), and read by a cut under cutMu (write).
	progress  progress
	next      int64 // position after the last batch that was routed
	known     bool  // next is a position: something was read, or a checkpoint holds one
	records   int64 // read since the start
	highWater int64
	atEnd     bool      // read to its end, as a live connection said
	final     bool      // nothing more will come
	revoked   bool      // somebody else's for now
	lost      bool      // what was read of it before is in no State
	heard     time.Time // wall clock of its last record, or of its assignment
	dead      []store.DeadLetter

	late []bool // by mark of the batch that is routed, scratch
}

// Assigned implements connectors.Reader.
func (e *Engine) Assigned(p connectors.Partition) (from int64, ok bool) {
	in := e.inputs[p.Source]
	if in == nil {
		panic(fmt.Sprintf("BUG: source %q is not an input of the engine", p.Source))
	}
	e.cutMu.Lock()
	defer e.cutMu.Unlock()
	l := e.lanes[p]
	if l == nil {
		l = e.addLane(p, in)
		if e.cuts.restored || in.anyRead(e) {
			// It appeared later: it starts at the others' watermark, an input like a position.
			l.progress.floor = e.lowest(in, l)
		}
	}
	l.revoked, l.atEnd, l.heard = false, false, e.o.Clock.Now()
	in.standby, in.announced = "", true
	e.o.Metrics.assigned(p)
	e.gate.move(p, l.front(), true)
	return l.next, l.known
}

// addLane makes a lane and starts its goroutine. cutMu is held.
func (e *Engine) addLane(p connectors.Partition, in *input) *lane {
	l := &lane{e: e, p: p, in: in, queue: make(chan *job, laneQueue), progress: newProgress(), highWater: -1}
	l.heard = e.o.Clock.Now()
	e.lanes[p] = l
	e.laneGroup.Add(1)
	go func() {
		defer e.laneGroup.Done()
		l.run()
	}()
	return l
}

// StateLost implements connectors.StateLost: what is found from here on does not know what was read before.
func (e *Engine) StateLost(p connectors.Partition) {
	e.cutMu.Lock()
	defer e.cutMu.Unlock()
	if l := e.lanes[p]; l != nil {
		l.lost = true
	}
}

// anyRead says whether something was read from the input. cutMu is held.
func (in *input) anyRead(e *Engine) bool {
	for _, l := range e.lanes {
		if l.in == in && l.records > 0 {
			return true
		}
	}
	return false
}

// lowest returns the lowest high of the input's other lanes that still count. cutMu is held.
func (e *Engine) lowest(in *input, but *lane) int64 {
	low := int64(never)
	first := true
	for _, l := range e.lanes {
		if l.in == in && l != but && !l.final {
			if h := l.progress.high(); first || h < low {
				low, first = h, false
			}
		}
	}
	return low
}

// Read implements connectors.Reader: it takes the batch, and blocks while the engine is full.
func (e *Engine) Read(ctx context.Context, b *connectors.Batch) error {
	e.cutMu.RLock()
	l := e.lanes[b.Partition]
	e.cutMu.RUnlock()
	if l == nil {
		return fmt.Errorf("partition %v was not announced", b.Partition)
	}
	if err := e.gate.pass(ctx, b.Partition); err != nil {
		return err
	}
	if err := e.Err(); err != nil {
		return err
	}
	return e.submit(ctx, &job{lane: l, batch: b, done: make(chan struct{})})
}

// submit hands a job to a worker and to its lane. It waits where they have enough to do, which always passes: workers
// wait for nobody, lanes for shards, shards for nobody.
func (e *Engine) submit(ctx context.Context, j *job) error {
	e.intake.RLock()
	defer e.intake.RUnlock()
	if e.ended {
		return ErrStopped
	}
	switch {
	case j.batch == nil: // a mark in the lane
	case len(j.batch.Records) > 0:
		select {
		case e.jobs <- j:
		case <-ctx.Done():
			return ctx.Err()
		}
	default:
		j.result = e.newResult()
		close(j.done)
	}
	j.lane.queue <- j
	return nil
}

// Revoked implements connectors.Reader.
func (e *Engine) Revoked(ctx context.Context, p connectors.Partition) error {
	e.cutMu.RLock()
	l := e.lanes[p]
	e.cutMu.RUnlock()
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
	e.cutMu.Lock()
	l.revoked = true
	e.gate.move(p, never, false)
	e.cutMu.Unlock()
	e.o.Metrics.revoked(p)
	return e.Cut(ctx)
}

// Standby implements connectors.Reader.
func (e *Engine) Standby(source, why string) {
	e.cutMu.Lock()
	defer e.cutMu.Unlock()
	if in := e.inputs[source]; in != nil {
		in.standby = why
	}
}

func (l *lane) run() {
	for j := range l.queue {
		if j.batch == nil {
			close(j.done)
			continue
		}
		<-j.done
		l.e.cutMu.RLock()
		if j.again != nil {
			l.routeAgain(j)
		} else {
			l.route(j.batch, j.result)
		}
		l.e.gate.move(l.p, l.front(), !l.atEnd && !l.final && !l.revoked)
		l.e.cutMu.RUnlock()
		j.result.reset()
		l.e.results.Put(j.result)
	}
}

// front is what alignment compares: record time, or event time where the source has no record times.
func (l *lane) front() int64 {
	if l.progress.record != never {
		return l.progress.record
	}
	return l.progress.event
}

// routeAgain routes a dead letter that was handed in again: position, watermark and dead letters stay as they are.
func (l *lane) routeAgain(j *job) {
	late := make([]bool, len(j.result.marks))
	for i, k := range j.result.marks {
		if why := l.judge(k, j.result.datasets, l.progress.high(), 0); why != "" {
			l.e.o.Metrics.late(j.result.datasets[k.dataset], why)
			late[i] = true
		}
	}
	l.dispatch(j.result, late)
	j.again <- len(late)
}

// route decides for each event whether it is late and sends its items to their shards.
func (l *lane) route(b *connectors.Batch, r *result) {
	m := l.e.o.Metrics
	late := l.late[:0] // by mark
	next := 0
	for i := range b.Records {
		before := l.progress.high()
		event := l.progress.event
		for ; next < len(r.marks) && int(r.marks[next].record) == i; next++ {
			why := l.judge(r.marks[next], r.datasets, before, b.Records[i].Time)
			if why != "" {
				m.late(r.datasets[r.marks[next].dataset], why)
			}
			if why != "future" {
				event = max(event, r.marks[next].time)
			}
			late = append(late, why != "")
		}
		l.progress.event = event
		if t := b.Records[i].Time; t != 0 {
			l.progress.record = max(l.progress.record, t)
		}
	}
	l.late = late
	l.dispatch(r, late)
	l.account(b, r)
}

// judge says why an event is late, "" where it is not. high is the partition's before the event's record.
func (l *lane) judge(k mark, datasets []string, high, recordTime int64) string {
	if recordTime != 0 && before(k.time, MaxSkew) > recordTime {
		return "future"
	}
	if high != never && k.time < before(high, l.in.delays.of(datasets[k.dataset])) {
		return "late"
	}
	return ""
}

// dispatch sends the items to their shards in sub-batches. Late items of a rule without a stateful clause are findings of
// their own; of the others they are counted.
func (l *lane) dispatch(r *result, late []bool) {
	anyLate, urgent := slices.Contains(late, true), false
	for i, s := range l.e.shards {
		msg := message{items: r.shards[i].items}
		if anyLate {
			msg.items, msg.late = l.part(r, i, late)
		}
		for k := range msg.items {
			urgent = urgent || l.e.critical[msg.items[k].Rule]
		}
		urgent = urgent || len(msg.late) > 0 && slices.ContainsFunc(msg.late, func(it item.Item) bool { return l.e.critical[it.Rule] })
		if len(msg.items) > 0 || len(msg.late) > 0 {
			s.in <- msg
		}
	}
	if urgent {
		l.e.cuts.urge()
	}
}

// part takes the late ones out of a shard's items.
func (l *lane) part(r *result, shard int, late []bool) (inTime, alone []item.Item) {
	o := &r.shards[shard]
	inTime = o.items[:0]
	for i := range o.items {
		it := &o.items[i]
		rule := l.e.o.Set.Rules[it.Rule]
		switch {
		case !late[o.marks[i]]:
			inTime = append(inTime, *it)
		case rule.Kind == rules.KindNone:
			alone = append(alone, *it)
		default:
			l.e.o.Metrics.ruleLate(rule.ID, r.datasets[r.marks[o.marks[i]].dataset])
		}
	}
	clear(o.items[len(inTime):])
	return inTime, alone
}

// account moves the position and counts.
func (l *lane) account(b *connectors.Batch, r *result) {
	m := l.e.o.Metrics
	l.next, l.known = b.Next, true
	l.atEnd, l.final = b.AtEnd, l.final || b.Final
	if b.HighWater >= 0 {
		l.highWater = b.HighWater
	}
	if n := len(b.Records); n > 0 {
		l.records += int64(n)
		l.heard = l.e.o.Clock.Now()
		m.read(l.p, n, r.tombstones)
	}
	if l.highWater >= 0 {
		m.lag(l.p, max(0, l.highWater-l.next))
	}
	counts := make([]int, len(r.datasets))
	for _, k := range r.marks {
		counts[k.dataset]++
	}
	for i, n := range counts {
		m.events(r.datasets[i], n)
	}
	for k, n := range r.fieldErrs {
		m.fieldErrors(k[0], k[1], n)
	}
	for dataset, n := range r.skipped {
		m.skipped(dataset, n)
	}
	for rule, n := range r.missing {
		m.missingKey(l.e.o.Set.Rules[rule].ID, n)
	}
	for _, d := range r.dead {
		m.Dead(d.Kind, d.Reason)
	}
	l.dead = append(l.dead, r.dead...)
}
