package fold

import (
	"encoding/binary"

	"github.com/aidr-engine/aidr/engine/flat"
	"github.com/aidr-engine/aidr/engine/item"
)

// maxRing is the largest count that is exact, and how many times a State keeps for it; larger counts see panes. 256
// times are about 1 KiB for a key that is busy.
const maxRing = 256

// ring is a threshold whose count is exact: the times of the window's items, at most maxRing of them.
//
//	n       uvarint, at least 1
//	first   8 bytes big-endian: the oldest time
//	span    uvarint: the latest time - first
//	gaps    uvarint length of: n - 1 distances to the time before, each uvarint
//	latest events (latest.go)
type ring struct {
	within uint64 // ns
	count  int
}

// times is a State without its events.
type times struct {
	n     int
	first int64
	span  uint64
	gaps  []byte
}

func readTimes(r *flat.Reader) (ts times) {
	n := r.Uvarint()
	ts.first, ts.span, ts.gaps = r.Int64(), r.Uvarint(), r.Text()
	if r.Bad() || n == 0 || n > maxRing {
		r.Fail()
		return times{}
	}
	ts.n = int(n)
	return ts
}

// drop takes the oldest time away.
func (ts *times) drop() {
	gap, n := binary.Uvarint(ts.gaps)
	ts.n--
	ts.first += int64(gap)
	ts.span -= gap
	ts.gaps = ts.gaps[max(0, n):]
}

func (ts *times) last() int64 { return ts.first + int64(ts.span) }

func (k ring) fold(w *work, st []byte, it *item.Item) {
	var ts times
	w.views = w.views[:0]
	if len(st) > 0 {
		r := flat.NewReader(st)
		ts = readTimes(&r)
		w.views = readLatest(&r, w.views)
	}
	// What is outside the window leaves; then the oldest, where there is no room.
	for ts.n > 0 && since(it.Time, ts.first) >= k.within {
		ts.drop()
	}
	if ts.n == maxRing {
		ts.drop()
		w.limits.Times++
	}
	views := makeRoom(within(w.views, it.Time, k.within))
	first := k.append(w, &ts, it.Time)
	w.state = appendLatest(w.state, views, it)
	n := int64(ts.n + 1)
	if n < int64(k.count) {
		return
	}
	w.tr.fired = true
	w.tr.time, w.tr.first, w.tr.item = it.Time, first, it
	w.tr.count, w.tr.more, w.tr.value = n, 1, integer(n)
	w.tr.views, w.tr.own = views, len(views)
}

// append appends the times and t as the latest; it returns the oldest.
func (ring) append(w *work, ts *times, t int64) (first int64) {
	var room [binary.MaxVarintLen64]byte
	first, gap := t, room[:0]
	if ts.n > 0 {
		first, gap = ts.first, binary.AppendUvarint(room[:0], since(t, ts.last()))
	}
	w.state = binary.AppendUvarint(w.state, uint64(ts.n+1))
	w.state = flat.AppendInt64(w.state, first)
	w.state = binary.AppendUvarint(w.state, since(t, first))
	w.state = binary.AppendUvarint(w.state, uint64(len(ts.gaps)+len(gap)))
	w.state = append(append(w.state, ts.gaps...), gap...)
	return first
}

func (k ring) span() int64 { return int64(k.within) }

func (k ring) expired(st []byte, w int64) bool {
	r := flat.NewReader(st)
	ts := readTimes(&r)
	return past(w, ts.last(), k.within)
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
