package main

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/engine/store"
	"github.com/aidr-engine/aidr/schema"
)

// Findings are selected by the names and the severities that people use, and shown by names.
func TestFindingsList(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	s, err := store.Open(dir, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	ago := func(d time.Duration) schema.Instant { return schema.Instant(now.Add(-d).UnixNano()) }
	hash := strings.Repeat("5e", 32)
	c := &store.Checkpoint{Seq: 1}
	for i, f := range []schema.Finding{
		{RuleID: "llm.a", Severity: "info", AgentUID: hash, AgentName: "research-bot", Tenant: "acme", GroupStart: ago(30 * time.Minute)},
		{RuleID: "llm.a", Severity: "high", AgentUID: hash, AgentName: "research-bot", GroupStart: ago(5 * time.Hour)},
		{RuleID: "llm.b", Severity: "critical", AgentUID: hash + "00", GroupStart: ago(time.Hour)},
		{RuleID: "llm.b", Severity: "medium", AgentUID: "billing", AgentName: "billing agent", GroupStart: ago(72 * time.Hour)},
	} {
		f.ID, f.Revision, f.Status, f.Key, f.Count = schema.ID{byte(i + 1)}, 1, schema.StatusOpen, map[string]string{}, int64(i+1)
		c.Outbox = append(c.Outbox, connectors.Entry{Type: connectors.FindingOpened, Finding: &f})
	}
	if err := s.Commit(c); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	f := func(want string, flags ...string) {
		t.Helper()
		o := aidr(t, append([]string{"findings", "ls", "--state", dir}, flags...)...)
		var counts []string
		for i, line := range strings.Split(strings.TrimSpace(o.stdout), "\n") {
			if columns := strings.Fields(line); i > 0 {
				counts = append(counts, columns[len(columns)-2])
			}
		}
		if got := strings.Join(counts, " "); got != want || o.code != exitOK || want == "" && !strings.Contains(o.stderr, "no finding matches") {
			t.Errorf("%q: got %q, want %q; exit code %d\n%s%s", flags, got, want, o.code, o.stdout, o.stderr)
		}
	}
	f("1 3 2 4")
	f("1 2", "--agent", "research-bot")
	f("1 2", "--agent", hash)
	f("4", "--agent", "billing agent")
	f("", "--agent", "research")
	f("3 2", "--severity", "high")
	f("3 2 4", "--severity", "medium")
	f("1 3", "--since", "2h")
	f("4", "--until", "1d")
	f("3", "--since", "2h", "--severity", "low", "--rule", "llm.b")
	f("3", "--filter", `severity > "medium" && rule_id == "llm.b"`)
	f("1", "--filter", `tenant == "acme"`, "--limit", "1")

	out := mustAidr(t, "findings", "ls", "--state", dir)
	if strings.Count(out, hash) != 1 || strings.Count(out, "research-bot") != 2 || !strings.Contains(out, hash+"00") {
		t.Errorf("an agent is shown by its name, and by its uid only without one:\n%s", out)
	}
	for flag, want := range map[string]string{
		"--severity=hihg":               `severity: "hihg" is not one of info, low, medium, high, critical`,
		"--since=soon":                  `since: "soon" is not an instant`,
		`--filter=severity >= "urgent"`: `filter:1:13: there is no severity urgent: there are info, low, medium, high, critical`,
	} {
		if o := aidr(t, "findings", "ls", "--state", dir, flag); o.code == exitOK || !strings.Contains(o.stderr, want) {
			t.Errorf("%s: exit code %d, want %q in\n%s", flag, o.code, want, o.stderr)
		}
	}
}
