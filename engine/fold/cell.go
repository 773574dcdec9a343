package fold

import (
	"slices"
	"sort"
	"unsafe"

	"github.com/aidr-engine/aidr/engine/item"
	"github.com/aidr-engine/aidr/schema"
)

// Cell is the State of one owner (rule, group key): base, pending and live, as the package comment explains,
// and its emissions. A cell belongs to one shard and is not safe for concurrent use.
type Cell struct {
	p         *Program
	group     string
	watermark schema.Instant

	base layer
	live layer

	pending pending
	folded  int // the number of pending items, from the first on, that live has folded

	sent      []item.Trigger // triggers of live that Triggers handed on last
	lastLoss  schema.Instant // the time of the last loss of base that was kept, noLoss before the first
	paced     int            // number of losses of base that are kept
	settled   []Group        // groups of base that ended and whose settled finding is not emitted yet
	emissions []emission     // of the findings that are not final, sorted by (start, version)
	needsEmit bool           // the findings may differ from those emitted
	held      bool           // they do, because the last EmitPaced held a change back
	changed   bool           // the flat form may differ from the one Append last wrote
	ahead     bool           // the cell remains, although it may be empty, because its watermark is above that of the rule
	sweepAt   schema.Instant // the watermark at which sweep next looks for expired keys
}

// NewCell returns an empty cell whose watermark is MinInstant: call Advance before Add.
func NewCell(p *Program, group string) *Cell {
	return &Cell{
		p: p, group: group, watermark: schema.MinInstant, sweepAt: schema.MinInstant, lastLoss: noLoss,
		base: layer{nextDeadline: schema.MaxInstant}, live: layer{nextDeadline: schema.MaxInstant},
	}
}

// Group returns the owner's group key.
func (c *Cell) Group() string { return c.group }

// Watermark returns the watermark.
func (c *Cell) Watermark() schema.Instant { return c.watermark }

// Pending returns the number of pending items.
func (c *Cell) Pending() int { return c.pending.len() }

// Size returns an estimate of the memory of the cell in bytes: of its pending items, its States and its groups.
func (c *Cell) Size() int {
	n := int(unsafe.Sizeof(*c)) + c.pending.bytes + int(unsafe.Sizeof(pendingItem{}))*len(c.pending.few.slots)
	for _, l := range [...]*layer{&c.base, &c.live} {
		n += cap(l.keys) * int(unsafe.Sizeof(keyState{}))
		for i := range l.keys {
			n += cap(l.keys[i].state)
			if !c.p.wholeGroup {
				n += len(l.keys[i].key)
			}
		}
		n += sizeOf(l.groups)
	}
	n += sizeOf(c.settled) + cap(c.emissions)*int(unsafe.Sizeof(emission{}))
	for i := range c.emissions {
		n += len(c.emissions[i].body)
	}
	return n
}

// sizeOf returns the memory of groups in bytes. Evidence that is borrowed is counted with its item.
func sizeOf(groups []Group) int {
	n := cap(groups) * int(unsafe.Sizeof(Group{}))
	for i := range groups {
		g := &groups[i]
		n += len(g.Text) + len(g.Detail) + len(g.Subject)
		for j := range g.Events[:g.N] {
			if e := &g.Events[j]; !e.borrowed {
				n += len(e.Evidence)
			}
		}
	}
	return n
}

// AppendPending appends the flat forms of the pending items, in order; AddPending reads them.
func (c *Cell) AppendPending(dst []byte) []byte {
	for i := range c.pending.len() {
		dst = item.Append(dst, c.pending.at(i))
	}
	return dst
}

// AddPending adds the items that AppendPending wrote. It skips those below the watermark, which are in base. ok is false
// if src is damaged; the items before the damage are added.
func (c *Cell) AddPending(src []byte) (ok bool) {
	for len(src) > 0 {
		it, rest, ok := item.Read(src)
		if !ok {
			return false
		}
		if it.Time >= c.watermark {
			c.Add(&it)
		}
		src = rest
	}
	return true
}

// Empty reports whether the cell holds nothing, so that it may be deleted.
func (c *Cell) Empty() bool {
	return c.Pending() == 0 && len(c.base.keys) == 0 && len(c.base.groups) == 0 && len(c.settled) == 0 && len(c.emissions) == 0 && len(c.sent) == 0 &&
		c.lastLoss == noLoss &&
		!c.ahead
}

// StayAhead makes the cell remain until the watermark of the rule has reached its own, even if it is empty. Without its
// watermark the items between the two, which a restart brings again, would be taken for new ones.
func (c *Cell) StayAhead() {
	c.changed = c.changed || c.Empty()
	c.ahead = true
}

// Add adds an item, in any order, and reports whether the cell changed. An item that is Gone removes the pending item that
// is equal to it. Add ignores an item below the watermark: such an
// item is either in base already, after a restart, or late; the engine distinguishes these. It also ignores the copy of a
// counted item that is pending, unless the copy supersedes that item.
//
// Add does not update live; Emit and Findings do. The cell keeps the item, which must not be modified afterwards.
func (c *Cell) Add(it *item.Item) bool {
	if it.Time < c.watermark {
		c.base.limits.BelowWatermark++
		return false
	}
	if it.Gone {
		return c.takeBack(it)
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
			if !it.Supersedes(c.pending.at(i)) {
				return false
			}
			c.remove(i)
			to--
		}
	}
	c.insert(from+sort.Search(to-from, func(i int) bool { return it.Compare(c.pending.at(from+i)) < 0 }), it)
	return true
}

// takeBack removes the pending item that is equal to it, if there is one, and reports whether there was.
func (c *Cell) takeBack(it *item.Item) bool {
	from, to := c.sameTime(it.Time)
	for i := from; i < to; i++ {
		if c.pending.at(i).Compare(it) == 0 {
			c.remove(i)
			return true
		}
	}
	return false
}

// nearEnd is the number of items that are compared one by one before a binary search: most items arrive in the order of
// their times, a few of them with the same one.
const nearEnd = 8

// sameTime returns the range [from, to) of the pending items whose time is t; if it is empty, such an item belongs at
// from. Most items belong near the end, and a few steps back cost less than a binary search.
func (c *Cell) sameTime(t schema.Instant) (from, to int) {
	to = c.pending.len()
	for steps := 0; to > 0 && c.pending.timeAt(to-1) > t; steps++ {
		if steps == nearEnd {
			to = c.pending.search(t.Add(1))
			break
		}
		to--
	}
	from = to
	for steps := 0; from > 0 && c.pending.timeAt(from-1) == t; steps++ {
		if steps == nearEnd {
			from = c.pending.search(t)
			break
		}
		from--
	}
	return from, to
}

// copyOf returns the index of the pending copy of a counted item: the same event for the same key. from and to are the
// range of its time. Copies need not agree in their contents, so they may have different roles.
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

// insert inserts an item before pending item i.
func (c *Cell) insert(i int, it *item.Item) {
	c.needsEmit = true
	if i < c.folded {
		c.folded = 0
	}
	c.pending.insert(i, it)
}

// remove removes pending item i.
func (c *Cell) remove(i int) {
	c.needsEmit = true
	if i < c.folded {
		c.folded = 0
	}
	c.pending.remove(i)
}

// Advance raises the watermark to w: pending items below w move into base, deadlines up to w fire, and the groups that
// end at or before w settle. If w is not above the watermark, Advance does nothing.
func (c *Cell) Advance(w schema.Instant) {
	if c.ahead && w >= c.watermark {
		c.ahead = false
		c.changed = c.changed || c.Empty()
	}
	if w <= c.watermark {
		return
	}
	s := c.p.getScratch()
	defer c.p.putScratch(s)
	empty := len(c.base.keys) == 0
	if n := c.pending.search(w); n > 0 {
		c.moveToBase(s, n)
	}
	c.fire(s, &c.base, w)
	if empty {
		c.sweepAt = w // and next when all keys that came with this have expired
	}
	c.live.dropTriggers(w)
	c.live.dropLosses(w)
	c.watermark = w
	if c.lastLoss != noLoss && w.Reached(c.lastLoss, lossPace) {
		c.lastLoss, c.changed = noLoss, true // no later loss is held back by it
	}
	c.settle(w)
	c.sweep(w)
}

// moveToBase folds the first n pending items into base. If live has folded these items or some of them, but no others,
// base takes over its result.
func (c *Cell) moveToBase(s *scratch, n int) {
	c.needsEmit, c.changed = true, true
	first, limits := 0, c.base.limits
	if c.folded > 0 && c.folded <= n {
		c.adopt()
		first, c.folded = c.folded, 0
	}
	for i := first; i < n; i++ {
		c.fold(s, &c.base, c.pending.at(i))
	}
	if c.folded > 0 {
		// Live has folded these items too, with the same result, so it has counted the same limits.
		c.live.limits.add(limits, 1)
		c.live.limits.add(c.base.limits, -1)
		c.folded -= n
	}
	c.pending.removeFirst(n)
}

// settle moves the groups of base that ended to settled.
func (c *Cell) settle(w schema.Instant) {
	n := ended(c.base.groups, w)
	if n > 0 {
		c.needsEmit, c.changed = true, true
		c.settled = append(c.settled, c.base.groups[:n]...)
		c.base.groups = slices.Delete(c.base.groups, 0, n)
	}
	if c.folded > 0 {
		c.live.groups = slices.Delete(c.live.groups, 0, ended(c.live.groups, w))
	}
	for i := range c.emissions {
		c.needsEmit = c.needsEmit || c.emissions[i].end <= w
	}
}

// ended returns how many of the groups end at or before w.
func ended(groups []Group, w schema.Instant) (n int) {
	for n < len(groups) && groups[n].End <= w {
		n++
	}
	return n
}

// sweep removes expired keys from base, once per span of the kind: examining every key whenever the watermark rises
// would cost more than the memory is worth.
func (c *Cell) sweep(w schema.Instant) {
	if w < c.sweepAt || len(c.base.keys) == 0 {
		return
	}
	n := len(c.base.keys)
	c.base.keys = slices.DeleteFunc(c.base.keys, func(k keyState) bool {
		return k.deadline == schema.MaxInstant && c.p.kind.expired(k.state, w)
	})
	c.changed = c.changed || len(c.base.keys) < n
	c.sweepAt = w.Add(c.p.kind.span())
}

// SweepBy makes the cell look for expired keys at the watermark at, if not sooner. A cell that is loaded counts the time
// until it looks from its watermark, so it may never look if it is often stored and loaded.
func (c *Cell) SweepBy(at schema.Instant) { c.sweepAt = min(c.sweepAt, at) }

// Wake returns the lowest watermark at which Advance will change the cell: a pending item moves, a deadline fires, a
// group or an emission ends, or keys may expire. ok is false if none of these is due at any watermark.
func (c *Cell) Wake() (w schema.Instant, ok bool) {
	w, _ = c.BaseWake()
	if pending, ok := c.PendingWake(); ok {
		w = min(w, pending)
	}
	return w, w != schema.MaxInstant
}

// PendingWake is Wake for the pending items alone.
func (c *Cell) PendingWake() (w schema.Instant, ok bool) {
	if c.Pending() == 0 {
		return schema.MaxInstant, false
	}
	return c.pending.timeAt(0).Add(1), true
}

// Defer holds the changes back that Emit or EmitPaced would emit, as the flood guard does: see Held.
func (c *Cell) Defer() { c.held = c.needsEmit }

// BaseWake is Wake for everything but the pending items.
func (c *Cell) BaseWake() (w schema.Instant, ok bool) {
	w = c.base.nextDeadline
	for i := range c.base.groups {
		w = min(w, c.base.groups[i].End)
	}
	for i := range c.emissions {
		// Emit removes the emissions that ended. The other emissions end in the order of their starts.
		if end := c.emissions[i].end; end > c.watermark {
			w = min(w, end)
			break
		}
	}
	if c.lastLoss != noLoss {
		w = min(w, c.lastLoss.Add(lossPace))
	}
	if len(c.base.keys) > 0 {
		w = min(w, max(c.sweepAt, c.watermark.Add(1)))
	}
	if c.ahead {
		w = min(w, c.watermark)
	}
	return w, w != schema.MaxInstant
}

// TakeLimits returns the limits counted since the last call: those reached while folding into base, and those of Add and
// EmitPaced. Live's are not counted, because its items will be folded into base.
func (c *Cell) TakeLimits() Limits {
	l := c.base.limits
	c.base.limits = Limits{}
	return l
}

// Changed reports whether the flat form differs from the one that Append last wrote in more than the watermark. A flat
// form with an older watermark is as good: a cell is advanced to the rule's watermark when it is loaded.
func (c *Cell) Changed() bool { return c.changed }
