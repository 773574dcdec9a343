package pipeline

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"slices"
	"time"

	"github.com/aidr-engine/aidr/cmd/aidr/api"
	"github.com/aidr-engine/aidr/cmd/aidr/config"
	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/connectors/file"
	"github.com/aidr-engine/aidr/connectors/kafka"
	"github.com/aidr-engine/aidr/engine"
	"github.com/aidr-engine/aidr/schema"
	"github.com/aidr-engine/aidr/schema/content"
	"github.com/aidr-engine/aidr/schema/decode"
	"github.com/aidr-engine/aidr/schema/formats"
)

const (
	// rawTime bounds reading a record again.
	rawTime = 10 * time.Second
	// maxRawText is the size in bytes of the text of a record that is shown.
	maxRawText = 256 << 10
)

// rawRecord reads the record of an event again, from the source that it came from; see api.Runtime.Raw.
func (p *Pipeline) rawRecord(ctx context.Context, e *schema.Evidence, whole bool) (*api.RawRecord, error) {
	ctx, cancel := context.WithTimeout(ctx, rawTime)
	defer cancel()
	cfg := p.live.Load()
	at := slices.IndexFunc(cfg.Sources, func(s config.Source) bool { return carriesTopic(&s, e.Topic) })
	if at < 0 {
		return &api.RawRecord{Missing: fmt.Sprintf("no source of the configuration reads %s any more", e.Topic)}, nil
	}
	out := &api.RawRecord{Source: cfg.Sources[at].Name}
	in, err := MeasuredInput(cfg, out.Source, "first", slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, err
	}
	text, stamp, ok, err := readAgain(ctx, in.Source.(boundedSource).Source, e)
	switch {
	case err != nil && ctx.Err() != nil:
		out.Missing = "the record was not found in time"
		return out, nil
	case err != nil:
		return nil, err
	case !ok:
		out.Missing = "its source does not keep the record any more: the retention of the topic, or of the files, decides"
		return out, nil
	}
	out.Kept, out.Bytes = true, len(text)
	if out.Event, err = p.eventOf(cfg, in, text, stamp, e); err != nil {
		return nil, err
	}
	switch {
	case !whole:
		out.Missing = "the text of the record is not shown to people of one tenant: it may hold what belongs to others"
	case cfg.Redact != nil:
		out.Missing = "the text of the record is not shown, because the configuration hides fields (redact)"
	default:
		out.Cut = len(text) > maxRawText
		out.Text = content.Redact(schema.Truncate(text, maxRawText))
	}
	return out, nil
}

// carriesTopic reports whether a source reads a topic, or a file.
func carriesTopic(s *config.Source, topic string) bool {
	switch {
	case s.Kafka != nil && s.Kafka.Pattern != "":
		ok, err := regexp.MatchString("^(?:"+s.Kafka.Pattern+")$", topic)
		return ok && err == nil
	case s.Kafka != nil:
		return slices.Contains(s.Kafka.Topics, topic)
	case s.File != nil:
		logs, err := file.List(s.File.Paths, nil)
		return err == nil && slices.Contains(logs, topic)
	}
	return false
}

// readAgain reads a record from its source; ok is false if it is not kept.
func readAgain(ctx context.Context, s connectors.Source, e *schema.Evidence) (text string, at schema.Instant, ok bool, err error) {
	if k, is := s.(*kafka.Source); is {
		return k.Record(ctx, e.Topic, e.Partition, e.Offset)
	}
	r := &recordReader{topic: e.Topic, offset: e.Offset}
	ctx, r.stop = context.WithCancel(ctx)
	defer r.stop()
	if err := s.Run(ctx, r); err != nil && !errors.Is(err, errFound) && !r.found && !r.past {
		return "", 0, false, err
	}
	return r.text, r.at, r.found, nil
}

// errFound ends the reading of a file once the record is found, or passed.
var errFound = errors.New("the record is found")

// recordReader is a connectors.Reader that keeps one record.
type recordReader struct {
	topic       string
	offset      int64
	stop        context.CancelFunc
	text        string
	at          schema.Instant
	found, past bool
}

// Assigned implements connectors.Reader. Other partitions are read, and passed over.
func (r *recordReader) Assigned(connectors.Partition) (int64, bool) { return 0, false }

// Read implements connectors.Reader.
func (r *recordReader) Read(_ context.Context, b *connectors.Batch) error {
	if b.Partition.Topic != r.topic || r.found || r.past {
		return nil
	}
	for _, rec := range b.Records {
		if rec.Offset == r.offset {
			r.text, r.at, r.found = b.Raw[rec.Start:rec.End], rec.Time, true
		}
	}
	if r.past = b.Next > r.offset || b.AtEnd; r.found || r.past {
		r.stop()
		return errFound
	}
	return nil
}

// Revoked implements connectors.Reader.
func (r *recordReader) Revoked(context.Context, connectors.Partition) error { return nil }

// Standby implements connectors.Reader.
func (r *recordReader) Standby(string, string) {}

// eventOf decodes a record and returns the event that the evidence is of, as JSON and redacted as in findings; "" if the record has no
// such event, as after a change of its format.
func (p *Pipeline) eventOf(cfg *config.Config, in engine.Input, text string, at schema.Instant, e *schema.Evidence) (line string, err error) {
	p.mu.Lock()
	in.Decode.Aliases = p.set.Aliases()
	p.mu.Unlock()
	in.Decode.Wanted = schema.Wanted{Fields: schema.AllFields()}
	d, err := decode.New(in.Decode)
	if err != nil {
		return "", err
	}
	d.Decode(text, decode.Meta{Pos: schema.Position{Topic: e.Topic, Partition: e.Partition, Offset: e.Offset}, Time: at}, &decode.Handler{
		Event: func(x *schema.Event) {
			if line == "" && x.Identity() == e.Identity {
				var shown schema.Event
				Expose(&shown, x, cfg.Redact)
				line = string(formats.AppendEvent(nil, &shown, false))
			}
		},
		Dead: func(decode.Dead) {}, FieldError: func(string, string) {}, Skipped: func(string, string) {},
	})
	return line, nil
}
