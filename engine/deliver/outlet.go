package deliver

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"math"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/engine/clock"
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
	sink     connectors.Sink
	name     string
	profile  connectors.Profile // completed with the defaults
	store    *store.Store
	clock    clock.Clock
	log      *slog.Logger
	dead     func(schema.DeadKind, string)
	draining <-chan struct{} // closed: deliver what can be, then stop

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
	counts    counts
}

// newOutlet returns the outlet of a sink of d.
func newOutlet(d *Deliverer, s connectors.Sink) *outlet {
	return &outlet{
		sink: s, name: s.Name(), profile: completed(s.Profile()),
		store: d.opts.Store, clock: d.opts.Clock, log: d.opts.Log, dead: d.opts.Dead, draining: d.draining,
		wake: make(chan struct{}, 1), state: SinkOK, since: d.opts.Clock.Now(),
	}
}

// completed returns the profile with the defaults for whatever it leaves open.
func completed(p connectors.Profile) connectors.Profile {
	p.Dead = cmp.Or(p.Dead, schema.DeadDelivery)
	p.MaxEntries = cmp.Or(max(p.MaxEntries, 0), defaultBatch)
	p.MaxBytes = cmp.Or(max(p.MaxBytes, 0), defaultBatchBytes)
	switch {
	case p.Dead != schema.DeadDelivery:
		p.OutboxCap = 0
	case p.OutboxCap <= 0:
		p.OutboxCap = DefaultEndpointCap
	}
	if p.Wants == nil {
		p.Wants = func(connectors.Entry) bool { return true }
	}
	return p
}

// restore takes up where the store says the sink has come to.
func (o *outlet) restore() {
	k, _ := o.store.Sink(o.name)
	o.number, o.cursor, o.block = k.Number, k.Cursor, k.Block
	o.queue = newRetryQueue(k.Retries)
	o.retries = o.queue.len()
	o.updates = newUpdateTimes(o.profile.UpdateEvery, o.clock.Now())
}

func (o *outlet) notify() {
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

// requeue makes a dead letter a retry.
func (o *outlet) requeue(letter uint64) error {
	_, r, err := o.store.Requeue(letter)
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
	due := o.queue.ready(o.instant(), o.profile.MaxEntries)
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
	n := o.store.End() - o.cursor
	if n == 0 {
		o.first = time.Time{}
		return false
	}
	now := o.clock.Now()
	if o.first.IsZero() {
		o.first = now
	}
	return n >= uint64(o.profile.MaxEntries) || now.Sub(o.first) >= o.profile.Linger || o.drained() || o.store.WaitingBytes(o.name) >= int64(o.profile.MaxBytes)
}

// wait sleeps until there may be something to do.
func (o *outlet) wait(ctx context.Context) {
	pause, timed := time.Duration(math.MaxInt64), false
	now := o.clock.Now()
	if due, ok := o.queue.next(); ok {
		pause, timed = time.Duration(due)-time.Duration(now.UnixNano()), true
	}
	if !o.first.IsZero() {
		pause, timed = min(pause, o.profile.Linger-now.Sub(o.first)), true
	}
	var tick <-chan time.Time
	if timed {
		c, stop := o.clock.Tick(max(pause, time.Millisecond))
		defer stop()
		tick = c
	}
	select {
	case <-ctx.Done():
	case <-o.draining:
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
	c, stop := o.clock.Tick(d)
	defer stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-o.draining:
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
	case <-o.draining:
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
	o.log.Warn("a sink failed and is tried again", "sink", o.name, "error", err)
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
		o.since = o.clock.Now()
	}
	o.state, o.reason = state, reason
}

// advance makes a step durable. The store may have its own troubles: then it is tried again, because what was delivered
// must not be delivered again for that. Only the end of ctx gives up.
func (o *outlet) advance(ctx context.Context, a *store.Advance) error {
	a.Number = o.number + 1
	for failures := 1; ; failures++ {
		err := o.store.Advance(o.name, a)
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
	c, stop := o.clock.Tick(d)
	defer stop()
	select {
	case <-ctx.Done():
	case <-o.draining:
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

// instant returns the clock's time.
func (o *outlet) instant() schema.Instant { return schema.InstantOf(o.clock.Now()) }
