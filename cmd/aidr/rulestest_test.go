package main

import (
	"encoding/xml"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aidr-engine/aidr/connectors/clickhouse/host"
	"github.com/aidr-engine/aidr/schema"
)

func TestRulesTestSelects(t *testing.T) {
	ruleDir := t.TempDir()
	file := writeFile(t, ruleDir, "r.yaml", strings.Replace(explainedRule, "findings: [{count: 2}]", "findings: [{count: 7, by: {session.id: s}}]", 1))
	report := filepath.Join(t.TempDir(), "junit.xml")
	o := aidr(t, "rules", "test", ruleDir, "--run", "reads/two", "--junit", report)
	for _, want := range []string{"1 tests of 1 rules, 1 failed", "missing: by={\"session.id\":\"s\"} count=7", "nearest: key=", "count: expected 7, actual 2"} {
		if o.code != exitFailed || !strings.Contains(o.stdout, want) {
			t.Errorf("want %q in\n%s", want, o.stdout)
		}
	}
	if strings.Contains(o.stdout, "unexpected") {
		t.Errorf("the finding is reported twice:\n%s", o.stdout)
	}
	b, err := os.ReadFile(report)
	var suite junitSuite
	if err != nil || xml.Unmarshal(b, &suite) != nil || suite.Failures != 1 || len(suite.Cases) != 1 || suite.Cases[0].File != file ||
		!strings.Contains(suite.Cases[0].Failure, "expected 7") {
		t.Errorf("the JUnit file: got %+v, %v", suite, err)
	}
	if o := aidr(t, "rules", "test", ruleDir, "--run", "reads/one"); o.code != exitOK || !strings.Contains(o.stdout, "1 tests of 1 rules, 0 failed") {
		t.Errorf("got %+v", o)
	}
	if o := aidr(t, "rules", "test", ruleDir, "--run", "nothing"); o.code != exitFailed || !strings.Contains(o.stderr, "no test matches") {
		t.Errorf("got %+v", o)
	}
	if o := aidr(t, "rules", "test", ruleDir, "--run", "("); o.code != exitUsage {
		t.Errorf("got %+v", o)
	}
}

func TestRulesTestFromFinding(t *testing.T) {
	ruleDir, state, config := stopped(t, readsAt("01", "r1"), readsAt("02", "r2"), readsAt("09", "r3"))
	id := jsonLines[schema.Finding](t, mustAidr(t, "findings", "ls", "--json", "--state", state))[0].ID.String()
	fromState := mustAidr(t, "rules", "test", ruleDir, "--from-finding", id, "--state", state)
	for _, want := range []string{"  - name: \"finding " + id + "\"\n", "at: 1s, set: {", "resource.id: r2", "at: 8s", "    findings:\n      - {by: {ai_agent.uid: a}, count: 3}\n"} {
		if !strings.Contains(fromState, want) {
			t.Errorf("want %q in\n%s", want, fromState)
		}
	}
	if got := mustAidr(t, "rules", "test", ruleDir, "--from-finding", id, "--config", config); got != fromState {
		t.Errorf("with --config: got\n%s", got)
	}
	dir := t.TempDir()
	log := writeFile(t, dir, "log.jsonl", readsAt("01", "r1")+"\n"+readsAt("02", "r2")+"\n"+readsAt("09", "r3")+"\n")
	found := filepath.Join(dir, "findings.jsonl")
	mustAidr(t, "replay", "--rules", ruleDir, "--format", "aidr", "--findings", found, log)
	if got := mustAidr(t, "rules", "test", ruleDir, "--from-finding", id, "--findings", found); got != fromState {
		t.Errorf("from the output of replay: got\n%s", got)
	}
	mustAidr(t, "rules", "test", ruleDir, "--from-finding", id, "--findings", found, "--update")
	if got := mustAidr(t, "rules", "test", ruleDir); !strings.Contains(got, "3 tests of 1 rules, 0 failed") {
		t.Errorf("with the new test: got\n%s", got)
	}
	for want, argv := range map[string][]string{
		"has the test":                    {"rules", "test", ruleDir, "--from-finding", id, "--findings", found, "--update"},
		"not among these rules":           {"rules", "test", "--from-finding", id, "--findings", found},
		"has no finding":                  {"rules", "test", ruleDir, "--from-finding", schema.ID{1}.String(), "--findings", found},
		"write the id of a finding":       {"rules", "test", ruleDir, "--from-finding", "0a86", "--findings", found},
		"is not in the local store":       {"rules", "test", ruleDir, "--from-finding", schema.ID{1}.String(), "--state", state},
		"name the ClickHouse with --dsn,": {"rules", "test", ruleDir, "--from-finding", id, "--clickhouse"},
	} {
		if o := aidr(t, argv...); o.code == exitOK || !strings.Contains(o.stderr, want) {
			t.Errorf("aidr %q: exit code %d, want %q in\n%s", argv, o.code, want, o.stderr)
		}
	}
}

func TestRulesTestFromFindingInClickHouse(t *testing.T) {
	engine := host.StartForTest(t, host.Options{Database: "aidr"})
	dir := t.TempDir()
	rule := writeFile(t, dir, "r.yaml", explainedRule)
	log := writeFile(t, dir, "log.jsonl", readsAt("01", "r1")+"\n"+readsAt("02", "r2")+"\n")
	cfg := writeFile(t, dir, "aidr.yaml", "sources:\n  - {name: logs, format: aidr, file: {paths: ["+log+"], follow: true}}\nrules: ["+rule+"]\nstate: {dir: "+dir+"/state}\n"+
		"sinks:\n  clickhouse: {dsn: \""+engine.DSN+"\"}\n")
	mustAidr(t, "migrate", "--config", cfg)
	p := start(t, "run", "--config", cfg)
	var id string
	await(t, time.Minute, "the finding", func() error {
		o := aidr(t, "sql", "--config", cfg, "--csv", "run", "SELECT toString(id) FROM v_findings")
		if lines := strings.Fields(o.stdout); len(lines) == 2 {
			id = strings.Trim(lines[1], "'")
			return nil
		}
		return fmt.Errorf("%+v", o)
	})
	p.terminate()
	fromState := mustAidr(t, "rules", "test", rule, "--from-finding", id, "--config", cfg)
	if got := mustAidr(t, "rules", "test", rule, "--from-finding", id, "--config", cfg, "--clickhouse"); got != fromState {
		t.Errorf("from ClickHouse: got\n%swant\n%s", got, fromState)
	}
}
