// Package deliver hands the entries of the outbox to the sinks.
package deliver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/engine/clock"
	"github.com/aidr-engine/aidr/engine/store"
	"github.com/aidr-engine/aidr/schema"
)

const (
	// DefaultEndpointCap is how many bytes may wait for one endpoint; beyond it the oldest go to the dead letters.
	DefaultEndpointCap = 256 << 20
	// defaultBatch and defaultBatchBytes bound one Write of a sink that says nothing about blocks.
	defaultBatch      = 64
	defaultBatchBytes = 4 << 20
	// DrainTime is how long Drain should be given at shutdown.
	DrainTime = 10 * time.Second
	// stopGrace is how long Drain waits for a Write to heed the end of its context.
	stopGrace = time.Second
)

// Options of a Deliverer.
type Options struct {
	Store    *store.Store
	Sinks    []connectors.Sink             // the Deliverer calls Write; whoever made them closes them
	Clock    clock.Clock                   // zero: the wall clock
	Log      *slog.Logger                  // nil: silent
	Registry prometheus.Registerer         // nil: nobody reads the metrics
	Dead     func(schema.DeadKind, string) // counts a dead letter of a kind and reason; may be nil
}

// Deliverer hands the outbox to the sinks: one goroutine each, so that none waits for another. What it has achieved is
// durable in the store, and it goes on from there after a crash: every entry reaches every sink that wants it, or the
// dead letters; entries of one finding in order; more than once only where a crash or a failed Write lies between.
type Deliverer struct {
	opts    Options
	outlets []*outlet

	draining chan struct{} // closed: deliver what can be, then stop
	once     sync.Once
	cancel   context.CancelFunc // ends every Write
	done     sync.WaitGroup
}

// New makes the sinks known to the store. It must be called before the first Commit, since a new sink gets what
// is committed from then on. Run starts it.
func New(o Options) (*Deliverer, error) {
	if o.Clock.Now == nil {
		o.Clock = clock.Wall()
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Dead == nil {
		o.Dead = func(schema.DeadKind, string) {}
	}
	d := &Deliverer{opts: o, draining: make(chan struct{})}
	specs := make([]store.SinkSpec, len(o.Sinks))
	for i, s := range o.Sinks {
		out := newOutlet(d, s)
		d.outlets = append(d.outlets, out)
		specs[i] = store.SinkSpec{Name: s.Name(), Capped: out.profile.OutboxCap > 0}
	}
	changes, err := o.Store.SetSinks(specs)
	if err != nil {
		return nil, err
	}
	for _, c := range changes {
		if c.Added {
			o.Log.Info("a new sink: it gets what is found from now on", "sink", c.Name)
		} else {
			o.Log.Warn("a sink is not in the configuration any more: what it had not got is given up", "sink", c.Name, "entries", c.Waiting)
		}
	}
	for _, out := range d.outlets {
		out.restore()
	}
	if o.Registry != nil {
		if err := o.Registry.Register(collector{d}); err != nil {
			return nil, fmt.Errorf("register metrics of the outbox: %w", err)
		}
	}
	return d, nil
}

// Start starts the goroutines. They end with Drain.
func (d *Deliverer) Start() {
	ctx, cancel := context.WithCancel(context.Background())
	d.cancel = cancel
	for _, o := range d.outlets {
		d.done.Go(func() { o.run(ctx) })
	}
}

// Notify says that there may be new entries. It never blocks.
func (d *Deliverer) Notify() {
	for _, o := range d.outlets {
		o.notify()
	}
}

// Drain delivers what can be delivered at once and stops: a sink that fails is not tried again. It returns an error where
// ctx ended before; what is left is durable either way. A Deliverer is not used after it.
func (d *Deliverer) Drain(ctx context.Context) error {
	if d.cancel == nil {
		return nil
	}
	d.once.Do(func() { close(d.draining) })
	defer d.cancel()
	finished := make(chan struct{})
	go func() {
		d.done.Wait()
		close(finished)
	}()
	select {
	case <-finished:
		return nil
	case <-ctx.Done():
	}
	d.cancel()
	grace, stop := d.opts.Clock.Tick(stopGrace)
	defer stop()
	select {
	case <-finished:
	case <-grace: // the store refuses what comes after its Close
	}
	return fmt.Errorf("drain sinks: %w: what is left is delivered after the next start", ctx.Err())
}

// Requeue hands the entry of a dead letter of kind row or delivery to its sink again and takes the letter away.
func (d *Deliverer) Requeue(letter uint64) error {
	l, ok, err := d.opts.Store.DeadLetter(letter)
	if err != nil {
		return err
	}
	if !ok {
		return fmt.Errorf("requeue dead letter %d: there is none of that number: see `aidr dlq ls`", letter)
	}
	for _, o := range d.outlets {
		if o.name == l.Sink {
			return o.requeue(letter)
		}
	}
	return fmt.Errorf("requeue dead letter %d: %w", letter, errNoSink(l))
}

func errNoSink(l *store.DeadLetter) error {
	if l.Sink == "" {
		return fmt.Errorf("it is a %s, and belongs to no sink", l.Kind)
	}
	return fmt.Errorf("its sink %q is not in the configuration", l.Sink)
}

// SinkStatus is how one sink stands.
type SinkStatus struct {
	Name      string        `json:"name"`
	State     string        `json:"state"`            // ok, retrying, degraded, stopped
	Reason    string        `json:"reason,omitempty"` // why it is not ok
	Since     time.Time     `json:"since,omitzero"`   // of State
	Entries   uint64        `json:"entries"`          // that it has not got
	Retries   int           `json:"retries"`          // of them: behind the cursor
	Bytes     int64         `json:"bytes"`
	Oldest    time.Duration `json:"oldest_ns"`            // age of the oldest of them
	LastError string        `json:"last_error,omitempty"` // also where it is ok again
}

// States of a sink.
const (
	SinkOK       = "ok"
	SinkRetrying = "retrying" // its last Write failed as a whole, or its progress cannot be stored
	SinkDegraded = "degraded" // the sink itself says so
	SinkStopped  = "stopped"
)

// Status returns how the sinks stand, in order of the configuration.
func (d *Deliverer) Status() []SinkStatus {
	all := make([]SinkStatus, len(d.outlets))
	for i, o := range d.outlets {
		all[i] = o.status(d.opts.Clock.Now())
	}
	return all
}

// status joins what the outlet, the sink and the store say.
func (o *outlet) status(now time.Time) SinkStatus {
	o.mu.Lock()
	s := SinkStatus{Name: o.name, State: o.state, Reason: o.reason, Since: o.since, LastError: o.lastError, Retries: o.retries}
	o.mu.Unlock()
	if h := o.sink.Health(); h.Degraded && s.State == SinkOK {
		s.State, s.Reason, s.Since = SinkDegraded, h.Reason, h.Since
	}
	w, err := o.store.Waiting(o.name)
	if err != nil {
		if !errors.Is(err, store.ErrClosed) {
			s.State, s.Reason = SinkRetrying, err.Error()
		}
		return s
	}
	s.Entries, s.Bytes = w.Entries, w.Bytes
	if w.Oldest != 0 {
		s.Oldest = max(now.Sub(time.Unix(0, int64(w.Oldest))), 0)
	}
	return s
}
