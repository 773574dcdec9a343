package kafka

import (
	"encoding/binary"

	"github.com/segmentio/kafka-go"
)

// balancer assigns every partition to one member. Rules may group by any field, so a member with only some of the
// partitions would see only a part of an agent's events. The member that read last keeps reading, so that a member that
// joins does not interrupt it; the others are on standby.
type balancer struct {
	// claim returns the number of the generation in which this process last read, or -1 if it has never read.
	claim func() int32
}

// ProtocolName implements kafka.GroupBalancer. Members with another protocol cannot join the group.
func (balancer) ProtocolName() string { return "aidr-all-to-one" }

// UserData implements kafka.GroupBalancer. It passes the claim of this member to the leader.
func (b balancer) UserData() ([]byte, error) {
	return binary.BigEndian.AppendUint32(nil, uint32(b.claim())), nil
}

// AssignGroups implements kafka.GroupBalancer. Its result depends only on the values of its arguments.
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

// elect returns the member with the newest claim, and among equal claims the member with the smallest ID.
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
