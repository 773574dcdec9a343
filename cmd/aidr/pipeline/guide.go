package pipeline

import (
	"net/url"
	"strings"

	"github.com/aidr-engine/aidr/cmd/aidr/config"
	"github.com/aidr-engine/aidr/connectors/webhook"
	"github.com/aidr-engine/aidr/rules"
	"github.com/aidr-engine/aidr/schema"
)

// Limits of the texts of a guide, which is part of each revision of a finding.
const (
	maxDescription = 2 << 10 // bytes
	maxSteps       = 12
	maxStep        = 512 // bytes
)

// guides returns the function that makes the guides of findings from a set of rules and the links of a configuration, or nil if no
// sink shows them to people.
func (p *Pipeline) guides(cfg *config.Config, set *Set) func(*schema.Finding) *schema.Guide {
	if len(p.cfg.Sinks.Webhooks) == 0 && p.cfg.Sinks.Kafka == nil {
		return nil
	}
	byID := make(map[string]*rules.Rule, len(set.Rules))
	for _, r := range set.Rules {
		byID[r.ID] = r
	}
	links := cfg.Links
	return func(f *schema.Finding) *schema.Guide {
		g := &schema.Guide{Targets: schema.TargetsOf(f)}
		if r := byID[f.RuleID]; r != nil {
			g.Description = schema.Truncate(r.Description, maxDescription)
			for _, step := range r.Triage[:min(len(r.Triage), maxSteps)] {
				g.WhatToDo = append(g.WhatToDo, schema.Truncate(step, maxStep))
			}
		}
		if links.Runbook != "" {
			g.Runbook = strings.ReplaceAll(links.Runbook, "{rule}", url.PathEscape(f.RuleID))
		}
		if links.Base != "" {
			g.Console = webhook.FindingPage(links.Base, f.ID)
		}
		g.Owner, _ = set.Registration(f.AgentUID)
		return g
	}
}
