package engine

import (
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/aidr-engine/aidr/engine/store"
	"github.com/aidr-engine/aidr/rules"
)

const (
	// keepGone is for how long State of a rule that is gone is kept, so that a rollback loses nothing. It is counted in
	// event time, as everything that a finding may depend on.
	keepGone = time.Hour
	// sweepCells is how many cells one cut looks at for State that nobody will read: some ms, and ten million in half an
	// hour of cuts.
	sweepCells = 2000
)

// goneRule is a rule that is not in the Set any more, as the store keeps it: a checkpoint holds a rule either among its
// own or here.
type goneRule struct {
	ruleState
	Since int64 `json:"since_ns"` // the highest event time that was read with it
	Read  int64 `json:"read"`     // the positions of that moment, added up: nothing was read since where they are the same
}

// over says whether it is too long ago that the rule was there.
func (r *goneRule) over(latest int64) bool { return before(latest, keepGone) >= r.Since }

// gone is what lies in the store of rules that are gone: State that is kept should they come back, and State that no
// rule will read, which cut by cut is deleted. restore fills it; then it belongs to the cutter's goroutine.
type gone struct {
	store  *store.Store
	shapes map[string]string // of the rules of the Set
	rules  map[string]goneRule
	needed map[string][]uint64 // rule that is gone -> cuts that hold pending items of it

	changes  []store.KV      // of what the store keeps of rules that are gone, for the next cut
	rewrite  []store.Rewrite // of pending items, for the next cut
	withheld []uint64        // cuts that only rules that are gone need
	sweeping bool
	from     []byte // where the sweep goes on
	seq      uint64 // the cut that was prepared last
}

// newGone reads which rules are gone by the last checkpoint.
func newGone(s *store.Store, set *rules.Set) (*gone, error) {
	g := &gone{store: s, shapes: map[string]string{}, rules: map[string]goneRule{}, needed: map[string][]uint64{}}
	for _, r := range set.Rules {
		g.shapes[r.ID] = hex.EncodeToString(r.Shape[:])
	}
	var bad error
	err := s.Retired(func(id string, value []byte) bool {
		var r goneRule
		if bad = json.Unmarshal(value, &r); bad != nil {
			bad = fmt.Errorf("read what is kept of rule %q: %w", id, bad)
		}
		g.rules[id] = r
		return bad == nil
	})
	if err != nil {
		return nil, err
	}
	return g, bad
}

// change compares the rules of the checkpoint with those of the Set. It returns the checkpoint's rules and, among them,
// those that come back; missed says of which of these something was read that they do not know.
func (g *gone) change(s *cutState) (known map[string]ruleState, missed map[string]bool) {
	known, missed = make(map[string]ruleState, len(s.Rules)), map[string]bool{}
	latest, read := s.latest(), s.read()
	for id, r := range g.rules {
		shape, back := g.shapes[id]
		if back && shape == r.Shape && !r.over(latest) {
			known[id], missed[id] = r.ruleState, r.Read != read
		}
		if back || r.over(latest) {
			g.forget(id)
		}
	}
	for _, r := range s.Rules {
		known[r.ID] = r
		if _, stays := g.shapes[r.ID]; !stays {
			g.keep(goneRule{ruleState: r, Since: latest, Read: read})
		}
	}
	return known, missed
}

func (g *gone) keep(r goneRule) {
	g.rules[r.ID] = r
	value, err := json.Marshal(r)
	if err != nil {
		panic("BUG: " + err.Error())
	}
	g.changes = append(g.changes, store.KV{Key: []byte(r.ID), Value: value})
}

func (g *gone) forget(id string) {
	delete(g.rules, id)
	delete(g.needed, id)
	g.changes = append(g.changes, store.KV{Key: []byte(id)})
	g.sweep()
}

// sweep has the store searched, from its beginning, for State that no rule will read.
func (g *gone) sweep() { g.sweeping, g.from = true, nil }

// need notes that a cut holds pending items of a rule that is gone.
func (g *gone) need(rule string, cut uint64) {
	if !slices.Contains(g.needed[rule], cut) {
		g.needed[rule] = append(g.needed[rule], cut)
	}
}

// reads says whether a rule, of the Set or one that is gone, may read the State of a shape.
func (g *gone) reads(rule, shape string) bool {
	if own, ok := g.shapes[rule]; ok {
		return own == shape
	}
	r, ok := g.rules[rule]
	return ok && r.Shape == shape
}

// void has the next cut take the pending items of a rule that begins anew out of a cut before: the rule would take them
// for its own after a crash.
func (g *gone) void(cut uint64, items []byte, anew func(rule string) bool) {
	var kept []byte
	for len(items) > 0 {
		id, rest := cutText(items)
		_, after := cutText(rest)
		if !anew(string(id)) {
			kept = append(kept, items[:len(items)-len(after)]...)
		}
		items = after
	}
	g.rewrite = append(g.rewrite, store.Rewrite{Checkpoint: cut, Items: kept})
}

// cutText reads a text of itemParts, which was read before.
func cutText(b []byte) (text, rest []byte) {
	n, w := binary.Uvarint(b)
	if w <= 0 || n > uint64(len(b)-w) {
		return nil, nil
	}
	return b[w : w+int(n)], b[w+int(n):]
}

// write returns commit with what concerns rules that are gone in each cut.
func (g *gone) write(commit func(*store.Checkpoint) error) func(*store.Checkpoint) error {
	return func(c *store.Checkpoint) error {
		if c.Seq != g.seq { // else it is tried again
			g.seq = c.Seq
			g.prepare(c)
		}
		if err := commit(c); err != nil {
			return err
		}
		g.committed(c)
		return nil
	}
}

// prepare completes a cut.
func (g *gone) prepare(c *store.Checkpoint) {
	c.Retired, g.changes = g.changes, nil
	c.Rewrite, g.rewrite = g.rewrite, nil
	g.withhold(c)
	if g.sweeping {
		// In front: what a shard writes in this cut stands.
		c.Cells = append(g.garbage(), c.Cells...)
	}
}

// withhold keeps the pending items that a rule which is gone would need, and drops those that none needs any more.
func (g *gone) withhold(c *store.Checkpoint) {
	all := append(g.withheld, c.Drop...)
	g.withheld, c.Drop = nil, nil
	for _, seq := range all {
		kept := false
		for _, cuts := range g.needed {
			kept = kept || slices.Contains(cuts, seq)
		}
		if kept {
			g.withheld = append(g.withheld, seq)
		} else {
			c.Drop = append(c.Drop, seq)
		}
	}
}

// garbage returns what of the next cells nobody will read, as deletions.
func (g *gone) garbage() (out []store.KV) {
	n := 0
	g.sweeping = false
	err := g.store.CellsFrom(g.from, func(key, value []byte) bool {
		if n++; n > sweepCells {
			g.sweeping, g.from = true, key
			return false
		}
		if rule, shape, ok := cellShape(key, value); ok && !g.reads(rule, shape) {
			out = append(out, store.KV{Key: key})
		}
		return true
	})
	if err != nil { // the cut itself will tell
		g.sweep()
	}
	return out
}

// committed looks, now that a cut is durable, for rules that are gone for too long.
func (g *gone) committed(c *store.Checkpoint) {
	if len(g.rules) == 0 {
		return
	}
	var s cutState
	if err := json.Unmarshal(c.State, &s); err != nil {
		panic("BUG: " + err.Error())
	}
	latest := s.latest()
	for id, r := range g.rules {
		if r.over(latest) {
			g.forget(id)
		}
	}
}

// cellShape returns whose State a cell is, and of which shape.
func cellShape(key, value []byte) (rule, shape string, ok bool) {
	const size = len(rules.Rule{}.Shape)
	_, rule, _, ok = cutStoreKey(key)
	if !ok || len(value) < size {
		return "", "", false
	}
	return rule, hex.EncodeToString(value[:size]), true
}

// latest is the event time up to which everything was read.
func (s *cutState) latest() int64 {
	t := int64(never)
	for _, p := range s.Partitions {
		t = max(t, p.Event)
	}
	return t
}

// read adds up the positions.
func (s *cutState) read() (n int64) {
	for _, p := range s.Partitions {
		n += p.Next
	}
	return n
}
