// Package pipeline turns a configuration into a running engine: sources, rules, store, deliverer, sinks, the control
// API and the listener for metrics and health.
//
// The state directory is opened when the first partition is assigned. When the last partition is revoked it stays open,
// so that findings are still delivered while the brokers are unreachable. It is closed once another process may need it:
// another member of the consumer group reads, or another process requests it (see wantedFile). Of several processes in
// one consumer group, one therefore reads while the others wait, and all of them may share one state directory.
package pipeline

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aidr-engine/aidr/cmd/aidr/config"
	"github.com/aidr-engine/aidr/cmd/aidr/console"
	"github.com/aidr-engine/aidr/cmd/aidr/metrics"
	"github.com/aidr-engine/aidr/cmd/aidr/telemetry"
	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/connectors/maxmind"
	"github.com/aidr-engine/aidr/engine"
	"github.com/aidr-engine/aidr/engine/contain"
	"github.com/aidr-engine/aidr/engine/deliver"
	"github.com/aidr-engine/aidr/rules"
	"github.com/aidr-engine/aidr/schema"
)

// Options are the settings of a Pipeline that are not in the configuration.
type Options struct {
	Log     *slog.Logger // nil: nothing is logged
	Version string
	// Committed is called with the finding changes of each checkpoint. It may be nil, and must not block.
	Committed func([]connectors.Entry)
	// Load reads the configuration again, for SIGHUP. If it is nil, SIGHUP reloads the rules and field maps alone.
	Load func() (*config.Config, error)
	// LogTail returns the end of the log, for aidr doctor. It may be nil.
	LogTail func() []byte
	// Cores is the number of cores that the engine may keep busy; 0: GOMAXPROCS.
	Cores int
}

// writeTime is the time from a request to http.listen to the end of the response. A profile must be shorter.
const writeTime = time.Minute

// noPartition is the reason shown for a closed or idle engine while there is nothing to read.
const noPartition = "no partition is assigned"

// Pipeline is one configured aidr. Run it once.
//
// life is write-locked while the engine is opened, closed or replaced, which may take seconds, and read-locked by callers
// that need the engine to stay. mu is held only briefly: Status and the handlers of the listener take no other lock, so
// they never wait for the engine. Lock order: life, then mu. The fields guarded by mu are written only while life is held
// as well, except those of the last group.
type Pipeline struct {
	cfg        *config.Config                // of the start: the parts of it that a reload cannot change still hold
	live       atomic.Pointer[config.Config] // cfg with the parts of it that were reloaded since
	opts       Options
	log        *slog.Logger
	registry   *metrics.Process
	telemetry  *telemetry.Telemetry // nil: off
	trace      connectors.Trace     // nil: off
	metrics    *engine.Metrics
	settings   configMetrics
	inputs     []engine.Input // guarded by mu once Run has started; a reload replaces them
	sinks      []connectors.Sink
	enrichment *maxmind.Database // nil: addresses are not enriched
	console    *console.Console  // nil: it is not configured
	canary     *canary           // nil: there is none
	events     *events
	trying     sync.Mutex  // one trial of a rule at a time
	serverTLS  *tls.Config // nil: the listener for metrics and health speaks plain HTTP
	started    time.Time

	reloading sync.Mutex // one reload at a time, which has kept
	kept      kept

	table atomic.Pointer[contain.Table] // of opened; nil: not open

	compacting sync.WaitGroup // of Sets
	life       sync.RWMutex
	active     map[connectors.Partition]bool // guarded by life

	mu     sync.Mutex
	set    *Set
	engine *engine.Engine // nil: not open
	opened *opened        // nil: not open; stays set while the sinks drain, after engine has become nil

	activities []rules.RuleActivity // of set with inputs

	rules       health            // outcome of the last reload
	config      health            // outcome of the last reload of the configuration
	restart     []string          // keys of the configuration file that have changed and need a restart
	waiting     string            // why the engine is not open
	wasOpen     bool              // the engine has been open at least once
	idle        bool              // the engine is open, but no partition is assigned
	standby     map[string]string // source name -> why it does not read
	stopping    bool
	consoleOpen bool  // the console has its listener
	failure     error // the error that ended Run
	cancel      context.CancelFunc

	controlAddress net.Addr // of control.listen; nil: not open
}

// New builds everything that needs no connection. Its error holds every problem of the configuration.
func New(cfg *config.Config, opts Options) (*Pipeline, error) {
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	p := &Pipeline{
		cfg: cfg, opts: opts, log: opts.Log, started: now(),
		active: map[connectors.Partition]bool{}, standby: map[string]string{}, waiting: noPartition,
	}
	p.live.Store(cfg)
	p.events = newEvents(func(out, e *schema.Event) { Expose(out, e, p.live.Load().Redact) })
	var endpoints []string
	for _, w := range cfg.Sinks.Webhooks {
		endpoints = append(endpoints, w.Name)
	}
	p.registry = metrics.New(opts.Version, endpoints, p.started)
	p.registry.MustRegister(componentCollector{p}, registryCollector{p}, ruleCollector{p})
	p.metrics = engine.NewMetrics(p.registry)
	p.settings = newConfigMetrics(p.registry)
	p.kept.rules = new(rules.Kept)
	p.canary = newCanary(cfg.Canary, now)
	files := p.ruleFiles(cfg)
	files.Kept = p.kept.rules
	set, problems := LoadRules(files)
	var errs []error
	p.logWarnings(problems)
	if set == nil {
		errs = problemErrors(problems)
	}
	p.set = set
	p.rules.set(nil)
	p.config.set(nil)
	mapped, err := loadMaps(cfg, p.log)
	if err != nil {
		errs = append(errs, err)
	} else {
		p.logNotes(cfg, mapped)
	}
	if p.inputs, err = buildInputs(cfg, mapped, opts.Log); err != nil {
		errs = append(errs, err)
	}
	if p.enrichment, err = openEnrichment(cfg, p.log); err != nil {
		errs = append(errs, err)
	}
	addToDecoding(cfg, p.enrichment, p.inputs)
	if p.sinks, err = buildSinks(cfg, p.webhookLinks(), p.log, p.registry.WebhookAttempt, p.attempted); err != nil {
		errs = append(errs, err)
	}
	if p.serverTLS, err = loadTLS(cfg.HTTP.TLS, p.log); err != nil {
		errs = append(errs, err)
	}
	if p.console, err = p.newConsole(); err != nil {
		errs = append(errs, err)
	}
	if len(errs) > 0 {
		return nil, errors.Join(append(errs, p.closeSinks())...)
	}
	if err := p.startTelemetry(); err != nil {
		return nil, errors.Join(err, p.closeSinks())
	}
	p.useRules()
	return p, nil
}

// ruleFiles returns the files of the rules that run, with that of the canary.
func (p *Pipeline) ruleFiles(cfg *config.Config) RuleFiles {
	f := ruleFiles(cfg)
	if p.canary != nil {
		f.Extra = []rules.Folder{p.canary.folder()}
	}
	return f
}

func ruleFiles(cfg *config.Config) RuleFiles {
	return RuleFiles{Paths: cfg.Rules, Lists: cfg.Lists, Agents: cfg.Agents, Maps: cfg.Maps}
}

// maxWarnings is the number of warnings of rule files that are logged; `aidr rules check` shows all of them.
const maxWarnings = 100

// logWarnings logs the warnings among the problems of rule files.
func (p *Pipeline) logWarnings(problems []rules.Problem) {
	n := 0
	for i := range problems {
		if !problems[i].Warning {
			continue
		}
		if n++; n <= maxWarnings {
			p.log.Warn("warning in a rule file", "problem", problems[i].String())
		}
	}
	if n > maxWarnings {
		p.log.Warn("more warnings in rule files: aidr rules check shows them", "more", n-maxWarnings)
	}
}

// problemErrors returns the problems that are not warnings as errors.
func problemErrors(problems []rules.Problem) (errs []error) {
	for _, x := range problems {
		if !x.Warning {
			errs = append(errs, errors.New(x.String()))
		}
	}
	return errs
}

// Run reads until ctx is done or every source has ended. It then makes a last checkpoint and drains the sinks.
func (p *Pipeline) Run(ctx context.Context) (err error) {
	defer func() { err = errors.Join(err, p.closeSinks()) }()
	defer p.telemetry.Close()
	web, err := p.listen()
	if err != nil {
		return err
	}
	defer web.Close()
	gateways, err := p.listenDecisions()
	if err != nil {
		return err
	}
	if gateways != nil {
		defer gateways.Close()
	}
	control, err := p.listenControl()
	if err != nil {
		return err
	}
	if control != nil {
		defer control.Close()
	}
	stopConsole, err := p.listenConsole()
	if err != nil {
		return err
	}
	defer stopConsole()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	p.mu.Lock()
	p.cancel = cancel
	p.mu.Unlock()
	defer context.AfterFunc(ctx, p.stop)()
	if len(p.sinks) == 0 {
		p.log.Warn(noSink)
	}
	p.log.Info("aidr starts", "version", p.opts.Version, "rules", p.Status().Rules,
		"sources", len(p.inputs), "sinks", len(p.sinks), "state", p.cfg.State.Dir)
	if p.canHandOver() {
		p.log.Info("a standby has to share this state directory: one that takes over with a directory of its own knows no earlier events",
			"state", p.cfg.State.Dir)
	}
	endReloads := p.watch(ctx)
	endWatches := p.watchSinks()
	defer endWatches()
	defer p.watchRequests()()
	endFeeds := p.runFeeds(ctx)
	err = engine.RunSources(ctx, &reader{p, ctx}, p.inputs)
	p.stop()
	endFeeds()
	endReloads()
	p.compacting.Wait()
	p.life.Lock()
	defer p.life.Unlock()
	err = errors.Join(err, p.failure, p.close(deliver.DrainTime))
	p.log.Info("aidr stops")
	return err
}

// stop marks the pipeline as stopping, which /readyz reports and which keeps the engine from being opened again.
func (p *Pipeline) stop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stopping = true
}

// watchSinks runs the Watch method of each sink that has one: it creates the schema of the destination and checks the
// destination's health while nothing is delivered. It also watches the files of the enrichment. stop ends the watches and
// waits for them.
func (p *Pipeline) watchSinks() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	if p.enrichment != nil {
		all.Go(func() { p.enrichment.Watch(ctx) })
	}
	for _, s := range p.sinks {
		if watch := s.Profile().Watch; watch != nil {
			all.Go(func() { watch(ctx) })
		}
	}
	all.Go(func() { p.logSinks(ctx) })
	return func() {
		cancel()
		all.Wait()
	}
}

// healthEvery is how often the health of the sinks is looked at for the log while the state directory is not open.
const healthEvery = 5 * time.Second

// logSinks logs when a sink becomes unhealthy or healthy while the state directory is not open. While it is open, the
// deliverer does that.
func (p *Pipeline) logSinks(ctx context.Context) {
	tick := time.NewTicker(healthEvery)
	defer tick.Stop()
	failing := map[string]bool{}
	for {
		p.mu.Lock()
		open := p.opened != nil
		p.mu.Unlock()
		for _, s := range p.sinks {
			h := s.Health()
			switch {
			case h.Degraded == failing[s.Name()]:
				continue
			case open:
			case h.Degraded:
				p.log.Warn("sink failed, retrying", "sink", s.Name(), "state", deliver.SinkDegraded, "error", h.Reason)
			default:
				p.log.Info("sink works again", "sink", s.Name())
			}
			failing[s.Name()] = h.Degraded
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (p *Pipeline) closeSinks() (err error) {
	for _, s := range p.sinks {
		err = errors.Join(err, s.Close())
	}
	return err
}

// now reads the wall clock, for start times and health only: no detection depends on it.
func now() time.Time { return time.Now() }
