package schema

import (
	"encoding/json"
	"slices"
)

// Status is the stage of a finding in its life. It is not a judgement of the finding by people.
type Status string

const (
	StatusOpen      Status = "open"      // its group may still change
	StatusSettled   Status = "settled"   // its group is over, so it does not change again
	StatusWithdrawn Status = "withdrawn" // a record that arrived out of order showed that it was wrong, or see WithdrawnReason
)

// Reasons for which findings are withdrawn although no record showed that they were wrong.
const (
	WithdrawnRemoved = "rule removed" // its rule left the rules, or was disabled, before its group was over
	WithdrawnChanged = "rule changed" // its rule starts with empty State, because the form of its State changed
	WithdrawnBlock   = "rule blocked" // its rule became a block, which feeds other rules and finds nothing itself
)

// Severity is how bad a finding is. Severities are ordered; compare them by Rank, never as text.
type Severity string

// The severities.
const (
	SeverityInfo     Severity = "info"
	SeverityLow      Severity = "low"
	SeverityMedium   Severity = "medium"
	SeverityHigh     Severity = "high"
	SeverityCritical Severity = "critical"
)

// Severities returns all severities, the lowest first.
func Severities() []Severity {
	return []Severity{SeverityInfo, SeverityLow, SeverityMedium, SeverityHigh, SeverityCritical}
}

// Rank returns the place of s in the order of severities, 0 for info, or -1 if s is not a severity.
func (s Severity) Rank() int { return slices.Index(Severities(), s) }

// RevisionShift is the bit from which on a revision holds the number of the store's incarnation; see Finding.Revision.
const RevisionShift = 24

// Finding is the verdict of a rule on the triggers of one key in one group. Its JSON names are a contract with webhooks,
// SQL and `aidr replay`: fields are added, never renamed. All text in it was redacted when it was captured.
type Finding struct {
	ID ID `json:"id"`
	// Revision grows by one with each change that a checkpoint contains. After the state directory was restored from a backup,
	// its bits from RevisionShift on hold a number that grows with each restore.
	Revision     uint64            `json:"revision,omitempty"`
	Status       Status            `json:"status"`
	RuleID       string            `json:"rule_id"`
	RuleVersion  int               `json:"rule_version"`
	Kind         string            `json:"kind"`
	Title        string            `json:"title"`
	Severity     Severity          `json:"severity"`
	Confidence   int               `json:"confidence"`
	Tags         []string          `json:"tags,omitempty"`
	Shadow       bool              `json:"shadow,omitempty"`
	Tenant       string            `json:"tenant,omitempty"`
	AgentUID     string            `json:"agent_uid,omitempty"`
	AgentName    string            `json:"agent_name,omitempty"`
	AgentSource  string            `json:"agent_uid_source,omitempty"`
	SessionID    string            `json:"session_id,omitempty"`
	Key          map[string]string `json:"key"`
	GroupStart   Instant           `json:"group_start"`
	FirstSeen    Instant           `json:"first_seen"`
	LastSeen     Instant           `json:"last_seen"`
	DetectedAt   *Instant          `json:"detected_at,omitempty"` // by the wall clock, when it was first emitted
	Count        int64             `json:"count"`
	Value        json.Number       `json:"value,omitempty"`     // the highest value of a trigger
	Threshold    json.Number       `json:"threshold,omitempty"` // the limit that the value reached
	Baseline     json.RawMessage   `json:"baseline,omitempty"`
	Provenance   *Provenance       `json:"provenance,omitempty"`
	Late         bool              `json:"late,omitempty"`
	WarmingUntil *Instant          `json:"warming_until,omitempty"`
	Summary      string            `json:"summary"` // one short sentence: the rule's own, or the agent, the tool and the target
	Explanation  string            `json:"explanation"`
	Evidence     []Evidence        `json:"evidence"`
	Reasons      []string          `json:"reasons,omitempty"`
	Response     []Response        `json:"response,omitempty"`

	// Guide helps to act on the finding; nil in a replay.
	Guide *Guide `json:"guide,omitempty"`

	// WithdrawnReason is why the finding was withdrawn, if the reason is no record: WithdrawnRemoved,
	// WithdrawnChanged or WithdrawnBlock.
	WithdrawnReason string `json:"withdrawn_reason,omitempty"`

	// Operational is true if the finding is about the running process, such as a source that fell silent. Its times are
	// those of the wall clock, it has no evidence, and it appears in no replay.
	Operational bool `json:"operational,omitempty"`
}

// Provenance is the value that a finding of a provenance, or of a rule over one, is about: the first one found. The finding of
// a rule over others has the texts that the rule reads. The texts are redacted and bounded.
type Provenance struct {
	Value    string `json:"value"`
	Argument string `json:"argument,omitempty"` // the top-level key of the arguments that holds the value
	Source   string `json:"source,omitempty"`   // the tool whose result brought the value
}

// Evidence is one of the events that a finding is based on.
type Evidence struct {
	EventID       string         `json:"event_id,omitempty"`
	Identity      ID             `json:"identity"`
	Time          Instant        `json:"time"`
	Topic         string         `json:"topic,omitempty"`
	Partition     int32          `json:"partition"`
	Offset        int64          `json:"offset"`
	Index         int            `json:"index"`
	Dataset       string         `json:"dataset,omitempty"`
	Class         string         `json:"class,omitempty"`
	Action        string         `json:"action,omitempty"`
	Tool          string         `json:"tool,omitempty"`
	ToolServer    string         `json:"tool_server,omitempty"`
	Target        string         `json:"target,omitempty"` // host and path of the URL, else the service that was called
	Resource      string         `json:"resource,omitempty"`
	Outcome       string         `json:"outcome,omitempty"`
	CredentialUID string         `json:"credential_uid,omitempty"`
	SourceIP      string         `json:"source_ip,omitempty"`
	Workflow      string         `json:"workflow,omitempty"` // ai_agent.workflow: the task that the agent was set to
	Step          string         `json:"step,omitempty"`     // step of a sequence
	Fields        map[string]any `json:"fields,omitempty"`   // the fields that the rule mentions
}

// Response is one action that a rule requests for its findings.
type Response struct {
	Action string `json:"action"`           // notify or contain
	Target string `json:"target,omitempty"` // name of the endpoint, or scope of the containment
	State  string `json:"state,omitempty"`
	Mode   string `json:"mode,omitempty"` // monitor or enforce
	TTL    string `json:"ttl,omitempty"`
	Result string `json:"result"` // outcome of the action
}

// Change returns how many changes of the finding led to its revision, from 1 on, without the incarnation.
func (f *Finding) Change() uint64 { return f.Revision & (1<<RevisionShift - 1) }
