package fold

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/aidr-engine/aidr/engine/flat"
	"github.com/aidr-engine/aidr/engine/item"
	"github.com/aidr-engine/aidr/rules"
	"github.com/aidr-engine/aidr/schema"
)

// newValue is the kind of a new_value rule: an item triggers if the key has not had its value and has been watched long
// enough. With learn 2h and hold 3h:
//
//	0:00  read   -        the first item: the key learns
//	1:00  shell  -        new, but the key is 1h old
//	2:00  send   trigger  new, after 2 other values
//	3:00  shell  -        in the set since 1:00
//	4:59  send   trigger  held: its first trigger is 2h59m ago
//	5:00  send   -        its first trigger is 3h ago
//
// The State is
//
//	first       8 bytes big-endian: the key's first item
//	n           uvarint
//	n entries   value (8 bytes), last seen (8 bytes big-endian); the value seen longest ago first
//	with hold, n first triggers: 8 bytes big-endian for each entry, MaxInstant for a value that did not trigger
type newValue struct {
	learn, forget, hold time.Duration
	limit               int // of entries
}

func newNewValue(n *rules.NewValue) newValue {
	return newValue{learn: n.Learn, forget: n.Forget, hold: n.Hold, limit: n.MaxValues}
}

// firstTriggers are the first triggers of the values of a valueSet, in its order.
type firstTriggers []byte

// firstTriggerSize is the size in bytes of one of them.
const firstTriggerSize = 8

func (ts firstTriggers) at(i int) schema.Instant {
	r := flat.NewReader(ts[i*firstTriggerSize:])
	return r.Instant()
}

// read reads a State; triggers is empty without hold.
func (k newValue) read(r *flat.Reader) (first schema.Instant, values valueSet, triggers firstTriggers) {
	first, values = r.Instant(), readValueSet(r)
	if k.hold > 0 {
		triggers = r.Bytes(values.len() * firstTriggerSize)
	}
	return first, values, triggers
}

func (k newValue) fold(s *scratch, st []byte, it *item.Item) {
	first, values, triggers := it.Time, valueSet(nil), firstTriggers(nil)
	if len(st) > 0 {
		r := flat.NewReader(st)
		first, values, triggers = k.read(&r)
	}
	for values.len() > 0 && it.Time.Since(values.lastSeen(0)) >= uint64(k.forget) {
		values, triggers = k.removeOldest(values, triggers)
	}
	if values.len() == 0 {
		first = it.Time // the key was forgotten, so it learns again
	}
	value := valueHash(it)
	i := values.find(value)
	known, firstTrigger := int64(values.len()), schema.MaxInstant
	if i < 0 && it.Time.Since(first) >= uint64(k.learn) {
		firstTrigger = it.Time
	} else if i >= 0 && k.hold > 0 {
		known, firstTrigger = known-1, triggers.at(i)
	}
	if it.Time == firstTrigger || it.Time > firstTrigger && it.Time.Since(firstTrigger) < uint64(k.hold) {
		tr := &s.trigger
		tr.fired, tr.time, tr.first, tr.item = true, it.Time, it.Time, it
		tr.count, tr.added = 1, 1
		tr.known, tr.knownSince, tr.text = known, first, it.Data[min(item.ValueHashSize, len(it.Data)):]
		if i >= 0 {
			tr.detail = triggers[i*firstTriggerSize : (i+1)*firstTriggerSize]
		}
	}
	if i < 0 && values.len() >= k.limit {
		values, triggers = k.removeOldest(values, triggers)
		s.limits.Values++
	}
	s.state = flat.AppendInstant(s.state, first)
	s.state = appendValueSet(s.state, values, i, value, it.Time)
	if k.hold > 0 {
		if i >= 0 {
			s.state = append(s.state, triggers[:i*firstTriggerSize]...)
			triggers = triggers[(i+1)*firstTriggerSize:]
		}
		s.state = flat.AppendInstant(append(s.state, triggers...), firstTrigger)
	}
}

// removeOldest removes the value that was seen longest ago.
func (k newValue) removeOldest(values valueSet, triggers firstTriggers) (valueSet, firstTriggers) {
	if k.hold > 0 {
		triggers = triggers[firstTriggerSize:]
	}
	return values[valueEntrySize:], triggers
}

func (k newValue) span() time.Duration { return k.forget }

func (k newValue) expired(st []byte, w schema.Instant) bool {
	r := flat.NewReader(st)
	_, values, _ := k.read(&r)
	return values.len() == 0 || w.Reached(values.lastSeen(values.len()-1), k.forget)
}

func (k newValue) check(st []byte) bool {
	r := flat.NewReader(st)
	first, values, triggers := k.read(&r)
	if !r.Done() || values.len() == 0 || !values.ordered() || first > values.lastSeen(0) {
		return false
	}
	for i := range len(triggers) / firstTriggerSize {
		if t := triggers.at(i); t != schema.MaxInstant && (t < first || t > values.lastSeen(i)) {
			return false
		}
	}
	return true
}

func (k newValue) describe(st []byte, v *KeyView) {
	r := flat.NewReader(st)
	first, values, triggers := k.read(&r)
	v.setValues(values)
	v.Since, v.Learns = &first, new(first.Add(k.learn))
	for i := range len(triggers) / firstTriggerSize {
		if t := triggers.at(i); t <= *v.Last && v.Last.Since(t) < uint64(k.hold) {
			v.Held++
		}
	}
}

// explain describes the value and the history in which it is new.
func (k newValue) explain(p *Program, g *Group) string {
	text := fmt.Sprintf("%s was %s for the first time", operandNames(p.Rule.NewValue.Of), quote(g.Text))
	if t, ok := heldSince(g); ok {
		text = fmt.Sprintf("%s was %s, which is new since %s", operandNames(p.Rule.NewValue.Of), quote(g.Text), t)
	}
	switch g.Known {
	case 0:
		return text + ", the first value of all"
	case 1:
		return text + fmt.Sprintf(", after one other value since %s", g.KnownSince)
	}
	return text + fmt.Sprintf(", after %d other values since %s", g.Known, g.KnownSince)
}

// heldSince returns the first trigger of the value that opened the group, if it was not that trigger: the detail of a
// group that a held value opened.
func heldSince(g *Group) (t schema.Instant, ok bool) {
	r := flat.NewReader([]byte(g.Detail))
	t = r.Instant()
	return t, r.Done()
}

// newValueHistory is the JSON form of the history that a finding of new_value is based on.
type newValueHistory struct {
	Known int64           `json:"known"`         // the number of other values that the key had
	Since schema.Instant  `json:"since"`         // the key's first item
	New   *schema.Instant `json:"new,omitempty"` // the first trigger of a held value
}

func (k newValue) annotate(g *Group, f *schema.Finding) {
	h := newValueHistory{Known: g.Known, Since: g.KnownSince}
	if t, ok := heldSince(g); ok {
		h.New = &t
	}
	f.Baseline = jsonOf(h)
}

// jsonOf returns the JSON of a value that has no other form.
func jsonOf(v any) json.RawMessage {
	b, err := json.Marshal(v)
	if err != nil {
		panic("BUG: " + err.Error())
	}
	return b
}
