package connectors

import (
	"context"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/aidr-engine/aidr/schema"
)

// EntryType is the type of a change in the outbox; it is also the type of a webhook.
type EntryType string

// The types of entries; the package documentation describes them.
const (
	FindingOpened    EntryType = "finding.opened"
	FindingUpdated   EntryType = "finding.updated"
	FindingSettled   EntryType = "finding.settled"
	FindingWithdrawn EntryType = "finding.withdrawn"
	AgentContained   EntryType = "agent.contained" // of Entry.Response
	AgentReleased    EntryType = "agent.released"  // of Entry.Response
	ApprovalAsked    EntryType = "approval.asked"  // of Entry.Response, a proposal, or of Entry.Approval, a held call
	// ResponseChanged is a change of Entry.Response for tables only, such as its proof: no endpoint gets it.
	ResponseChanged EntryType = "response.changed"
	TriageChanged   EntryType = "triage.changed" // of Entry.Triage, for tables only
	AuditAdded      EntryType = "audit.added"    // of Entry.Audit, for tables only
	// EndpointDisabled reports that an endpoint (Entry.Endpoint) wants no further deliveries. The others get it.
	EndpointDisabled EntryType = "endpoint.disabled"
)

// EntryTypes returns all types of entries.
func EntryTypes() []EntryType {
	return []EntryType{
		FindingOpened, FindingUpdated, FindingSettled, FindingWithdrawn, AgentContained, AgentReleased, ApprovalAsked, ResponseChanged,
		TriageChanged, AuditAdded, EndpointDisabled,
	}
}

// EntryTypeOf returns the type of the change that brought f to its current revision.
func EntryTypeOf(f *schema.Finding) EntryType {
	switch {
	case f.Status == schema.StatusWithdrawn:
		return FindingWithdrawn
	case f.Change() <= 1:
		return FindingOpened
	case f.Status == schema.StatusSettled:
		return FindingSettled
	}
	return FindingUpdated
}

// Entry is one change in the outbox. Entries have consecutive numbers and are immutable: the entry with a given Seq has
// the same content at every attempt, also after a crash. Exactly one of the pointers is not nil.
type Entry struct {
	Seq      uint64
	Type     EntryType
	Finding  *schema.Finding
	Response *schema.ResponseRecord
	Approval *schema.Approval
	Triage   *schema.Triage
	Audit    *schema.AuditEntry
	Endpoint *schema.Endpoint
	Attempt  int // number of failed attempts of this sink to deliver the entry; 0 the first time
}

// ID returns the id of what the entry is about; that of an audit entry is its Seq. Entries with one id are delivered in order.
func (e *Entry) ID() schema.ID {
	switch {
	case e.Finding != nil:
		return e.Finding.ID
	case e.Response != nil:
		return e.Response.ID
	case e.Approval != nil:
		return e.Approval.ID
	case e.Triage != nil:
		return e.Triage.FindingID
	case e.Endpoint != nil:
		return e.Endpoint.ID
	case e.Audit != nil:
		return schema.ID(append(make([]byte, 8, 16), binary.BigEndian.AppendUint64(nil, e.Audit.Seq)...))
	}
	return schema.ID{}
}

// Version returns the number that grows with each change of what the entry is about: a finding's revision, or the version of the
// containment table. ID and Version identify the entry at a destination.
func (e *Entry) Version() uint64 {
	switch {
	case e.Finding != nil:
		return e.Finding.Revision
	case e.Response != nil:
		return e.Response.Version
	case e.Approval != nil:
		return e.Approval.Version
	case e.Triage != nil:
		return e.Triage.Version
	case e.Audit != nil:
		return e.Audit.Seq
	case e.Endpoint != nil:
		return 1
	}
	return 0
}

// Content returns what the entry is about, for encoding it as JSON.
func (e *Entry) Content() any {
	switch {
	case e.Finding != nil:
		return e.Finding
	case e.Response != nil:
		return e.Response
	case e.Approval != nil:
		return e.Approval
	case e.Triage != nil:
		return e.Triage
	case e.Audit != nil:
		return e.Audit
	case e.Endpoint != nil:
		return e.Endpoint
	}
	return nil
}

// Sink is one destination with its own cursor in the outbox. Calls of Write do not overlap.
type Sink interface {
	Name() string
	// Profile describes how the sink wants its entries. It is called before the first Write, and does not change.
	Profile() Profile
	// Write makes the entries durable at the destination. A nil error means that all of them are durable. A *Partial
	// names the entries that are not; all others are. After any other error the state of every entry is unknown,
	// usually because the destination is unreachable: the same entries are written again after a pause. Entries of one
	// finding are in order and stay in order: an entry is not written while its predecessor waits for a retry.
	Write(ctx context.Context, entries []Entry) error
	Health() Health
	Close() error
}

// Profile describes how a Sink wants its entries. The zero Profile describes an endpoint that wants every entry.
type Profile struct {
	// Dead is the kind of dead letter that an entry becomes if it can never be delivered; "" means DeadDelivery. It
	// also decides how the sink is treated:
	//
	// A sink of rows (DeadRow) gets fixed blocks: a block that may have been written is written again with the same
	// entries, even after a crash. If the sink falls behind, the engine slows down.
	//
	// A sink of deliveries (DeadDelivery) is a third-party endpoint: it has a cap of its own in the outbox and never
	// slows the engine.
	Dead schema.DeadKind
	// MaxEntries and MaxBytes bound one Write; 0 means the deliverer's defaults.
	MaxEntries, MaxBytes int
	// Linger is how long the deliverer waits for a block to fill; 0 means not at all.
	Linger time.Duration
	// OutboxCap is the number of bytes that may wait for a sink of deliveries; 0 means the deliverer's default. The
	// oldest entries over the cap become dead letters.
	OutboxCap int64
	// UpdateEvery is the least time between two FindingUpdated of one finding, of which the latest is delivered;
	// 0 means that each is delivered.
	UpdateEvery time.Duration
	// Wants reports whether the sink wants the entry; an unwanted entry counts as delivered. nil: it wants every entry.
	Wants func(Entry) bool
	// Rows writes a block of the inventory. After an error the same block is written again, also after a crash. If more than the cap
	// of the outbox waits for it, the engine slows down. Calls do not overlap, but they may overlap with Write. nil: the sink gets no rows.
	Rows func(ctx context.Context, b *RowBlock) error
	// DeadLetters copies dead letters, in the order of their Seq, those from when the sink was added. After an error the same ones are
	// written again, also after a crash. Calls do not overlap, but they may overlap with Write. nil: the sink gets none.
	DeadLetters func(ctx context.Context, list []DeadLetter) error
	// Watch looks after the destination until ctx ends, for example to create a schema while nothing is delivered. nil:
	// there is nothing to look after.
	Watch func(ctx context.Context)
	// Keep is called once, before the first Write, with the notes of the sink. nil: the sink keeps no notes.
	Keep func(Notes)
	// Enable makes the sink try again after Write has reported Partial.Disabled. nil: the sink is never disabled.
	Enable func()
}

// DeadLetter is a dead letter for a destination outside.
type DeadLetter struct {
	Seq    uint64 // grows with time; the identity of the dead letter in its state directory
	Kind   schema.DeadKind
	Reason string
	Origin string // the source of a record, the sink of a row or delivery
	JSON   []byte // the whole dead letter; its body is redacted
}

// Notes keeps one short text for each finding on behalf of a sink, such as the id of the message that a chat has for the
// finding. Notes are durable, and are deleted with the finding. They may be used by several goroutines.
type Notes interface {
	// Note returns the note on a finding, "" if it has none.
	Note(id schema.ID) (string, error)
	// SetNote replaces the note on a finding; "" deletes it.
	SetNote(id schema.ID, text string) error
}

// Partial names the entries of a Write that were not delivered.
type Partial struct {
	Entries []Undelivered
	// Disabled is why the destination wants no further entries; "" if it does. The deliverer then calls Write no more, also
	// after a restart, until an operator enables the sink. Until then its entries become dead letters.
	Disabled string
}

// Undelivered is one entry that was not delivered: it is tried again after After, or it is poison.
type Undelivered struct {
	Seq    uint64
	Poison bool   // the entry can never be delivered; it becomes a dead letter
	Reason string // short and stable, for metrics: one of the Reason constants, or ReasonHTTP and a status
	Detail string // for people; it holds no secret
	After  time.Duration
	Held   bool // the entry was not tried because its turn had not come; this does not count as an attempt
}

// The reasons that sinks give in Undelivered.Reason. They are values of metrics and filters of dead letters, so they
// never change.
const (
	// Of both kinds of sinks.
	ReasonHeld       = "held"        // the entry was not tried
	ReasonOutboxFull = "outbox_full" // more than the cap of the outbox waited for the sink

	// Of an endpoint.
	ReasonHTTP          = "http_"          // followed by the status that the endpoint answered: http_400
	ReasonNetwork       = "network"        // no answer: connection refused or broken, TLS, not HTTP
	ReasonDNS           = "dns"            // the name of the endpoint cannot be resolved
	ReasonTimeout       = "timeout"        // no answer in time
	ReasonDeniedAddress = "denied_address" // the address of the endpoint is not public and not allowed
	ReasonExhausted     = "exhausted"      // all attempts of the schedule failed
	ReasonEndpointGone  = "endpoint_gone"  // an earlier entry was answered with 410 Gone
	ReasonUnencodable   = "unencodable"    // the finding cannot be encoded as JSON
	ReasonBadRequest    = "bad_request"    // no HTTP request can be made of the entry
	ReasonRefused       = "refused"        // the endpoint refused the entry in the body of its answer
	ReasonNote          = "note"           // the note on the finding cannot be read or written

	// ReasonUnacknowledged: the endpoint accepted the entry, and did not confirm that it is stored.
	ReasonUnacknowledged = "unacknowledged"

	// Of a table.
	ReasonTypeMismatch       = "type_mismatch"       // a value does not have the column's type
	ReasonOutOfRange         = "out_of_range"        // a value has the column's type and is beyond its range
	ReasonUnknownColumn      = "unknown_column"      // the table lacks a column
	ReasonViolatedConstraint = "violated_constraint" // the operator's own constraint on the table refuses the row
)

// Error reports the number of entries and the reason of the first.
func (p *Partial) Error() string {
	if len(p.Entries) == 0 {
		return "no entry was named as undelivered"
	}
	first := p.Entries[0]
	return fmt.Sprintf("%d entries were not delivered; the first: %s: %s", len(p.Entries), first.Reason, first.Detail)
}
