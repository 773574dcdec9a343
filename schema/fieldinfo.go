package schema

import "math/bits"

// A Field is the number of one field of the event; its name is what is written anywhere.
type Field uint8

// FieldInfo is a row of the table in field.tsv, from which the constants, FIELDS.md, the CEL declarations and
// the column comments come.
type FieldInfo struct {
	Name string // dotted, as in JSON and CEL
	Type Type
	Doc  string
	OCSF string // nearest attribute, "" where there is none
	ECS  string
	OTel string
}

// Info returns the field's row.
func (f Field) Info() FieldInfo { return fieldInfo[f] }

// String returns the field's dotted name.
func (f Field) String() string { return fieldInfo[f].Name }

// Visible says whether rules may name the field. Where and when a record was read is hidden from them, or
// findings would depend on it.
func (f Field) Visible() bool { return f != EventIngested && f != EventRawRef }

var fieldByName = func() map[string]Field {
	m := make(map[string]Field, NumFields)
	for f := range Field(NumFields) {
		m[fieldInfo[f].Name] = f
	}
	return m
}()

// FieldByName finds a field by its dotted name.
func FieldByName(name string) (Field, bool) {
	f, ok := fieldByName[name]
	return f, ok
}

// A FieldSet is a set of fields.
type FieldSet [(NumFields + 63) / 64]uint64

func (s *FieldSet) Add(f Field)      { s[f>>6] |= 1 << (f & 63) }
func (s *FieldSet) Remove(f Field)   { s[f>>6] &^= 1 << (f & 63) }
func (s *FieldSet) Has(f Field) bool { return s[f>>6]&(1<<(f&63)) != 0 }
func (s *FieldSet) Union(o FieldSet) {
	for i := range s {
		s[i] |= o[i]
	}
}

// All calls yield with each field of the set in the order of the table.
func (s FieldSet) All(yield func(Field) bool) {
	for i, w := range s {
		for ; w != 0; w &= w - 1 {
			if !yield(Field(i*64 + bits.TrailingZeros64(w))) {
				return
			}
		}
	}
}

// Fields is the set of these fields.
func Fields(list ...Field) (s FieldSet) {
	for _, f := range list {
		s.Add(f)
	}
	return s
}

// AllFields is the set of every field.
func AllFields() (s FieldSet) {
	for f := range Field(NumFields) {
		s.Add(f)
	}
	return s
}
