package schema

import "math/bits"

// Field is the number of a field of the event. Numbers may change between versions, so files and stores hold the name.
type Field uint8

// FieldInfo is one row of field.tsv, the table from which the constants, FIELDS.md and the CEL declarations are made.
type FieldInfo struct {
	Name string // dotted, as in JSON and CEL
	Type Type
	Doc  string // one or two sentences
	OCSF string // nearest attribute in that standard, or ""
	ECS  string
	OTel string
}

// Info returns the row of the field.
func (f Field) Info() FieldInfo { return fieldInfo[f] }

// String returns the dotted name of the field.
func (f Field) String() string { return fieldInfo[f].Name }

// Visible reports whether rules on events may name the field. The time and the position at which a record was read are
// hidden, because findings must not depend on them, and so are the fields of triggers.
func (f Field) Visible() bool { return f != EventIngested && f != EventRawRef && !f.OfTrigger() }

// OfTrigger reports whether the field describes the trigger of a rule. Events lack it; only rules with `over` may name it.
func (f Field) OfTrigger() bool { return f >= RuleID && f <= ProvenanceSource }

var fieldByName = func() map[string]Field {
	m := make(map[string]Field, NumFields)
	for f := range Field(NumFields) {
		m[fieldInfo[f].Name] = f
	}
	return m
}()

// FieldByName returns the field with a dotted name, and whether there is such a field.
func FieldByName(name string) (Field, bool) {
	f, ok := fieldByName[name]
	return f, ok
}

// FieldSet is a set of fields, one bit for each. The zero FieldSet is empty.
type FieldSet [(NumFields + 63) / 64]uint64

// Add adds a field.
func (s *FieldSet) Add(f Field) { s[f>>6] |= 1 << (f & 63) }

// Remove removes a field.
func (s *FieldSet) Remove(f Field) { s[f>>6] &^= 1 << (f & 63) }

// Has reports whether a field is in the set.
func (s *FieldSet) Has(f Field) bool { return s[f>>6]&(1<<(f&63)) != 0 }

// Union adds the fields of another set.
func (s *FieldSet) Union(o FieldSet) {
	for i := range s {
		s[i] |= o[i]
	}
}

// All is an iterator over the fields of the set, in the order of the table.
func (s FieldSet) All(yield func(Field) bool) {
	for i, w := range s {
		for ; w != 0; w &= w - 1 {
			if !yield(Field(i*64 + bits.TrailingZeros64(w))) {
				return
			}
		}
	}
}

// Fields returns the set of the listed fields.
func Fields(list ...Field) (s FieldSet) {
	for _, f := range list {
		s.Add(f)
	}
	return s
}

// AllFields returns the set of all fields.
func AllFields() (s FieldSet) {
	for f := range Field(NumFields) {
		s.Add(f)
	}
	return s
}
