package schema

import (
	"encoding/binary"
	"math"
)

// Type says what a field holds.
type Type uint8

const (
	TypeString    Type = iota // UTF-8 text
	TypeInt                   // int64
	TypeDouble                // float64, finite
	TypeBool                  //
	TypeTimestamp             // int64 ns since 1970-01-01T00:00:00Z
	TypeDyn                   // text, or any JSON value
	TypeList                  // list of text
)

// A Kind says what a Value holds. It differs from the field's Type only for TypeDyn, which is KindString or KindJSON.
type Kind uint8

const (
	KindAbsent Kind = iota
	KindString
	KindInt
	KindDouble
	KindBool
	KindTimestamp
	KindJSON // Text is one valid JSON value that is no string
	KindList // Text is a JSON array of strings, without blanks
)

// A Value is one typed slot: 32 bytes, no boxing. The zero Value is absent.
// Text is a view of the record or of the worker's arena: whoever keeps a Value beyond the event copies it.
type Value struct {
	Kind Kind
	Num  uint64 // int64, float64 bits, bool, or ns
	Text string
}

func StringValue(s string) Value { return Value{Kind: KindString, Text: s} }
func IntValue(n int64) Value     { return Value{Kind: KindInt, Num: uint64(n)} }
func DoubleValue(f float64) Value {
	return Value{Kind: KindDouble, Num: math.Float64bits(f)}
}
func BoolValue(b bool) Value {
	v := Value{Kind: KindBool}
	if b {
		v.Num = 1
	}
	return v
}
func TimestampValue(ns int64) Value { return Value{Kind: KindTimestamp, Num: uint64(ns)} }
func JSONValue(text string) Value   { return Value{Kind: KindJSON, Text: text} }
func ListValue(text string) Value   { return Value{Kind: KindList, Text: text} }

func (v Value) Present() bool   { return v.Kind != KindAbsent }
func (v Value) Int() int64      { return int64(v.Num) }
func (v Value) Double() float64 { return math.Float64frombits(v.Num) }
func (v Value) Bool() bool      { return v.Num != 0 }

// AppendValue appends v's flat form: the kind, then 8 bytes big-endian of a number or a uvarint length and the text.
// It is part of the format of items and State; equal values have equal forms.
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

// CutValue reads one flat value from the front of src; ok is false where src is damaged. Text is copied.
func CutValue(src []byte) (v Value, rest []byte, ok bool) {
	if len(src) == 0 {
		return Value{}, src, false
	}
	v.Kind, src = Kind(src[0]), src[1:]
	switch v.Kind {
	case KindAbsent:
		return v, src, true
	case KindString, KindJSON, KindList:
		n, w := binary.Uvarint(src)
		if w <= 0 || n > uint64(len(src)-w) {
			return Value{}, src, false
		}
		v.Text = string(src[w : w+int(n)])
		return v, src[w+int(n):], true
	case KindInt, KindDouble, KindBool, KindTimestamp:
		if len(src) < 8 {
			return Value{}, src, false
		}
		v.Num = binary.BigEndian.Uint64(src)
		return v, src[8:], true
	}
	return Value{}, src, false
}
