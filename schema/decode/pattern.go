package decode

import (
	"fmt"
	"regexp"
	"regexp/syntax"
	"unicode/utf8"
)

// Pattern is a regular expression of RE2's syntax that takes a part out of a text. It means what Go's regexp means by
// it; it is matched here because Go's allocates for each match. It is immutable; workers share it.
type Pattern struct {
	steps    []step
	start    int
	anchored bool // a match begins at the text's start, or nowhere
	group    int  // the group whose text is wanted; 0 is the whole match
}

// step is one instruction of a pattern.
type step struct {
	inst  *syntax.Inst
	takes bool      // it takes a character
	ascii [2]uint64 // of those that it takes, the ones below 0x80
	mark  bool      // it is reached in more than one way: what it has tried is remembered
	run   *step     // of a greedy loop over one set of characters that what follows can not begin with: that set
}

const (
	// maxPattern is how many instructions a pattern may have: far more than any field needs, and it bounds the memory
	// that a match takes.
	maxPattern = 1000
	// maxSubject is the longest text in bytes that a pattern is tried on: a request line or a header. A longer text does
	// not match.
	maxSubject = 8 << 10
)

// NewPattern compiles a pattern that takes its one group, or all of the match where it has none.
func NewPattern(text string) (*Pattern, error) {
	if _, err := regexp.Compile(text); err != nil { // its errors are those that people know
		return nil, err
	}
	tree, err := syntax.Parse(text, syntax.Perl)
	if err != nil {
		return nil, err
	}
	groups := tree.MaxCap()
	if groups > 1 {
		return nil, fmt.Errorf("it has %d groups: write (?:...) for those that are not the wanted text", groups)
	}
	prog, err := syntax.Compile(tree.Simplify())
	if err != nil {
		return nil, err
	}
	if len(prog.Inst) > maxPattern {
		return nil, fmt.Errorf("it has %d steps, more than %d: make it simpler", len(prog.Inst), maxPattern)
	}
	p := &Pattern{
		steps: make([]step, len(prog.Inst)), start: prog.Start, group: groups,
		anchored: prog.StartCond()&syntax.EmptyBeginText != 0,
	}
	reached := make([]int, len(prog.Inst))
	reached[prog.Start]++
	for i := range prog.Inst {
		inst := &prog.Inst[i]
		p.steps[i] = newStep(inst)
		reached[inst.Out]++
		if inst.Op == syntax.InstAlt || inst.Op == syntax.InstAltMatch {
			reached[inst.Arg]++
		}
	}
	for i := range p.steps {
		op := prog.Inst[i].Op
		p.steps[i].mark = reached[i] > 1 || op == syntax.InstAlt || op == syntax.InstAltMatch
		p.steps[i].run = p.runOf(i)
	}
	return p, nil
}

// runOf returns the step that the choice i loops over, where it never helps to leave the loop early: behind it stands the
// end of the pattern, or one ASCII character that the loop does not take. Else it returns nil.
func (p *Pattern) runOf(i int) *step {
	choice := p.steps[i].inst
	if choice.Op != syntax.InstAlt {
		return nil
	}
	loop := &p.steps[choice.Out]
	if !loop.takes || int(loop.inst.Out) != i {
		return nil
	}
	behind := p.steps[choice.Arg].inst
	for behind.Op == syntax.InstCapture || behind.Op == syntax.InstNop {
		behind = p.steps[behind.Out].inst
	}
	switch {
	case behind.Op == syntax.InstMatch:
		return loop
	case behind.Op == syntax.InstRune1 && behind.Rune[0] < utf8.RuneSelf && !loop.inst.MatchRune(behind.Rune[0]):
		return loop
	}
	return nil
}

func newStep(inst *syntax.Inst) step {
	s := step{inst: inst}
	switch inst.Op {
	case syntax.InstRune, syntax.InstRune1, syntax.InstRuneAny, syntax.InstRuneAnyNotNL:
		s.takes = true
		for r := range rune(utf8.RuneSelf) {
			if inst.MatchRune(r) {
				s.ascii[r>>6] |= 1 << (r & 63)
			}
		}
	}
	return s
}

// matcher matches patterns for one worker. It tries the ways of a pattern in order and remembers which step failed at
// which byte, so that no step is tried twice at one byte: the time is at most that product.
type matcher struct {
	pattern *Pattern
	text    string
	tried   []uint64 // bit: step * (len(text)+1) + byte
	ways    []way
	capture [4]int
}

// way is one thing still to try: a step at a byte, or a capture to put back.
type way struct {
	step, at int
	restore  bool // capture[step] was at
}

// find returns the wanted part of the text's first match.
func (m *matcher) find(p *Pattern, text string) (part string, ok bool) {
	if len(text) > maxSubject {
		return "", false
	}
	m.pattern, m.text = p, text
	words := (len(p.steps)*(len(text)+1) + 63) / 64
	if cap(m.tried) < words {
		m.tried = make([]uint64, words)
	}
	m.tried = m.tried[:words]
	clear(m.tried)
	for start := 0; start <= len(text); {
		m.capture = [4]int{start, -1, -1, -1}
		if m.try(start) {
			from, to := m.capture[2*p.group], m.capture[2*p.group+1]
			if from < 0 || to < from {
				return "", false // the group took no part in the match
			}
			return text[from:to], true
		}
		if p.anchored || start == len(text) {
			break
		}
		_, n := utf8.DecodeRuneInString(text[start:])
		start += n
	}
	return "", false
}

// try says whether a match begins at start.
func (m *matcher) try(start int) bool {
	m.ways = append(m.ways[:0], way{step: m.pattern.start, at: start})
	for len(m.ways) > 0 {
		w := m.ways[len(m.ways)-1]
		m.ways = m.ways[:len(m.ways)-1]
		if w.restore {
			m.capture[w.step] = w.at
			continue
		}
		if m.follow(w.step, w.at) {
			return true
		}
	}
	return false
}

// follow goes on from a step until it matches or fails; what else could be tried it leaves in ways.
func (m *matcher) follow(place, at int) bool {
	for {
		s := &m.pattern.steps[place]
		if s.mark {
			bit := place*(len(m.text)+1) + at
			if m.tried[bit>>6]&(1<<(bit&63)) != 0 {
				return false
			}
			m.tried[bit>>6] |= 1 << (bit & 63)
		}
		if s.takes {
			n := m.take(s, at)
			if n == 0 {
				return false
			}
			at += n
			place = int(s.inst.Out)
			continue
		}
		switch s.inst.Op {
		case syntax.InstMatch:
			m.capture[1] = at
			return true
		case syntax.InstFail:
			return false
		case syntax.InstAlt, syntax.InstAltMatch:
			if s.run != nil {
				var ok bool
				if at, ok = m.run(s.run, place, at); !ok {
					return false
				}
				place = int(s.inst.Arg)
				continue
			}
			m.ways = append(m.ways, way{step: int(s.inst.Arg), at: at})
		case syntax.InstCapture:
			if slot := int(s.inst.Arg); slot < len(m.capture) {
				m.ways = append(m.ways, way{step: slot, at: m.capture[slot], restore: true})
				m.capture[slot] = at
			}
		case syntax.InstEmptyWidth:
			before, after := m.around(at)
			if syntax.EmptyOp(s.inst.Arg)&^syntax.EmptyOpContext(before, after) != 0 {
				return false
			}
		}
		place = int(s.inst.Out)
	}
}

// run takes all characters that the loop of a choice does, and returns where it ends; false where it comes to a byte
// from which that choice has failed.
func (m *matcher) run(loop *step, choice, at int) (end int, ok bool) {
	for n := m.take(loop, at); n > 0; n = m.take(loop, at) {
		at += n
		bit := choice*(len(m.text)+1) + at
		if m.tried[bit>>6]&(1<<(bit&63)) != 0 {
			return at, false
		}
		m.tried[bit>>6] |= 1 << (bit & 63)
	}
	return at, true
}

// take returns the length in bytes of the character at a byte that a step takes, 0 where it takes none.
func (m *matcher) take(s *step, at int) int {
	if at == len(m.text) {
		return 0
	}
	if c := m.text[at]; c < utf8.RuneSelf {
		return int(s.ascii[c>>6] >> (c & 63) & 1)
	}
	r, n := utf8.DecodeRuneInString(m.text[at:])
	if !s.inst.MatchRune(r) {
		return 0
	}
	return n
}

// around returns the characters before and after a byte, -1 at an end of the text.
func (m *matcher) around(at int) (before, after rune) {
	before, after = -1, -1
	if at > 0 {
		before, _ = utf8.DecodeLastRuneInString(m.text[:at])
	}
	if at < len(m.text) {
		after, _ = utf8.DecodeRuneInString(m.text[at:])
	}
	return before, after
}
