package webhook

import (
	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/schema"
)

// Types returns the types of entries that endpoints get.
func Types() []connectors.EntryType {
	return []connectors.EntryType{
		connectors.FindingOpened, connectors.FindingUpdated, connectors.FindingSettled, connectors.FindingWithdrawn,
		connectors.AgentContained, connectors.AgentReleased, connectors.ApprovalAsked, connectors.EndpointDisabled,
	}
}

// sampleTime is the time of the sample entries.
const sampleTime = schema.Instant(1767225600000000000)

// SampleEntry returns a change that was made up, for tests of an endpoint and for the dry run of templates.
func SampleEntry(t connectors.EntryType) connectors.Entry {
	e := connectors.Entry{Seq: 1, Type: t}
	switch t {
	case connectors.AgentContained, connectors.AgentReleased:
		e.Response = sampleResponse(t)
	case connectors.ApprovalAsked:
		e.Approval = &schema.Approval{
			ID: schema.ID{0xa3, 15: 1}, ContainmentID: schema.ID{0xa2, 15: 1}, Status: schema.ApprovalPending, Asked: sampleTime,
			Until: sampleTime.Add(testTTL), Call: schema.Question{Agent: "test-agent", Tool: "test"}, Version: 2,
		}
	case connectors.EndpointDisabled:
		e.Endpoint = schema.EndpointDisabled("test", sampleTime, "Test of an endpoint: none is disabled")
	default:
		e.Finding = sampleFinding(t)
	}
	return e
}

func sampleFinding(t connectors.EntryType) *schema.Finding {
	detected := sampleTime
	f := &schema.Finding{
		ID: schema.ID{0xa1, 15: 1}, Revision: 2, Status: schema.StatusOpen,
		RuleID: "aidr.test", RuleVersion: 1, Kind: "none", Title: "Test of an endpoint", Severity: schema.SeverityInfo, Confidence: 100,
		Tags: []string{"attack.t1078"}, Tenant: "test", AgentUID: "test-agent", AgentName: "test agent", SessionID: "test-session",
		Key: map[string]string{"ai_agent.uid": "test-agent"}, GroupStart: sampleTime, FirstSeen: sampleTime, LastSeen: sampleTime,
		DetectedAt: &detected, Count: 1, Value: "1", Threshold: "1", Summary: "Test of an endpoint: no agent did anything",
		Explanation: `This is no finding. A person sent it to see whether "the endpoint" works.`,
		Evidence: []schema.Evidence{{
			EventID: "test-event", Identity: schema.ID{1}, Time: sampleTime, Dataset: "test", Class: "test", Action: "test",
			Target: "example.com", Fields: map[string]any{"test": true},
		}},
		Reasons: []string{"true"},
		Guide: &schema.Guide{
			Description: "A rule that nobody wrote: it shows the form of a finding.", WhatToDo: []string{"Nothing: this is a test."},
			Runbook: "https://wiki.example.com/runbooks/aidr.test", Owner: "nobody@example.com",
			Targets: &schema.Targets{Tenant: "test", Agent: "test-agent", Session: "test-session"},
		},
	}
	switch t {
	case connectors.FindingOpened:
		f.Revision = 1
	case connectors.FindingSettled:
		f.Status = schema.StatusSettled
	case connectors.FindingWithdrawn:
		f.Status = schema.StatusWithdrawn
	}
	return f
}

// testTTL is how long the sample containment lasts, in nanoseconds: 15 minutes.
const testTTL = 15 * 60 * 1_000_000_000

func sampleResponse(t connectors.EntryType) *schema.ResponseRecord {
	r := &schema.ResponseRecord{
		Containment: schema.Containment{
			ID: schema.ID{0xa2, 15: 1}, Scope: schema.ScopeAgent, Target: schema.Target{Agent: "test-agent"}, State: schema.StateDeny,
			Mode: schema.ModeMonitor, Status: schema.ContainmentActive, Since: sampleTime, Until: sampleTime.Add(testTTL),
			Reason: "Test of an endpoint: no agent is contained", By: "test", Version: 1,
		},
		Key: "test", Stage: schema.StageAsked, TTLSeconds: testTTL / 1_000_000_000, Rollback: "aidr release a2000000-0000-0000-0000-000000000001",
	}
	if t == connectors.AgentReleased {
		r.Status, r.Ended, r.EndedBy, r.Why, r.Version = schema.ContainmentReleased, sampleTime, "test", "test", 2
	}
	return r
}
