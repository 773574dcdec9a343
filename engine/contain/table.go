package contain

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aidr-engine/aidr/engine/clock"
	"github.com/aidr-engine/aidr/engine/store"
	"github.com/aidr-engine/aidr/schema"
)

// Options of a Table.
type Options struct {
	Policy    Policy
	Clock     clock.Clock  // zero: the machine's
	Directory Directory    // nil: nothing is known of agents
	Log       *slog.Logger // nil: nothing is logged
}

// Table is the containment table of a running engine. Decide reads it without locks; all changes go through one writer. A
// change counts at once, in memory, and is durable with the next checkpoint, of which Take is the part.
type Table struct {
	opts  Options
	store *store.Store
	view  atomic.Pointer[View]
	risks *risks

	// mu is held for changes, and guards the fields below.
	mu         sync.Mutex
	policy     Policy
	directory  Directory
	state      tableState
	records    map[schema.ID]*record         // active ones and proposals
	proposed   map[coolingKey]schema.ID      // the proposals
	automatic  automatic                     // what automation restrains now
	asked      map[schema.ID]*approval       // of held calls, the latest round of each, by the id of round 0
	waiting    map[schema.ID]int             // by containment: pending approvals
	pending    int                           // number of pending approvals
	cooling    map[coolingKey]schema.Instant // until when a rule does not contain a target
	found      map[schema.ID][]schema.ID     // by finding: the automatic containments and proposals that it gave
	proving    map[schema.ID]bool            // containments of which the logs showed something
	nextExpiry schema.Instant                // nothing expires before
	log        []change                      // the latest changes, for Since
	logFrom    uint64                        // Since can give the changes after this version
	changed    chan struct{}                 // closed at the next change
	unsaved    pending                       // since the last Take
	taken      pending                       // of the last Take, until Saved
	sweepFrom  schema.ID                     // where the search for responses that have ended long ago goes on
	commit     func(context.Context) error   // makes a checkpoint and waits for it; nil: no engine runs
}

// tableState is the durable part of a table that no record has.
type tableState struct {
	Epoch   schema.Instant `json:"epoch"`
	Version uint64         `json:"version"`
	Known   bool           `json:"known"`
	Lost    string         `json:"lost,omitempty"`
	Pause   Pause          `json:"pause"`
	// Incarnation is that of the store when the table was last loaded; see store.Renew.
	Incarnation uint64 `json:"incarnation,omitempty"`
}

// record is one entry of the ledger that is still in use. It is immutable, except for live.
type record struct {
	schema.ResponseRecord
	live *counters
}

// coolingKey is a rule and that which it contains.
type coolingKey struct {
	rule   string
	scope  schema.ContainmentScope
	target schema.Target
}

// change is one entry of the log of changes.
type change struct {
	version     uint64
	containment *schema.Containment // nil: see approval; both nil: a flag of the table changed
	approval    *schema.Approval
}

// Pause suspends automatic containments: they restrain nothing, and no rule adds one.
type Pause struct {
	Paused bool           `json:"paused"`
	By     string         `json:"by,omitempty"`
	Reason string         `json:"reason,omitempty"`
	Since  schema.Instant `json:"since,omitzero"`
}

// The errors of changes. Their texts are for people.
var (
	ErrNotFound = errors.New("no containment, proposal or approval has this id, or it has ended: see `aidr contained`")
	// ErrOwnCredential refuses a change by the very agent that is contained.
	ErrOwnCredential = errors.New("the credential of a contained agent cannot change its containment")
	ErrNever         = errors.New("it is on the list of the never-contained (response.never)")
	ErrTooMany       = errors.New("the table has no room")
)

// Actor is the origin of a change, for the ledger and the audit.
type Actor struct {
	Name       string // such as "uid 1000" or "token:soar"
	Credential string // the id of the credential that authenticated it, as in events; "" if there was none
}

// Decide answers a question. It takes no lock and allocates nothing, except if the call is held, or if a containment has to
// begin the receipts of an enforcement point.
func (t *Table) Decide(q schema.Question) schema.Decision {
	v := t.view.Load()
	risk := t.risks.of(q.Tenant, q.Agent)
	if v.Len() == 0 {
		d := schema.Decision{Verdict: schema.VerdictAllow, Version: v.version, Epoch: v.epoch, Risk: risk}
		if !v.known {
			d.Verdict, d.Reason = schema.VerdictUnknown, v.lost
		}
		return d
	}
	now := schema.InstantOf(t.opts.Clock.Now())
	d, e := v.decide(&q, now)
	d.Risk = risk
	if e == nil {
		return d
	}
	if d.Verdict == schema.VerdictHold {
		t.hold(&d, e, q, now)
	}
	e.live.count(q.Point, d.Verdict != schema.VerdictAllow && d.Verdict != schema.VerdictUnknown, now)
	return d
}

// SetPolicy replaces the policy. What is contained stays as it is.
func (t *Table) SetPolicy(p Policy) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.policy = p.WithDefaults()
}

// SetDirectory replaces the directory.
func (t *Table) SetDirectory(d Directory) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.directory = d
}

// View returns the present version of the table.
func (t *Table) View() *View { return t.view.Load() }

// Changed returns a channel that is closed at the next change. To follow a table: take the channel, then Since, then wait.
func (t *Table) Changed() <-chan struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.changed
}

// Since returns the changes after a version of an epoch, or a full snapshot if the table has forgotten them or is another one.
// The containments are shared and read only.
func (t *Table) Since(epoch schema.Instant, version uint64) *schema.Snapshot {
	now := schema.InstantOf(t.opts.Clock.Now())
	t.mu.Lock()
	defer t.mu.Unlock()
	v := t.view.Load()
	if epoch != v.epoch || version < t.logFrom || version > v.version || version == 0 {
		return v.Snapshot(now)
	}
	s := &schema.Snapshot{
		Epoch: v.epoch, Version: v.version, Since: version, Known: v.known, Lost: v.lost, Paused: v.paused, AsOf: now,
		Containments: []schema.Containment{}, Approvals: []schema.Approval{},
	}
	from, _ := slices.BinarySearchFunc(t.log, version+1, func(c change, v uint64) int { return int(int64(c.version) - int64(v)) })
	for _, c := range t.log[from:] {
		switch {
		case c.containment != nil:
			s.Containments = append(s.Containments, *c.containment)
		case c.approval != nil:
			s.Approvals = append(s.Approvals, *c.approval)
		}
	}
	return s
}

// Request is a containment that a person, or a program for one, asks for.
type Request struct {
	Scope     schema.ContainmentScope
	Target    schema.Target
	State     schema.ContainmentState // "": deny
	Mode      schema.ContainmentMode  // "": enforce
	PerMinute int                     // of a throttle
	TTL       time.Duration           // 0: DefaultTTL
	Reason    string                  // required
	FindingID schema.ID               // zero: none
	Key       string                  // idempotency key; "": the request is a new one
	Force     bool                    // also if Policy.Never lists it
}

// check completes a request and returns an error for the first thing that is wrong with it.
func (r *Request) check() error {
	if r.State == "" {
		r.State = schema.StateDeny
	}
	if r.Mode == "" {
		r.Mode = schema.ModeEnforce
	}
	if r.TTL == 0 {
		r.TTL = DefaultTTL
	}
	switch {
	case r.State.Rank() < 0:
		return fmt.Errorf("state %q is unknown: use observe, throttle, hold or deny", r.State)
	case r.Mode != schema.ModeMonitor && r.Mode != schema.ModeEnforce:
		return fmt.Errorf("mode %q is unknown: use monitor or enforce", r.Mode)
	case r.TTL < MinTTL || r.TTL > MaxTTL:
		return fmt.Errorf("ttl %v: a containment lasts from %v to %v", r.TTL, MinTTL, MaxTTL)
	case r.State == schema.StateThrottle && (r.PerMinute < 1 || r.PerMinute > schema.MaxPerMinute):
		return fmt.Errorf("state throttle needs per_minute, from 1 to %d", schema.MaxPerMinute)
	case r.State != schema.StateThrottle && r.PerMinute != 0:
		return fmt.Errorf("per_minute is for state throttle only")
	case len(r.Key) > MaxKey:
		return fmt.Errorf("the idempotency key has %d bytes, the limit is %d", len(r.Key), MaxKey)
	}
	if err := checkReason(r.Reason); err != nil {
		return err
	}
	return r.Target.Check(r.Scope)
}

func checkReason(reason string) error {
	switch {
	case reason == "":
		return errors.New("a reason is missing: it is shown to those that are refused, and kept in the audit")
	case len(reason) > schema.MaxReason:
		return fmt.Errorf("the reason has %d bytes, the limit is %d", len(reason), schema.MaxReason)
	}
	return schema.CheckTargetText("reason", reason)
}
