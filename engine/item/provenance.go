package item

import (
	"encoding/binary"

	"github.com/aidr-engine/aidr/engine/flat"
)

// The Data of an item of a provenance has a part for each role that the item matches, in the order of the roles. A role
// that makes values known or brings them has
//
//	source   uvarint length, bytes: the tool whose result the text is; empty for `known`
//	flags    1 byte: cutValues if the text had more values than are looked at
//	n        uvarint: the number of values
//	values   n times: hash (8 bytes), place of the value in the text (2 bytes big-endian); ascending by hash
//
// and the role that uses values has
//
//	flags    1 byte, as above
//	n        uvarint
//	values   n times: hash (8 bytes), argument, text (each uvarint length, bytes); the one that a finding shows first
//
// A hash is the beginning of SHA-256 of the value, so that State holds no text of values and no value can be made to
// look like another. The texts are redacted.

// CutValues is the flag of a text that had more values than are looked at.
const CutValues = 1

// BroughtSize is the size in bytes of a value that an item brings or makes known: a hash and a place.
const BroughtSize = ValueHashSize + 2

// Brought is the values that an item brings or makes known.
type Brought struct {
	Source string
	Cut    bool   // the text had more values
	Values string // each of BroughtSize bytes
}

// AppendBrought appends the part of Data of a role that brings values or makes them known.
func AppendBrought(dst []byte, source string, flags byte, values []byte) []byte {
	dst = append(flat.AppendText(dst, source), flags)
	dst = binary.AppendUvarint(dst, uint64(len(values)/BroughtSize))
	return append(dst, values...)
}

// ReadBrought reads the part of a role that brings values or makes them known from the front of data. From damaged bytes it
// returns no values.
func ReadBrought(data string) (b Brought, rest string) {
	b.Source, data = flat.ReadText(data)
	flags, n, data := readCount(data)
	if n > len(data)/BroughtSize {
		return Brought{}, ""
	}
	b.Cut, b.Values = flags&CutValues != 0, data[:n*BroughtSize]
	return b, data[n*BroughtSize:]
}

// Used is a reader of the values that an item uses, in the order in which a finding prefers them.
type Used struct {
	Cut  bool // the text had more values
	n    int
	data string
}

// ReadUsed reads the part of the role that uses values, the last one of Data.
func ReadUsed(data string) (u Used) {
	flags, n, data := readCount(data)
	return Used{flags&CutValues != 0, n, data}
}

// Next returns the next value; ok is false at the end, and if the bytes are damaged.
func (u *Used) Next() (hash, argument, text string, ok bool) {
	if u.n == 0 || len(u.data) < ValueHashSize {
		return "", "", "", false
	}
	u.n--
	hash = u.data[:ValueHashSize]
	argument, u.data = flat.ReadText(u.data[ValueHashSize:])
	text, u.data = flat.ReadText(u.data)
	return hash, argument, text, true
}

// readCount reads flags and a number of values.
func readCount(data string) (flags byte, n int, rest string) {
	if len(data) < 2 {
		return 0, 0, ""
	}
	flags = data[0]
	shift := 0
	for i := 1; i < len(data) && shift < 28; i++ {
		n |= int(data[i]&0x7f) << shift
		if data[i] < 0x80 {
			return flags, n, data[i+1:]
		}
		shift += 7
	}
	return 0, 0, ""
}
