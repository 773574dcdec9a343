package pipeline

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/aidr-engine/aidr/cmd/aidr/config"
	"github.com/aidr-engine/aidr/cmd/aidr/maps"
	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/connectors/file"
	"github.com/aidr-engine/aidr/connectors/kafka"
	"github.com/aidr-engine/aidr/connectors/maxmind"
	"github.com/aidr-engine/aidr/connectors/registry"
	"github.com/aidr-engine/aidr/engine"
	"github.com/aidr-engine/aidr/rules/predicate"
	"github.com/aidr-engine/aidr/schema"
	"github.com/aidr-engine/aidr/schema/decode"
)

// buildInputs makes an input of each source of the configuration. Its error holds every problem.
func buildInputs(cfg *config.Config, set *maps.Set, log *slog.Logger) (inputs []engine.Input, err error) {
	var errs []error
	for _, s := range cfg.Sources {
		src, err := buildSource(s, log)
		if err != nil {
			errs = append(errs, fmt.Errorf("%ssource %q: %w", s.At, s.Name, err))
			continue
		}
		in, err := buildInput(s, set)
		if err != nil {
			errs = append(errs, err)
		}
		in.Source, in.Idle = src, s.Idle
		in.Silence = engine.Silence{After: s.SilentAfter, ByTopic: s.Kafka != nil}
		inputs = append(inputs, in)
	}
	return inputs, errors.Join(errs...)
}

// buildInput makes the input of a source, without the connector that its records come from.
func buildInput(s config.Source, set *maps.Set) (engine.Input, error) {
	in := engine.Input{
		Datasets: s.Datasets, Delays: delays(s, set),
		Decode: decode.Options{
			Format: s.Format, Maps: set.Maps(), Tenant: s.Tenant, TrustForwarded: s.TrustForwarded, TrustDeclared: s.TrustDeclared,
		},
	}
	if len(in.Datasets) == 0 {
		in.Datasets = datasetsOf(s.Format, set)
	}
	if _, err := decode.New(in.Decode); err != nil {
		return in, fmt.Errorf("%ssource %q: %w", s.At, s.Name, err)
	}
	return in, nil
}

// datasetsOf returns the datasets of a format. It returns nil, which means any dataset, for auto and aidr.
func datasetsOf(format string, set *maps.Set) []string {
	return decode.Datasets(format, set.Maps()...)
}

// delays returns the delay of each dataset. If the source has one delay for all, it is listed for every known dataset.
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
	if k.Session > 0 { // a short session needs more frequent heartbeats than the default
		k.Heartbeat = min(kafka.DefaultHeartbeat, k.Session/3)
	}
	if t := s.Kafka.TLS; t != nil {
		k.TLS = &connectors.TLS{CA: t.CA, Cert: t.Cert, Key: t.Key, ServerName: t.ServerName}
	}
	if a := s.Kafka.SASL; a != nil {
		k.SASL = saslOf(a)
	}
	source, err := kafka.New(k)
	if err != nil || s.Kafka.Registry == nil {
		return source, err
	}
	return registry.Wrap(source, registryOf(s.Kafka.Registry, log))
}

func registryOf(g *config.Registry, log *slog.Logger) registry.Config {
	c := registry.Config{URL: g.URL, Username: g.Username, Password: g.Password, Schemas: g.Schemas, IDBytes: g.IDBytes, Log: log}
	if g.TLS != nil {
		c.CA, c.Cert, c.Key = g.TLS.CA, g.TLS.Cert, g.TLS.Key
	}
	return c
}

func saslOf(a *config.SASL) *kafka.SASL {
	s := &kafka.SASL{Mechanism: a.Mechanism, Username: a.Username, Password: a.Password}
	if o := a.OAuth; o != nil {
		s.OAuth = &kafka.OAuth{
			Provider: o.Provider, TokenURL: o.TokenURL, ClientID: o.ClientID, ClientSecret: o.ClientSecret, AssertionFile: o.AssertionFile,
			Scope: o.Scope, Audience: o.Audience, CA: o.CA, Region: o.Region, Role: o.Role, Extensions: o.Extensions,
		}
	}
	return s
}

// loadMaps loads the field maps of a configuration and logs their warnings. On an error the set is nil.
func loadMaps(cfg *config.Config, log *slog.Logger) (*maps.Set, error) {
	set, problems := maps.Load(cfg.Maps...)
	var errs []error
	for _, x := range problems {
		if x.Warning {
			log.Warn("warning in a field map", "problem", x.String())
		} else {
			errs = append(errs, errors.New(x.String()))
		}
	}
	return set, errors.Join(errs...)
}

// openEnrichment opens the databases that describe addresses. It returns nil if the configuration names none.
func openEnrichment(cfg *config.Config, log *slog.Logger) (*maxmind.Database, error) {
	if cfg.Enrichment == (config.Enrichment{}) {
		return nil, nil
	}
	return maxmind.Open(maxmind.Config{Country: cfg.Enrichment.Country, ASN: cfg.Enrichment.ASN, Log: log})
}

// addToDecoding adds the identities and the enrichment of the configuration to the decoding of each input.
func addToDecoding(cfg *config.Config, enrichment *maxmind.Database, inputs []engine.Input) {
	for i := range inputs {
		inputs[i].Decode.Override = overrideOf(cfg.Identity)
		if enrichment != nil {
			inputs[i].Decode.Enrich = enrichment.Enricher
		}
	}
}

// overrideOf converts the compiled identity expressions into a decode.Override.
func overrideOf(o *config.Override) *decode.Override {
	if o == nil {
		return nil
	}
	out := &decode.Override{Wanted: schema.Wanted{Raw: o.Raws}}
	for _, d := range o.Datasets {
		out.Wanted.Fields.Union(d.UID.Fields())
	}
	out.Open = func() map[string]func(*schema.Event) (string, error) {
		scratch := predicate.NewScratch()
		byDataset := map[string]func(*schema.Event) (string, error){}
		for _, d := range o.Datasets {
			byDataset[d.Dataset] = func(e *schema.Event) (string, error) { return d.UID.Eval(e, scratch) }
		}
		return byDataset
	}
	return out
}

// InputFor returns an input that decodes records as a running aidr would decode those of the given source. The caller
// sets its Source, the connector that the records come from.
func InputFor(cfg *config.Config, s config.Source, set *maps.Set) (engine.Input, error) {
	in, err := buildInput(s, set)
	if err != nil {
		return in, err
	}
	enrichment, err := openEnrichment(cfg, slog.New(slog.DiscardHandler)) // a Database logs only reloads, and this one is never reloaded
	if err != nil {
		return in, err
	}
	inputs := []engine.Input{in}
	addToDecoding(cfg, enrichment, inputs)
	return inputs[0], nil
}

// SourceOf returns the source of a configuration that has the given name. If the name is "", the configuration must have
// at most one source: SourceOf returns it, or a source with default settings if the configuration lists none.
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
		return config.Source{}, fmt.Errorf("source %q: not in %s: use one of %q", name, cfg.File, names)
	case len(names) > 0:
		return config.Source{}, fmt.Errorf("%s has %d sources: name the one as which the files are read, one of %q", cfg.File, len(names), names)
	}
	return config.Source{Format: "auto"}, nil
}
