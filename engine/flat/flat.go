// Package flat reads and writes the flat bytes of State and of the store: integers, identities and length-prefixed
// texts, one after another without names. The types that are stored so have their form in a comment.
package flat

import (
	"encoding/binary"

	"github.com/aidr-engine/aidr/schema"
)

// A Reader decodes flat bytes from the front. After the first field that does not fit, the Reader is bad and every
// further read returns a zero value, so that a caller checks Bad or Done once, at the end. The byte slices it returns
// are views of the input.
type Reader struct {
	b   []byte
	bad bool
}

// NewReader returns a Reader of b.
func NewReader(b []byte) Reader { return Reader{b: b} }

// Bad reports whether a field did not fit, or Fail was called.
func (r *Reader) Bad() bool { return r.bad }

// Done reports whether the input was read to its end without a bad field.
func (r *Reader) Done() bool { return !r.bad && len(r.b) == 0 }

// Rest returns the bytes not read yet; nil if the Reader is bad.
func (r *Reader) Rest() []byte { return r.b }

// Fail makes the Reader bad: the caller found a value that the form does not allow.
func (r *Reader) Fail() { r.b, r.bad = nil, true }

// Uvarint reads an unsigned varint.
func (r *Reader) Uvarint() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.Fail()
		return 0
	}
	r.b = r.b[n:]
	return v
}

// Varint reads a signed varint.
func (r *Reader) Varint() int64 {
	v, n := binary.Varint(r.b)
	if n <= 0 {
		r.Fail()
		return 0
	}
	r.b = r.b[n:]
	return v
}

// Count reads a uvarint, the number of the elements that follow, each of at least size bytes. A number that the rest
// of the input cannot hold is bad, so that a damaged one never causes a large allocation.
func (r *Reader) Count(size int) int {
	n := r.Uvarint()
	if n > uint64(len(r.b)/size) {
		r.Fail()
		return 0
	}
	return int(n)
}

// Bytes reads n bytes.
func (r *Reader) Bytes(n int) []byte {
	if n > len(r.b) {
		r.Fail()
		return nil
	}
	v := r.b[:n:n]
	r.b = r.b[n:]
	return v
}

// Byte reads one byte.
func (r *Reader) Byte() byte {
	if v := r.Bytes(1); v != nil {
		return v[0]
	}
	return 0
}

// Uint64 reads 8 bytes, big-endian.
func (r *Reader) Uint64() uint64 {
	if v := r.Bytes(8); v != nil {
		return binary.BigEndian.Uint64(v)
	}
	return 0
}

// Int64 reads 8 bytes, big-endian, in two's complement.
func (r *Reader) Int64() int64 { return int64(r.Uint64()) }

// Instant reads an instant: Int64 as nanoseconds since the epoch.
func (r *Reader) Instant() schema.Instant { return schema.Instant(r.Int64()) }

// Text reads a uvarint length and that many bytes.
func (r *Reader) Text() []byte { return r.Bytes(r.Count(1)) }

// ID reads an identity.
func (r *Reader) ID() (id schema.ID) {
	copy(id[:], r.Bytes(len(id)))
	return id
}

// AppendInt64 appends v as 8 bytes, big-endian, in two's complement.
func AppendInt64(dst []byte, v int64) []byte { return binary.BigEndian.AppendUint64(dst, uint64(v)) }

// AppendInstant appends an instant as AppendInt64 appends its nanoseconds since the epoch.
func AppendInstant(dst []byte, t schema.Instant) []byte { return AppendInt64(dst, int64(t)) }

// AppendText appends the length of s as a uvarint, and s.
func AppendText[T string | []byte](dst []byte, s T) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}

// ReadText reads a text that AppendText wrote from the front of src. Unlike a Reader it also reads strings, without a
// copy. If src is damaged, both results are empty.
func ReadText[T string | []byte](src T) (text, rest T) {
	n, at := uint64(0), 0
	for shift := 0; ; shift += 7 {
		if at == len(src) || shift > 28 {
			return text, rest
		}
		b := src[at]
		at++
		n |= uint64(b&0x7f) << shift
		if b < 0x80 {
			break
		}
	}
	if n > uint64(len(src)-at) {
		return text, rest
	}
	return src[at : at+int(n)], src[at+int(n):]
}
