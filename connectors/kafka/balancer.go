package kafka

import (
	"encoding/binary"

	"github.com/segmentio/kafka-go"
)

// balancer gives one member every partition: rules group by any field, so whoever reads a part of the partitions would
// see half of an agent. The member that read last keeps reading, so that one that joins disturbs nothing; the others
// stand by.
type balancer struct {
	// claim is the number of the generation in which this process last read, -1 where it never did.
	claim func() int32
}

// ProtocolName implements kafka.GroupBalancer. Members that balance otherwise cannot join the group.
func (balancer) ProtocolName() string { return "aidr-all-to-one" }

// UserData implements kafka.GroupBalancer: it tells the leader what this member claims.
func (b balancer) UserData() ([]byte, error) {
	return binary.BigEndian.AppendUint32(nil, uint32(b.claim())), nil
}

// AssignGroups implements kafka.GroupBalancer. Its result depends on nothing but its arguments' values.
func (balancer) AssignGroups(members []kafka.GroupMember, partitions []kafka.Partition) kafka.GroupMemberAssignments {
	assignments := kafka.GroupMemberAssignments{}
	for _, m := range members {
		assignments[m.ID] = map[string][]int{}
	}
	reader := elect(members)
	if reader == nil {
		return assignments
	}
	wanted := map[string]bool{}
	for _, topic := range reader.Topics {
		wanted[topic] = true
	}
	for _, p := range partitions {
		if wanted[p.Topic] {
			assignments[reader.ID][p.Topic] = append(assignments[reader.ID][p.Topic], p.ID)
		}
	}
	return assignments
}

// elect returns the member with the newest claim; among equals, the one with the smallest id.
func elect(members []kafka.GroupMember) *kafka.GroupMember {
	var best *kafka.GroupMember
	for i := range members {
		m := &members[i]
		if best == nil || claimOf(m) > claimOf(best) || claimOf(m) == claimOf(best) && m.ID < best.ID {
			best = m
		}
	}
	return best
}

func claimOf(m *kafka.GroupMember) int32 {
	if len(m.UserData) != 4 {
		return -1
	}
	return int32(binary.BigEndian.Uint32(m.UserData))
}
