package contain

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"

	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/engine/clock"
	"github.com/aidr-engine/aidr/engine/store"
	"github.com/aidr-engine/aidr/schema"
)

// lostNew is why the table of a new state directory may lack containments.
const lostNew = "the state directory is new, so containments of an earlier one are not known: " +
	"confirm with `aidr contain --confirm-complete` that there are none"

// IsNew reports whether the table may lack containments for no other reason than that its state directory is new.
func (t *Table) IsNew() bool {
	known, why := t.View().Known()
	return !known && why == lostNew
}

// New returns the table that a store holds. A store without one begins a table that is not known to be complete: see Confirm.
func New(s *store.Store, opts Options) (*Table, error) {
	opts.Policy = opts.Policy.WithDefaults()
	if opts.Clock.Now == nil {
		opts.Clock = clock.Wall()
	}
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	if opts.Directory == nil {
		opts.Directory = noDirectory{}
	}
	t := &Table{
		opts: opts, policy: opts.Policy, directory: opts.Directory, store: s, records: map[schema.ID]*record{}, automatic: newAutomatic(),
		asked: map[schema.ID]*approval{}, waiting: map[schema.ID]int{}, cooling: map[coolingKey]schema.Instant{}, proposed: map[coolingKey]schema.ID{}, proving: map[schema.ID]bool{},
		found: map[schema.ID][]schema.ID{}, risks: newRisks(), nextExpiry: schema.MaxInstant, changed: make(chan struct{}),
	}
	if err := t.load(); err != nil {
		return nil, fmt.Errorf("read the containments: %w", err)
	}
	if err := t.risks.load(s, t.now()); err != nil {
		return nil, fmt.Errorf("read the risks of agents: %w", err)
	}
	return t, nil
}

// load reads the table from the store. What is damaged is logged, and the table is then not known to be complete.
func (t *Table) load() error {
	now := schema.InstantOf(t.opts.Clock.Now())
	raw, err := t.store.ContainmentTable()
	if err != nil {
		return err
	}
	t.state = tableState{Epoch: now, Lost: lostNew}
	if raw != nil {
		if err := json.Unmarshal(raw, &t.state); err != nil {
			return fmt.Errorf("the state of the table: %w", err)
		}
		if loss := t.store.Loss(); loss != nil && t.state.Known {
			t.doubt("the state directory has lost checkpoints: " + loss.Error())
		}
	} else {
		t.unsaved.table = true
	}
	t.begin(t.store.Incarnation(), now, raw != nil)
	e := emptyView(newHasher(), t.state.Epoch).edit()
	if err := t.loadRecords(e, now); err != nil {
		return err
	}
	if err := t.loadApprovals(e); err != nil {
		return err
	}
	t.logFrom = t.state.Version
	t.setView(e)
	return nil
}

// begin notices that the state directory was restored from a backup: containments since then are not in it. The epoch is another
// one, so that followers of the table ask for all of it.
func (t *Table) begin(incarnation uint64, now schema.Instant, existed bool) {
	if t.state.Incarnation == incarnation {
		return
	}
	t.state.Incarnation, t.state.Epoch, t.unsaved.table = incarnation, now, true
	if existed && t.state.Known {
		t.doubt("the state directory was restored from a backup, so containments made after the backup are not known: " +
			"confirm with `aidr contain --confirm-complete` that there are none")
	}
}

func (t *Table) loadRecords(e *viewEdit, now schema.Instant) error {
	return t.store.Responses(func(id schema.ID, body []byte) bool {
		r := &record{live: &counters{}}
		if err := json.Unmarshal(body, &r.ResponseRecord); err != nil || r.ID != id {
			t.doubt("an entry of the ledger of responses is damaged")
			t.opts.Log.Error("damaged entry in the ledger of responses", "id", id, "error", err)
			return true
		}
		if r.Status.Ended() {
			if until := r.Ended.Add(t.policy.Cooldown); r.Automatic && until > now {
				t.cooling[r.cooling()] = until
			}
			return true
		}
		r.live.restore(r.Receipts)
		r.live.saved = r.live.answers()
		r.live.proof = proof{Proof: r.Proof, failing: r.Proof.FailedAt}
		if len(r.Proof.Sources) > 0 {
			t.proving[r.ID] = true
		}
		t.index(r)
		e.put(&r.Containment, r.live)
		return true
	})
}

func (t *Table) loadApprovals(e *viewEdit) error {
	return t.store.Approvals(func(id schema.ID, body []byte) bool {
		var a schema.Approval
		if err := json.Unmarshal(body, &a); err != nil {
			t.opts.Log.Error("damaged approval; the call is asked about again", "id", id, "error", err)
			return true
		}
		t.indexApproval(&approval{a, id})
		e.putApproval(&a)
		return true
	})
}

// doubt makes the table one that may lack containments.
func (t *Table) doubt(why string) {
	t.state.Known, t.state.Lost = false, why
	t.unsaved.table = true
}

// noDirectory is a Directory that knows nothing.
type noDirectory struct{}

func (noDirectory) Identity(string, string) (aliases, credentials []string) { return nil, nil }
func (noDirectory) Users(string, string) (agents []string, known bool)      { return nil, false }
func (noDirectory) Fleet(string) (agents int, known bool)                   { return 0, false }
func (noDirectory) Calls(schema.ContainmentScope, schema.Target) (perHour int64, known bool) {
	return 0, false
}

// pending is what a checkpoint has yet to make durable.
type pending struct {
	responses map[schema.ID]*record   // nil: it leaves the ledger
	approvals map[schema.ID]*approval // nil: it leaves
	table     bool
	audit     []store.AuditEntry
	outbox    []connectors.Entry
}

func (p *pending) isEmpty() bool {
	return len(p.responses) == 0 && len(p.approvals) == 0 && !p.table && len(p.audit) == 0 && len(p.outbox) == 0
}

func (p *pending) putRecord(id schema.ID, r *record) {
	if p.responses == nil {
		p.responses = map[schema.ID]*record{}
	}
	p.responses[id] = r
}

func (p *pending) putApproval(base schema.ID, a *approval) {
	if p.approvals == nil {
		p.approvals = map[schema.ID]*approval{}
	}
	p.approvals[base] = a
}

// add adds later changes.
func (p *pending) add(later pending) {
	for id, r := range later.responses {
		p.putRecord(id, r)
	}
	for base, a := range later.approvals {
		p.putApproval(base, a)
	}
	p.table = p.table || later.table
	p.audit = append(p.audit, later.audit...)
	p.outbox = append(p.outbox, later.outbox...)
}

// SetCommit gives the table the function that makes a checkpoint durable, or takes it away with nil while no engine runs.
// Without it no approval can be used.
func (t *Table) SetCommit(commit func(context.Context) error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.commit = commit
}

// Dirty reports whether a checkpoint has changes to take.
func (t *Table) Dirty() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return !t.unsaved.isEmpty() || !t.taken.isEmpty()
}

// Take puts everything that changed since the last checkpoint into one. If that is given up, the next Take has it again: Saved
// confirms that the checkpoint is durable.
func (t *Table) Take(c *store.Checkpoint) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.taken.add(t.unsaved)
	t.unsaved = pending{}
	p := &t.taken
	for _, id := range sortedIDs(p.responses) {
		kv := store.KV{Key: id[:]}
		if r := p.responses[id]; r != nil {
			kv.Value = encode(&r.ResponseRecord)
		}
		c.Responses = append(c.Responses, kv)
	}
	for _, base := range sortedIDs(p.approvals) {
		kv := store.KV{Key: base[:]}
		if a := p.approvals[base]; a != nil {
			kv.Value = encode(&a.Approval)
		}
		c.Approvals = append(c.Approvals, kv)
	}
	if p.table || len(c.Responses)+len(c.Approvals) > 0 {
		c.Containment = encode(&t.state)
	}
	c.Audit = append(c.Audit, p.audit...)
	c.Outbox = append(c.Outbox, p.outbox...)
}

// Saved confirms that the checkpoint with the last Take is durable.
func (t *Table) Saved() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.taken = pending{}
}

func encode(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic("BUG: " + err.Error())
	}
	return b
}
