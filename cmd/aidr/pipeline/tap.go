package pipeline

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"

	"github.com/aidr-engine/aidr/cmd/aidr/config"
	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/engine"
	"github.com/aidr-engine/aidr/engine/capture"
	"github.com/aidr-engine/aidr/schema"
	"github.com/aidr-engine/aidr/schema/content"
	"github.com/aidr-engine/aidr/schema/decode"
)

// TapOptions say what of a configuration's sources is shown.
type TapOptions struct {
	Sources []string // names; none: all
	From    string   // where partitions of Kafka begin: first, last, or a time in RFC 3339
	Log     *slog.Logger
	// Event is given each event, redacted as findings are. It is valid during the call; calls do not overlap. An error
	// ends the tap.
	Event func(e *schema.Event) error
	// Dead is given the reason of each record that can not be decoded.
	Dead func(reason string)
}

// Tap decodes what the sources of a configuration carry as a running aidr would: with its field maps, identities, aliases
// and enrichment. It joins no consumer group, commits nothing and needs no state directory, so it may run beside one. It
// ends with ctx, and where all sources are files that are not followed, when they are read.
func Tap(ctx context.Context, cfg *config.Config, o TapOptions) error {
	chosen, err := tapped(cfg, o)
	if err != nil {
		return err
	}
	inputs, aliases, err := tapInputs(ctx, chosen, o.Log)
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var all sync.WaitGroup
	var one sync.Mutex // of what is shown
	for _, in := range inputs {
		in.Decode.Wanted, in.Decode.Aliases = schema.Wanted{Fields: schema.AllFields()}, aliases
		r, err := newTapReader(in.Decode, chosen.Redact, o, &one)
		if err != nil {
			return fmt.Errorf("source %q: %w", in.Source.Name(), err)
		}
		all.Go(func() {
			if err := read(ctx, in.Source, r); err != nil {
				stop(err)
			}
		})
	}
	all.Wait()
	if err := context.Cause(ctx); err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// read reads a source without taking anything from who else reads it.
func read(ctx context.Context, s connectors.Source, r connectors.Reader) error {
	if k, ok := s.(interface {
		Tap(context.Context, connectors.Reader) error
	}); ok {
		return k.Tap(ctx, r)
	}
	return s.Run(ctx, r)
}

// tapped returns a configuration of the chosen sources alone, each beginning where the tap does.
func tapped(cfg *config.Config, o TapOptions) (*config.Config, error) {
	out := *cfg
	out.Sources = nil
	var names []string
	for _, s := range cfg.Sources {
		names = append(names, s.Name)
		if len(o.Sources) > 0 && !slices.Contains(o.Sources, s.Name) {
			continue
		}
		if s.Kafka != nil {
			k := *s.Kafka
			k.Start = o.From
			s.Kafka = &k
		}
		out.Sources = append(out.Sources, s)
	}
	for _, name := range o.Sources {
		if !slices.Contains(names, name) {
			return nil, fmt.Errorf("source %q: the configuration has none of this name, only %q", name, names)
		}
	}
	return &out, nil
}

// tapInputs builds what a running aidr would read its sources with.
func tapInputs(ctx context.Context, cfg *config.Config, log *slog.Logger) ([]engine.Input, func(dataset, uid string) string, error) {
	set, problems := LoadRules(RuleFiles{Paths: cfg.Rules, Lists: cfg.Lists, Agents: cfg.Agents})
	if set == nil { // the registry comes with the rules
		return nil, nil, errors.Join(problemErrors(problems)...)
	}
	mapped, err := loadMaps(cfg, log)
	if err != nil {
		return nil, nil, err
	}
	inputs, err := buildInputs(cfg, mapped, log)
	if err != nil {
		return nil, nil, err
	}
	places, err := openPlaces(cfg, log)
	if err != nil {
		return nil, nil, err
	}
	finishEvents(cfg, places, inputs)
	if places != nil {
		go places.Watch(ctx)
	}
	return inputs, set.Aliases(), nil
}

// tapReader shows the events of one source.
type tapReader struct {
	decoder *decode.Decoder
	handler decode.Handler
	redact  *schema.Redaction
	show    func(*schema.Event) error
	dead    func(string)
	shown   schema.Event
	one     *sync.Mutex
	err     error
}

func newTapReader(o decode.Options, redact *schema.Redaction, t TapOptions, one *sync.Mutex) (*tapReader, error) {
	d, err := decode.New(o)
	if err != nil {
		return nil, err
	}
	r := &tapReader{decoder: d, redact: redact, show: t.Event, dead: t.Dead, one: one}
	r.handler = decode.Handler{Event: r.event, Dead: func(d decode.Dead) { r.dead(d.Reason) }}
	return r, nil
}

func (r *tapReader) event(e *schema.Event) {
	if r.err != nil {
		return
	}
	Expose(&r.shown, e, r.redact)
	r.err = r.show(&r.shown)
}

// Expose makes shown what a finding may show of an event. It is a copy: what follows in the record begins as the event
// itself.
func Expose(shown, e *schema.Event, redact *schema.Redaction) {
	*shown = *e
	for f := range e.Present().All {
		shown.Set(f, capture.Exposed(redact.Field(f), e.Value(f), content.Redact))
	}
}

// Assigned implements connectors.Reader.
func (r *tapReader) Assigned(connectors.Partition) (int64, bool) { return 0, false }

// Read implements connectors.Reader.
func (r *tapReader) Read(_ context.Context, b *connectors.Batch) error {
	r.one.Lock()
	defer r.one.Unlock()
	p := b.Partition
	for _, rec := range b.Records {
		switch {
		case r.err != nil:
			return r.err
		case rec.Tombstone:
		case rec.TooLarge:
			r.dead(decode.ReasonSize)
		default:
			pos := schema.Position{Topic: p.Topic, Partition: p.Number, Offset: rec.Offset}
			r.decoder.Decode(b.Raw[rec.Start:rec.End], decode.Meta{Pos: pos, Time: rec.Time}, &r.handler)
		}
	}
	return r.err
}

// Revoked implements connectors.Reader.
func (r *tapReader) Revoked(context.Context, connectors.Partition) error { return nil }

// Standby implements connectors.Reader.
func (r *tapReader) Standby(string, string) {}
