package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"log/slog"

	"github.com/spf13/cobra"

	"github.com/aidr-engine/aidr/cmd/aidr/config"
	"github.com/aidr-engine/aidr/cmd/aidr/doctor"
	"github.com/aidr-engine/aidr/cmd/aidr/pipeline"
	"github.com/aidr-engine/aidr/rules/doc"
)

func runCommand() *cobra.Command {
	var file, listen, logFormat, logLevel string
	var pprof bool
	c := &cobra.Command{
		Use:   "run --config FILE",
		Short: "Run the engine from the sources of a configuration to its sinks",
		Long: `run reads the sources of a configuration, evaluates the rules and delivers findings until SIGTERM or SIGINT. Then it makes
a last checkpoint, drains the sinks for at most 10 s and exits with 0. Changes of rule files reload the rules. SIGHUP reloads
the configuration too: what can be applied at once is applied, and the log and aidr status name what needs a restart. A
configuration that does not load leaves everything as it runs.

The memory of the engine has a budget (memory, by default GOMEMLIMIT, or 90 % of the limit of the container, or 2 GiB). A
flood that exceeds it does not change findings: state that is not needed at once is paged to the state directory, and reading
waits.

The address http.listen serves health at /healthz and /readyz, and Prometheus metrics at /metrics.`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			growth(runGrowth)
			cfg, err := loadConfig(cmd, file)
			if err != nil {
				return err
			}
			limitMemory(cfg)
			override := func(cfg *config.Config) {
				cfg.HTTP.Listen = cmp.Or(listen, cfg.HTTP.Listen)
				cfg.HTTP.Pprof = cfg.HTTP.Pprof || pprof
				cfg.Log.Format, cfg.Log.Level = cmp.Or(logFormat, cfg.Log.Format), cmp.Or(logLevel, cfg.Log.Level)
			}
			override(cfg)
			tail := doctor.NewTail(cmd.ErrOrStderr())
			log, err := newLogger(tail, cfg.Log)
			if err != nil {
				return err
			}
			load := func() (*config.Config, error) {
				cfg, err := reloadConfig(log, file)
				if err == nil {
					override(cfg)
				}
				return cfg, err
			}
			p, err := pipeline.New(cfg, pipeline.Options{
				Log: log, Version: version(), Load: load, LogTail: tail.Bytes, Cores: reserveThreads(&cfg.Decisions),
			})
			if err != nil {
				return err
			}
			return p.Run(cmd.Context())
		},
	}
	f := c.Flags()
	f.StringVar(&file, "config", "", "configuration file")
	f.StringVar(&listen, "listen", "", "host:port for metrics and health, overrides http.listen")
	f.BoolVar(&pprof, "pprof", false, "serve profiles at /debug/pprof on that address")
	f.StringVar(&logFormat, "log-format", "", "text or json, overrides log.format")
	f.StringVar(&logLevel, "log-level", "", "debug, info, warn or error, overrides log.level")
	return c
}

// loadConfig loads a configuration and prints all problems.
func loadConfig(cmd *cobra.Command, file string) (*config.Config, error) {
	if file == "" {
		return nil, errNoConfig()
	}
	cfg, problems := config.Load(file)
	printConfigProblems(cmd.ErrOrStderr(), problems)
	if cfg == nil {
		return nil, &exit{exitFailed, errors.New(
			"cannot load the configuration: see above; aidr config check reports the problems of its rules, too")}
	}
	return cfg, nil
}

func errNoConfig() error {
	return usage("--config is missing: aidr config init writes a first configuration")
}

// reloadConfig loads a configuration for a running process. It logs warnings; the error holds all other problems.
func reloadConfig(log *slog.Logger, file string) (*config.Config, error) {
	cfg, problems := config.Load(file)
	var errs []error
	for _, p := range problems {
		if p.Warning {
			log.Warn("warning in the configuration", "problem", p.String())
		} else {
			errs = append(errs, errors.New(p.String()))
		}
	}
	if cfg == nil {
		return nil, errors.Join(errs...)
	}
	return cfg, nil
}

// printConfigProblems prints positions and causes, but never a line of the file, because it may hold a secret.
func printConfigProblems(w io.Writer, problems []doc.Problem) {
	for _, p := range problems {
		kind := "error: "
		if p.Warning {
			kind = "warning: "
		}
		fmt.Fprintf(w, "%s%s\n", kind, p)
	}
}

func newLogger(w io.Writer, l config.Log) (*slog.Logger, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(l.Level)); err != nil {
		return nil, usage("--log-level %q: use debug, info, warn or error", l.Level)
	}
	o := &slog.HandlerOptions{Level: level}
	switch l.Format {
	case "json":
		return slog.New(slog.NewJSONHandler(w, o)), nil
	case "text":
		return slog.New(slog.NewTextHandler(w, o)), nil
	}
	return nil, usage("--log-format %q: use text or json", l.Format)
}
