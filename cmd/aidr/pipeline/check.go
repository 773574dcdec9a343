package pipeline

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aidr-engine/aidr/cmd/aidr/config"
	"github.com/aidr-engine/aidr/cmd/aidr/maps"
	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/rules"
	"github.com/aidr-engine/aidr/rules/doc"
	"github.com/aidr-engine/aidr/schema/decode"
)

// Check checks a configuration beyond its form: its rules, lists and registry, its sources and sinks, the state directory,
// and whether the endpoints that rules name in `notify` exist. It connects to nothing. It returns the problems of the rules
// and all warnings, and an error that holds all other problems. The maps are checked with the form of the configuration.
func Check(cfg *config.Config) ([]rules.Problem, error) {
	files := ruleFiles(cfg)
	files.Warn = true
	set, problems := LoadRules(files)
	if set != nil {
		problems = append(problems, unknownEndpoints(cfg, set)...)
	}
	problems = append(problems, missingParts(cfg)...)
	silent := slog.New(slog.DiscardHandler)
	mapped, bad := loadMaps(cfg, silent)
	if bad != nil {
		cfg = withoutMaps(cfg)
	}
	_, err := buildInputs(cfg, mapped, silent)
	_, notOpened := openEnrichment(cfg, silent)
	if notOpened != nil {
		notOpened = fmt.Errorf("%senrichment: %w", cfg.Place("enrichment"), notOpened)
	}
	sinks, bad := buildSinks(cfg, webhookLinks{base: cfg.Links.Base}, nil, nil, nil)
	_, tlsErr := loadTLS(cfg.HTTP.TLS, silent)
	err = errors.Join(err, notOpened, bad, tlsErr, checkStateDir(cfg))
	for _, s := range sinks {
		err = errors.Join(err, s.Close())
	}
	return problems, err
}

// connectTimeout bounds all attempts of Connect, which run at the same time.
const connectTimeout = 30 * time.Second

// Answer is the answer of an outside system to Connect.
type Answer struct {
	Component string // as in /readyz: source.logs, sink.soc
	connectors.Answer
}

// Connect tries the connections of a configuration without changing anything outside: brokers, topics, grants, ClickHouse
// and endpoints. The answers have the order of the configuration.
func Connect(ctx context.Context, cfg *config.Config) ([]Answer, error) {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	silent := slog.New(slog.DiscardHandler)
	var components []string
	var probers []connectors.Prober
	for _, s := range cfg.Sources {
		source, err := buildSource(s, silent)
		if err != nil {
			return nil, err
		}
		if p, ok := source.(connectors.Prober); ok {
			components, probers = append(components, "source."+s.Name), append(probers, p)
		}
	}
	sinks, err := buildSinks(cfg, webhookLinks{base: cfg.Links.Base}, nil, nil, nil)
	for _, s := range sinks {
		if p, ok := s.(connectors.Prober); ok {
			components, probers = append(components, "sink."+s.Name()), append(probers, p)
		}
	}
	answers := make([][]connectors.Answer, len(probers))
	var all sync.WaitGroup
	for i, p := range probers {
		all.Go(func() { answers[i] = p.Probe(ctx) })
	}
	all.Wait()
	var out []Answer
	for i, list := range answers {
		for _, a := range list {
			out = append(out, Answer{components[i], a})
		}
	}
	for _, s := range sinks {
		err = errors.Join(err, s.Close())
	}
	return out, err
}

// withoutMaps returns the configuration with format auto for the sources whose format is a map that does not load.
func withoutMaps(cfg *config.Config) *config.Config {
	out := *cfg
	out.Sources = slices.Clone(cfg.Sources)
	var none *maps.Set
	for i := range out.Sources {
		if s := &out.Sources[i]; s.Format != "auto" {
			if _, known := decode.Find(s.Format, none.Maps()...); !known {
				s.Format = "auto"
			}
		}
	}
	return &out
}

// Lines returns the errors that are joined in err, each as one text. An error that wraps joined errors gives a text for each
// of them, with the same beginning.
func Lines(err error) []string {
	if err == nil {
		return nil
	}
	joined := joinedErrors(err)
	if joined == nil {
		return []string{err.Error()}
	}
	beginning := strings.TrimSuffix(err.Error(), joined.Error())
	var lines []string
	for _, e := range joined.Unwrap() {
		for _, line := range Lines(e) {
			lines = append(lines, beginning+line)
		}
	}
	return lines
}

// joined is the result of errors.Join.
type joined interface {
	error
	Unwrap() []error
}

// joinedErrors returns the first result of errors.Join in the chain of err, or nil. An error that fmt.Errorf made of several
// errors is one error.
func joinedErrors(err error) joined {
	for ; err != nil; err = errors.Unwrap(err) {
		if many, ok := err.(joined); ok && many.Error() == errors.Join(many.Unwrap()...).Error() {
			return many
		}
	}
	return nil
}

// checkStateDir returns an error if the state directory cannot be written or created. It creates and removes a file in it or,
// if it does not exist, in the nearest folder above it that does.
func checkStateDir(cfg *config.Config) error {
	fail := func(format string, args ...any) error {
		return fmt.Errorf("%sstate.dir: "+format, append([]any{cfg.Place("state.dir")}, args...)...)
	}
	for dir := cfg.State.Dir; ; dir = filepath.Dir(dir) {
		info, err := os.Stat(dir)
		switch {
		case err == nil && !info.IsDir():
			return fail("%s is not a folder: name another state directory", dir)
		case err == nil:
			f, err := os.CreateTemp(dir, ".aidr-check-")
			if err != nil {
				return fail("this user cannot write to %s: %w", dir, doc.Cause(err))
			}
			return errors.Join(f.Close(), os.Remove(f.Name()))
		case filepath.Dir(dir) == dir, !errors.Is(err, fs.ErrNotExist) && !strings.Contains(err.Error(), "not a directory"):
			return fail("%w", err)
		}
	}
}

// missingParts returns a warning for each part without which a configuration loads but does nothing useful: sinks, and the
// files of its sources.
func missingParts(cfg *config.Config) (out []rules.Problem) {
	warn := func(key, text string, args ...any) {
		at := cfg.Place(key)
		out = append(out, rules.Problem{File: at.File, Line: at.Line, Col: at.Col, Key: key, Warning: true, Cause: fmt.Sprintf(text, args...)})
	}
	if cfg.Sinks.ClickHouse == nil && cfg.Sinks.Kafka == nil && len(cfg.Sinks.Webhooks) == 0 {
		warn("sinks", noSink)
	}
	for i, s := range cfg.Sources {
		if s.File == nil {
			continue
		}
		for j, path := range s.File.Paths {
			if _, err := os.Stat(path); err != nil && path != "-" {
				warn(fmt.Sprintf("sources[%d].file.paths[%d]", i, j), "%q cannot be read now: %v", path, doc.Cause(err))
			}
		}
	}
	return out
}

// noSink is the warning for a configuration without sinks.
const noSink = "there is no sink: findings stay in the state directory (aidr findings ls) and nobody is notified: " +
	"add sinks.clickhouse, sinks.webhooks or sinks.kafka"

// CheckNotes returns the Notes of a configuration whose field maps load.
func CheckNotes(cfg *config.Config) []string {
	set, err := loadMaps(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil
	}
	return Notes(cfg, set)
}

// unknownEndpoints returns a warning for each endpoint that a rule notifies but the configuration does not have.
func unknownEndpoints(cfg *config.Config, set *Set) (out []rules.Problem) {
	var names []string
	for _, w := range cfg.Sinks.Webhooks {
		names = append(names, w.Name)
	}
	for _, r := range set.Rules {
		for _, n := range r.Notify {
			if !slices.Contains(names, n) {
				out = append(out, rules.Problem{File: r.File, Line: r.Line, Col: 1, Rule: r.ID, Key: "respond.notify", Warning: true,
					Cause: fmt.Sprintf("names the endpoint %q, which sinks.webhooks does not have: its findings are not sent there", n)})
			}
		}
	}
	return out
}
