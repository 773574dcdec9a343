package llm

import (
	"encoding/binary"
	"math"
)

// names finds what the name of an attribute means.
type names struct {
	list  []name  // in the order of their slots
	slots []uint8 // hash of a name -> index in list + 1, 0 for none; a power of two of them
}

// name is one name of an attribute, and its rank among the names of it.
type name struct {
	text      string
	attribute attribute
	rank      uint8
}

// nameSlots is how many slots there are: so many that most names that mean nothing meet an empty one.
const nameSlots = 1 << 10

func newNames() *names {
	x := &names{slots: make([]uint8, nameSlots)}
	for a, list := range attributeNames() {
		for rank, text := range list {
			if len(x.list) == math.MaxUint8 {
				panic("BUG: more names than a slot can tell apart")
			}
			x.list = append(x.list, name{text, attribute(a), uint8(rank)})
			at := hashName(text)
			for x.slots[at%nameSlots] != 0 {
				at++
			}
			x.slots[at%nameSlots] = uint8(len(x.list))
		}
	}
	return x
}

// find returns what a name means.
func (x *names) find(text string) (known *name, ok bool) {
	for at := hashName(text); ; at++ {
		i := x.slots[at%nameSlots]
		if i == 0 {
			return nil, false
		}
		if known = &x.list[i-1]; known.text == text {
			return known, true
		}
	}
}

// hashName is cheap, and good enough for names that are known: whatever others there are, there is no more to look at
// than names in a row.
func hashName(s string) uint32 {
	var first, last uint64
	switch n := len(s); {
	case n >= 8:
		first, last = binary.LittleEndian.Uint64([]byte(s)), binary.LittleEndian.Uint64([]byte(s[n-8:]))
	case n > 0:
		first, last = uint64(s[0]), uint64(s[n-1])
	}
	h := (first*31 ^ last) + uint64(len(s))
	return uint32(h * 0x9e3779b97f4a7c15 >> 40) // the golden ratio: it spreads what is near over all bits
}
