package fold

import (
	"encoding/binary"
	"time"

	"github.com/aidr-engine/aidr/engine/flat"
	"github.com/aidr-engine/aidr/engine/item"
	"github.com/aidr-engine/aidr/rules"
	"github.com/aidr-engine/aidr/schema"
)

// distinct is the kind of a distinct rule: an item triggers if the window has at least count different values. An item over
// triggers may have several values: the elements of a list.
//
//	n           uvarint
//	n entries   value (8 bytes), last seen (8 bytes big-endian); the value seen longest ago first
//	latest events (latest.go)
type distinct struct {
	within time.Duration
	count  int
	limit  int // of entries
}

func newDistinct(d *rules.Distinct) distinct {
	return distinct{within: d.Within, count: d.Count, limit: maxValues(d.Count)}
}

// maxValues returns the number of values that the State of a distinct rule holds. Values beyond the count change no
// trigger, only the number that a finding shows.
func maxValues(count int) int { return max(64, 4*count) }

// valueEntrySize is the size in bytes of one entry of a valueSet: the value's hash and the time it was last seen.
const valueEntrySize = item.ValueHashSize + 8

// A valueSet is the entries of the State of a distinct or new_value rule.
type valueSet []byte

func (s valueSet) len() int { return len(s) / valueEntrySize }

// lastSeen returns the time at which the value of entry i was last seen.
func (s valueSet) lastSeen(i int) schema.Instant {
	return schema.Instant(binary.BigEndian.Uint64(s[i*valueEntrySize+item.ValueHashSize:]))
}

// find returns the index of the value's entry; if not found, -1.
func (s valueSet) find(value string) int {
	for i := 0; i < len(s); i += valueEntrySize {
		if string(s[i:i+item.ValueHashSize]) == value {
			return i / valueEntrySize
		}
	}
	return -1
}

// ordered reports whether the entries are in the order of their times.
func (s valueSet) ordered() bool {
	for i := 1; i < s.len(); i++ {
		if s.lastSeen(i) < s.lastSeen(i-1) {
			return false
		}
	}
	return true
}

// readValueSet reads the number of entries and the entries.
func readValueSet(r *flat.Reader) valueSet {
	return valueSet(r.Bytes(r.Count(valueEntrySize) * valueEntrySize))
}

// appendValueSet appends the entries of s without entry i, which is that of the value or -1, and an entry for the value
// at t as the last one.
func appendValueSet(dst []byte, s valueSet, i int, value string, t schema.Instant) []byte {
	if i < 0 {
		dst = binary.AppendUvarint(dst, uint64(s.len()+1))
		dst = append(dst, s...)
	} else {
		dst = binary.AppendUvarint(dst, uint64(s.len()))
		dst = append(dst, s[:i*valueEntrySize]...)
		dst = append(dst, s[(i+1)*valueEntrySize:]...)
	}
	dst = append(dst, value...)
	return flat.AppendInstant(dst, t)
}

// valueHash returns the hash of the item's value; zeros if the item's Data is damaged.
func valueHash(it *item.Item) string {
	if len(it.Data) >= item.ValueHashSize {
		return it.Data[:item.ValueHashSize]
	}
	var none [item.ValueHashSize]byte
	return string(none[:])
}

func (k distinct) fold(s *scratch, st []byte, it *item.Item) {
	r := flat.NewReader(st)
	var values valueSet
	s.events = s.events[:0]
	if len(st) > 0 {
		values = readValueSet(&r)
		s.events = readLatest(&r, s.events)
	}
	events := keepLatest(within(s.events, it.Time, k.within))
	for values.len() > 0 && it.Time.Since(values.lastSeen(0)) >= uint64(k.within) {
		values = values[valueEntrySize:]
	}
	s.valueSet = append(s.valueSet[:0], values...)
	values = valueSet(s.valueSet)
	for data := it.Data; len(data) >= item.ValueHashSize; data = data[item.ValueHashSize:] {
		values = k.see(s, values, data[:item.ValueHashSize], it.Time)
	}
	s.valueSet = values[:0]
	if values.len() == 0 {
		return // the Data of the item is damaged
	}
	s.state = binary.AppendUvarint(s.state, uint64(values.len()))
	s.state = append(s.state, values...)
	s.state = appendLatest(s.state, events, it)
	n := values.len()
	if n < k.count {
		return
	}
	tr := &s.trigger
	tr.fired, tr.time, tr.first, tr.item = true, it.Time, values.lastSeen(0), it
	tr.count, tr.added, tr.value = int64(n), 1, rules.DecimalUnits(int64(n))
	tr.events, tr.joining = events, len(events)
}

// see makes the value the one that was seen last, in place.
func (k distinct) see(s *scratch, values valueSet, value string, t schema.Instant) valueSet {
	i := values.find(value)
	if i < 0 && values.len() >= k.limit {
		i = 0 // the value seen longest ago goes
		s.limits.Values++
	}
	if i >= 0 {
		values = append(values[:i*valueEntrySize], values[(i+1)*valueEntrySize:]...)
	}
	values = append(values, value...)
	return flat.AppendInstant(values, t)
}

func (k distinct) span() time.Duration { return k.within }

func (k distinct) expired(st []byte, w schema.Instant) bool {
	r := flat.NewReader(st)
	values := readValueSet(&r)
	return values.len() == 0 || w.Reached(values.lastSeen(values.len()-1), k.within)
}

func (k distinct) check(st []byte) bool {
	r := flat.NewReader(st)
	values := readValueSet(&r)
	readLatest(&r, nil)
	return r.Done() && values.len() > 0 && values.ordered()
}
