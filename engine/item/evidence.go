package item

import (
	"encoding/binary"
	"math"

	"github.com/zeebo/xxh3"

	"github.com/aidr-engine/aidr/engine/flat"
	"github.com/aidr-engine/aidr/schema"
)

// Evidence is the part of an event that a finding shows. It is captured once, by the worker, as flat bytes, and is part
// of State, so a finding can be rendered long after the record is gone:
//
//	position   uvarint length of: topic (uvarint length, bytes), partition, offset, index (each varint), version (1 byte)
//	subject    uvarint length of: tenant, agent uid, name, uid source, session (each uvarint length, bytes)
//	event id, dataset, action, resource, outcome (each uvarint length, bytes)
//	core       uvarint length of: class, tool, tool server, target, credential uid, source address, workflow (each uvarint
//	           length, bytes); the last two are missing in evidence of earlier versions of the product
//	branches   uvarint length of: 4 bytes big-endian, Tag of the conditions of the rule's roles, then for each role that the
//	           event matched: its index (uvarint) and Cond.AppendBranches (uvarint length, bytes); 0 if no condition of
//	           these roles has branches
//	tag        4 bytes big-endian: Tag of the names of the Mentions that the values belong to; a rule with other Mentions
//	           does not show them
//	values     flat values (schema.AppendValue) of the rule's Mentions in their order, absent ones too; the last ones
//	           are left out if there is no room
//
// The version is evidenceVersion. Earlier versions of the product wrote no version, no core and no branches; State may hold
// such evidence for as long as a window or a group lasts.
type Evidence struct {
	Topic     string
	Partition int32
	Offset    int64
	Index     int

	EventID, Dataset, Action, Resource, Outcome string

	Class, Tool, ToolServer, Target, CredentialUID, SourceIP, Workflow string

	BranchesTag uint32 // 0 if the evidence has no branches
	Branches    []byte // of all roles, after the tag

	Tag    uint32 // 0 if the evidence ends before it
	Values []byte // nil if the evidence ends before the tag
}

// ReadEvidence reads flat evidence. From damaged bytes it returns the fields before the damage.
func ReadEvidence(evidence string) (e Evidence) {
	position, rest := flat.ReadText(evidence)
	pos := flat.NewReader([]byte(position))
	e.Topic = string(pos.Text())
	if n := pos.Varint(); n >= math.MinInt32 && n <= math.MaxInt32 {
		e.Partition = int32(n)
	}
	e.Offset, e.Index = pos.Varint(), int(pos.Varint())
	version := pos.Rest()
	_, rest = flat.ReadText(rest)
	for _, text := range [...]*string{&e.EventID, &e.Dataset, &e.Action, &e.Resource, &e.Outcome} {
		*text, rest = flat.ReadText(rest)
	}
	r := flat.NewReader([]byte(rest))
	if len(version) > 0 {
		e.readCore(r.Text())
		e.readBranches(r.Text())
	}
	if tag := r.Bytes(4); tag != nil {
		e.Tag, e.Values = binary.BigEndian.Uint32(tag), r.Rest()
	}
	return e
}

func (e *Evidence) readCore(core []byte) {
	r := flat.NewReader(core)
	for _, text := range [...]*string{&e.Class, &e.Tool, &e.ToolServer, &e.Target, &e.CredentialUID, &e.SourceIP, &e.Workflow} {
		*text = string(r.Text())
	}
}

func (e *Evidence) readBranches(branches []byte) {
	r := flat.NewReader(branches)
	if tag := r.Bytes(4); tag != nil {
		e.BranchesTag, e.Branches = binary.BigEndian.Uint32(tag), r.Rest()
	}
}

// RoleBranches returns the branches of the condition of one role; ok is false if the evidence lacks them.
func (e *Evidence) RoleBranches(role int) (branches []byte, ok bool) {
	r := flat.NewReader(e.Branches)
	for len(r.Rest()) > 0 && !r.Bad() {
		i := r.Uvarint()
		if branches = r.Text(); i == uint64(role) && !r.Bad() {
			return branches, true
		}
	}
	return nil, false
}

// evidenceVersion is the version of the flat form of evidence. It is at least 1.
const evidenceVersion = 1

// Tag returns a hash of the names of a rule's Mentions or of the texts of its conditions. Evidence has it, because State
// outlives a change of the rule.
func Tag(texts []string) uint32 {
	var b []byte
	for _, text := range texts {
		b = flat.AppendText(b, text)
	}
	return uint32(xxh3.Hash(b))
}

// withoutPosition returns the evidence after the position of its record.
func withoutPosition(evidence string) string {
	_, rest := flat.ReadText(evidence)
	return rest
}

// Subject is the tenant, agent and session that an event is about.
type Subject struct {
	Tenant, AgentUID, AgentName, AgentSource, SessionID string
}

// SubjectOf returns the subject in flat evidence, still flat.
func SubjectOf[T string | []byte](evidence T) T {
	_, rest := flat.ReadText(evidence)
	subject, _ := flat.ReadText(rest)
	return subject
}

// AppendSubject appends the flat form of a subject.
func AppendSubject(dst []byte, s *Subject) []byte {
	for _, text := range [...]string{s.Tenant, s.AgentUID, s.AgentName, s.AgentSource, s.SessionID} {
		dst = flat.AppendText(dst, text)
	}
	return dst
}

// ReadSubject reads a flat subject. From damaged bytes it returns the fields before the damage.
func ReadSubject(subject string) (s Subject) {
	r := flat.NewReader([]byte(subject))
	for _, text := range [...]*string{&s.Tenant, &s.AgentUID, &s.AgentName, &s.AgentSource, &s.SessionID} {
		*text = string(r.Text())
	}
	return s
}

// AppendPosition appends the flat form of a record's position, and the version of the evidence that it begins.
func AppendPosition(dst []byte, p schema.Position) []byte {
	dst = flat.AppendText(dst, p.Topic)
	dst = binary.AppendVarint(dst, int64(p.Partition))
	dst = binary.AppendVarint(dst, p.Offset)
	dst = binary.AppendVarint(dst, int64(p.Index))
	return append(dst, evidenceVersion)
}
