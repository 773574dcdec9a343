package main

import (
	"encoding/csv"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aidr-engine/aidr/cmd/aidr/api"
	"github.com/aidr-engine/aidr/cmd/aidr/output"
	"github.com/aidr-engine/aidr/engine/inventory"
)

// agentRecord returns a record of format aidr in which an agent calls a tool.
func agentRecord(at time.Time, dataset, uid, credential, tool string) string {
	return fmt.Sprintf(`{"time":%q,"event.dataset":%q,"event.class":"tool","event.action":"execute_tool","event.outcome":"success",`+
		`"ai_agent.uid":%q,"credential.uid":%q,"gen_ai.tool.name":%q,"gen_ai.tool.called":true,"on_behalf_of.id":"emma","gen_ai.usage.cost":0.5}`,
		at.Format(time.RFC3339Nano), dataset, uid, credential, tool)
}

// TestAgents looks at the inventory of a running aidr and, after it has stopped, at that of its state directory. One agent has
// three names in three sources, which the registry lists as aliases: it is one row. Names from logs are hostile.
func TestAgents(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	now := time.Now().Add(-time.Minute)
	logs := write("logs.jsonl", strings.Join([]string{
		agentRecord(now, "litellm", "88dc28d0", "key-1", "read_mail"),
		agentRecord(now.Add(time.Second), "kong.http_log", "invoice-bot", "key-2", "send_mail"),
		agentRecord(now.Add(2*time.Second), "aws.cloudtrail", "arn:aws:iam::123456789012:role/invoice-bot", "key-3", "read_mail"),
		agentRecord(now.Add(3*time.Second), "litellm", "\x1b[31mevil", "key-1", "=cmd()"),
	}, "\n")+"\n")
	rules := filepath.Join(dir, "rules")
	if err := os.Mkdir(rules, 0o700); err != nil {
		t.Fatal(err)
	}
	write("rules/r.yaml", explainedRule)
	agents := write("agents.yaml", `agents:
  - uid: 88dc28d0
    name: invoice-bot
    owner: finance@example.com
    aliases: ["arn:aws:iam::123456789012:role/invoice-bot", {uid: invoice-bot, dataset: kong.http_log}]
`)
	state, addr := filepath.Join(dir, "state"), freeAddr(t)
	config := write("aidr.yaml", fmt.Sprintf("rules: [%s]\nagents: %s\nstate: {dir: %s}\nhttp: {listen: %q}\n"+
		"sources: [{name: logs, file: {paths: [%s], follow: true}, format: aidr}]\n", rules, agents, state, addr, logs))
	p := start(t, "run", "--config", config)
	await(t, time.Minute, "the agents in the inventory", func() error {
		if got := aidr(t, "agents", "ls", "--state", state, "--json"); strings.Count(got.stdout, "\n") != 2 {
			return fmt.Errorf("got %s%s", got.stdout, got.stderr)
		}
		return nil
	})
	look := func() {
		t.Helper()
		f := func(want string, args ...string) {
			t.Helper()
			got := mustAidr(t, append(args, "--state", state)...)
			for _, part := range strings.Split(want, "|") {
				if !strings.Contains(got, part) {
					t.Errorf("aidr %s: got\n%s\nwant %q in it", strings.Join(args, " "), got, part)
				}
			}
			if strings.Contains(got, "\x1b") {
				t.Errorf("aidr %s prints a control character", strings.Join(args, " "))
			}
		}
		for _, l := range jsonLines[api.AgentLine](t, mustAidr(t, "agents", "ls", "--state", state, "--json")) {
			if l.AgentUID == "88dc28d0" && (l.Events != 3 || len(l.Uses[5]) != 3) {
				t.Errorf("the agent with three names has %d events of the sources %v, want 3 of 3", l.Events, l.Uses[5])
			}
		}
		f("kong.http_log|litellm|aws.cloudtrail|key-1|key-2|key-3|emma|read_mail|containment  none|findings of the last week: none",
			"agents", "show", "88dc")
		f("?[31mevil|=cmd()", "agents", "show", "evil")
		f("key-1|2", "credentials", "ls", "--name", "key-1")
		f("agents:|88dc28d0|on behalf of:|emma", "credentials", "show", "key-1")
		f("read_mail|send_mail|tool", "tools", "ls")
		f("88dc28d0", "agents", "ls", "--tool", "send_mail")
		cells, err := csv.NewReader(strings.NewReader(mustAidr(t, "tools", "ls", "--csv", "--state", state))).ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		for _, row := range cells {
			for _, cell := range row {
				if strings.HasPrefix(cell, "=") {
					t.Errorf("the cell %q begins a formula", cell)
				}
			}
		}
	}
	look()
	if got := mustAidr(t, "agents", "show", "88dc28d0", "--state", state); !strings.Contains(got, "finance@example.com") {
		t.Errorf("the agent's owner is missing:\n%s", got)
	}
	if got := aidr(t, "agents", "show", "nobody", "--state", state); got.code != exitFailed || !strings.Contains(got.stderr, "not seen in any event") {
		t.Errorf("an unknown agent gives %d, %s", got.code, got.stderr)
	}
	p.terminate()
	look()
}

// TestReplayInventory writes the inventory of a replay as lines.
func TestReplayInventory(t *testing.T) {
	dir := t.TempDir()
	logs := filepath.Join(dir, "logs.jsonl")
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	text := agentRecord(at, "litellm", "a", "key-1", "read_mail") + "\n" + agentRecord(at.Add(time.Hour), "litellm", "b", "key-1", "read_mail") + "\n"
	if err := os.WriteFile(logs, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(dir, "inventory.jsonl")
	mustAidr(t, "replay", "--format", "aidr", "--inventory", out, logs)
	written, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]int64{}
	err = inventory.ReadLines(strings.NewReader(string(written)), func(l *inventory.Line) bool {
		switch {
		case l.Agent != nil:
			names["agent "+l.Agent.AgentUID] = l.Agent.Events
		case l.Credential != nil:
			names["credential "+l.Credential.CredentialUID] = l.Credential.Events
		default:
			names[string(l.Tool.Type)+" "+l.Tool.Name] = l.Tool.Events
		}
		return true
	})
	if want := "map[agent a:1 agent b:1 credential key-1:2 tool read_mail:2]"; err != nil || fmt.Sprint(names) != want {
		t.Errorf("got %v, %v, want %s", names, err, want)
	}
}

func TestNoFormula(t *testing.T) {
	for cell, want := range map[string]string{
		"": "", "a": "a", "-": "'-", "=1": "'=1", "+1": "'+1", "@x": "'@x", "\t=1": "'\t=1", " =1": "' =1", "a=1": "a=1",
	} {
		if got := output.Cell(cell); got != want {
			t.Errorf("Cell(%q): got %q, want %q", cell, got, want)
		}
	}
}
