package expr

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"

	"github.com/aidr-engine/aidr/schema"
)

// findingName is one variable of a condition over a finding: a JSON name of schema.Finding.
type findingName struct {
	name string
	typ  schema.Type
	get  func(*schema.Finding) schema.Value
}

func (n *findingName) value(f *schema.Finding) schema.Value {
	if f == nil {
		return schema.Value{}
	}
	v := n.get(f)
	if v.Kind == schema.KindString && v.Text == "" && n.typ == schema.TypeString {
		return schema.Value{}
	}
	return v
}

// findingNames are all names that a filter can use, in the order of the struct. key, baseline, evidence and response
// are JSON and read as raw values are: a key that is not there is missing.
var findingNames = [...]findingName{
	{"id", schema.TypeString, func(f *schema.Finding) schema.Value { return schema.StringValue(f.ID.String()) }},
	{"revision", schema.TypeInt, func(f *schema.Finding) schema.Value { return schema.IntValue(int64(f.Revision)) }},
	{"status", schema.TypeString, func(f *schema.Finding) schema.Value { return schema.StringValue(string(f.Status)) }},
	{"rule_id", schema.TypeString, func(f *schema.Finding) schema.Value { return schema.StringValue(f.RuleID) }},
	{"rule_version", schema.TypeInt, func(f *schema.Finding) schema.Value { return schema.IntValue(int64(f.RuleVersion)) }},
	{"kind", schema.TypeString, func(f *schema.Finding) schema.Value { return schema.StringValue(f.Kind) }},
	{"title", schema.TypeString, func(f *schema.Finding) schema.Value { return schema.StringValue(f.Title) }},
	{"severity", schema.TypeString, func(f *schema.Finding) schema.Value { return schema.StringValue(string(f.Severity)) }},
	{"confidence", schema.TypeInt, func(f *schema.Finding) schema.Value { return schema.IntValue(int64(f.Confidence)) }},
	{"tags", schema.TypeList, func(f *schema.Finding) schema.Value { return listOf(f.Tags) }},
	{"shadow", schema.TypeBool, func(f *schema.Finding) schema.Value { return schema.BoolValue(f.Shadow) }},
	{"tenant", schema.TypeString, func(f *schema.Finding) schema.Value { return schema.StringValue(f.Tenant) }},
	{"agent_uid", schema.TypeString, func(f *schema.Finding) schema.Value { return schema.StringValue(f.AgentUID) }},
	{"agent_name", schema.TypeString, func(f *schema.Finding) schema.Value { return schema.StringValue(f.AgentName) }},
	{"agent_uid_source", schema.TypeString, func(f *schema.Finding) schema.Value { return schema.StringValue(f.AgentSource) }},
	{"session_id", schema.TypeString, func(f *schema.Finding) schema.Value { return schema.StringValue(f.SessionID) }},
	{"key", schema.TypeDyn, func(f *schema.Finding) schema.Value { return jsonOf(f.Key, len(f.Key)) }},
	{"group_start", schema.TypeTimestamp, func(f *schema.Finding) schema.Value { return schema.TimestampValue(int64(f.GroupStart)) }},
	{"first_seen", schema.TypeTimestamp, func(f *schema.Finding) schema.Value { return schema.TimestampValue(int64(f.FirstSeen)) }},
	{"last_seen", schema.TypeTimestamp, func(f *schema.Finding) schema.Value { return schema.TimestampValue(int64(f.LastSeen)) }},
	{"detected_at", schema.TypeTimestamp, func(f *schema.Finding) schema.Value { return instantOf(f.DetectedAt) }},
	{"count", schema.TypeInt, func(f *schema.Finding) schema.Value { return schema.IntValue(f.Count) }},
	{"value", schema.TypeDouble, func(f *schema.Finding) schema.Value { return numberOf(f.Value) }},
	{"threshold", schema.TypeDouble, func(f *schema.Finding) schema.Value { return numberOf(f.Threshold) }},
	{"baseline", schema.TypeDyn, func(f *schema.Finding) schema.Value { return jsonAt(string(f.Baseline), nil) }},
	{"late", schema.TypeBool, func(f *schema.Finding) schema.Value { return schema.BoolValue(f.Late) }},
	{"warming_until", schema.TypeTimestamp, func(f *schema.Finding) schema.Value { return instantOf(f.WarmingUntil) }},
	{"explanation", schema.TypeString, func(f *schema.Finding) schema.Value { return schema.StringValue(f.Explanation) }},
	{"evidence", schema.TypeDyn, func(f *schema.Finding) schema.Value { return jsonOf(f.Evidence, len(f.Evidence)) }},
	{"reasons", schema.TypeList, func(f *schema.Finding) schema.Value { return listOf(f.Reasons) }},
	{"response", schema.TypeDyn, func(f *schema.Finding) schema.Value { return jsonOf(f.Response, len(f.Response)) }},
}

// jsonOf renders a part of a finding, absent where it has nothing in it.
func jsonOf(part any, n int) schema.Value {
	if n == 0 {
		return schema.Value{}
	}
	b, err := json.Marshal(part)
	if err != nil {
		return schema.Value{} // evidence holds what JSON cannot say: it is missing, as on the wire
	}
	return schema.JSONValue(string(b))
}

func listOf(texts []string) schema.Value {
	if len(texts) == 0 {
		return schema.Value{}
	}
	return schema.ListValue(jsonOf(texts, len(texts)).Text)
}

func instantOf(t *schema.Instant) schema.Value {
	if t == nil {
		return schema.Value{}
	}
	return schema.TimestampValue(int64(*t))
}

func numberOf(n json.Number) schema.Value {
	f, err := strconv.ParseFloat(string(n), 64)
	if err != nil {
		return schema.Value{}
	}
	return schema.DoubleValue(f)
}

// findingScope is the finding's JSON names.
type findingScope struct{}

func (findingScope) agents() (Registry, bool) { return nil, false }

func (findingScope) roots() []string {
	out := []string{"lists"}
	for i := range findingNames {
		out = append(out, findingNames[i].name)
	}
	return out
}

func (sc findingScope) resolve(names []string) (slot, int, StepMention, string) {
	at := slices.IndexFunc(findingNames[:], func(n findingName) bool { return n.name == names[0] })
	if at < 0 {
		return slot{}, 0, StepMention{}, unknownName("value of a finding", names[0], sc.roots()[1:])
	}
	return slot{src: fromFinding, at: at, typ: findingNames[at].typ}, 1, StepMention{}, ""
}

// CompileFinding compiles a condition over a finding (the filter of a webhook), whose fields have their JSON names:
// severity == "high" && "owasp.asi08-2026" in tags && key["session.id"] != "x". What a finding lacks is its type's zero
// value, in key, baseline, evidence and response missing. The filter may be called by several goroutines.
func (v *Env) CompileFinding(text string) (filter func(*schema.Finding) (bool, error), issues []Issue) {
	c, issues := v.check(text, findingScope{})
	if issues != nil {
		return nil, issues
	}
	root, err := (&builder{env: v, checked: c}).condition(c.ast.Expr())
	if err != nil {
		return nil, []Issue{{1, 1, fmt.Sprintf("the condition cannot be planned: %v", err)}}
	}
	c.ast = nil // done with
	return func(f *schema.Finding) (bool, error) {
		s := Scratch{values: values{slots: c.slots, finding: f}}
		out := root.eval(&s)
		if out == failed {
			return false, s.err
		}
		return out == yes, nil
	}, nil
}
