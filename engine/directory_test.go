package engine

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/aidr-engine/aidr/engine/inventory"
	"github.com/aidr-engine/aidr/rules"
	"github.com/aidr-engine/aidr/schema"
)

// seenAgents is an inventory in memory.
type seenAgents map[inventory.Key]*inventory.Entity

func (m seenAgents) Entities(kind inventory.Kind, yield func(*inventory.Entity) bool) error {
	for k, e := range m {
		if k.Kind == kind && !yield(e) {
			return nil
		}
	}
	return nil
}

func (m seenAgents) Entity(k inventory.Key) (*inventory.Entity, bool, error) {
	return m[k], m[k] != nil, nil
}

func (m seenAgents) add(kind inventory.Kind, name string, events int64, over time.Duration, use schema.UseKind, values ...string) {
	e := &inventory.Entity{Key: inventory.Key{Kind: kind, Tenant: "t", Name: name}, LastSeen: schema.Instant(over)}
	e.Events = events
	for _, v := range values {
		e.Uses[use] = append(e.Uses[use], schema.Use{Name: v, Count: events, LastSeen: schema.Instant(over)})
	}
	m[e.Key] = e
}

func TestDirectory(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"agents.yaml": "agents:\n  - {uid: bot, aliases: [role/bot, {uid: b2, dataset: kong.http_log}]}\n  - {uid: other}\n",
		"r.yaml":      "id: r\ntitle: t\nseverity: low\nwhen: event.action == \"x\"\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	set, problems := rules.Load(rules.Options{}, dir)
	if set == nil {
		t.Fatal(problems)
	}
	src := seenAgents{}
	src.add(inventory.Agent, "bot", 100, 10*time.Hour, schema.UseCredential, "k2", "k1")
	src.add(inventory.Agent, "role/bot", 30, time.Minute, schema.UseCredential, "AKIA1")
	src.add(inventory.Agent, "shadow", 7, time.Minute, schema.UseTool, "exec")
	src.add(inventory.Credential, "k1", 60, time.Hour, schema.UseAgent, "bot", "shadow")

	d := NewDirectory(set, src, (&handClock{now: benchStart}).clock())
	aliases, credentials := d.Identity("t", "bot")
	if got := fmt.Sprint(aliases, credentials); got != "[b2 role/bot] [k1 k2 AKIA1]" {
		t.Errorf("identity of bot: %s", got)
	}
	if users, known := d.Users("t", "k1"); !known || fmt.Sprint(users) != "[bot shadow]" {
		t.Errorf("users of k1: %v %v", users, known)
	}
	if _, known := d.Users("t", "k2"); known {
		t.Error("the users of a credential that was never seen are known")
	}
	if n, known := d.Fleet("t"); n != 3 || !known {
		t.Errorf("fleet %d %v, want 3", n, known)
	}
	for _, x := range []struct {
		scope schema.ContainmentScope
		to    schema.Target
		want  int64
	}{
		{schema.ScopeAgent, schema.Target{Tenant: "t", Agent: "bot"}, 10},
		{schema.ScopeAgent, schema.Target{Tenant: "t", Agent: "role/bot"}, 30}, // seen for less than an hour
		{schema.ScopeTool, schema.Target{Tenant: "t", Agent: "shadow", Tool: "exec"}, 7},
		{schema.ScopeCredential, schema.Target{Tenant: "t", Credential: "k1"}, 60},
		{schema.ScopeSession, schema.Target{Tenant: "t", Session: "s"}, -1},
		{schema.ScopeAgent, schema.Target{Agent: "bot"}, -1}, // another tenant
	} {
		if n, known := d.Calls(x.scope, x.to); known != (x.want >= 0) || known && n != x.want {
			t.Errorf("%s %+v: %d calls an hour (%v), want %d", x.scope, x.to, n, known, x.want)
		}
	}
	alone := NewDirectory(set, nil, (&handClock{now: benchStart}).clock())
	if n, known := alone.Fleet(""); n != 2 || !known {
		t.Errorf("fleet of the registry: %d %v, want 2", n, known)
	}
	if _, known := alone.Users("", "k1"); known {
		t.Error("the registry alone knows the users of a credential")
	}
}
