package pipeline

import (
	"fmt"
	"log/slog"

	"github.com/aidr-engine/aidr/cmd/aidr/config"
	"github.com/aidr-engine/aidr/cmd/aidr/maps"
	"github.com/aidr-engine/aidr/engine"
)

// Reading returns an input that reads the records of a configuration's source as a running aidr would, but for where
// they come from: the caller gives it a Source.
func Reading(cfg *config.Config, s config.Source, set *maps.Set) (engine.Input, error) {
	in, err := buildReading(s, set)
	if err != nil {
		return in, err
	}
	places, err := openPlaces(cfg, slog.New(slog.DiscardHandler)) // nothing is logged: the files are read once
	if err != nil {
		return in, err
	}
	inputs := []engine.Input{in}
	finishEvents(cfg, places, inputs)
	return inputs[0], nil
}

// SourceOf returns the source of a configuration by its name, or without one the only source that there is. A
// configuration without sources reads as one source that says nothing.
func SourceOf(cfg *config.Config, name string) (config.Source, error) {
	var names []string
	for _, s := range cfg.Sources {
		if s.Name == name || name == "" && len(cfg.Sources) == 1 {
			return s, nil
		}
		names = append(names, s.Name)
	}
	switch {
	case name != "":
		return config.Source{}, fmt.Errorf("source %q: %s has none of this name: use one of %q", name, cfg.File, names)
	case len(names) > 0:
		return config.Source{}, fmt.Errorf("%s has %d sources, and files are read as one of them: name it, of %q", cfg.File, len(names), names)
	}
	return config.Source{Format: "auto"}, nil
}
