package config

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const changeBase = `
sources:
  - name: logs
    kafka: {brokers: [a], topics: [t]}
  - file: {paths: [x]}
state: {dir: s}
sinks:
  webhooks:
    - {name: soc, url: "http://a/", secret: "${SECRET}"}
    - {name: a.b, url: "http://a/", secret: "${SECRET}"}
`

// TestChanged checks which keys differ after a change of the file, of a variable or of a file with a secret.
func TestChanged(t *testing.T) {
	env := map[string]string{"SECRET": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}
	load := func(text string) *Config {
		t.Helper()
		c, problems := Parse("f.yaml", []byte(text), func(name string) (string, bool) { v, ok := env[name]; return v, ok })
		if c == nil {
			t.Fatal(problems)
		}
		return c
	}
	base := load(changeBase)
	f := func(text string, want ...string) {
		t.Helper()
		if got := Changed(base, load(text)); !slices.Equal(got, want) {
			t.Errorf("got %q, want %q in\n%s", got, want, text)
		}
		if got := Changed(load(text), base); !slices.Equal(got, want) {
			t.Errorf("in reverse: got %q, want %q in\n%s", got, want, text)
		}
	}
	edit := func(old, replacement string) string {
		t.Helper()
		if !strings.Contains(changeBase, old) {
			t.Fatalf("%q is not in the base", old)
		}
		return strings.Replace(changeBase, old, replacement, 1)
	}
	f("# comment\n" + changeBase)
	f(changeBase+"rules: []\nhttp:\n", "rules")
	f(edit("dir: s", "dir: s, cells: 5"), "state.cells")
	f(edit("topics: [t]", "topics: [t, u]"), "sources.logs.kafka.topics")
	f(edit("  - file: {paths: [x]}", "  - file: {paths: [x]}\n    format: litellm"), "sources.source-2.format")
	f(edit("  - file: {paths: [x]}\n", ""), "sources.source-2")
	f(edit("http://a/", "http://b/"), "sinks.webhooks.soc.url")
	f(edit("    - {name: soc, url: \"http://a/\", secret: \"${SECRET}\"}\n", ""), "sinks.webhooks.soc")
	f(edit("name: a.b", "name: c"), "sinks.webhooks.a.b", "sinks.webhooks.c")

	env["SECRET"] = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
	f(changeBase, "sinks.webhooks.a.b.secret", "sinks.webhooks.soc.secret")
}

// TestStateDir checks that the state directory is found in a file whose secrets are missing and whose other keys are wrong.
func TestStateDir(t *testing.T) {
	dir := t.TempDir()
	f := func(text, want string) {
		t.Helper()
		file := filepath.Join(dir, "aidr.yaml")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		got, problems := StateDir(file)
		if want != "" {
			want, _ = filepath.Abs(want)
		}
		if got != want || (got == "") != (len(problems) > 0) {
			t.Errorf("%s: got %q %v, want %q", text, got, problems, want)
		}
	}
	f("sources: [{kafka: {brokers: [a], topics: [t], sasl: {password: \"${AIDR_NOT_SET}\"}}}]\nstate: {dir: here}\n", "here")
	f("surprise: true\n", "state")
	f("state: {dir: \"${AIDR_NOT_SET}\"}\n", "")
	f("state: {dir: [\n", "")
	if _, problems := StateDir(filepath.Join(dir, "none.yaml")); len(problems) != 1 {
		t.Errorf("a missing file gave the problems %v", problems)
	}
}
