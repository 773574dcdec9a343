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

// readingHelp documents --config and --source of the commands that read files.
const readingHelp = `With --config the files are read as aidr run would read them from a source of that configuration. The file may be a partial
configuration: only maps, rules, agents, lists, identity, enrichment and redact are used, and format, tenant, delay,
datasets, trust_forwarded and trust_declared of the source. State, sinks and connections are ignored. --source selects the source if there
are several. Flags override the configuration.`

// reading determines how a command reads the records of files: by flags, or as a source of a configuration.
type reading struct {
	config, source, format string
	maps                   []string
	flagSet                *pflag.FlagSet
	cfg                    *config.Config // set by load; empty without --config
	from                   config.Source  // set by load
}

func (r *reading) flags(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&r.config, "config", "", "configuration that determines how the files are read")
	f.StringVar(&r.source, "source", "", "source of --config as which the files are read (default: the only one)")
	f.StringVar(&r.format, "format", "auto", "format of the records, several with commas between them, or auto")
	f.StringArrayVar(&r.maps, "maps", nil, "folder of field maps, in addition to the shipped ones; may be repeated")
	r.flagSet = f
}

// load reads the configuration, if --config is given.
func (r *reading) load(cmd *cobra.Command) (err error) {
	r.cfg = &config.Config{}
	if r.config == "" && r.source != "" {
		return usage("--source %q needs the configuration of the source: give it with --config", r.source)
	}
	if r.config != "" {
		cfg, problems := config.LoadReading(r.config)
		printConfigProblems(cmd.ErrOrStderr(), problems)
		if cfg == nil {
			return &exit{exitFailed, fmt.Errorf("cannot load the configuration: see above")}
		}
		r.cfg = cfg
	}
	if r.from, err = pipeline.SourceOf(r.cfg, r.source); err != nil {
		return &exit{exitUsage, fmt.Errorf("--source: %w", err)}
	}
	if r.flagSet.Changed("format") {
		r.from.Format = r.format
	}
	return nil
}

// input returns the input for the files, without its Source.
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

// fieldMaps loads the maps. The problems of the maps of a configuration were printed when it was loaded.
func (r *reading) fieldMaps(cmd *cobra.Command) (*maps.Set, error) {
	if r.config == "" || len(r.maps) > 0 {
		return loadMaps(cmd, r.maps)
	}
	set, problems := maps.Load(r.cfg.Maps...)
	if set == nil { // the maps have changed since
		printMapProblems(cmd.ErrOrStderr(), problems)
		return nil, &exit{code: exitFailed}
	}
	return set, nil
}

// ruleFiles returns the paths of rules, lists and registry: those of the flags or else those of the configuration.
func (r *reading) ruleFiles(paths []string, lists, agents string) pipeline.RuleFiles {
	files := pipeline.RuleFiles{Paths: paths, Lists: lists, Agents: agents, Maps: r.maps}
	if len(r.maps) == 0 {
		files.Maps = r.cfg.Maps
	}
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
