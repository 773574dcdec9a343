package fold

import (
	"encoding/binary"
	"fmt"
	"time"

	"github.com/aidr-engine/aidr/engine/flat"
	"github.com/aidr-engine/aidr/engine/item"
	"github.com/aidr-engine/aidr/rules"
	"github.com/aidr-engine/aidr/schema"
)

// maxDeadlines is the number of open deadlines of one key of an absence. Each holds the evidence of its event, and a key
// that waits for 16 answers has a finding when the first of them does not come.
const maxDeadlines = 16

// absence is the kind of an absence with `after` and `expect`, or with `act` and `without`. An event that asks, `after` or
// `act`, opens a deadline, at which it triggers unless an event that answers, `expect` or `without`, has come before.
//
//	after, expect, within 5m               act, without, within 5m, slack 30s
//
//	12:00  after   opens 12:05             12:00  without
//	12:01  after   opens 12:06             12:03  act      answered at 12:00, so it opens nothing
//	12:02  expect  answers both            12:06  act      opens 12:06:30
//	12:04  after   opens 12:09             12:06:10  without  answers it
//	12:09  triggers; an expect at 12:09    12:12  act      opens 12:12:30
//	       would be too late               12:12:30  triggers
//
// An event that asks and answers answers what is open, and then, as `after`, opens a deadline; as `act`, it is answered by
// itself.
//
// State holds the open deadlines. The time of the latest `without` is of use only while none is open: an `act` that is open
// was not answered when it came, so the latest `without` before it answers no later `act` either.
//
//	n         uvarint, at most maxDeadlines; of `after`, at least 1
//	n events  that wait for an answer, in order, in the form of latest.go
//	latest    8 bytes big-endian, if n is 0: the time of the latest `without`
type absence struct {
	form   rules.AbsenceForm
	within time.Duration
	wait   time.Duration // from an event to its deadline
	asks   uint32        // the bit of the role that opens a deadline
	answer uint32        // the bit of the role that answers
	step   int           // the index of the first of them + 1
}

func (p *Program) setAbsence(a *rules.Absence) {
	p.baseOnly = true
	if a.Form == rules.AbsenceSilent {
		k := silence{wait: a.For}
		p.kind, p.timed = k, k
		return
	}
	k := absence{form: a.Form, within: a.Within, wait: a.Within, asks: 1, answer: 2, step: 1}
	if a.Form == rules.AbsenceWithout {
		// Without slack the deadline is the next instant, because a `without` of the same time answers.
		k.wait, k.asks, k.answer, k.step = max(a.Slack, 1), 2, 1, 2
	}
	p.kind, p.timed = k, k
}

// waiting is the State of an absence.
type waiting struct {
	open     []storedEvent
	answered bool // there is a latest `without`
	latest   schema.Instant
}

func (k absence) read(st []byte, open []storedEvent) (w waiting, ok bool) {
	w.open = open[:0]
	if len(st) == 0 {
		return w, true
	}
	r := flat.NewReader(st)
	n := r.Uvarint()
	if n > maxDeadlines || n == 0 && k.form != rules.AbsenceWithout {
		r.Fail()
		n = 0
	}
	for range n {
		w.open = append(w.open, readStoredEvent(&r, k.step))
	}
	if n == 0 {
		w.answered, w.latest = true, r.Instant()
	}
	return w, r.Done()
}

func (k absence) fold(s *scratch, st []byte, it *item.Item) {
	w, _ := k.read(st, s.events)
	s.events = w.open
	if it.Roles&k.answer != 0 {
		w.open, w.answered, w.latest = w.open[:0], true, it.Time
	}
	asks := it.Roles&k.asks != 0
	if k.form == rules.AbsenceWithout && w.answered && it.Time.Since(w.latest) < uint64(k.within) {
		asks = false
	}
	if asks && len(w.open) == maxDeadlines {
		asks = false
		s.limits.Deadlines++
	}
	k.append(s, &w, it, asks)
}

// append appends the State, in which the item is the last one open if it asks.
func (k absence) append(s *scratch, w *waiting, it *item.Item, asks bool) {
	n := len(w.open)
	if asks {
		n++
	}
	if n == 0 && (k.form != rules.AbsenceWithout || !w.answered) {
		return
	}
	s.state = binary.AppendUvarint(s.state, uint64(n))
	for i := range w.open {
		s.state = appendStoredEvent(s.state, &w.open[i])
	}
	switch {
	case asks:
		s.state = appendItemEvent(s.state, it)
	case n == 0:
		s.state = flat.AppendInstant(s.state, w.latest)
	}
}

// deadline returns the deadline of the first event that waits.
func (k absence) deadline(st []byte) (at schema.Instant, ok bool) {
	r := flat.NewReader(st)
	if r.Uvarint() == 0 {
		return 0, false
	}
	at = r.Instant().Add(k.wait)
	return at, !r.Bad()
}

func (k absence) fire(s *scratch, st []byte) {
	w, _ := k.read(st, s.events)
	s.events = w.open
	if len(w.open) == 0 {
		return
	}
	missed(s, w.open[:1], k.wait)
	w.open = w.open[1:]
	k.append(s, &w, nil, false)
}

// missed triggers at the deadline of an event.
func missed(s *scratch, e []storedEvent, wait time.Duration) {
	tr := &s.trigger
	tr.fired, tr.time, tr.first = true, e[0].time.Add(wait), e[0].time
	tr.count, tr.added, tr.events = 1, 1, e
}

func (absence) peek(*scratch, []byte) {}

func (k absence) span() time.Duration { return max(k.within, k.wait) }

func (k absence) expired(st []byte, t schema.Instant) bool {
	r := flat.NewReader(st)
	return r.Uvarint() == 0 && t.Reached(r.Instant(), k.within)
}

func (k absence) check(st []byte) bool {
	w, ok := k.read(st, nil)
	for i := 1; i < len(w.open); i++ {
		ok = ok && w.open[i-1].time <= w.open[i].time
	}
	return ok
}

func (k absence) explain(p *Program, _ *Group) string {
	a := p.Rule.Absence
	if k.form == rules.AbsenceExpect {
		return fmt.Sprintf("the expected event did not follow within %s", durationText(a.Within))
	}
	text := fmt.Sprintf("no event that permits it came in the %s before", durationText(a.Within))
	if a.Slack > 0 {
		text += " or in the " + durationText(a.Slack) + " after"
	}
	return text
}

func (k absence) describe(st []byte, v *KeyView) {
	w, _ := k.read(st, nil)
	if n := len(w.open); n > 0 {
		v.setSpan(w.open[0].time, w.open[n-1].time)
		v.Open, v.Deadline = n, new(w.open[0].time.Add(k.wait))
		return
	}
	v.Last = &w.latest
}

// silence is the kind of an absence with `silent`: a key triggers when it has had no event for some time. Then it is
// forgotten, so that it triggers again only after another event.
//
//	silent 2h
//	12:00  event
//	13:00  event
//	15:00  triggers; an event at 15:00 would be too late, and is the first one of a new key
//
// State is the last event, in the form of latest.go.
type silence struct{ wait time.Duration }

func (silence) fold(s *scratch, _ []byte, it *item.Item) { s.state = appendItemEvent(s.state, it) }

func (k silence) deadline(st []byte) (at schema.Instant, ok bool) {
	r := flat.NewReader(st)
	at = r.Instant().Add(k.wait)
	return at, !r.Bad()
}

func (k silence) fire(s *scratch, st []byte) {
	r := flat.NewReader(st)
	s.events = append(s.events[:0], readStoredEvent(&r, 0))
	if !r.Bad() {
		missed(s, s.events, k.wait)
	}
}

func (silence) peek(*scratch, []byte)               {}
func (k silence) span() time.Duration               { return k.wait }
func (silence) expired([]byte, schema.Instant) bool { return false } // its deadline is always to come

func (silence) check(st []byte) bool {
	r := flat.NewReader(st)
	readStoredEvent(&r, 0)
	return r.Done()
}

func (k silence) explain(*Program, *Group) string {
	return fmt.Sprintf("no further event came for %s", durationText(k.wait))
}

func (k silence) describe(st []byte, v *KeyView) {
	r := flat.NewReader(st)
	last := r.Instant()
	v.Last, v.Deadline = &last, new(last.Add(k.wait))
}
