package contain

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/aidr-engine/aidr/engine/store"
	"github.com/aidr-engine/aidr/schema"
)

// Contained is what `aidr contained` shows.
type Contained struct {
	Known     bool                    `json:"known"` // false: the table may lack containments, for the reason Lost
	Lost      string                  `json:"lost,omitempty"`
	Pause     Pause                   `json:"pause"`
	Version   uint64                  `json:"version"`
	Epoch     schema.Instant          `json:"epoch"`
	Automatic int                     `json:"automatic"`     // agents that automation restrains
	MaxAuto   int                     `json:"max_contained"` // the most that it may
	Responses []schema.ResponseRecord `json:"responses"`     // active ones and proposals, the latest first
	Approvals []schema.Approval       `json:"approvals"`     // of held calls, pending or approved, the latest first
}

// List returns what is contained now, and what waits for a person.
func (t *Table) List() Contained {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.now()
	out := Contained{
		Known: t.state.Known, Lost: t.state.Lost, Pause: t.state.Pause, Version: t.state.Version, Epoch: t.state.Epoch,
		Automatic: len(t.automatic.targets), MaxAuto: t.policy.MaxContained,
		Responses: []schema.ResponseRecord{}, Approvals: []schema.Approval{},
	}
	for _, r := range t.records {
		if now < r.Until {
			out.Responses = append(out.Responses, r.current())
		}
	}
	for _, a := range t.asked {
		if now < a.Until && (a.Status == schema.ApprovalPending || a.Status == schema.ApprovalApproved) {
			out.Approvals = append(out.Approvals, a.Approval)
		}
	}
	slices.SortFunc(out.Responses, func(a, b schema.ResponseRecord) int { return latestFirst(a.Since, b.Since, a.ID, b.ID) })
	slices.SortFunc(out.Approvals, func(a, b schema.Approval) int { return latestFirst(a.Asked, b.Asked, a.ID, b.ID) })
	return out
}

// current returns the record with its present receipts.
func (r *record) current() schema.ResponseRecord {
	n := r.ResponseRecord
	n.Receipts = r.live.receipts(r.ID)
	return n
}

func latestFirst(a, b schema.Instant, idA, idB schema.ID) int {
	switch {
	case a > b:
		return -1
	case a < b:
		return 1
	}
	return bytes.Compare(idA[:], idB[:])
}

// Response returns one entry of the ledger, that of a response that has ended included.
func (t *Table) Response(id schema.ID) (*schema.ResponseRecord, bool, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if r := t.records[id]; r != nil {
		n := r.current()
		return &n, true, nil
	}
	return t.recordOf(id)
}

// readResponse reads an entry of the ledger from a store.
func readResponse(s *store.Store, id schema.ID) (*schema.ResponseRecord, bool, error) {
	body, err := s.Response(id)
	if body == nil || err != nil {
		return nil, false, err
	}
	var r schema.ResponseRecord
	if err := json.Unmarshal(body, &r); err != nil {
		return nil, false, fmt.Errorf("response %s is damaged in the store: %w", id, err)
	}
	return &r, true, nil
}

// Count names a group of responses.
type Count struct {
	Status schema.ContainmentStatus
	Stage  schema.ResponseStage
}

// Counts returns the number of containments and proposals by status and stage.
func (t *Table) Counts() map[Count]int {
	t.mu.Lock()
	defer t.mu.Unlock()
	out := map[Count]int{}
	for _, r := range t.records {
		out[Count{r.Status, r.Stage}]++
	}
	return out
}

// Ledger calls yield with the entries of the ledger, those that have ended included, in order of id, until yield returns false.
// Changes that no checkpoint has yet are not among them, except for the responses in use. yield must not call the table.
func (t *Table) Ledger(yield func(*schema.ResponseRecord) bool) error {
	t.mu.Lock()
	current := map[schema.ID]schema.ResponseRecord{}
	for id, r := range t.records {
		current[id] = r.current()
	}
	for _, p := range []*pending{&t.taken, &t.unsaved} {
		for id, r := range p.responses {
			if r != nil {
				current[id] = r.ResponseRecord
			}
		}
	}
	t.mu.Unlock()
	var damaged error
	err := t.store.Responses(func(id schema.ID, body []byte) bool {
		if r, ok := current[id]; ok {
			delete(current, id)
			return yield(&r)
		}
		var r schema.ResponseRecord
		if err := json.Unmarshal(body, &r); err != nil {
			damaged = fmt.Errorf("response %s is damaged in the store: %w", id, err)
			return true
		}
		return yield(&r)
	})
	for _, id := range sortedIDs(current) { // those that the store does not have yet
		r := current[id]
		if err == nil && !yield(&r) {
			break
		}
	}
	return cmp.Or(err, damaged)
}

// sweepStep is the number of entries of the ledger that one Tick examines in the search for those that need not be kept: a few
// milliseconds.
const sweepStep = 200

// sweep removes responses from the ledger that have ended longer ago than Policy.Keep. It goes round the ledger step by step. mu
// is held.
func (t *Table) sweep(now schema.Instant) {
	n := 0
	last := schema.ID{}
	err := t.store.ResponsesFrom(t.sweepFrom, func(id schema.ID, body []byte) bool {
		if n++; n > sweepStep {
			last = id
			return false
		}
		var r struct {
			Status schema.ContainmentStatus `json:"status"`
			Ended  schema.Instant           `json:"ended"`
		}
		if json.Unmarshal(body, &r) == nil && r.Status.Ended() && now.Reached(r.Ended, t.policy.Keep) {
			t.unsaved.putRecord(id, nil)
		}
		return true
	})
	t.sweepFrom = last // zero at the end: from the start again
	if err != nil {
		t.opts.Log.Error("the ledger of responses cannot be read", "error", err)
	}
}
