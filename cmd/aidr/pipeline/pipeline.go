// Package pipeline turns a configuration into a running engine: sources, rules, store, deliverer, sinks, the control
// API and the listener for metrics and health.
//
// The state directory is opened when the first partition is assigned. When the last one is taken away it stays open, so
// that findings are delivered while the brokers are away, until somebody else may need it: another member of the group
// reads, or another process asks for it (see wanted). So of several processes of one consumer group one reads and the
// others wait, and they may share a state directory.
package pipeline

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/aidr-engine/aidr/cmd/aidr/config"
	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/connectors/maxmind"
	"github.com/aidr-engine/aidr/engine"
	"github.com/aidr-engine/aidr/engine/deliver"
	"github.com/aidr-engine/aidr/rules"
)

// Options of a pipeline.
type Options struct {
	Log     *slog.Logger
	Version string
	// Committed is told of the changes of findings in each checkpoint; may be nil. It must not block.
	Committed func([]connectors.Entry)
}

// headerTime bounds how long a client of one of our listeners may take to ask.
const headerTime = 10 * time.Second

// noPartition is why the engine is not open while there is nothing to read.
const noPartition = "no partition is assigned"

// Pipeline is one configured aidr. Run it once.
//
// life is held for writing while the engine is opened, closed or replaced, which may take long, and for reading by who
// needs it to live on meanwhile. mu is held for moments only: Status and the listener's answers take no other lock, so
// that they never wait. Where both are taken, life comes first; what mu guards is written only with life held too, but
// for the last group.
type Pipeline struct {
	cfg      *config.Config
	o        Options
	log      *slog.Logger
	registry *prometheus.Registry
	metrics  *engine.Metrics
	reloads  *prometheus.CounterVec
	inputs   []engine.Input
	sinks    []connectors.Sink
	places   *maxmind.Database // nil: addresses are not enriched
	started  time.Time

	reloading sync.Mutex // one reload at a time
	life      sync.RWMutex
	active    map[connectors.Partition]bool // guarded by life

	mu     sync.Mutex
	set    *Set
	engine *engine.Engine // nil: not open
	opened *opened        // nil: not open; it outlives the engine by the time that draining takes

	rules    health            // of the last reload
	waiting  string            // why the engine is not open
	worked   bool              // it was open before
	idle     bool              // the engine is open, and there is nothing to read
	standby  map[string]string // source -> why it does not read
	stopping bool
	lost     error // what ended Run
	cancel   context.CancelFunc
}

// New builds everything that needs no connection. It returns all that is wrong with the configuration.
func New(cfg *config.Config, o Options) (*Pipeline, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	p := &Pipeline{
		cfg: cfg, o: o, log: o.Log, registry: prometheus.NewRegistry(), started: now(),
		active: map[connectors.Partition]bool{}, standby: map[string]string{}, waiting: noPartition,
	}
	p.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), componentCollector{p})
	p.metrics = engine.NewMetrics(p.registry)
	p.reloads = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "aidr_rules_reloads_total", Help: "Reloads of the rules: ok, or failed, which leaves the old ones running (see /readyz).",
	}, []string{"result"})
	p.registry.MustRegister(p.reloads)
	for _, result := range []string{"ok", "failed"} {
		p.reloads.WithLabelValues(result) // so that the first failure is seen as a change
	}
	set, problems := LoadRules(p.ruleFiles())
	var errs []error
	for _, x := range problems {
		if x.Warning {
			p.log.Warn("a rule file has a warning", "problem", x.String())
		}
	}
	if set == nil {
		errs = problemErrors(problems)
	}
	p.set = set
	p.rules.set(nil)
	mapped, err := loadMaps(cfg, p.log)
	if err != nil {
		errs = append(errs, err)
	}
	if p.inputs, err = buildInputs(cfg, mapped, o.Log); err != nil {
		errs = append(errs, err)
	}
	if p.places, err = openPlaces(cfg, p.log); err != nil {
		errs = append(errs, err)
	}
	finishEvents(cfg, p.places, p.inputs)
	if p.sinks, err = buildSinks(cfg); err != nil {
		errs = append(errs, err)
	}
	if len(errs) > 0 {
		return nil, errors.Join(append(errs, p.closeSinks())...)
	}
	return p, nil
}

func (p *Pipeline) ruleFiles() RuleFiles {
	return RuleFiles{Paths: p.cfg.Rules, Lists: p.cfg.Lists, Agents: p.cfg.Agents}
}

// problemErrors returns the problems that are no warnings as errors.
func problemErrors(problems []rules.Problem) (errs []error) {
	for _, x := range problems {
		if !x.Warning {
			errs = append(errs, errors.New(x.String()))
		}
	}
	return errs
}

// Run reads until ctx ends or every source has ended by itself; then it makes a last checkpoint and drains the sinks.
func (p *Pipeline) Run(ctx context.Context) (err error) {
	defer func() { err = errors.Join(err, p.closeSinks()) }()
	web, err := p.listen()
	if err != nil {
		return err
	}
	defer web.Close()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	p.mu.Lock()
	p.cancel = cancel
	p.mu.Unlock()
	defer context.AfterFunc(ctx, p.stop)()
	p.log.Info("aidr starts", "version", p.o.Version, "rules", p.Status().Rules, "sources", len(p.inputs), "sinks", len(p.sinks), "state", p.cfg.State.Dir)
	endReloads := p.watch(ctx)
	endWatches := p.watchSinks()
	defer endWatches()
	defer p.watchWanted()()
	err = engine.RunSources(ctx, &reader{p, ctx}, p.inputs)
	p.stop()
	endReloads()
	p.life.Lock()
	defer p.life.Unlock()
	err = errors.Join(err, p.lost, p.close(deliver.DrainTime))
	p.log.Info("aidr stops")
	return err
}

// stop has /readyz say that the end has begun.
func (p *Pipeline) stop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stopping = true
}

// watchSinks lets sinks look after their destination while nothing is delivered: to make its schema, and to know how it
// is; and enrichment after its files. stop ends that and waits for it.
func (p *Pipeline) watchSinks() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	if p.places != nil {
		all.Go(func() { p.places.Watch(ctx) })
	}
	for _, s := range p.sinks {
		if watch := s.Profile().Watch; watch != nil {
			all.Go(func() { watch(ctx) })
		}
	}
	return func() {
		cancel()
		all.Wait()
	}
}

func (p *Pipeline) closeSinks() (err error) {
	for _, s := range p.sinks {
		err = errors.Join(err, s.Close())
	}
	return err
}

// now is the wall clock of start and health; nothing that is detected depends on it.
func now() time.Time { return time.Now() }
