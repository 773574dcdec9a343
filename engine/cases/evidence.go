package cases

import (
	"encoding/json"
	"math"
	"time"

	"github.com/aidr-engine/aidr/rules"
	"github.com/aidr-engine/aidr/schema"
)

// EvidenceEvent returns an event with what evidence shows of one: the values that the rule reads.
func EvidenceEvent(r *rules.Rule, ev *schema.Evidence, f *schema.Finding) *schema.Event {
	e := &schema.Event{Tenant: f.Tenant, Pos: schema.Position{Topic: ev.Topic, Partition: ev.Partition, Offset: ev.Offset, Index: ev.Index}}
	e.SetTime(schema.Time, int64(ev.Time))
	for field, text := range map[schema.Field]string{
		schema.EventDataset: ev.Dataset, schema.EventClass: ev.Class, schema.EventAction: ev.Action, schema.EventOutcome: ev.Outcome,
		schema.GenAIToolName: ev.Tool, schema.MCPServerName: ev.ToolServer, schema.CredentialUID: ev.CredentialUID, schema.EventID: ev.EventID,
		schema.SourceIP: ev.SourceIP, schema.AIAgentWorkflow: ev.Workflow,
	} {
		e.SetText(field, text)
	}
	for _, m := range r.Mentions {
		value, ok := ev.Fields[m.Name]
		if !ok {
			continue
		}
		if m.Raw < 0 {
			e.Set(m.Field, evidenceValue(value, m.Field.Info().Type))
			continue
		}
		for len(e.Raws) <= m.Raw {
			e.Raws = append(e.Raws, schema.Value{})
		}
		e.Raws[m.Raw] = evidenceValue(value, schema.TypeDyn)
	}
	return e
}

// evidenceValue returns a value of evidence, which came through JSON, as a value of a type. It is absent if it is of another
// type: redaction leaves texts in the place of other values.
func evidenceValue(value any, t schema.Type) schema.Value {
	switch v := value.(type) {
	case string:
		if at, err := time.Parse(time.RFC3339Nano, v); t == schema.TypeTimestamp && err == nil {
			return schema.TimestampValue(at.UnixNano())
		}
		if t == schema.TypeString || t == schema.TypeDyn {
			return schema.StringValue(v)
		}
	case bool:
		if t == schema.TypeBool || t == schema.TypeDyn {
			return schema.BoolValue(v)
		}
	case float64:
		if t == schema.TypeInt || t == schema.TypeDyn && v == math.Trunc(v) {
			return schema.IntValue(int64(v))
		}
		if t == schema.TypeDouble || t == schema.TypeDyn {
			return schema.DoubleValue(v)
		}
	case map[string]any, []any:
		b, err := json.Marshal(v)
		switch {
		case err != nil:
		case t == schema.TypeList:
			return schema.ListValue(string(b))
		case t == schema.TypeDyn:
			return schema.JSONValue(string(b))
		}
	}
	return schema.Value{}
}
