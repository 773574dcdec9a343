package main

import (
	"bufio"
	"compress/gzip"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aidr-engine/aidr/cmd/aidr/agents"
	"github.com/aidr-engine/aidr/connectors/clickhouse"
	"github.com/aidr-engine/aidr/connectors/clickhouse/host"
	"github.com/aidr-engine/aidr/rules/site"
	"github.com/aidr-engine/aidr/schema"
)

// toolCall returns a record of LiteLLM in which the agent with a key calls a tool, n minutes after the start of 2026.
func toolCall(key, tool string, n int) string {
	at := time.Date(2026, 1, 1, 0, n, 0, 0, time.UTC).Format(time.RFC3339)
	return fmt.Sprintf(`{"id":"r-%s-%d","call_type":"acompletion","status":"success","custom_llm_provider":"openai","startTime":%q,"endTime":%q,`+
		`"model":"gpt-4o","metadata":{"user_api_key_hash":%q,"user_api_key_alias":"%s-bot","requester_ip_address":"10.20.0.18"},`+
		`"messages":[{"role":"user","content":"hi"}],"response":{"choices":[{"finish_reason":"tool_calls","message":{"role":"assistant","tool_calls":`+
		`[{"id":"c%d","type":"function","function":{"name":%q,"arguments":"{}"}}]}}]}}`+"\n", key, n, at, at, key, key, n, tool)
}

func writeFile(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// The registry that is learnt is the same from log files, from an export of the inventory, from a running process and from its
// state directory. diff compares it with what is observed later, with an exit code for scripts.
func TestAgentsLearnAndDiff(t *testing.T) {
	dir := t.TempDir()
	var text strings.Builder
	for n := range 20 {
		text.WriteString(toolCall("k1", "read_mail", 2*n))
		text.WriteString(toolCall("k2", []string{"search", "*"}[n%2], 2*n+1))
	}
	log := writeFile(t, dir, "litellm.jsonl", text.String())
	cfg := writeFile(t, dir, "aidr.yaml", "sources:\n  - {name: logs, file: {paths: ["+log+"], follow: true}}\nrules: [library]\nstate: {dir: "+dir+"/state}\n")

	want := mustAidr(t, "agents", "learn", log)
	if !strings.Contains(want, `{exact: "*", calls: "10", first_seen: "2026-01-01T00:03:00Z"`) || strings.Count(want, "status: proposed") != 2 {
		t.Fatalf("got\n%s", want)
	}
	same := func(from string, args ...string) {
		t.Helper()
		if got := mustAidr(t, append([]string{"agents", "learn"}, args...)...); got != want {
			t.Errorf("from %s: got\n%s\nwant\n%s", from, got, want)
		}
	}
	same("the same files", log)
	export := filepath.Join(dir, "inventory.jsonl")
	mustAidr(t, "replay", "--findings", os.DevNull, "--inventory", export, log)
	same("an export", "--inventory", export)
	p := start(t, "run", "--config", cfg)
	await(t, 30*time.Second, "the inventory of the running process", func() error {
		if o := aidr(t, "agents", "learn", "--config", cfg); o.stdout != want {
			return fmt.Errorf("code %d, %s\n%s", o.code, o.stderr, o.stdout)
		}
		return nil
	})
	p.terminate()
	same("the state directory", "--config", cfg)
	same("the state directory", "--state", filepath.Join(dir, "state"))

	diff := func(code int, said []string, args ...string) string {
		t.Helper()
		o := aidr(t, append([]string{"agents", "diff"}, args...)...)
		if o.code != code {
			t.Errorf("diff %q: exit code %d, want %d\n%s%s", args, o.code, code, o.stdout, o.stderr)
		}
		for _, s := range said {
			if !strings.Contains(o.stdout+o.stderr, s) {
				t.Errorf("diff %q: no %q in\n%s%s", args, s, o.stdout, o.stderr)
			}
		}
		return o.stdout
	}
	proposed := writeFile(t, dir, "proposed.yaml", want)
	diff(exitViolations, []string{"proposed_agent: agents whose entry is only proposed", "  k1-bot (k1): "}, "--registry", proposed, log)
	approved := writeFile(t, dir, "agents.yaml", strings.ReplaceAll(want, "status: proposed", "status: active\n    owner: ann"))
	diff(exitOK, []string{"no differences"}, "--registry", approved, log)
	diff(exitOK, []string{"no differences"}, "--registry", approved, "--config", cfg)
	later := writeFile(t, dir, "later.jsonl", toolCall("k1", "run_shell", 90)+toolCall("k3", "read_mail", 91)+toolCall("k2", "search", 92))
	diff(exitViolations, []string{
		"outside: calls outside of the approved set\n  k1-bot: tool run_shell: 1 calls from 2026-01-01T01:30:00Z",
		"shadow_agent: agents without an entry in the registry\n  k3-bot (k3): 2 calls",
		"unused_grant: grants that are not used\n  k1-bot: tool read_mail  (" + approved + ":", "  k2-bot: tool *  (",
	}, "--registry", approved, later)
	var kinds []string
	for _, x := range jsonLines[agents.Difference](t, diff(exitViolations, nil, "--registry", approved, "--json", later)) {
		kinds = append(kinds, fmt.Sprintf("%s %t %s %s", x.Kind, x.Violation, x.AgentUID, x.Value))
	}
	if got, want := strings.Join(kinds, "; "), "shadow_agent true k3 ; outside true k1 run_shell; unused_grant false k1 read_mail; "+
		"unused_grant false k2 *"; got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
	diff(exitWarnings, []string{"unused_grant"}, "--registry", approved, writeFile(t, dir, "some.jsonl", toolCall("k1", "read_mail", 1)+toolCall("k2", "search", 2)))
	diff(exitUsage, []string{"--registry"}, later)
	diff(exitUsage, []string{"FILE"}, "--registry", approved, "--inventory", export, later)
	diff(exitUsage, []string{"--days"}, "--registry", approved, "--days", "-1", later)
	diff(exitFailed, []string{"bad.yaml:1:10: agents: "}, "--registry", writeFile(t, dir, "bad.yaml", "agents:  7\n"), later)
	diff(exitFailed, []string{"nowhere"}, "--registry", approved, "--inventory", filepath.Join(dir, "nowhere"))

	if got := mustAidr(t, "agents", "learn", "--registry", approved, later); strings.Count(got, "- uid:") != 1 || !strings.Contains(got, `"k3"`) {
		t.Errorf("got\n%s", got)
	}
	if o := aidr(t, "agents", "learn", "--without", "nonsense", log); o.code != exitUsage || !strings.Contains(o.stderr, "workflow") {
		t.Errorf("got %+v", o)
	}
	if o := aidr(t, "agents", "learn", "-o", approved, log); o.code != exitFailed || !strings.Contains(o.stderr, "--force") {
		t.Errorf("got %+v", o)
	}
	if o := aidr(t, "agents", "check", approved); o.code != exitOK || o.stdout != "2 agents: 2 active\n" {
		t.Errorf("got %+v", o)
	}
	if o := aidr(t, "agents", "check", writeFile(t, dir, "warns.yaml", "agents: [{uid: a}]\n")); o.code != exitWarnings || !strings.Contains(o.stderr, "no owner") {
		t.Errorf("got %+v", o)
	}
	if mustAidr(t, "agents", "schema") != string(site.JSONSchema()) || mustAidr(t, "agents", "docs") != string(site.Reference()) {
		t.Errorf("agents schema or agents docs prints something else")
	}
}

// The rows of ClickHouse give the same registry, but for the last times of values, which it does not keep.
func TestAgentsLearnFromClickHouse(t *testing.T) {
	engine := host.StartForTest(t, host.Options{Database: "aidr"})
	dir := t.TempDir()
	var text strings.Builder
	for n := range 10 {
		text.WriteString(toolCall("k1", []string{"read_mail", "*", "line\\nbreak\\\"}"}[n%3], 2*n))
		text.WriteString(toolCall("k2", "search", 2*n+1))
	}
	log := writeFile(t, dir, "litellm.jsonl", text.String())
	cfg := writeFile(t, dir, "aidr.yaml", "sources:\n  - {name: logs, file: {paths: ["+log+"], follow: true}}\nrules: [library]\nstate: {dir: "+dir+"/state}\n"+
		"sinks:\n  clickhouse: {dsn: \""+engine.DSN+"\", migrate: false}\n")
	sink, err := clickhouse.New(clickhouse.Config{DSN: engine.DSN})
	if err != nil {
		t.Fatal(err)
	}
	defer sink.Close()
	if _, err := sink.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	timeless := func(yaml string) string {
		return regexp.MustCompile(`, last_seen: "[^"]*"}`).ReplaceAllString(yaml, "}")
	}
	want := timeless(mustAidr(t, "agents", "learn", log))
	p := start(t, "run", "--config", cfg)
	await(t, time.Minute, "the rows of the inventory", func() error {
		if o := aidr(t, "agents", "learn", "--clickhouse", "--config", cfg); timeless(o.stdout) != want {
			return fmt.Errorf("code %d, %s\n%s\nwant\n%s", o.code, o.stderr, o.stdout, want)
		}
		return nil
	})
	p.terminate()
	if o := aidr(t, "agents", "learn", "--clickhouse"); o.code != exitUsage || !strings.Contains(o.stderr, "--config") {
		t.Errorf("got %+v", o)
	}
}

// A person whom Google Workspace suspends is found by the shipped map: rule tests know the built-in formats only.
func TestDeprovisionedOwnerOfGoogleWorkspace(t *testing.T) {
	dir := t.TempDir()
	const suspended = `{"kind":"admin#reports#activity","id":{"time":"2026-01-01T00:00:00.000Z","uniqueQualifier":"-1","applicationName":"admin",` +
		`"customerId":"C1"},"actor":{"callerType":"USER","email":"it@corp.example","profileId":"1"},"ipAddress":"1.2.3.4",` +
		`"events":[{"type":"USER_SETTINGS","name":"SUSPEND_USER","parameters":[{"name":"USER_EMAIL","value":"Ann@corp.example"}]}]}` + "\n"
	logs := writeFile(t, dir, "workspace.jsonl", suspended)
	registry := writeFile(t, dir, "agents.yaml", "agents: [{uid: k1, owner: ann@corp.example}]\n")
	var found []string
	for _, f := range jsonLines[schema.Finding](t, mustAidr(t, "replay", "--agents", registry, logs, writeFile(t, dir, "llm.jsonl", toolCall("k1", "search", 90)))) {
		found = append(found, f.RuleID+" "+f.Key["person"])
	}
	if !slices.Contains(found, "identity.deprovisioned-owner ann@corp.example") {
		t.Errorf("got %q", found)
	}
}

// weeks splits the sessions of a sample into the week of history and the scored week, and returns the groups of the scored ones.
func weeks(t *testing.T, dir string) (history, scored string, groups map[string][]string) {
	t.Helper()
	f, err := os.Open(filepath.Join(dir, "dev.labels.csv"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	labels, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	groups, past := map[string][]string{}, map[string]bool{}
	for _, r := range labels[1:] { // session, phase, suite, model, task, injection, attack_present, injection_seen, attack_succeeded, solved
		present, seen, succeeded := r[6] == "1", r[7] == "1", r[8] == "1"
		switch {
		case r[1] != "scored":
			past[r[0]] = true
		case succeeded:
			groups["hijacked"] = append(groups["hijacked"], r[0])
		case seen:
			groups["not followed"] = append(groups["not followed"], r[0])
		case !present:
			groups["benign"] = append(groups["benign"], r[0])
		}
	}
	in, err := os.Open(filepath.Join(dir, "dev.jsonl.gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	zip, err := gzip.NewReader(in)
	if err != nil {
		t.Fatal(err)
	}
	var one, two strings.Builder
	lines := bufio.NewScanner(zip)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var record struct {
			Trace string `json:"trace_id"`
		}
		if err := json.Unmarshal(lines.Bytes(), &record); err != nil {
			t.Fatal(err)
		}
		to := &two
		if past[record.Trace] {
			to = &one
		}
		to.Write(lines.Bytes())
		to.WriteByte('\n')
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	tmp := t.TempDir()
	return writeFile(t, tmp, "week1.jsonl", one.String()), writeFile(t, tmp, "week2.jsonl", two.String()), groups
}

// A registry is learnt from a week of recorded sessions and approved as it is; in the second week, calls outside of it are
// findings. The test prints which sessions leave the approved set:
//
//	go test ./cmd/aidr -run TestLearntRegistryOnWeekTwo -v
func TestLearntRegistryOnWeekTwo(t *testing.T) {
	history, scored, groups := weeks(t, sampleDir(t, "agentdyn"))
	dir := t.TempDir()
	learnt := mustAidr(t, "agents", "learn", history)
	registry := writeFile(t, dir, "agents.yaml", strings.ReplaceAll(learnt, "status: proposed", "status: active\n    owner: reviewer"))
	if o := aidr(t, "agents", "diff", "--registry", registry, history); o.code != exitOK {
		t.Errorf("the week that was learnt is outside of the registry:\n%s", o.stdout)
	}
	folder := filepath.Join(dir, "rules")
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"outside-approved-set.yaml", "outside-approved-origin.yaml"} { // one finding for each call, to see its session
		text, err := os.ReadFile(filepath.Join(library, "identity", name))
		if err != nil {
			t.Fatal(err)
		}
		writeFile(t, folder, name, regexp.MustCompile(`(?m)^group: .*$`).ReplaceAllString(string(text), "group: {for: 0s}"))
	}
	outside := map[string][]string{} // the tools by session
	out := filepath.Join(dir, "findings.jsonl")
	mustAidr(t, "replay", "--rules", folder, "--agents", registry, "--findings", out, scored)
	text, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range jsonLines[schema.Finding](t, string(text)) {
		outside[f.SessionID] = append(outside[f.SessionID], f.Evidence[0].Tool)
	}
	share := map[string]float64{}
	for _, name := range []string{"hijacked", "not followed", "benign"} {
		n := 0
		for _, session := range groups[name] {
			if tools := outside[session]; tools != nil {
				n++
				t.Logf("%-12s %s %q", name, session, tools)
			}
		}
		share[name] = 100 * float64(n) / float64(len(groups[name]))
		t.Logf("%-12s %3d of %3d sessions leave the approved set: %.1f %%", name, n, len(groups[name]), share[name])
	}
	if share["hijacked"] <= share["benign"] || share["benign"] > 2 {
		t.Errorf("hijacked sessions leave the approved set no more often than benign ones, or those too often: %v", share)
	}
}
