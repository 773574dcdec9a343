package kafka

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/segmentio/kafka-go"

	"github.com/aidr-engine/aidr/connectors"
)

const (
	// metadataTTL is how old what is known of topics and leaders may be: after a change of leader a partition is read
	// again within it.
	metadataTTL = 2 * time.Second
	// rebalanceTimeout is how long the group waits for a member to come back. It has to make what it read durable
	// before it does.
	rebalanceTimeout = 60 * time.Second
	// revokeTimeout is how long leaving waits for the engine; past the rebalanceTimeout the group goes on without us.
	revokeTimeout = 30 * time.Second
	// joinBackoff is the pause after a failed attempt to join.
	joinBackoff = time.Second
	// leaveGrace is how long leaving may take once everything is revoked. It is exceeded where the group waits for
	// another member; then its connections are cut.
	leaveGrace = 3 * time.Second
)

// brokersProblem is how health names a group that cannot be joined.
const brokersProblem = "brokers"

// member is one membership in the group: a series of generations with the same topics.
type member struct {
	*Source
	group  *kafka.ConsumerGroup
	topics []string
	to     connectors.Reader
	stop   context.CancelCauseFunc // ends Run with the engine's error

	running sync.WaitGroup // functions of the present generation; one is over before the next one assigns
}

// run takes part in generations until the topics are others or ctx ends.
func (m *member) run(ctx context.Context) {
	for ctx.Err() == nil {
		g, err := m.group.Next(ctx)
		m.setGeneration(nil)
		if err != nil {
			if errors.Is(err, kafka.ErrGroupClosed) {
				return
			}
			if !errors.Is(err, kafka.RebalanceInProgress) {
				m.failed(brokersProblem, fmt.Errorf("join group %q: %w", m.cfg.Group, err))
			}
			continue
		}
		m.running.Wait()
		known, err := m.look(ctx)
		if err != nil {
			known = layout{} // the first look of watch ends the generation once the brokers answer
			m.failed(brokersProblem, err)
		} else {
			m.health.set(brokersProblem, "")
			if !slices.Equal(known.topics(), m.topics) {
				return
			}
		}
		m.generation(g, known)
	}
}

// leave ends the present generation, whose functions revoke their partitions, and leaves the group.
func (m *member) leave(conns *conns) {
	left := make(chan struct{})
	go func() {
		m.group.Close() // tells nothing: it returns nil
		close(left)
	}()
	m.running.Wait()
	select {
	case <-left:
	case <-time.After(leaveGrace):
		conns.cut()
		<-left
	}
}

// generation starts reading what g assigns. It returns at once.
func (m *member) generation(g *kafka.Generation, known layout) {
	m.health.count(func(c *Counts) { c.Generations++ })
	m.setGeneration(g)
	m.start(g, func(ctx context.Context) {
		m.watch(ctx, known)
		m.health.set(brokersProblem, fmt.Sprintf("joining consumer group %q", m.cfg.Group))
	})
	fetchers := m.assign(g)
	m.cfg.Log.Info("joined the group", "source", m.cfg.Name, "group", m.cfg.Group, "generation", g.ID, "partitions", len(fetchers))
	if len(fetchers) == 0 {
		m.to.Standby(m.cfg.Name, fmt.Sprintf("another member of consumer group %q reads", m.cfg.Group))
		return
	}
	m.claim.Store(g.ID)
	m.to.Standby(m.cfg.Name, "")
	for _, f := range fetchers {
		m.start(g, func(ctx context.Context) { m.read(ctx, f) })
	}
}

// start runs fn until the generation ends; where fn returns before, the generation ends.
func (m *member) start(g *kafka.Generation, fn func(ctx context.Context)) {
	m.running.Add(1)
	g.Start(func(genCtx context.Context) {
		defer m.running.Done()
		// The client's context is its own kind, and deriving from it costs a goroutine each time: once is enough.
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		defer context.AfterFunc(genCtx, cancel)()
		fn(ctx)
	})
}

// assign announces the partitions and finds where each begins.
func (m *member) assign(g *kafka.Generation) []*fetcher {
	var fetchers []*fetcher
	for _, topic := range m.topics {
		assigned := slices.Clone(g.Assignments[topic])
		slices.SortFunc(assigned, func(a, b kafka.PartitionAssignment) int { return a.ID - b.ID })
		for _, a := range assigned {
			p := m.named(topic, a.ID)
			f := &fetcher{Source: m.Source, copier: copier{partition: p}, position: unknown}
			if from, ok := m.to.Assigned(p); ok {
				f.position = from
			} else if a.Offset >= 0 {
				f.position = a.Offset
				if r, ok := m.to.(connectors.StateLost); ok {
					r.StateLost(p)
				}
				m.cfg.Log.Warn("no checkpoint: going on from the group's committed offset", "source", m.cfg.Name,
					"topic", topic, "partition", a.ID, "offset", a.Offset)
			}
			fetchers = append(fetchers, f)
		}
	}
	return fetchers
}

// unknown is a fetcher's position before the start of the partition was asked for.
const unknown = -1

// read reads one partition until the generation ends, and revokes it.
func (m *member) read(ctx context.Context, f *fetcher) {
	if m.find(ctx, f) {
		if err := f.run(ctx, m.to); err != nil {
			m.stop(fmt.Errorf("read %s/%d: %w", f.partition.Topic, f.partition.Number, err))
		}
	}
	revokeCtx, cancel := context.WithTimeout(context.Background(), revokeTimeout)
	defer cancel()
	if err := m.to.Revoked(revokeCtx, f.partition); err != nil {
		m.stop(fmt.Errorf("revoke %s/%d: %w", f.partition.Topic, f.partition.Number, err))
	}
	m.health.set(f.what(), "")
}

// find asks where a partition begins that nobody has a position for. What it finds counts as long as this process
// lives: "last" asked again after an outage would lose what came in between.
func (m *member) find(ctx context.Context, f *fetcher) bool {
	m.mu.Lock()
	if at, ok := m.resolved[f.partition]; ok && f.position == unknown {
		f.position = at
	}
	m.mu.Unlock()
	for f.position == unknown {
		at, err := m.begin.resolve(ctx, m.client, f.partition.Topic, int(f.partition.Number))
		if err == nil {
			f.position = at
			m.mu.Lock()
			m.resolved[f.partition] = at
			m.mu.Unlock()
			m.health.set(f.what(), "")
			break
		}
		if ctx.Err() != nil {
			return false
		}
		m.failed(f.what(), err)
		sleep(ctx, 5*minPause)
	}
	return true
}
