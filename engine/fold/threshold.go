package fold

import (
	"encoding/binary"
	"time"

	"github.com/aidr-engine/aidr/engine/flat"
	"github.com/aidr-engine/aidr/engine/item"
	"github.com/aidr-engine/aidr/rules"
	"github.com/aidr-engine/aidr/schema"
)

// maxRing is the largest exact count, and the number of times that the State of one holds; larger counts use panes. 256
// times take about 1 KiB for a busy key.
const maxRing = 256

// ring is the kind of a threshold with an exact count. Its State holds the times of the window's items, the latest
// maxRing of them.
//
//	n       uvarint, at least 1
//	first   8 bytes big-endian: the oldest time
//	span    uvarint: the latest time - first
//	gaps    uvarint length of: n - 1 distances to the time before, each uvarint
//	latest events (latest.go)
type ring struct {
	within time.Duration
	count  int
}

// times is the State of a ring without the latest events.
type times struct {
	n     int
	first schema.Instant
	span  uint64
	gaps  []byte
}

func readTimes(r *flat.Reader) (ts times) {
	n := r.Uvarint()
	ts.first, ts.span, ts.gaps = r.Instant(), r.Uvarint(), r.Text()
	if r.Bad() || n == 0 || n > maxRing {
		r.Fail()
		return times{}
	}
	ts.n = int(n)
	return ts
}

// removeFirst removes the oldest time.
func (ts *times) removeFirst() {
	gap, n := binary.Uvarint(ts.gaps)
	ts.n--
	ts.first += schema.Instant(gap)
	ts.span -= gap
	ts.gaps = ts.gaps[max(0, n):]
}

func (ts *times) last() schema.Instant { return ts.first + schema.Instant(ts.span) }

func (k ring) fold(s *scratch, st []byte, it *item.Item) {
	var ts times
	s.events = s.events[:0]
	if len(st) > 0 {
		r := flat.NewReader(st)
		ts = readTimes(&r)
		s.events = readLatest(&r, s.events)
	}
	// The times outside the window go first; then the oldest one, if the ring is full.
	for ts.n > 0 && it.Time.Since(ts.first) >= uint64(k.within) {
		ts.removeFirst()
	}
	if ts.n == maxRing {
		ts.removeFirst()
		s.limits.Times++
	}
	events := keepLatest(within(s.events, it.Time, k.within))
	first := k.append(s, &ts, it.Time)
	s.state = appendLatest(s.state, events, it)
	n := int64(ts.n + 1)
	if n < int64(k.count) {
		return
	}
	tr := &s.trigger
	tr.fired, tr.time, tr.first, tr.item = true, it.Time, first, it
	tr.count, tr.added, tr.value = n, 1, rules.DecimalUnits(n)
	tr.events, tr.joining = events, len(events)
}

// append appends the times, and t as the latest one, to s.state. It returns the oldest.
func (ring) append(s *scratch, ts *times, t schema.Instant) (first schema.Instant) {
	var buf [binary.MaxVarintLen64]byte
	first, gap := t, buf[:0]
	if ts.n > 0 {
		first, gap = ts.first, binary.AppendUvarint(buf[:0], t.Since(ts.last()))
	}
	s.state = binary.AppendUvarint(s.state, uint64(ts.n+1))
	s.state = flat.AppendInstant(s.state, first)
	s.state = binary.AppendUvarint(s.state, t.Since(first))
	s.state = binary.AppendUvarint(s.state, uint64(len(ts.gaps)+len(gap)))
	s.state = append(append(s.state, ts.gaps...), gap...)
	return first
}

func (k ring) span() time.Duration { return k.within }

func (k ring) expired(st []byte, w schema.Instant) bool {
	r := flat.NewReader(st)
	ts := readTimes(&r)
	return w.Reached(ts.last(), k.within)
}

func (k ring) check(st []byte) bool {
	r := flat.NewReader(st)
	ts := readTimes(&r)
	readLatest(&r, nil)
	gaps := flat.NewReader(ts.gaps)
	var span uint64
	for range ts.n - 1 {
		span += gaps.Uvarint()
	}
	return r.Done() && gaps.Done() && span == ts.span
}
