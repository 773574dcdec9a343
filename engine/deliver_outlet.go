package engine

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/engine/store"
	"github.com/aidr-engine/aidr/schema"
)

const (
	// minPause and maxPause bound the pause after a Write that failed as a whole; it doubles from the one to the other.
	minPause = time.Second
	maxPause = 30 * time.Second
	// maxRetryAfter bounds what a sink may ask for, so that no entry waits for ever.
	maxRetryAfter = 7 * 24 * time.Hour
)

// outlet delivers to one sink. Its goroutine owns everything but what mu guards.
type outlet struct {
	d    *Deliverer
	sink connectors.Sink
	name string

	// What the sink says about itself.
	most, bytes int
	linger      time.Duration
	blocks      bool // intended blocks are made durable before they are written
	kind        string
	cap         int64 // 0: none
	every       time.Duration
	wants       func(connectors.Entry) bool

	// How far it has come, as in the store.
	number, cursor, block uint64
	queue                 *retryQueue

	first   time.Time // when the entry at the cursor was first seen; zero: none
	updates updateTimes

	wake chan struct{}

	mu        sync.Mutex
	incoming  []store.Retry // requeued, not yet in queue
	state     string
	reason    string
	since     time.Time
	lastError string
	retries   int
	counts    deliveryCounts
}

// newOutlet asks the sink what it says about itself.
func newOutlet(d *Deliverer, s connectors.Sink) *outlet {
	o := &outlet{d: d, sink: s, name: s.Name(), wake: make(chan struct{}, 1), state: SinkOK, since: d.o.Clock.Now(),
		most: defaultBatch, bytes: defaultBatchBytes, kind: store.DeadDelivery, wants: func(connectors.Entry) bool { return true }}
	if b, ok := s.(batchSink); ok {
		o.most, o.bytes, o.linger = b.Batch()
		o.most, o.bytes = max(o.most, 1), max(o.bytes, 1)
	}
	if k, ok := s.(deadSink); ok {
		o.kind = k.DeadKind()
	}
	o.blocks = o.kind == store.DeadRow
	if o.kind == store.DeadDelivery {
		o.cap = DefaultEndpointCap
		if c, ok := s.(cappedSink); ok && c.OutboxCap() > 0 {
			o.cap = c.OutboxCap()
		}
	}
	if u, ok := s.(updateSink); ok {
		o.every = u.UpdateEvery()
	}
	if w, ok := s.(wantsSink); ok {
		o.wants = w.Wants
	}
	return o
}

// restore takes up where the store says the sink has come to.
func (o *outlet) restore() {
	k, _ := o.d.o.Store.Sink(o.name)
	o.number, o.cursor, o.block = k.Number, k.Cursor, k.Block
	o.queue = newRetryQueue(k.Retries)
	o.retries = o.queue.len()
	o.updates = newUpdateTimes(o.every, o.d.o.Clock.Now())
}

func (o *outlet) notify() {
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

// requeue makes a dead letter a retry.
func (o *outlet) requeue(letter uint64) error {
	_, r, err := o.d.o.Store.Requeue(letter)
	if err != nil {
		return err
	}
	o.mu.Lock()
	o.incoming = append(o.incoming, r)
	o.mu.Unlock()
	o.notify()
	return nil
}

// run delivers until it is drained or ctx ends.
func (o *outlet) run(ctx context.Context) {
	defer o.setState(SinkStopped, "")
	for failures := 0; ctx.Err() == nil; {
		o.takeIncoming()
		did, err := o.step(ctx)
		switch {
		case err != nil:
			if ctx.Err() != nil || o.drained() {
				return
			}
			failures++
			o.fail(err)
			o.pause(ctx, failures)
		case did:
			failures = 0
			o.setState(SinkOK, "")
		case o.drained():
			return
		default:
			o.wait(ctx)
		}
	}
}

// step does one thing, the most urgent one. did is false where there is nothing to do now.
func (o *outlet) step(ctx context.Context) (did bool, err error) {
	if err := o.keepCap(ctx); err != nil {
		return false, err
	}
	if o.block != 0 { // it may have been written before a crash: nothing comes before it
		return true, o.deliverBlock(ctx)
	}
	due := o.queue.ready(o.d.instant(), o.most)
	if len(due) > 0 {
		if err := o.deliverRetries(ctx, due); err != nil {
			return false, err
		}
	}
	if o.blockReady() {
		return true, o.deliverBlock(ctx)
	}
	return len(due) > 0, nil
}

// blockReady says that entries beyond the cursor are to be handed in now.
func (o *outlet) blockReady() bool {
	n := o.d.o.Store.End() - o.cursor
	if n == 0 {
		o.first = time.Time{}
		return false
	}
	now := o.d.o.Clock.Now()
	if o.first.IsZero() {
		o.first = now
	}
	return n >= uint64(o.most) || now.Sub(o.first) >= o.linger || o.drained() || o.d.o.Store.WaitingBytes(o.name) >= int64(o.bytes)
}

// wait sleeps until there may be something to do.
func (o *outlet) wait(ctx context.Context) {
	pause, timed := time.Duration(math.MaxInt64), false
	now := o.d.o.Clock.Now()
	if due, ok := o.queue.next(); ok {
		pause, timed = time.Duration(due)-time.Duration(now.UnixNano()), true
	}
	if !o.first.IsZero() {
		pause, timed = min(pause, o.linger-now.Sub(o.first)), true
	}
	var tick <-chan time.Time
	if timed {
		c, stop := o.d.o.Clock.Tick(max(pause, time.Millisecond))
		defer stop()
		tick = c
	}
	select {
	case <-ctx.Done():
	case <-o.d.draining:
	case <-o.wake:
	case <-tick:
	}
}

// pause sleeps after the failures-th failure in a row: 1 s, 2 s, 4 s ... 30 s, and up to half as much again, so that many
// sinks of one destination do not come back together. What is over the cap is given up meanwhile.
func (o *outlet) pause(ctx context.Context, failures int) {
	d := maxPause
	if failures <= 5 { // 2^5 s is over the maximum
		d = min(minPause<<(failures-1), maxPause)
	}
	d = min(d+rand.N(d/2), maxPause)
	c, stop := o.d.o.Clock.Tick(d)
	defer stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-o.d.draining:
			return
		case <-c:
			return
		case <-o.wake:
			if err := o.keepCap(ctx); err != nil {
				o.fail(err)
			}
		}
	}
}

func (o *outlet) drained() bool {
	select {
	case <-o.d.draining:
		return true
	default:
		return false
	}
}

// takeIncoming moves what was requeued into the queue.
func (o *outlet) takeIncoming() {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, r := range o.incoming {
		o.queue.put(r)
	}
	o.incoming = nil
	o.retries = o.queue.len()
}

// fail remembers why the sink does not get on.
func (o *outlet) fail(err error) {
	o.d.o.Log.Warn("a sink failed and is tried again", "sink", o.name, "error", err)
	o.mu.Lock()
	o.lastError = err.Error()
	o.counts.failed++
	o.mu.Unlock()
	o.setState(SinkRetrying, err.Error())
}

func (o *outlet) setState(state, reason string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.state != state {
		o.since = o.d.o.Clock.Now()
	}
	o.state, o.reason = state, reason
}

// advance makes a step durable. The store may have its own troubles: then it is tried again, because what was delivered
// must not be delivered again for that. Only the end of ctx gives up.
func (o *outlet) advance(ctx context.Context, a *store.Advance) error {
	a.Number = o.number + 1
	for failures := 1; ; failures++ {
		err := o.d.o.Store.Advance(o.name, a)
		if err == nil {
			break
		}
		if ctx.Err() != nil || o.drained() || errors.Is(err, store.ErrClosed) {
			return err
		}
		o.fail(err)
		o.sleep(ctx, min(minPause<<min(failures-1, 4), maxPause))
	}
	o.number, o.cursor, o.block = a.Number, a.Cursor, a.Block
	return nil
}

// sleep waits for d, or until the outlet is to stop.
func (o *outlet) sleep(ctx context.Context, d time.Duration) {
	c, stop := o.d.o.Clock.Tick(d)
	defer stop()
	select {
	case <-ctx.Done():
	case <-o.d.draining:
	case <-c:
	}
}

// updateTimes remembers when each finding's last finding.updated was handed in, for as long as that matters.
type updateTimes struct {
	every time.Duration
	start time.Time // before it nothing is remembered
	last  map[schema.ID]time.Time
	sweep time.Time
}

func newUpdateTimes(every time.Duration, now time.Time) updateTimes {
	return updateTimes{every: every, start: now, last: map[schema.ID]time.Time{}, sweep: now.Add(every)}
}

// next returns when an update of the finding may be handed in. What is not remembered may have been updated just before
// the start.
func (u *updateTimes) next(id schema.ID) time.Time {
	if t, ok := u.last[id]; ok {
		return t.Add(u.every)
	}
	return u.start.Add(u.every)
}

// opened says that the finding begins: its first update does not wait.
func (u *updateTimes) opened(id schema.ID, now time.Time) { u.set(id, now.Add(-u.every), now) }

// updated says that an update of the finding was handed in.
func (u *updateTimes) updated(id schema.ID, now time.Time) { u.set(id, now, now) }

func (u *updateTimes) set(id schema.ID, t, now time.Time) {
	if u.every == 0 {
		return
	}
	u.last[id] = t
	if now.Before(u.sweep) {
		return
	}
	for id, t := range u.last { // what is older than every says no more than what is not remembered
		if now.Sub(t) >= u.every && now.Sub(u.start) >= u.every {
			delete(u.last, id)
		}
	}
	u.sweep = now.Add(u.every)
}
