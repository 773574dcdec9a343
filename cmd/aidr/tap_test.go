package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestTapAndExplain checks that tap prints --limit events of a configuration, and that decode --explain describes how
// records are read, in addition to printing the events.
func TestTapAndExplain(t *testing.T) {
	dir := t.TempDir()
	logs := filepath.Join(dir, "logs.jsonl")
	line := `{"time":"2026-01-01T00:00:0%dZ","event.dataset":"x.test","event.class":"api","event.action":"a",` +
		`"ai_agent.uid":"u%d","user.email":"ann@example.com"}` + "\n"
	text := fmt.Sprintf(line, 1, 1) + fmt.Sprintf(line, 2, 2) + `{"eventVersion":"1","eventSource":"s3","x":1}` + "\n"
	if err := os.WriteFile(logs, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg := filepath.Join(dir, "aidr.yaml")
	src := "sources: [{name: logs, format: [auto, aidr], file: {paths: [" + logs + "]}}]\n" +
		"redact: {user.email: drop}\nstate: {dir: " + filepath.Join(dir, "state") + "}\n"
	if err := os.WriteFile(cfg, []byte(src), 0o600); err != nil {
		t.Fatal(err)
	}

	o := aidr(t, "tap", "--config", cfg)
	if o.code != exitOK || !strings.Contains(o.stderr, "unknown_format 1") {
		t.Errorf("got %+v", o)
	}
	events := jsonLines[map[string]any](t, o.stdout)
	if len(events) != 2 || events[0]["ai_agent.uid"] != "u1" || events[0]["user.email"] != nil {
		t.Errorf("got %v, want two events without an address", events)
	}
	if _, err := os.Stat(filepath.Join(dir, "state")); err == nil {
		t.Errorf("tap made a state directory")
	}
	if o := aidr(t, "tap", "--config", cfg, "--limit", "1", "--source", "logs"); o.code != exitOK || strings.Count(o.stdout, "\n") != 1 {
		t.Errorf("--limit 1: got %+v", o)
	}
	if o := aidr(t, "tap", "--config", cfg, "--source", "other"); o.code != exitFailed || !strings.Contains(o.stderr, "other") {
		t.Errorf("a source that is not there: got %+v", o)
	}
	if o := aidr(t, "tap", "--config", cfg, "--from", "soon"); o.code != exitUsage {
		t.Errorf("--from soon: got %+v", o)
	}

	plain, explained := aidr(t, "decode", "--format", "auto,aidr", logs), aidr(t, "decode", "--format", "auto,aidr", "--explain", logs)
	if plain.stdout != explained.stdout || explained.code != exitOK {
		t.Errorf("--explain changes what is printed: got %+v, want %+v", explained, plain)
	}
	said := jsonLines[explainLine](t, strings.TrimSuffix(explained.stderr, plain.stderr))
	if len(said) != 3 || said[0].Format != "aidr" || said[0].Agent == nil || said[0].Agent.UID != "u1" || said[0].Agent.Rung != "record" ||
		said[1].Offset == 0 || said[2].Dead != "unknown_format" || !strings.HasPrefix(said[2].Near, "aws_cloudtrail") {
		t.Errorf("got %+v", said)
	}
}
