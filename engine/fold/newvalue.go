package fold

import (
	"github.com/aidr-engine/aidr/engine/flat"
	"github.com/aidr-engine/aidr/engine/item"
	"github.com/aidr-engine/aidr/rules"
)

// newValue is the kind of that name.
//
//	first       8 bytes big-endian: the key's first item
//	n           uvarint
//	n entries   value (8 bytes), last seen (8 bytes big-endian); the one seen longest ago first
type newValue struct {
	learn, forget uint64 // ns
	limit         int    // of entries
}

func newNewValue(n *rules.NewValue) newValue {
	return newValue{learn: uint64(n.Learn), forget: uint64(n.Forget), limit: n.MaxValues}
}

func (k newValue) fold(w *work, st []byte, it *item.Item) {
	first, s := it.Time, seen(nil)
	if len(st) > 0 {
		r := flat.NewReader(st)
		first, s = r.Int64(), readSeen(&r)
	}
	for s.len() > 0 && since(it.Time, s.last(0)) >= k.forget {
		s = s[seenEntry:]
	}
	if s.len() == 0 {
		first = it.Time // the key is forgotten and learns anew
	}
	value := seenValue(it)
	i := s.find(value)
	if i < 0 && since(it.Time, first) >= k.learn {
		w.tr.fired = true
		w.tr.time, w.tr.first, w.tr.item = it.Time, it.Time, it
		w.tr.count, w.tr.more = 1, 1
		w.tr.known, w.tr.from, w.tr.text = int64(s.len()), first, it.Data[min(item.ValueHashSize, len(it.Data)):]
	}
	if i < 0 && s.len() >= k.limit {
		s = s[seenEntry:]
		w.limits.Values++
	}
	w.state = flat.AppendInt64(w.state, first)
	w.state = appendSeenAt(w.state, s, i, value, it.Time)
}

func (k newValue) span() int64 { return int64(k.forget) }

func (k newValue) expired(st []byte, w int64) bool {
	r := flat.NewReader(st)
	r.Int64()
	s := readSeen(&r)
	return s.len() == 0 || past(w, s.last(s.len()-1), k.forget)
}

func (k newValue) check(st []byte) bool {
	r := flat.NewReader(st)
	first := r.Int64()
	s := readSeen(&r)
	return r.Done() && s.len() > 0 && s.ordered() && first <= s.last(0)
}
