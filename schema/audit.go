package schema

import "encoding/json"

// AuditClass is the kind of the thing that a change in the audit changed.
type AuditClass string

// The classes.
const (
	AuditState         AuditClass = "state"         // State of a rule
	AuditContainment   AuditClass = "containment"   // containments, approvals, automation
	AuditToken         AuditClass = "token"         // tokens of the control API
	AuditTriage        AuditClass = "triage"        // triage of findings, snoozes
	AuditRules         AuditClass = "rules"         // rules, lists, registry, field maps
	AuditException     AuditClass = "exception"     // exceptions of rules
	AuditConfiguration AuditClass = "configuration" // keys of the configuration file
	AuditDelivery      AuditClass = "delivery"      // dead letters, sinks
	AuditAccess        AuditClass = "access"        // requests that were refused
)

// AuditEntry records a change by a person, a program or automation. Findings depend on records and on such changes, so
// entries are never deleted. Entries form a chain: each holds the SHA-256 of the JSON of its predecessor, which is what the
// store keeps. The order of the fields, and so of the JSON, is part of the format.
type AuditEntry struct {
	Seq        uint64            `json:"seq"`  // 1, 2, ...; set by the store
	Prev       string            `json:"prev"` // hash of the entry before, hex; "" of the first; set by the store
	Time       Instant           `json:"time"` // wall clock
	Who        string            `json:"who"`
	Action     string            `json:"action"` // such as clear
	Rule       string            `json:"rule,omitempty"`
	Key        map[string]string `json:"key,omitempty"`
	Reason     string            `json:"reason,omitempty"`
	Class      AuditClass        `json:"class,omitempty"`  // "" in entries of earlier versions
	Object     string            `json:"object,omitempty"` // id or name of the thing that changed
	Tenant     string            `json:"tenant,omitempty"`
	Token      string            `json:"token,omitempty"` // id of the token of the request
	Before     json.RawMessage   `json:"before,omitempty"`
	After      json.RawMessage   `json:"after,omitempty"`
	Detail     json.RawMessage   `json:"detail,omitempty"`     // of the action
	Checkpoint uint64            `json:"checkpoint,omitempty"` // that made the change durable; 0: it was durable at once; set by the store
}
