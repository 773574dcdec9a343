package predicate

import (
	"encoding/json"
	"slices"
	"strconv"

	"github.com/aidr-engine/aidr/schema"
)

// FindingName is a variable of a condition over a finding: a JSON name of schema.Finding, or `type`.
type FindingName struct {
	Name string
	Type schema.Type
	get  func(*schema.Finding) schema.Value // nil for `type`, which is not a part of the finding

	// Values are all values that the name can have, nil if any value is possible.
	Values []string
	// Ordered reports whether Values are ordered, the lowest first. A slot then reads the index of the value, or -1 for a
	// value that is not among them, so that conditions compare ranks and never texts.
	Ordered bool
}

// FindingNames returns all names that a condition over a finding can use, in the order of the struct's fields. If
// entryTypes are given, the last name is `type`, the type of the outbox entry that brings the finding.
func FindingNames(entryTypes ...string) []FindingName {
	names := slices.Clone(findingNames[:])
	for i := range names {
		switch names[i].Name {
		case "severity":
			names[i].Values, names[i].Ordered = textsOf(schema.Severities()), true
		case "status":
			names[i].Values = []string{string(schema.StatusOpen), string(schema.StatusSettled), string(schema.StatusWithdrawn)}
		case "kind":
			names[i].Values = []string{"none", "threshold", "distinct", "new_value", "sequence", "absence", "flow"} // a test in package rules compares
		}
	}
	if len(entryTypes) > 0 {
		names = append(names, FindingName{Name: "type", Type: schema.TypeString, Values: entryTypes})
	}
	return names
}

func textsOf[T ~string](values []T) (texts []string) {
	for _, v := range values {
		texts = append(texts, string(v))
	}
	return texts
}

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
	{Name: "id", Type: schema.TypeString, get: func(f *schema.Finding) schema.Value { return schema.StringValue(f.ID.String()) }},
	{Name: "revision", Type: schema.TypeInt, get: func(f *schema.Finding) schema.Value { return schema.IntValue(int64(f.Revision)) }},
	{Name: "status", Type: schema.TypeString, get: func(f *schema.Finding) schema.Value { return schema.StringValue(string(f.Status)) }},
	{Name: "rule_id", Type: schema.TypeString, get: func(f *schema.Finding) schema.Value { return schema.StringValue(f.RuleID) }},
	{Name: "rule_version", Type: schema.TypeInt, get: func(f *schema.Finding) schema.Value { return schema.IntValue(int64(f.RuleVersion)) }},
	{Name: "kind", Type: schema.TypeString, get: func(f *schema.Finding) schema.Value { return schema.StringValue(f.Kind) }},
	{Name: "title", Type: schema.TypeString, get: func(f *schema.Finding) schema.Value { return schema.StringValue(f.Title) }},
	{Name: "severity", Type: schema.TypeInt, get: func(f *schema.Finding) schema.Value { return schema.IntValue(int64(f.Severity.Rank())) }},
	{Name: "confidence", Type: schema.TypeInt, get: func(f *schema.Finding) schema.Value { return schema.IntValue(int64(f.Confidence)) }},
	{Name: "tags", Type: schema.TypeList, get: func(f *schema.Finding) schema.Value { return listOf(f.Tags) }},
	{Name: "shadow", Type: schema.TypeBool, get: func(f *schema.Finding) schema.Value { return schema.BoolValue(f.Shadow) }},
	{Name: "tenant", Type: schema.TypeString, get: func(f *schema.Finding) schema.Value { return schema.StringValue(f.Tenant) }},
	{Name: "agent_uid", Type: schema.TypeString, get: func(f *schema.Finding) schema.Value { return schema.StringValue(f.AgentUID) }},
	{Name: "agent_name", Type: schema.TypeString, get: func(f *schema.Finding) schema.Value { return schema.StringValue(f.AgentName) }},
	{Name: "agent_uid_source", Type: schema.TypeString, get: func(f *schema.Finding) schema.Value { return schema.StringValue(f.AgentSource) }},
	{Name: "session_id", Type: schema.TypeString, get: func(f *schema.Finding) schema.Value { return schema.StringValue(f.SessionID) }},
	{Name: "key", Type: schema.TypeDyn, get: func(f *schema.Finding) schema.Value { return jsonOf(f.Key, len(f.Key)) }},
	{Name: "group_start", Type: schema.TypeTimestamp, get: func(f *schema.Finding) schema.Value { return instantOf(&f.GroupStart) }},
	{Name: "first_seen", Type: schema.TypeTimestamp, get: func(f *schema.Finding) schema.Value { return instantOf(&f.FirstSeen) }},
	{Name: "last_seen", Type: schema.TypeTimestamp, get: func(f *schema.Finding) schema.Value { return instantOf(&f.LastSeen) }},
	{Name: "detected_at", Type: schema.TypeTimestamp, get: func(f *schema.Finding) schema.Value { return instantOf(f.DetectedAt) }},
	{Name: "count", Type: schema.TypeInt, get: func(f *schema.Finding) schema.Value { return schema.IntValue(f.Count) }},
	{Name: "value", Type: schema.TypeDouble, get: func(f *schema.Finding) schema.Value { return numberOf(f.Value) }},
	{Name: "threshold", Type: schema.TypeDouble, get: func(f *schema.Finding) schema.Value { return numberOf(f.Threshold) }},
	{Name: "baseline", Type: schema.TypeDyn, get: func(f *schema.Finding) schema.Value { return JSONAt(string(f.Baseline), nil) }},
	{Name: "provenance", Type: schema.TypeDyn, get: provenanceOf},
	{Name: "late", Type: schema.TypeBool, get: func(f *schema.Finding) schema.Value { return schema.BoolValue(f.Late) }},
	{Name: "warming_until", Type: schema.TypeTimestamp, get: func(f *schema.Finding) schema.Value { return instantOf(f.WarmingUntil) }},
	{Name: "withdrawn_reason", Type: schema.TypeString, get: func(f *schema.Finding) schema.Value { return schema.StringValue(f.WithdrawnReason) }},
	{Name: "operational", Type: schema.TypeBool, get: func(f *schema.Finding) schema.Value { return schema.BoolValue(f.Operational) }},
	{Name: "summary", Type: schema.TypeString, get: func(f *schema.Finding) schema.Value { return schema.StringValue(f.Summary) }},
	{Name: "explanation", Type: schema.TypeString, get: func(f *schema.Finding) schema.Value { return schema.StringValue(f.Explanation) }},
	{Name: "evidence", Type: schema.TypeDyn, get: func(f *schema.Finding) schema.Value { return jsonOf(f.Evidence, len(f.Evidence)) }},
	{Name: "reasons", Type: schema.TypeList, get: func(f *schema.Finding) schema.Value { return listOf(f.Reasons) }},
	{Name: "response", Type: schema.TypeDyn, get: func(f *schema.Finding) schema.Value { return jsonOf(f.Response, len(f.Response)) }},
}

func provenanceOf(f *schema.Finding) schema.Value {
	if f.Provenance == nil {
		return schema.Value{}
	}
	return jsonOf(f.Provenance, 1)
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
