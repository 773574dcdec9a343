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

// TapOptions select the records that Tap reads and receive the events.
type TapOptions struct {
	Sources []string // names; empty: all
	From    string   // start position in Kafka partitions: first, last, or a time in RFC 3339
	Log     *slog.Logger
	// Event is called with each event and the name of its source. The event is redacted as in findings and valid only
	// during the call. Calls do not overlap. An error ends the tap.
	Event func(source string, e *schema.Event) error
	// Dead is called with the source and the reason of each record that cannot be decoded.
	Dead func(source, reason string)
}

// Tap decodes the records of a configuration's sources as a running aidr would: with its field maps, identities, aliases
// and enrichment. It joins no consumer group, commits nothing and needs no state directory, so it may run beside a running
// aidr. It returns when ctx is done, or when every source has ended, as files do unless they are followed.
func Tap(ctx context.Context, cfg *config.Config, opts TapOptions) error {
	chosen, err := tapConfig(cfg, opts)
	if err != nil {
		return err
	}
	inputs, aliases, err := tapInputs(ctx, chosen, opts.Log)
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var all sync.WaitGroup
	var callbacks sync.Mutex // serialises the calls of Event and Dead
	for _, in := range inputs {
		in.Decode.Wanted, in.Decode.Aliases = schema.Wanted{Fields: schema.AllFields()}, aliases
		r, err := newTapReader(in.Source.Name(), in.Decode, chosen.Redact, opts, &callbacks)
		if err != nil {
			return fmt.Errorf("source %q: %w", in.Source.Name(), err)
		}
		all.Go(func() {
			if err := readSource(ctx, in.Source, r); err != nil {
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

// readSource reads a source without joining a consumer group.
func readSource(ctx context.Context, s connectors.Source, r connectors.Reader) error {
	if k, ok := s.(interface {
		Tap(context.Context, connectors.Reader) error
	}); ok {
		return k.Tap(ctx, r)
	}
	return s.Run(ctx, r)
}

// tapConfig returns the configuration with only the chosen sources, which start at opts.From.
func tapConfig(cfg *config.Config, opts TapOptions) (*config.Config, error) {
	out := *cfg
	out.Sources = nil
	var names []string
	for _, s := range cfg.Sources {
		names = append(names, s.Name)
		if len(opts.Sources) > 0 && !slices.Contains(opts.Sources, s.Name) {
			continue
		}
		if s.Kafka != nil {
			k := *s.Kafka
			k.Start = opts.From
			s.Kafka = &k
		}
		out.Sources = append(out.Sources, s)
	}
	for _, name := range opts.Sources {
		if !slices.Contains(names, name) {
			return nil, fmt.Errorf("source %q: not in the configuration: use one of %q", name, names)
		}
	}
	return &out, nil
}

// tapInputs builds the inputs of a running aidr, and the function that maps agent ids to their registered ones.
func tapInputs(ctx context.Context, cfg *config.Config, log *slog.Logger) ([]engine.Input, func(dataset, uid string) string, error) {
	set, problems := LoadRules(ruleFiles(cfg))
	if set == nil { // the rules are needed for their registry of agents
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
	enrichment, err := openEnrichment(cfg, log)
	if err != nil {
		return nil, nil, err
	}
	addToDecoding(cfg, enrichment, inputs)
	if enrichment != nil {
		go enrichment.Watch(ctx)
	}
	return inputs, set.Aliases(), nil
}

// tapReader passes the events of one source to the callbacks of the tap.
type tapReader struct {
	decoder   *decode.Decoder
	handler   decode.Handler
	redact    *schema.Redaction
	show      func(*schema.Event) error
	dead      func(string)
	redacted  schema.Event // reused for each event
	callbacks *sync.Mutex  // shared by all readers of the tap
	err       error        // first error of show
}

func newTapReader(source string, decoding decode.Options, redact *schema.Redaction, opts TapOptions, callbacks *sync.Mutex) (*tapReader, error) {
	d, err := decode.New(decoding)
	if err != nil {
		return nil, err
	}
	r := &tapReader{
		decoder: d, redact: redact, callbacks: callbacks,
		show: func(e *schema.Event) error { return opts.Event(source, e) }, dead: func(reason string) { opts.Dead(source, reason) },
	}
	r.handler = decode.Handler{Event: r.event, Dead: func(d decode.Dead) { r.dead(d.Reason) }}
	return r, nil
}

func (r *tapReader) event(e *schema.Event) {
	if r.err != nil {
		return
	}
	Expose(&r.redacted, e, r.redact)
	r.err = r.show(&r.redacted)
}

// Expose sets out to a copy of e redacted as in findings. e itself must stay as it is, because the following events of
// its record start as copies of it.
func Expose(out, e *schema.Event, redact *schema.Redaction) {
	*out = *e
	for f := range e.Present().All {
		out.Set(f, capture.Exposed(redact.Field(f), e.Value(f), content.Redact))
	}
}

// Assigned implements connectors.Reader.
func (r *tapReader) Assigned(connectors.Partition) (int64, bool) { return 0, false }

// Read implements connectors.Reader.
func (r *tapReader) Read(_ context.Context, b *connectors.Batch) error {
	r.callbacks.Lock()
	defer r.callbacks.Unlock()
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
