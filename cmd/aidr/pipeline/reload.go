package pipeline

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/aidr-engine/aidr/cmd/aidr/api"
	"github.com/aidr-engine/aidr/cmd/aidr/config"
	"github.com/aidr-engine/aidr/cmd/aidr/maps"
	"github.com/aidr-engine/aidr/cmd/aidr/metrics"
	"github.com/aidr-engine/aidr/engine"
	"github.com/aidr-engine/aidr/engine/cases"
	"github.com/aidr-engine/aidr/rules"
	"github.com/aidr-engine/aidr/schema"
	"github.com/aidr-engine/aidr/schema/decode"
)

// Reload reads the rules and the field maps again and replaces the current ones between two batches. On any error, or if
// a test in one of the files fails, the old ones keep running, and the log, /readyz and /metrics report the failure.
func (p *Pipeline) Reload(ctx context.Context) error { return p.reloadChanged(ctx, nil) }

// reloadChanged is Reload if only files with the given paths may have changed; nil: any file.
func (p *Pipeline) reloadChanged(ctx context.Context, changed []string) error {
	p.reloading.Lock()
	defer p.reloading.Unlock()
	return p.reloadWith(ctx, p.live.Load(), changed)
}

// kept is the part of a reload that the next one need not repeat.
type kept struct {
	rules    *rules.Kept
	maps     *maps.Set // of the last reload; nil: none, or it was with other folders
	folders  []string  // of the maps
	families map[string][]string
	tested   map[string]bool // by testKey: the tests of the rule pass with these maps, and at the site of set
	set      *Set
}

// mapsFor returns the maps of a configuration. fresh is false if they are those of the last reload.
func (k *kept) mapsFor(cfg *config.Config, changed []string, log *slog.Logger) (set *maps.Set, fresh bool, err error) {
	of := func(path string) bool {
		return slices.ContainsFunc(cfg.Maps, func(folder string) bool {
			rel, err := filepath.Rel(folder, path)
			return err != nil || filepath.IsLocal(rel)
		})
	}
	if k.maps != nil && changed != nil && slices.Equal(k.folders, cfg.Maps) && !slices.ContainsFunc(changed, of) {
		return k.maps, false, nil
	}
	k.maps, k.tested = nil, nil
	if set, err = loadMaps(cfg, log); err != nil {
		return nil, true, err
	}
	k.maps, k.folders, k.families = set, slices.Clone(cfg.Maps), decode.Families(set.Maps()...)
	return set, true, nil
}

// testKey returns a text that is equal for rules whose tests have the same outcome with the same maps, lists and registry.
func testKey(r *rules.Rule) string {
	key := string(r.Digest[:])
	if r.Over != nil {
		for _, f := range r.Over.Feeding {
			key += testKey(f)
		}
	}
	return key
}

// reloadWith is Reload with the given configuration, which becomes the current one. reloading is locked.
func (p *Pipeline) reloadWith(ctx context.Context, cfg *config.Config, changed []string) error {
	err := p.reload(ctx, cfg, changed)
	if errors.Is(err, errStopping) || err != nil && ctx.Err() != nil {
		return err // not a problem of the rules
	}
	p.mu.Lock()
	p.rules.set(err)
	set := p.set
	n := set.NumActive()
	p.mu.Unlock()
	p.registry.Reloaded(metrics.Rules, now(), err)
	if err != nil {
		p.log.Error("reload failed, the old rules keep running", "error", err)
		return err
	}
	p.log.Info("rules reloaded", "rules", n)
	p.useRules()
	p.compacting.Go(set.Compact) // the engine works with either index
	return nil
}

func (p *Pipeline) reload(ctx context.Context, cfg *config.Config, changed []string) (err error) {
	mapped, fresh, err := p.kept.mapsFor(cfg, changed, p.log)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil && fresh { // their tests may not have run
			p.kept.maps = nil
		}
	}()
	files := p.ruleFiles(cfg)
	files.Kept, files.Changed, files.Families = p.kept.rules, changed, p.kept.families
	set, problems := LoadRules(files)
	if set == nil {
		return errors.Join(problemErrors(problems)...)
	}
	p.logWarnings(problems)
	inputs, err := p.reloadInputs(cfg, mapped, fresh)
	if err != nil {
		return err
	}
	if p.kept.set == nil || !set.SharesSite(p.kept.set) {
		p.kept.tested = nil
	}
	p.kept.set = set
	if p.kept.tested, err = testRules(ctx, set, mapped, p.kept.tested); err != nil {
		return err
	}
	p.life.Lock()
	defer p.life.Unlock()
	if p.isStopping() {
		return errStopping
	}
	if p.engine != nil {
		return p.swap(ctx, cfg, set, inputs)
	}
	p.mu.Lock()
	p.set, p.inputs = set, inputs
	p.mu.Unlock()
	p.live.Store(cfg)
	return nil
}

// testRules runs the tests in the rule files whose outcome is not known. tested holds the rules of which all tests pass, by
// testKey, and so does the result. The error holds every test that fails.
func testRules(ctx context.Context, set *Set, mapped *maps.Set, tested map[string]bool) (passed map[string]bool, err error) {
	passed = map[string]bool{}
	var todo []*rules.Rule
	for _, r := range set.Rules {
		if len(r.Tests) == 0 {
			continue
		}
		if key := testKey(r); tested[key] {
			passed[key] = true
		} else {
			todo = append(todo, r)
		}
	}
	var failed []error
	err = cases.RunOf(ctx, set, todo, func(r cases.Result) {
		if r.Diff != "" {
			failed = append(failed, fmt.Errorf("%s:%d: rule %q: test %q fails: %s", r.File, r.Line, r.Rule, r.Test, r.Diff))
		}
	}, mapped.Maps()...)
	if err := errors.Join(append(failed, err)...); err != nil {
		return tested, err
	}
	for _, r := range todo {
		passed[testKey(r)] = true
	}
	return passed, nil
}

// swap stops the engine with a checkpoint and starts a new engine from it with the new configuration and rules. State
// whose shape is unchanged is kept, and calls of the sources wait until the new engine runs. If no checkpoint can be
// made now, the old engine keeps running. Its caller holds life for writing.
func (p *Pipeline) swap(ctx context.Context, cfg *config.Config, set *Set, inputs []engine.Input) error {
	if err := p.engine.Checkpoint(ctx); err != nil {
		return fmt.Errorf("make the checkpoint at which the new rules start: %w: reload again once checkpoints work", err)
	}
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTime)
	defer cancel()
	if err := p.engine.Stop(end); err != nil {
		// The engine's work since the last checkpoint is lost, so this process has to end and read the records again.
		err = fmt.Errorf("stop the engine for a reload: %w", err)
		p.fail(err)
		return err
	}
	e, err := p.newEngine(p.opened, cfg, set, inputs)
	if err != nil {
		err = fmt.Errorf("start the engine with the new rules: %w", err)
		cfg, set, inputs = p.live.Load(), p.set, p.inputs
		var oldErr error
		if e, oldErr = p.newEngine(p.opened, cfg, set, inputs); oldErr != nil {
			err = errors.Join(err, oldErr)
			p.fail(err)
			return err
		}
	}
	p.opened.contain.SetPolicy(cfg.Response.Policy())
	for part := range p.active {
		e.Assigned(part)
	}
	p.mu.Lock()
	before := p.set
	p.engine, p.set, p.inputs = e, set, inputs
	p.mu.Unlock()
	p.opened.deliverer.RulesChanged()
	p.live.Store(cfg)
	p.auditReload(p.opened.store, before, set)
	return err
}

// reloadInputs returns the inputs with the given maps and the settings of cfg. It runs the tests of maps that are fresh, but
// not those of the shipped ones.
func (p *Pipeline) reloadInputs(cfg *config.Config, set *maps.Set, fresh bool) ([]engine.Input, error) {
	if fresh {
		var failed []error
		err := set.Run(func(f *maps.File) bool { return !f.Shipped }, func(r maps.Result) {
			if r.Diff != "" {
				failed = append(failed, fmt.Errorf("%s:%d: map %q: test %q fails: %s",
					r.File.Path, r.Test.Line, r.File.Map.Name, r.Test.Name, r.Diff))
			}
		})
		if err := errors.Join(append(failed, err)...); err != nil {
			return nil, err
		}
	}
	p.mu.Lock()
	inputs := slices.Clone(p.inputs)
	p.mu.Unlock()
	for i, s := range cfg.Sources { // inputs and cfg.Sources have the same order
		in, err := buildInput(s, set)
		if err != nil {
			return nil, err
		}
		in.Source, in.Idle = inputs[i].Source, s.Idle
		inputs[i] = in
	}
	addToDecoding(cfg, p.enrichment, inputs)
	return inputs, nil
}

// configMetrics are the metrics of reloads of the configuration.
type configMetrics struct {
	reloads *prometheus.CounterVec
	restart prometheus.Gauge
}

func newConfigMetrics(r prometheus.Registerer) configMetrics {
	m := configMetrics{
		reloads: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "aidr_config_reloads_total",
			Help: "Reloads of the configuration by result: ok, or failed, which leaves the old configuration running (see /readyz).",
		}, []string{"result"}),
		restart: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "aidr_config_restart_needed", Help: "Changed keys of the configuration file that only a restart applies (see aidr status).",
		}),
	}
	r.MustRegister(m.reloads, m.restart)
	for _, result := range []string{"ok", "failed"} {
		m.reloads.WithLabelValues(result) // creates the series, so that a query sees the first failure as an increase
	}
	return m
}

// ReloadConfig reads the configuration, the rules and the field maps again. Changes that an engine can start with are
// applied, as by Reload; for the others the log and the status report that they need a restart. On any error everything
// stays as it runs.
func (p *Pipeline) ReloadConfig(ctx context.Context) error {
	if p.opts.Load == nil {
		return p.Reload(ctx)
	}
	p.reloading.Lock()
	defer p.reloading.Unlock()
	next, err := p.opts.Load()
	if err != nil {
		p.configFailed(err)
		p.log.Error("the configuration does not load, the old one keeps running", "error", err)
		return err
	}
	before := p.live.Load()
	merged, applied, restart := merge(p.cfg, before, next)
	if err := p.reloadWith(ctx, merged, nil); err != nil {
		if !errors.Is(err, errStopping) && ctx.Err() == nil {
			p.configFailed(fmt.Errorf("the rules or field maps do not load: %w", err))
		}
		return err
	}
	pending := slices.DeleteFunc(config.Changed(before, next), func(key string) bool { return slices.Contains(applied, key) })
	p.auditConfig(before, merged, applied, pending)
	for _, key := range applied {
		p.log.Info("changed setting applied", "key", key)
	}
	for _, key := range restart {
		p.log.Warn("changed setting needs a restart", "key", key)
	}
	p.mu.Lock()
	p.config.set(nil)
	p.restart = restart
	p.mu.Unlock()
	p.settings.reloads.WithLabelValues("ok").Inc()
	p.registry.Reloaded(metrics.Config, now(), nil)
	p.settings.restart.Set(float64(len(restart)))
	p.log.Info("configuration reloaded", "applied", len(applied), "restart_needed", len(restart))
	return nil
}

func (p *Pipeline) configFailed(err error) {
	p.mu.Lock()
	p.config.set(err)
	p.mu.Unlock()
	p.settings.reloads.WithLabelValues("failed").Inc()
	p.registry.Reloaded(metrics.Config, now(), err)
}

// configComponent returns the outcome of the last reload of the configuration. Its caller holds mu.
func (p *Pipeline) configComponent() api.Component {
	c := api.Component{Status: ok, Since: p.config.since}
	switch {
	case p.config.err != nil:
		c.Status, c.Reason = degraded, "the old configuration keeps running: "+p.config.err.Error()
	case len(p.restart) > 0:
		c.Reason = "changed settings need a restart: " + strings.Join(p.restart, ", ")
	}
	return c
}

// merge returns the running configuration with those settings of next that can be applied without a restart. applied
// are the keys of those that differ from the current configuration; restart are the other keys that differ from start,
// the configuration of the start.
func merge(start, current, next *config.Config) (merged *config.Config, applied, restart []string) {
	for _, key := range config.Changed(start, next) {
		if !reloadable(key, start) {
			restart = append(restart, key)
		}
	}
	for _, key := range config.Changed(current, next) {
		if reloadable(key, start) {
			applied = append(applied, key)
		}
	}
	out := *next // with the digests of next: the settings that are not applied differ from start in any case
	out.State.Dir, out.State.Outbox, out.State.FindingsKeep = start.State.Dir, start.State.Outbox, start.State.FindingsKeep
	out.Sinks, out.HTTP, out.Log, out.Enrichment = start.Sinks, start.HTTP, start.Log, start.Enrichment
	out.Sources = make([]config.Source, len(start.Sources))
	for i, s := range start.Sources {
		out.Sources[i] = s
		for _, n := range next.Sources {
			if n.Name == s.Name {
				n.Kafka, n.File = s.Kafka, s.File
				out.Sources[i] = n
			}
		}
	}
	return &out, applied, restart
}

// reloadable reports whether a changed key of the configuration file can be applied without a restart: everything that is
// read when an engine starts, which happens at each reload. Connections, listeners and the store outlive the engine.
func reloadable(key string, start *config.Config) bool {
	switch key {
	case "rules", "maps", "lists", "agents", "identity", "shards", "memory", "state.checkpoint_every", "state.cells":
		return true
	}
	if strings.HasPrefix(key, "redact.") || strings.HasPrefix(key, "response.") {
		return true
	}
	for _, s := range start.Sources {
		if setting, ok := strings.CutPrefix(key, "sources."+s.Name+"."); ok {
			return setting != "name" && !strings.HasPrefix(setting, "kafka.") && !strings.HasPrefix(setting, "file.")
		}
	}
	return false
}

// slowFormat is the delay from which on a source of mixed datasets is worth a note, in event time.
const slowFormat = 5 * time.Minute

// Notes returns advice on a configuration that works. A rule that names no dataset has to wait for the slowest dataset that
// a source may carry. With `format: auto` that is an audit trail, even if the source never carries any.
func Notes(cfg *config.Config, set *maps.Set) (notes []string) {
	for _, s := range cfg.Sources {
		if (s.Format != "auto" && s.Format != "") || len(s.Datasets) > 0 {
			continue
		}
		slowest, delay := "", time.Duration(0)
		all := delays(s, set)
		for _, f := range decode.Formats(set.Maps()...) {
			for _, ds := range f.Datasets {
				d, configured := all[ds]
				if !configured {
					d = schema.DefaultDelay(ds)
				}
				if d > delay || d == delay && ds < slowest {
					slowest, delay = ds, d
				}
			}
		}
		if delay < slowFormat {
			continue
		}
		notes = append(notes, fmt.Sprintf("%ssource %q: with `format: auto`, rules without `datasets` settle as late as the slowest dataset, "+
			"an audit trail (%s: %v): name its format, such as `format: litellm` (see aidr formats), in a source per format, or its `datasets`",
			s.At, s.Name, slowest, delay))
	}
	return notes
}

func (p *Pipeline) logNotes(cfg *config.Config, set *maps.Set) {
	for _, note := range Notes(cfg, set) {
		p.log.Warn("the configuration can be faster", "note", note)
	}
}
