package fold

import (
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"strings"

	"github.com/aidr-engine/aidr/engine/flat"
	"github.com/aidr-engine/aidr/engine/item"
	"github.com/aidr-engine/aidr/rules"
	"github.com/aidr-engine/aidr/schema"
)

// FindingID returns the id of a finding: the first 128 bits of SHA-256 over
//
//	the rule's id        uvarint length, bytes
//	the rule's version   4 bytes big-endian
//	the group key        uvarint length, bytes in the form of item/key.go
//	the group's start    8 bytes big-endian, ns since the epoch in two's complement
//	the event's identity 16 bytes, of a late finding only
//
// None of these depends on the time or the machine at which the id is computed.
func FindingID(rule string, version int, group string, start schema.Instant, late schema.ID) (id schema.ID) {
	b := flat.AppendText(nil, rule)
	b = binary.BigEndian.AppendUint32(b, uint32(version))
	b = flat.AppendText(b, group)
	b = flat.AppendInstant(b, start)
	if !late.IsZero() {
		b = append(b, late[:]...)
	}
	sum := sha256.Sum256(b)
	copy(id[:], sum[:])
	return id
}

// Finding returns a group as a finding: open, without revision and detected_at.
func (p *Program) Finding(group string, g *Group) *schema.Finding {
	r := p.Rule
	f := &schema.Finding{
		ID:     FindingID(r.ID, g.Version, group, g.Start, schema.ID{}),
		Status: schema.StatusOpen, RuleID: r.ID, RuleVersion: g.Version, Kind: string(r.Kind),
		Title: r.Title, Severity: r.Severity, Confidence: r.Confidence, Tags: slices.Clone(r.Tags),
		Shadow: r.Stage == rules.StageShadow, Key: p.KeyMap(group),
		GroupStart: g.Start, FirstSeen: g.First, LastSeen: g.Last,
		Count: g.Count, Value: p.unit.number(g.Value), Threshold: p.unit.number(p.threshold),
		Evidence: make([]schema.Evidence, 0, g.N), Reasons: p.reasons(g), Response: responses(r),
	}
	s := item.ReadSubject(g.Subject)
	f.Tenant, f.AgentUID, f.AgentName, f.AgentSource, f.SessionID = s.Tenant, s.AgentUID, s.AgentName, s.AgentSource, s.SessionID
	for i := range g.N {
		f.Evidence = append(f.Evidence, p.renderEvidence(&g.Events[i]))
	}
	f.Explanation = p.explain(group, g)
	if k, ok := p.kind.(annotator); ok {
		k.annotate(g, f)
	}
	if r.Over != nil {
		f.Provenance = shownProvenance(f.Evidence)
	}
	f.Summary = p.summarise(g, f)
	return f
}

// shownProvenance returns the value of the first trigger of a provenance in the evidence of a rule over others, as far as
// the rule reads it. It returns nil if the rule reads no value, or no trigger shown has one.
func shownProvenance(evidence []schema.Evidence) *schema.Provenance {
	text := func(fields map[string]any, f schema.Field) string {
		s, _ := fields[f.String()].(string)
		return s
	}
	for i := range evidence {
		fields := evidence[i].Fields
		if v := text(fields, schema.ProvenanceValue); v != "" {
			return &schema.Provenance{
				Value: v, Argument: text(fields, schema.ProvenanceArgument), Source: text(fields, schema.ProvenanceSource),
			}
		}
	}
	return nil
}

// Late returns the finding for a late item of a rule without a stateful clause: a finding of its own, which settles at
// once.
func Late(p *Program, it *item.Item) *schema.Finding {
	evidence := strings.Clone(it.Evidence) // as in openGroup
	g := Group{
		Version: p.Rule.Version, Start: it.Time, End: it.Time, First: it.Time, Last: it.Time,
		Count: 1, Subject: item.SubjectOf(evidence),
	}
	g.AddEvent(Event{Time: it.Time, Role: it.Role, ID: it.ID, Evidence: evidence})
	f := p.Finding(it.Group, &g)
	f.ID = FindingID(p.Rule.ID, p.Rule.Version, it.Group, it.Time, it.ID)
	f.Late, f.Status, f.Revision = true, schema.StatusSettled, 1
	return f
}

// KeyMap returns the values of the group key by the names of their fields.
func (p *Program) KeyMap(group string) map[string]string {
	texts := item.KeyTexts(group)
	m := make(map[string]string, len(texts))
	for i, field := range p.Rule.GroupBy {
		if i < len(texts) {
			m[p.Rule.Key[field].Name] = strings.ToValidUTF8(texts[i], "\uFFFD")
		}
	}
	return m
}

// reasons returns the parts of the conditions that held. In a sequence, each part has the id of its step. Of alternatives
// it returns the ones that held for the first event that the finding shows; in a sequence, for the first event of each
// step. The role that breaks a sequence gives no reasons.
func (p *Program) reasons(g *Group) (texts []string) {
	r := p.Rule
	held := ^uint32(0)
	if k, ok := p.kind.(selector); ok {
		held = k.roles(g)
	}
	for i := range r.Roles {
		cond := r.Reasons(i)
		if cond == nil || held&(1<<i) == 0 {
			continue
		}
		for _, text := range cond.Held(p.branches(g, i)) {
			if r.Roles[i].Name != "" {
				text = r.Roles[i].Name + ": " + text
			}
			if !slices.Contains(texts, text) {
				texts = append(texts, text)
			}
		}
	}
	return texts
}

// branches returns the branches that the role's condition took for the first event shown of it. The result is nil if they
// are unknown, because the rule changed since or an earlier version captured the event.
func (p *Program) branches(g *Group, role int) []byte {
	for i := range g.Events[:g.N] {
		ev := &g.Events[i]
		if len(p.Rule.Roles) > 1 && ev.Step != role+1 {
			continue
		}
		e := item.ReadEvidence(ev.Evidence)
		if e.BranchesTag != p.branchesTag {
			return nil
		}
		branches, _ := e.RoleBranches(role)
		return branches
	}
	return nil
}

// responses returns the responses that the rule requests. Containment is recorded, not carried out.
func responses(r *rules.Rule) (list []schema.Response) {
	for _, name := range r.Notify {
		list = append(list, schema.Response{Action: "notify", Target: name, Result: "requested"})
	}
	if c := r.Contain; c != nil {
		contain := schema.Response{Action: "contain", Target: c.Scope, State: c.State, Mode: c.Mode, Result: "recorded"}
		if c.TTL > 0 {
			contain.TTL = durationText(c.TTL)
		}
		list = append(list, contain)
	}
	return list
}
