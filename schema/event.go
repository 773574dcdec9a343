// Package schema holds what every other package speaks of: the normalised event with its fields, and the finding.
//
// The table of fields is field.tsv; field.go and FIELDS.md are generated from it. An event is a fixed array of typed
// slots addressed by Field. A worker fills one Event over and over again, so an event, and every text that it gives
// out, is valid until the next Reset; what outlives it is copied.
package schema

// Position says where a record was read. It never reaches an id or an order, only evidence.
type Position struct {
	Topic     string // Kafka topic, or the file's name
	Partition int32
	Offset    int64 // Kafka offset, or the byte offset in the file
	Index     int   // place of the innermost element in the record, from 0
}

// Event is one normalised record, or the part of a record that is one activity.
// It is owned by one worker and used again for the next record. The zero Event is empty and ready.
type Event struct {
	slots   [NumFields]Value
	present FieldSet

	// Raws holds the original record's values at the paths of Wanted.Raw, by place; missing and null are absent.
	// Numbers are KindInt where they are integers of 64 bits, else KindDouble; objects and arrays are KindJSON.
	Raws []Value

	// Record is the innermost peeled element as it stood: what the identity is made of.
	Record string
	// Place is the event's place among those of its producer's id (else of its record), from 0.
	Place uint32
	// Given is an identity that the record itself states (format aidr only), else zero.
	Given ID
	// Tenant is the source's tenant, "" for none.
	Tenant string
	// Pos is where the record was read.
	Pos Position
}

// Reset empties the event. It keeps the Raws' storage.
func (e *Event) Reset() {
	e.present = FieldSet{}
	e.Raws = e.Raws[:0]
	e.Record, e.Place, e.Given, e.Tenant, e.Pos = "", 0, ID{}, "", Position{}
}

// Has says whether the field is present.
func (e *Event) Has(f Field) bool { return e.present.Has(f) }

// Present returns the set of fields that are present.
func (e *Event) Present() FieldSet { return e.present }

// Value returns the field's value, absent where it is not present.
func (e *Event) Value(f Field) Value {
	if !e.Has(f) {
		return Value{}
	}
	return e.slots[f]
}

// Text returns the text of a string, JSON or list field, "" where it is absent.
func (e *Event) Text(f Field) string {
	if !e.Has(f) {
		return ""
	}
	return e.slots[f].Text
}

// Int returns an int, bool or timestamp field, 0 where it is absent.
func (e *Event) Int(f Field) int64 {
	if !e.Has(f) {
		return 0
	}
	return int64(e.slots[f].Num)
}

// Double returns a double field, 0 where it is absent.
func (e *Event) Double(f Field) float64 {
	if !e.Has(f) {
		return 0
	}
	return e.slots[f].Double()
}

// Set stores a value; an absent value and an empty string clear the field, because absent means absent.
func (e *Event) Set(f Field, v Value) {
	if v.Kind == KindAbsent || (v.Kind == KindString && v.Text == "") {
		e.Clear(f)
		return
	}
	e.slots[f] = v
	e.present.Add(f)
}

// SetText stores a string; "" clears the field.
func (e *Event) SetText(f Field, s string) {
	if s == "" {
		e.Clear(f)
		return
	}
	e.slots[f] = StringValue(s)
	e.present.Add(f)
}

// SetInt stores an int.
func (e *Event) SetInt(f Field, n int64) {
	e.slots[f] = IntValue(n)
	e.present.Add(f)
}

// SetTime stores a timestamp in ns since the epoch.
func (e *Event) SetTime(f Field, ns int64) { e.Set(f, TimestampValue(ns)) }

// Clear makes the field absent.
func (e *Event) Clear(f Field) { e.present.Remove(f) }

// ClearAll makes the fields of a set absent.
func (e *Event) ClearAll(s *FieldSet) {
	for i := range s {
		e.present[i] &^= s[i]
	}
}

// End is the instant at which the activity was over: time + duration, a negative duration counting as 0. It is the
// time that the engine orders by. Without a time it is 0 and ok is false.
func (e *Event) End() (ns int64, ok bool) {
	if !e.Has(Time) {
		return 0, false
	}
	ns = int64(e.slots[Time].Num)
	if d := e.Int(EventDuration); d > 0 && ns <= maxInstant-d {
		ns += d
	}
	return ns, true
}

// maxInstant is the largest time in ns, 2262-04-11.
const maxInstant = 1<<63 - 1

// Wanted says what decode extracts: more is never needed, less never wrong.
type Wanted struct {
	Fields FieldSet
	Raw    [][]string // paths of raw.<path>, each a list of keys; Event.Raws has the same order
}
