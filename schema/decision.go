package schema

import (
	"crypto/sha256"
	"encoding/binary"
)

// Verdict is the answer to a gateway that asks about one call.
type Verdict string

// The verdicts. Only VerdictAllow lets the call pass; how a gateway treats VerdictUnknown is its own decision, per class of
// route.
const (
	VerdictAllow    Verdict = "allow"
	VerdictThrottle Verdict = "throttle" // over the rate: try again after Decision.RetryMS
	VerdictHold     Verdict = "hold"     // a person has to approve Decision.ApprovalID first; then ask again
	VerdictDeny     Verdict = "deny"
	// VerdictUnknown is the answer if no known containment restrains the call and the table may lack some, because the state
	// directory was lost or is new.
	VerdictUnknown Verdict = "unknown"
)

// Verdicts returns all verdicts.
func Verdicts() []Verdict {
	return []Verdict{VerdictAllow, VerdictThrottle, VerdictHold, VerdictDeny, VerdictUnknown}
}

// Question is a gateway's question about one call. Empty fields are those that the gateway does not know; a containment whose
// target needs one of them does not restrain the call.
//
// Agent has to be the principal that the gateway has attested, such as a claim of a verified token. An id that the caller
// itself declares belongs into no field, else any agent could ask under the name of another. Credential is a key's id or
// CredentialHash of the secret, never the secret. Arguments is the hex SHA-256 of the call's arguments, to which an approval
// is bound. Route is the path as requested, optionally after the method and a space.
type Question struct {
	Tenant     string `json:"tenant,omitempty"`
	Agent      string `json:"agent,omitempty"`
	Session    string `json:"session,omitempty"`
	Credential string `json:"credential,omitempty"`
	Tool       string `json:"tool,omitempty"`
	Server     string `json:"mcp_server,omitempty"`
	Route      string `json:"route,omitempty"`
	Arguments  string `json:"arguments_sha256,omitempty"`
	// Point is the name of the enforcement point that asks, as it authenticated. It has no influence on the answer; receipts
	// are kept by it.
	Point string `json:"-"`
}

// Check returns an error that names the first field that is too long or not printable, or that there is no principal: a
// question has to name an agent, a session, a credential or a server.
func (q *Question) Check() error {
	for _, f := range [...][2]string{
		{"tenant", q.Tenant}, {"agent", q.Agent}, {"session", q.Session}, {"credential", q.Credential}, {"tool", q.Tool},
		{"mcp_server", q.Server}, {"route", q.Route}, {"arguments_sha256", q.Arguments}, {"enforcement point", q.Point},
	} {
		if err := CheckTargetText(f[0], f[1]); err != nil {
			return err
		}
	}
	if q.Agent == "" && q.Session == "" && q.Credential == "" && q.Server == "" {
		return errNoPrincipal
	}
	return nil
}

// noPrincipal is the type of errNoPrincipal, a constant error.
type noPrincipal string

// Error implements error.
func (e noPrincipal) Error() string { return string(e) }

const errNoPrincipal noPrincipal = "the question names nobody: give agent, session, credential or mcp_server"

// Decision is the answer to a Question. Its JSON names are a contract with gateways: fields are added, never renamed.
type Decision struct {
	Verdict Verdict `json:"verdict"`
	// ContainmentID is the containment that the verdict follows, zero if there is none. A call can be allowed and name one: in
	// StateObserve, below the rate of a throttle, or after an approval. The next fields are those of the containment.
	ContainmentID ID               `json:"containment_id,omitzero"`
	Scope         ContainmentScope `json:"scope,omitempty"`
	FindingID     ID               `json:"finding_id,omitzero"`
	RuleID        string           `json:"rule_id,omitempty"`
	Reason        string           `json:"reason,omitempty"`
	Until         Instant          `json:"until,omitzero"`
	PerMinute     int              `json:"per_minute,omitempty"`
	RetryMS       int64            `json:"retry_ms,omitempty"`   // of VerdictThrottle: milliseconds until the next call may pass
	ApprovalID    ID               `json:"approval_id,omitzero"` // of VerdictHold, or of the approval that let the call pass
	Would         Verdict          `json:"would,omitempty"`      // the verdict if monitored containments were enforced; "" if the same
	WouldID       ID               `json:"would_id,omitzero"`    // the containment that Would follows
	Version       uint64           `json:"version"`              // of the table
	Epoch         Instant          `json:"epoch"`                // of the table: see Snapshot
	AgeMS         int64            `json:"age_ms"`               // milliseconds since the table was known to be current
	Risk          *Risk            `json:"risk,omitempty"`       // of the question's agent; nil if nothing is known against it. Read only
}

// Risk is what history knows against an agent, so that a gateway can ask for the approval of a risky call. It is immutable. A
// finding counts for 24 hours after its last trigger, unless it is withdrawn; those of shadow rules count against nobody.
type Risk struct {
	// Open is the number of these findings by severity, in the order of Severities: info first.
	Open [5]int `json:"open_findings"`
	// Tainted holds the sessions with a finding of a rule of the kinds provenance or flow, sorted, at most MaxTainted: untrusted
	// content has reached a call there.
	Tainted []string `json:"tainted_sessions,omitempty"`
	// NewTools and NewDestinations are the tools, or without one the targets, of the latest events of the findings of rules of
	// the kind new_value, sorted, at most MaxTainted.
	NewTools        []string `json:"new_tools,omitempty"`
	NewDestinations []string `json:"new_destinations,omitempty"`
	// Highest is the highest severity of these findings.
	Highest Severity `json:"highest"`
}

// MaxTainted is the number of values in each list of a Risk; more are known by the counts of findings.
const MaxTainted = 32

// ApprovalStatus is the stage of an approval.
type ApprovalStatus string

// The statuses of approvals.
const (
	ApprovalPending  ApprovalStatus = "pending"
	ApprovalApproved ApprovalStatus = "approved" // the next equal call passes, once
	ApprovalDeclined ApprovalStatus = "declined"
	ApprovalUsed     ApprovalStatus = "used"
	ApprovalExpired  ApprovalStatus = "expired"
)

// Approval is the question to a person about one held call. It is bound to the containment, the agent (or the credential, if
// the gateway knows no agent), the tool with its server, the route and the hash of the arguments: a call that differs in one
// of them asks again. It lets one call pass. A gateway that gives no hash of arguments gets approvals for any.
type Approval struct {
	ID            ID             `json:"id"`
	ContainmentID ID             `json:"containment_id"`
	Call          Question       `json:"call"`
	Status        ApprovalStatus `json:"status"`
	Asked         Instant        `json:"asked"`
	Until         Instant        `json:"until"` // a pending or approved one expires then
	By            string         `json:"by,omitempty"`
	Reason        string         `json:"reason,omitempty"`
	Round         uint64         `json:"round"` // 0 for the first approval of this call, 1 after that was used or expired, ...
	Point         string         `json:"point,omitempty"`
	Version       uint64         `json:"version"`
}

// ApprovalIDOf returns the id of the approval of a held call: the first 128 bits of SHA-256 over the containment, the round
// and each bound text with its length. So a call that is repeated while its approval is pending gets the same id, also from
// another process and after a restart.
func ApprovalIDOf(containment ID, q *Question, round uint64) (id ID) {
	var buf [512]byte // enough for the usual call, so that it stays on the stack
	b := append(buf[:0], containment[:]...)
	b = binary.BigEndian.AppendUint64(b, round)
	principal := q.Agent
	if principal == "" {
		principal = q.Credential
	}
	for _, s := range [...]string{q.Tenant, principal, q.Tool, q.Server, q.Route, q.Arguments} {
		b = binary.BigEndian.AppendUint32(b, uint32(len(s)))
		b = append(b, s...)
	}
	sum := sha256.Sum256(b)
	copy(id[:], sum[:])
	return id
}

// Receipt is what one enforcement point did with one containment: the proof that somebody asks. Times are wall clock.
type Receipt struct {
	ContainmentID ID      `json:"containment_id"`
	Point         string  `json:"point"`
	Refused       int64   `json:"refused"` // answers other than allow
	Allowed       int64   `json:"allowed"` // answers that allowed the call: below a rate, approved, observed, monitored
	First         Instant `json:"first"`
	Last          Instant `json:"last"`
}
