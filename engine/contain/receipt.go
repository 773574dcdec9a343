package contain

import "github.com/aidr-engine/aidr/schema"

// Receive adds what a process beside a gateway has answered since its last report. Counts of containments that have ended are
// dropped.
func (t *Table) Receive(list []schema.Receipt) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, r := range list {
		if rec := t.records[r.ContainmentID]; rec != nil && r.Refused >= 0 && r.Allowed >= 0 {
			rec.live.add(r)
		}
	}
}

// saveReceipts makes receipts durable that are new since the last checkpoint, and moves responses from asked to enforced. mu is
// held.
func (t *Table) saveReceipts() {
	now := t.now()
	for _, r := range t.records {
		n := r.live.answers()
		if n == 0 || n == r.live.saved || r.Stage != schema.StageAsked && now < r.live.savedAt.Add(keepProofEvery) {
			continue
		}
		r.live.saved, r.live.savedAt = n, now
		next := *r
		next.Receipts = r.live.receipts(r.ID)
		if next.Stage == schema.StageAsked {
			next = *next.next(now, actionEnforced, engineName, "")
			next.Stage = schema.StageEnforced
		}
		t.keep(&next)
	}
}
