package kafka

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/segmentio/kafka-go"

	"github.com/aidr-engine/aidr/connectors"
)

const (
	// metadataTTL is the lifetime of the client's metadata about topics and leaders. After a change of leader, a partition
	// is readable again within this time.
	metadataTTL = 2 * time.Second
	// rebalanceTimeout is how long the group waits for a member to rejoin. Before a member rejoins, it has to make its
	// records durable.
	rebalanceTimeout = 60 * time.Second
	// revokeTimeout is how long leaving waits for the engine. It is shorter than rebalanceTimeout, after which the group
	// goes on without this member.
	revokeTimeout = 30 * time.Second
	// joinBackoff is the pause after a failed attempt to join.
	joinBackoff = time.Second
	// leaveGrace is how long leaving may take once everything is revoked. Leaving takes longer if the group waits for
	// another member; then the connections are closed.
	leaveGrace = 3 * time.Second
)

// brokersProblem is the subject in health for brokers that cannot be reached and a group that cannot be joined.
const brokersProblem = "brokers"

// member is one membership in the group. It lasts for a series of generations with the same topics.
type member struct {
	*Source
	group  *kafka.ConsumerGroup
	topics []string
	to     connectors.Reader
	stop   context.CancelCauseFunc // ends Run with the engine's error

	running sync.WaitGroup // functions of the present generation; all have returned before the next generation assigns
}

// run takes part in generations until the topics change or ctx ends.
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
		known, err := m.findTopics(ctx)
		if err != nil {
			known = layout{} // differs from the layout that watch finds once the brokers answer, so the generation then ends
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
		m.group.Close() // always returns nil
		close(left)
	}()
	m.running.Wait()
	select {
	case <-left:
	case <-time.After(leaveGrace):
		conns.closeAll()
		<-left
	}
}

// generation starts to read the partitions that g assigns, and returns immediately.
func (m *member) generation(g *kafka.Generation, known layout) {
	m.health.count(func(c *Counts) { c.Generations++ })
	m.setGeneration(g)
	fetchers := m.fetchersOf(g)
	if len(fetchers) > 0 {
		known = m.reportUnassigned(known, fetchers)
	} else {
		m.health.set(assignmentProblem, "")
	}
	m.start(g, func(ctx context.Context) {
		m.watch(ctx, known, m.checkProgress)
		m.health.set(brokersProblem, joiningReason(m.cfg.Group))
	})
	m.assign(fetchers)
	m.setFetchers(fetchers)
	m.cfg.Log.Info("joined the consumer group", "source", m.cfg.Name, "group", m.cfg.Group, "generation", g.ID, "partitions", len(fetchers))
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

func joiningReason(group string) string { return fmt.Sprintf("joining consumer group %q", group) }

// reportUnassigned reports the partitions that exist but that the group, whose leader looked at the topics earlier, has
// assigned to no member. It returns the layout of those that are assigned, so that watch notices the difference and the
// group assigns again.
func (m *member) reportUnassigned(known layout, fetchers []*fetcher) layout {
	missing, assigned := unassigned(known, fetchers)
	if missing == "" {
		m.health.set(assignmentProblem, "")
		return known
	}
	reason := fmt.Sprintf("consumer group %q has not assigned all partitions (missing: %s): joining it again", m.cfg.Group, missing)
	if m.health.set(assignmentProblem, reason) {
		m.cfg.Log.Warn("partitions are assigned to no member", "source", m.cfg.Name, "reason", reason)
	}
	return assigned
}

// start runs fn in a goroutine until the generation ends. If fn returns earlier, that ends the generation.
func (m *member) start(g *kafka.Generation, fn func(ctx context.Context)) {
	m.running.Add(1)
	g.Start(func(genCtx context.Context) {
		defer m.running.Done()
		// Each context that is derived from the client's own kind of context costs a goroutine, so only one is.
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		defer context.AfterFunc(genCtx, cancel)()
		fn(ctx)
	})
}

// fetchersOf returns a fetcher for each partition that g assigns, with the offset that is committed to the group.
func (m *member) fetchersOf(g *kafka.Generation) []*fetcher {
	var fetchers []*fetcher
	for _, topic := range m.topics {
		assigned := slices.Clone(g.Assignments[topic])
		slices.SortFunc(assigned, func(a, b kafka.PartitionAssignment) int { return a.ID - b.ID })
		for _, a := range assigned {
			fetchers = append(fetchers, newFetcher(m.Source, m.partitionOf(topic, a.ID), max(unknown, a.Offset)))
		}
	}
	return fetchers
}

// assign announces the partitions and sets the position of each fetcher, as far as it is known: the engine's position, or
// else the offset that is committed to the group.
func (m *member) assign(fetchers []*fetcher) {
	for _, f := range fetchers {
		p, committed := f.partition, f.position
		from, known := m.to.Assigned(p)
		switch {
		case known:
			f.position = from
			if committed > from { // checkpoints come before commits, so this process did not commit that offset
				stateLost(m.to, p)
				m.cfg.Log.Warn("the checkpoint is behind the committed offset of the group, because another process has read with another "+
					"state directory; records are read again, and findings carry warming_until", "source", m.cfg.Name,
					"topic", p.Topic, "partition", p.Number, "position", from, "committed", committed)
			}
		case committed != unknown:
			stateLost(m.to, p)
			m.cfg.Log.Warn("no checkpoint, resuming from the committed offset of the group; findings carry warming_until", "source", m.cfg.Name,
				"topic", p.Topic, "partition", p.Number, "offset", committed)
		}
	}
}

// stateLost reports to the engine that earlier records of the partition are unknown to it.
func stateLost(to connectors.Reader, p connectors.Partition) {
	if r, ok := to.(connectors.StateLost); ok {
		r.StateLost(p)
	}
}

// unknown is the position of a fetcher before the start of its partition is resolved.
const unknown = -1

// read reads one partition until the generation ends, and then revokes it.
func (m *member) read(ctx context.Context, f *fetcher) {
	if m.resolvePosition(ctx, f) {
		if err := f.run(ctx, m.to); err != nil {
			m.stop(fmt.Errorf("read %s/%d: %w", f.partition.Topic, f.partition.Number, err))
		}
	}
	revokeCtx, cancel := context.WithTimeout(context.Background(), revokeTimeout)
	defer cancel()
	if err := m.to.Revoked(revokeCtx, f.partition); err != nil {
		m.stop(fmt.Errorf("revoke %s/%d: %w", f.partition.Topic, f.partition.Number, err))
	}
	m.health.set(f.subject(), "")
}

// resolvePosition sets a position that is unknown to the configured start of the partition. It reports whether that
// succeeded before ctx ended. The result is remembered for the lifetime of the process: if "last" were resolved again
// after an outage, the records in between would be lost.
func (s *Source) resolvePosition(ctx context.Context, f *fetcher) bool {
	s.mu.Lock()
	if at, ok := s.resolved[f.partition]; ok && f.position == unknown {
		f.position = at
	}
	s.mu.Unlock()
	for f.position == unknown {
		at, err := s.begin.resolve(ctx, s.client, f.partition.Topic, int(f.partition.Number))
		if err == nil {
			f.position = at
			s.mu.Lock()
			s.resolved[f.partition] = at
			s.mu.Unlock()
			s.health.set(f.subject(), "")
			break
		}
		if ctx.Err() != nil {
			return false
		}
		s.failed(f.subject(), err)
		sleep(ctx, retryPause)
	}
	return true
}

// conns holds the open connections of one group membership, so that they can be closed from outside. The client's own
// requests have deadlines, but the deadline of a join is as long as the group may wait for its members.
type conns struct {
	to   func(ctx context.Context, network, address string) (net.Conn, error)
	mu   sync.Mutex
	open map[*trackedConn]bool
}

// dial opens a connection and registers it until it is closed.
func (c *conns) dial(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := c.to(ctx, network, address)
	if err != nil {
		return nil, err
	}
	t := &trackedConn{conn, c}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.open == nil {
		c.open = map[*trackedConn]bool{}
	}
	c.open[t] = true
	return t, nil
}

// closeAll closes all connections. Requests that wait for an answer then fail.
func (c *conns) closeAll() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for t := range c.open {
		t.Conn.Close()
	}
	clear(c.open)
}

// trackedConn is a connection that leaves its conns when it is closed.
type trackedConn struct {
	net.Conn
	conns *conns
}

func (t *trackedConn) Close() error {
	t.conns.mu.Lock()
	delete(t.conns.open, t)
	t.conns.mu.Unlock()
	return t.Conn.Close()
}
