package scan

// ProtoWire is how a field of a protobuf message is written.
type ProtoWire uint8

const (
	ProtoVarint  ProtoWire = 0
	ProtoFixed64 ProtoWire = 1
	ProtoBytes   ProtoWire = 2 // text, bytes, or a message
	ProtoFixed32 ProtoWire = 5
)

// ProtoField is one field of a protobuf message: its number, and its value, which for ProtoBytes is src[Start:End].
type ProtoField struct {
	Number     int
	Wire       ProtoWire
	Value      uint64 // of the other kinds
	Start, End int
}

// maxProtoNumber is the largest number of a field, 2^29 - 1.
const maxProtoNumber = 1<<29 - 1

// NextProto reads the field at src[at:] and returns where the next one begins; ok is false where there is none that is
// well formed. Groups, which nobody has written for twenty years, are not well formed.
func NextProto(src string, at int) (f ProtoField, next int, ok bool) {
	tag, at, ok := protoVarint(src, at)
	if !ok || tag>>3 == 0 || tag>>3 > maxProtoNumber {
		return f, at, false
	}
	f.Number, f.Wire = int(tag>>3), ProtoWire(tag&7)
	switch f.Wire {
	case ProtoVarint:
		f.Value, at, ok = protoVarint(src, at)
		return f, at, ok
	case ProtoFixed64:
		f.Value, ok = protoFixed(src, at, 8)
		return f, at + 8, ok
	case ProtoFixed32:
		f.Value, ok = protoFixed(src, at, 4)
		return f, at + 4, ok
	case ProtoBytes:
		size, at, ok := protoVarint(src, at)
		if !ok || size > uint64(len(src)-at) {
			return f, at, false
		}
		f.Start, f.End = at, at+int(size)
		return f, f.End, true
	}
	return f, at, false
}

// protoVarint reads a number of up to 64 bits, seven bits a byte, the lowest first.
func protoVarint(src string, at int) (v uint64, next int, ok bool) {
	for shift := 0; shift < 70 && at < len(src); shift += 7 {
		b := src[at]
		at++
		if shift == 63 && b > 1 {
			return 0, at, false // more than 64 bits
		}
		v |= uint64(b&0x7f) << shift
		if b < 0x80 {
			return v, at, true
		}
	}
	return 0, at, false
}

// protoFixed reads a number of size bytes, the lowest first.
func protoFixed(src string, at, size int) (v uint64, ok bool) {
	if len(src)-at < size {
		return 0, false
	}
	for i := range size {
		v |= uint64(src[at+i]) << (8 * i)
	}
	return v, true
}
