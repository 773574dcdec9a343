package pipeline

import (
	"github.com/aidr-engine/aidr/cmd/aidr/config"
	"github.com/aidr-engine/aidr/schema"
)

// archiveOf returns the events that ClickHouse keeps.
func archiveOf(cfg *config.Config) schema.Archive {
	if cfg.Sinks.ClickHouse == nil {
		return schema.ArchiveOff
	}
	return cfg.Sinks.ClickHouse.Events
}

// attempted keeps an attempt of a delivery for the tables. While the state directory is not open nothing is delivered.
func (p *Pipeline) attempted(a *schema.Attempt) {
	p.mu.Lock()
	o := p.opened
	p.mu.Unlock()
	if o != nil {
		o.deliverer.Attempted(a)
	}
}

// ruleInfos returns the rows of the rules as they run.
func (p *Pipeline) ruleInfos() (out []*schema.RuleInfo) {
	p.mu.Lock()
	set := p.set
	p.mu.Unlock()
	since := schema.InstantOf(now())
	for _, r := range set.All {
		out = append(out, &schema.RuleInfo{
			RuleID: r.ID, Version: r.Version, Title: r.Title, Description: r.Description, Why: r.Why, WhatToDo: r.Triage,
			FalsePositives: r.FalsePositives, References: r.References, Kind: string(r.Kind), Stage: string(r.Stage), Severity: r.Severity,
			Confidence: r.Confidence, Tags: r.Tags, Datasets: r.Datasets, File: r.File, Since: since,
		})
	}
	return out
}
