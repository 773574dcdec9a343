package main

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aidr-engine/aidr/cmd/aidr/top"
)

// TestTop watches a running aidr that reads files.
func TestTop(t *testing.T) {
	dir := t.TempDir()
	file, state := filepath.Join(dir, "aidr.yaml"), filepath.Join(dir, "state")
	write(t, filepath.Join(dir, "calls.jsonl"), strings.Repeat(`{"time":"2026-12-01T12:00:00Z","event.class":"tool","event.dataset":"x.y","ai_agent.uid":"a"}`+"\n", 100))
	write(t, file, fmt.Sprintf("sources: [{name: calls, format: aidr, file: {paths: [%q], follow: true}}]\nrules: [library]\nstate: {dir: %q}\n", filepath.Join(dir, "calls.jsonl"), state))
	if o := aidr(t, "top", "--once", "--state", state); o.code != exitFailed {
		t.Errorf("without a process: %d\n%s%s", o.code, o.stdout, o.stderr)
	}
	start(t, "run", "--config", file)
	await(t, time.Minute, "aidr runs", func() error {
		if o := aidr(t, "status", "--check", "--state", state); o.code != exitOK {
			return fmt.Errorf("%s%s", o.stdout, o.stderr)
		}
		return nil
	})
	o := aidr(t, "top", "--config", file, "--interval", "200ms")
	for _, want := range []string{"SOURCE", "calls", "SHARD", "RULE", "checkpoint", "memory"} {
		if o.code != exitOK || !strings.Contains(o.stdout, want) {
			t.Errorf("%q is missing: %d\n%s%s", want, o.code, o.stdout, o.stderr)
		}
	}
	o = aidr(t, "top", "--config", file, "--once", "--json", "--interval", "200ms")
	frames := jsonLines[top.Frame](t, o.stdout)
	if len(frames) != 1 || len(frames[0].Sources) != 1 || frames[0].Sources[0].Name != "calls" || len(frames[0].Shards) == 0 || len(frames[0].Rules) < 100 || frames[0].Budget == 0 {
		t.Errorf("got %d frames: %s%s", len(frames), o.stdout, o.stderr)
	}
	if o := aidr(t, "top", "--config", file, "--interval", "1ms"); o.code != exitUsage {
		t.Errorf("a short interval: %d", o.code)
	}
}
