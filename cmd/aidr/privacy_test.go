package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestPrivacyDelete deletes the findings of an agent in a running process.
func TestPrivacyDelete(t *testing.T) {
	dir := t.TempDir()
	logs, state, config, addr := filepath.Join(dir, "logs.jsonl"), filepath.Join(dir, "state"), filepath.Join(dir, "aidr.yaml"), freeAddr(t)
	line := func(agent string, at time.Time) string {
		return fmt.Sprintf(`{"time":%q,"event.dataset":"litellm","event.class":"tool","event.action":"bad","ai_agent.uid":%q}`+"\n", at.UTC().Format(time.RFC3339Nano), agent)
	}
	var text strings.Builder
	for i := range 20 { // the last hours settle the first ones
		text.WriteString(line([]string{"a", "b"}[i%2], time.Now().Add(time.Duration(i-20)*time.Hour)))
	}
	for path, content := range map[string]string{
		logs: text.String(), filepath.Join(dir, "rule.yaml"): strings.Replace(containingRule, "respond:\n  - contain: {scope: agent, ttl: 1h, mode: enforce}\n", "datasets: [litellm]\ngroup: {for: 1m, by: [ai_agent.uid]}\n", 1),
		config: "rules: [" + dir + "/rule.yaml]\nstate: {dir: " + state + "}\nsources: [{name: logs, file: {paths: [" + logs + "], follow: true}, format: aidr}]\nhttp: {listen: " + addr + "}\n",
	} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	start(t, "run", "--config", config)
	count := func(agent string) int {
		return len(jsonLines[map[string]any](t, mustAidr(t, "findings", "ls", "--json", "--limit", "0", "--agent", agent, "--status", "settled", "--state", state)))
	}
	await(t, 30*time.Second, "settled findings", func() error {
		if err := isReady(addr); err != nil {
			return err
		}
		if a, b := count("a"), count("b"); a < 5 || b < 5 {
			return fmt.Errorf("%d and %d", a, b)
		}
		return nil
	})
	a, b := count("a"), count("b")
	if out := mustAidr(t, "privacy", "delete", "--agent", "a", "--dry-run", "--state", state); !strings.Contains(out, "would delete") || count("a") != a {
		t.Errorf("dry run: %s", out)
	}
	out := mustAidr(t, "privacy", "delete", "--agent", "a", "--reason", "request 4711", "--state", state)
	if !strings.Contains(out, "deleted ") || count("a") != 0 || count("b") != b {
		t.Errorf("%d and %d findings are left, want 0 and %d: %s", count("a"), count("b"), b, out)
	}
	if audit := mustAidr(t, "state", "audit", "--state", state); !strings.Contains(audit, "erase") || !strings.Contains(audit, "request 4711") {
		t.Errorf("audit: %s", audit)
	}
	for want, argv := range map[string][]string{
		"name the subject":     {"privacy", "delete", "--reason", "x"},
		"64 lower-case hex":    {"privacy", "delete", "--text-sha256", "x", "--reason", "x"},
		"a reason is missing:": {"privacy", "delete", "--agent", "a"},
	} {
		if o := aidr(t, argv...); o.code != exitUsage || !strings.Contains(o.stderr, want) {
			t.Errorf("aidr %v: exit code %d, want %q in\n%s", argv, o.code, want, o.stderr)
		}
	}
}
