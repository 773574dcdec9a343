package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aidr-engine/aidr/engine/store"
	"github.com/aidr-engine/aidr/schema"
)

// TestDeadLettersOfAStoppedProcess selects dead letters with flags, and enables an endpoint, in a state directory on which no
// process runs. Its configuration has a secret that is not set, which these commands do not need.
func TestDeadLettersOfAStoppedProcess(t *testing.T) {
	dir := t.TempDir()
	state, config := filepath.Join(dir, "state"), filepath.Join(dir, "aidr.yaml")
	text := "sources: [{kafka: {brokers: [x], topics: [x]}}]\nstate: {dir: " + state + "}\n" +
		"sinks: {webhooks: [{name: soc, url: \"https://x\", secret: \"${AIDR_TEST_NOT_SET}\"}]}\n"
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := store.Open(state, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	now := schema.InstantOf(time.Now())
	hour := schema.Instant(time.Hour)
	step := &store.Advance{Number: 1, Cursor: 1, Disable: store.Disabled{Since: now, Reason: "it answered 410 Gone"}, Dead: []store.DeadLetter{
		{Kind: schema.DeadRecord, Reason: "not_json", Time: now - 5*hour, Body: "{"},
		{Kind: schema.DeadRecord, Reason: "not_json", Time: now - hour, Body: "{"},
		{Kind: schema.DeadDelivery, Reason: "http_400", Sink: "soc", Time: now - 5*hour, Entry: 1, Body: "{}"},
		{Kind: schema.DeadDelivery, Reason: "endpoint_gone", Sink: "soc", Time: now, Entry: 1, Body: "{}"},
	}}
	if _, err := s.SetSinks([]store.SinkSpec{{Name: "soc"}}); err != nil {
		t.Fatal(err)
	}
	if err := s.Advance("soc", step); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	f := func(code int, want string, args ...string) {
		t.Helper()
		o := aidr(t, append(args, "--config", config)...)
		if o.code != code || !strings.Contains(strings.Join(strings.Fields(o.stdout+o.stderr), " "), want) {
			t.Errorf("aidr %s: exit code %d, want %d, and %q in\n%s%s", strings.Join(args, " "), o.code, code, want, o.stdout, o.stderr)
		}
	}
	f(exitOK, "4 dead letters", "status")
	f(exitUsage, "name dead letters by number, or select them", "dlq", "drop")
	f(exitUsage, "either numbers or flags", "dlq", "drop", "1", "--kind", "record")
	f(exitUsage, "either numbers or flags", "dlq", "drop", "1", "--dry-run")
	f(exitFailed, "not a time back from now", "dlq", "drop", "--since", "yesterday")
	f(exitFailed, "not one of record, row, delivery", "dlq", "drop", "--kind", "letter")
	f(exitOK, "2 dead letters would be replayed KIND SINK REASON SELECTED delivery soc endpoint_gone 1 delivery soc http_400 1",
		"dlq", "replay", "--sink", "soc", "--dry-run")
	f(exitFailed, "no aidr runs", "dlq", "replay", "--sink", "soc")
	f(exitOK, "1 dead letters would be dropped", "dlq", "drop", "--kind", "record", "--since", "2h", "--dry-run")
	f(exitOK, "not_json", "dlq", "ls", "--until", "2h")
	f(exitOK, "2 of 2 dead letters dropped, 0 failed", "dlq", "drop", "--until", "2h")
	f(exitOK, `{"dry_run":false,"matched":1,"done":1,"failed":0,"groups":[{"kind":"delivery","sink":"soc","reason":"endpoint_gone","count":1}]}`,
		"dlq", "drop", "--json", "--reason", "endpoint_gone")
	f(exitOK, "1 dead letters would be dropped", "dlq", "drop", "--all", "--dry-run")
	f(exitOK, "soc is enabled", "webhook", "enable", "soc")
	f(exitOK, "soc was not disabled", "webhook", "enable", "soc")
	f(exitFailed, `no sink has this name: use one of ["soc"]`, "webhook", "enable", "siem")
}
