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
	// DefaultEndpointCap is the default of Profile.OutboxCap in bytes, for sinks of deliveries.
	DefaultEndpointCap = 256 << 20
	// defaultBatch and defaultBatchBytes are the defaults of Profile.MaxEntries and Profile.MaxBytes.
	defaultBatch      = 64
	defaultBatchBytes = 4 << 20
	// DrainTime is how long Drain should be given at shutdown.
	DrainTime = 10 * time.Second
	// stopGrace is how long Drain waits for a Write to return after its context ended.
	stopGrace = time.Second
)

// Options configures a Deliverer.
type Options struct {
	Store    *store.Store
	Sinks    []connectors.Sink             // the caller closes them after Drain
	Clock    clock.Clock                   // zero: the wall clock
	Log      *slog.Logger                  // nil: nothing is logged
	Registry prometheus.Registerer         // nil: the metrics are not registered
	Agent    func(*schema.Agent)           // completes the rows of agents by the registry; may be nil
	Rules    func() []*schema.RuleInfo     // the rules as they run, for sinks of rows; may be nil
	Dead     func(schema.DeadKind, string) // called for each dead letter with its kind and reason; may be nil
	// Holds reports whether a snooze holds back the delivery of an entry that an endpoint wants: the entry then counts as
	// delivered. It is asked when the entry's turn comes. Sinks of rows get all entries. It may be nil.
	Holds func(*connectors.Entry) bool
	// Trace gets each write to a sink once it has ended; nil: nothing does.
	Trace connectors.Trace
}

// Deliverer hands the entries of the outbox to the sinks. Every entry reaches every sink that wants it, or becomes a dead
// letter. The entries of one finding arrive in order. The package comment lists the cases in which an entry is repeated.
type Deliverer struct {
	opts      Options
	outlets   []*outlet
	rows      []*rowOutlet
	dead      []*deadOutlet
	latencies latencies
	attempts  attempts

	draining chan struct{} // closed by Drain
	once     sync.Once     // closes draining
	cancel   context.CancelFunc
	done     sync.WaitGroup
}

// New returns a Deliverer and registers its sinks with the store. It must be called before the first Commit, because a
// new sink gets only the entries that are committed afterwards. Start starts the delivery.
func New(opts Options) (*Deliverer, error) {
	if opts.Clock.Now == nil {
		opts.Clock = clock.Wall()
	}
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	if opts.Dead == nil {
		opts.Dead = func(schema.DeadKind, string) {}
	}
	if opts.Agent == nil {
		opts.Agent = func(*schema.Agent) {}
	}
	if opts.Rules == nil {
		opts.Rules = func() []*schema.RuleInfo { return nil }
	}
	d := &Deliverer{opts: opts, latencies: newLatencies(), attempts: attempts{log: opts.Log}, draining: make(chan struct{})}
	specs := make([]store.SinkSpec, len(opts.Sinks))
	for i, s := range opts.Sinks {
		out := newOutlet(d, s)
		d.outlets = append(d.outlets, out)
		specs[i] = store.SinkSpec{Name: s.Name(), Capped: out.profile.OutboxCap > 0}
	}
	changes, err := opts.Store.SetSinks(specs)
	if err != nil {
		return nil, err
	}
	for _, c := range changes {
		if c.Added {
			opts.Log.Info("sink added; it gets the changes committed from now on", "sink", c.Name)
		} else {
			opts.Log.Warn("sink removed from the configuration; undelivered entries discarded", "sink", c.Name, "entries", c.Waiting)
		}
	}
	for _, out := range d.outlets {
		out.restore()
	}
	if d.rows, err = newRowOutlets(d); err != nil {
		return nil, err
	}
	if d.dead, err = newDeadOutlets(d); err != nil {
		return nil, err
	}
	if opts.Registry != nil {
		for _, c := range append(d.latencies.collectors(), collector{d}) {
			if err := opts.Registry.Register(c); err != nil {
				return nil, fmt.Errorf("register metrics of the outbox: %w", err)
			}
		}
	}
	return d, nil
}

// Start starts one goroutine for each sink. Drain ends them.
func (d *Deliverer) Start() {
	ctx, cancel := context.WithCancel(context.Background())
	d.cancel = cancel
	for _, o := range d.outlets {
		d.done.Go(func() { o.run(ctx) })
	}
	for _, o := range d.rows {
		d.done.Go(func() { o.run(ctx) })
	}
	for _, o := range d.dead {
		d.done.Go(func() { o.run(ctx) })
	}
}

// Notify wakes the outlets after a Commit with entries. It never blocks.
func (d *Deliverer) Notify() {
	for _, o := range d.outlets {
		o.notify()
	}
	d.NotifyRows()
}

// NotifyRows wakes the deliveries of rows of the inventory after a Commit with rows. It never blocks.
func (d *Deliverer) NotifyRows() {
	for _, o := range d.rows {
		o.notify()
	}
}

// Drain delivers everything that can be delivered at once, without repeating a failed Write, and stops. If ctx ends
// first, it cancels the Writes and returns an error; the undelivered entries are durable in either case. The Deliverer
// must not be used afterwards.
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
	case <-grace: // a Write that still runs does no harm: a closed store refuses its Advance
	}
	return fmt.Errorf("drain sinks: %w: undelivered entries follow after the next start", ctx.Err())
}

// Requeue delivers the entry of a dead letter of kind row or delivery to its sink again, and deletes the dead letter.
func (d *Deliverer) Requeue(dead uint64) error {
	l, ok, err := d.opts.Store.DeadLetter(dead)
	if err != nil {
		return err
	}
	if !ok {
		return fmt.Errorf("requeue dead letter %d: no dead letter has this number: see `aidr dlq ls`", dead)
	}
	for _, o := range d.outlets {
		if o.name == l.Sink {
			return o.requeue(dead)
		}
	}
	return fmt.Errorf("requeue dead letter %d: %w", dead, errNoSink(l))
}

// Enable makes the outlet of a disabled sink try again, with the entries from now on. changed is false if the sink is not
// disabled. The dead letters of its time as a disabled sink can be requeued.
func (d *Deliverer) Enable(sink string) (changed bool, err error) {
	changed, err = d.opts.Store.EnableSink(sink)
	if err != nil || !changed {
		return changed, err
	}
	for _, o := range d.outlets {
		if o.name == sink {
			o.enable()
		}
	}
	return true, nil
}

func errNoSink(l *store.DeadLetter) error {
	if l.Sink == "" {
		return fmt.Errorf("a dead letter of kind %q belongs to no sink", l.Kind)
	}
	return fmt.Errorf("its sink %q is not in the configuration", l.Sink)
}

// SinkStatus is the condition of one sink.
type SinkStatus struct {
	Name    string        `json:"name"`
	State   string        `json:"state"`            // SinkOK, SinkRetrying, SinkDegraded, SinkDisabled or SinkStopped
	Reason  string        `json:"reason,omitempty"` // of a State other than SinkOK; of SinkOK, why the last Write made dead letters
	Since   time.Time     `json:"since,omitzero"`   // of State
	Entries uint64        `json:"entries"`          // number of entries that the sink does not have yet
	Retries int           `json:"retries"`          // number of these entries that are before the cursor
	Bytes   int64         `json:"bytes"`
	Oldest  time.Duration `json:"oldest_ns"`             // age of the oldest of these entries
	Next    time.Time     `json:"next_attempt,omitzero"` // of an entry that failed; zero if none did
}

// States of a sink.
const (
	SinkOK       = "ok"
	SinkRetrying = "retrying" // the last Write failed as a whole, or its result cannot be stored
	SinkDegraded = "degraded" // the sink's Health is degraded
	SinkDisabled = "disabled" // the destination wants no further entries; see Deliverer.Enable
	SinkStopped  = "stopped"
)

// Status returns the condition of each sink, in the order of Options.Sinks.
func (d *Deliverer) Status() []SinkStatus {
	all := make([]SinkStatus, len(d.outlets))
	for i, o := range d.outlets {
		all[i] = o.status(d.opts.Clock.Now())
	}
	return all
}

// status combines the state of the outlet, the sink's Health and the store's counters.
func (o *outlet) status(now time.Time) SinkStatus {
	c := o.condition()
	o.mu.Lock()
	s := SinkStatus{Name: o.name, State: c.state, Reason: c.reason, Since: c.since, Retries: o.retries, Next: o.next}
	o.mu.Unlock()
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
