package schema

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
	"testing"
)

// ocsfSchema is the published definition of the class Detection Finding and of the objects in it: testdata/ocsf.json.
type ocsfSchema struct {
	Source  string
	Class   ocsfType
	Objects map[string]ocsfType
}

type ocsfType struct {
	Attributes  map[string]ocsfAttribute
	Constraints map[string][]string
}

type ocsfAttribute struct {
	Type            string
	Array, Required bool
	Enum            []int
}

// check reports every way in which an object differs from its type.
func (s *ocsfSchema) check(t *testing.T, path string, typ ocsfType, object map[string]any) {
	t.Helper()
	for name, value := range object {
		a, ok := typ.Attributes[name]
		if !ok {
			t.Errorf("%s.%s: no such attribute", path, name)
			continue
		}
		if !a.Array {
			s.checkValue(t, path+"."+name, a, value)
			continue
		}
		list, ok := value.([]any)
		if !ok {
			t.Errorf("%s.%s: not a list: %v", path, name, value)
		}
		for i, v := range list {
			s.checkValue(t, fmt.Sprintf("%s.%s[%d]", path, name, i), a, v)
		}
	}
	for name, a := range typ.Attributes {
		if _, ok := object[name]; a.Required && !ok {
			t.Errorf("%s: required attribute %s is missing", path, name)
		}
	}
	if any := typ.Constraints["at_least_one"]; any != nil && !slices.ContainsFunc(any, func(n string) bool { return object[n] != nil }) {
		t.Errorf("%s: has none of %v", path, any)
	}
}

func (s *ocsfSchema) checkValue(t *testing.T, path string, a ocsfAttribute, v any) {
	t.Helper()
	switch a.Type {
	case "string_t", "uuid_t", "url_t", "ip_t", "hostname_t", "file_hash_t", "resource_uid_t":
		if _, ok := v.(string); !ok {
			t.Errorf("%s: not a text: %v", path, v)
		}
	case "integer_t", "long_t", "timestamp_t":
		n, ok := v.(float64)
		if !ok || n != math.Trunc(n) {
			t.Errorf("%s: not an integer: %v", path, v)
		}
		if a.Enum != nil && !strings.HasSuffix(path, "y_uid") && !strings.HasSuffix(path, "s_uid") && !slices.Contains(a.Enum, int(n)) {
			t.Errorf("%s: %v is not one of %v", path, v, a.Enum)
		}
	case "boolean_t":
		if _, ok := v.(bool); !ok {
			t.Errorf("%s: not a boolean: %v", path, v)
		}
	case "json_t", "object":
	default:
		object, ok := v.(map[string]any)
		if !ok {
			t.Errorf("%s: not an object of type %s: %v", path, a.Type, v)
			return
		}
		if typ, ok := s.Objects[a.Type]; ok {
			s.check(t, path, typ, object)
		}
	}
}

// full returns a finding with every field that OCSF has an attribute for.
func full() *Finding {
	detected := Instant(1767225600123456789)
	return &Finding{
		ID: ID{0xab, 15: 1}, Revision: 1, Status: StatusOpen, RuleID: "llm.burst", RuleVersion: 3, Kind: "baseline",
		Title: "Agent calls more tools than ever", Severity: SeverityHigh, Confidence: 70,
		Tags:   []string{"attack.t1078.004", "attack.t1036", "atlas.aml-t0051", "atlas.aml-t0091.000", "owasp.llm01-2026"},
		Tenant: "acme", AgentUID: "a1", AgentName: "invoice-bot", AgentSource: "user_api_key_hash", SessionID: "s1",
		Key: map[string]string{"ai_agent.uid": "a1"}, GroupStart: 1767225540000000000, FirstSeen: 1767225500000000000,
		LastSeen: 1767225541500000000, DetectedAt: &detected, Count: 101, Value: "101", Threshold: "12.5",
		Baseline: json.RawMessage(`{"value":101,"median":7.25,"mad":1,"samples":30}`), Provenance: &Provenance{Value: "x"},
		Summary: "a1 called 101 tools", Explanation: "101 is far above 7.25", Reasons: []string{"tool == \"shell\""},
		Evidence: []Evidence{
			{EventID: "e1", Identity: ID{1}, Time: 1767225500000000000, Action: "tools/call", Class: "gen_ai.tool", ToolServer: "files",
				Target: "api.example.com/x", Resource: "bucket", Fields: map[string]any{"a": 1}},
			{Identity: ID{2}, Time: 1767225541500000000, Resource: "bucket"},
		},
		Response: []Response{{Action: "notify", Target: "soc"}},
	}
}

func TestOCSF(t *testing.T) {
	b, err := os.ReadFile("testdata/ocsf.json")
	if err != nil {
		t.Fatal(err)
	}
	var s ocsfSchema
	if err := json.Unmarshal(b, &s); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(s.Source, OCSFVersion) {
		t.Errorf("the definition is of %q, want version %s", s.Source, OCSFVersion)
	}
	f := func(change func(*Finding), activity OCSFActivity) map[string]any {
		t.Helper()
		in := full()
		change(in)
		if got := OCSFActivityOf(in); got != activity {
			t.Errorf("activity %v, want %v", got, activity)
		}
		b, err := json.Marshal(in.OCSF(activity))
		if err != nil {
			t.Fatal(err)
		}
		var out map[string]any
		if err := json.Unmarshal(b, &out); err != nil {
			t.Fatal(err)
		}
		s.check(t, "finding", s.Class, out)
		if out["class_uid"] != 2004.0 || out["category_uid"] != 2.0 || out["type_uid"] != 200400+float64(activity) {
			t.Errorf("not a Detection Finding: %s", b)
		}
		return out
	}
	created := f(func(*Finding) {}, OCSFCreate)
	if created["time"] != 1767225600123.0 || created["severity_id"] != 4.0 || created["confidence_id"] != 2.0 || created["is_alert"] != true {
		t.Errorf("got %v", created)
	}
	attacks := created["finding_info"].(map[string]any)["attacks"]
	if got := fmt.Sprint(attacks); got != "[map[sub_technique:map[uid:T1078.004] technique:map[uid:T1078]] map[technique:map[uid:T1036]] "+
		"map[technique:map[uid:AML.T0051]] map[sub_technique:map[uid:AML.T0091.000] technique:map[uid:AML.T0091]]]" {
		t.Errorf("attacks: %s", got)
	}
	f(func(x *Finding) { x.Revision, x.Status = 2, StatusSettled }, OCSFUpdate)
	closed := f(func(x *Finding) { x.Revision, x.Status, x.WithdrawnReason = 3, StatusWithdrawn, WithdrawnRemoved }, OCSFClose)
	if closed["status_id"] != 6.0 || closed["is_alert"] != false || closed["status_detail"] != WithdrawnRemoved {
		t.Errorf("got %v", closed)
	}
	for _, severity := range append(Severities(), "unheard of") {
		f(func(x *Finding) { x.Severity = severity }, OCSFCreate)
	}
	f(func(x *Finding) {
		*x = Finding{Kind: "none", Key: map[string]string{}, FirstSeen: -1, Severity: SeverityInfo, Operational: true}
	}, OCSFCreate)
}
