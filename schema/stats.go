package schema

// RuleStats is the row of one rule in one minute of event time. Events and findings that come after their minute is over are
// counted in the minute that the watermark has reached. Its JSON names are part of the format of stored rows.
type RuleStats struct {
	RuleID    string  `json:"rule_id"`
	Minute    Instant `json:"minute"`              // its beginning
	Matched   int64   `json:"matched,omitempty"`   // events on which the condition held
	Triggers  int64   `json:"triggers,omitempty"`  // triggers that can no longer be taken back
	Findings  int64   `json:"findings,omitempty"`  // findings that were opened
	Withdrawn int64   `json:"withdrawn,omitempty"` // findings that were withdrawn
	Excepted  int64   `json:"excepted,omitempty"`  // events that an exception matched
	Held      int64   `json:"held,omitempty"`      // changes of findings that the flood guard held back
	Late      int64   `json:"late,omitempty"`      // matched events that came late
	Unkeyed   int64   `json:"unkeyed,omitempty"`   // matched events that lack a field of `by` or `of`
	Errors    int64   `json:"errors,omitempty"`    // events on which the condition failed
	Pos       uint64  `json:"pos,omitempty"`       // number of the checkpoint that made the row; a higher one replaces it
	Part      uint8   `json:"part,omitempty"`
}

// SourceQuality is the row of one dataset of a source in one hour of event time: how many of its events should carry a fact
// that rules need, and how many of these do not.
type SourceQuality struct {
	Source  string          `json:"source"`
	Dataset string          `json:"dataset"`
	Hour    Instant         `json:"hour"` // its beginning
	Events  int64           `json:"events"`
	Should  [NumNeeds]int64 `json:"should"`
	Lacks   [NumNeeds]int64 `json:"lacks"`
	Pos     uint64          `json:"pos,omitempty"`
	Part    uint8           `json:"part,omitempty"`
}

// RuleInfo is the row of one rule as it runs.
type RuleInfo struct {
	RuleID      string
	Version     int
	Title       string
	Description string
	Why         string
	WhatToDo    []string // in order

	FalsePositives, References []string

	Kind       string
	Stage      string
	Severity   Severity
	Confidence int
	Tags       []string
	Datasets   []string // that it reads; empty: any
	File       string
	Since      Instant // wall clock of the start or of the reload that brought the row
}

// Attempt is the row of one attempt to deliver an entry to an endpoint.
type Attempt struct {
	Endpoint  string  `json:"endpoint"`
	Time      Instant `json:"time"` // wall clock of its beginning
	WebhookID string  `json:"webhook_id"`
	Type      string  `json:"type"`
	ID        ID      `json:"id"` // of the finding, response or approval
	Version   uint64  `json:"version"`
	Number    int     `json:"attempt"` // 1 for the first attempt
	Status    string  `json:"status"`  // of HTTP, or the reason without an answer
	Took      int64   `json:"took_ns"`
	Delivered bool    `json:"delivered"`
	Error     string  `json:"error,omitempty"` // without secrets
}

// DeadLetterRow is the row of one dead letter.
type DeadLetterRow struct {
	Seq       uint64
	Time      Instant
	Kind      DeadKind
	Reason    string
	Detail    string
	Source    string
	Topic     string
	Partition int32
	Offset    int64
	Index     int
	Sink      string
	Type      string
	Attempts  int
	Omitted   int
	Body      string // redacted
}

// Archive names the events that are archived.
type Archive string

// The values of Archive.
const (
	ArchiveOff     Archive = "off"     // none
	ArchiveMatched Archive = "matched" // those on which the condition of a rule held
	ArchiveAll     Archive = "all"
)

// ArchivedEvent is the row of one event in the archive.
type ArchivedEvent struct {
	Pos     Position
	Number  int     // of the event within its record, from 0: one element may be several events
	Time    Instant // at which the event ended
	Tenant  string
	Source  string
	Dataset string
	Rules   []string // that it matched
	Fields  map[string]string
	Seq     uint64 // number of the checkpoint that holds it
}
