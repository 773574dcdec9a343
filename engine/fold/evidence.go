package fold

import (
	"encoding/binary"
	"encoding/json"
	"math"
	"strings"

	"github.com/zeebo/xxh3"

	"github.com/aidr-engine/aidr/rules/expr"
	"github.com/aidr-engine/aidr/schema"
)

// What a finding shows of one event is captured once, in the worker, as flat bytes. They are part of State, so a finding
// can be rendered long after the record is gone:
//
//	position   uvarint length of: topic (uvarint length, bytes), partition, offset, index (each varint)
//	who        uvarint length of: tenant, agent uid, name, uid source, session (each uvarint length, bytes)
//	event id, dataset, action, resource, outcome (each uvarint length, bytes)
//	tag        4 bytes: which list of Mentions the values below are of; of another one they are not shown
//	values     flat values (schema.AppendValue) of the rule's Mentions in their order, absent ones too; a tail is left
//	           out where there is no more room
const (
	// maxEvidenceText is the size in bytes of one text in evidence: what a person reads of it.
	maxEvidenceText = 1 << 10
	// maxEvidenceValues is the size in bytes of all values of one event: State keeps up to 5 events for a key, a
	// finding 8, and a webhook's body is under 20 KB.
	maxEvidenceValues = 8 << 10
)

// appendEvidence appends what a finding shows of the event. What is the same for every rule, and each text that more
// than one rule shows, is made once per event (see Begin).
func (c *Capturer) appendEvidence(dst []byte, p *Program, e *schema.Event) []byte {
	if len(c.head) == 0 {
		c.head = c.appendHead(c.head, e)
	}
	dst = append(dst, c.head...)
	dst = binary.BigEndian.AppendUint32(dst, p.mentions)
	limit := len(dst) + maxEvidenceValues
	for i := range p.Rule.Mentions {
		from := len(dst)
		m := &p.Rule.Mentions[i]
		if m.Raw < 0 {
			dst = schema.AppendValue(dst, c.shownField(e, m.Field))
		} else {
			dst = schema.AppendValue(dst, c.exposed(c.exposure(m), mentioned(e, m)))
		}
		if len(dst) > limit {
			return dst[:from]
		}
	}
	return dst
}

// appendHead appends what comes before the tag.
func (c *Capturer) appendHead(dst []byte, e *schema.Event) []byte {
	c.part = appendText(c.part[:0], e.Pos.Topic)
	c.part = binary.AppendVarint(c.part, int64(e.Pos.Partition))
	c.part = binary.AppendVarint(c.part, e.Pos.Offset)
	c.part = binary.AppendVarint(c.part, int64(e.Pos.Index))
	dst = appendText(dst, c.part)

	c.part = appendText(c.part[:0], c.shown(e.Tenant))
	for _, f := range [...]schema.Field{schema.AIAgentUID, schema.AIAgentName, schema.AIAgentUIDSource, schema.SessionID} {
		c.part = appendText(c.part, c.shownField(e, f).Text)
	}
	dst = appendText(dst, c.part)

	resource := schema.ResourceID
	if !e.Has(resource) {
		resource = schema.ResourceName
	}
	for _, f := range [...]schema.Field{schema.EventID, schema.EventDataset, schema.EventAction, resource, schema.EventOutcome} {
		dst = appendText(dst, c.shownField(e, f).Text)
	}
	return dst
}

// shownField is what may be shown of a field, made once per event, and not again of the text of the event before.
func (c *Capturer) shownField(e *schema.Event, f schema.Field) schema.Value {
	s := &c.fields[f]
	if c.have.Has(f) {
		return s.value
	}
	c.have.Add(f)
	v := e.Value(f)
	switch {
	case v.Kind != schema.KindString:
		*s = shownValue{value: c.exposed(c.Redaction.Field(f), v)}
	case v.Text != s.text || v.Text == "":
		*s = shownValue{v.Text, c.exposed(c.Redaction.Field(f), v)}
	}
	return s.value
}

// mentioned returns the value of the event.
func mentioned(e *schema.Event, m *expr.Mention) schema.Value {
	if m.Raw < 0 {
		return e.Value(m.Field)
	}
	if m.Raw < len(e.Raws) {
		return e.Raws[m.Raw]
	}
	return schema.Value{}
}

// shown returns a text as a finding may show it.
func (c *Capturer) shown(s string) string {
	return cutText(schema.Redacted.Expose(s, c.redactFor(schema.Redacted)), maxEvidenceText)
}

// exposed returns a value as a finding may show it.
func (c *Capturer) exposed(x schema.Exposure, v schema.Value) schema.Value {
	if x == schema.Redacted && v.Kind == schema.KindString && v.Text != "" && c.Redact != nil { // the usual case
		v.Text = cutText(c.redact(v.Text), maxEvidenceText)
		return v
	}
	v = Exposed(x, v, c.redactFor(x))
	if len(v.Text) > maxEvidenceText {
		v.Text = cutText(v.Text, maxEvidenceText)
		v = asText(v)
	}
	return v
}

// Exposed returns of a value what may leave the worker, absent where nothing may; secrets takes the credentials out of a
// text. What is hashed is text.
func Exposed(x schema.Exposure, v schema.Value, secrets func(string) string) schema.Value {
	switch {
	case x == schema.Dropped || !v.Present():
		return schema.Value{}
	case x == schema.Hashed:
		return schema.StringValue(schema.HashText(string(appendValueText(nil, v))))
	case v.Text == "":
		return v
	}
	whole := v.Text
	if v.Text = x.Expose(v.Text, secrets); v.Text != whole {
		v = asText(v)
	}
	return v
}

// asText makes text of JSON that was changed and is none any more.
func asText(v schema.Value) schema.Value {
	if v.Kind != schema.KindString && !json.Valid([]byte(v.Text)) {
		v.Kind = schema.KindString
	}
	return v
}

// mentionsTag is a hash of the names.
func mentionsTag(mentions []expr.Mention) uint32 {
	var b []byte
	for i := range mentions {
		b = appendText(b, mentions[i].Name)
	}
	return uint32(xxh3.Hash(b))
}

// withoutPosition returns the evidence without where its record was read.
func withoutPosition(evidence string) string {
	_, rest := cutPart(evidence)
	return rest
}

// whoOf returns who the event is about, as evidence has it.
func whoOf[T string | []byte](evidence T) T {
	_, rest := cutPart(evidence)
	who, _ := cutPart(rest)
	return who
}

// cutPart takes a length and that many bytes from the front; of what is damaged it gives nothing.
func cutPart[T string | []byte](s T) (part, rest T) {
	n, at := uint64(0), 0
	for shift := 0; ; shift += 7 {
		if at == len(s) || shift > 28 {
			return part, rest
		}
		b := s[at]
		at++
		n |= uint64(b&0x7f) << shift
		if b < 0x80 {
			break
		}
	}
	if n > uint64(len(s)-at) {
		return part, rest
	}
	return s[at : at+int(n)], s[at+int(n):]
}

// renderEvidence makes what JSON shows of an event. Of damaged bytes it shows what it can read.
func (p *Program) renderEvidence(s *Shown) schema.Evidence {
	e := schema.Evidence{Identity: s.ID, Time: schema.Instant(s.Time), Step: p.stepName(s.Step)}
	position, rest := cutPart(s.Evidence)
	pos := reader{b: []byte(position)}
	e.Topic = string(pos.text())
	if n := pos.varint(); n >= math.MinInt32 && n <= math.MaxInt32 {
		e.Partition = int32(n)
	}
	e.Offset, e.Index = pos.varint(), int(pos.varint())
	_, rest = cutPart(rest)
	for _, text := range [...]*string{&e.EventID, &e.Dataset, &e.Action, &e.Resource, &e.Outcome} {
		*text, rest = cutPart(rest)
	}
	r := reader{b: []byte(rest)}
	if tag := r.bytes(4); tag == nil || binary.BigEndian.Uint32(tag) != p.mentions {
		return e
	}
	for i := range p.Rule.Mentions {
		v, after, ok := schema.CutValue(r.b)
		if !ok {
			break
		}
		r.b = after
		if v.Present() {
			if e.Fields == nil {
				e.Fields = make(map[string]any, len(p.Rule.Mentions))
			}
			e.Fields[p.Rule.Mentions[i].Name] = jsonValue(v)
		}
	}
	return e
}

// jsonValue returns the value as encoding/json writes it.
func jsonValue(v schema.Value) any {
	switch v.Kind {
	case schema.KindInt:
		return v.Int()
	case schema.KindDouble:
		if x := v.Double(); !math.IsNaN(x) && !math.IsInf(x, 0) {
			return x
		}
		return nil
	case schema.KindBool:
		return v.Bool()
	case schema.KindTimestamp:
		return schema.Instant(v.Int()).String()
	case schema.KindJSON, schema.KindList:
		if json.Valid([]byte(v.Text)) {
			return json.RawMessage(v.Text)
		}
	}
	return strings.ToValidUTF8(v.Text, "\uFFFD")
}

// stepName returns the name of a sequence's step by its place + 1; 0 is none.
func (p *Program) stepName(step int) string {
	if q := p.Rule.Sequence; q != nil && step > 0 && step <= len(q.Steps) {
		return q.Steps[step-1].ID
	}
	return ""
}
