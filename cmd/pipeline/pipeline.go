// Package pipeline turns a configuration into a running engine: sources, rules, store, deliverer, sinks, the control
// API and the listener for metrics and health.
//
// The state directory is opened when the first partition is assigned and closed when the last one is taken away: of
// several processes of one consumer group one reads and the others wait, and they may share a state directory.
package pipeline

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/aidr-engine/aidr/cmd/api"
	"github.com/aidr-engine/aidr/cmd/config"
	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/engine"
	"github.com/aidr-engine/aidr/engine/store"
	"github.com/aidr-engine/aidr/schema/content"
)

const (
	// lockRetry is how often the state directory is tried while another process still has it.
	lockRetry = 250 * time.Millisecond
	// stopTime bounds the last checkpoint at shutdown; draining the sinks has its own (engine.DrainTime).
	stopTime = 10 * time.Second
)

// Options of a pipeline.
type Options struct {
	Log     *slog.Logger
	Version string
	// Committed is told of the changes of findings in each checkpoint; may be nil.
	Committed func([]connectors.Entry)
}

// Pipeline is one configured aidr. Run it once.
type Pipeline struct {
	cfg      *config.Config
	o        Options
	log      *slog.Logger
	registry *prometheus.Registry
	outbox   *prometheus.Registry // of the open deliverer; guarded by mu
	metrics  *engine.Metrics
	inputs   []engine.Input
	sinks    []connectors.Sink
	started  time.Time

	// mu is held for writing while the engine is opened, closed or swapped.
	mu        sync.RWMutex
	set       *Set
	rules     health // of the last reload
	engine    *engine.Engine
	store     *store.Store
	deliverer *engine.Deliverer
	control   *http.Server
	active    map[connectors.Partition]bool
	waiting   string // why the engine is not open, "" where it is
	stopping  bool
	lost      error // what ended the engine for good
}

// New builds everything that needs no connection. It returns all that is wrong with the configuration.
func New(cfg *config.Config, o Options) (*Pipeline, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	p := &Pipeline{
		cfg: cfg, o: o, log: o.Log, registry: prometheus.NewRegistry(), started: now(),
		active: map[connectors.Partition]bool{}, waiting: "no partition was assigned yet",
	}
	p.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	p.metrics = engine.NewMetrics(p.registry)
	set, problems := LoadRules(p.ruleFiles())
	for _, x := range problems {
		if x.Warning {
			p.log.Warn("a rule file has a warning", "problem", x.String())
		}
	}
	if set == nil {
		return nil, errors.Join(problemErrors(problems)...)
	}
	p.set = set
	var err error
	if p.inputs, err = buildInputs(cfg, o.Log); err != nil {
		return nil, err
	}
	if p.sinks, err = buildSinks(cfg); err != nil {
		return nil, err
	}
	return p, nil
}

func (p *Pipeline) ruleFiles() RuleFiles {
	return RuleFiles{Paths: p.cfg.Rules, Lists: p.cfg.Lists, Agents: p.cfg.Agents}
}

func problemErrors[T interface{ String() string }](problems []T) (errs []error) {
	for _, x := range problems {
		errs = append(errs, errors.New(x.String()))
	}
	return errs
}

// Run reads until ctx ends or every source has ended by itself; then it makes a last checkpoint and drains the sinks.
func (p *Pipeline) Run(ctx context.Context) error {
	web, err := p.listen()
	if err != nil {
		return err
	}
	defer web.Close()
	reloads := p.watch(ctx)
	defer reloads()
	watches := p.watchSinks(ctx)
	defer watches()
	p.log.Info("aidr starts", "version", p.o.Version, "rules", len(p.set.Rules), "sources", len(p.inputs), "sinks", len(p.sinks), "state", p.cfg.State.Dir)
	err = engine.RunSources(ctx, &reader{p}, p.inputs)
	p.mu.Lock()
	p.stopping = true
	err = errors.Join(err, p.lost, p.close())
	p.mu.Unlock()
	for _, s := range p.sinks {
		err = errors.Join(err, s.Close())
	}
	p.log.Info("aidr stops")
	return err
}

// watchSinks lets sinks look after their destination while nothing is delivered: to make its schema, and to know how it
// is. stop ends that and waits for it.
func (p *Pipeline) watchSinks(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var all sync.WaitGroup
	for _, s := range p.sinks {
		if w, ok := s.(interface{ Watch(context.Context) }); ok {
			all.Go(func() { w.Watch(ctx) })
		}
	}
	return func() {
		cancel()
		all.Wait()
	}
}

// listen opens the listener of metrics and health, where one is configured.
func (p *Pipeline) listen() (*http.Server, error) {
	s := &http.Server{Handler: p.handler(), ReadHeaderTimeout: 10 * time.Second}
	if p.cfg.HTTP.Listen == "" {
		return s, nil
	}
	l, err := net.Listen("tcp", p.cfg.HTTP.Listen)
	if err != nil {
		return nil, fmt.Errorf("open the listener of metrics and health (http.listen): %w", err)
	}
	go serve(p.log, s, l, "http")
	return s, nil
}

func serve(log *slog.Logger, s *http.Server, l net.Listener, name string) {
	if err := s.Serve(l); err != nil && !errors.Is(err, http.ErrServerClosed) {
		log.Error("a listener failed", "listener", name, "error", err)
	}
}

// open opens the state directory and starts the engine. mu is held for writing.
func (p *Pipeline) open() error {
	s, err := store.Open(p.cfg.State.Dir, store.Options{
		OutboxCap: p.cfg.State.Outbox, FindingsKeep: p.cfg.State.FindingsKeep,
		Logf: func(format string, args ...any) { p.log.Warn("store: " + fmt.Sprintf(format, args...)) },
	})
	if err != nil {
		return err
	}
	if _, _, known, err := s.Last(); err == nil && !known {
		p.log.Info("the state directory is new: reading starts at the committed positions, or where `start` says", "dir", p.cfg.State.Dir)
	}
	p.outbox = prometheus.NewRegistry()
	d, err := engine.NewDeliverer(engine.DelivererOptions{Store: s, Sinks: p.sinks, Log: p.log, Registry: p.outbox, Metrics: p.metrics})
	if err != nil {
		return errors.Join(err, s.Close())
	}
	p.store, p.deliverer = s, d
	if err := p.start(); err != nil {
		p.store, p.deliverer = nil, nil
		return errors.Join(err, s.Close())
	}
	if err := p.openControl(); err != nil {
		err = errors.Join(err, p.engine.Stop(context.Background()), s.Close())
		p.store, p.deliverer, p.engine = nil, nil, nil
		return err
	}
	d.Start()
	p.waiting = ""
	return nil
}

// start makes an engine over the open store. mu is held for writing.
func (p *Pipeline) start() (err error) {
	d, committed := p.deliverer, p.o.Committed
	p.engine, err = engine.New(engine.Options{
		Set: p.set, Inputs: p.inputs, Store: p.store, Shards: p.cfg.Shards, CutEvery: p.cfg.State.CutEvery,
		CacheCells: p.cfg.State.Cells, Log: p.log, Metrics: p.metrics, Redact: content.Redact,
		Committed: func(entries []connectors.Entry) {
			d.Notify()
			if committed != nil {
				committed(entries)
			}
		},
	})
	return err
}

func (p *Pipeline) openControl() error {
	l, err := api.Listen(p.cfg.State.Dir)
	if err != nil {
		return err
	}
	p.control = &http.Server{Handler: api.Handler(p.store, p.runtime()), ReadHeaderTimeout: 10 * time.Second}
	go serve(p.log, p.control, l, "control")
	return nil
}

// close makes a last checkpoint, drains the sinks and closes the state directory. mu is held for writing.
func (p *Pipeline) close() error {
	if p.engine == nil {
		return nil
	}
	p.control.Close()
	ctx, cancel := context.WithTimeout(context.Background(), stopTime)
	defer cancel()
	err := p.engine.Stop(ctx)
	drain, end := context.WithTimeout(context.Background(), engine.DrainTime)
	defer end()
	if d := p.deliverer.Drain(drain); d != nil {
		p.log.Warn("the sinks were not drained; what is left is delivered after the next start", "reason", d)
	}
	err = errors.Join(err, p.store.Close())
	p.engine, p.store, p.deliverer, p.control = nil, nil, nil, nil
	clear(p.active)
	p.waiting = "no partition is assigned"
	return err
}

// reader stands between the sources and the engine, which is open only while there are partitions.
type reader struct{ p *Pipeline }

func (r *reader) Assigned(part connectors.Partition) (int64, bool) {
	p := r.p
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.engine == nil && p.lost == nil && !p.stopping {
		err := p.open()
		if err == nil {
			break
		}
		if !errors.Is(err, store.ErrLocked) {
			p.lost = fmt.Errorf("open the state directory: %w", err)
			p.log.Error("aidr can not go on", "error", p.lost)
			return 0, false
		}
		if p.waiting != err.Error() {
			p.log.Warn("another process still has the state directory: waiting for it", "error", err)
		}
		p.waiting = err.Error()
		p.mu.Unlock()
		time.Sleep(lockRetry)
		p.mu.Lock()
	}
	if p.engine == nil {
		return 0, false
	}
	p.active[part] = true
	return p.engine.Assigned(part)
}

func (r *reader) Read(ctx context.Context, b *connectors.Batch) error {
	for {
		r.p.mu.RLock()
		e, lost := r.p.engine, r.p.lost
		r.p.mu.RUnlock()
		if e == nil {
			return errors.Join(errors.New("the engine is not open"), lost)
		}
		err := e.Read(ctx, b)
		if !errors.Is(err, engine.ErrStopped) {
			return err
		}
		r.p.mu.RLock() // while the engine is swapped or closed
		same := r.p.engine == e
		r.p.mu.RUnlock()
		if same {
			return err
		}
	}
}

func (r *reader) Revoked(ctx context.Context, part connectors.Partition) error {
	p := r.p
	p.mu.RLock()
	e := p.engine
	p.mu.RUnlock()
	var err error
	if e != nil {
		err = e.Revoked(ctx, part)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.active, part)
	if e == nil || len(p.active) > 0 || p.stopping || p.engine != e {
		return err
	}
	return errors.Join(err, p.close())
}

func (r *reader) Standby(source, why string) {
	r.p.mu.Lock()
	defer r.p.mu.Unlock()
	if r.p.engine != nil {
		r.p.engine.Standby(source, why)
	}
	if why != "" && r.p.engine == nil {
		r.p.waiting = "standby: " + why
		r.p.log.Info("waiting as standby", "source", source, "reason", why)
	}
}

// now is the wall clock of start and health; nothing that is detected depends on it.
func now() time.Time { return time.Now() }
