package registry

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/schema/scan"
)

const (
	// UnknownWait is how long a partition waits for a schema that the registry does not have. A replica of a registry
	// is seconds behind. A source waits at most once in unknownLife, so that wrong ids cannot stop it.
	UnknownWait = 10 * time.Second
	// minPause and maxPause bound the pauses between requests that fail.
	minPause = 500 * time.Millisecond
	maxPause = 15 * time.Second
)

// Source is a source whose framed records are converted. It is a connectors.Source and a connectors.Prober.
type Source struct {
	connectors.Source
	client *client
	log    *slog.Logger
	pause  func(ctx context.Context, d time.Duration) // waits; tests replace it
	head   int                                        // length of a frame's head in bytes

	counts [outcomes]atomic.Uint64

	mu     sync.Mutex
	held   map[connectors.Partition]string // the reason for which a partition is held back
	since  time.Time
	waited time.Time // when the source last waited for an unknown id
}

// outcome is the result of reading a framed record.
type outcome int

const (
	converted outcome = iota // Avro or protobuf became JSON, or the frame was removed
	unknown                  // the registry has no usable schema of its id
	invalid                  // its value does not fit the schema
	outcomes
)

// Counts are totals since Wrap, for metrics.
type Counts struct {
	Converted uint64 // framed records that were converted
	Unknown   uint64 // those without a usable schema, which become dead letters
	Invalid   uint64 // those that do not fit their schema, which become dead letters
}

// Wrap returns a source that converts the framed records of s. It connects to nothing.
func Wrap(s connectors.Source, c Config) (*Source, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	if c.IDBytes == 0 {
		c.IDBytes = 4
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	x, err := newClient(c)
	if err != nil {
		return nil, err
	}
	return &Source{
		Source: s, client: x, log: c.Log, pause: sleep, head: 1 + c.IDBytes, held: map[connectors.Partition]string{},
	}, nil
}

// sleep waits for d or until ctx ends.
func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// Run implements connectors.Source.
func (s *Source) Run(ctx context.Context, r connectors.Reader) error {
	return s.Source.Run(ctx, &reader{r, s})
}

// Tap reads like Run, without joining a group if the source can.
func (s *Source) Tap(ctx context.Context, r connectors.Reader) error {
	if k, ok := s.Source.(interface {
		Tap(context.Context, connectors.Reader) error
	}); ok {
		return k.Tap(ctx, &reader{r, s})
	}
	return s.Run(ctx, r)
}

// Probe implements connectors.Prober. The registry is asked for the schema 1, which it need not have.
func (s *Source) Probe(ctx context.Context) (answers []connectors.Answer) {
	if p, ok := s.Source.(connectors.Prober); ok {
		answers = p.Probe(ctx)
	}
	if s.client.cfg.URL == "" {
		return answers
	}
	a := connectors.Answer{Subject: "registry " + s.client.host(), Text: "answers"}
	var document document
	if err := s.client.get(ctx, "/schemas/ids/1", &document); err != nil && !errors.Is(err, errUnknown) {
		a.Text, a.Failed = strings.Join(strings.Fields(err.Error()), " "), true
	}
	return append(answers, a)
}

// Health implements connectors.Source. It is degraded while a partition is held back.
func (s *Source) Health() connectors.Health {
	h := s.Source.Health()
	s.mu.Lock()
	defer s.mu.Unlock()
	if h.Degraded || len(s.held) == 0 {
		return h
	}
	var first connectors.Partition
	for p := range s.held {
		if first.Topic == "" || p.Topic < first.Topic || p.Topic == first.Topic && p.Number < first.Number {
			first = p
		}
	}
	reason := fmt.Sprintf("partition %s/%d waits: %s", first.Topic, first.Number, s.held[first])
	if n := len(s.held) - 1; n > 0 {
		reason += fmt.Sprintf(" (and %d more)", n)
	}
	return connectors.Health{Degraded: true, Reason: reason, Since: s.since}
}

// Counts returns the totals for metrics.
func (s *Source) Counts() Counts {
	return Counts{s.counts[converted].Load(), s.counts[unknown].Load(), s.counts[invalid].Load()}
}

// hold records why a partition is held back, or with "" that it no longer is. It logs each change.
func (s *Source) hold(p connectors.Partition, reason string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	before, was := s.held[p]
	switch {
	case reason == before:
		return
	case reason == "":
		delete(s.held, p)
		s.log.Info("partition is read again", "source", p.Source, "topic", p.Topic, "partition", p.Number)
		return
	case len(s.held) == 0:
		s.since = time.Now()
	}
	s.held[p] = reason
	if !was {
		s.log.Warn("partition waits for the schema registry", "source", p.Source, "topic", p.Topic, "partition", p.Number, "reason", reason)
	}
}

// mayWait reports whether the source may wait for an unknown id now.
func (s *Source) mayWait() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.client.now()
	if !s.waited.IsZero() && now.Sub(s.waited) < unknownLife {
		return false
	}
	s.waited = now
	return true
}

// reader is the engine as seen by the wrapped source.
type reader struct {
	connectors.Reader
	s *Source
}

// StateLost implements connectors.StateLost.
func (r *reader) StateLost(p connectors.Partition) {
	if l, ok := r.Reader.(connectors.StateLost); ok {
		l.StateLost(p)
	}
}

// Read implements connectors.Reader. It blocks while the registry does not answer.
func (r *reader) Read(ctx context.Context, b *connectors.Batch) error {
	for i := range b.Records {
		if rec := &b.Records[i]; r.s.isFramed(b.Raw[rec.Start:rec.End]) && !rec.TooLarge {
			out, err := r.convert(ctx, b)
			if err != nil {
				return err
			}
			return r.Reader.Read(ctx, out)
		}
	}
	return r.Reader.Read(ctx, b)
}

// isFramed reports whether a record has a frame. Registries count ids from 1, and a zero id is the beginning of a run
// of NUL.
func (s *Source) isFramed(text string) bool {
	return len(text) > s.head && text[0] == 0 && s.idOf(text) != 0
}

// idOf returns the id in a frame, big-endian.
func (s *Source) idOf(text string) uint64 {
	if s.head == 5 {
		return uint64(binary.BigEndian.Uint32([]byte(text[1:5])))
	}
	return binary.BigEndian.Uint64([]byte(text[1:9]))
}

// convert returns the batch with converted records.
func (r *reader) convert(ctx context.Context, b *connectors.Batch) (*connectors.Batch, error) {
	out := *b
	out.Records = make([]connectors.Record, 0, len(b.Records))
	var raw strings.Builder
	raw.Grow(len(b.Raw))
	var buffer []byte
	for i := range b.Records {
		rec := b.Records[i]
		text := b.Raw[rec.Start:rec.End]
		rec.Start = raw.Len()
		if rec.TooLarge || !r.s.isFramed(text) {
			raw.WriteString(text)
		} else {
			schema, err := r.await(ctx, b, i, r.s.idOf(text))
			if err != nil && !isDefinite(err) {
				return nil, err
			}
			var result outcome
			buffer, result = schema.appendRecord(buffer[:0], text, r.s.head, err)
			r.s.counts[result].Add(1)
			raw.Write(buffer)
		}
		rec.End = raw.Len()
		out.Records = append(out.Records, rec)
	}
	out.Raw = raw.String()
	return &out, nil
}

// await returns the schema of an id. It waits while the registry does not answer. An error that is not definite is that
// of ctx or of the engine.
func (r *reader) await(ctx context.Context, b *connectors.Batch, record int, id uint64) (found, error) {
	schema, err := r.s.client.lookup(ctx, id)
	if err == nil || isDefinite(err) && (errors.Is(err, errBroken) || !r.s.mayWait()) {
		return schema, err
	}
	defer r.s.hold(b.Partition, "")
	// Silence of the partition must not be taken for its end while records wait.
	quiet := &connectors.Batch{Partition: b.Partition, Next: b.Records[0].Offset, HighWater: b.HighWater}
	if err := r.Reader.Read(ctx, quiet); err != nil {
		return found{}, err
	}
	pauses := connectors.Backoff{Min: minPause, Max: maxPause}
	patience := UnknownWait // for an unknown id
	for ctx.Err() == nil && err != nil {
		r.s.hold(b.Partition, fmt.Sprintf("schema %d of offset %d: %v", id, b.Records[record].Offset, err))
		d := pauses.Next()
		if isDefinite(err) {
			if patience <= 0 || errors.Is(err, errBroken) {
				return found{}, err
			}
			d = min(d, patience)
			patience -= d
		}
		r.s.pause(ctx, d)
		r.s.client.forget(id)
		schema, err = r.s.client.lookup(ctx, id)
	}
	if ctx.Err() != nil {
		return found{}, ctx.Err()
	}
	return schema, err
}

// isDefinite reports whether an error of a lookup is the answer of the registry.
func isDefinite(err error) bool { return errors.Is(err, errUnknown) || errors.Is(err, errBroken) }

// appendRecord appends the record in a frame, or the frame as it is if the schema is unknown or does not fit.
func (f found) appendRecord(dst []byte, text string, head int, err error) ([]byte, outcome) {
	body := text[head:]
	switch {
	case err != nil:
		return append(dst, text...), unknown
	case f.kind == kindJSON:
		return append(dst, body...), converted
	case f.kind == kindProtobuf:
		return f.appendMessage(dst, text, body)
	}
	out, err := f.avro.AppendJSON(dst, body)
	if err != nil {
		return append(dst, text...), invalid
	}
	return out, converted
}

// appendMessage appends the message in a frame, as JSON unless it is telemetry of OpenTelemetry, which the decoder reads itself.
func (f found) appendMessage(dst []byte, text, body string) ([]byte, outcome) {
	var buf [4]int
	position, message, ok := scan.ProtoPosition(buf[:0], body)
	if ok && f.message == nil {
		return append(dst, message...), converted
	}
	if ok {
		if out, err := f.message.AppendJSON(dst, position, message); err == nil {
			return out, converted
		}
	}
	return append(dst, text...), invalid
}
