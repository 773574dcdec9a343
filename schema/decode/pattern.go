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
	anchored bool   // a match begins at the text's start, or nowhere
	group    int    // the group whose text is wanted; 0 is the whole match
	moves    []move // of a pattern that has one way only; nil: it has more
}

// step is one instruction of a pattern.
type step struct {
	inst  *syntax.Inst
	takes bool      // it takes a character
	ascii [2]uint64 // of those that it takes, the ones below 0x80
	wide  bool      // it may take some that are not
	mark  bool      // it is reached in more than one way: what it has tried is remembered
	run   *step     // of a greedy loop over one set of characters that nothing that follows begins with: that set
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
	p.moves = p.onlyWay()
	return p, nil
}

// runOf returns the step that the choice i loops over, where it never helps to leave the loop early: behind it stands the
// end of the pattern or of the text, or a character that the loop does not take. Else it returns nil.
func (p *Pattern) runOf(i int) *step {
	choice := p.steps[i].inst
	if choice.Op != syntax.InstAlt {
		return nil
	}
	loop := &p.steps[choice.Out]
	if !loop.takes || int(loop.inst.Out) != i {
		return nil
	}
	behind := &p.steps[choice.Arg]
	for behind.inst.Op == syntax.InstCapture || behind.inst.Op == syntax.InstNop {
		behind = &p.steps[behind.inst.Out]
	}
	switch {
	case behind.inst.Op == syntax.InstMatch, behind.ends():
		return loop
	case behind.takes && !(behind.wide && loop.wide) && behind.ascii[0]&loop.ascii[0]|behind.ascii[1]&loop.ascii[1] == 0:
		return loop
	}
	return nil
}

// ends says that a step holds at the end of the text only.
func (s *step) ends() bool {
	return s.inst.Op == syntax.InstEmptyWidth && syntax.EmptyOp(s.inst.Arg) == syntax.EmptyEndText
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
		last := inst.Rune // the last of the ranges ends with the greatest
		s.wide = len(last) == 0 || last[len(last)-1] >= utf8.RuneSelf || syntax.Flags(inst.Arg)&syntax.FoldCase != 0
	}
	return s
}

// move is one thing to do of a pattern in which nothing is ever tried in two ways: it is done, or the text does not match.
type move struct {
	do   deed
	what *step // of takeOne and takeAll
}

type deed uint8

const (
	takeOne   deed = iota // a character that the step takes
	takeAll               // as many as there are
	groupFrom             // the wanted group begins
	groupTo
	textEnd // nothing is left
)

// onlyWay returns the moves of a pattern that begins at the text's start and has no choices but loops that it never helps
// to leave early, as most have that cut a line of words. Such a pattern needs neither to go back nor to remember what it
// tried. It returns nil for all others.
func (p *Pattern) onlyWay() (moves []move) {
	if !p.anchored {
		return nil
	}
	for place := p.start; ; {
		s := &p.steps[place]
		place = int(s.inst.Out)
		switch {
		case s.takes:
			moves = append(moves, move{takeOne, s})
		case s.run != nil:
			moves = append(moves, move{takeAll, s.run})
			place = int(s.inst.Arg)
		case s.ends():
			moves = append(moves, move{do: textEnd})
		case s.inst.Op == syntax.InstCapture:
			moves = append(moves, move{do: groupFrom + deed(s.inst.Arg&1)})
		case s.inst.Op == syntax.InstNop:
		case s.inst.Op == syntax.InstEmptyWidth && syntax.EmptyOp(s.inst.Arg) == syntax.EmptyBeginText && len(moves) == 0:
		case s.inst.Op == syntax.InstMatch:
			return moves
		default:
			return nil
		}
	}
}

// follow returns the wanted part of the text where it matches a pattern that has one way only.
func (p *Pattern) follow(text string) (part string, ok bool) {
	at, from, to := 0, 0, -1
	for i := range p.moves {
		m := &p.moves[i]
		switch m.do {
		case takeOne:
			n := m.what.take(text, at)
			if n == 0 {
				return "", false
			}
			at += n
		case takeAll:
			at = m.what.takeAll(text, at)
		case groupFrom:
			from = at
		case groupTo:
			to = at
		case textEnd:
			if at < len(text) {
				return "", false
			}
		}
	}
	switch {
	case p.group == 0:
		to = at
	case to < 0:
		return "", false // the group took no part in the match
	}
	return text[from:to], true
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
	if p.moves != nil {
		return p.follow(text)
	}
	return m.search(p, text)
}

// search is find for every pattern.
func (m *matcher) search(p *Pattern, text string) (part string, ok bool) {
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
			n := s.take(m.text, at)
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
	for n := loop.take(m.text, at); n > 0; n = loop.take(m.text, at) {
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
func (s *step) take(text string, at int) int {
	if at == len(text) {
		return 0
	}
	if c := text[at]; c < utf8.RuneSelf {
		return int(s.ascii[c>>6] >> (c & 63) & 1)
	}
	r, n := utf8.DecodeRuneInString(text[at:])
	if !s.inst.MatchRune(r) {
		return 0
	}
	return n
}

// takeAll returns where the characters from a byte on end that the step takes.
func (s *step) takeAll(text string, at int) int {
	low, high := s.ascii[0], s.ascii[1]
	for at < len(text) {
		c := text[at]
		if c >= utf8.RuneSelf {
			n := s.take(text, at)
			if n == 0 {
				break
			}
			at += n
			continue
		}
		set := low
		if c >= 64 {
			set = high
		}
		if set>>(c&63)&1 == 0 {
			break
		}
		at++
	}
	return at
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
