package fold

import (
	"time"

	"github.com/aidr-engine/aidr/engine/flat"
	"github.com/aidr-engine/aidr/engine/item"
	"github.com/aidr-engine/aidr/rules"
	"github.com/aidr-engine/aidr/schema"
)

// newValue is the kind of a new_value rule: an item triggers if the key has not had its value and has been watched long
// enough.
//
//	first       8 bytes big-endian: the key's first item
//	n           uvarint
//	n entries   value (8 bytes), last seen (8 bytes big-endian); the value seen longest ago first
type newValue struct {
	learn, forget time.Duration
	limit         int // of entries
}

func newNewValue(n *rules.NewValue) newValue {
	return newValue{learn: n.Learn, forget: n.Forget, limit: n.MaxValues}
}

func (k newValue) fold(s *scratch, st []byte, it *item.Item) {
	first, values := it.Time, valueSet(nil)
	if len(st) > 0 {
		r := flat.NewReader(st)
		first, values = r.Instant(), readValueSet(&r)
	}
	for values.len() > 0 && it.Time.Since(values.lastSeen(0)) >= uint64(k.forget) {
		values = values[valueEntrySize:]
	}
	if values.len() == 0 {
		first = it.Time // the key was forgotten, so it learns again
	}
	value := valueHash(it)
	i := values.find(value)
	if i < 0 && it.Time.Since(first) >= uint64(k.learn) {
		tr := &s.trigger
		tr.fired, tr.time, tr.first, tr.item = true, it.Time, it.Time, it
		tr.count, tr.added = 1, 1
		tr.known, tr.knownSince, tr.text = int64(values.len()), first, it.Data[min(item.ValueHashSize, len(it.Data)):]
	}
	if i < 0 && values.len() >= k.limit {
		values = values[valueEntrySize:]
		s.limits.Values++
	}
	s.state = flat.AppendInstant(s.state, first)
	s.state = appendValueSet(s.state, values, i, value, it.Time)
}

func (k newValue) span() time.Duration { return k.forget }

func (k newValue) expired(st []byte, w schema.Instant) bool {
	r := flat.NewReader(st)
	r.Instant()
	values := readValueSet(&r)
	return values.len() == 0 || w.Reached(values.lastSeen(values.len()-1), k.forget)
}

func (k newValue) check(st []byte) bool {
	r := flat.NewReader(st)
	first := r.Instant()
	values := readValueSet(&r)
	return r.Done() && values.len() > 0 && values.ordered() && first <= values.lastSeen(0)
}
