package fold

import (
	"cmp"
	"crypto/sha256"
	"slices"
	"time"

	"github.com/aidr-engine/aidr/engine/flat"
	"github.com/aidr-engine/aidr/rules"
	"github.com/aidr-engine/aidr/schema"
)

// An emission records the last revision emitted of a finding that is not final. With it revisions grow by one, and the
// finding can be withdrawn.
type emission struct {
	start, end schema.Instant // of the group
	version    int            // of the rule; (start, version) identifies the finding in the cell
	revision   uint64
	detected   schema.Instant // wall clock: detected_at, the time of the first emission
	at         schema.Instant // wall clock: the time of the last emission
	withdrawn  bool
	sum        [16]byte // the first half of SHA-256 of the group's flat form
	// body is the flat form of a group that may still be withdrawn, because its first trigger is not in base; else "".
	body string
}

// The flood guard: a finding that changes at every checkpoint, because its key is flooded with events, is not emitted at
// every checkpoint. New, settled and withdrawn findings always are, and so is the last change of an open one, at most
// updateEvery late. The number of revisions must not depend on the rate of the events: at 4 checkpoints a second one
// flooded key would fill every sink.
const (
	// freeRevisions is the number of revisions of a finding that are emitted at once: the first seconds of an attack.
	freeRevisions = 20
	// updateEvery is the least time between later revisions. Each revision carries up to 8 events of evidence to every
	// sink.
	updateEvery = 10 * time.Second
)

// hold reports whether the flood guard holds back a changed finding at the time now. If the clock was set back, it
// holds nothing.
func (e *emission) hold(now schema.Instant) bool {
	passed := int64(now) - int64(e.at)
	return e.revision >= freeRevisions && !e.withdrawn && passed >= 0 && passed < int64(updateEvery)
}

func (e *emission) compare(g *Group) int {
	return cmp.Or(cmp.Compare(e.start, g.Start), cmp.Compare(e.version, g.Version))
}

// Emit calls emit with each finding that changed since the last Emit or EmitPaced: with the next revision, status open,
// settled or withdrawn, and, for a new finding, detected_at = now. The caller owns the findings.
//
// Emit is for checkpoints only: the findings must become durable together with the flat form that Append writes
// afterwards. All items that were pending at the last Emit must be in the cell, so after LoadCell add them first;
// otherwise findings that are still live would be withdrawn.
func (c *Cell) Emit(now schema.Instant, emit func(*schema.Finding)) { c.emit(now, false, emit) }

// EmitPaced is Emit with the flood guard, which may hold changes of open findings back: see Held.
func (c *Cell) EmitPaced(now schema.Instant, emit func(*schema.Finding)) { c.emit(now, true, emit) }

// Held reports whether the last EmitPaced held a change back. EmitPaced or Emit must then be called again, even if
// nothing is added.
func (c *Cell) Held() bool { return c.held }

func (c *Cell) emit(now schema.Instant, paced bool, emit func(*schema.Finding)) {
	if !c.needsEmit {
		return
	}
	c.needsEmit, c.held = false, false
	if c.p.Rule.Stage == rules.StageBlock {
		c.emitNothing(emit)
		return
	}
	s := c.p.getScratch()
	defer c.p.putScratch(s)
	open := c.openGroups(s)
	for i := range c.settled {
		c.emitSettled(&c.settled[i], now, emit)
	}
	if len(c.settled) > 0 {
		clear(c.settled)
		c.settled, c.changed = c.settled[:0], true
	}
	c.withdraw(open, emit)
	for i := range open {
		if g := &open[i]; !g.emitted {
			g.emitted = c.emitOpen(s, g, now, paced, emit)
		}
	}
	for i := range c.base.groups {
		// Copying here rather than at each trigger copies little of a flood: a group shows few of its events.
		c.base.groups[i].copyEvidence()
	}
	if c.Pending() > 0 && !c.p.baseOnly {
		// The emitted groups are those of live. When pending is empty, those of base count again and have to be
		// compared with their emissions.
		for i := range c.base.groups {
			c.base.groups[i].emitted = false
		}
	}
	c.settled, c.base.groups, c.live.groups = trim(c.settled), trim(c.base.groups), trim(c.live.groups)
}

// trim returns the groups without the unused memory of a burst: a group takes 700 bytes, and most cells have at most one.
func trim(groups []Group) []Group {
	if cap(groups) > 4 && cap(groups) > 4*len(groups) {
		return slices.Clone(groups)
	}
	return groups
}

// emitNothing forgets the groups of a block that settled, and withdraws the findings from before the rule became one.
func (c *Cell) emitNothing(emit func(*schema.Finding)) {
	if len(c.emissions) > 0 {
		c.withdrawAll(emit)
	}
	if len(c.settled)+len(c.emissions) > 0 {
		clear(c.settled)
		c.settled, c.emissions, c.changed = c.settled[:0], nil, true
	}
	for i := range c.base.groups {
		c.base.groups[i].copyEvidence()
	}
}

// withdrawAll withdraws the findings that were emitted and have not settled.
func (c *Cell) withdrawAll(emit func(*schema.Finding)) {
	s := c.p.getScratch()
	defer c.p.putScratch(s)
	groups := slices.Concat(c.settled, c.openGroups(s))
	for i := range c.emissions {
		e := &c.emissions[i]
		if e.withdrawn {
			continue
		}
		if at := slices.IndexFunc(groups, func(g Group) bool { return e.compare(&g) == 0 }); at >= 0 {
			e.body = string(appendGroup(nil, &groups[at]))
		}
		c.emitWithdrawn(e, func(f *schema.Finding) {
			f.WithdrawnReason = schema.WithdrawnBlock
			emit(f)
		})
	}
}

// Findings calls emit with every finding that is live and not settled, as Emit would emit it.
func (c *Cell) Findings(emit func(*schema.Finding)) {
	if c.p.Rule.Stage == rules.StageBlock {
		return
	}
	s := c.p.getScratch()
	defer c.p.putScratch(s)
	open := c.openGroups(s)
	for i := range open {
		g := &open[i]
		f := c.p.Finding(c.group, g)
		f.Revision = 1
		if at, ok := c.emissionOf(g); ok {
			e := &c.emissions[at]
			f.Revision = e.revision
			s.group = appendGroup(s.group[:0], g)
			if e.withdrawn || e.sum != sumOf(s.group) {
				f.Revision++
			}
			f.DetectedAt = new(e.detected)
		}
		emit(f)
	}
}

// openGroups returns the groups that are live and have not ended, with the triggers that deadlines will bring in any
// case; of a kind whose triggers count only in base, those of base. They are valid until the cell or the scratch is used again.
func (c *Cell) openGroups(s *scratch) []Group {
	if c.p.baseOnly {
		return c.base.groups
	}
	c.refresh(s)
	l := &c.base
	if c.Pending() > 0 {
		l = &c.live
	}
	if c.p.timed == nil {
		return l.groups
	}
	s.groups = append(s.groups[:0], l.groups...)
	c.each(l, func(k *keyState) {
		if k.deadline == schema.MaxInstant {
			return
		}
		s.reset()
		c.p.timed.peek(s, k.state)
		if s.trigger.fired {
			s.groups = c.p.addTrigger(s.groups, &s.trigger)
		}
	})
	s.limits = Limits{}
	return s.groups
}

// emissionOf returns the index of the group's emission, or the index at which to insert it.
func (c *Cell) emissionOf(g *Group) (int, bool) {
	return slices.BinarySearchFunc(c.emissions, g, func(e emission, g *Group) int { return e.compare(g) })
}

func (c *Cell) emitSettled(g *Group, now schema.Instant, emit func(*schema.Finding)) {
	f := c.p.Finding(c.group, g)
	f.Status, f.Revision, f.DetectedAt = schema.StatusSettled, 1, &now
	if at, ok := c.emissionOf(g); ok {
		e := &c.emissions[at]
		f.Revision, f.DetectedAt = e.revision+1, new(e.detected)
		c.emissions = slices.Delete(c.emissions, at, at+1)
	}
	emit(f)
}

// emitOpen emits an open group unless it was last emitted in the same form. It returns false if the flood guard holds
// the group back.
func (c *Cell) emitOpen(s *scratch, g *Group, now schema.Instant, paced bool, emit func(*schema.Finding)) bool {
	s.group = appendGroup(s.group[:0], g)
	sum := sumOf(s.group)
	at, ok := c.emissionOf(g)
	if !ok {
		c.emissions = slices.Insert(c.emissions, at, emission{
			start: g.Start, end: g.End, version: g.Version, detected: now, withdrawn: true,
		})
	}
	e := &c.emissions[at]
	body := ""
	if !c.inBase(g) {
		body = string(s.group)
	}
	c.changed = c.changed || e.body != body
	e.body = body
	if !e.withdrawn && e.sum == sum {
		return true
	}
	if paced && e.hold(now) {
		c.held, c.needsEmit = true, true
		c.base.limits.Held++
		return false
	}
	c.changed = true
	e.revision++
	e.withdrawn, e.sum, e.end, e.at = false, sum, g.End, now
	f := c.p.Finding(c.group, g)
	f.Revision, f.DetectedAt = e.revision, new(e.detected)
	emit(f)
	return true
}

// inBase reports whether the group's first trigger is in base, so that the group can no longer be withdrawn.
func (c *Cell) inBase(g *Group) bool {
	for i := range c.base.groups {
		if c.base.groups[i].Start == g.Start && c.base.groups[i].Version == g.Version {
			return true
		}
	}
	return false
}

// withdraw emits a withdrawal for each emitted finding that is no longer live, and removes the emissions that
// ended.
func (c *Cell) withdraw(open []Group, emit func(*schema.Finding)) {
	kept := c.emissions[:0]
	for i := range c.emissions {
		e := &c.emissions[i]
		at, live := slices.BinarySearchFunc(open, e.start, func(g Group, start schema.Instant) int { return cmp.Compare(g.Start, start) })
		live = live && open[at].Version == e.version
		if !live && !e.withdrawn {
			c.emitWithdrawn(e, emit)
		}
		if live || e.end > c.watermark {
			kept = append(kept, *e)
			continue
		}
		c.changed = true
	}
	clear(c.emissions[len(kept):])
	c.emissions = kept
}

func (c *Cell) emitWithdrawn(e *emission, emit func(*schema.Finding)) {
	r := flat.NewReader([]byte(e.body))
	g := readGroup(&r)
	g.Start, g.End, g.Version = e.start, e.end, e.version
	f := c.p.Finding(c.group, &g)
	e.revision++
	e.withdrawn, e.body = true, ""
	c.changed = true
	f.Status, f.Revision, f.DetectedAt = schema.StatusWithdrawn, e.revision, new(e.detected)
	emit(f)
}

func sumOf(body []byte) (sum [16]byte) {
	all := sha256.Sum256(body)
	copy(sum[:], all[:])
	return sum
}
