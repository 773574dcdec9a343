package pipeline

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"

	"github.com/aidr-engine/aidr/cmd/aidr/config"
	"github.com/aidr-engine/aidr/cmd/aidr/maps"
	"github.com/aidr-engine/aidr/engine"
	"github.com/aidr-engine/aidr/schema/decode"
)

// loadMaps loads the field maps of a configuration and logs the warnings. On an error there are none.
func loadMaps(cfg *config.Config, log *slog.Logger) (*maps.Set, error) {
	set, problems := maps.Load(cfg.Maps...)
	var errs []error
	for _, x := range problems {
		if x.Warning {
			log.Warn("a field map has a warning", "problem", x.String())
		} else {
			errs = append(errs, errors.New(x.String()))
		}
	}
	return set, errors.Join(errs...)
}

// remap reads the field maps again, runs the tests of those that aidr does not ship, and returns the inputs with
// them.
func (p *Pipeline) remap() ([]engine.Input, *maps.Set, error) {
	set, err := loadMaps(p.cfg, p.log)
	if err != nil {
		return nil, nil, err
	}
	var failed []error
	err = set.Run(func(f *maps.File) bool { return !f.Shipped }, func(r maps.Result) {
		if r.Diff != "" {
			failed = append(failed, fmt.Errorf("%s:%d: map %q: test %q fails: %s", r.File.Path, r.Test.Line, r.File.Map.Name, r.Test.Name, r.Diff))
		}
	})
	if err := errors.Join(append(failed, err)...); err != nil {
		return nil, nil, err
	}
	p.mu.Lock()
	inputs := slices.Clone(p.inputs)
	p.mu.Unlock()
	for i := range inputs { // one for each source of the configuration, in its order
		in, s := &inputs[i], p.cfg.Sources[i]
		in.Decode.Maps, in.Delays = set.Maps(), delays(s, set)
		if _, err := decode.New(in.Decode); err != nil {
			return nil, nil, fmt.Errorf("%ssource %q: %w", s.At, s.Name, err)
		}
		if len(s.Datasets) == 0 {
			in.Datasets = datasetsOf(s.Format, set)
		}
	}
	return inputs, set, nil
}
