package main

import (
	"fmt"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/aidr-engine/aidr/cmd/aidr/config"
	"github.com/aidr-engine/aidr/cmd/aidr/maps"
	"github.com/aidr-engine/aidr/cmd/aidr/pipeline"
	"github.com/aidr-engine/aidr/engine"
)

// readingHelp is what the commands that read files say of --config.
const readingHelp = `--config reads the files as aidr run would read them from a source of that configuration, or of a file that has only some
of its keys: maps, identity, agents and lists, enrichment, redact, and of the source format, tenant, delay, datasets and
trust_forwarded. State, sinks and connections are not looked at. --source names the source where there are several. What
is given as a flag too is taken from the flag.`

// reading says how a command reads the records of files: by flags, or as a source of a configuration.
type reading struct {
	config, source, format string
	maps                   []string
	given                  *pflag.FlagSet // tells which flags were given
	cfg                    *config.Config
	from                   config.Source
}

func (r *reading) flags(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&r.config, "config", "", "configuration as which the files are read")
	f.StringVar(&r.source, "source", "", "name of the source of --config as which the files are read (default: the only one)")
	f.StringVar(&r.format, "format", "auto", "format of the records, or auto")
	f.StringArrayVar(&r.maps, "maps", nil, "folder of field maps, beside those that aidr ships; may be given again")
	r.given = f
}

// load reads the configuration, if there is one.
func (r *reading) load(cmd *cobra.Command) (err error) {
	r.cfg = &config.Config{}
	if r.config == "" && r.source != "" {
		return usage("--source %q: it is a source of a configuration: name that with --config", r.source)
	}
	if r.config != "" {
		cfg, problems := config.LoadReading(r.config)
		printConfigProblems(cmd.ErrOrStderr(), problems)
		if cfg == nil {
			return &exit{exitFailed, fmt.Errorf("the configuration does not load: see above")}
		}
		r.cfg = cfg
	}
	if r.from, err = pipeline.SourceOf(r.cfg, r.source); err != nil {
		return &exit{exitUsage, fmt.Errorf("--source: %w", err)}
	}
	if r.given.Changed("format") {
		r.from.Format = r.format
	}
	return nil
}

// input returns the input of the files, but for its Source.
func (r *reading) input(cmd *cobra.Command) (engine.Input, error) {
	set, err := r.fieldMaps(cmd)
	if err != nil {
		return engine.Input{}, err
	}
	in, err := pipeline.InputFor(r.cfg, r.from, set)
	if err != nil && r.config == "" {
		return in, &exit{exitUsage, err}
	}
	return in, err
}

// fieldMaps loads the maps. What is wrong with those of a configuration was told when that was read.
func (r *reading) fieldMaps(cmd *cobra.Command) (*maps.Set, error) {
	if r.config == "" || len(r.maps) > 0 {
		return loadMaps(cmd, r.maps)
	}
	set, problems := maps.Load(r.cfg.Maps...)
	if set == nil { // they were changed since
		printMapProblems(cmd.ErrOrStderr(), problems)
		return nil, &exit{code: exitFailed}
	}
	return set, nil
}

// ruleFiles says where the rules and what they ask are: where no flag does, the configuration.
func (r *reading) ruleFiles(paths []string, lists, agents string) pipeline.RuleFiles {
	files := pipeline.RuleFiles{Paths: paths, Lists: lists, Agents: agents}
	if len(paths) == 0 {
		files.Paths = r.cfg.Rules
	}
	if lists == "" {
		files.Lists = r.cfg.Lists
	}
	if agents == "" {
		files.Agents = r.cfg.Agents
	}
	return files
}
