package fold

import (
	"crypto/sha256"
	"encoding/binary"
	"math"
	"strconv"

	"github.com/aidr-engine/aidr/engine/flat"
	"github.com/aidr-engine/aidr/engine/item"
	"github.com/aidr-engine/aidr/schema"
)

// sideSize is the size in bytes of the hash of one side of a join. Zeros are a side that is not known yet.
const sideSize = 16

// joinValues are the join values of the chains of a key: for each join the hash of the value that its sides have, or zeros
// if the chain has no side of it yet. The flat form, at the end of State:
//
//	n           uvarint
//	n values    sideSize bytes for each join; the one for which a chain began or grew longest ago first
//	per place but the last, per chain: uvarint: the index of its join value
//
// A value stays while it or an earlier one has a chain: whether a chain is still in time does not change the order in which
// values leave.
type joinValues struct {
	width   int // size in bytes of a value; 0 without joins
	values  []byte
	touches []uint32 // the values for which the item begins or grows a chain, in order
	last    []int    // for each value the number of its last touch, 0 for none
	sides   []byte   // a value: the sides of the item that is folded
	value   []byte   // a value that with makes
	text    []byte   // of one side
	slots   []uint32 // a hash table of the first `indexed` values: indexes plus 1
	indexed int
	order   []uint32 // the values that stay, in the order of the flat form
	indexes []uint32 // for each value its index in order, unused for those that leave
}

// noJoin is the index of the join value of a chain that has not begun.
const noJoin = -1

func (v *joinValues) reset() {
	v.width, v.values, v.touches, v.last, v.order = 0, v.values[:0], v.touches[:0], v.last[:0], v.order[:0]
	if v.indexed > 0 {
		clear(v.slots)
	}
	v.indexed = 0
}

func (v *joinValues) len() int { return len(v.last) }

func (v *joinValues) at(i int) []byte { return v.values[i*v.width : (i+1)*v.width] }

// readSides reads the sides of the joins that an item has as a step. ok is false if a side is absent or empty, or two of one
// join differ: the item then is no part of a chain.
func (k *sequence) readSides(ps *partials, step int, it *item.Item) (ok bool) {
	v := &ps.joins
	v.width = len(k.joins) * sideSize
	v.sides = append(v.sides[:0], make([]byte, v.width)...)
	for i := range k.joins {
		known := v.sides[i*sideSize:][:sideSize]
		for j := range k.joins[i].Sides {
			side := &k.joins[i].Sides[j]
			if k.needs[side.Need].step != step {
				continue
			}
			value := side.Value(needed(k.needs, side.Need, it.Roles, it.Data))
			if !value.Present() {
				return false
			}
			v.text = appendSideText(v.text[:0], value)
			sum := sha256.Sum256(v.text)
			if isKnown(known) && string(known) != string(sum[:sideSize]) {
				return false
			}
			copy(known, sum[:])
		}
	}
	return true
}

func isKnown(side []byte) bool {
	return binary.BigEndian.Uint64(side)|binary.BigEndian.Uint64(side[8:]) != 0
}

// appendSideText appends a text that is the same for equal values: numbers are equal whatever their type, and JSON in any
// order of its keys.
func appendSideText(dst []byte, v schema.Value) []byte {
	switch v.Kind {
	case schema.KindString:
		return append(append(dst, 's'), v.Text...)
	case schema.KindInt:
		return strconv.AppendInt(append(dst, 'n'), v.Int(), 10)
	case schema.KindDouble:
		if x := v.Double(); x == math.Trunc(x) && math.Abs(x) < 1<<53 {
			return strconv.AppendInt(append(dst, 'n'), int64(x), 10)
		}
		return item.AppendValueText(append(dst, 'n'), v)
	case schema.KindJSON, schema.KindList:
		return append(append(dst, 'j'), item.Canonical(v.Text)...)
	}
	return item.AppendValueText(append(dst, byte('0'+v.Kind)), v)
}

// fits reports whether the sides of the item are those of a join value as far as both are known.
func (v *joinValues) fits(join int) bool {
	if v.width == 0 || join == noJoin {
		return true
	}
	value := v.at(join)
	for i := 0; i < v.width; i += sideSize {
		a, b := value[i:i+sideSize], v.sides[i:i+sideSize]
		if isKnown(a) && isKnown(b) && string(a) != string(b) {
			return false
		}
	}
	return true
}

// with returns the join value of a chain that has the join value and is extended by the item; ok is false if the item does
// not fit.
func (v *joinValues) with(join int) (extended uint32, ok bool) {
	if v.width == 0 {
		return 0, true
	}
	if !v.fits(join) {
		return 0, false
	}
	v.value = append(v.value[:0], v.sides...)
	if join != noJoin {
		for i, b := range v.at(join) {
			v.value[i] |= b // equal, or one of them zeros
		}
	}
	i := v.index()
	v.touches = append(v.touches, i)
	v.last[i] = len(v.touches)
	return i, true
}

// index returns the index of value, which it adds if it is new.
func (v *joinValues) index() uint32 {
	if 2*(v.len()+1) > len(v.slots) {
		v.slots, v.indexed = make([]uint32, max(64, 4*v.len())), 0
	}
	for ; v.indexed < v.len(); v.indexed++ {
		*v.slot(v.at(v.indexed)) = uint32(v.indexed) + 1
	}
	slot := v.slot(v.value)
	if *slot == 0 {
		v.values, v.last = append(v.values, v.value...), append(v.last, 0)
		v.indexed++
		*slot = uint32(v.len())
	}
	return *slot - 1
}

// slot returns the slot of the hash table that holds the value, or the free one into which it belongs. Values are hashes.
func (v *joinValues) slot(value []byte) *uint32 {
	h := uint64(0)
	for i := 0; i < len(value); i += 8 {
		h = h*31 + binary.BigEndian.Uint64(value[i:])
	}
	for {
		slot := &v.slots[h%uint64(len(v.slots))]
		if *slot == 0 || string(v.at(int(*slot-1))) == string(value) {
			return slot
		}
		h++
	}
}

// arrange sets order: of the latest values those that stay. used reports whether a value has chains. lost is the number of
// values with chains that leave.
func (v *joinValues) arrange(used func(join uint32) bool) (lost int) {
	v.order = v.order[:0]
	for i, last := range v.last {
		if last == 0 {
			v.order = append(v.order, uint32(i))
		}
	}
	for i, join := range v.touches {
		if v.last[join] == i+1 {
			v.order = append(v.order, join)
		}
	}
	from := max(0, len(v.order)-maxJoinValues)
	for _, join := range v.order[:from] {
		if used(join) {
			lost++
		}
	}
	for from < len(v.order) && !used(v.order[from]) {
		from++
	}
	v.order = v.order[from:]
	v.indexes = v.indexes[:0]
	for range v.last {
		v.indexes = append(v.indexes, unused)
	}
	for i, join := range v.order {
		v.indexes[join] = uint32(i)
	}
	return lost
}

// evict removes the chains of the join values beyond maxJoinValues. It returns the number of these values.
func (k *sequence) evict(ps *partials) (lost int) {
	if len(k.joins) == 0 {
		return 0
	}
	v := &ps.joins
	ps.counts = append(ps.counts[:0], make([]int, v.len())...)
	last := len(k.places) - 1
	for i := range last {
		for _, join := range ps.chains[i].joins {
			ps.counts[join]++
		}
	}
	lost = v.arrange(func(join uint32) bool { return ps.counts[join] > 0 })
	for i := range last {
		c := &ps.chains[i]
		c.keep(func(n int) bool { return v.indexes[c.joins[n]] != unused })
	}
	return lost
}

// readJoins reads the join values of the chains.
func (k *sequence) readJoins(r *flat.Reader, s *partials) {
	if len(k.joins) == 0 {
		return
	}
	v := &s.joins
	v.width = len(k.joins) * sideSize
	n := r.Count(v.width)
	v.values = append(v.values, r.Bytes(n*v.width)...)
	for range n {
		v.last = append(v.last, 0)
	}
	for i := range len(k.places) - 1 {
		joins := s.chains[i].joins
		for j := range joins {
			join := r.Uvarint()
			if join >= uint64(n) {
				r.Fail()
				return
			}
			joins[j] = uint32(join)
		}
	}
}

// appendJoins appends the join values of the chains.
func (k *sequence) appendJoins(dst []byte, ps *partials) []byte {
	if len(k.joins) == 0 {
		return dst
	}
	v := &ps.joins
	dst = binary.AppendUvarint(dst, uint64(len(v.order)))
	for _, join := range v.order {
		dst = append(dst, v.at(int(join))...)
	}
	for i := range len(k.places) - 1 {
		for _, join := range ps.chains[i].joins {
			dst = binary.AppendUvarint(dst, uint64(v.indexes[join]))
		}
	}
	return dst
}
