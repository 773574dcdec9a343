package triage

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/engine/clock"
	"github.com/aidr-engine/aidr/engine/store"
	"github.com/aidr-engine/aidr/schema"
)

// Action is a change of the triage of a finding.
type Action string

// The actions.
const (
	Acknowledge Action = "ack"
	Close       Action = "close"
	Assign      Action = "assign"
	Reopen      Action = "reopen"
	Note        Action = "note"
)

// Actions returns all actions.
func Actions() []Action { return []Action{Acknowledge, Close, Assign, Reopen, Note} }

// The errors of changes. Their texts are for people.
var (
	ErrNotFound = errors.New("the finding is not in the local store: it may be older than findings_keep")
	ErrConflict = errors.New("the finding was changed by somebody else meanwhile: look at it again")
)

// Actor is the origin of a change.
type Actor struct {
	Name  string
	Token string // id of the token of the request; "": none
	// Once are texts of the request that count once, so that it cannot be replayed.
	Once []store.Once
	// Sees reports whether the actor may see what belongs to a tenant; nil: everything.
	Sees func(tenant string) bool
}

func (a *Actor) sees(tenant string) bool { return a.Sees == nil || a.Sees(tenant) }

// Request is a change of the triage of one finding.
type Request struct {
	Action  Action               `json:"action"`
	Verdict schema.TriageVerdict `json:"verdict,omitempty"` // of Close
	Owner   string               `json:"owner,omitempty"`   // of Assign; "" means nobody
	Note    string               `json:"note,omitempty"`
	// Version is the version of the triage that the request is based on, 0 if there was none; nil: any.
	Version *uint64 `json:"version,omitempty"`
}

// check returns what is wrong with the request.
func (r *Request) check() error {
	switch {
	case !slices.Contains(Actions(), r.Action):
		return fmt.Errorf("action %q: want ack, close, assign, reopen or note", schema.Truncate(string(r.Action), 64))
	case r.Action == Close && !slices.Contains(schema.TriageVerdicts(), r.Verdict):
		return fmt.Errorf("verdict %q: want true_positive, false_positive, benign or test", schema.Truncate(string(r.Verdict), 64))
	case r.Action != Close && r.Verdict != "":
		return errors.New("a verdict belongs to the action close")
	case r.Action != Assign && r.Owner != "":
		return errors.New("an owner belongs to the action assign")
	case r.Action == Note && strings.TrimSpace(r.Note) == "":
		return errors.New("the note is empty")
	case len(r.Owner) > schema.MaxTriageOwner:
		return fmt.Errorf("the owner is longer than %d bytes", schema.MaxTriageOwner)
	case len(r.Note) > schema.MaxTriageNote:
		return fmt.Errorf("the note is longer than %d bytes", schema.MaxTriageNote)
	case strings.ContainsFunc(r.Owner, func(c rune) bool { return c < ' ' || c == 0x7f }):
		return errors.New("the owner has control characters")
	}
	return nil
}

// Table is the triage of a store. Its methods may be called concurrently.
type Table struct {
	store  *store.Store
	clock  clock.Clock
	notify func() // after a change with outbox entries

	mu      sync.Mutex // one change at a time
	snoozes snoozes
}

// Open reads the snoozes of a store. notify is called after changes that sinks get, and may be nil.
func Open(s *store.Store, c clock.Clock, notify func()) (*Table, error) {
	if c.Now == nil {
		c = clock.Wall()
	}
	if notify == nil {
		notify = func() {}
	}
	t := &Table{store: s, clock: c, notify: notify}
	if err := t.snoozes.load(s); err != nil {
		return nil, err
	}
	return t, nil
}

func (t *Table) now() schema.Instant { return schema.InstantOf(t.clock.Now()) }

// Of returns the triage of a finding, with Again, or nil if nobody has looked at it. The caller owns it.
func (t *Table) Of(f *schema.Finding) (*schema.Triage, error) {
	x, err := t.read(f.ID)
	if x != nil {
		x.Since(f)
	}
	return x, err
}

func (t *Table) read(id schema.ID) (*schema.Triage, error) {
	v, err := t.store.Triage(id)
	if v == nil || err != nil {
		return nil, err
	}
	x := new(schema.Triage)
	if err := json.Unmarshal(v, x); err != nil {
		return nil, fmt.Errorf("read the triage of finding %s: %w", id, err)
	}
	return x, nil
}

// Change changes the triage of a finding, durably, with an entry in the audit. A change that was made already changes
// nothing and gets the present triage. Its errors are ErrNotFound, ErrConflict, store.ErrUsed, or those of a request that is wrong.
func (t *Table) Change(id schema.ID, r Request, who Actor) (*schema.Triage, error) {
	if err := r.check(); err != nil {
		return nil, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	f, ok, err := t.store.Finding(id)
	switch {
	case err != nil:
		return nil, err
	case !ok || !who.sees(f.Tenant):
		return nil, fmt.Errorf("finding %s: %w", id, ErrNotFound)
	}
	before, err := t.read(id)
	if err != nil {
		return nil, err
	}
	next := schema.Triage{FindingID: id, Status: schema.TriageNew, RuleID: f.RuleID, Tenant: f.Tenant, AgentUID: f.AgentUID, Group: f.GroupStart}
	if before != nil {
		next = *before
	}
	if r.Version != nil && *r.Version != next.Version {
		return nil, fmt.Errorf("finding %s: %w", id, ErrConflict)
	}
	if !r.apply(&next, f) {
		next.Since(f)
		return &next, t.use(who.Once)
	}
	next.Version, next.By, next.Time, next.Again = next.Version+1, who.Name, t.now(), 0
	next.Add(schema.TriageChange{
		Time: next.Time, Action: string(r.Action), By: who.Name, Status: next.Status, Verdict: next.Verdict, Owner: next.Owner, Note: r.Note,
	})
	if err := t.save(before, &next, string(r.Action), r.Note, who); err != nil {
		return nil, err
	}
	next.Since(f)
	return &next, nil
}

// use marks texts as used by a change that changed nothing.
func (t *Table) use(once []store.Once) error {
	if len(once) == 0 {
		return nil
	}
	return t.store.Apply(&store.Change{Once: once})
}

// apply makes the change, and reports whether there is one.
func (r *Request) apply(t *schema.Triage, f *schema.Finding) (changed bool) {
	if changed = r.Note != "" && r.Note != t.Note; changed {
		t.Note = r.Note
	}
	set := func(status schema.TriageStatus, verdict schema.TriageVerdict) {
		again := status == schema.TriageClosed && f.Count > t.Count // it is closed once more, with what it counted since
		if t.Status == status && t.Verdict == verdict && !again {
			return
		}
		t.Status, t.Verdict, t.Revision, t.Count = status, verdict, f.Revision, f.Count
		changed = true
	}
	switch r.Action {
	case Acknowledge:
		set(schema.TriageAcknowledged, "")
	case Close:
		set(schema.TriageClosed, r.Verdict)
	case Reopen:
		set(schema.TriageNew, "")
	case Assign:
		changed = changed || t.Owner != r.Owner
		t.Owner = r.Owner
	}
	return changed
}

// save makes a triage durable. mu is held.
func (t *Table) save(before, next *schema.Triage, action, note string, who Actor) error {
	body, err := json.Marshal(next)
	if err != nil {
		return err
	}
	entry := store.AuditEntry{
		Time: next.Time, Who: who.Name, Token: who.Token, Tenant: next.Tenant, Class: schema.AuditTriage, Action: "triage." + action,
		Object: next.FindingID.String(), Rule: next.RuleID, Reason: schema.Truncate(note, schema.MaxReason), Before: shown(before), After: shown(next),
	}
	err = t.store.Apply(&store.Change{
		Once:   who.Once,
		Triage: []store.KV{{Key: next.FindingID[:], Value: body}},
		Outbox: []connectors.Entry{{Type: connectors.TriageChanged, Triage: next}},
		Audit:  []store.AuditEntry{entry},
	})
	if err != nil {
		return fmt.Errorf("write the triage of finding %s: %w", next.FindingID, err)
	}
	t.notify()
	return nil
}

// shown returns the part of a triage that the audit shows.
func shown(t *schema.Triage) json.RawMessage {
	if t == nil {
		return json.RawMessage(`{"status":"new"}`)
	}
	b, err := json.Marshal(struct {
		Status  schema.TriageStatus  `json:"status"`
		Verdict schema.TriageVerdict `json:"verdict,omitempty"`
		Owner   string               `json:"owner,omitempty"`
		Version uint64               `json:"version"`
	}{t.Status, t.Verdict, t.Owner, t.Version})
	if err != nil {
		panic("BUG: " + err.Error())
	}
	return b
}
