package scan

import (
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
)

func TestNextProto(t *testing.T) {
	cases := []struct {
		name, src string
		want      ProtoField
		next      int
		ok        bool
	}{
		{"varint", "\x08\x96\x01", ProtoField{Number: 1, Wire: ProtoVarint, Value: 150}, 3, true},
		{"the largest varint", "\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
			ProtoField{Number: 1, Wire: ProtoVarint, Value: 1<<64 - 1}, 11, true},
		{"a varint of more than 64 bits", "\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", ProtoField{}, 0, false},
		{"a varint without an end", "\x08\x80\x80", ProtoField{}, 0, false},
		{"a varint of eleven bytes", "\x08\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00", ProtoField{}, 0, false},
		{"fixed64", "\x39\x01\x00\x00\x00\x00\x00\x00\x80", ProtoField{Number: 7, Wire: ProtoFixed64, Value: 1<<63 | 1}, 9, true},
		{"fixed64, truncated", "\x39\x01\x00\x00\x00\x00\x00\x00", ProtoField{}, 0, false},
		{"fixed32", "\x45\x01\x02\x00\x00", ProtoField{Number: 8, Wire: ProtoFixed32, Value: 513}, 5, true},
		{"bytes", "\x12\x03abc\x08", ProtoField{Number: 2, Wire: ProtoBytes, Start: 2, End: 5}, 5, true},
		{"no bytes", "\x12\x00", ProtoField{Number: 2, Wire: ProtoBytes, Start: 2, End: 2}, 2, true},
		{"bytes beyond the end", "\x12\x04abc", ProtoField{}, 0, false},
		{"bytes of 2^63", "\x12\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01", ProtoField{}, 0, false},
		{"field 0", "\x00\x01", ProtoField{}, 0, false},
		{"a group", "\x0b\x0c", ProtoField{}, 0, false},
		{"wire 6", "\x0e", ProtoField{}, 0, false},
		{"nothing", "", ProtoField{}, 0, false},
	}
	for _, c := range cases {
		got, next, ok := NextProto(c.src, 0)
		if ok != c.ok || ok && (got != c.want || next != c.next) {
			t.Errorf("%s: got %v, %d, %v, want %v, %d, %v", c.name, got, next, ok, c.want, c.next, c.ok)
		}
	}
}

// FuzzNextProto checks that a field is accepted if protobuf's own reader accepts it, apart from groups, and that both read
// the same value.
func FuzzNextProto(f *testing.F) {
	f.Add([]byte("\x08\x96\x01\x12\x03abc\x39\x01\x00\x00\x00\x00\x00\x00\x80\x45\x01\x02\x00\x00"))
	f.Add([]byte("\x0b\x0c"))
	f.Fuzz(func(t *testing.T, src []byte) {
		text := string(src)
		for at := 0; at < len(text); {
			got, next, ok := NextProto(text, at)
			number, wire, n := protowire.ConsumeTag(src[at:])
			size := -1
			if n >= 0 && number <= protowire.MaxValidNumber && wire != protowire.StartGroupType {
				size = protowire.ConsumeFieldValue(number, wire, src[at+n:])
			}
			if ok != (size >= 0) {
				t.Fatalf("at %d of %x: got %v, protowire %d", at, src, ok, size)
			}
			if !ok {
				return
			}
			if got.Number != int(number) || int(got.Wire) != int(wire) || next != at+n+size {
				t.Fatalf("at %d of %x: got %v to %d, protowire %d, %d to %d", at, src, got, next, number, wire, at+n+size)
			}
			checkValue(t, src[at+n:], text, got)
			at = next
		}
	})
}

func TestProtoPosition(t *testing.T) {
	f := func(src, rest string, ok bool, position ...int) {
		t.Helper()
		got, gotRest, gotOK := ProtoPosition(nil, src)
		if gotOK != ok || ok && (gotRest != rest || !slices.Equal(got, position)) {
			t.Errorf("%q: got %d, %q, %v, want %d, %q, %v", src, got, gotRest, gotOK, position, rest, ok)
		}
	}
	f("\x00ab", "ab", true)
	f("\x02\x04ab", "ab", true, 2)
	f("\x04\x02\x00", "", true, 1, 0)
	f("\x02\x80\x01ab", "ab", true, 64)
	f("", "", false)
	f("\x01", "", false)                            // a negative number
	f("\x02\x01", "", false)                        // a negative index
	f("\x02", "", false)                            // no index
	f("\x22"+strings.Repeat("\x00", 17), "", false) // 17 indexes
	f("\x02\xfe\xff\xff\xff\xff\xff\x01", "", false)
}

// checkValue compares the value of a field with that of protobuf's own reader.
func checkValue(t *testing.T, value []byte, text string, got ProtoField) {
	var want uint64
	switch got.Wire {
	case ProtoVarint:
		want, _ = protowire.ConsumeVarint(value)
	case ProtoFixed64:
		want, _ = protowire.ConsumeFixed64(value)
	case ProtoFixed32:
		v, _ := protowire.ConsumeFixed32(value)
		want = uint64(v)
	case ProtoBytes:
		if b, _ := protowire.ConsumeBytes(value); string(b) != text[got.Start:got.End] {
			t.Fatalf("got bytes %q, want %q", text[got.Start:got.End], b)
		}
	}
	if got.Value != want {
		t.Fatalf("got %d, want %d", got.Value, want)
	}
}
