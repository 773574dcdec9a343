package protobuf

import (
	"encoding/base64"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/aidr-engine/aidr/connectors/avro"
)

// AppendJSON appends the JSON of the message at a position in the schema. On an error dst is returned without the message.
func (s *Schema) AppendJSON(dst []byte, position []int, text string) (out []byte, err error) {
	if len(text) > MaxMessage {
		return dst, fmt.Errorf("message of %d bytes: %w: the limit is %d", len(text), ErrSize, MaxMessage)
	}
	kind := s.message(position)
	if kind == nil {
		return dst, fmt.Errorf("message %d: %w: it has no such message", position, ErrInvalid)
	}
	raw := []byte(text)
	if n := count(raw, kind, 0, 0); n > MaxValues {
		return dst, fmt.Errorf("message of %d bytes: %w: the limit is %d values, nested at most %d deep", len(text), ErrSize, MaxValues, maxDepth)
	}
	defer func() {
		if p := recover(); p != nil {
			out, err = dst, fmt.Errorf("message of %d bytes: %w", len(text), ErrInvalid)
		}
	}()
	m := dynamicpb.NewMessage(kind)
	o := proto.UnmarshalOptions{AllowPartial: true, DiscardUnknown: true, RecursionLimit: maxDepth, Resolver: (*protoregistry.Types)(nil)}
	if err := o.Unmarshal(raw, m); err != nil {
		return dst, fmt.Errorf("message of %d bytes: %w: %w", len(text), ErrInvalid, err)
	}
	w := writer{dst: dst, limit: len(dst) + MaxJSON}
	w.message(m)
	if len(w.dst) > w.limit {
		return dst, fmt.Errorf("JSON of the message: %w: the limit is %d bytes", ErrSize, MaxJSON)
	}
	return w.dst, nil
}

// count returns the number of values in a message, before any of them is kept in memory, or a number over MaxValues if it has
// more or is nested too deep. What is not well formed counts as nothing: it is refused later.
func count(raw []byte, kind protoreflect.MessageDescriptor, n, depth int) int {
	if depth > maxDepth {
		return MaxValues + 1
	}
	for len(raw) > 0 && n <= MaxValues {
		number, wire, size := protowire.ConsumeTag(raw)
		if size < 0 {
			return n
		}
		raw = raw[size:]
		size = protowire.ConsumeFieldValue(number, wire, raw)
		if size < 0 {
			return n
		}
		value := raw[:size]
		raw = raw[size:]
		n++
		f := kind.Fields().ByNumber(number)
		switch {
		case f == nil:
		case wire == protowire.BytesType:
			if inner, ok := protowire.ConsumeBytes(value); ok >= 0 && f.Message() != nil {
				n = count(inner, f.Message(), n, depth+1)
			} else if f.IsList() && f.Kind() != protoreflect.StringKind && f.Kind() != protoreflect.BytesKind {
				n += len(inner) // packed numbers have at least a byte each
			}
		case wire == protowire.StartGroupType && f.Message() != nil:
			if inner, ok := protowire.ConsumeGroup(number, value); ok >= 0 {
				n = count(inner, f.Message(), n, depth+1)
			}
		}
	}
	return n
}

// writer writes JSON. It stops early, with incomplete JSON, once dst is longer than limit.
type writer struct {
	dst   []byte
	limit int
}

func (w *writer) message(m protoreflect.Message) {
	if w.wellKnown(m) {
		return
	}
	w.dst = append(w.dst, '{')
	fields, from := m.Descriptor().Fields(), len(w.dst)
	for i := range fields.Len() {
		f := fields.Get(i)
		if !m.Has(f) || len(w.dst) > w.limit {
			continue
		}
		if len(w.dst) > from {
			w.dst = append(w.dst, ',')
		}
		w.dst = append(avro.AppendString(w.dst, nameOf(f)), ':')
		w.field(f, m.Get(f))
	}
	w.dst = append(w.dst, '}')
}

// nameOf returns the key of a field: its name, unless the schema names another for JSON.
func nameOf(f protoreflect.FieldDescriptor) string {
	if name := f.JSONName(); name != camelCase(string(f.Name())) {
		return name
	}
	return string(f.Name())
}

// camelCase returns the name for JSON that a field has if the schema gives none.
func camelCase(name string) string {
	var b strings.Builder
	upper := false
	for i := range len(name) {
		c := name[i]
		if c == '_' {
			upper = true
			continue
		}
		if upper && 'a' <= c && c <= 'z' {
			c -= 'a' - 'A'
		}
		upper = false
		b.WriteByte(c)
	}
	return b.String()
}

func (w *writer) field(f protoreflect.FieldDescriptor, v protoreflect.Value) {
	switch {
	case f.IsList():
		list := v.List()
		w.dst = append(w.dst, '[')
		for i := range list.Len() {
			if len(w.dst) > w.limit {
				return
			}
			if i > 0 {
				w.dst = append(w.dst, ',')
			}
			w.value(f, list.Get(i))
		}
		w.dst = append(w.dst, ']')
	case f.IsMap():
		w.mapping(f, v.Map())
	default:
		w.value(f, v)
	}
}

// mapping writes a map, sorted by its keys.
func (w *writer) mapping(f protoreflect.FieldDescriptor, m protoreflect.Map) {
	keys := make([]protoreflect.MapKey, 0, m.Len())
	m.Range(func(key protoreflect.MapKey, _ protoreflect.Value) bool {
		keys = append(keys, key)
		return true
	})
	slices.SortFunc(keys, func(a, b protoreflect.MapKey) int { return strings.Compare(a.String(), b.String()) })
	w.dst = append(w.dst, '{')
	for i, key := range keys {
		if len(w.dst) > w.limit {
			return
		}
		if i > 0 {
			w.dst = append(w.dst, ',')
		}
		w.dst = append(avro.AppendString(w.dst, key.String()), ':')
		w.value(f.MapValue(), m.Get(key))
	}
	w.dst = append(w.dst, '}')
}

// value writes one value of a field.
func (w *writer) value(f protoreflect.FieldDescriptor, v protoreflect.Value) {
	switch f.Kind() {
	case protoreflect.BoolKind:
		w.dst = strconv.AppendBool(w.dst, v.Bool())
	case protoreflect.EnumKind:
		if name := f.Enum().Values().ByNumber(v.Enum()); name != nil {
			w.dst = avro.AppendString(w.dst, string(name.Name()))
		} else {
			w.dst = strconv.AppendInt(w.dst, int64(v.Enum()), 10)
		}
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind,
		protoreflect.Int64Kind, protoreflect.Sint64Kind, protoreflect.Sfixed64Kind:
		w.dst = strconv.AppendInt(w.dst, v.Int(), 10)
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind, protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		w.dst = strconv.AppendUint(w.dst, v.Uint(), 10)
	case protoreflect.FloatKind:
		w.float(v.Float(), 32)
	case protoreflect.DoubleKind:
		w.float(v.Float(), 64)
	case protoreflect.StringKind:
		w.dst = avro.AppendString(w.dst, v.String())
	case protoreflect.BytesKind:
		w.dst = append(base64.StdEncoding.AppendEncode(append(w.dst, '"'), v.Bytes()), '"')
	case protoreflect.MessageKind, protoreflect.GroupKind:
		w.message(v.Message())
	}
}

// float writes a number. JSON has neither NaN nor infinities.
func (w *writer) float(f float64, bits int) {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		w.dst = append(w.dst, "null"...)
		return
	}
	w.dst = strconv.AppendFloat(w.dst, f, 'g', -1, bits)
}

// wellKnown writes a message of one of the types of google.protobuf that have a form of their own, and reports whether m is one.
func (w *writer) wellKnown(m protoreflect.Message) bool {
	kind := m.Descriptor()
	if kind.ParentFile().Package() != "google.protobuf" {
		return false
	}
	fields := kind.Fields()
	first := func() protoreflect.Value { return m.Get(fields.ByNumber(1)) }
	switch kind.Name() {
	case "Timestamp":
		return w.timestamp(first().Int(), m.Get(fields.ByNumber(2)).Int())
	case "Duration":
		return w.duration(first().Int(), m.Get(fields.ByNumber(2)).Int())
	case "Struct", "ListValue":
		w.field(fields.ByNumber(1), first())
	case "Value":
		set := m.WhichOneof(kind.Oneofs().Get(0))
		if set == nil || set.Number() == 1 { // null
			w.dst = append(w.dst, "null"...)
		} else {
			w.value(set, m.Get(set))
		}
	case "BoolValue", "StringValue", "BytesValue", "Int32Value", "Int64Value", "UInt32Value", "UInt64Value", "FloatValue", "DoubleValue":
		w.value(fields.ByNumber(1), first())
	default:
		return false
	}
	return true
}

// The largest numbers of seconds that a Timestamp and a Duration may have, by their definition.
const (
	minSeconds  = -62135596800 // the year 1
	maxSeconds  = 253402300799 // the year 9999
	maxDuration = 315576000000 // 10,000 years
)

// timestamp writes a time. It returns false, so that its fields are written instead, if it is not one.
func (w *writer) timestamp(seconds, nanos int64) bool {
	if seconds < minSeconds || seconds > maxSeconds || nanos < 0 || nanos >= int64(time.Second) {
		return false
	}
	at := time.Unix(seconds, nanos).UTC()
	w.dst = append(at.AppendFormat(append(w.dst, '"'), time.RFC3339Nano), '"')
	return true
}

// duration writes a duration in seconds.
func (w *writer) duration(seconds, nanos int64) bool {
	negative := seconds < 0 || nanos < 0
	if seconds < -maxDuration || seconds > maxDuration || nanos <= -int64(time.Second) || nanos >= int64(time.Second) ||
		negative && (seconds > 0 || nanos > 0) {
		return false
	}
	w.dst = append(w.dst, '"')
	if negative {
		w.dst, seconds, nanos = append(w.dst, '-'), -seconds, -nanos
	}
	w.dst = strconv.AppendInt(w.dst, seconds, 10)
	if nanos > 0 {
		w.dst = append(w.dst, strings.TrimRight(fmt.Sprintf(".%09d", nanos), "0")...)
	}
	w.dst = append(w.dst, 's', '"')
	return true
}
