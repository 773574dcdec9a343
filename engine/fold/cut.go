package fold

import (
	"cmp"
	"crypto/sha256"
	"slices"
	"time"

	"github.com/aidr-engine/aidr/engine/flat"
	"github.com/aidr-engine/aidr/schema"
)

// An emission is what was last emitted of one finding whose group is not over. It makes revisions grow by one, and
// remembers a finding that may have to be taken back.
type emission struct {
	start, end int64
	version    int // of the rule: with start it tells the finding
	revision   uint64
	detected   int64 // detected_at of the first emission
	at         int64 // the cut of the last one
	withdrawn  bool
	sum        [16]byte // of the group's flat form: the first half of its SHA-256
	// body is the group's flat form where it can still be taken back: it is not in base.
	body string
}

// The flood guard: a finding that changes at every cut, because its key is flooded, is emitted at every cut only so often.
// What it says last is always emitted, as are a new finding, one that settles and one that is taken back. How often a key
// is told of must not depend on how fast its events come: at 4 cuts a second one flooded key would fill every sink.
const (
	// freeRevisions is how many revisions of a finding are emitted as they come: an attack's first seconds.
	freeRevisions = 20
	// updateEvery is the pace of those behind them: each is up to 8 events of evidence, in every sink.
	updateEvery = 10 * time.Second
)

// holds says that a changed finding is not emitted yet at the cut of now. A clock that was set back holds nothing.
func (e *emission) holds(now schema.Instant) bool {
	passed := int64(now) - e.at
	return e.revision >= freeRevisions && !e.withdrawn && passed >= 0 && passed < int64(updateEvery)
}

func (e *emission) compare(g *Group) int {
	return cmp.Or(cmp.Compare(e.start, g.Start), cmp.Compare(e.version, g.Version))
}

// Cut calls emit with each finding that changed since the last Cut: revision raised, status open, settled or
// withdrawn, detected_at = now for a new one. Call it for a checkpoint only: what it emits must become durable with
// what Append writes after it. The findings are the caller's.
//
// Pending items that were in the cell at the last Cut must all be there: after LoadCell, add them first.
func (c *Cell) Cut(now schema.Instant, emit func(*schema.Finding)) { c.cut(now, false, emit) }

// CutPaced is Cut, but of a finding that changes all the time it holds changes back: see Held.
func (c *Cell) CutPaced(now schema.Instant, emit func(*schema.Finding)) { c.cut(now, true, emit) }

// Held says that CutPaced held something back: it, or Cut, has to be called again, with nothing new too.
func (c *Cell) Held() bool { return c.held }

func (c *Cell) cut(now schema.Instant, paced bool, emit func(*schema.Finding)) {
	if !c.touched {
		return
	}
	c.touched, c.held = false, false
	w := c.p.borrow()
	defer c.p.giveBack(w)
	open := c.view(w)
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
			g.emitted = c.emitOpen(w, g, now, paced, emit)
		}
	}
	for i := range c.base.groups {
		c.base.groups[i].own() // at a cut, not at each trigger: of a flood's events few stay
	}
	if c.Pending() > 0 {
		// What was emitted is live. Where pending items go and base is what stands, it has to be looked at again.
		for i := range c.base.groups {
			c.base.groups[i].emitted = false
		}
	}
}

// Findings calls emit with every finding that is live and not yet settled, as Cut would write it.
func (c *Cell) Findings(emit func(*schema.Finding)) {
	w := c.p.borrow()
	defer c.p.giveBack(w)
	open := c.view(w)
	for i := range open {
		g := &open[i]
		f := c.p.Finding(c.group, g)
		f.Revision = 1
		if at, ok := c.emission(g); ok {
			e := &c.emissions[at]
			f.Revision = e.revision
			if e.withdrawn || e.sum != c.sumOf(w, g) {
				f.Revision++
			}
			detected := schema.Instant(e.detected)
			f.DetectedAt = &detected
		}
		emit(f)
	}
}

// view returns the groups that are live and not over, with the triggers that deadlines will bring in any case.
func (c *Cell) view(w *work) []Group {
	c.refresh(w)
	s := &c.base
	if c.Pending() > 0 {
		s = &c.live
	}
	if c.p.timed == nil {
		return s.groups
	}
	w.groups = append(w.groups[:0], s.groups...)
	c.each(s, func(k *keyed) {
		if k.wake == lastInstant {
			return
		}
		w.begin()
		c.p.timed.peek(w, k.state)
		if w.tr.fired {
			w.groups = c.p.trigger(w.groups, &w.tr)
		}
	})
	w.limits = Limits{}
	return w.groups
}

func (c *Cell) sumOf(w *work, g *Group) [16]byte {
	w.body = appendGroup(w.body[:0], g)
	return sumOf(w.body)
}

func (c *Cell) emission(g *Group) (int, bool) {
	return slices.BinarySearchFunc(c.emissions, g, func(e emission, g *Group) int { return e.compare(g) })
}

func (c *Cell) emitSettled(g *Group, now schema.Instant, emit func(*schema.Finding)) {
	f := c.p.Finding(c.group, g)
	f.Status, f.Revision, f.DetectedAt = schema.StatusSettled, 1, &now
	if at, ok := c.emission(g); ok {
		e := &c.emissions[at]
		detected := schema.Instant(e.detected)
		f.Revision, f.DetectedAt = e.revision+1, &detected
		c.emissions = slices.Delete(c.emissions, at, at+1)
	}
	emit(f)
}

// emitOpen emits a group as it is, unless it was emitted so. It is false where that is held back.
func (c *Cell) emitOpen(w *work, g *Group, now schema.Instant, paced bool, emit func(*schema.Finding)) bool {
	w.body = appendGroup(w.body[:0], g)
	sum := sumOf(w.body)
	at, ok := c.emission(g)
	if !ok {
		c.emissions = slices.Insert(c.emissions, at, emission{
			start: g.Start, end: g.End, version: g.Version, detected: int64(now), withdrawn: true,
		})
	}
	e := &c.emissions[at]
	keep := ""
	if !c.inBase(g) {
		keep = string(w.body)
	}
	c.changed = c.changed || e.body != keep
	e.body = keep
	if !e.withdrawn && e.sum == sum {
		return true
	}
	if paced && e.holds(now) {
		c.held, c.touched = true, true
		c.base.limits.Held++
		return false
	}
	c.changed = true
	e.revision++
	e.withdrawn, e.sum, e.end, e.at = false, sum, g.End, int64(now)
	f := c.p.Finding(c.group, g)
	detected := schema.Instant(e.detected)
	f.Revision, f.DetectedAt = e.revision, &detected
	emit(f)
	return true
}

// inBase says whether the group's first trigger is in base, so that nothing can take it back.
func (c *Cell) inBase(g *Group) bool {
	for i := range c.base.groups {
		if c.base.groups[i].Start == g.Start && c.base.groups[i].Version == g.Version {
			return true
		}
	}
	return false
}

// withdraw takes back what was emitted and is not live any more, and forgets what is over.
func (c *Cell) withdraw(open []Group, emit func(*schema.Finding)) {
	kept := c.emissions[:0]
	for i := range c.emissions {
		e := &c.emissions[i]
		at, live := slices.BinarySearchFunc(open, e.start, func(g Group, start int64) int { return cmp.Compare(g.Start, start) })
		live = live && open[at].Version == e.version
		if !live && !e.withdrawn {
			c.emitWithdrawn(e, emit)
		}
		if live || e.end > c.mark {
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
	g := cutGroup(&r)
	g.Start, g.End, g.Version = e.start, e.end, e.version
	f := c.p.Finding(c.group, &g)
	detected := schema.Instant(e.detected)
	e.revision++
	e.withdrawn, e.body = true, ""
	c.changed = true
	f.Status, f.Revision, f.DetectedAt = schema.StatusWithdrawn, e.revision, &detected
	emit(f)
}

func sumOf(body []byte) (sum [16]byte) {
	all := sha256.Sum256(body)
	copy(sum[:], all[:])
	return sum
}
