package engine

import (
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/engine/flat"
	"github.com/aidr-engine/aidr/engine/fold"
	"github.com/aidr-engine/aidr/engine/store"
	"github.com/aidr-engine/aidr/rules"
	"github.com/aidr-engine/aidr/schema"
)

const (
	// keepRetired is how long the State of a rule that left the Set is kept, so that a rollback loses nothing. It is
	// counted in event time, like everything that a finding may depend on.
	keepRetired = time.Hour
	// sweepCells is the number of cells that one checkpoint examines for State that nothing will read: a few
	// milliseconds, and ten million cells in half an hour of checkpoints.
	sweepCells = 2000
)

// retiredRule is the stored form of a rule that left the Set. A checkpoint lists every rule as either active or retired.
type retiredRule struct {
	ruleState
	Since int64 `json:"since_ns"` // the highest event time that was read with the rule
	// Open is true until the sweep has withdrawn all open findings of the rule.
	Open bool  `json:"open_findings,omitempty"`
	Read int64 `json:"read"` // the sum of positions at that moment: if it is still the same, nothing was read since
}

// expired reports whether the rule left too long ago to be kept. latest is the event time up to which everything was
// read.
func (r *retiredRule) expired(latest schema.Instant) bool {
	return latest.Sub(keepRetired) >= schema.Instant(r.Since)
}

// retiredRules is the part of the store that belongs to rules that left the Set: State that is kept in case they return,
// and State that nothing will read, which is deleted checkpoint by checkpoint. restore fills it; from then on the
// checkpointer's goroutine owns it.
type retiredRules struct {
	store  *store.Store
	shapes map[string]string // of the rules in the Set
	rules  map[string]retiredRule
	needed map[string][]uint64 // by retired rule: checkpoints that hold pending items of it

	changes  []store.KV      // of the stored retired rules, for the next checkpoint
	rewrite  []store.Rewrite // of pending items, for the next checkpoint
	withheld []uint64        // checkpoints whose items only retired rules need
	sweeping bool
	closing  bool   // the sweep is to withdraw open findings, so checkpoints go on although nothing is read
	from     []byte // the key at which the sweep continues
	seq      uint64 // the checkpoint that was completed last
}

// readRetired reads the retired rules of the last checkpoint.
func readRetired(s *store.Store, set *rules.Set) (*retiredRules, error) {
	rr := &retiredRules{store: s, shapes: map[string]string{}, rules: map[string]retiredRule{}, needed: map[string][]uint64{}}
	for _, r := range set.Rules {
		rr.shapes[r.ID] = hex.EncodeToString(r.Shape[:])
	}
	var damaged error
	err := s.Retired(func(id string, value []byte) bool {
		var r retiredRule
		if damaged = json.Unmarshal(value, &r); damaged != nil {
			damaged = fmt.Errorf("read the retired rule %q: %w", id, damaged)
		}
		rr.rules[id] = r
		return damaged == nil
	})
	if err != nil {
		return nil, err
	}
	return rr, damaged
}

// update compares the rules of the checkpoint with those of the Set. known holds the checkpoint's rules and the rules
// that return; missed names the returning rules that have missed some input.
func (rr *retiredRules) update(s *engineState) (known map[string]ruleState, missed map[string]bool) {
	known, missed = make(map[string]ruleState, len(s.Rules)), map[string]bool{}
	latest, read := s.latest(), s.sumOfPositions()
	for id, r := range rr.rules {
		shape, returns := rr.shapes[id]
		if returns && shape == r.Shape && !r.expired(latest) {
			known[id], missed[id] = r.ruleState, r.Read != read
		}
		if returns || r.expired(latest) {
			rr.remove(id)
		} else if r.Open {
			rr.close()
		}
	}
	for _, r := range s.Rules {
		known[r.ID] = r
		switch shape, stays := rr.shapes[r.ID]; {
		case !stays:
			rr.add(retiredRule{ruleState: r, Since: int64(latest), Read: read, Open: true})
			rr.close()
		case shape != r.Shape:
			rr.close()
		}
	}
	return known, missed
}

func (rr *retiredRules) add(r retiredRule) {
	rr.rules[r.ID] = r
	value, err := json.Marshal(r)
	if err != nil {
		panic("BUG: " + err.Error())
	}
	rr.changes = append(rr.changes, store.KV{Key: []byte(r.ID), Value: value})
}

func (rr *retiredRules) remove(id string) {
	delete(rr.rules, id)
	delete(rr.needed, id)
	rr.changes = append(rr.changes, store.KV{Key: []byte(id)})
	rr.startSweep()
}

// startSweep lets the next checkpoints search the whole store for State that nothing will read.
func (rr *retiredRules) startSweep() { rr.sweeping, rr.from = true, nil }

// close lets the next checkpoints withdraw the open findings of rules that left the Set, and of rules whose State starts
// empty because its shape changed.
func (rr *retiredRules) close() {
	rr.closing = true
	rr.startSweep()
}

// isClosing reports whether there are findings to withdraw. rr may be nil.
func (rr *retiredRules) isClosing() bool { return rr != nil && rr.closing }

// need records that a checkpoint holds pending items of a retired rule.
func (rr *retiredRules) need(rule string, seq uint64) {
	if !slices.Contains(rr.needed[rule], seq) {
		rr.needed[rule] = append(rr.needed[rule], seq)
	}
}

// readable reports whether a rule of the Set or a retired rule may read State of a shape.
func (rr *retiredRules) readable(rule, shape string) bool {
	if own, ok := rr.shapes[rule]; ok {
		return own == shape
	}
	r, ok := rr.rules[rule]
	return ok && r.Shape == shape
}

// removeItems removes the pending items of certain rules from an earlier checkpoint, with the next one. The rules start
// with empty State, and would take the items for their own after a crash.
func (rr *retiredRules) removeItems(seq uint64, items []byte, of func(rule string) bool) {
	var kept []byte
	items, err := unpackItems(items)
	if err != nil {
		return // the items were read before, so they are whole
	}
	for len(items) > 0 {
		id, rest := flat.ReadText(items)
		_, after := flat.ReadText(rest)
		if !of(string(id)) {
			kept = append(kept, items[:len(items)-len(after)]...)
		}
		items = after
	}
	rr.rewrite = append(rr.rewrite, store.Rewrite{Checkpoint: seq, Items: kept})
}

// completing returns a commit that adds to each checkpoint the changes that concern retired rules.
func (rr *retiredRules) completing(commit func(*store.Checkpoint) error) func(*store.Checkpoint) error {
	return func(cp *store.Checkpoint) error {
		if cp.Seq != rr.seq { // not another attempt
			rr.seq = cp.Seq
			rr.complete(cp)
		}
		if err := commit(cp); err != nil {
			return err
		}
		rr.committed(cp)
		return nil
	}
}

// complete adds to a checkpoint the changes that concern retired rules.
func (rr *retiredRules) complete(cp *store.Checkpoint) {
	cp.Retired, rr.changes = rr.changes, nil
	cp.Rewrite, rr.rewrite = rr.rewrite, nil
	rr.withhold(cp)
	if rr.sweeping {
		// The deletions come first, so that a cell that a shard writes in this checkpoint remains.
		cells, timers := rr.garbage(cp)
		cp.Cells, cp.Timers = append(cells, cp.Cells...), append(timers, cp.Timers...)
		cp.Retired = append(cp.Retired, rr.changes...)
		rr.changes = nil
	}
}

// withhold keeps pending items that a retired rule would need, and drops the items that no retired rule needs.
func (rr *retiredRules) withhold(cp *store.Checkpoint) {
	droppable := append(rr.withheld, cp.Drop...)
	rr.withheld, cp.Drop = nil, nil
	for _, seq := range droppable {
		needed := false
		for _, seqs := range rr.needed {
			needed = needed || slices.Contains(seqs, seq)
		}
		if needed {
			rr.withheld = append(rr.withheld, seq)
		} else {
			cp.Drop = append(cp.Drop, seq)
		}
	}
}

// garbage examines the next cells. It adds the withdrawals of the findings that no rule will change again to the checkpoint,
// and returns the changes of their cells, and the deletions of the cells that nothing will read, and of their timers.
func (rr *retiredRules) garbage(cp *store.Checkpoint) (cells, timers []store.KV) {
	n := 0
	rr.sweeping = false
	err := rr.store.CellsFrom(rr.from, func(key, value []byte) bool {
		if n++; n > sweepCells {
			rr.sweeping, rr.from = true, key
			return false
		}
		rule, shape, ok := cellShape(key, value)
		if !ok || rr.shapes[rule] == shape {
			return true
		}
		changed := rr.withdraw(cp, key, value)
		if !rr.readable(rule, shape) {
			cells = append(cells, store.KV{Key: key})
			if kv, ok := cellTimer(key, value); ok {
				timers = append(timers, store.KV{Key: kv.Key})
			}
		} else if changed != nil {
			cells = append(cells, store.KV{Key: key, Value: changed})
		}
		return true
	})
	if err == nil && !rr.sweeping {
		rr.closed()
	}
	if err != nil { // committing the checkpoint will report it
		rr.startSweep()
	}
	return cells, timers
}

// withdraw adds the withdrawals of the open findings of a cell to the checkpoint. It returns the cell's new value, nil if it
// has no open findings. If the rule returns in time, its cells emit their findings again.
func (rr *retiredRules) withdraw(cp *store.Checkpoint, key, value []byte) []byte {
	_, rule, group, _ := readStoreKey(key)
	cell, open, ok := fold.WithdrawAll(value[min(cellHeadSize, len(value)):])
	if !ok || len(open) == 0 {
		return nil
	}
	reason := schema.WithdrawnRemoved
	if _, stays := rr.shapes[rule]; stays {
		reason = schema.WithdrawnChanged
	}
	for _, o := range open {
		id := fold.FindingID(rule, o.Version, group, o.Start, schema.ID{})
		f, ok, err := rr.store.Finding(id)
		if err != nil { // committing the checkpoint will report it
			return nil
		}
		isChanging := slices.ContainsFunc(cp.Outbox, func(en connectors.Entry) bool { return en.ID() == id })
		if !ok || f.Change() != o.Revision || isChanging {
			continue // the store has forgotten it, or the new State has made the same finding
		}
		f.Status, f.WithdrawnReason = schema.StatusWithdrawn, reason
		f.Revision++
		cp.Outbox = append(cp.Outbox, connectors.Entry{Type: connectors.EntryTypeOf(f), Finding: f})
	}
	return append(value[:cellHeadSize:cellHeadSize], cell...)
}

// closed records that the findings of all retired rules are withdrawn.
func (rr *retiredRules) closed() {
	rr.closing = false
	for _, r := range rr.rules {
		if r.Open {
			r.Open = false
			rr.add(r)
		}
	}
}

// committed removes the retired rules that have expired, now that a checkpoint is durable.
func (rr *retiredRules) committed(cp *store.Checkpoint) {
	if len(rr.rules) == 0 {
		return
	}
	var s engineState
	if err := json.Unmarshal(cp.State, &s); err != nil {
		panic("BUG: " + err.Error())
	}
	latest := s.latest()
	for id, r := range rr.rules {
		if r.expired(latest) {
			rr.remove(id)
		}
	}
}

// cellTimer returns the timer in the store of a cell, whatever its rule; ok is false if it has none.
func cellTimer(key, value []byte) (kv store.KV, ok bool) {
	hash, rule, group, ok := readStoreKey(key)
	const size = len(rules.Rule{}.Shape)
	if !ok || len(value) < size+8 {
		return store.KV{}, false
	}
	at := schema.Instant(binary.BigEndian.Uint64(value[size:]))
	return store.KV{Key: timerKey(rule, at, hash, group), Value: []byte{}}, at != noWake
}

// cellShape returns the rule whose State a cell is, and its shape in hex.
func cellShape(key, value []byte) (rule, shape string, ok bool) {
	const size = len(rules.Rule{}.Shape)
	_, rule, _, ok = readStoreKey(key)
	if !ok || len(value) < size {
		return "", "", false
	}
	return rule, hex.EncodeToString(value[:size]), true
}
