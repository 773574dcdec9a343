package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aidr-engine/aidr/cmd/aidr/config"
)

// TestFirstStart checks that gateways of a fresh installation get allow at once, and that a state directory that is lost later is
// no release: answers are unknown until a person confirms, with the command that the log has.
func TestFirstStart(t *testing.T) {
	dir := t.TempDir()
	f := func(name string, first time.Time, want string) *process {
		t.Helper()
		state, logs, file := filepath.Join(dir, name), filepath.Join(dir, "logs.jsonl"), filepath.Join(dir, name+".yaml")
		listen, gateway := freeAddr(t), freeAddr(t)
		text := fmt.Sprintf("rules: [library]\nstate: {dir: %q}\nsources: [{name: logs, file: {paths: [%q], follow: true}, format: aidr}]\n"+
			"http: {listen: %q}\ndecisions: {listen: %q, open: local, first_start: %s}\n", state, logs, listen, gateway, first.Format(time.DateOnly))
		for path, text := range map[string]string{
			file: text, logs: `{"time":"2026-01-01T00:00:00Z","event.dataset":"litellm","event.class":"tool","ai_agent.uid":"x"}` + "\n",
		} {
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		p := start(t, "run", "--config", file)
		await(t, 30*time.Second, "the start", func() error { p.alive(); return isReady(listen) })
		body, code, err := get("http://" + gateway + "/v1/decision?agent=a")
		if err != nil || code != 200 || !strings.Contains(string(body), `"verdict":"`+want+`"`) {
			t.Errorf("%s: %d %s %v, want %s", name, code, body, err, want)
		}
		await(t, 20*time.Second, "the audit", func() error { // an entry is durable with the next checkpoint
			if audit := mustAidr(t, "state", "audit", "--state", state); strings.Contains(audit, "confirm-complete") != (want == "allow") {
				return fmt.Errorf("it is %s", audit)
			}
			return nil
		})
		return p
	}
	f("fresh", time.Now().UTC(), "allow")
	p := f("lost", time.Now().UTC().Add(-72*time.Hour), "unknown")
	log, err := os.ReadFile(p.log)
	if command := "aidr contain --confirm-complete --reason 'nothing was contained' --state " + filepath.Join(dir, "lost"); err != nil || !strings.Contains(string(log), command) {
		t.Errorf("the log has no %q: %v", command, err)
	}
	if written := mustAidr(t, "config", "init"); written != config.First(time.Now()) || !strings.Contains(written, "first_start: "+time.Now().UTC().Format(time.DateOnly)) {
		t.Error("config init does not write the day")
	}
}
