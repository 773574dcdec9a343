package pipeline

import (
	"log/slog"

	"github.com/aidr-engine/aidr/cmd/aidr/config"
	"github.com/aidr-engine/aidr/connectors/maxmind"
	"github.com/aidr-engine/aidr/engine"
	"github.com/aidr-engine/aidr/rules/predicate"
	"github.com/aidr-engine/aidr/schema"
	"github.com/aidr-engine/aidr/schema/decode"
)

// openPlaces reads the files that tell of addresses; nil where the configuration names none.
func openPlaces(cfg *config.Config, log *slog.Logger) (*maxmind.Database, error) {
	if cfg.Enrichment == (config.Enrichment{}) {
		return nil, nil
	}
	return maxmind.Open(maxmind.Config{Country: cfg.Enrichment.Country, ASN: cfg.Enrichment.ASN, Log: log})
}

// finishEvents adds to the decoding of each input what the configuration says of all events.
func finishEvents(cfg *config.Config, places *maxmind.Database, inputs []engine.Input) {
	for i := range inputs {
		inputs[i].Decode.Override = overrideOf(cfg.Identity)
		if places != nil {
			inputs[i].Decode.Enrich = places.Enricher
		}
	}
}

// overrideOf turns compiled expressions into what decode calls.
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
