package pipeline

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/aidr-engine/aidr/cmd/aidr/config"
	"github.com/aidr-engine/aidr/cmd/aidr/maps"
	"github.com/aidr-engine/aidr/cmd/aidr/metrics"
	"github.com/aidr-engine/aidr/engine"
	"github.com/aidr-engine/aidr/engine/cases"
)

// Reload reads the rules and the field maps again and replaces the current ones between two batches. On any error, or if
// a test in one of the files fails, the old ones keep running, and the log, /readyz and /metrics report the failure.
func (p *Pipeline) Reload(ctx context.Context) error {
	p.reloading.Lock()
	defer p.reloading.Unlock()
	return p.reloadWith(ctx, p.live.Load())
}

// reloadWith is Reload with the given configuration, which becomes the current one. reloading is locked.
func (p *Pipeline) reloadWith(ctx context.Context, cfg *config.Config) error {
	err := p.reload(ctx, cfg)
	if errors.Is(err, errStopping) || err != nil && ctx.Err() != nil {
		return err // not a problem of the rules
	}
	p.mu.Lock()
	p.rules.set(err)
	n := len(p.set.Rules)
	p.mu.Unlock()
	p.registry.Reloaded(metrics.Rules, now(), err)
	if err != nil {
		p.log.Error("reload failed, the old rules keep running", "error", err)
		return err
	}
	p.log.Info("rules reloaded", "rules", n)
	p.useRules()
	return nil
}

func (p *Pipeline) reload(ctx context.Context, cfg *config.Config) error {
	set, problems := LoadRules(ruleFiles(cfg))
	if set == nil {
		return errors.Join(problemErrors(problems)...)
	}
	for _, x := range problems {
		p.log.Warn("warning in a rule file", "problem", x.String())
	}
	inputs, mapped, err := p.reloadMaps(cfg)
	if err != nil {
		return err
	}
	if err := testRules(ctx, set, mapped); err != nil {
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

// testRules runs the tests in the rule files. Its error holds every test that fails.
func testRules(ctx context.Context, set *Set, mapped *maps.Set) error {
	var failed []error
	err := cases.Run(ctx, set, func(r cases.Result) {
		if r.Diff != "" {
			failed = append(failed, fmt.Errorf("%s:%d: rule %q: test %q fails: %s", r.File, r.Line, r.Rule, r.Test, r.Diff))
		}
	}, mapped.Maps()...)
	return errors.Join(append(failed, err)...)
}

// swap stops the engine with a checkpoint and starts a new engine from it with the new configuration and rules. State whose
// shape is unchanged is kept, and calls of the sources wait until the new engine runs. If no checkpoint can be made now, the old
// engine keeps running. Its caller holds life for writing.
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
	for part := range p.active {
		e.Assigned(part)
	}
	p.mu.Lock()
	p.engine, p.set, p.inputs = e, set, inputs
	p.mu.Unlock()
	p.live.Store(cfg)
	return err
}

// reloadMaps reads the field maps again, runs the tests of all but the shipped ones, and returns the inputs with the new
// maps and the settings of cfg.
func (p *Pipeline) reloadMaps(cfg *config.Config) ([]engine.Input, *maps.Set, error) {
	set, err := loadMaps(cfg, p.log)
	if err != nil {
		return nil, nil, err
	}
	var failed []error
	err = set.Run(func(f *maps.File) bool { return !f.Shipped }, func(r maps.Result) {
		if r.Diff != "" {
			failed = append(failed, fmt.Errorf("%s:%d: map %q: test %q fails: %s",
				r.File.Path, r.Test.Line, r.File.Map.Name, r.Test.Name, r.Diff))
		}
	})
	if err := errors.Join(append(failed, err)...); err != nil {
		return nil, nil, err
	}
	p.mu.Lock()
	inputs := slices.Clone(p.inputs)
	p.mu.Unlock()
	for i, s := range cfg.Sources { // inputs and cfg.Sources have the same order
		in, err := buildInput(s, set)
		if err != nil {
			return nil, nil, err
		}
		in.Source, in.Idle = inputs[i].Source, s.Idle
		inputs[i] = in
	}
	addToDecoding(cfg, p.enrichment, inputs)
	return inputs, set, nil
}
