package pipeline

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/aidr-engine/aidr/cmd/aidr/access"
	"github.com/aidr-engine/aidr/cmd/aidr/api"
	"github.com/aidr-engine/aidr/cmd/aidr/config"
	"github.com/aidr-engine/aidr/cmd/aidr/metrics"
	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/engine"
	"github.com/aidr-engine/aidr/engine/budget"
	"github.com/aidr-engine/aidr/engine/clock"
	"github.com/aidr-engine/aidr/engine/contain"
	"github.com/aidr-engine/aidr/engine/deliver"
	"github.com/aidr-engine/aidr/engine/item"
	"github.com/aidr-engine/aidr/engine/store"
	"github.com/aidr-engine/aidr/engine/triage"
	"github.com/aidr-engine/aidr/schema"
	"github.com/aidr-engine/aidr/schema/content"
)

const (
	// stopTime bounds the last checkpoint. Draining the sinks has a time limit of its own.
	stopTime = 10 * time.Second
	// handoverTime is how long the sinks may drain if another process takes the partitions. It is short because that
	// process waits for the state directory, and will deliver the remaining entries itself.
	handoverTime = 2 * time.Second
)

// opened is the open state directory with the parts that use it, except the engine, which a reload replaces.
type opened struct {
	store     *store.Store
	contain   *contain.Table
	triage    *triage.Table
	deliverer *deliver.Deliverer
	outbox    *metrics.Registry // metrics of the store and the deliverer
	api       *api.API
	callbacks http.Handler
	feeds     []*feed       // the internal sources of the engine; guarded by mu
	links     *access.Links // nil: deliveries have no signed addresses
	control   *api.Server   // of the unix socket
}

// open opens the state directory and starts the engine. Its caller holds life for writing.
func (p *Pipeline) open() error {
	s, err := store.Open(p.cfg.State.Dir, store.Options{
		OutboxCap: p.cfg.State.Outbox, FindingsKeep: p.cfg.State.FindingsKeep, Cache: budget.Cache(cmp.Or(p.cfg.Memory, budget.Default)),
		Logf: func(format string, args ...any) { p.log.Warn(fmt.Sprintf(format, args...)) },
	})
	if err != nil {
		return err
	}
	if _, _, known, err := s.Last(); err == nil && !known {
		p.log.Info("new state directory: reading starts at the committed positions, and findings then carry warming_until, "+
			"or at `start` if there are none", "dir", p.cfg.State.Dir)
	}
	p.setWaiting("reading the checkpoint")
	o := &opened{store: s, outbox: metrics.NewRegistry()}
	o.outbox.MustRegister(metrics.OfStore(s))
	if o.triage, err = triage.Open(s, clock.Wall(), func() { o.deliverer.Notify() }); err != nil {
		return errors.Join(err, s.Close())
	}
	o.outbox.MustRegister(metrics.Held(o.triage.Held))
	o.deliverer, err = deliver.New(deliver.Options{
		Store: s, Sinks: p.sinks, Log: p.log, Registry: o.outbox, Dead: p.metrics.Dead, Agent: p.completeAgent, Holds: o.triage.Holds, Rules: p.ruleInfos,
		Trace: p.trace,
	})
	if err != nil {
		return errors.Join(err, s.Close())
	}
	if o.contain, err = contain.New(s, contain.Options{Policy: p.live.Load().Response.Policy(), Log: p.log}); err != nil {
		return errors.Join(err, s.Close())
	}
	if err := p.confirmFirst(o.contain); err != nil {
		return errors.Join(err, s.Close())
	}
	e, err := p.newEngine(o, p.live.Load(), p.set, p.inputs)
	if err != nil {
		return errors.Join(err, s.Close())
	}
	p.auditSetup(s, p.live.Load(), p.set)
	o.api = api.Handler(s, p.runtime())
	o.callbacks = p.callbacks(o.api)
	if p.cfg.Links.Callbacks != "" {
		if o.links, err = o.api.Links(); err != nil {
			return errors.Join(err, e.Stop(context.Background()), s.Close())
		}
	}
	if o.control, err = p.openControl(o.api); err != nil {
		return errors.Join(err, e.Stop(context.Background()), s.Close())
	}
	o.deliverer.Start()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.opened, p.engine, p.waiting, p.wasOpen = o, e, "", true
	p.table.Store(o.contain)
	p.removeRequest()
	return nil
}

// newEngine starts an engine on the open state directory. The engine resumes at the last checkpoint.
func (p *Pipeline) newEngine(o *opened, cfg *config.Config, set *Set, inputs []engine.Input) (*engine.Engine, error) {
	o.contain.SetDirectory(engine.NewDirectory(set, nil, clock.Wall()))
	feeds := p.feedsOf(set)
	inputs = slices.Clip(inputs)
	for _, f := range feeds {
		inputs = append(inputs, f.input())
	}
	var missing func(time.Time) (bool, time.Time, string)
	if p.canary != nil {
		missing = func(now time.Time) (bool, time.Time, string) { return p.canary.observe(o.store, now) }
	}
	e, err := engine.New(engine.Options{
		Set: set, Replaces: p.engine, Inputs: inputs, Store: o.store, Cores: p.opts.Cores, Shards: cfg.Shards, CheckpointEvery: cfg.State.CheckpointEvery,
		CacheCells: cfg.State.Cells, Memory: cfg.Memory, Log: p.log, Metrics: p.metrics, Redact: content.Redact, Redaction: cfg.Redact, Contain: o.contain,
		Guide: p.guides(cfg, set), Inventory: true, Rows: deliver.WantsRows(p.sinks), RowsCommitted: o.deliverer.NotifyRows, Archive: archiveOf(cfg),
		Canary: missing, Trace: p.trace, Look: p.events.look,
		Committed: func(entries []connectors.Entry) {
			o.deliverer.Notify()
			if p.canary != nil {
				p.canary.committed(entries)
			}
			if p.opts.Committed != nil {
				p.opts.Committed(entries)
			}
		},
	})
	p.mu.Lock()
	o.feeds = feeds
	p.mu.Unlock()
	if err == nil { // from now on containments know credentials, their users and the calls of an hour
		o.contain.SetDirectory(engine.NewDirectory(set, e.Inventory(), clock.Wall()))
	}
	return e, err
}

func (p *Pipeline) openControl(h *api.API) (*api.Server, error) {
	l, err := api.Listen(p.cfg.State.Dir)
	if err != nil {
		return nil, err
	}
	server := api.NewServer(h, api.ServerOptions{Log: p.log, Refused: p.registry.Refused("control")})
	go server.Serve(l, "control")
	return server, nil
}

// close makes a last checkpoint, drains the sinks for at most the given time, and closes the state directory. Its caller
// holds life for writing, but not mu, so that /readyz still answers.
func (p *Pipeline) close(drain time.Duration) error {
	o, e := p.opened, p.engine
	if o == nil {
		return nil
	}
	p.mu.Lock()
	p.engine, p.waiting = nil, "making the last checkpoint and draining the sinks"
	p.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), stopTime)
	defer cancel()
	err := e.Stop(ctx)
	end, stop := context.WithTimeout(context.Background(), drain)
	defer stop()
	if left := o.deliverer.Drain(end); left != nil {
		p.log.Warn("some sinks were not drained in time", "reason", left)
	}
	p.mu.Lock()
	p.table.Store(nil)
	p.opened, p.waiting, p.idle = nil, noPartition, false
	p.mu.Unlock()
	o.control.Close() // only now, so that it answered while the sinks were drained
	clear(p.active)
	return errors.Join(err, o.store.Close())
}

// runtime returns the functions by which the control API queries the running process. They hold life for reading while
// they use the engine, so that it is not closed during the call.
func (p *Pipeline) runtime() api.Runtime {
	rt := p.readers()
	if p.cfg.Console.Drafts != "" {
		rt.DraftRule = p.draftRule
	}
	return rt
}

// readers returns the functions that do not depend on the configuration.
func (p *Pipeline) readers() api.Runtime {
	return api.Runtime{
		Status: p.Status, State: p.state, Export: p.exportState, ClearState: p.clearState, Try: p.tryItems,
		ReplayDead: p.replayDead, EnableSink: p.enableSink, Containment: p.containment, Ledger: p.ledger,
		Inventory: p.inventory, Agent: p.completeAgent, Refused: p.registry.ControlRefused, Log: p.log,
		Rules: p.ruleViews, Coverage: p.coverage, TailEvents: p.events.follow, History: p.history(), RuleText: p.ruleText, TryRule: p.tryRule, Raw: p.rawRecord, Labels: p.hostLabels, ConsoleLink: p.ConsoleLink,
		Triage: p.triage, Canary: p.canaryStatus, SendCanary: p.sendCanary,
		Metrics: p.metricsHandler(), LogTail: p.opts.LogTail,
	}
}

func (p *Pipeline) ledger() (*engine.Ledger, error) {
	p.life.RLock()
	defer p.life.RUnlock()
	if p.engine == nil {
		return nil, api.ErrNoProcess
	}
	return p.engine.Ledger(), nil
}

func (p *Pipeline) state(ctx context.Context, rule string, key map[string]string) (any, error) {
	p.life.RLock()
	defer p.life.RUnlock()
	if p.engine == nil {
		return nil, api.ErrNoProcess
	}
	return p.engine.State(ctx, rule, key)
}

// inventory returns the inventory of the engine. It outlives the engine, as the store does.
func (p *Pipeline) inventory() (*engine.Inventory, error) {
	p.life.RLock()
	defer p.life.RUnlock()
	if p.engine == nil {
		return nil, api.ErrNoProcess
	}
	return p.engine.Inventory(), nil
}

// completeAgent completes the row of an agent by the registry.
func (p *Pipeline) completeAgent(a *schema.Agent) {
	p.mu.Lock()
	set := p.set
	p.mu.Unlock()
	a.Owner, a.Registered = set.Registration(a.AgentUID)
}

// exportState passes on the State of the store. It holds life only until it
// has the rules: a reload must not wait for a slow reader, and the store outlives the engine.
func (p *Pipeline) exportState(_ *store.Store, rule string, yield func(*engine.KeyLine) bool) error {
	p.life.RLock()
	e := p.engine
	p.life.RUnlock()
	if e == nil {
		return api.ErrNoProcess
	}
	return e.Export(rule, yield)
}

func (p *Pipeline) tryItems(ctx context.Context, _ *store.Store, rule string, items []item.Item) ([]engine.Trial, error) {
	p.life.RLock()
	defer p.life.RUnlock()
	if p.engine == nil {
		return nil, api.ErrNoProcess
	}
	return p.engine.Try(ctx, rule, items)
}

func (p *Pipeline) clearState(ctx context.Context, rule string, key map[string]string, who, reason string) (*store.AuditEntry, error) {
	p.life.RLock()
	defer p.life.RUnlock()
	if p.engine == nil {
		return nil, api.ErrNoProcess
	}
	return p.engine.ClearState(ctx, rule, key, who, reason)
}

// replayDead submits dead letters again: records to the engine, rows and deliveries to their sinks. It deletes those for
// which that works.
func (p *Pipeline) replayDead(ctx context.Context, letters []*store.DeadLetter) []api.Replayed {
	p.life.RLock()
	defer p.life.RUnlock()
	out := make([]api.Replayed, len(letters))
	var records []int // the records that were decoded, as indexes of letters
	for i, l := range letters {
		out[i] = api.Replayed{Seq: l.Seq}
		result, err := p.replayOne(ctx, l)
		if err != nil {
			out[i].Error = err.Error()
		} else if out[i].Result = result; l.Kind == schema.DeadRecord {
			records = append(records, i)
		}
	}
	if len(records) == 0 {
		return out
	}
	// The checkpoint makes the outcome durable before the letters are deleted. A crash in between duplicates the records
	// and does not lose them.
	err := p.engine.Checkpoint(ctx)
	if err != nil {
		err = fmt.Errorf("make the replayed records durable: %w: the dead letters are kept", err)
	} else {
		seqs := make([]uint64, len(records))
		for n, i := range records {
			seqs[n] = letters[i].Seq
		}
		_, err = p.opened.store.DropDeadLetters(seqs...)
	}
	for _, i := range records {
		if err != nil {
			out[i].Result, out[i].Error = "", err.Error()
		}
	}
	return out
}

// replayOne submits one dead letter again. Its caller holds life.
func (p *Pipeline) replayOne(ctx context.Context, l *store.DeadLetter) (string, error) {
	if p.engine == nil {
		return "", api.ErrNoProcess
	}
	if l.Kind == schema.DeadRecord {
		return p.engine.ReplayRecord(ctx, l)
	}
	if err := p.opened.deliverer.Requeue(l.Seq); err != nil {
		return "", err
	}
	return "handed to " + l.Sink + " again", nil
}

// canaryStatus returns the state of the canary, nil if there is no canary.
func (p *Pipeline) canaryStatus() *api.Canary {
	p.mu.Lock()
	o := p.opened
	p.mu.Unlock()
	if p.canary == nil || o == nil {
		return nil
	}
	s := p.canary.status(o.store)
	return &s
}

// sendCanary makes the next event of the canary come at once.
func (p *Pipeline) sendCanary() {
	if p.canary != nil {
		p.canary.send()
	}
}

// triage returns the triage of findings of the open state directory.
func (p *Pipeline) triage() (*triage.Table, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.opened == nil {
		return nil, api.ErrNoProcess
	}
	return p.opened.triage, nil
}

// containment returns the containment table of the open state directory. It answers while the engine is being replaced too: a
// change then counts at once, and is durable with the next engine's first checkpoint.
func (p *Pipeline) containment() (*contain.Table, func(context.Context) error, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.opened == nil {
		return nil, nil, api.ErrNoProcess
	}
	return p.opened.contain, p.checkpoint, nil
}

// checkpoint makes everything durable that was read or changed.
func (p *Pipeline) checkpoint(ctx context.Context) error {
	p.life.RLock()
	defer p.life.RUnlock()
	if p.engine == nil {
		return api.ErrNoProcess
	}
	return p.engine.Checkpoint(ctx)
}

// enableSink makes a disabled sink try again.
func (p *Pipeline) enableSink(name string) (changed bool, err error) {
	p.life.RLock()
	defer p.life.RUnlock()
	if p.opened == nil {
		return false, api.ErrNoProcess
	}
	return p.opened.deliverer.Enable(name)
}
