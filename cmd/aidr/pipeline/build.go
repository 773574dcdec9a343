package pipeline

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"slices"
	"time"

	"github.com/aidr-engine/aidr/cmd/aidr/config"
	"github.com/aidr-engine/aidr/cmd/aidr/maps"
	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/connectors/clickhouse"
	"github.com/aidr-engine/aidr/connectors/file"
	"github.com/aidr-engine/aidr/connectors/kafka"
	"github.com/aidr-engine/aidr/connectors/webhook"
	"github.com/aidr-engine/aidr/engine"
	"github.com/aidr-engine/aidr/rules"
	"github.com/aidr-engine/aidr/schema/decode"
)

func buildInputs(cfg *config.Config, set *maps.Set, log *slog.Logger) (inputs []engine.Input, err error) {
	var errs []error
	for _, s := range cfg.Sources {
		src, err := buildSource(s, log)
		if err != nil {
			errs = append(errs, fmt.Errorf("%ssource %q: %w", s.At, s.Name, err))
			continue
		}
		in, err := buildReading(s, set)
		if err != nil {
			errs = append(errs, err)
		}
		in.Source, in.Idle = src, s.Idle
		inputs = append(inputs, in)
	}
	return inputs, errors.Join(errs...)
}

// buildReading says how the records of a source are read, wherever they come from.
func buildReading(s config.Source, set *maps.Set) (engine.Input, error) {
	in := engine.Input{
		Datasets: s.Datasets, Delays: delays(s, set),
		Decode: decode.Options{Format: s.Format, Maps: set.Maps(), Tenant: s.Tenant, TrustForwarded: s.TrustForwarded},
	}
	if len(in.Datasets) == 0 {
		in.Datasets = datasetsOf(s.Format, set)
	}
	if _, err := decode.New(in.Decode); err != nil {
		return in, fmt.Errorf("%ssource %q: %w", s.At, s.Name, err)
	}
	return in, nil
}

// datasetsOf returns what a format can give; nil, anything, for auto and aidr.
func datasetsOf(format string, set *maps.Set) []string {
	f, _ := decode.Find(format, set.Maps()...)
	return f.Datasets
}

// delays spells out a delay that is meant for every dataset.
func delays(s config.Source, set *maps.Set) map[string]time.Duration {
	all, ok := s.Delay[""]
	if !ok {
		return s.Delay
	}
	out := map[string]time.Duration{}
	for _, f := range decode.Formats(set.Maps()...) {
		for _, ds := range f.Datasets {
			out[ds] = all
		}
	}
	return out
}

func buildSource(s config.Source, log *slog.Logger) (connectors.Source, error) {
	if s.File != nil {
		return file.New(file.Config{Name: s.Name, Paths: s.File.Paths, Follow: s.File.Follow, Stdin: os.Stdin, Log: log})
	}
	k := kafka.Config{
		Name: s.Name, Brokers: s.Kafka.Brokers, Topics: s.Kafka.Topics, Pattern: s.Kafka.Pattern, Group: s.Kafka.Group,
		Start: s.Kafka.Start, ClientID: s.Kafka.ClientID, Session: s.Kafka.Session, Log: log,
	}
	if k.Session > 0 { // a short one needs heartbeats that are quicker than the default
		k.Heartbeat = min(kafka.DefaultHeartbeat, k.Session/3)
	}
	if t := s.Kafka.TLS; t != nil {
		k.TLS = &kafka.TLS{CA: t.CA, Cert: t.Cert, Key: t.Key, ServerName: t.ServerName}
	}
	if a := s.Kafka.SASL; a != nil {
		k.SASL = &kafka.SASL{Mechanism: a.Mechanism, Username: a.Username, Password: a.Password}
	}
	return kafka.New(k)
}

func buildSinks(cfg *config.Config) (sinks []connectors.Sink, err error) {
	var errs []error
	if c := cfg.Sinks.ClickHouse; c != nil {
		s, err := clickhouse.New(ClickHouseConfig(c))
		if err != nil {
			errs = append(errs, fmt.Errorf("%ssinks.clickhouse: %w", c.At, err))
		} else {
			sinks = append(sinks, s)
		}
	}
	for _, w := range cfg.Sinks.Webhooks {
		s, err := buildWebhook(w)
		if err != nil {
			errs = append(errs, fmt.Errorf("%ssinks.webhooks %q: %w", w.At, w.Name, err))
			continue
		}
		sinks = append(sinks, s)
	}
	return sinks, errors.Join(errs...)
}

// ClickHouseConfig is the sink's configuration.
func ClickHouseConfig(c *config.ClickHouse) clickhouse.Config {
	return clickhouse.Config{DSN: c.DSN, Cluster: c.Cluster, Migrate: c.Migrate, Rows: c.Rows, Linger: c.Linger, TTL: c.TTL}
}

func buildWebhook(w config.Webhook) (connectors.Sink, error) {
	c := webhook.Config{
		Name: w.Name, URL: w.URL, Secrets: w.Secrets, Headers: w.Headers, Timeout: w.Timeout, Retries: w.Retries,
		Concurrency: w.Concurrency, Rate: w.Rate, Filter: w.Filter,
	}
	for _, n := range w.AllowNetworks {
		prefix, err := netip.ParsePrefix(n)
		if err != nil {
			return nil, err
		}
		c.AllowNetworks = append(c.AllowNetworks, prefix)
	}
	return webhook.New(c)
}

// Check returns everything that is wrong with a configuration beyond its form: rules, sources, endpoints, and names in
// `notify` that no endpoint has.
func Check(cfg *config.Config) ([]rules.Problem, error) {
	set, problems := LoadRules(RuleFiles{Paths: cfg.Rules, Lists: cfg.Lists, Agents: cfg.Agents, Warn: true})
	if set != nil {
		problems = append(problems, unknownEndpoints(cfg, set)...)
	}
	mapped, bad := loadMaps(cfg, slog.New(slog.DiscardHandler))
	_, err := buildInputs(cfg, mapped, slog.New(slog.DiscardHandler))
	err = errors.Join(bad, err)
	_, places := openPlaces(cfg, slog.New(slog.DiscardHandler))
	sinks, bad := buildSinks(cfg)
	err = errors.Join(err, places, bad)
	for _, s := range sinks {
		err = errors.Join(err, s.Close())
	}
	return problems, err
}

// unknownEndpoints names what rules want to notify and no configuration has.
func unknownEndpoints(cfg *config.Config, set *Set) (out []rules.Problem) {
	var names []string
	for _, w := range cfg.Sinks.Webhooks {
		names = append(names, w.Name)
	}
	for _, r := range set.Rules {
		for _, n := range r.Notify {
			if !slices.Contains(names, n) {
				out = append(out, rules.Problem{File: r.File, Line: r.Line, Col: 1, Rule: r.ID, Key: "respond.notify", Warning: true,
					Cause: fmt.Sprintf("names the endpoint %q, which sinks.webhooks does not have: nobody is told of its findings", n)})
			}
		}
	}
	return out
}
