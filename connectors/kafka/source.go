// Package kafka reads Kafka topics. One member of the consumer group reads every partition; the others are on standby.
// The engine owns the positions. The offsets that are committed to the group are a hint for lag tools, and the place to
// resume from if the engine has lost its state.
//
// A source is degraded if its records are not read, even if every request succeeds: see checkProgress.
package kafka

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/segmentio/kafka-go"

	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/schema"
)

// Source reads the topics of its Config. It is a connectors.Source.
type Source struct {
	cfg       Config
	begin     begin
	choice    choice
	client    *kafka.Client
	transport *kafka.Transport
	dialer    *kafka.Dialer
	health    health
	claim     atomic.Int32 // the generation in which this process last read; -1 if it has never read

	now func() time.Time // for checkProgress alone; tests replace it

	mu         sync.Mutex
	generation *kafka.Generation              // the present generation, for Commit; nil between two generations
	resolved   map[connectors.Partition]int64 // the starts of partitions without a position
	fetchers   []*fetcher                     // those of the present generation; nil while this process does not read
	standby    bool                           // another member reads in the present generation

	// Used by checkProgress, which runs in one generation at a time.
	progress, unread progress
	starts           map[connectors.Partition]int64 // the starts of partitions that the group has never read
}

// New returns a source. It fails if Validate does, or if a file of the TLS configuration cannot be read. It does not
// connect.
func New(c Config) (*Source, error) {
	if err := c.Validate(); err != nil {
		return nil, fmt.Errorf("configure kafka source %q: %w", c.Name, err)
	}
	s := &Source{
		cfg: c.withDefaults(), now: time.Now,
		resolved: map[connectors.Partition]int64{}, starts: map[connectors.Partition]int64{},
	}
	s.claim.Store(-1)
	var err error
	if s.begin, err = parseStart(c.Start); err != nil {
		return nil, err
	}
	if s.choice, err = newChoice(c); err != nil {
		return nil, err
	}
	tls, err := c.TLS.Config()
	if err != nil {
		return nil, fmt.Errorf("configure kafka source %q: %w", c.Name, err)
	}
	mechanism, err := c.SASL.mechanism()
	if err != nil {
		return nil, fmt.Errorf("configure kafka source %q: sasl: %w", c.Name, err)
	}
	s.transport = &kafka.Transport{
		ClientID: s.cfg.ClientID, TLS: tls, SASL: mechanism, DialTimeout: requestTimeout, MetadataTTL: metadataTTL, Dial: s.cfg.Dial,
	}
	s.client = &kafka.Client{Addr: kafka.TCP(c.Brokers...), Transport: s.transport}
	s.dialer = &kafka.Dialer{ClientID: s.cfg.ClientID, TLS: tls, SASLMechanism: mechanism, Timeout: requestTimeout, DialFunc: s.cfg.Dial}
	return s, nil
}

// Name implements connectors.Source.
func (s *Source) Name() string { return s.cfg.Name }

// Health implements connectors.Source. It is degraded while the brokers, a topic or a partition cannot be read.
func (s *Source) Health() connectors.Health { return s.health.report() }

// Counts returns the totals for metrics.
func (s *Source) Counts() Counts {
	s.health.mu.Lock()
	defer s.health.mu.Unlock()
	return s.health.counts
}

// Run implements connectors.Source. It retries for as long as the brokers fail; an error that it returns comes from r.
func (s *Source) Run(ctx context.Context, r connectors.Reader) error {
	defer s.transport.CloseIdleConnections()
	runCtx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	for {
		found := s.awaitTopics(runCtx)
		if found == nil {
			break
		}
		if err := s.join(runCtx, stop, found.topics(), r); err != nil {
			return err
		}
	}
	if ctx.Err() != nil {
		return nil
	}
	return context.Cause(runCtx)
}

// join joins the group, and leaves it when the topics change or ctx ends.
func (s *Source) join(ctx context.Context, stop context.CancelCauseFunc, topics []string, r connectors.Reader) error {
	conns := &conns{to: s.cfg.Dial}
	dialer := *s.dialer
	dialer.DialFunc = conns.dial
	group, err := kafka.NewConsumerGroup(kafka.ConsumerGroupConfig{
		ID: s.cfg.Group, Brokers: s.cfg.Brokers, Dialer: &dialer, Topics: topics,
		GroupBalancers:    []kafka.GroupBalancer{balancer{s.claim.Load}},
		HeartbeatInterval: s.cfg.Heartbeat, SessionTimeout: s.cfg.Session, RebalanceTimeout: rebalanceTimeout,
		JoinGroupBackoff: joinBackoff, StartOffset: kafka.FirstOffset,
	})
	if err != nil {
		return fmt.Errorf("join group %q: %w", s.cfg.Group, err)
	}
	s.health.set(brokersProblem, joiningReason(s.cfg.Group)) // until the first generation
	m := &member{Source: s, group: group, topics: topics, stop: stop, to: r}
	m.run(ctx)
	m.leave(conns)
	s.setGeneration(nil)
	return nil
}

// Commit implements connectors.Source. It commits the positions to the group. While this process is not the reading
// member it does nothing, because only the member with the partitions may commit.
func (s *Source) Commit(ctx context.Context, positions map[connectors.Partition]int64) error {
	s.mu.Lock()
	g := s.generation
	s.mu.Unlock()
	if g == nil || ctx.Err() != nil {
		return ctx.Err()
	}
	offsets := map[string]map[int]int64{}
	for topic, assigned := range g.Assignments {
		for _, a := range assigned {
			position, ok := positions[s.partitionOf(topic, a.ID)]
			if !ok || position < 0 {
				continue
			}
			if offsets[topic] == nil {
				offsets[topic] = map[int]int64{}
			}
			offsets[topic][a.ID] = position
		}
	}
	if err := g.CommitOffsets(offsets); err != nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.generation != g {
			return nil // the generation has ended; the next one commits its own positions
		}
		return fmt.Errorf("commit offsets of group %q: %w", s.cfg.Group, err)
	}
	return nil
}

// Tap reads every partition of the chosen topics from the configured start without joining the group: it does not take
// partitions from a member and does not commit. It ends when ctx ends, and with the first error of r.
func (s *Source) Tap(ctx context.Context, r connectors.Reader) error {
	defer s.transport.CloseIdleConnections()
	tapCtx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var all sync.WaitGroup
	running := map[connectors.Partition]bool{}
	for tapCtx.Err() == nil {
		found := s.awaitTopics(tapCtx)
		var fresh []connectors.Partition
		for topic, partitions := range found {
			for n := range partitions {
				if p := s.partitionOf(topic, n); !running[p] {
					running[p] = true
					fresh = append(fresh, p)
					r.Assigned(p) // all of them before the first is read
				}
			}
		}
		for _, p := range fresh {
			all.Go(func() { s.tap(tapCtx, stop, p, r) })
		}
		s.watch(tapCtx, found, nil)
	}
	all.Wait()
	if ctx.Err() != nil {
		return nil
	}
	return context.Cause(tapCtx)
}

// tap reads one partition.
func (s *Source) tap(ctx context.Context, stop context.CancelCauseFunc, p connectors.Partition, r connectors.Reader) {
	f := newFetcher(s, p, unknown)
	if !s.resolvePosition(ctx, f) {
		return
	}
	if err := f.run(ctx, r); err != nil {
		stop(fmt.Errorf("read %s/%d: %w", p.Topic, p.Number, err))
	}
}

// partitionOf returns a partition of this source.
func (s *Source) partitionOf(topic string, number int) connectors.Partition {
	return connectors.Partition{Source: s.cfg.Name, Topic: topic, Number: int32(number)}
}

func (s *Source) setGeneration(g *kafka.Generation) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.generation, s.fetchers, s.standby = g, nil, false
}

// setFetchers records the partitions that this process reads in the present generation. A standby reads none.
func (s *Source) setFetchers(fetchers []*fetcher) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fetchers, s.standby = fetchers, len(fetchers) == 0
}

// failed records a failure that will be retried. The end of a context or of a generation is not a failure.
func (s *Source) failed(subject string, err error) {
	if errors.Is(err, context.Canceled) || errors.Is(err, kafka.ErrGenerationEnded) {
		return
	}
	s.health.count(func(c *Counts) { c.Failures++ })
	if s.health.fail(subject, err.Error(), time.Now()) {
		s.cfg.Log.Warn("read failed, retrying", "source", s.cfg.Name, "subject", subject, "error", err)
	}
}

// Record returns one record of a topic without joining the group. ok is false if the broker does not keep it any more.
func (s *Source) Record(ctx context.Context, topic string, number int32, offset int64) (value string, at schema.Instant, ok bool, err error) {
	defer s.transport.CloseIdleConnections()
	f := newFetcher(s, s.partitionOf(topic, int(number)), offset)
	for ctx.Err() == nil {
		b, err := f.fetch(ctx)
		if err != nil {
			return "", 0, false, fmt.Errorf("read %s/%d at %d: %w", topic, number, offset, err)
		}
		if f.position > offset && b == nil { // the broker's first record is a later one
			return "", 0, false, nil
		}
		if b == nil {
			continue
		}
		for _, r := range b.Records {
			if r.Offset == offset {
				return b.Raw[r.Start:r.End], r.Time, !r.Tombstone, nil
			}
		}
		if b.Next > offset || b.AtEnd {
			return "", 0, false, nil
		}
	}
	return "", 0, false, ctx.Err()
}
