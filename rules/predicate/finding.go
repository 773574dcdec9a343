package predicate

import (
	"encoding/json"
	"slices"
	"strconv"

	"github.com/aidr-engine/aidr/schema"
)

// FindingName is a variable of a condition over a finding: a JSON name of schema.Finding.
type FindingName struct {
	Name string
	Type schema.Type
	get  func(*schema.Finding) schema.Value
}

// FindingNames returns all names that a condition over a finding can use, in the order of the struct's fields.
func FindingNames() []FindingName { return slices.Clone(findingNames[:]) }

// value returns the value of the finding; an empty text is absent.
func (n *FindingName) value(f *schema.Finding) schema.Value {
	if f == nil {
		return schema.Value{}
	}
	v := n.get(f)
	if v.Kind == schema.KindString && v.Text == "" && n.Type == schema.TypeString {
		return schema.Value{}
	}
	return v
}

// findingNames holds the names by index, for FromFinding. key, baseline, evidence and response are JSON and read like raw
// values: an absent key is missing.
var findingNames = [...]FindingName{
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
	{"baseline", schema.TypeDyn, func(f *schema.Finding) schema.Value { return JSONAt(string(f.Baseline), nil) }},
	{"late", schema.TypeBool, func(f *schema.Finding) schema.Value { return schema.BoolValue(f.Late) }},
	{"warming_until", schema.TypeTimestamp, func(f *schema.Finding) schema.Value { return instantOf(f.WarmingUntil) }},
	{"explanation", schema.TypeString, func(f *schema.Finding) schema.Value { return schema.StringValue(f.Explanation) }},
	{"evidence", schema.TypeDyn, func(f *schema.Finding) schema.Value { return jsonOf(f.Evidence, len(f.Evidence)) }},
	{"reasons", schema.TypeList, func(f *schema.Finding) schema.Value { return listOf(f.Reasons) }},
	{"response", schema.TypeDyn, func(f *schema.Finding) schema.Value { return jsonOf(f.Response, len(f.Response)) }},
}

// jsonOf returns a part of a finding as JSON. It is absent if the part is empty.
func jsonOf(part any, n int) schema.Value {
	if n == 0 {
		return schema.Value{}
	}
	b, err := json.Marshal(part)
	if err != nil {
		return schema.Value{} // evidence holds a value that JSON does not have: it is missing, as in the delivered finding
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
