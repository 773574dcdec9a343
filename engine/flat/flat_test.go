package flat

import (
	"bytes"
	"encoding/binary"
	"math"
	"testing"

	"github.com/aidr-engine/aidr/schema"
)

func TestReader(t *testing.T) {
	id := schema.ID{1, 15: 9}
	b := binary.AppendUvarint(nil, 300)
	b = binary.AppendVarint(b, -300)
	b = AppendInt64(b, math.MinInt64)
	b = append(b, 7)
	b = AppendText(b, "text")
	b = append(b, id[:]...)
	b = binary.AppendUvarint(b, 2)
	b = append(b, "ab"...)
	read := func(b []byte) (r Reader, ok bool) {
		r = NewReader(b)
		ok = r.Uvarint() == 300 && r.Varint() == -300 && r.Int64() == math.MinInt64 && r.Byte() == 7 &&
			string(r.Text()) == "text" && r.ID() == id && r.Count(1) == 2 && string(r.Bytes(2)) == "ab"
		return r, ok
	}
	if r, ok := read(b); !ok || !r.Done() || r.Bad() {
		t.Errorf("read what was written: got %v, done %v, bad %v", ok, r.Done(), r.Bad())
	}
	if r, ok := read(append(b, 1)); !ok || r.Done() || r.Bad() || !bytes.Equal(r.Rest(), []byte{1}) {
		t.Errorf("with a byte left: got %v, done %v, bad %v, rest %v", ok, r.Done(), r.Bad(), r.Rest())
	}
	for n := range b {
		if r, ok := read(b[:n]); ok || r.Done() || !r.Bad() {
			t.Errorf("of %d bytes: got %v, done %v, bad %v", n, ok, r.Done(), r.Bad())
		}
	}
}

// A damaged number of elements is bad before anything is allocated for them.
func TestCountIsBounded(t *testing.T) {
	r := NewReader(append(binary.AppendUvarint(nil, math.MaxUint64), make([]byte, 100)...))
	if n := r.Count(8); n != 0 || !r.Bad() {
		t.Errorf("got %d, bad %v", n, r.Bad())
	}
}

// FuzzReadText holds ReadText of strings and of bytes to Reader.Text.
func FuzzReadText(f *testing.F) {
	f.Add(AppendText(nil, "text"))
	f.Fuzz(func(t *testing.T, src []byte) {
		text, rest := ReadText(src)
		if s, left := ReadText(string(src)); s != string(text) || left != string(rest) {
			t.Fatalf("of a string: got %q, %q; of bytes: got %q, %q", s, left, text, rest)
		}
		r := NewReader(src)
		if want := r.Text(); !r.Bad() && len(src) < 1<<20 && (!bytes.Equal(text, want) || !bytes.Equal(rest, r.Rest())) {
			t.Fatalf("got %q, %q; Reader has %q, %q", text, rest, want, r.Rest())
		}
	})
}
