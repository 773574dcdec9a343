package pipeline

import (
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/aidr-engine/aidr/cmd/aidr/config"
	"github.com/aidr-engine/aidr/schema"
)

func TestGuides(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"t.yaml":      "id: t.pay\ntitle: Pays\ndescription: It pays.\nseverity: low\nwhen: event.action == \"pay\"\ntriage: [Ask the owner., Stop it.]\n",
		"agents.yaml": "agents:\n  - {uid: a, owner: erp@example.com}\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	set, problems := LoadRules(RuleFiles{Paths: []string{filepath.Join(dir, "t.yaml")}, Agents: filepath.Join(dir, "agents.yaml")})
	if set == nil {
		t.Fatal(problems)
	}
	cfg := &config.Config{Links: config.Links{Base: "https://aidr.example.com/", Runbook: "https://wiki/{rule}?x"}}
	p := &Pipeline{cfg: cfg}
	if p.guides(cfg, set) != nil {
		t.Error("guides although no sink shows them")
	}
	cfg.Sinks.Webhooks = []config.Webhook{{}}
	f := &schema.Finding{ID: schema.ID{1}, RuleID: "t.pay", AgentUID: "a"}
	want := &schema.Guide{
		Description: "It pays.", WhatToDo: []string{"Ask the owner.", "Stop it."}, Runbook: "https://wiki/t.pay?x", Owner: "erp@example.com",
		Console: "https://aidr.example.com/findings/" + f.ID.String(), Targets: &schema.Targets{Agent: "a"},
	}
	if got := p.guides(cfg, set)(f); !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if g := p.guides(cfg, set)(&schema.Finding{RuleID: "aidr.source-silent", Operational: true}); g.Description != "" || g.Targets == nil {
		t.Errorf("guide of an operational finding: %+v", g)
	}
}
