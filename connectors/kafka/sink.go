package kafka

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"sync"
	"time"

	"github.com/segmentio/kafka-go"

	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/schema"
)

// SinkConfig configures a Kafka sink. The zero value of an optional field means the default given with it.
type SinkConfig struct {
	Name    string   // of the sink; "kafka" by default
	Brokers []string // as in Config
	// Topic gets the changes of findings and of containments; "" means none. DeadLetters gets the dead letters; "" means none.
	// One of them is set. Topics are not created.
	Topic, DeadLetters string
	ClientID           string // "aidr" by default
	// Compression is "zstd" (the default), "lz4", "snappy", "gzip" or "none".
	Compression string
	TLS         *connectors.TLS
	SASL        *SASL
	Log         *slog.Logger // nil: no logging
}

// Compressions returns the values of SinkConfig.Compression.
func Compressions() []string { return []string{"zstd", "lz4", "snappy", "gzip", "none"} }

const (
	// maxSinkMessage is the size of a message in bytes that every broker accepts: the broker's default for a batch is 1,048,588, with
	// the overhead of the batch and of the headers.
	maxSinkMessage = 1_000_000
	// maxWriteEntries and maxWriteBytes bound one Write, so that the messages of a partition are one batch: it is stored as a whole
	// or not at all, and so its order is kept.
	maxWriteEntries = 500
	maxWriteBytes   = 900_000
	// sinkTimeout bounds one request. It is longer than the election of a leader takes.
	sinkTimeout = 10 * time.Second
	// pingEvery is how often Watch asks for the topics.
	pingEvery = 5 * time.Second
)

// Headers of messages. The key of a message is the uid of its agent, so that the changes of one agent are in one partition, in order.
// The partition is that of Java's default partitioner.
const (
	HeaderID       = "id"       // of the finding, response or approval
	HeaderRevision = "revision" // with the id the identity of the message: a repetition has the same value
	HeaderType     = "type"     // of the change, such as finding.opened
)

// Sink writes findings and dead letters to topics, each message acknowledged by all replicas in sync. It is a connectors.Sink.
//
// A message may be written twice, after a crash or a lost acknowledgement, because kafka-go cannot produce idempotently. Both
// have the same id and revision in their headers and the same value; a consumer that keeps the highest revision of an id is
// never wrong.
type Sink struct {
	cfg       SinkConfig
	writer    *kafka.Writer
	client    *kafka.Client
	transport *kafka.Transport

	mu     sync.Mutex
	health connectors.Health
}

// Validate returns all problems of c, joined.
func (c *SinkConfig) Validate() error {
	var errs []error
	add := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if len(c.Brokers) == 0 {
		add("no brokers: name at least one as host:port")
	}
	for _, b := range c.Brokers {
		if host, port, err := net.SplitHostPort(b); err != nil || host == "" || port == "" {
			add("broker %q: not host:port", b)
		}
	}
	if c.Topic == "" && c.DeadLetters == "" {
		add("no topic: name a topic for findings, for dead_letters, or for both")
	}
	for _, t := range []string{c.Topic, c.DeadLetters} {
		if t != "" && !topicForm.MatchString(t) {
			add("topic %q: not a topic name (1 to 249 of a-z, A-Z, 0-9, '.', '_' and '-')", t)
		}
	}
	if c.Topic != "" && c.Topic == c.DeadLetters {
		add("topic and dead_letters are both %q: consumers could not tell them apart", c.Topic)
	}
	if _, err := codecOf(c.Compression); err != nil {
		errs = append(errs, err)
	}
	if err := c.TLS.Validate(); err != nil {
		errs = append(errs, err)
	}
	if err := c.SASL.validate(); err != nil {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

func codecOf(name string) (kafka.Compression, error) {
	switch name {
	case "", "zstd":
		return kafka.Zstd, nil
	case "lz4":
		return kafka.Lz4, nil
	case "snappy":
		return kafka.Snappy, nil
	case "gzip":
		return kafka.Gzip, nil
	case "none":
		return 0, nil
	}
	return 0, fmt.Errorf("compression %q: use zstd, lz4, snappy, gzip or none", name)
}

// NewSink returns a sink. It fails if Validate does, or if a file of the TLS configuration cannot be read. It does not connect.
func NewSink(c SinkConfig) (*Sink, error) {
	if c.Name == "" {
		c.Name = "kafka"
	}
	if c.ClientID == "" {
		c.ClientID = "aidr"
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if err := c.Validate(); err != nil {
		return nil, fmt.Errorf("configure kafka sink %q: %w", c.Name, err)
	}
	tls, err := c.TLS.Config()
	if err != nil {
		return nil, fmt.Errorf("configure kafka sink %q: %w", c.Name, err)
	}
	mechanism, err := c.SASL.mechanism()
	if err != nil {
		return nil, fmt.Errorf("configure kafka sink %q: sasl: %w", c.Name, err)
	}
	codec, err := codecOf(c.Compression)
	if err != nil {
		return nil, err
	}
	s := &Sink{cfg: c, transport: &kafka.Transport{
		ClientID: c.ClientID, TLS: tls, SASL: mechanism, DialTimeout: requestTimeout, MetadataTTL: metadataTTL,
	}}
	s.client = &kafka.Client{Addr: kafka.TCP(c.Brokers...), Transport: s.transport}
	s.writer = &kafka.Writer{
		Addr: s.client.Addr, Transport: s.transport, Balancer: kafka.Murmur2Balancer{}, RequiredAcks: kafka.RequireAll, Compression: codec,
		MaxAttempts: 1, // the deliverer repeats, and keeps the order
		BatchSize:   maxWriteEntries, BatchBytes: maxSinkMessage, BatchTimeout: time.Millisecond,
		WriteTimeout: sinkTimeout, ReadTimeout: sinkTimeout,
	}
	return s, nil
}

// Name returns the sink's name.
func (s *Sink) Name() string { return s.cfg.Name }

// String returns a description of the destination.
func (s *Sink) String() string { return fmt.Sprintf("kafka sink %q", s.cfg.Name) }

// Profile describes a sink of deliveries. It gets every finding that is not of a shadow rule, and the containments that people look
// for.
func (s *Sink) Profile() connectors.Profile {
	p := connectors.Profile{
		Dead: schema.DeadDelivery, MaxEntries: maxWriteEntries, MaxBytes: maxWriteBytes, Wants: s.wants, Watch: s.watch,
	}
	if s.cfg.DeadLetters != "" {
		p.DeadLetters = s.writeDead
	}
	return p
}

func (s *Sink) wants(e connectors.Entry) bool {
	switch {
	case s.cfg.Topic == "":
		return false
	case e.Finding != nil:
		return !e.Finding.Shadow
	}
	return e.Type == connectors.AgentContained || e.Type == connectors.AgentReleased || e.Type == connectors.ApprovalAsked
}

// Write writes the entries; see connectors.Sink.
func (s *Sink) Write(ctx context.Context, entries []connectors.Entry) error {
	var p connectors.Partial
	var list []kafka.Message
	var seqs []uint64
	for i := range entries {
		e := &entries[i]
		if !s.wants(*e) {
			continue
		}
		m, err := s.message(e)
		if err != nil {
			p.Entries = append(p.Entries, connectors.Undelivered{Seq: e.Seq, Poison: true, Reason: connectors.ReasonUnencodable, Detail: err.Error()})
			continue
		}
		if size := messageSize(&m); size > maxSinkMessage {
			p.Entries = append(p.Entries, tooLarge(e.Seq, size))
			continue
		}
		list, seqs = append(list, m), append(seqs, e.Seq)
	}
	failed, err := s.writeAll(ctx, list, seqs)
	s.updateHealth(ctx, err)
	if err != nil {
		return fmt.Errorf("write to topic %s: %w", s.cfg.Topic, err)
	}
	if p.Entries = append(p.Entries, failed...); len(p.Entries) > 0 {
		return &p
	}
	return nil
}

// writeAll writes messages in parts that are one batch of a partition at most.
func (s *Sink) writeAll(ctx context.Context, list []kafka.Message, seqs []uint64) (failed []connectors.Undelivered, err error) {
	for len(list) > 0 {
		n, size := 0, 0
		for n < len(list) && n < maxWriteEntries {
			if size += messageSize(&list[n]); n > 0 && size > maxWriteBytes {
				break
			}
			n++
		}
		refused, err := s.writePart(ctx, list[:n], seqs[:n])
		if err != nil {
			return nil, err
		}
		failed = append(failed, refused...)
		list, seqs = list[n:], seqs[n:]
	}
	return failed, nil
}

// writePart writes messages, and returns those that a broker refused for good. After an error the state of every message is unknown.
func (s *Sink) writePart(ctx context.Context, list []kafka.Message, seqs []uint64) (failed []connectors.Undelivered, err error) {
	err = s.writer.WriteMessages(ctx, list...)
	var each kafka.WriteErrors
	switch {
	case err == nil:
		return nil, nil
	case !errors.As(err, &each):
		return nil, err
	}
	for i, err := range each {
		switch {
		case err == nil:
		case !refused(err):
			return nil, err
		case len(list) > 1: // the whole batch was refused, perhaps because of one message
			again, err := s.writePart(ctx, list[i:i+1], seqs[i:i+1])
			if err != nil {
				return nil, err
			}
			failed = append(failed, again...)
		default:
			failed = append(failed, connectors.Undelivered{Seq: seqs[i], Poison: true, Reason: connectors.ReasonRefused, Detail: err.Error()})
		}
	}
	return failed, nil
}

// refused reports whether a broker will never store a message, whatever the state of the cluster.
func refused(err error) bool {
	return errors.Is(err, kafka.MessageSizeTooLarge) || errors.Is(err, kafka.InvalidMessageSize) || errors.Is(err, kafka.RecordListTooLarge) ||
		errors.Is(err, kafka.InvalidRecord)
}

func tooLarge(seq uint64, size int) connectors.Undelivered {
	return connectors.Undelivered{
		Seq: seq, Poison: true, Reason: connectors.ReasonRefused, Detail: fmt.Sprintf("the message has %d bytes, brokers accept %d", size, maxSinkMessage),
	}
}

// messageSize returns the size of a message, at least that which a broker counts.
func messageSize(m *kafka.Message) int {
	size := len(m.Key) + len(m.Value) + 64
	for _, h := range m.Headers {
		size += len(h.Key) + len(h.Value) + 16
	}
	return size
}

// message returns the message of an entry.
func (s *Sink) message(e *connectors.Entry) (kafka.Message, error) {
	value, err := json.Marshal(e.Content())
	if err != nil {
		return kafka.Message{}, err
	}
	return kafka.Message{Topic: s.cfg.Topic, Key: keyOf(e), Value: value, Headers: []kafka.Header{
		{Key: HeaderType, Value: []byte(e.Type)}, {Key: HeaderID, Value: []byte(e.ID().String())},
		{Key: HeaderRevision, Value: strconv.AppendUint(nil, e.Version(), 10)},
	}}, nil
}

// keyOf returns the key of an entry's message: the agent, or the id of what has none.
func keyOf(e *connectors.Entry) []byte {
	agent := ""
	switch {
	case e.Finding != nil:
		agent = e.Finding.AgentUID
	case e.Response != nil:
		agent = e.Response.Target.Agent
	case e.Approval != nil:
		agent = e.Approval.Call.Agent
	}
	if agent == "" {
		agent = e.ID().String()
	}
	return []byte(agent)
}

// writeDead writes dead letters. Their key is the source or the sink.
func (s *Sink) writeDead(ctx context.Context, list []connectors.DeadLetter) error {
	messages := make([]kafka.Message, 0, len(list))
	for i := range list {
		d := &list[i]
		m := kafka.Message{Topic: s.cfg.DeadLetters, Key: []byte(d.Origin), Value: d.JSON, Headers: []kafka.Header{
			{Key: "seq", Value: strconv.AppendUint(nil, d.Seq, 10)}, {Key: "kind", Value: []byte(d.Kind)}, {Key: "reason", Value: []byte(d.Reason)},
		}}
		if messageSize(&m) > maxSinkMessage {
			s.cfg.Log.Warn("a dead letter is too large for its topic: see aidr dlq show", "seq", d.Seq, "bytes", len(d.JSON))
			continue
		}
		messages = append(messages, m)
	}
	failed, err := s.writeAll(ctx, messages, make([]uint64, len(messages)))
	s.updateHealth(ctx, err)
	if err != nil {
		return fmt.Errorf("write to topic %s: %w", s.cfg.DeadLetters, err)
	}
	for _, f := range failed {
		s.cfg.Log.Warn("the broker refuses a dead letter: see aidr dlq ls", "reason", f.Detail)
	}
	return nil
}

// watch asks for the topics until ctx ends, so that Health is right while there is nothing to write.
func (s *Sink) watch(ctx context.Context) {
	tick := time.NewTicker(pingEvery)
	defer tick.Stop()
	for {
		s.updateHealth(ctx, s.ping(ctx))
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// topics returns the configured topics.
func (s *Sink) topics() (out []string) {
	for _, t := range []string{s.cfg.Topic, s.cfg.DeadLetters} {
		if t != "" {
			out = append(out, t)
		}
	}
	return out
}

// ping returns an error unless the brokers know the topics.
func (s *Sink) ping(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	res, err := s.client.Metadata(ctx, &kafka.MetadataRequest{Topics: s.topics()})
	if err != nil {
		return fmt.Errorf("ask for the topics: %w", err)
	}
	for _, t := range res.Topics {
		if t.Error != nil {
			return fmt.Errorf("topic %s: %w", t.Name, t.Error)
		}
	}
	return nil
}

// updateHealth sets Health after a request. If the caller ended it, Health is left as it is.
func (s *Sink) updateHealth(ctx context.Context, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case err == nil:
		s.health = connectors.Health{}
	case ctx.Err() != nil:
	default:
		if !s.health.Degraded {
			s.health.Since = time.Now()
		}
		s.health.Degraded, s.health.Reason = true, oneLine(err.Error())
	}
}

// Health is degraded after a request failed, until one succeeds.
func (s *Sink) Health() connectors.Health {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.health
}

// Probe implements connectors.Prober: it asks the brokers for the topics, and writes nothing.
func (s *Sink) Probe(ctx context.Context) []connectors.Answer {
	if err := s.ping(ctx); err != nil {
		return []connectors.Answer{failedAnswer("topics", err)}
	}
	var out []connectors.Answer
	for _, t := range s.topics() {
		out = append(out, connectors.Answer{Subject: "topic " + t, Text: "exists"})
	}
	return out
}

// Close closes the connections.
func (s *Sink) Close() error {
	err := s.writer.Close()
	s.transport.CloseIdleConnections()
	return err
}
