package schema

// ResponseStage is how far the effect of a containment is proven.
type ResponseStage string

// The stages. A response never goes back from verified or failed to an earlier one; it changes between these two if the
// agent's calls stop or go on again.
const (
	StageAsked    ResponseStage = "asked"    // in force; no gateway has asked about it yet
	StageEnforced ResponseStage = "enforced" // a gateway got an answer that follows it
	StageVerified ResponseStage = "verified" // the logs show denials, and no success for the time of proof
	StageFailed   ResponseStage = "failed"   // the logs show calls that went on
)

// ResponseRecord is one entry of the ledger of responses: a containment with the proof of its effect and its history. Its JSON
// names are a contract with SQL and with `aidr responses`.
type ResponseRecord struct {
	Containment
	// Key is the idempotency key: a second request with it changes nothing and gets this record.
	Key   string        `json:"key"`
	Stage ResponseStage `json:"stage"`
	// TTLSeconds is how long the containment lasts from its beginning: for a proposal, from its approval.
	TTLSeconds int64 `json:"ttl_seconds"`
	// Rollback is the command that undoes the response.
	Rollback string           `json:"rollback"`
	Proof    Proof            `json:"proof"`
	Receipts []Receipt        `json:"receipts"` // by enforcement point, sorted by it, at most MaxReceipts
	History  []ResponseChange `json:"history"`  // the oldest first, at most MaxHistory: of more, the first and the latest
}

// Limits of a ResponseRecord.
const (
	MaxReceipts     = 64 // enforcement points; more are counted under the point "other"
	MaxHistory      = 64 // changes; a containment has a handful
	MaxProofSources = 32 // sources with their routes; more are counted under the source "other"
)

// Proof is what the logs show of a contained principal since the containment began. Times are event times. It describes the
// process and its surroundings: it depends on which records came before the containment, and is outside of the promise that
// findings are a function of the records.
type Proof struct {
	Denials     int64         `json:"denials"`
	FirstDenial Instant       `json:"first_denial,omitzero"`
	LastDenial  Instant       `json:"last_denial,omitzero"`
	Successes   int64         `json:"successes"` // calls that went on
	LastSuccess Instant       `json:"last_success,omitzero"`
	Sources     []ProofSource `json:"sources,omitempty"` // sorted by source, dataset and route
	VerifiedAt  Instant       `json:"verified_at,omitzero"`
	FailedAt    Instant       `json:"failed_at,omitzero"`
}

// ProofSource is the part of a Proof that one source of records and one route gave.
type ProofSource struct {
	Source      string  `json:"source"` // of the configuration
	Dataset     string  `json:"dataset"`
	Route       string  `json:"route,omitempty"`
	Denials     int64   `json:"denials"`
	LastDenial  Instant `json:"last_denial,omitzero"`
	Successes   int64   `json:"successes"`
	LastSuccess Instant `json:"last_success,omitzero"`
}

// ResponseChange is one step in the history of a response.
type ResponseChange struct {
	Time   Instant `json:"time"` // wall clock
	Action string  `json:"action"`
	By     string  `json:"by"`
	Reason string  `json:"reason,omitempty"`
}
