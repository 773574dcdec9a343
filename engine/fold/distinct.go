package fold

import (
	"encoding/binary"

	"github.com/aidr-engine/aidr/engine/flat"
	"github.com/aidr-engine/aidr/engine/item"
	"github.com/aidr-engine/aidr/rules"
)

const (
	// minSeen is the least number of values that distinct remembers, seenFactor how many times its count: beyond the
	// count they change no trigger, only the number that is shown.
	minSeen    = 64
	seenFactor = 4
	// seenEntry is the size of a value and when it was last seen.
	seenEntry = item.ValueHashSize + 8
)

// distinct is the kind of that name.
//
//	n           uvarint
//	n entries   value (8 bytes), last seen (8 bytes big-endian); the one seen longest ago first
//	latest events (latest.go)
type distinct struct {
	within uint64 // ns
	count  int
	limit  int // of entries
}

func newDistinct(d *rules.Distinct) distinct {
	return distinct{within: uint64(d.Within), count: d.Count, limit: max(minSeen, seenFactor*d.Count)}
}

// seen are the entries of a State.
type seen []byte

func (s seen) len() int { return len(s) / seenEntry }
func (s seen) last(i int) int64 {
	return int64(binary.BigEndian.Uint64(s[i*seenEntry+item.ValueHashSize:]))
}

// find returns the place of the value, -1 for none.
func (s seen) find(value string) int {
	for i := 0; i < len(s); i += seenEntry {
		if string(s[i:i+item.ValueHashSize]) == value {
			return i / seenEntry
		}
	}
	return -1
}

// ordered says whether the times do not go back.
func (s seen) ordered() bool {
	for i := 1; i < s.len(); i++ {
		if s.last(i) < s.last(i-1) {
			return false
		}
	}
	return true
}

// readSeen reads the number of entries and the entries.
func readSeen(r *flat.Reader) seen { return seen(r.Bytes(r.Count(seenEntry) * seenEntry)) }

// appendSeenAt appends the entries without the one at place i, if that is not -1, and value as the latest.
func appendSeenAt(dst []byte, s seen, i int, value string, t int64) []byte {
	if i < 0 {
		dst = binary.AppendUvarint(dst, uint64(s.len()+1))
		dst = append(dst, s...)
	} else {
		dst = binary.AppendUvarint(dst, uint64(s.len()))
		dst = append(dst, s[:i*seenEntry]...)
		dst = append(dst, s[(i+1)*seenEntry:]...)
	}
	dst = append(dst, value...)
	return flat.AppendInt64(dst, t)
}

// seenValue returns the value of an item, whatever its Data is.
func seenValue(it *item.Item) string {
	if len(it.Data) >= item.ValueHashSize {
		return it.Data[:item.ValueHashSize]
	}
	var none [item.ValueHashSize]byte
	return string(none[:])
}

func (k distinct) fold(w *work, st []byte, it *item.Item) {
	r := flat.NewReader(st)
	var s seen
	w.views = w.views[:0]
	if len(st) > 0 {
		s = readSeen(&r)
		w.views = readLatest(&r, w.views)
	}
	views := makeRoom(within(w.views, it.Time, k.within))
	for s.len() > 0 && since(it.Time, s.last(0)) >= k.within {
		s = s[seenEntry:]
	}
	value := seenValue(it)
	i := s.find(value)
	if i < 0 && s.len() >= k.limit {
		s = s[seenEntry:]
		w.limits.Values++
	}
	at := len(w.state)
	w.state = appendSeenAt(w.state, s, i, value, it.Time)
	after := flat.NewReader(w.state[at:])
	s = readSeen(&after)
	w.state = appendLatest(w.state, views, it)
	if s.len() < k.count {
		return
	}
	w.tr.fired = true
	w.tr.time, w.tr.first, w.tr.item = it.Time, s.last(0), it
	w.tr.count, w.tr.more, w.tr.value = int64(s.len()), 1, integer(int64(s.len()))
	w.tr.views, w.tr.own = views, len(views)
}

func (k distinct) span() int64 { return int64(k.within) }

func (k distinct) expired(st []byte, w int64) bool {
	r := flat.NewReader(st)
	s := readSeen(&r)
	return s.len() == 0 || past(w, s.last(s.len()-1), k.within)
}

func (k distinct) check(st []byte) bool {
	r := flat.NewReader(st)
	s := readSeen(&r)
	readLatest(&r, nil)
	return r.Done() && s.len() > 0 && s.ordered()
}
