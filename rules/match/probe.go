package match

import (
	"math"
	"net/netip"
	"strings"

	"github.com/aidr-engine/aidr/rules/predicate"
	"github.com/aidr-engine/aidr/schema"
)

// probe looks one value up and marks the atoms that hold for it. A slot has several probes, so that a text is searched only
// if a rule needs the result.
type probe struct {
	slot int32
	part part

	// Of partValue:
	texts    map[string]int32 // atoms
	folds    map[string]int32
	numbers  map[float64]int32
	elements map[string]int32
	bools    [2]int32 // -1: none
	kinds    []kindAtom
	lists    []listAtom
	networks []networkAtoms
	ranges   []rangeAtom // of a column on several slots

	// Of the other parts:
	prefixes *prefixes
	contains *automaton
}

// part is the part of a value that a probe looks at.
type part uint8

const (
	partValue part = iota
	partPrefix
	partSuffix
	partContains
)

type kindAtom struct {
	kinds predicate.KindMask
	atom  int32
}

type rangeAtom struct {
	low, high float64
	atom      int32
}

type listAtom struct {
	list predicate.List
	atom int32
}

// networkAtoms are the networks with one number of bits.
type networkAtoms struct {
	bits  int
	atoms map[netip.Prefix]int32
}

// slotValue is the value of a slot for the current event.
type slotValue struct {
	epoch uint32
	kind  schema.Kind // before an absent field becomes a zero value
	value schema.Value
}

// slotValue returns the value of slot n.
func (s *Scratch) slotValue(n int32) *slotValue {
	v := &s.values[n]
	if v.epoch != s.epoch {
		v.epoch = s.epoch
		v.value, v.kind = s.Predicate.Value(s.index.slots[n])
	}
	return v
}

// number returns the number of slot n for intervals; ok is false for other values.
func (s *Scratch) number(n int32) (f float64, ok bool) {
	v := s.slotValue(n).value
	switch v.Kind {
	case schema.KindInt:
		return float64(v.Int()), true
	case schema.KindDouble:
		if f = v.Double(); math.IsNaN(f) {
			f = math.Inf(-1) // it is ordered before all numbers
		}
		return f, true
	}
	return 0, false
}

// probe runs probe n, whose column is loaded once per event.
func (s *Scratch) probe(n uint32) {
	s.ran[n] = s.epoch
	p := &s.index.probes[n]
	if p.part == partValue {
		p.look(s)
	} else {
		p.search(s)
	}
}

// mark records that an atom holds. It returns false if it was recorded before.
func (s *Scratch) mark(atom uint32) bool {
	if s.held[atom] == s.epoch {
		return false
	}
	s.held[atom] = s.epoch
	s.marked = append(s.marked, atom)
	return true
}

// look marks the atoms of the value itself.
func (p *probe) look(s *Scratch) {
	v := s.slotValue(p.slot)
	for i := range p.kinds {
		if p.kinds[i].kinds.Has(v.kind) {
			s.mark(uint32(p.kinds[i].atom))
		}
	}
	switch v.value.Kind {
	case schema.KindString:
		p.lookText(v.value.Text, s)
	case schema.KindInt, schema.KindDouble:
		p.lookNumber(v.value, s)
		p.lookRanges(s)
	case schema.KindBool:
		if a := p.bools[v.value.Num&1]; a >= 0 {
			s.mark(uint32(a))
		}
	case schema.KindList:
		p.lookList(v.value.Text, s)
	case schema.KindJSON:
		p.lookFold(v.value, s)
	}
}

func (p *probe) lookText(text string, s *Scratch) {
	if p.texts != nil {
		if a, ok := p.texts[text]; ok {
			s.mark(uint32(a))
		}
	}
	if p.folds != nil {
		p.lookFold(schema.StringValue(text), s)
	}
	for i := range p.lists {
		if p.lists[i].list.Contains(text) {
			s.mark(uint32(p.lists[i].atom))
		}
	}
	if p.networks != nil {
		p.lookAddress(text, s)
	}
}

// lookFold marks the texts that a text, or JSON as it is searched, equals in some case.
func (p *probe) lookFold(v schema.Value, s *Scratch) {
	if p.folds == nil {
		return
	}
	text, ok := s.Predicate.Searchable(v)
	if !ok {
		return
	}
	s.folded = predicate.AppendFolded(s.folded[:0], text)
	if a, ok := p.folds[string(s.folded)]; ok {
		s.mark(uint32(a))
	}
}

func (p *probe) lookNumber(v schema.Value, s *Scratch) {
	if p.numbers == nil {
		return
	}
	f := v.Double()
	if v.Kind == schema.KindInt {
		f = float64(v.Int())
	}
	if a, ok := p.numbers[f]; ok {
		s.mark(uint32(a))
	}
}

func (p *probe) lookRanges(s *Scratch) {
	if p.ranges == nil {
		return
	}
	f, _ := s.number(p.slot)
	for i := range p.ranges {
		if r := &p.ranges[i]; r.low <= f && f <= r.high {
			s.mark(uint32(r.atom))
		}
	}
}

func (p *probe) lookAddress(text string, s *Scratch) {
	addr, ok := predicate.ParseAddress(text)
	if !ok {
		return
	}
	for i := range p.networks {
		n := &p.networks[i]
		if n.bits > addr.BitLen() {
			continue
		}
		network, err := addr.Prefix(n.bits)
		if err != nil {
			continue
		}
		if a, ok := n.atoms[network]; ok {
			s.mark(uint32(a))
		}
	}
}

func (p *probe) lookList(text string, s *Scratch) {
	if p.elements == nil {
		return
	}
	it := predicate.Items(text)
	for it.Next() {
		quoted := it.Value()
		if len(quoted) < 2 || quoted[0] != '"' {
			continue
		}
		inner := quoted[1 : len(quoted)-1]
		if strings.IndexByte(inner, '\\') >= 0 {
			inner = predicate.SpellOut(inner)
		}
		if a, ok := p.elements[inner]; ok {
			s.mark(uint32(a))
		}
	}
}

// search marks the atoms of the text of the value.
func (p *probe) search(s *Scratch) {
	v := s.slotValue(p.slot)
	text, ok := s.Predicate.Searchable(v.value)
	if !ok || text == "" {
		return
	}
	switch p.part {
	case partPrefix, partSuffix:
		p.prefixes.find(text, s)
	case partContains:
		if predicate.FoldsBeyondASCII(text) {
			s.folded = predicate.AppendFolded(s.folded[:0], text)
			find(p.contains, s.folded, s)
			return
		}
		find(p.contains, text, s)
	}
}
