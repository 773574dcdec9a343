package pipeline

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"

	"github.com/aidr-engine/aidr/cmd/aidr/config"
	"github.com/aidr-engine/aidr/rules"
)

// Check checks a configuration beyond its form: its rules, maps, sources and endpoints, and whether the endpoints that
// rules name in `notify` exist. It returns the problems of the rules, and an error that holds all other problems.
func Check(cfg *config.Config) ([]rules.Problem, error) {
	set, problems := LoadRules(RuleFiles{Paths: cfg.Rules, Lists: cfg.Lists, Agents: cfg.Agents, Warn: true})
	if set != nil {
		problems = append(problems, unknownEndpoints(cfg, set)...)
	}
	mapped, bad := loadMaps(cfg, slog.New(slog.DiscardHandler))
	_, err := buildInputs(cfg, mapped, slog.New(slog.DiscardHandler))
	err = errors.Join(bad, err)
	_, notOpened := openEnrichment(cfg, slog.New(slog.DiscardHandler))
	sinks, bad := buildSinks(cfg)
	err = errors.Join(err, notOpened, bad)
	for _, s := range sinks {
		err = errors.Join(err, s.Close())
	}
	return problems, err
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
