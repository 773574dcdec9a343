package schema

import "slices"

// TriageStatus is the stage of a finding in the work of people. It is apart from Status, which is that of detection.
type TriageStatus string

// The stages.
const (
	TriageNew          TriageStatus = "new"          // nobody has looked at it
	TriageAcknowledged TriageStatus = "acknowledged" // somebody works on it
	TriageClosed       TriageStatus = "closed"       // with a Verdict
)

// TriageStatuses returns all stages.
func TriageStatuses() []TriageStatus {
	return []TriageStatus{TriageNew, TriageAcknowledged, TriageClosed}
}

// TriageVerdict is the judgement of a closed finding. Verdicts never change what is detected.
type TriageVerdict string

// The verdicts.
const (
	TruePositive  TriageVerdict = "true_positive"  // an incident
	FalsePositive TriageVerdict = "false_positive" // the rule is wrong about it
	Benign        TriageVerdict = "benign"         // it happened as the finding reports, and is harmless
	TestActivity  TriageVerdict = "test"           // somebody tested the detection
)

// TriageVerdicts returns all verdicts.
func TriageVerdicts() []TriageVerdict {
	return []TriageVerdict{TruePositive, FalsePositive, Benign, TestActivity}
}

// Limits of a Triage, in bytes and steps.
const (
	MaxTriageNote  = 4000
	MaxTriageOwner = 256
	MaxTriageSteps = 100 // of more, the first and the latest are kept
)

// Triage is the work of people on one finding. Its JSON names are a contract with the API and SQL. It outlives the revisions
// of the finding.
type Triage struct {
	FindingID ID             `json:"finding_id"`
	Version   uint64         `json:"version"` // 1, 2, ...: grows with each change
	Status    TriageStatus   `json:"status"`
	Verdict   TriageVerdict  `json:"verdict,omitempty"` // of a closed one
	Owner     string         `json:"owner,omitempty"`
	Note      string         `json:"note,omitempty"` // the latest
	By        string         `json:"by"`             // of the latest change
	Time      Instant        `json:"time"`           // of the latest change, wall clock
	RuleID    string         `json:"rule_id"`
	Tenant    string         `json:"tenant,omitempty"`
	AgentUID  string         `json:"agent_uid,omitempty"`
	Group     Instant        `json:"group_start"`    // of the finding
	Revision  uint64         `json:"revision"`       // of the finding when it was acknowledged or closed
	Count     int64          `json:"count"`          // of the finding when it was acknowledged or closed
	History   []TriageChange `json:"history"`        // the oldest first
	Again     int64          `json:"again,omitzero"` // what the finding counted since it was closed; computed when it is read
}

// TriageChange is one step in the history of a Triage.
type TriageChange struct {
	Time    Instant       `json:"time"` // wall clock
	Action  string        `json:"action"`
	By      string        `json:"by"`
	Status  TriageStatus  `json:"status"` // after it
	Verdict TriageVerdict `json:"verdict,omitempty"`
	Owner   string        `json:"owner,omitempty"`
	Note    string        `json:"note,omitempty"` // of this step
}

// Add appends a step to the history.
func (t *Triage) Add(c TriageChange) {
	t.History = append(slices.Clip(t.History), c)
	if len(t.History) > MaxTriageSteps {
		t.History = slices.Delete(slices.Clone(t.History), 1, 2)
	}
}

// Since sets Again from the present revision of the finding: a closed finding that goes on counting needs another look.
func (t *Triage) Since(f *Finding) {
	if t.Again = 0; t.Status == TriageClosed && f.Status != StatusWithdrawn {
		t.Again = max(f.Count-t.Count, 0)
	}
}
