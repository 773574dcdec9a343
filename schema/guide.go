package schema

import (
	"maps"
	"slices"
)

// Guide is what a person or a playbook needs to act on a finding. It is made when a revision of the finding is committed, and is
// part of that revision: a change of the rule, the registry or the configuration afterwards does not change it. A replay makes
// none. Each text and list may be empty.
type Guide struct {
	Description string   `json:"description,omitempty"` // of the rule
	WhatToDo    []string `json:"what_to_do,omitempty"`  // steps for a person, in order: triage of the rule
	Runbook     string   `json:"runbook,omitempty"`     // address of the page for the rule
	Owner       string   `json:"owner,omitempty"`       // of the agent, by the registry
	Console     string   `json:"console,omitempty"`     // address of the finding's page
	Targets     *Targets `json:"targets,omitempty"`
}

// Targets are the ids that a playbook can act on, as events have them and as Target takes them: those of the subject, and those in
// the evidence, sorted, at most MaxTargets of each.
type Targets struct {
	Tenant      string   `json:"tenant,omitempty"`
	Agent       string   `json:"agent,omitempty"`
	Session     string   `json:"session,omitempty"`
	Credentials []string `json:"credentials,omitempty"`
	Tools       []string `json:"tools,omitempty"`
	Servers     []string `json:"mcp_servers,omitempty"`
	Resources   []string `json:"resources,omitempty"`
}

// MaxTargets is the length of each list of Targets: the number of events in the evidence.
const MaxTargets = 8

// TargetsOf returns the targets of a finding.
func TargetsOf(f *Finding) *Targets {
	t := &Targets{Tenant: f.Tenant, Agent: f.AgentUID, Session: f.SessionID}
	for _, x := range []struct {
		to *[]string
		of func(*Evidence) string
	}{
		{&t.Credentials, func(e *Evidence) string { return e.CredentialUID }}, {&t.Tools, func(e *Evidence) string { return e.Tool }},
		{&t.Servers, func(e *Evidence) string { return e.ToolServer }}, {&t.Resources, func(e *Evidence) string { return e.Resource }},
	} {
		seen := map[string]bool{}
		for i := range f.Evidence {
			if text := x.of(&f.Evidence[i]); text != "" {
				seen[text] = true
			}
		}
		if len(seen) > 0 {
			sorted := slices.Sorted(maps.Keys(seen))
			*x.to = sorted[:min(len(sorted), MaxTargets)]
		}
	}
	return t
}
