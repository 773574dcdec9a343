package llm

import (
	"encoding/binary"
	"math"
)

// names finds the attribute of a name. It is a hash table with open addressing.
type names struct {
	list    []name   // in the order of attributeNames
	buckets []uint16 // by hash of the name: index in list + 1, or 0 if empty
}

// name is one name of an attribute. The lower its rank, the newer its convention.
type name struct {
	text      string
	attribute attribute
	rank      uint8
}

// numBuckets is large enough that most unknown names meet an empty bucket. It is a power of two.
const numBuckets = 1 << 11

func newNames(s *speech) *names {
	x := &names{buckets: make([]uint16, numBuckets)}
	all := attributeNames()
	s.names(&all)
	for a, list := range all {
		for rank, text := range list {
			if len(x.list) == math.MaxUint16 {
				panic("BUG: more names than a bucket can refer to")
			}
			x.list = append(x.list, name{text, attribute(a), uint8(rank)})
			at := hashName(text)
			for x.buckets[at%numBuckets] != 0 {
				at++
			}
			x.buckets[at%numBuckets] = uint16(len(x.list))
		}
	}
	return x
}

// find returns the entry of a name.
func (x *names) find(text string) (known *name, ok bool) {
	for at := hashName(text); ; at++ {
		i := x.buckets[at%numBuckets]
		if i == 0 {
			return nil, false
		}
		if known = &x.list[i-1]; known.text == text {
			return known, true
		}
	}
}

// hashName is cheap and spreads the known names well. A bad name costs at most a walk over the longest run of full
// buckets.
func hashName(s string) uint32 {
	var first, last uint64
	switch n := len(s); {
	case n >= 8:
		first, last = binary.LittleEndian.Uint64([]byte(s)), binary.LittleEndian.Uint64([]byte(s[n-8:]))
	case n > 0:
		first, last = uint64(s[0]), uint64(s[n-1])
	}
	h := (first*31 ^ last) + uint64(len(s))
	return uint32(h * 0x9e3779b97f4a7c15 >> 40) // the golden ratio, which spreads similar values over all bits
}
