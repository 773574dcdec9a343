package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aidr-engine/aidr/engine/contain"
	"github.com/aidr-engine/aidr/engine/store"
	"github.com/aidr-engine/aidr/schema"
)

const containingRule = `id: t.bad
title: A bad call
severity: high
when: event.action == "bad"
respond:
  - contain: {scope: agent, ttl: 1h, mode: enforce}
tests:
  - {name: bad, events: [{set: {event.class: tool, event.action: bad, ai_agent.uid: a}}], findings: [{count: 1}]}
  - {name: fine, events: [{set: {event.class: tool, event.action: fine, ai_agent.uid: a}}], findings: []}
`

// contained returns what `aidr contained` shows.
func contained(t *testing.T, state string) (l contain.Contained) {
	t.Helper()
	if err := json.Unmarshal([]byte(mustAidr(t, "contained", "--json", "--state", state)), &l); err != nil {
		t.Fatal(err)
	}
	return l
}

// TestContainAsAUser follows one containment through a process that is killed, and through a stopped one.
func TestContainAsAUser(t *testing.T) {
	dir := t.TempDir()
	logs, state, config, addr := filepath.Join(dir, "logs.jsonl"), filepath.Join(dir, "state"), filepath.Join(dir, "aidr.yaml"), freeAddr(t)
	write := func(file, text string) {
		t.Helper()
		f, err := os.OpenFile(file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		if err == nil {
			_, err = f.WriteString(text)
			err = errors.Join(err, f.Close())
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	record := func(agent, action string) {
		write(logs, fmt.Sprintf(`{"time":%q,"event.dataset":"litellm","event.class":"tool","event.action":%q,"ai_agent.uid":%q,"event.outcome":"success"}`+"\n",
			time.Now().UTC().Format(time.RFC3339Nano), action, agent))
	}
	write(filepath.Join(dir, "rule.yaml"), containingRule)
	write(config, "rules: ["+dir+"/rule.yaml]\nstate: {dir: "+state+"}\nresponse: {max_contained: 1, never: [sre]}\n"+
		"sources: [{name: logs, file: {paths: ["+logs+"], follow: true}, format: aidr}]\nhttp: {listen: "+addr+"}\n")
	record("x", "fine")
	p := start(t, "run", "--config", config)
	await(t, 30*time.Second, "the start", func() error { return isReady(addr) })
	l := contained(t, state)
	if l.Known || l.Lost == "" {
		t.Errorf("a new state directory: %+v, want it not known", l)
	}
	mustAidr(t, "contain", "--confirm-complete", "--reason", "first start", "--state", state)

	record("a", "bad")
	var auto schema.ResponseRecord
	await(t, 20*time.Second, "the containment", func() error {
		for _, r := range contained(t, state).Responses {
			if r.Status == schema.ContainmentActive {
				auto = r
				return nil
			}
		}
		return errors.New("none yet")
	})
	if auto.Target.Agent != "a" || auto.By != "rule:t.bad" || !auto.Automatic || auto.FindingID.IsZero() {
		t.Errorf("contained by a rule: %+v", auto)
	}
	record("b", "bad") // beyond the cap
	var proposal schema.ResponseRecord
	await(t, 20*time.Second, "the proposal", func() error {
		for _, r := range contained(t, state).Responses {
			if r.Status == schema.ContainmentProposed {
				proposal = r
				return nil
			}
		}
		return errors.New("none yet")
	})
	if out := mustAidr(t, "contain", "--agent", "b", "--dry-run", "--state", state); !strings.Contains(out, "calls an hour") {
		t.Errorf("a dry run does not know the calls of an hour, which the inventory has:\n%s", out)
	}
	out := mustAidr(t, "contain", "--agent", "m", "--tool", "exec", "--restrain", "hold", "--ttl", "2h", "--reason", "case 1", "--state", state)
	for _, want := range []string{"tool m, tool exec", "active, enforce, hold", "case 1", "undo", "aidr release "} {
		if !strings.Contains(out, want) {
			t.Errorf("aidr contain prints no %q:\n%s", want, out)
		}
	}
	if o := aidr(t, "contain", "--agent", "sre", "--reason", "x", "--state", state); o.code == exitOK || !strings.Contains(o.stderr, "never-contained") {
		t.Errorf("contain of one that is never contained: %d %s", o.code, o.stderr)
	}

	p.kill()
	p = start(t, "run", "--config", config)
	await(t, 30*time.Second, "the restart", func() error { return isReady(addr) })
	l = contained(t, state)
	if len(l.Responses) != 3 || !l.Known || l.Automatic != 1 {
		t.Fatalf("after kill -9: %+v, want three responses", l)
	}
	mustAidr(t, "approve", proposal.ID.String(), "--reason", "looked at it", "--state", state)
	mustAidr(t, "release", auto.ID.String(), "--reason", "false alarm", "--state", state)
	if code := p.terminate(); code != 0 {
		t.Fatalf("exit code %d: %s", code, p.lastWords())
	}

	// The same commands on the stopped state directory.
	l = contained(t, state)
	if len(l.Responses) != 2 {
		t.Fatalf("stopped: %+v, want two responses", l.Responses)
	}
	mustAidr(t, "release", proposal.ID.String(), "--reason", "over", "--state", state)
	mustAidr(t, "contain", "--agent", "late", "--reason", "night shift", "--state", state)
	mustAidr(t, "contain", "--pause-automation", "--reason", "night", "--state", state)
	if out := mustAidr(t, "contained", "--state", state); !strings.Contains(out, "Automation is paused") || !strings.Contains(out, "late") {
		t.Errorf("aidr contained:\n%s", out)
	}
	start(t, "run", "--config", config)
	await(t, 30*time.Second, "the start from a directory that was changed while stopped", func() error { return isReady(addr) })
	if l = contained(t, state); len(l.Responses) != 2 || !l.Pause.Paused {
		t.Errorf("after the start: %+v", l)
	}
	if out := mustAidr(t, "contain", "--agent", "late", "--dry-run", "--state", state); !strings.Contains(out, "contained already") {
		t.Errorf("dry run:\n%s", out)
	}
	ended := jsonLines[schema.ResponseRecord](t, mustAidr(t, "responses", "ls", "--status", "released", "--json", "--state", state))
	if len(ended) != 2 {
		t.Errorf("the ledger has %d released responses, want 2", len(ended))
	}
	if out := mustAidr(t, "responses", "show", auto.ID.String(), "--state", state); !strings.Contains(out, "false alarm") || !strings.Contains(out, "rule:t.bad") {
		t.Errorf("aidr responses show:\n%s", out)
	}
	var actions []string
	if out := mustAidr(t, "audit", "ls", "--action", "refused", "--state", state); !strings.Contains(out, "never-contained") {
		t.Errorf("the refused containment is not in the audit:\n%s", out)
	}
	if out := mustAidr(t, "audit", "verify", "--state", state); !strings.Contains(out, "the chain is whole") {
		t.Errorf("aidr audit verify: %s", out)
	}
	for _, a := range jsonLines[store.AuditEntry](t, mustAidr(t, "state", "audit", "--state", state)) {
		actions = append(actions, a.Action)
		if strings.HasPrefix(a.Who, "rule:") != (a.Action == "propose" || a.Action == "contain" && a.Rule == "t.bad") || a.Who == "unknown" {
			t.Errorf("audit entry %+v", a)
		}
	}
	const want = "confirm-complete contain propose contain approve release release contain pause-automation"
	if got := strings.Join(actions, " "); got != want {
		t.Errorf("audit %s\nwant  %s", got, want)
	}
}

func TestContainUsage(t *testing.T) {
	for want, argv := range map[string][]string{
		"--reason is missing":        {"contain", "--agent", "a"},
		"name the target":            {"contain", "--reason", "x"},
		"scope tool needs agent":     {"contain", "--tool", "t", "--reason", "x"},
		"give one of --pause":        {"contain", "--pause-automation", "--resume-automation", "--reason", "x"},
		"have no target":             {"contain", "--pause-automation", "--agent", "a", "--reason", "x"},
		"--finding \"f\"":            {"contain", "--agent", "a", "--finding", "f", "--reason", "x"},
		"scope \"fleet\" is unknown": {"contain", "--agent", "a", "--scope", "fleet", "--reason", "x"},
		"requires at least 1 arg":    {"release", "--reason", "x"},
		"accepts 1 arg":              {"approve", "--reason", "x"},
	} {
		if o := aidr(t, argv...); o.code != exitUsage || !strings.Contains(o.stderr, want) {
			t.Errorf("aidr %v: exit code %d, want %q in\n%s", argv, o.code, want, o.stderr)
		}
	}
}
