package webhook

import (
	"cmp"
	"fmt"

	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/schema"
)

// notice is a message as a person reads it, for chats and pagers. Its texts are those of agents and attackers: they are escaped
// when they are shown.
type notice struct {
	title, summary, detail string
	severity               schema.Severity
	agent, agentUID        string // the name if there is one, else the uid; the uid
	rule, class, tenant    string
	facts                  []fact   // those that are set
	steps                  []string // what a person does
}

// fact is one named value of a notice.
type fact struct{ name, value string }

// noticeOf returns the notice of a message.
func noticeOf(m *message) *notice {
	switch {
	case m.finding != nil:
		return findingNotice(m)
	case m.response != nil:
		return responseNotice(m)
	case m.approval != nil:
		return approvalNotice(m)
	case m.endpoint != nil:
		return endpointNotice(m)
	}
	return &notice{title: string(m.Type), severity: schema.SeverityInfo}
}

// facts returns the facts with a value.
func facts(all ...fact) (out []fact) {
	for _, f := range all {
		if f.value != "" {
			out = append(out, f)
		}
	}
	return out
}

func findingNotice(m *message) *notice {
	f := m.finding.Finding
	n := &notice{
		title: f.Title, summary: f.Summary, detail: f.Explanation, severity: f.Severity, agent: cmp.Or(f.AgentName, f.AgentUID),
		agentUID: f.AgentUID, rule: f.RuleID, class: f.Kind, tenant: f.Tenant,
	}
	if m.Type == connectors.FindingWithdrawn {
		n.title = "Withdrawn: " + n.title
	}
	n.facts = facts(
		fact{"Severity", string(f.Severity)}, fact{"Status", string(f.Status)}, fact{"Agent", n.agent}, fact{"Session", f.SessionID},
		fact{"Rule", f.RuleID}, fact{"Triggers", fmt.Sprint(f.Count)}, fact{"First seen", f.FirstSeen.String()},
		fact{"Last seen", f.LastSeen.String()},
	)
	if g := f.Guide; g != nil {
		n.facts = append(n.facts, facts(fact{"Owner", g.Owner})...)
		n.steps = g.WhatToDo
	}
	return n
}

// responseSeverity is the severity that a response counts with: an agent is stopped, or a person has to decide.
const responseSeverity = schema.SeverityHigh

func responseNotice(m *message) *notice {
	r := m.response
	n := &notice{
		severity: responseSeverity, agent: targetName(&r.Target), agentUID: r.Target.Agent, rule: r.RuleID, class: "response", tenant: r.Target.Tenant,
		detail: r.Reason,
	}
	switch m.Type {
	case connectors.ApprovalAsked:
		n.title = "Containment proposed"
		n.summary = fmt.Sprintf("%s: %s of %s %s; approve or reject it with: aidr approve %s", r.Why, r.State, r.Scope, n.agent, r.ID)
	case connectors.AgentReleased:
		n.title, n.severity = "Containment ended", schema.SeverityInfo
		n.summary = fmt.Sprintf("%s %s is %s", r.Scope, n.agent, r.Status)
		n.detail = r.Why
	default:
		n.title = "Agent contained"
		n.summary = fmt.Sprintf("%s of %s %s (%s); to undo: %s", r.State, r.Scope, n.agent, r.Mode, r.Rollback)
	}
	n.facts = facts(
		fact{"State", string(r.State)}, fact{"Mode", string(r.Mode)}, fact{"Scope", string(r.Scope)}, fact{"Agent", n.agent},
		fact{"Until", r.Until.String()}, fact{"By", r.By}, fact{"Rule", r.RuleID}, fact{"Proof", string(r.Stage)},
	)
	return n
}

func approvalNotice(m *message) *notice {
	a := m.approval
	n := &notice{
		title: "Approval asked for a held call", severity: responseSeverity, agent: cmp.Or(a.Call.Agent, a.Call.Credential, a.Call.Session),
		agentUID: a.Call.Agent, class: "approval", tenant: a.Call.Tenant,
	}
	call := cmp.Or(a.Call.Tool, a.Call.Route, "a call")
	n.summary = fmt.Sprintf("%s wants %s; approve or decline it with: aidr approve %s", n.agent, call, a.ID)
	n.facts = facts(
		fact{"Agent", n.agent}, fact{"Tool", a.Call.Tool}, fact{"MCP server", a.Call.Server}, fact{"Route", a.Call.Route},
		fact{"Session", a.Call.Session}, fact{"Until", a.Until.String()}, fact{"Gateway", a.Point},
	)
	return n
}

func endpointNotice(m *message) *notice {
	e := m.endpoint
	n := &notice{
		title: "An endpoint is disabled", severity: responseSeverity, class: "endpoint",
		summary: fmt.Sprintf("%s gets nothing since %s: %s; its deliveries wait as dead letters", e.Name, e.Since, e.Reason),
	}
	n.facts = facts(fact{"Endpoint", e.Name}, fact{"Since", e.Since.String()}, fact{"Reason", e.Reason})
	return n
}

// targetName returns the most telling name of a target.
func targetName(t *schema.Target) string {
	return cmp.Or(t.Agent, t.Session, t.Credential, t.Server, t.Tenant, "the default tenant")
}

// Filtered returns the finding that a filter judges an entry by. A response, an approval or an endpoint counts as a finding of its agent and
// its rule, with the severity high, so that a filter on severity lets it pass.
func Filtered(e *connectors.Entry) *schema.Finding {
	switch {
	case e.Response != nil:
		t := &e.Response.Target
		return &schema.Finding{
			ID: e.Response.FindingID, RuleID: e.Response.RuleID, Kind: "response", Severity: responseSeverity, Tenant: t.Tenant,
			AgentUID: t.Agent, SessionID: t.Session, Title: e.Response.Reason,
		}
	case e.Approval != nil:
		c := &e.Approval.Call
		return &schema.Finding{Kind: "approval", Severity: responseSeverity, Tenant: c.Tenant, AgentUID: c.Agent, SessionID: c.Session}
	case e.Endpoint != nil:
		return &schema.Finding{Kind: "endpoint", Severity: responseSeverity, Title: e.Endpoint.Name}
	}
	return e.Finding
}
