package capture

import (
	"encoding/binary"
	"encoding/json"
	"math/bits"
	"strings"

	"github.com/zeebo/xxh3"

	"github.com/aidr-engine/aidr/engine/flat"
	"github.com/aidr-engine/aidr/engine/item"
	"github.com/aidr-engine/aidr/rules"
	"github.com/aidr-engine/aidr/rules/predicate"
	"github.com/aidr-engine/aidr/schema"
)

const (
	// maxEvidenceText is the size in bytes of one text in evidence: a person reads no more of it.
	maxEvidenceText = 1 << 10
	// maxCoreText is the size in bytes of a text that evidence shows of every event, whatever the rule: the longest name of
	// a tool or of a host.
	maxCoreText = 256
	// maxEvidence is the size in bytes of the evidence of one event after its position and its agent. State holds up to 5
	// events for a key, a finding 8, and the body of a webhook is to stay under 20 KB.
	maxEvidence = 8 << 10
)

// exposedValue is a field as evidence shows it.
type exposedValue struct {
	text  string // the field's text before redaction; "" if the field was not a text
	value schema.Value
}

// exposedTarget is a target as evidence shows it, and the host and path of which it was made.
type exposedTarget struct {
	field      schema.Field // of the host
	host, path string
	text       string
}

// appendEvidence appends the flat evidence of an event that matched the roles (item.Evidence). The part that is the
// same for every rule, and each text that several rules show, are made once per event (see BeginEvent).
func (c *Capturer) appendEvidence(dst []byte, p *Plan, e *schema.Event, s *rules.Scratch, roles uint32) []byte {
	if len(c.head) == 0 {
		c.head = c.appendHead(c.head, e)
	}
	limit := len(dst) + c.core + maxEvidence
	dst = append(dst, c.head...)
	c.scratch = c.appendBranches(c.scratch[:0], p, e, s, roles)
	dst = flat.AppendText(dst, c.scratch)
	dst = binary.BigEndian.AppendUint32(dst, p.tag)
	for i := range p.rule.Mentions {
		from := len(dst)
		m := &p.rule.Mentions[i]
		if m.Raw < 0 {
			dst = schema.AppendValue(dst, c.exposedField(e, m.Field))
		} else {
			dst = schema.AppendValue(dst, c.exposedShort(c.exposure(m), mentioned(e, m)))
		}
		if len(dst) > limit {
			return dst[:from]
		}
	}
	return dst
}

// appendBranches appends the branches of the conditions of the roles.
func (c *Capturer) appendBranches(dst []byte, p *Plan, e *schema.Event, s *rules.Scratch, roles uint32) []byte {
	if roles &= p.branching; roles == 0 {
		return dst
	}
	dst = binary.BigEndian.AppendUint32(dst, p.branchesTag)
	for ; roles != 0; roles &= roles - 1 {
		i := bits.TrailingZeros32(roles)
		c.text = p.rule.Roles[i].Cond.AppendBranches(c.text[:0], e, s.Predicate)
		dst = binary.AppendUvarint(dst, uint64(i))
		dst = flat.AppendText(dst, c.text)
	}
	return dst
}

// appendHead appends the evidence up to the branches.
func (c *Capturer) appendHead(dst []byte, e *schema.Event) []byte {
	c.scratch = item.AppendPosition(c.scratch[:0], e.Pos)
	dst = flat.AppendText(dst, c.scratch)

	c.scratch = item.AppendSubject(c.scratch[:0], &item.Subject{
		Tenant:      c.exposedTenant(e.Tenant),
		AgentUID:    c.exposedField(e, schema.AIAgentUID).Text,
		AgentName:   c.exposedField(e, schema.AIAgentName).Text,
		AgentSource: c.exposedField(e, schema.AIAgentUIDSource).Text,
		SessionID:   c.exposedField(e, schema.SessionID).Text,
	})
	dst = flat.AppendText(dst, c.scratch)
	c.core = len(dst)

	resource := schema.ResourceID
	if !e.Has(resource) {
		resource = schema.ResourceName
	}
	for _, f := range [...]schema.Field{schema.EventID, schema.EventDataset, schema.EventAction, resource, schema.EventOutcome} {
		dst = flat.AppendText(dst, c.exposedField(e, f).Text)
	}

	c.scratch = c.scratch[:0]
	for _, f := range [...]schema.Field{schema.EventClass, schema.GenAIToolName, schema.MCPServerName} {
		c.scratch = flat.AppendText(c.scratch, c.exposedCore(e, f))
	}
	c.scratch = flat.AppendText(c.scratch, c.exposedTarget(e))
	for _, f := range [...]schema.Field{schema.CredentialUID, schema.SourceIP, schema.AIAgentWorkflow} {
		c.scratch = flat.AppendText(c.scratch, c.exposedCore(e, f))
	}
	return flat.AppendText(dst, c.scratch)
}

// exposedCore returns the text of a field of the core as evidence shows it.
func (c *Capturer) exposedCore(e *schema.Event, f schema.Field) string {
	if !e.Has(f) {
		return ""
	}
	return schema.Truncate(c.exposedField(e, f).Text, maxCoreText)
}

// exposedTarget returns the target of the event as evidence shows it: the host and path of its URL, else the service that
// was called.
func (c *Capturer) exposedTarget(e *schema.Event) string {
	host := schema.URLDomain
	if !e.Has(host) {
		host = schema.ServiceTargetName
	}
	if !e.Has(schema.URLPath) {
		return c.exposedCore(e, host)
	}
	if !e.Has(host) {
		return c.exposedCore(e, schema.URLPath)
	}
	h, p := e.Text(host), e.Text(schema.URLPath)
	if last := &c.target; last.field != host || last.host != h || last.path != p {
		*last = exposedTarget{host, h, p, c.joinTarget(e, host)}
	}
	return c.target.text
}

// joinTarget returns the host and the path of the event as one text. Credentials are searched in the whole text too,
// because some are known by the host that they belong to.
func (c *Capturer) joinTarget(e *schema.Event, host schema.Field) string {
	separator := ""
	if !strings.HasPrefix(e.Text(schema.URLPath), "/") {
		separator = "/"
	}
	text := c.exposedField(e, host).Text + separator + c.exposedField(e, schema.URLPath).Text
	if redact := c.redactFor(max(c.Redaction.Field(host), c.Redaction.Field(schema.URLPath))); redact != nil {
		text = redact(text)
	}
	return schema.Truncate(text, maxCoreText)
}

// exposedField returns a field as evidence shows it. It is made once per event, and taken over from an earlier event if
// the field has the same text.
func (c *Capturer) exposedField(e *schema.Event, f schema.Field) schema.Value {
	cached := &c.fields[f]
	if c.current.Has(f) {
		return cached.value
	}
	c.current.Add(f)
	v := e.Value(f)
	switch {
	case v.Kind != schema.KindString:
		*cached = exposedValue{value: c.exposedShort(c.Redaction.Field(f), v)}
	case v.Text != cached.text || v.Text == "":
		*cached = exposedValue{v.Text, c.exposedShort(c.Redaction.Field(f), v)}
	}
	return cached.value
}

// Field returns a field of the event that BeginEvent began, as evidence shows it. Its text is valid until the next event.
func (c *Capturer) Field(e *schema.Event, f schema.Field) schema.Value { return c.exposedField(e, f) }

// Tenant returns the tenant of an event as evidence shows it.
func (c *Capturer) Tenant(e *schema.Event) string { return c.exposedTenant(e.Tenant) }

// exposedTenant returns the tenant as evidence shows it.
func (c *Capturer) exposedTenant(tenant string) string {
	return schema.Truncate(schema.Redacted.Expose(tenant, c.redactFor(schema.Redacted)), maxEvidenceText)
}

// exposedShort returns a value as evidence shows it: exposed, and truncated to maxEvidenceText.
func (c *Capturer) exposedShort(x schema.Exposure, v schema.Value) schema.Value {
	if x == schema.Redacted && v.Kind == schema.KindString && v.Text != "" && c.Redact != nil { // the usual case
		v.Text = schema.Truncate(c.redact(v.Text), maxEvidenceText)
		return v
	}
	v = Exposed(x, v, c.redactFor(x))
	if len(v.Text) > maxEvidenceText {
		v.Text = schema.Truncate(v.Text, maxEvidenceText)
		v = asText(v)
	}
	return v
}

// Exposed returns the part of a value that may leave the worker; it is absent if nothing may. secrets removes the
// credentials from a text. A hashed value becomes a text.
func Exposed(x schema.Exposure, v schema.Value, secrets func(string) string) schema.Value {
	switch {
	case x == schema.Dropped || !v.Present():
		return schema.Value{}
	case x == schema.Hashed:
		return schema.StringValue(schema.HashText(string(item.AppendValueText(nil, v))))
	case v.Text == "":
		return v
	}
	original := v.Text
	if v.Text = x.Expose(v.Text, secrets); v.Text != original {
		v = asText(v)
	}
	return v
}

// asText turns a JSON value that redaction or truncation left invalid into a string value.
func asText(v schema.Value) schema.Value {
	if v.Kind != schema.KindString && !json.Valid([]byte(v.Text)) {
		v.Kind = schema.KindString
	}
	return v
}

// mentioned returns the event's value of a mentioned field or raw path.
func mentioned(e *schema.Event, m *predicate.Mention) schema.Value {
	if m.Raw < 0 {
		return e.Value(m.Field)
	}
	if m.Raw < len(e.Raws) {
		return e.Raws[m.Raw]
	}
	return schema.Value{}
}

// exposure returns how much of a mentioned field or raw path may be shown.
func (c *Capturer) exposure(m *predicate.Mention) schema.Exposure {
	if m.Raw < 0 {
		return c.Redaction.Field(m.Field)
	}
	return c.rawExposure(m.Raw)
}

// rawExposure returns how much of a raw path may be shown.
func (c *Capturer) rawExposure(raw int) schema.Exposure {
	if raw < len(c.Raws) {
		return c.Raws[raw]
	}
	return schema.Redacted
}

// redactFor returns the function that removes credentials from a text; nil if they are kept.
func (c *Capturer) redactFor(x schema.Exposure) func(string) string {
	if x == schema.Kept || c.Redact == nil {
		return nil
	}
	return c.redact
}

// redact is Redact with a memo of the texts that it leaves unchanged.
func (c *Capturer) redact(text string) string {
	e := c.clean.entry(xxh3.HashString(text), len(text))
	if e != nil && contains(e, text) {
		return text
	}
	redacted := c.Redact(text)
	if e != nil && redacted == text {
		set(e, text, struct{}{})
	}
	return redacted
}
