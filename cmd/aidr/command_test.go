package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestExitCodes checks the exit codes (0 ok, 1 failed or errors, 2 wrong command line, 3 only warnings) and the messages.
func TestExitCodes(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	const fine = "id: a.b\ntitle: T\nseverity: low\nwhen: event.class == \"tool\"\n"
	const tested = fine + "tests:\n  - name: fires\n    events: [{set: {event.class: tool, ai_agent.uid: a}}]\n    findings: [{count: 1}]\n" +
		"  - name: does not\n    events: [{set: {event.class: llm, ai_agent.uid: a}}]\n    findings: []\n"
	write("ok/a.yaml", tested)
	write("warns/a.yaml", fine)
	write("over/a.yaml", fine)
	write("over/b.yaml", strings.NewReplacer("a.b", "o.b", "when: event.class == \"tool\"", "over: [\"*\"]").Replace(fine))
	write("broken/a.yaml", strings.Replace(fine, "event.class", "event.clas", 1))
	write("broken/b.yaml", strings.Replace(fine, "a.b", "b.b", 1)+"surprise: 1\n")
	half := write("half/b.yaml", strings.NewReplacer("a.b", "b.b", "[{count: 1}]", "\n      - title: |\n          U").Replace(tested))
	write("fails/a.yaml", strings.Replace(tested, "count: 1", "count: 2", 1))
	bad := write("bad.yaml", "sources:\n  - kafka: {brokers: [\"127.0.0.1:9092\"], topics: [a], start: soon}\n"+
		"state: {dir: "+dir+"/state}\nsurprise: 1\n"+
		"sinks:\n  webhooks:\n    - {name: soc, url: \"ftp://x\", secret: \"${AIDR_TEST_NOT_SET}\"}\n")

	f := func(code int, said []string, args ...string) {
		t.Helper()
		o := aidr(t, args...)
		if o.code != code {
			t.Errorf("aidr %s: exit code %d, want %d\n%s%s", strings.Join(args, " "), o.code, code, o.stdout, o.stderr)
		}
		for _, s := range said {
			if !strings.Contains(o.stdout+o.stderr, s) {
				t.Errorf("aidr %s: %q is not said in\n%s%s", strings.Join(args, " "), s, o.stdout, o.stderr)
			}
		}
	}
	f(exitOK, []string{"Usage:", "demo", "run", "replay"}, "--help")
	f(exitOK, []string{"aidr "}, "version")
	f(exitOK, []string{"Usage:"})
	f(exitUsage, []string{"nonsense"}, "nonsense")
	f(exitUsage, []string{"did you mean replay?"}, "reply")
	f(exitUsage, []string{"--nonsense"}, "replay", "--nonsense", "x")
	f(exitUsage, []string{"--config"}, "run")
	f(exitUsage, nil, "decode")
	f(exitUsage, []string{"nonsense"}, "decode", "--format", "nonsense", bad)
	f(exitUsage, []string{"--until"}, "replay", "--until", "soon", bad)
	f(exitFailed, []string{"nowhere.jsonl"}, "replay", filepath.Join(dir, "nowhere.jsonl"))
	f(exitFailed, []string{"nowhere"}, "findings", "ls", "--state", filepath.Join(dir, "nowhere"))
	f(exitOK, []string{"a.b"}, "rules", "check", filepath.Join(dir, "ok"))
	f(exitWarnings, []string{"warning: ", "a.yaml:1:1: "}, "rules", "check", filepath.Join(dir, "warns"))
	f(exitWarnings, []string{"over: 1 rule\n", "event.class == \"tool\"\n"}, "rules", "check", filepath.Join(dir, "over"))
	f(exitOK, []string{"over: 1 rule  "}, "rules", "ls", filepath.Join(dir, "over"))
	f(exitFailed, []string{"a.yaml:4:12: rule \"a.b\": when: ", "b.yaml:5:1: ", "surprise"}, "rules", "check", filepath.Join(dir, "broken"))
	f(exitOK, []string{"2 tests", "0 failed"}, "rules", "test", filepath.Join(dir, "ok"))
	f(exitFailed, []string{"FAIL", "a.yaml:6", "1 failed"}, "rules", "test", filepath.Join(dir, "fails"))
	f(exitUsage, []string{"--update"}, "rules", "test", "--update")
	f(exitFailed, []string{"spans several lines", "2 failed, 1 of them updated"}, "rules", "test", "--update", filepath.Join(dir, "fails"), half)
	if text, err := os.ReadFile(filepath.Join(dir, "fails", "a.yaml")); err != nil || string(text) != tested {
		t.Errorf("the updated file: got %v\n%s\nwant\n%s", err, text, tested)
	}
	f(exitOK, []string{"2 tests", "0 failed"}, "rules", "test", filepath.Join(dir, "fails"))
	f(exitOK, []string{"change, egress", "publishes in a repository"}, "capabilities", "explain", "mcp__github__create_issue")
	f(exitOK, []string{"change, destructive", "the shape of its arguments"}, "capabilities", "explain", "Bash", "--arguments", `{"command":"rm a"}`)
	f(exitOK, []string{`{"labels":["private"]`}, "capabilities", "explain", "s3:GetObject", "--json")
	f(exitOK, []string{"change", "its method is POST"}, "capabilities", "explain", "POST", "https://api.example.com/v1")
	f(exitUsage, []string{"--arguments is not JSON"}, "capabilities", "explain", "Bash", "--arguments", "{")
	f(exitFailed, []string{"a.yaml:4:12: "}, "replay", "--rules", filepath.Join(dir, "broken"), bad)
	all := []string{"bad.yaml:2:", "start", "bad.yaml:4:1: ", "surprise", "bad.yaml:7:", "AIDR_TEST_NOT_SET"}
	f(exitFailed, all, "config", "check", bad)
	f(exitFailed, all, "run", "--config", bad)
	f(exitFailed, []string{"no-such-file"}, "run", "--config", "no-such-file")
}

// TestShippedRules checks that the shipped rules have no problems and pass their tests.
func TestShippedRules(t *testing.T) {
	if o := aidr(t, "rules", "check", library); o.code != exitOK || o.stderr != "" {
		t.Errorf("aidr rules check: exit code %d\n%s", o.code, o.stderr)
	}
	if o := aidr(t, "rules", "test"); o.code != exitOK || !strings.Contains(o.stdout, ", 0 failed") {
		t.Errorf("aidr rules test: exit code %d\n%s%s", o.code, o.stdout, o.stderr)
	}
}

// TestConfigInit checks that the configuration of init passes check, as it is and with its suggestions uncommented.
func TestConfigInit(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "aidr.yaml")
	mustAidr(t, "config", "init", file)
	o := aidr(t, "config", "check", file)
	if o.code != exitWarnings || strings.Count(o.stderr, "warning: ") != 1 || !strings.Contains(o.stderr, "there is no sink") {
		t.Errorf("config check of what init wrote: exit code %d, want only the warning that there is no sink\n%s", o.code, o.stderr)
	}
	if o := aidr(t, "config", "init", file); o.code != exitFailed || !strings.Contains(o.stderr, "--force") {
		t.Errorf("config init over a file: got %+v, want a refusal that names --force", o)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	full := filepath.Join(dir, "full.yaml")
	if err := os.WriteFile(full, []byte(uncommented(string(text))), 0o600); err != nil {
		t.Fatal(err)
	}
	secret := strings.TrimSpace(mustAidr(t, "webhook", "secret"))
	env := []string{"CLICKHOUSE_PASSWORD=secret", "AIDR_WEBHOOK_SECRET=" + secret, "KAFKA_PASSWORD=secret"}
	if o := aidrWith(t, env, nil, "config", "check", full); o.code != exitOK {
		t.Errorf("config check with the sinks: exit code %d\n%s", o.code, o.stderr)
	}
	o = aidr(t, "config", "check", full)
	if o.code != exitFailed || !strings.Contains(o.stderr, "AIDR_WEBHOOK_SECRET") || !strings.Contains(o.stderr, "CLICKHOUSE_PASSWORD") {
		t.Errorf("config check without the environment: got %+v, want it to name the variables", o)
	}
	if strings.Contains(o.stderr, "whsec_") {
		t.Errorf("a secret is echoed: %s", o.stderr)
	}
}

// uncommented uncomments the sinks in the configuration of init.
func uncommented(text string) string {
	var out strings.Builder
	in := false
	for line := range strings.Lines(text) {
		switch {
		case strings.HasPrefix(line, "sinks:"):
			in = true
		case !strings.HasPrefix(line, " ") && strings.TrimSpace(line) != "":
			in = false
		}
		if in {
			line = strings.Replace(line, "  # ", "  ", 1)
		}
		out.WriteString(line)
	}
	return out.String()
}

// TestDecodeStdin checks that decode reads standard input.
func TestDecodeStdin(t *testing.T) {
	o := aidrWith(t, nil, strings.NewReader(trail("one", "")+"\n"+trail("two", "")+"\nnonsense\n"), "decode", "-")
	if o.code != exitOK || strings.Count(o.stdout, "\n") != 2 || !strings.Contains(o.stderr, "malformed_json 1") {
		t.Errorf("got %+v, want two events and a word of the third", o)
	}
	if got := jsonLines[map[string]any](t, o.stdout); fmt.Sprint(got[0]["event.id"], " ", got[1]["event.id"]) != "one two" {
		t.Errorf("got %v", got)
	}
}
