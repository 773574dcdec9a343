package library_test

import (
	"testing"

	"github.com/aidr-engine/aidr/rules"
	"github.com/aidr-engine/aidr/rules/library"
	"github.com/aidr-engine/aidr/schema"
)

// TestTestsReachTheirRules checks that every test that expects a finding has an event that matches its rule, and that no
// condition fails on an event of a test. It leaves out raw records, which need the decoder; the findings themselves are
// compared by the tests of the engine.
func TestTestsReachTheirRules(t *testing.T) {
	set, _ := rules.LoadFS(rules.Options{Drafts: true}, library.FS, "rules/library")
	if set == nil {
		t.Fatal("the library does not load")
	}
	for n, r := range set.Rules {
		if r.Over != nil { // its items are triggers
			continue
		}
		sc := set.NewScratch()
		for _, test := range r.Tests {
			sc.Predicate.Agents = nil
			if test.Agents != nil {
				sc.Predicate.Agents = test.Agents
			}
			matched, raw := 0, 0
			for _, entry := range test.Events {
				if entry.Raw != "" {
					raw++
					continue
				}
				var e schema.Event
				e.SetTime(schema.Time, 0)
				e.SetText(schema.EventDataset, r.TestDataset)
				for f, v := range entry.Set {
					e.Set(f, v)
				}
				for _, hit := range set.Match(&e, sc, nil) {
					if hit.Rule == n {
						matched++
					}
				}
			}
			if len(test.Findings) > 0 && matched+raw == 0 {
				t.Errorf("%s: %q: no event matches", r.ID, test.Name)
			}
		}
		for i, n := range sc.Errors {
			if n > 0 {
				t.Errorf("tests of %s: %d errors in conditions of %s", r.ID, n, set.Rules[i].ID)
			}
		}
	}
}

// TestOrdinaryEventsAllocateNothing checks that matching an ordinary event against the whole library does not allocate.
func TestOrdinaryEventsAllocateNothing(t *testing.T) {
	set, _ := rules.LoadFS(rules.Options{}, library.FS, "rules/library")
	if set == nil {
		t.Fatal("the library does not load")
	}
	sc := set.NewScratch()
	var hits []rules.Hit
	check := func(dataset, class, action string, fields map[schema.Field]schema.Value) {
		t.Helper()
		var e schema.Event
		e.SetTime(schema.Time, 1)
		e.SetText(schema.EventDataset, dataset)
		e.SetText(schema.EventClass, class)
		e.SetText(schema.EventAction, action)
		e.SetText(schema.AIAgentUID, "a1")
		e.SetText(schema.CredentialUID, "k1")
		e.SetText(schema.EventOutcome, "success")
		for f, v := range fields {
			e.Set(f, v)
		}
		e.Raws = make([]schema.Value, len(set.Wanted().Raw))
		if n := testing.AllocsPerRun(100, func() { hits = set.Match(&e, sc, hits[:0]) }); n != 0 {
			t.Errorf("%s: got %v allocations, want 0", action, n)
		}
	}
	yes := schema.BoolValue(true)
	check("litellm", "llm", "chat", map[schema.Field]schema.Value{schema.GenAIUsageInputTokens: schema.IntValue(900),
		schema.MessageContextPromptText: schema.StringValue("Please summarise the minutes of the meeting before Friday.")})
	check("litellm", "tool", "tool_call", map[schema.Field]schema.Value{
		schema.GenAIToolCalled: yes, schema.GenAIToolName: schema.StringValue("send_email"),
		schema.GenAIToolCallArguments: schema.JSONValue(`{"to":"ann@example.com","body":"See you"}`)})
	check("litellm", "tool", "tool_result", map[schema.Field]schema.Value{
		schema.GenAIToolReturned: yes, schema.GenAIToolName: schema.StringValue("read_file"),
		schema.GenAIToolCallResult: schema.StringValue("Minutes of the meeting: the shelf costs 40 USD, Ann calls the supplier on Friday.")})
	check("mcp.jsonrpc", "tool", "tools/call", map[schema.Field]schema.Value{
		schema.GenAIToolCalled: yes, schema.GenAIToolName: schema.StringValue("fs.read"),
		schema.MCPServerName: schema.StringValue("files"), schema.GenAIToolCallArguments: schema.JSONValue(`{"path":"/srv/a.txt"}`)})
	check("kong.http_log", "api", "GET", map[schema.Field]schema.Value{schema.HTTPRequestMethod: schema.StringValue("GET"),
		schema.HTTPResponseStatusCode: schema.IntValue(200),
		schema.URLDomain:              schema.StringValue("api.example.com"), schema.URLPath: schema.StringValue("/orders/7")})
	check("aws.cloudtrail", "audit", "s3:GetObject", map[schema.Field]schema.Value{schema.EventType: schema.StringValue("read"),
		schema.ServiceTargetName: schema.StringValue("s3.amazonaws.com"), schema.AIAgentInstanceUID: schema.StringValue("i1")})
}
