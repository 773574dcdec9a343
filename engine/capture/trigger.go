package capture

import (
	"encoding/json"
	"strconv"

	"github.com/aidr-engine/aidr/engine/item"
	"github.com/aidr-engine/aidr/rules"
	"github.com/aidr-engine/aidr/schema"
)

// TriggerCapturer makes items of the triggers of rules. Each shard has its own; it is not safe for concurrent use.
//
// A trigger is captured as if it were an event: one that happened at the trigger's time and has the fields that the event
// behind the trigger carried, those of the key of the rule that triggered, and those that describe this rule. Its values
// were redacted when the event was captured, so they are not redacted again.
type TriggerCapturer struct {
	capturer Capturer
	scratch  *rules.Scratch
	event    schema.Event
	fed      string
	emit     func(*item.Item)
	out      func(*item.Item)
}

// NewTriggerCapturer returns a TriggerCapturer for the rules of a Set.
func NewTriggerCapturer(set *rules.Set) *TriggerCapturer {
	c := &TriggerCapturer{scratch: set.NewScratch()}
	c.emit = func(it *item.Item) {
		it.Counted, it.Fed, it.ID = false, c.fed, c.event.Given
		c.out(it)
	}
	return c
}

// Begin must be called before the first trigger of each checkpoint, and the items of two checkpoints share no memory.
func (c *TriggerCapturer) Begin() { c.capturer.BeginBatch() }

// Source is a rule that feeds others, prepared for its triggers to be captured.
type Source struct {
	rule          *rules.Rule
	tag           uint32
	tags, tactics schema.Value
}

// NewSource prepares a rule.
func NewSource(r *rules.Rule) *Source {
	return &Source{rule: r, tag: carriedTag(r), tags: listValue(r.Tags), tactics: listValue(r.Tactics())}
}

// listValue returns a list of texts as a value; it is absent if the list is empty.
func listValue(texts []string) schema.Value {
	if len(texts) == 0 {
		return schema.Value{}
	}
	b, err := json.Marshal(texts)
	if err != nil {
		panic("BUG: " + err.Error())
	}
	return schema.ListValue(string(b))
}

// Read makes a trigger the one that Capture captures.
func (c *TriggerCapturer) Read(s *Source, t *item.Trigger) {
	e := &c.event
	e.Reset()
	c.fed = string(item.AppendFed(nil, s.rule.ID, t))
	if t.Evidence != "" {
		readEvidence(e, t.Evidence)
	}
	item.ReadCarried(t.Carried, s.tag, func(i int, v schema.Value) {
		if i >= len(s.rule.Carries) || !v.Present() {
			return
		}
		if m := &s.rule.Carries[i]; m.Raw < 0 {
			setTyped(e, m.Field, v)
		} else {
			for len(e.Raws) <= m.Raw {
				e.Raws = append(e.Raws, schema.Value{})
			}
			e.Raws[m.Raw] = v
		}
	})
	readKey(e, s.rule, t.Key)
	e.Tenant = item.TenantOf(t.Key)
	e.SetTime(schema.Time, int64(t.Time))
	e.Clear(schema.EventDuration) // the trigger's time is the end of the event
	e.Given = t.ID
	e.SetText(schema.RuleID, s.rule.ID)
	e.SetText(schema.RuleSeverity, string(s.rule.Severity))
	e.Set(schema.RuleTag, s.tags)
	e.Set(schema.RuleTactic, s.tactics)
	e.Set(schema.RuleOpens, schema.BoolValue(t.Opens))
	if t.Value != "" {
		e.SetText(schema.ProvenanceValue, t.Value)
		e.SetText(schema.ProvenanceArgument, t.Argument)
		e.SetText(schema.ProvenanceSource, t.Source)
	}
	c.capturer.BeginEvent()
}

// ReadLoss makes a loss of State the trigger that Capture captures. The name of the limit is its error.type.
func (c *TriggerCapturer) ReadLoss(s *Source, t *item.Trigger, limit string) {
	c.Read(s, t)
	c.event.SetText(schema.ErrorType, limit)
}

// Capture calls emit with the items that the rule at place `rule` of the Set, which is over that of the trigger, has of
// it. failed is the number of conditions that could not be evaluated, missing as in Capturer.Capture.
func (c *TriggerCapturer) Capture(p *Plan, rule int, emit func(*item.Item)) (missing, failed int) {
	var roles uint32
	for i := range p.rule.Roles {
		holds, err := p.rule.Roles[i].Cond.Eval(&c.event, c.scratch.Predicate)
		if err != nil {
			failed++
		}
		if holds {
			roles |= 1 << i
		}
	}
	if roles == 0 {
		return 0, failed
	}
	kept, n := p.rule.Except(&c.event, c.scratch.Predicate, roles)
	if failed += n; kept == 0 {
		return 0, failed
	}
	c.out = emit
	return c.capturer.Capture(p, rule, &c.event, kept, c.scratch, c.emit), failed
}

// readEvidence sets the fields that evidence shows of every event.
func readEvidence(e *schema.Event, evidence string) {
	ev := item.ReadEvidence(evidence)
	subject := item.ReadSubject(item.SubjectOf(evidence))
	e.Pos = schema.Position{Topic: ev.Topic, Partition: ev.Partition, Offset: ev.Offset, Index: ev.Index}
	for _, f := range [...]struct {
		field schema.Field
		text  string
	}{
		{schema.AIAgentUID, subject.AgentUID}, {schema.AIAgentName, subject.AgentName},
		{schema.AIAgentUIDSource, subject.AgentSource}, {schema.SessionID, subject.SessionID},
		{schema.EventID, ev.EventID}, {schema.EventDataset, ev.Dataset}, {schema.EventAction, ev.Action},
		{schema.ResourceID, ev.Resource}, {schema.EventOutcome, ev.Outcome}, {schema.EventClass, ev.Class},
		{schema.GenAIToolName, ev.Tool}, {schema.MCPServerName, ev.ToolServer}, {schema.ServiceTargetName, ev.Target},
		{schema.CredentialUID, ev.CredentialUID}, {schema.SourceIP, ev.SourceIP}, {schema.AIAgentWorkflow, ev.Workflow},
	} {
		e.SetText(f.field, f.text)
	}
}

// readKey sets the fields of the key of the rule that triggered. If roles of the rule read the key from different fields,
// the names are those of the rule's key.
func readKey(e *schema.Event, r *rules.Rule, key string) {
	for i, text := range item.KeyTexts(key) {
		if i < len(r.Key) && r.Key[i].Raw < 0 && r.Key[i].Text == nil {
			setText(e, r.Key[i].Field, text)
		}
	}
}

// setText sets a field from its text in a key, unless it has that text already.
func setText(e *schema.Event, f schema.Field, text string) {
	if string(item.AppendValueText(nil, e.Value(f))) == text {
		return
	}
	switch f.Info().Type {
	case schema.TypeInt:
		if n, err := strconv.ParseInt(text, 10, 64); err == nil {
			e.SetInt(f, n)
		}
	case schema.TypeBool:
		e.Set(f, schema.BoolValue(text == "true"))
	case schema.TypeDouble:
		if x, err := strconv.ParseFloat(text, 64); err == nil {
			e.Set(f, schema.DoubleValue(x))
		}
	case schema.TypeString:
		e.SetText(f, text)
	}
}

// setTyped sets a field to a carried value, which is a text in place of another type if it was hashed.
func setTyped(e *schema.Event, f schema.Field, v schema.Value) {
	text := v.Kind == schema.KindString
	if typ := f.Info().Type; text && typ != schema.TypeString && typ != schema.TypeDyn {
		return
	}
	e.Set(f, v)
}
