package contain

import (
	"bytes"
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
