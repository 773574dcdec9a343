package schema

// Position is the place of a record in its source. It is shown as evidence; no id and no order depends on it.
type Position struct {
	Topic     string // Kafka topic, or name of the file
	Partition int32
	Offset    int64 // Kafka offset, or byte offset in the file
	Index     int   // number of the innermost element in the record, from 0
}

// Event is one normalised activity: a record, or the part of a record that is one activity.
// It belongs to one worker, which uses it again for the next record. The zero Event is empty and ready to use.
type Event struct {
	slots   [NumFields]Value
	present FieldSet

	// Raws holds the values of the original record at the paths of Wanted.Raw, in the same order; a missing value and null
	// are absent. A number is KindInt if it is an integer of 64 bits, else KindDouble. Objects and arrays are KindJSON.
	Raws []Value

	// Record is the unchanged text of the innermost element; the identity is the hash of it.
	Record string
	// Place numbers the events of one producer's id, or without such an id those of one record, from 0.
	Place uint32
	// Given is the identity that the record itself states. It is zero in every format but aidr.
	Given ID
	// Tenant is the tenant of the source, or "".
	Tenant string
	// Pos is the position of the record.
	Pos Position
	// BorrowedTime reports that Time is the timestamp of the record, because the record itself has no usable time. The
	// timestamp shows when the record was written, not when the activity happened: it moves no watermark, and the
	// activity counts as having no duration.
	BorrowedTime bool
}

// Reset empties the event. It keeps the storage of Raws.
func (e *Event) Reset() {
	e.present = FieldSet{}
	e.Raws = e.Raws[:0]
	e.Record, e.Place, e.Given, e.Tenant, e.Pos, e.BorrowedTime = "", 0, ID{}, "", Position{}, false
}

// Has reports whether the field is present.
func (e *Event) Has(f Field) bool { return e.present.Has(f) }

// Present returns the set of fields that are present.
func (e *Event) Present() FieldSet { return e.present }

// Value returns the value of a field, or the absent Value if the field is not present.
func (e *Event) Value(f Field) Value {
	if !e.Has(f) {
		return Value{}
	}
	return e.slots[f]
}

// Text returns the text of a string, JSON or list field, or "" if the field is not present.
func (e *Event) Text(f Field) string {
	if !e.Has(f) {
		return ""
	}
	return e.slots[f].Text
}

// Int returns the number in an int, bool or timestamp field, or 0 if the field is not present.
func (e *Event) Int(f Field) int64 {
	if !e.Has(f) {
		return 0
	}
	return int64(e.slots[f].Num)
}

// Double returns the number in a double field, or 0 if the field is not present.
func (e *Event) Double(f Field) float64 {
	if !e.Has(f) {
		return 0
	}
	return e.slots[f].Double()
}

// Set stores a value. An absent value and an empty string clear the field, because absent means absent.
func (e *Event) Set(f Field, v Value) {
	if v.Kind == KindAbsent || (v.Kind == KindString && v.Text == "") {
		e.Clear(f)
		return
	}
	e.slots[f] = v
	e.present.Add(f)
}

// SetText stores a string. An empty string clears the field.
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

// SetTime stores a timestamp, in nanoseconds since 1970-01-01T00:00:00Z.
func (e *Event) SetTime(f Field, ns int64) { e.Set(f, TimestampValue(ns)) }

// Clear makes the field absent.
func (e *Event) Clear(f Field) { e.present.Remove(f) }

// ClearAll makes every field of the set absent.
func (e *Event) ClearAll(s *FieldSet) {
	for i := range s {
		e.present[i] &^= s[i]
	}
}

// End returns the instant at which the activity was over, by which the engine orders events: time + event.duration. A
// negative duration counts as 0, and so does one with which the sum would not fit, and that of an event whose time is
// borrowed. Without a time, End returns 0 and
// false.
func (e *Event) End() (end Instant, ok bool) {
	if !e.Has(Time) {
		return 0, false
	}
	end = Instant(e.slots[Time].Num)
	if d := Instant(e.Int(EventDuration)); d > 0 && end <= MaxInstant-d && !e.BorrowedTime {
		end += d
	}
	return end, true
}

// Wanted lists the parts of a record that have to be extracted. Decoding may extract more.
type Wanted struct {
	Fields FieldSet
	Raw    [][]string // paths of raw.<path>, each a list of keys; Event.Raws has the same order
}
