package fold

import (
	"slices"
	"sort"

	"github.com/aidr-engine/aidr/engine/item"
)

// Cell is what one owner (rule, group key) remembers: base (items below the watermark, folded), pending (items at or
// above it, in order) and live = base + pending, as far as it was asked for. It is owned by one shard.
//
// Live is kept as what differs from base: the State of the keys that pending items touched, and the groups. It is
// brought up to date by Cut and Findings only, at most once per call: what came in order since is folded on, and where
// something came out of order live is folded again from base. Every fold, live too, first folds the deadlines up to its
// item.
type Cell struct {
	p     *Program
	group string
	mark  int64 // the watermark

	base side
	live side

	pending pending
	folded  int // how many of the pending items live holds

	settled   []Group    // over, and not yet emitted as such
	emissions []emission // what was emitted and is not over, in order of (start, version)
	touched   bool       // something may differ from what was emitted
	held      bool       // something does, which the last cut held back
	changed   bool       // the flat form may differ from what Append last wrote
	sweepAt   int64      // the watermark at which expired keys are looked for
}

// NewCell returns an empty cell whose watermark is the earliest instant: call Advance before Add.
func NewCell(p *Program, group string) *Cell {
	return &Cell{
		p: p, group: group, mark: firstInstant, sweepAt: firstInstant,
		base: side{next: lastInstant}, live: side{next: lastInstant},
	}
}

// Group returns the owner's group key.
func (c *Cell) Group() string { return c.group }

// Mark returns the watermark.
func (c *Cell) Mark() int64 { return c.mark }

// Pending returns the number of pending items.
func (c *Cell) Pending() int { return c.pending.len() }

// Empty says that the cell remembers nothing and may be deleted.
func (c *Cell) Empty() bool {
	return c.Pending() == 0 && len(c.base.keys) == 0 && len(c.base.groups) == 0 && len(c.settled) == 0 && len(c.emissions) == 0
}

// Add takes an item that is not below the watermark, in any order, and reports whether the cell is other than before.
// It is not where the item is a copy of a counted one that is pending and that one stands, nor where the item is below
// the watermark: it is in base then, or late, and the engine knows which. Live is brought up to date by Cut or
// Findings, at most once per call, not per item. The cell keeps the item; nobody may change it any more.
func (c *Cell) Add(it *item.Item) bool {
	if it.Time < c.mark {
		c.base.limits.BelowMark++
		return false
	}
	n := c.pending.len()
	if n == 0 || c.pending.timeAt(n-1) < it.Time {
		c.insert(n, it)
		return true
	}
	from, to := c.sameTime(it.Time)
	if it.Counted {
		if i, ok := c.copyOf(it, from, to); ok {
			c.base.limits.Copies++
			if !it.StandsBefore(c.pending.at(i)) {
				return false
			}
			c.remove(i)
			to--
		}
	}
	c.insert(from+sort.Search(to-from, func(i int) bool { return it.Compare(c.pending.at(from+i)) < 0 }), it)
	return true
}

// sameTime returns the places of the pending items of time t, to exclusive: where they are, or would be. Most items
// belong near the end: a few steps from there are cheaper than a search.
func (c *Cell) sameTime(t int64) (from, to int) {
	to = c.pending.len()
	for back := 0; to > 0 && c.pending.timeAt(to-1) > t; back++ {
		if back == nearEnd {
			to = c.pending.from(later(t, 1))
			break
		}
		to--
	}
	from = to
	for back := 0; from > 0 && c.pending.timeAt(from-1) == t; back++ {
		if back == nearEnd {
			from = c.pending.from(t)
			break
		}
		from--
	}
	return from, to
}

// nearEnd is how many items from the end are looked at one by one: events of one second, one after another.
const nearEnd = 8

// copyOf finds the pending item that is the same event for the same key, among those of its time, from..to. Its role
// may be another one: the copies need not say the same.
func (c *Cell) copyOf(it *item.Item, from, to int) (int, bool) {
	if to-from <= nearEnd {
		for i := from; i < to; i++ {
			if o := c.pending.at(i); o.ID == it.ID && o.Counted && o.Key == it.Key {
				return i, true
			}
		}
		return 0, false
	}
	for _, role := range c.p.orders {
		like := item.Item{Time: it.Time, Role: role, ID: it.ID}
		i := from + sort.Search(to-from, func(i int) bool { return like.CompareEvent(c.pending.at(from+i)) <= 0 })
		for ; i < to && like.CompareEvent(c.pending.at(i)) == 0; i++ {
			if o := c.pending.at(i); o.Counted && o.Key == it.Key {
				return i, true
			}
		}
	}
	return 0, false
}

// insert puts an item at place i of pending.
func (c *Cell) insert(i int, it *item.Item) {
	c.touched = true
	if i < c.folded {
		c.folded = 0
	}
	c.pending.insert(i, it)
}

// remove takes the item at place i out of pending.
func (c *Cell) remove(i int) {
	c.touched = true
	if i < c.folded {
		c.folded = 0
	}
	c.pending.remove(i)
}

// Advance says that the rule's watermark is w: pending below w moves into base, deadlines up to w fire, groups whose
// end is <= w settle. It never goes back.
func (c *Cell) Advance(w int64) {
	if w <= c.mark {
		return
	}
	scratch := c.p.borrow()
	defer c.p.giveBack(scratch)
	if n := c.pending.from(w); n > 0 {
		c.move(scratch, n)
	}
	c.fire(scratch, &c.base, w)
	c.mark = w
	c.settle(w)
	c.sweep(w)
}

// move folds the first n pending items into base. Where live holds no more than these, what it has folded is used.
func (c *Cell) move(w *work, n int) {
	c.touched, c.changed = true, true
	from, before := 0, c.base.limits
	if c.folded > 0 && c.folded <= n {
		c.adopt()
		from, c.folded = c.folded, 0
	}
	for i := from; i < n; i++ {
		c.fold(w, &c.base, c.pending.at(i))
	}
	if c.folded > 0 {
		// Live has folded these items too, with the same result.
		c.live.limits.add(before, 1)
		c.live.limits.add(c.base.limits, -1)
		c.folded -= n
	}
	c.pending.drop(n)
}

// settle puts aside the groups of base that are over.
func (c *Cell) settle(w int64) {
	n := over(c.base.groups, w)
	if n > 0 {
		c.touched, c.changed = true, true
		c.settled = append(c.settled, c.base.groups[:n]...)
		c.base.groups = slices.Delete(c.base.groups, 0, n)
	}
	if c.folded > 0 {
		c.live.groups = slices.Delete(c.live.groups, 0, over(c.live.groups, w))
	}
	for i := range c.emissions {
		c.touched = c.touched || c.emissions[i].end <= w
	}
}

// over returns how many of the groups are over at w.
func over(groups []Group, w int64) (n int) {
	for n < len(groups) && groups[n].End <= w {
		n++
	}
	return n
}

// sweep forgets keys that make no difference any more, once a window: looking at each key whenever time passes would
// cost more than what they hold.
func (c *Cell) sweep(w int64) {
	if w < c.sweepAt || len(c.base.keys) == 0 {
		return
	}
	n := len(c.base.keys)
	c.base.keys = slices.DeleteFunc(c.base.keys, func(k keyed) bool {
		return k.wake == lastInstant && c.p.kind.expired(k.state, w)
	})
	c.changed = c.changed || len(c.base.keys) < n
	c.sweepAt = later(w, c.p.kind.span())
}

// Wake returns the earliest watermark at which Advance has something to do, counting pending, deadlines, ends of
// groups and State that expires; ok is false where there is nothing to wait for.
func (c *Cell) Wake() (w int64, ok bool) {
	w = c.base.next
	if c.Pending() > 0 {
		w = min(w, later(c.pending.timeAt(0), 1))
	}
	for i := range c.base.groups {
		w = min(w, c.base.groups[i].End)
	}
	for i := range c.emissions {
		if end := c.emissions[i].end; end > c.mark { // the others are for Cut to forget; those behind it end later
			w = min(w, end)
			break
		}
	}
	if len(c.base.keys) > 0 {
		w = min(w, max(c.sweepAt, later(c.mark, 1)))
	}
	return w, w != lastInstant
}

// TakeLimits returns what was counted since the last call: of what has moved into base, and of Add.
func (c *Cell) TakeLimits() Limits {
	l := c.base.limits
	c.base.limits = Limits{}
	return l
}

// Changed says whether the flat form differs from what Append last wrote, but for the watermark alone. A cell whose
// flat form is older is as good: it is advanced to the rule's watermark when it is loaded.
func (c *Cell) Changed() bool { return c.changed }
