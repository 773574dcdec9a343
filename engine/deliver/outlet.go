package deliver

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/engine/clock"
	"github.com/aidr-engine/aidr/engine/store"
	"github.com/aidr-engine/aidr/schema"
)

const (
	// minPause and maxPause bound the pause after a Write that failed as a whole.
	minPause = time.Second
	maxPause = 30 * time.Second
	// maxStorePause bounds the pause after the store failed, which begins at minPause.
	maxStorePause = 16 * time.Second
	// healthEvery is how often the Health of a sink is looked at while nothing is delivered, for the log.
	healthEvery = 5 * time.Second
	// maxRetryAfter bounds the pause that a sink may demand for an entry, so that no entry waits without end.
	maxRetryAfter = 7 * 24 * time.Hour
)

// outlet delivers to one sink. Its goroutine owns all fields except those below mu.
type outlet struct {
	sink    connectors.Sink
	name    string
	profile connectors.Profile // with defaults
	store   *store.Store
	clock   clock.Clock
	log     *slog.Logger
	onDead  func(schema.DeadKind, string)
	trace   connectors.Trace // nil: nothing gets writes
	// wakeOthers wakes all outlets after new entries.
	wakeOthers func()
	draining   <-chan struct{} // closed by Drain

	delivery, written prometheus.Observer // latencies in seconds

	// The sink's progress as in the store. If block is not 0, the block [cursor, block) is intended.
	number, cursor, block uint64
	queue                 *retryQueue

	firstSeen time.Time // when the entry at the cursor was first seen, for Profile.Linger; zero: no entry is there
	updates   updateTimes
	failures  connectors.Backoff // after a step that failed

	wake chan struct{} // of capacity 1: new entries or requeued retries

	mu       sync.Mutex
	requeued []store.Retry // not yet in queue
	state    string
	reason   string
	since    time.Time
	next     time.Time      // of the next attempt of an entry that failed; zero if none did
	refused  string         // why the last Write that delivered or refused an entry refused one; "" if it did not
	disabled store.Disabled // zero: the sink is enabled
	retries  int            // length of queue
	counts   counts

	report report // used by the goroutine only
}

func newOutlet(d *Deliverer, s connectors.Sink) *outlet {
	profile := withDefaults(s.Profile())
	if holds := d.opts.Holds; holds != nil && profile.Dead == schema.DeadDelivery {
		wants := profile.Wants
		profile.Wants = func(e connectors.Entry) bool { return wants(e) && !holds(&e) }
	}
	if profile.Keep != nil {
		profile.Keep(d.opts.Store.Notes(s.Name()))
	}
	return &outlet{
		sink: s, name: s.Name(), profile: profile,
		store: d.opts.Store, clock: d.opts.Clock, log: d.opts.Log, onDead: d.opts.Dead, trace: d.opts.Trace, draining: d.draining, wakeOthers: d.Notify,
		delivery: d.latencies.delivery.WithLabelValues(s.Name()), written: d.latencies.write.WithLabelValues(s.Name()),
		failures: connectors.Backoff{Min: minPause, Max: maxPause},
		wake:     make(chan struct{}, 1), state: SinkOK, since: d.opts.Clock.Now(),
	}
}

// withDefaults returns the profile with its zero fields replaced by the defaults.
func withDefaults(p connectors.Profile) connectors.Profile {
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

// restore loads the sink's progress from the store.
func (o *outlet) restore() {
	st, _ := o.store.Sink(o.name)
	o.number, o.cursor, o.block = st.Number, st.Cursor, st.Block
	o.disabled = st.Disabled
	o.queue = newRetryQueue(st.Retries)
	o.retries = o.queue.len()
	o.updates = newUpdateTimes(o.profile.UpdateEvery, o.clock.Now())
}

func (o *outlet) notify() {
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

// requeue turns a dead letter into a retry. It is called by other goroutines.
func (o *outlet) requeue(dead uint64) error {
	_, r, err := o.store.Requeue(dead)
	if err != nil {
		return err
	}
	o.mu.Lock()
	o.requeued = append(o.requeued, r)
	o.mu.Unlock()
	o.notify()
	return nil
}

// run delivers until everything is drained or ctx ends.
func (o *outlet) run(ctx context.Context) {
	defer o.setState(SinkStopped, "")
	for ctx.Err() == nil {
		o.takeRequeued()
		delivered, err := o.deliverNext(ctx)
		switch {
		case err != nil:
			if ctx.Err() != nil || o.isDraining() {
				return
			}
			pause := o.nextPause()
			o.fail(err, pause)
			o.pause(ctx, pause)
		case delivered:
			o.failures.Reset()
			o.setState(SinkOK, "")
			o.observe(time.Time{})
		case o.isDraining():
			return
		default:
			o.observe(time.Time{})
			o.wait(ctx)
		}
	}
}

// deliverNext delivers the most urgent entries. delivered is false if nothing is due.
func (o *outlet) deliverNext(ctx context.Context) (delivered bool, err error) {
	if err := o.enforceCap(ctx); err != nil {
		return false, err
	}
	if o.block != 0 { // the block may have been written before a crash, so it comes before everything else
		return true, o.deliverBlock(ctx)
	}
	due := o.queue.ready(o.now(), o.profile.MaxEntries)
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

// blockReady reports whether the entries at the cursor are to be delivered now: the block is full, or the first entry
// has waited for Profile.Linger.
func (o *outlet) blockReady() bool {
	n := o.store.End() - o.cursor
	if n == 0 {
		o.firstSeen = time.Time{}
		return false
	}
	now := o.clock.Now()
	if o.firstSeen.IsZero() {
		o.firstSeen = now
	}
	full := n >= uint64(o.profile.MaxEntries)
	lingered := now.Sub(o.firstSeen) >= o.profile.Linger
	return full || lingered || o.isDraining() || o.store.WaitingBytes(o.name) >= int64(o.profile.MaxBytes)
}

// wait sleeps until a retry is due, a block has lingered, or the outlet is woken, but at most for healthEvery.
func (o *outlet) wait(ctx context.Context) {
	pause := healthEvery
	now := o.clock.Now()
	if due, ok := o.queue.nextDue(); ok {
		pause = min(pause, time.Duration(due)-time.Duration(now.UnixNano()))
	}
	if !o.firstSeen.IsZero() {
		pause = min(pause, o.profile.Linger-now.Sub(o.firstSeen))
	}
	tick, stop := o.clock.Tick(max(pause, time.Millisecond))
	defer stop()
	select {
	case <-ctx.Done():
	case <-o.draining:
	case <-o.wake:
	case <-tick:
	}
}

// nextPause returns the pause after a failed step: 1 s, 2 s, 4 s ... 30 s, plus up to half of that at random, so that the
// sinks of one destination do not all return at the same time.
func (o *outlet) nextPause() time.Duration {
	d := o.failures.Next()
	return min(d+rand.N(d/2), maxPause)
}

// pause sleeps after a failed step. During the pause the cap is still enforced.
func (o *outlet) pause(ctx context.Context, d time.Duration) {
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
			if err := o.enforceCap(ctx); err != nil {
				o.fail(err, d)
			}
		}
	}
}

// isDraining reports whether Drain was called.
func (o *outlet) isDraining() bool {
	select {
	case <-o.draining:
		return true
	default:
		return false
	}
}

// takeRequeued moves requeued retries into the queue.
func (o *outlet) takeRequeued() {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, r := range o.requeued {
		o.queue.put(r)
	}
	o.requeued = nil
	o.retries = o.queue.len()
}

// fail puts an error into the status, and logs it if it is a change. The next attempt follows after pause.
func (o *outlet) fail(err error, pause time.Duration) {
	o.mu.Lock()
	o.counts.failed++
	o.mu.Unlock()
	o.setState(SinkRetrying, err.Error())
	o.observe(o.clock.Now().Add(pause).UTC())
}

func (o *outlet) setState(state, reason string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.state != state {
		o.since = o.clock.Now()
	}
	o.state, o.reason = state, reason
}

// advance makes a step durable. It repeats a step that the store fails to write, because giving up would repeat the
// delivery instead. Only shutdown ends the repetition.
func (o *outlet) advance(ctx context.Context, a *store.Advance) error {
	a.Number = o.number + 1
	pauses := connectors.Backoff{Min: minPause, Max: maxStorePause}
	for {
		err := o.store.Advance(o.name, a)
		if err == nil {
			break
		}
		if ctx.Err() != nil || o.isDraining() || errors.Is(err, store.ErrClosed) {
			return err
		}
		pause := pauses.Next()
		o.fail(err, pause)
		o.sleep(ctx, pause)
	}
	o.number, o.cursor, o.block = a.Number, a.Cursor, a.Block
	return nil
}

// sleep waits for d, or until ctx ends or Drain is called.
func (o *outlet) sleep(ctx context.Context, d time.Duration) {
	c, stop := o.clock.Tick(d)
	defer stop()
	select {
	case <-ctx.Done():
	case <-o.draining:
	case <-c:
	}
}

// now returns the time of the wall clock.
func (o *outlet) now() schema.Instant { return schema.InstantOf(o.clock.Now()) }

// updateTimes remembers when the last finding.updated of each finding was delivered, as long as that delays the next one.
type updateTimes struct {
	every     time.Duration // Profile.UpdateEvery; 0: updates are not delayed
	start     time.Time     // when recording began
	last      map[schema.ID]time.Time
	nextSweep time.Time // when entries of last that delay nothing are deleted
}

func newUpdateTimes(every time.Duration, now time.Time) updateTimes {
	return updateTimes{every: every, start: now, last: map[schema.ID]time.Time{}, nextSweep: now.Add(every)}
}

// earliest returns the time from which an update of the finding may be delivered. An unknown finding may have been
// updated just before the start.
func (u *updateTimes) earliest(id schema.ID) time.Time {
	if t, ok := u.last[id]; ok {
		return t.Add(u.every)
	}
	return u.start.Add(u.every)
}

// opened records that the finding was opened: its first update is not delayed.
func (u *updateTimes) opened(id schema.ID, now time.Time) { u.set(id, now.Add(-u.every), now) }

// updated records that an update of the finding was delivered.
func (u *updateTimes) updated(id schema.ID, now time.Time) { u.set(id, now, now) }

func (u *updateTimes) set(id schema.ID, t, now time.Time) {
	if u.every == 0 {
		return
	}
	u.last[id] = t
	if now.Before(u.nextSweep) {
		return
	}
	for id, t := range u.last { // once every has passed since the start, a time older than every equals an unknown one
		if now.Sub(t) >= u.every && now.Sub(u.start) >= u.every {
			delete(u.last, id)
		}
	}
	u.nextSweep = now.Add(u.every)
}
