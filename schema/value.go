package schema

import (
	"encoding/binary"
	"math"
)

// Type is the type of a field.
type Type uint8

const (
	TypeString    Type = iota // UTF-8 text
	TypeInt                   // int64
	TypeDouble                // float64, finite
	TypeBool                  // true or false
	TypeTimestamp             // int64, nanoseconds since 1970-01-01T00:00:00Z
	TypeDyn                   // text, or any other JSON value
	TypeList                  // list of text
)

// Kind is the kind of a Value. It differs from the Type of the field only for TypeDyn, whose values are KindString or
// KindJSON.
type Kind uint8

const (
	KindAbsent    Kind = iota // no value
	KindString                // Text is UTF-8 text
	KindInt                   // Num is an int64
	KindDouble                // Num holds the bits of a float64
	KindBool                  // Num is 0 or 1
	KindTimestamp             // Num is an int64, nanoseconds since 1970-01-01T00:00:00Z
	KindJSON                  // Text is one valid JSON value other than a string
	KindList                  // Text is a JSON array of strings, without blanks
)

// Value is one typed field slot of 32 bytes; storing a value in it does not allocate. The zero Value is absent.
//
// Text is a view of the record or of the worker's arena. It must be copied to be kept longer than the event.
type Value struct {
	Kind Kind
	Num  uint64 // an int64, the bits of a float64, 0 or 1 for a bool, or nanoseconds
	Text string
}

// StringValue returns a Value that holds a text.
func StringValue(s string) Value { return Value{Kind: KindString, Text: s} }

// IntValue returns a Value that holds an integer.
func IntValue(n int64) Value { return Value{Kind: KindInt, Num: uint64(n)} }

// DoubleValue returns a Value that holds a decimal.
func DoubleValue(f float64) Value {
	return Value{Kind: KindDouble, Num: math.Float64bits(f)}
}

// BoolValue returns a Value that holds a bool.
func BoolValue(b bool) Value {
	v := Value{Kind: KindBool}
	if b {
		v.Num = 1
	}
	return v
}

// TimestampValue returns a Value that holds a time, in nanoseconds since 1970-01-01T00:00:00Z.
func TimestampValue(ns int64) Value { return Value{Kind: KindTimestamp, Num: uint64(ns)} }

// JSONValue returns a Value that holds one valid JSON value other than a string, given as text.
func JSONValue(text string) Value { return Value{Kind: KindJSON, Text: text} }

// ListValue returns a Value that holds a list of texts, given as a JSON array without blanks.
func ListValue(text string) Value { return Value{Kind: KindList, Text: text} }

// Present reports whether the value is not absent.
func (v Value) Present() bool { return v.Kind != KindAbsent }

// Int returns the number of a KindInt, and the nanoseconds of a KindTimestamp.
func (v Value) Int() int64 { return int64(v.Num) }

// Double returns the number of a KindDouble.
func (v Value) Double() float64 { return math.Float64frombits(v.Num) }

// Bool returns the truth value of a KindBool.
func (v Value) Bool() bool { return v.Num != 0 }

// AppendValue appends the flat form of v to dst: the kind in one byte, then either the number in 8 bytes, big-endian, or
// the length of the text as a uvarint and the text. Equal values have equal forms. The form is part of the format of items
// and State.
func AppendValue(dst []byte, v Value) []byte {
	dst = append(dst, byte(v.Kind))
	switch v.Kind {
	case KindAbsent:
	case KindString, KindJSON, KindList:
		dst = binary.AppendUvarint(dst, uint64(len(v.Text)))
		dst = append(dst, v.Text...)
	default:
		dst = binary.BigEndian.AppendUint64(dst, v.Num)
	}
	return dst
}

// ReadValue reads one value in its flat form from the front of src and returns the bytes after it. The text is a copy. If
// src is damaged, ok is false.
func ReadValue[T string | []byte](src T) (v Value, rest T, ok bool) {
	if len(src) == 0 {
		return Value{}, src, false
	}
	v.Kind, src = Kind(src[0]), src[1:]
	switch v.Kind {
	case KindAbsent:
		return v, src, true
	case KindString, KindJSON, KindList:
		n, w := binary.Uvarint([]byte(src[:min(len(src), binary.MaxVarintLen64)]))
		if w <= 0 || n > uint64(len(src)-w) {
			return Value{}, src, false
		}
		v.Text = string(src[w : w+int(n)])
		return v, src[w+int(n):], true
	case KindInt, KindDouble, KindBool, KindTimestamp:
		if len(src) < 8 {
			return Value{}, src, false
		}
		v.Num = binary.BigEndian.Uint64([]byte(src[:8]))
		return v, src[8:], true
	}
	return Value{}, src, false
}
