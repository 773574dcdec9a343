package fold

import "encoding/binary"

// maxRing is the largest count that is exact, and how many times a State keeps for it; larger counts see panes. 256
// times are about 1 KiB for a key that is busy.
const maxRing = 256

// ring is a threshold whose count is exact: the times of the window's items, at most maxRing of them.
//
//	n       uvarint, at least 1
//	first   8 bytes big-endian: the oldest time
//	span    uvarint: the latest time - first
//	n - 1 distances to the time before, each uvarint
//	latest events (latest.go)
type ring struct {
	within uint64 // ns
	count  int
}

// ringHead is the part of the State before the distances.
type ringHead struct {
	n     int
	first int64
	span  uint64
}

func (ringHead) read(r *reader) (h ringHead) {
	n := r.uvarint()
	h.first, h.span = r.int64(), r.uvarint()
	if n == 0 || n > maxRing {
		r.fail()
	}
	h.n = int(n)
	return h
}

func (k ring) fold(w *work, st []byte, it *Item) {
	h, gaps, views := k.open(w, st)
	// What is outside the window leaves; then the oldest, where there is no room.
	for h.n > 0 && (since(it.Time, h.first) >= k.within || h.n == maxRing) {
		if since(it.Time, h.first) < k.within {
			w.limits.Times++
		}
		h, gaps = h.drop(gaps)
	}
	last := later(h.first, int64(h.span))
	if h.n == 0 {
		h.first, h.span, last = it.Time, 0, it.Time
	}
	h.n++
	h.span = since(it.Time, h.first)
	w.state = binary.AppendUvarint(w.state, uint64(h.n))
	w.state = appendInt64(w.state, h.first)
	w.state = binary.AppendUvarint(w.state, h.span)
	w.state = append(w.state, gaps...)
	if h.n > 1 {
		w.state = binary.AppendUvarint(w.state, since(it.Time, last))
	}
	w.state = appendLatest(w.state, views, it)
	if h.n < k.count {
		return
	}
	w.tr.fired = true
	w.tr.time, w.tr.first, w.tr.item = it.Time, h.first, it
	w.tr.count, w.tr.more, w.tr.value = int64(h.n), 1, integer(int64(h.n))
	w.tr.views = within(views, it.Time, k.within)
	w.tr.own = len(w.tr.views)
}

// open takes the State apart.
func (ring) open(w *work, st []byte) (h ringHead, gaps []byte, views []view) {
	if len(st) == 0 {
		return ringHead{}, nil, nil
	}
	r := reader{b: st}
	h = h.read(&r)
	all := r.b
	for range h.n - 1 {
		r.uvarint()
	}
	gaps = all[:len(all)-len(r.b)]
	w.views = readLatest(&r, w.views[:0])
	return h, gaps, makeRoom(w.views)
}

// drop takes the oldest time away.
func (h ringHead) drop(gaps []byte) (ringHead, []byte) {
	h.n--
	if h.n == 0 {
		return h, nil
	}
	gap, n := binary.Uvarint(gaps)
	h.first += int64(gap)
	h.span -= gap
	return h, gaps[n:]
}

func (k ring) span() int64 { return int64(k.within) }

func (k ring) expired(st []byte, w int64) bool {
	r := reader{b: st}
	h := ringHead{}.read(&r)
	return past(w, h.first+int64(h.span), k.within)
}

func (k ring) check(st []byte) bool {
	r := reader{b: st}
	h := ringHead{}.read(&r)
	var span uint64
	for range h.n - 1 {
		span += r.uvarint()
	}
	readLatest(&r, nil)
	return !r.bad && len(r.b) == 0 && span == h.span
}
