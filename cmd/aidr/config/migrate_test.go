package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestMigrate brings a file of an early version up to date, with its comments, and leaves a present one alone.
func TestMigrate(t *testing.T) {
	const old = `# Our site. 漢字
sources:
  - name: clouds   # audit
    kafka: {brokers: ["k:9092"], topics: [a], group: aidr}
  - {name: "calls", kafka: {brokers: ["k:9092"], topics: [b], group: 'aidr'}}   # calls

sinks:
  clickhouse:
    dsn: "native://u:${PASSWORD}@h:9000/aidr?x=漢"   # the old scheme
`
	want := strings.NewReplacer("group: 'aidr'", "group: 'aidr-calls'", "native://", "clickhouse://").Replace(old)
	out, changes, err := Migrate([]byte(old))
	if err != nil || string(out) != want || len(changes) != 2 || changes[0].Line != 9 || changes[1].Line != 5 || changes[0].Old != "native://h:9000/aidr [removed]" {
		t.Errorf("got %v, %+v\n%s", err, changes, out)
	}
	file := filepath.Join(t.TempDir(), "aidr.yaml")
	load := func(src string) bool {
		t.Helper()
		if err := os.WriteFile(file, []byte(src), 0o600); err != nil {
			t.Fatal(err)
		}
		t.Setenv("PASSWORD", "x")
		c, problems := Load(file)
		if c == nil {
			t.Log(problems)
		}
		return c != nil
	}
	if load(old) || !load(want) {
		t.Error("the old file must not load, and the new one must")
	}
	if again, changes, err := Migrate(out); err != nil || len(changes) > 0 || string(again) != want {
		t.Errorf("a second time: got %v, %+v", err, changes)
	}
	if _, changes, err := Migrate([]byte("sinks: {clickhouse: {dsn: >-\n  native://h:9000/aidr\n}}\n")); err == nil && len(changes) > 0 {
		t.Errorf("a block: got %+v", changes)
	}
	if _, _, err := Migrate([]byte("a: [")); err == nil {
		t.Error("no YAML is no error")
	}
}
