package clickhouse

import (
	"strings"
	"testing"
	"time"

	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/schema"
)

// TestQueries answers the questions of an analyst by the shipped queries, from rows as the engine makes them. Each query has to have a
// case here.
func TestQueries(t *testing.T) {
	s := newSink(t, nil)
	now := schema.InstantOf(time.Now().Truncate(time.Minute))
	writeStory(t, s, now)
	asked := map[string]bool{}
	f := func(name string, want ...string) {
		t.Helper()
		asked[name] = true
		q, err := QueryNamed(name)
		if err != nil || !strings.HasSuffix(q.About, "?") && !strings.Contains(q.About, "? ") {
			t.Fatalf("query %s: %v; it is about %q, want a question", name, err, q.About)
		}
		got := answerOf(t, s, q)
		if len(got) != len(want) {
			t.Errorf("query %s: got %d rows, want %d:\n%s", name, len(got), len(want), strings.Join(got, "\n"))
			return
		}
		for i := range want {
			for _, part := range strings.Split(want[i], "|") {
				if !strings.Contains(got[i], part) {
					t.Errorf("query %s, row %d: got %s, want %q in it", name, i, got[i], part)
				}
			}
		}
	}
	f("agents", "billing|Billing bot|finance|true|litellm|1.25", "stray|false")
	f("agent_risk", "billing|Billing bot|finance|high|2")
	f("agent_uses", "cloud_actions|s3:GetObject", "credentials|key-1", "datasets|aws.cloudtrail", "datasets|kong.http_log", "datasets|litellm",
		"on_behalf_of|ada", "tools|read/mail", "tools|send_mail")
	f("new_agents", "stray|paste.example")
	f("new_uses", "billing|tools|send_mail")
	f("shadow_agents", "stray|paste.example")
	f("orphan_agents", "stray|false")
	f("dormant_agents", "old|Old bot|key-0")
	f("delegation", "ada|billing|key-1|4")
	f("blast_radius", "agents|billing", "agents|stray", "destinations|api.openai.com", "tools|read/mail")
	f("shared_credentials", "key-1|billing, stray")
	f("credential_findings", "llm.some-rule|billing|key-1-source|read/mail", "llm.some-rule")
	f("top_tools", "read/mail|2")
	f("models", "gpt-5|openai|2.5")
	f("destinations", "paste.example|1|stray")
	f("cost_per_agent", "billing|Billing bot|900|1.25")
	f("failing_agents", "billing|llm|chat|12|2|0.167")
	f("timeline", "activity|llm|chat|12", "finding|llm.some-rule", "finding|llm.some-rule")
	f("open_findings", "high|llm.some-rule|billing|read/mail|Ask its owner", "high|llm.some-rule|billing")
	f("finding_events", "1|kong.http_log|GetObject|read/mail|key-1|key-1-source|invoices")
	f("findings_per_day", "0 2 0 0 1")
	f("techniques", "x.tag|2|1|high")
	f("containments", "active|billing|deny|leaked")
	f("contained_agent", "llm|chat|12|10|2|deny")
	f("rule_quality", "llm.some-rule|A title|40|2|3")
	f("silent_rules", "llm.silent|Never matched")
	f("source_quality", "kafka|kong.http_log|80|0.25")
	f("deliveries", "soar|2|1|503|busy")
	f("dead_letters", "record|syntax|kafka|1|7|bad")
	f("events", "kong.http_log|s3:GetObject|map[http.route:/x]")
	for _, q := range Queries() {
		if !asked[q.Name] {
			t.Errorf("query %s has no case in this test", q.Name)
		}
		for _, p := range q.Parameters {
			if !strings.Contains(q.SQL, "{"+p.Name+":") {
				t.Errorf("query %s does not use its parameter %s", q.Name, p.Name)
			}
		}
		if n := strings.Count(q.SQL, "-- "); n != 1+len(q.Parameters) {
			t.Errorf("query %s has %d comments, want one for its question and one for each of the %d parameters that were read", q.Name, n, len(q.Parameters))
		}
	}
	if len(Queries()) < 20 {
		t.Errorf("there are %d queries, want at least 20", len(Queries()))
	}
}

// writeStory writes rows of a few agents of the last two hours: a known one, one that no registry knows, one that went quiet.
func writeStory(t *testing.T, s *Sink, now schema.Instant) {
	t.Helper()
	seen := now.Sub(2 * time.Hour)
	uses := func(first schema.Instant, names ...string) (out []schema.Use) {
		for _, n := range names {
			out = append(out, schema.Use{Name: n, Count: 4, FirstSeen: first, LastSeen: now})
		}
		return out
	}
	use := func(names ...string) []schema.Use { return uses(seen, names...) }
	totals := schema.Totals{Events: 12, Success: 10, Failure: 2, InputTokens: 900, OutputTokens: 80, Cost: schema.CostOf(1.25)}
	month := now.Sub(40 * 24 * time.Hour)
	known := &schema.Agent{AgentUID: "billing", AgentName: "Billing bot", Owner: "finance", Registered: true, FirstSeen: month, LastSeen: now, NewestUse: seen, Totals: totals}
	known.Uses[schema.UseDataset] = uses(month, "litellm", "kong.http_log", "aws.cloudtrail")
	known.Uses[schema.UseOnBehalfOf], known.Uses[schema.UseCredential] = uses(month, "ada"), uses(month, "key-1")
	known.Uses[schema.UseTool], known.Uses[schema.UseCloudAction] = append(uses(month, "read/mail"), use("send_mail")...), uses(month, "s3:GetObject")
	shadow := &schema.Agent{AgentUID: "stray", FirstSeen: now, LastSeen: now.Sub(time.Minute), NewestUse: now, Totals: schema.Totals{Events: 1}}
	shadow.Uses[schema.UseDestination] = use("paste.example")
	quiet := &schema.Agent{AgentUID: "old", AgentName: "Old bot", Owner: "it", Registered: true, FirstSeen: month, LastSeen: now.Sub(35 * 24 * time.Hour)}
	quiet.Uses[schema.UseCredential] = uses(month, "key-0")
	key := &schema.Credential{CredentialUID: "key-1", CredentialType: "api_key", FirstSeen: seen, LastSeen: now, NewestUse: now, Totals: totals}
	key.Uses[schema.UseAgent], key.Uses[schema.UseTool], key.Uses[schema.UseDestination] = use("billing", "stray"), use("read/mail"), use("api.openai.com")
	tool := &schema.Tool{Type: schema.ToolTool, Name: "read/mail", FirstSeen: seen, LastSeen: now, NewestUse: now, Totals: totals}
	tool.Uses[schema.UseAgent] = use("billing", "stray")
	model := &schema.Tool{Type: schema.ToolModel, Name: "gpt-5", FirstSeen: seen, LastSeen: now, Totals: schema.Totals{Events: 3, Cost: schema.CostOf(2.5)}}
	model.Uses[schema.UseProvider] = use("openai")
	quality := &schema.SourceQuality{Source: "kafka", Dataset: "kong.http_log", Hour: now.Sub(time.Hour), Events: 80, Pos: 1}
	quality.Lacks[schema.NeedAgent] = 20
	b := &connectors.RowBlock{
		Pos: 1, Agents: []*schema.Agent{known, shadow, quiet}, Credentials: []*schema.Credential{key}, Tools: []*schema.Tool{tool, model},
		Activity: []*schema.Activity{{AgentUID: "billing", Minute: now.Sub(time.Minute), Class: "llm", Action: "chat", Totals: totals}},
		Stats:    []*schema.RuleStats{{RuleID: "llm.some-rule", Minute: now, Matched: 40, Triggers: 5, Findings: 2, Errors: 3, Pos: 1}},
		Quality:  []*schema.SourceQuality{quality},
		Rules: []*schema.RuleInfo{
			{RuleID: "llm.some-rule", Title: "A title", WhatToDo: []string{"Ask its owner"}, Stage: "stable", Since: now},
			{RuleID: "llm.silent", Title: "Never matched", Stage: "stable", Since: now},
		},
		Attempts: []*schema.Attempt{
			{Endpoint: "soar", Time: now.Sub(time.Minute), WebhookID: "w", Number: 1, Status: "503", Took: int64(time.Second), Error: "busy"},
			{Endpoint: "soar", Time: now, WebhookID: "w", Number: 2, Status: "200", Took: int64(time.Second), Delivered: true},
		},
		Dead: []*schema.DeadLetterRow{{Seq: 7, Time: now, Kind: schema.DeadRecord, Reason: "syntax", Source: "kafka", Detail: "bad"}},
		Events: []*schema.ArchivedEvent{{
			Pos: schema.Position{Topic: "t"}, Time: now, Source: "kafka", Dataset: "kong.http_log", Seq: 1,
			Fields: map[string]string{"ai_agent.uid": "billing", "event.action": "s3:GetObject", "http.route": "/x"},
		}},
	}
	if err := s.writeInventory(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	entries := entriesOf(1, 2, 1)
	for i, e := range entries {
		f := e.Finding
		f.AgentUID, f.Tenant, f.GroupStart, f.LastSeen, f.RuleID = "billing", "", now, now.Sub(time.Duration(i)*time.Second), "llm.some-rule"
		f.ID, f.Severity, f.Status, f.Shadow, f.Tags = schema.ID{15: byte(i + 1)}, schema.SeverityHigh, schema.StatusOpen, false, []string{"x.tag"}
		f.Evidence = []schema.Evidence{{
			Time: now, Dataset: "kong.http_log", Action: "GetObject", CredentialUID: "key-1", SourceIP: "key-1-source", Workflow: "invoices", Tool: "read/mail",
		}}
	}
	entries = append(entries, connectors.Entry{Seq: 3, Type: connectors.AgentContained, Response: &schema.ResponseRecord{
		Containment: schema.Containment{
			ID: schema.ID{9}, Scope: schema.ScopeAgent, Target: schema.Target{Agent: "billing"}, State: schema.StateDeny, Mode: schema.ModeEnforce,
			Status: schema.ContainmentActive, Since: now.Sub(5 * time.Minute), Until: now.Add(time.Hour), Reason: "leaked", Version: 1,
		},
		Stage: schema.StageAsked,
	}})
	write(t, s, entries)
}

// answerOf returns the rows of a shipped query, each as one text.
func answerOf(t *testing.T, s *Sink, q Query) (out []string) {
	t.Helper()
	given := map[string]string{"agent": "billing", "credential": "key-1", "id": schema.ID{15: 1}.String()}
	parameters := map[string]string{}
	for _, p := range q.Parameters {
		parameters[p.Name] = p.Default
		if p.Required {
			parameters[p.Name] = given[p.Name]
		}
	}
	answer, err := s.Ask(t.Context(), q.SQL, parameters)
	if err != nil {
		t.Fatalf("query %s: %v", q.Name, err)
	}
	for _, row := range answer.Rows {
		out = append(out, strings.Join(row, " "))
	}
	return out
}
