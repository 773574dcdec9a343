package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/connectors/memory"
	"github.com/aidr-engine/aidr/engine"
	"github.com/aidr-engine/aidr/engine/store"
	"github.com/aidr-engine/aidr/rules"
	"github.com/aidr-engine/aidr/schema"
	"github.com/aidr-engine/aidr/schema/decode"
)

const explainedRule = `id: t.reads
title: Reads
severity: low
datasets: [litellm]
when: event.class == "tool" && (event.action == "read" || has(raw.b)) && !(user.name == "bob")
threshold: {count: 2, within: 10m, by: [ai_agent.uid, session.id]}
group: {by: ai_agent.uid}
summary: "{ai_agent.name} read {resource.id}"
exceptions:
  - {when: 'user.name == "eve"', until: 2030-01-01, reason: load test}
tests:
  - {name: one, events: [{set: {event.class: tool, event.action: read, ai_agent.uid: a, session.id: s}}], findings: []}
  - {name: two, events: [{repeat: 2, every: 1s, set: {event.class: tool, event.action: read, ai_agent.uid: a, session.id: s}}], findings: [{count: 2}]}
`

// readsAt returns a record of an agent that reads something.
func readsAt(second, resource string) string {
	return `{"time":"2026-01-01T00:00:` + second + `Z","event.dataset":"litellm","event.class":"tool","event.action":"read","ai_agent.uid":"a",` +
		`"session.id":"s","resource.id":"` + resource + `"}`
}

// stopped writes a rule and the state directory of an engine that has read records and stopped. It returns the folder of the
// rules, the state directory and the configuration.
func stopped(t *testing.T, records ...string) (ruleDir, state, config string) {
	t.Helper()
	dir := t.TempDir()
	ruleDir, state, config = filepath.Join(dir, "rules"), filepath.Join(dir, "state"), filepath.Join(dir, "aidr.yaml")
	write := func(file, text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(ruleDir, 0o700); err != nil {
		t.Fatal(err)
	}
	write(filepath.Join(ruleDir, "r.yaml"), explainedRule)
	write(config, "rules: ["+ruleDir+"]\nstate: {dir: "+state+"}\nsources: [{name: logs, file: {paths: ["+dir+"/none.jsonl]}, format: aidr}]\n")
	set, problems := rules.Load(rules.Options{}, ruleDir)
	if set == nil {
		t.Fatal(problems)
	}
	st, err := store.Open(state, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	inputs := []engine.Input{{Decode: decode.Options{Format: "aidr"}, Source: &memory.Source{Named: "m", Partitions: []memory.Partition{{
		Partition: connectors.Partition{Source: "m", Topic: "t"}, Records: records,
	}}}}}
	e, err := engine.New(engine.Options{Set: set, Store: st, Inputs: inputs})
	if err != nil {
		t.Fatal(err)
	}
	if err := engine.RunSources(t.Context(), e, inputs); err != nil {
		t.Fatal(err)
	}
	if err := e.Finish(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}
	return ruleDir, state, config
}

func TestStoppedState(t *testing.T) {
	_, state, config := stopped(t, readsAt("01", "r1"), readsAt("02", "r2"), readsAt("09", "r3"))
	list := jsonLines[engine.RuleState](t, mustAidr(t, "state", "ls", "--json", "--state", state))
	if len(list) != 1 || list[0].Rule != "t.reads" || list[0].Cells != 1 || list[0].Keys != 1 || list[0].Bytes == 0 {
		t.Errorf("aidr state ls: got %+v", list)
	}
	if got := mustAidr(t, "state", "ls", "--state", state); !strings.Contains(got, "t.reads  1      1") {
		t.Errorf("aidr state ls: got\n%s", got)
	}
	keys := mustAidr(t, "state", "export", "--config", config)
	if !strings.Contains(keys, `{"rule":"t.reads","kind":"threshold","tenant":"","key":{"ai_agent.uid":"a","session.id":"s"},"learning":false,`) ||
		!strings.Contains(keys, `"events":2}`) {
		t.Errorf("aidr state export: got\n%s", keys)
	}
	for want, argv := range map[string][]string{
		"name the configuration with --config":      {"state", "export", "--state", state},
		`rule "nobody" is not active`:               {"state", "export", "--config", config, "--rule", "nobody"},
		"no aidr runs on this state directory":      {"state", "clear", "--state", state, "--rule", "t.reads", "--reason", "x"},
		"--rule is missing":                         {"state", "clear", "--state", state, "--reason", "x"},
		"is not a state directory of aidr, or aidr": {"state", "ls", "--state", t.TempDir()},
	} {
		if o := aidr(t, argv...); o.code == exitOK || !strings.Contains(o.stderr, want) {
			t.Errorf("aidr %v: exit code %d, want %q in\n%s", argv, o.code, want, o.stderr)
		}
	}
	if got := mustAidr(t, "state", "audit", "--state", state); got != "" {
		t.Errorf("aidr state audit: got %s", got)
	}
}

func TestExplainEvent(t *testing.T) {
	ruleDir, state, _ := stopped(t, readsAt("01", "r1"), readsAt("02", "r2"))
	file := filepath.Join(t.TempDir(), "e.jsonl")
	events := readsAt("09", "r3") + "\n" +
		`{"time":"2026-01-01T00:00:10Z","event.dataset":"litellm","event.class":"tool","event.action":"write","ai_agent.uid":"a\u202e"}` + "\n" +
		`{"time":"2026-01-01T00:00:10Z","event.dataset":"litellm","event.class":"tool","event.action":"read","user.name":"eve"}` + "\n" +
		`{"time":"2026-01-01T00:00:10Z","event.dataset":"litellm","event.class":"tool","event.action":"read","ai_agent.uid":"a"}` + "\n" +
		`{"time":"2026-01-01T00:00:10Z","event.dataset":"okta.system","event.class":"tool","event.action":"read","ai_agent.uid":"a"}` + "\n"
	if err := os.WriteFile(file, []byte(events), 0o600); err != nil {
		t.Fatal(err)
	}
	explain := func(args ...string) []string {
		return append([]string{"rules", "explain", "t.reads", "--rules", ruleDir, "--format", "aidr"}, args...)
	}
	for index, wants := range map[string][]string{
		"0": {"an item of the rule\n", "  true   all of:\n    true   event.class == \"tool\"   [event.class = \"tool\"]\n    true   any of:\n" +
			"      true   event.action == \"read\"   [event.action = \"read\"]\n      false  has(raw.b)   [raw.b is absent]\n" +
			"    true   none of:\n      false  user.name == \"bob\"   [user.name is absent]\n",
			"index: found: ", "key: ai_agent.uid = \"a\", session.id = \"s\"\n", "exception until 2030-01-01: false: user.name == \"eve\" load test",
			"State before:\n  {\"key\":[\"a\",\"s\"]", "\"events\":3}\nthe event opens or changes finding ", `count 3, value 3: "a" read `},
		"1": {"no match: the condition does not hold", "false  event.action == \"read\"   [event.action = \"write\"]", `key: ai_agent.uid = "a\u202e", session.id is absent`},
		"2": {"no match: an exception removes the event", "true: user.name == \"eve\""},
		"3": {"no item of the rule: the key is not complete", "session.id is absent - not complete"},
		"4": {`no match: the rule does not read the dataset "okta.system"`},
	} {
		got := mustAidr(t, explain("--event", file, "--index", index, "--state", state)...)
		for _, want := range wants {
			if !strings.Contains(got, want) {
				t.Errorf("event %s: got\n%swant %q", index, got, want)
			}
		}
	}
	var x explainedEvent
	if err := json.Unmarshal([]byte(mustAidr(t, explain("--event", file, "--json")...)), &x); err != nil || len(x.Roles) != 1 ||
		!x.Roles[0].Complete || len(x.Roles[0].Condition.Parts) != 3 || !strings.Contains(x.NoState, "no state directory") {
		t.Errorf("got %+v, %v", x, err)
	}
	for want, argv := range map[string][]string{
		"give either --event FILE or --finding ID": explain(),
		"so --index may be at most 4":              explain("--event", file, "--index", "5"),
		"gives no event":                           explain("--event", filepath.Join(ruleDir, "r.yaml")),
		`there is no rule "q"`:                     {"rules", "explain", "q", "--rules", ruleDir, "--event", file},
		"no state directory: name one":             explain("--finding", "x"),
	} {
		if o := aidr(t, argv...); o.code == exitOK || !strings.Contains(o.stderr, want) {
			t.Errorf("aidr %v: exit code %d, want %q in\n%s", argv, o.code, want, o.stderr)
		}
	}
}

func TestExplainFinding(t *testing.T) {
	ruleDir, state, _ := stopped(t, readsAt("01", "r1"), readsAt("02", "r2"))
	all := jsonLines[schema.Finding](t, mustAidr(t, "findings", "ls", "--json", "--state", state))
	if len(all) != 1 {
		t.Fatalf("got %d findings", len(all))
	}
	id := all[0].ID.String()
	got := mustAidr(t, "rules", "explain", "t.reads", "--rules", ruleDir, "--state", state, "--finding", id)
	for _, want := range []string{
		"finding " + id + ", revision 1: open\n", `summary: "a" read "r1", "r2"`, "count 2, value 2, threshold 2; ", `reason: event.action == "read"`,
		"event 2 of 2 in the evidence\n", "true   event.action == \"read\"   [event.action = \"read\"]", "State is not shown: no aidr runs",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("got\n%swant %q", got, want)
		}
	}
	var x explainedFinding
	if err := json.Unmarshal([]byte(mustAidr(t, "rules", "explain", "t.reads", "--rules", ruleDir, "--state", state, "--finding", id, "--json")), &x); err != nil ||
		x.Finding.ID != all[0].ID || len(x.Events) != 2 || x.Events[0].Verdict != "an item of the rule" {
		t.Errorf("got %+v, %v", x, err)
	}
	if o := aidr(t, "rules", "explain", "t.reads", "--rules", ruleDir, "--state", state, "--finding", schema.ID{1}.String()); o.code == exitOK ||
		!strings.Contains(o.stderr, "is not in the local store") {
		t.Errorf("an unknown finding: got %+v", o)
	}
}
