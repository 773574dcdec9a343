package fold

import (
	"encoding/json"
	"math"
	"strings"

	"github.com/aidr-engine/aidr/engine/item"
	"github.com/aidr-engine/aidr/schema"
)

// renderEvidence returns the JSON form of an event behind a group. If the evidence is damaged, it has the fields before
// the damage. If it was captured for other Mentions, because the rule changed since, it has no Fields.
func (p *Program) renderEvidence(ev *Event) schema.Evidence {
	from := item.ReadEvidence(ev.Evidence)
	e := schema.Evidence{
		EventID:       from.EventID,
		Identity:      ev.ID,
		Time:          ev.Time,
		Topic:         from.Topic,
		Partition:     from.Partition,
		Offset:        from.Offset,
		Index:         from.Index,
		Dataset:       from.Dataset,
		Class:         from.Class,
		Action:        from.Action,
		Tool:          from.Tool,
		ToolServer:    from.ToolServer,
		Target:        from.Target,
		Resource:      from.Resource,
		Outcome:       from.Outcome,
		CredentialUID: from.CredentialUID,
		SourceIP:      from.SourceIP,
		Workflow:      from.Workflow,
		Step:          p.stepName(ev.Step),
	}
	if from.Tag != p.mentionsTag {
		return e
	}
	values := from.Values
	for _, name := range p.mentionNames {
		v, rest, ok := schema.ReadValue(values)
		if !ok {
			break
		}
		values = rest
		if v.Present() {
			if e.Fields == nil {
				e.Fields = make(map[string]any, len(p.mentionNames))
			}
			e.Fields[name] = jsonValue(v)
		}
	}
	return e
}

// jsonValue returns the value in the form that encoding/json writes.
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

// stepName returns the name of a role, given as its index + 1; "" for 0.
func (p *Program) stepName(step int) string {
	if step > 0 && step <= len(p.Rule.Roles) {
		return p.Rule.Roles[step-1].Name
	}
	return ""
}
