package api

import (
	"time"

	"github.com/aidr-engine/aidr/schema"
)

// The values of Status.Status and Component.Status.
const (
	OK       = "ok"
	Degraded = "degraded" // something is unreachable, but nothing is lost
	Down     = "down"     // nothing can be processed
)

// Status is the response of /v1/status, which `aidr status` shows. /readyz shows part of it.
type Status struct {
	Status      string               `json:"status"` // ok, degraded, down
	Running     bool                 `json:"running"`
	Since       time.Time            `json:"since,omitzero"`
	Version     string               `json:"version,omitempty"`
	Components  map[string]Component `json:"components,omitempty"`
	Partitions  []Partition          `json:"partitions,omitempty"`
	Rules       int                  `json:"rules,omitempty"`
	RuleStates  map[string]int       `json:"rule_states,omitempty"` // number of rules: active, shadow, idle, draft, disabled
	Idle        []IdleRules          `json:"idle_rules,omitempty"`
	Restart     []string             `json:"restart_needed,omitempty"` // changed keys of the configuration file that only a restart applies
	Memory      int64                `json:"memory_bytes,omitempty"`   // estimate of the parts that the budget bounds
	Budget      int64                `json:"memory_budget_bytes,omitempty"`
	DeadLetters uint64               `json:"dead_letters"`
	// DeadDeliveries is the number of rows and deliveries among the dead letters: findings that a sink does not have.
	DeadDeliveries uint64 `json:"dead_deliveries"`
	Entries        uint64 `json:"entries"` // finding changes written since the store was created
	Sinks          []Sink `json:"sinks,omitempty"`
	// Operational are the open findings about the process itself, the worst first.
	Operational []Operational `json:"operational,omitempty"`
}

// Operational is an open finding about the running process.
type Operational struct {
	ID        schema.ID       `json:"id"`
	Rule      string          `json:"rule_id"`
	Severity  schema.Severity `json:"severity"`
	FirstSeen schema.Instant  `json:"first_seen"`
	Summary   string          `json:"summary"`
}

// IdleRules are rules that can find nothing at this site for the same reason.
type IdleRules struct {
	Rules  []string `json:"rules"` // their ids, sorted
	Reason string   `json:"reason"`
	Remedy string   `json:"remedy"`
}

// Component is the health of one component.
type Component struct {
	Status string    `json:"status"` // ok, degraded, down
	Reason string    `json:"reason,omitempty"`
	Since  time.Time `json:"since,omitzero"`
}

// Partition is the read position of one partition.
type Partition struct {
	Source    string          `json:"source"`
	Topic     string          `json:"topic"`
	Number    int32           `json:"partition"`
	Next      int64           `json:"next"`
	Lag       int64           `json:"lag"` // -1: unknown
	Watermark *schema.Instant `json:"watermark,omitempty"`
	AtEnd     bool            `json:"at_end"`
}

// Sink is the backlog of one sink.
type Sink struct {
	Name    string    `json:"name"`
	Entries uint64    `json:"entries"` // entries that are not delivered yet
	Bytes   int64     `json:"bytes"`
	Oldest  float64   `json:"oldest_seconds"`
	State   string    `json:"state"`                 // ok, retrying, degraded, disabled or stopped
	Error   string    `json:"error,omitempty"`       // the present error; "" after recovery
	Next    time.Time `json:"next_attempt,omitzero"` // of an entry that failed
}
