package kafka

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/segmentio/kafka-go"

	"github.com/aidr-engine/aidr/connectors"
)

// DefaultStall is how long a source may read nothing while records wait before its health is degraded. It is longer than
// a rebalance of the group, a checkpoint and the pauses between failed fetches.
const DefaultStall = time.Minute

const (
	// recordsProblem is the subject in health for records that wait although the group works.
	recordsProblem = "records"
	// assignmentProblem is the subject in health for partitions that the group has assigned to no member.
	assignmentProblem = "assignment"
)

// progress measures how long positions have not moved while records waited. A source that is connected, without errors and
// blind is otherwise not noticed: two sources with one consumer group, for example, of which one is assigned everything.
type progress struct {
	positions map[connectors.Partition]int64
	reading   bool
	moved     time.Time // the last time at which a position moved, or no record waited
}

// observe returns how long the positions have not moved while records waited. reading reports whether the positions are
// those of this process; the positions of this process and those of the group are not compared with each other.
func (p *progress) observe(now time.Time, reading bool, positions map[connectors.Partition]int64, waiting int64) time.Duration {
	if p.positions == nil || p.reading != reading || waiting == 0 || !maps.Equal(p.positions, positions) {
		*p = progress{positions, reading, now}
	}
	return now.Sub(p.moved)
}

// backlog holds the records that wait in each topic.
type backlog map[string]int64

func (b backlog) total() (n int64) {
	for _, waiting := range b {
		n += waiting
	}
	return n
}

// topics returns the topics in which records wait.
func (b backlog) topics() string {
	var names []string
	for topic, waiting := range b {
		if waiting > 0 {
			names = append(names, topic)
		}
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}

// checkProgress sets or ends the problem of records that wait and are not read.
func (s *Source) checkProgress(ctx context.Context, known layout) {
	s.mu.Lock()
	fetchers, standby := s.fetchers, s.standby
	s.mu.Unlock()
	if fetchers != nil {
		s.stalled(s.readingProblem(s.now(), fetchers))
		return
	}
	p, err := s.committed(ctx, known)
	if err != nil {
		s.failed(recordsProblem, fmt.Errorf("compare the positions of group %q with the ends of its partitions: %w", s.cfg.Group, err))
		return
	}
	reason := s.groupProblem(s.now(), standby, p)
	if nobody := s.assignedToNobody(ctx, known); standby && nobody != "" {
		reason = nobody // known at once and more exact
	}
	s.stalled(reason)
}

// assignedToNobody returns the problem of a standby with topics that are assigned to no member of its group, or "". A group
// gives all partitions to one member, but only those of the topics that this member reads. If the group cannot be described,
// only its positions are compared.
func (s *Source) assignedToNobody(ctx context.Context, known layout) string {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	res, err := s.client.DescribeGroups(ctx, &kafka.DescribeGroupsRequest{GroupIDs: []string{s.cfg.Group}})
	if err != nil || len(res.Groups) != 1 || res.Groups[0].Error != nil || res.Groups[0].GroupState != "Stable" {
		return ""
	}
	assigned := map[string]bool{}
	reader := ""
	for _, m := range res.Groups[0].Members {
		for _, t := range m.MemberAssignments.Topics {
			assigned[t.Topic] = true
			reader = fmt.Sprintf("%s at %s", m.ClientID, strings.TrimPrefix(m.ClientHost, "/"))
		}
	}
	var missing []string
	for _, topic := range known.topics() {
		if !assigned[topic] {
			missing = append(missing, topic)
		}
	}
	if len(missing) == 0 || reader == "" {
		return ""
	}
	return fmt.Sprintf("nobody reads %s: consumer group %q gives all partitions to the member %s, which has other topics: %s",
		strings.Join(missing, ", "), s.cfg.Group, reader, ownGroup)
}

// ownGroup is the remedy for sources that share a group.
const ownGroup = "give each source and each configuration a group of its own"

// stalled records the reason why records wait, or "" if none wait for long. It logs only the beginning and the end, because
// the reason holds a number that grows.
func (s *Source) stalled(reason string) {
	was := s.health.problem(recordsProblem) != ""
	s.health.set(recordsProblem, reason)
	switch {
	case reason != "" && !was:
		s.health.count(func(c *Counts) { c.Stalls++ })
		s.cfg.Log.Warn("records wait and are not read", "source", s.cfg.Name, "reason", reason)
	case reason == "" && was:
		s.cfg.Log.Info("no record waits unread any longer", "source", s.cfg.Name)
	}
}

// readingProblem returns the problem of a source that is assigned partitions and reads nothing, or "".
func (s *Source) readingProblem(now time.Time, fetchers []*fetcher) string {
	positions, waiting, blocked := map[connectors.Partition]int64{}, backlog{}, false
	for _, f := range fetchers {
		taken := f.taken.Load()
		positions[f.partition] = taken
		waiting[f.partition.Topic] += max(0, f.highWater.Load()-taken)
		blocked = blocked || f.handing.Load()
	}
	stall := s.progress.observe(now, true, positions, waiting.total())
	if stall < s.cfg.Stall {
		return ""
	}
	why := "the brokers return none of them"
	if blocked {
		why = "the engine takes no more: see its reason, that of the sinks, and the partitions that are further behind"
	}
	return fmt.Sprintf("%d records wait in %s and none was read for %s: %s", waiting.total(), waiting.topics(), stall.Round(time.Second), why)
}

// groupPositions is the state of a group whose partitions this process does not read.
type groupPositions struct {
	committed map[connectors.Partition]int64 // -1: the group has no position
	waiting   backlog
	unread    backlog // the part of waiting in topics that the group has never read
}

// groupProblem returns the problem of a source that is not assigned partitions and whose topics no other member reads, or
// "". A topic that the group has never read is judged alone, because the member that reads may have other topics.
func (s *Source) groupProblem(now time.Time, standby bool, p groupPositions) string {
	unread := map[connectors.Partition]int64{}
	for part, position := range p.committed {
		if _, ok := p.unread[part.Topic]; ok {
			unread[part] = position
		}
	}
	waiting, stall := p.waiting, s.progress.observe(now, false, p.committed, p.waiting.total())
	if d := s.unread.observe(now, false, unread, p.unread.total()); stall < s.cfg.Stall {
		waiting, stall = p.unread, d
	}
	if stall < s.cfg.Stall {
		return ""
	}
	found := fmt.Sprintf("%d records wait in %s and consumer group %q has read none for %s",
		waiting.total(), waiting.topics(), s.cfg.Group, stall.Round(time.Second))
	if !standby {
		return found + ": this process is assigned their partitions but cannot begin: see the reason of the engine"
	}
	return found + ": another member is assigned all partitions of the group, and it is stuck or has other topics: " + ownGroup
}

// committed compares the positions that the group has committed with the ends of the partitions.
func (s *Source) committed(ctx context.Context, known layout) (groupPositions, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	p := groupPositions{committed: map[connectors.Partition]int64{}, waiting: backlog{}, unread: backlog{}}
	asked, ends := map[string][]int{}, map[string][]kafka.OffsetRequest{}
	for topic, partitions := range known {
		for n := range partitions {
			asked[topic] = append(asked[topic], n)
			ends[topic] = append(ends[topic], kafka.LastOffsetOf(n))
		}
	}
	offsets, err := s.client.OffsetFetch(ctx, &kafka.OffsetFetchRequest{GroupID: s.cfg.Group, Topics: asked})
	if err == nil {
		err = offsets.Error
	}
	if err != nil {
		return p, err
	}
	last, err := s.client.ListOffsets(ctx, &kafka.ListOffsetsRequest{Topics: ends})
	if err != nil {
		return p, err
	}
	for topic, list := range offsets.Topics {
		for _, o := range list {
			if o.Error != nil {
				return p, fmt.Errorf("%s/%d: %w", topic, o.Partition, o.Error)
			}
			p.committed[s.partitionOf(topic, o.Partition)] = o.CommittedOffset
		}
	}
	return p, s.addWaiting(ctx, &p, last.Topics)
}

// addWaiting computes the records that wait from the ends of the partitions.
func (s *Source) addWaiting(ctx context.Context, p *groupPositions, ends map[string][]kafka.PartitionOffsets) error {
	for topic, list := range ends {
		known := false
		for _, end := range list {
			if end.Error != nil {
				return fmt.Errorf("%s/%d: %w", topic, end.Partition, end.Error)
			}
			part := s.partitionOf(topic, end.Partition)
			from, ok := p.committed[part]
			if ok && from >= 0 {
				known = true
			} else if from, ok = s.starts[part]; !ok {
				var err error
				if from, err = s.begin.resolve(ctx, s.client, topic, end.Partition); err != nil {
					return err
				}
				s.starts[part] = from
			}
			p.waiting[topic] += max(0, end.LastOffset-from)
		}
		if !known {
			p.unread[topic] = p.waiting[topic]
		}
	}
	return nil
}

// unassigned returns the partitions of a layout that are not among the fetchers, and the layout of those that are.
func unassigned(known layout, fetchers []*fetcher) (missing string, assigned layout) {
	assigned = layout{}
	for _, f := range fetchers {
		assigned[f.partition.Topic]++
	}
	var topics []string
	for topic, partitions := range known {
		if n := partitions - assigned[topic]; n > 0 {
			topics = append(topics, fmt.Sprintf("%d of %s", n, topic))
		}
	}
	slices.Sort(topics)
	return strings.Join(topics, ", "), assigned
}
