package scan

// ProtoWire is the wire type of a field of a protobuf message.
type ProtoWire uint8

// The wire types.
const (
	ProtoVarint  ProtoWire = 0
	ProtoFixed64 ProtoWire = 1
	ProtoBytes   ProtoWire = 2 // a text, bytes, or a message
	ProtoFixed32 ProtoWire = 5
)

// ProtoField is one field of a protobuf message.
type ProtoField struct {
	Number     int
	Wire       ProtoWire
	Value      uint64 // the value, unless the wire type is ProtoBytes
	Start, End int    // the value is src[Start:End], if the wire type is ProtoBytes
}

// maxProtoNumber is the largest field number, 2^29 - 1.
const maxProtoNumber = 1<<29 - 1

// NextProto reads the field at src[at:] and returns the offset of the next one. If the field is not well formed, or src
// ends before it, ok is false. Groups, which protobuf deprecated long ago, are treated as not well formed.
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

// protoVarint reads a number of up to 64 bits, seven bits in each byte, the lowest bits first.
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

// protoFixed reads a number of size bytes, the lowest byte first.
func protoFixed(src string, at, size int) (v uint64, ok bool) {
	if len(src)-at < size {
		return 0, false
	}
	for i := range size {
		v |= uint64(src[at+i]) << (8 * i)
	}
	return v, true
}

// maxProtoIndexes is the largest number of indexes of a position. No producer nests messages as deeply in a schema.
const maxProtoIndexes = 16

// ProtoPosition reads the position of a message in its schema, as the serializers of a schema registry write it before the
// message: the number of indexes and then the indexes, each a zigzag varint. It appends the indexes to dst; none means the
// first message of the schema. rest is the message. If the position is not well formed, ok is false.
func ProtoPosition(dst []int, src string) (position []int, rest string, ok bool) {
	count, at, ok := protoVarint(src, 0)
	if !ok || count&1 != 0 || count>>1 > maxProtoIndexes { // an odd number is negative
		return dst, "", false
	}
	for n := count >> 1; n > 0; n-- {
		var index uint64
		if index, at, ok = protoVarint(src, at); !ok || index&1 != 0 || index>>1 > maxProtoNumber {
			return dst, "", false
		}
		dst = append(dst, int(index>>1))
	}
	return dst, src[at:], true
}
