package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// doors is a valid field map.
const doors = `name: doors
about: who went through which door
dataset: site.doors
class: audit
keys: [at, door]
fields: {time: at, event.action: door}
identity: [who]
tests: [{name: a door, record: {at: 1767261600, door: front, who: w}, events: [{ai_agent.uid: w}]}]
`

// The exit codes of maps check and maps test are those of rules: 0 ok, 1 errors, 3 only warnings.
func TestMapsCommands(t *testing.T) {
	dir := t.TempDir()
	run := func(want int, has string, args ...string) {
		t.Helper()
		var out, errs strings.Builder
		c := root()
		c.SetArgs(args)
		c.SetOut(&out)
		c.SetErr(&errs)
		code, err := exitOK, c.ExecuteContext(t.Context())
		if err != nil {
			code = exitFailed
		}
		if e := (*exit)(nil); errors.As(err, &e) {
			code = e.code
		}
		if text := out.String() + errs.String(); code != want || !strings.Contains(text, has) {
			t.Errorf("aidr %s: got %d and %q, want %d and %q", strings.Join(args, " "), code, text, want, has)
		}
	}
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, "doors.yaml"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	input := filepath.Join(t.TempDir(), "in.jsonl")
	if err := os.WriteFile(input, []byte(`{"at":1767261600,"door":"back","who":"a"}`+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	run(0, "nginx_json", "maps", "check")
	run(0, " of 31 maps, 0 failed", "maps", "test")
	run(0, "map builtin/portkey.yaml", "formats")
	run(0, "unknown_format 1", "decode", input)

	write(doors)
	run(0, "doors  site.doors  audit", "maps", "check", dir)
	run(0, "1 tests of 1 maps, 0 failed", "maps", "test", dir)
	run(0, "at + door", "formats", "--maps", dir)
	run(0, `"event.action":"back"`, "decode", "--maps", dir, input)
	run(0, `"ai_agent.uid":"a"`, "decode", "--maps", dir, "--format", "doors", input)

	write(strings.Replace(doors, "who: w}", "who: x}", 1))
	run(1, `ai_agent.uid: got "x", want "w"`, "maps", "test", dir)
	write(strings.Replace(doors, "identity: [who]\n", "", 1))
	run(3, "no event has an agent", "maps", "check", dir)
	write(strings.Replace(doors, "audit", "doors", 1))
	run(1, "doors.yaml:4:8: class:", "maps", "check", dir)
	run(1, "doors.yaml:4:8: class:", "maps", "test", dir)
	run(1, "doors.yaml:4:8: class:", "formats", "--maps", dir)
	run(1, "doors.yaml:4:8: class:", "decode", "--maps", dir, input)
}
