package schema

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
)

// ContainmentScope is the kind of thing that a containment restrains. It decides which fields of a Target are required.
type ContainmentScope string

// The scopes, from the narrowest to the widest.
const (
	ScopeTool       ContainmentScope = "tool"       // one tool of an agent: Target.Agent and Target.Tool; Target.Server narrows it
	ScopeRoute      ContainmentScope = "route"      // one route of an agent: Target.Agent and Target.Route
	ScopeSession    ContainmentScope = "session"    // Target.Session; if Target.Agent is given, only that agent's
	ScopeCredential ContainmentScope = "credential" // Target.Credential, whatever agent uses it
	ScopeServer     ContainmentScope = "mcp_server" // Target.Server; if Target.Agent is given, only for that agent
	ScopeAgent      ContainmentScope = "agent"      // Target.Agent, with all names and credentials that are known of it
	ScopeTenant     ContainmentScope = "tenant"     // everything of Target.Tenant, which may be ""; never by automation
)

// ContainmentScopes returns all scopes, the narrowest first.
func ContainmentScopes() []ContainmentScope {
	return []ContainmentScope{ScopeTool, ScopeRoute, ScopeSession, ScopeCredential, ScopeServer, ScopeAgent, ScopeTenant}
}

// ContainmentState is how strictly a containment restrains. States are ordered; compare them by Rank, never as text.
type ContainmentState string

// The states, from the mildest to the strictest.
const (
	StateObserve  ContainmentState = "observe"  // calls are allowed; answers name the containment, and its proof counts them
	StateThrottle ContainmentState = "throttle" // at most Containment.PerMinute calls a minute
	StateHold     ContainmentState = "hold"     // each call waits for the approval of a person
	StateDeny     ContainmentState = "deny"     // no calls
)

// ContainmentStates returns all states, the mildest first.
func ContainmentStates() []ContainmentState {
	return []ContainmentState{StateObserve, StateThrottle, StateHold, StateDeny}
}

// Rank returns the place of s in the order of states, 0 for observe, or -1 if s is not a state.
func (s ContainmentState) Rank() int {
	switch s {
	case StateObserve:
		return 0
	case StateThrottle:
		return 1
	case StateHold:
		return 2
	case StateDeny:
		return 3
	}
	return -1
}

// ContainmentMode is whether answers to gateways follow a containment.
type ContainmentMode string

// The modes.
const (
	ModeMonitor ContainmentMode = "monitor" // answers allow the call and name the verdict that enforcement would give
	ModeEnforce ContainmentMode = "enforce"
)

// ContainmentStatus is the stage of a containment in its life.
type ContainmentStatus string

// The statuses. Only an active containment influences answers.
const (
	ContainmentProposed ContainmentStatus = "proposed" // automation wants it and may not decide it; a person is asked
	ContainmentActive   ContainmentStatus = "active"
	ContainmentReleased ContainmentStatus = "released" // by a person, or because its finding was withdrawn
	ContainmentExpired  ContainmentStatus = "expired"  // Until has passed; of a proposal: nobody decided in time
	ContainmentRejected ContainmentStatus = "rejected" // a person declined the proposal
)

// Limits of the texts and lists of a containment. They bound the memory of a table and the size of an answer.
const (
	MaxTargetText   = 2 << 10 // bytes of each text of a Target or Question; the longest ARN is 2,048 bytes
	MaxReason       = 500     // bytes of a reason
	MaxCovered      = 128     // aliases, and as many credentials, that one containment covers
	MaxPerMinute    = 1_000_000
	MaxContainments = 250_000 // active ones and proposals of one table: 100,000 with a credential each take 140 MB
)

// Target names what a containment restrains; the scope decides which fields are required. All texts are those of events:
// Agent is ai_agent.uid, Session session.id, Credential credential.uid (a key's id, or the hex SHA-256 of the secret:
// CredentialHash), Tool gen_ai.tool.name, Server mcp.server.name. Route is a path, optionally after a method and a space, such
// as "POST /v1/chat/completions"; a final "*" means any continuation.
type Target struct {
	Tenant     string `json:"tenant,omitempty"`
	Agent      string `json:"agent,omitempty"`
	Session    string `json:"session,omitempty"`
	Credential string `json:"credential,omitempty"`
	Tool       string `json:"tool,omitempty"`
	Server     string `json:"mcp_server,omitempty"`
	Route      string `json:"route,omitempty"`
}

// CredentialHash returns the id under which a secret is known: the lower-case hex of its SHA-256, as decoding makes it of a
// credential in a record. A gateway's secret is hashed at once and never kept.
func CredentialHash(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}

// Check returns an error that names the first field that the scope requires and the target lacks, that the scope does not use,
// or that is too long or not printable.
func (t Target) Check(scope ContainmentScope) error {
	// A letter each for agent, session, credential, tool, mcp_server and route: r required, o optional, 0 unused.
	uses, ok := map[ContainmentScope]string{
		ScopeTool: "r00ro0", ScopeRoute: "r0000r", ScopeSession: "or0000", ScopeCredential: "00r000", ScopeServer: "o000r0",
		ScopeAgent: "r00000", ScopeTenant: "000000",
	}[scope]
	if !ok {
		return fmt.Errorf("scope %q is unknown: use one of %s", scope, joinTexts(ContainmentScopes()))
	}
	for i, f := range [...]struct{ name, value string }{
		{"agent", t.Agent}, {"session", t.Session}, {"credential", t.Credential}, {"tool", t.Tool}, {"mcp_server", t.Server}, {"route", t.Route},
	} {
		switch {
		case uses[i] == 'r' && f.value == "":
			return fmt.Errorf("scope %s needs %s", scope, f.name)
		case uses[i] == '0' && f.value != "":
			return fmt.Errorf("scope %s does not use %s: remove it, or use another scope", scope, f.name)
		}
		if err := CheckTargetText(f.name, f.value); err != nil {
			return err
		}
	}
	return CheckTargetText("tenant", t.Tenant)
}

// CheckTargetText returns an error if a text of a Target or a Question is too long, or has bytes that no id has: control
// characters, or bytes that are not UTF-8.
func CheckTargetText(name, value string) error {
	if len(value) > MaxTargetText {
		return fmt.Errorf("%s has %d bytes, the limit is %d", name, len(value), MaxTargetText)
	}
	for _, r := range value {
		if r < ' ' || r == 0x7f || r == '\uFFFD' {
			return fmt.Errorf("%s %q holds a control character, or is not UTF-8", name, Truncate(value, 64))
		}
	}
	return nil
}

func joinTexts[T ~string](list []T) string {
	texts := make([]string, len(list))
	for i, t := range list {
		texts[i] = string(t)
	}
	return strings.Join(texts, ", ")
}

// Containment is the restraint of a target for a time, and the reason for it. It is immutable: a change is a new value with
// a higher Version. Its JSON names are a contract with gateways, webhooks and SQL: fields are added, never renamed.
type Containment struct {
	ID     ID               `json:"id"`
	Scope  ContainmentScope `json:"scope"`
	Target Target           `json:"target"`
	// Aliases are the other uids of Target.Agent, and Credentials the credentials of it, that the registry and the inventory
	// know and the containment covers. Spared are credentials of the agent that it does not cover, because other agents use
	// them too. All are sorted.
	Aliases     []string     `json:"aliases,omitempty"`
	Credentials []string     `json:"credentials,omitempty"`
	Spared      []SharedWith `json:"spared,omitempty"`

	State     ContainmentState  `json:"state"`
	Mode      ContainmentMode   `json:"mode"`
	PerMinute int               `json:"per_minute,omitempty"` // of StateThrottle: calls a minute, 1 to MaxPerMinute
	Status    ContainmentStatus `json:"status"`
	Since     Instant           `json:"since"` // wall clock
	Until     Instant           `json:"until"` // wall clock, exclusive: never absent

	Reason    string `json:"reason"`
	FindingID ID     `json:"finding_id,omitzero"`
	RuleID    string `json:"rule_id,omitempty"`
	By        string `json:"by"` // a person, a token, or "rule:" and the rule's id
	// Automatic is true if a rule alone decided it: until a person approves or changes it. Automation.Paused suspends those.
	Automatic bool `json:"automatic,omitempty"`
	// Why is the cause for which automation did not decide a proposal, or why a containment ended.
	Why     string  `json:"why,omitempty"`
	EndedBy string  `json:"ended_by,omitempty"`
	Ended   Instant `json:"ended,omitzero"`

	Version uint64 `json:"version"` // of the table after the change that made this value
}

// SharedWith is a credential and other agents that use it.
type SharedWith struct {
	Credential string   `json:"credential"`
	Agents     []string `json:"agents"` // sorted, at most MaxShared
}

// MaxShared is the number of agents of a shared credential that are named; a reader needs some, not all.
const MaxShared = 16

// ActiveAt reports whether the containment influences answers at an instant of the wall clock.
func (c *Containment) ActiveAt(now Instant) bool {
	return c.Status == ContainmentActive && now < c.Until
}

// Ended reports whether the status is final.
func (s ContainmentStatus) Ended() bool { return s != ContainmentProposed && s != ContainmentActive }

// Verdict returns the verdict on a call that an active containment of this state restrains. For StateThrottle it is that on a
// call above the rate.
func (s ContainmentState) Verdict() Verdict {
	switch s {
	case StateThrottle:
		return VerdictThrottle
	case StateHold:
		return VerdictHold
	case StateDeny:
		return VerdictDeny
	}
	return VerdictAllow
}

// Snapshot is the content of a containment table at one version: what a process beside a gateway needs to answer questions by
// itself. It is a full snapshot, or the changes since an earlier version.
type Snapshot struct {
	Epoch   Instant `json:"epoch"`   // when the table began: another epoch means another table, whose versions do not compare
	Version uint64  `json:"version"` // grows with each change of the table
	// Since is the version that the changes build on; 0: the snapshot is full, and what it does not hold does not exist.
	Since uint64 `json:"since,omitempty"`
	// Known is false if the table may lack containments, because the state directory was lost or is new. Answers are then
	// VerdictUnknown instead of VerdictAllow. Lost is the reason.
	Known        bool          `json:"known"`
	Lost         string        `json:"lost,omitempty"`
	Paused       bool          `json:"paused,omitempty"` // automatic containments do not restrain now
	AsOf         Instant       `json:"as_of"`            // wall clock of the table's owner
	Containments []Containment `json:"containments"`     // active ones; among changes also those that ended
	Approvals    []Approval    `json:"approvals"`        // of held calls, that are pending or approved; among changes all
}
