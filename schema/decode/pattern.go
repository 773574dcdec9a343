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
	text  string
	prog  *syntax.Prog
	group int // the group whose text is wanted; 0 is the whole match
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
	return &Pattern{text: text, prog: prog, group: groups}, nil
}

// matcher matches patterns for one worker. It tries the ways of a pattern in order and remembers which step failed at
// which byte, so that no step is tried twice at one byte: the time is at most that product.
type matcher struct {
	prog    *syntax.Prog
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
	m.prog, m.text = p.prog, text
	words := (len(p.prog.Inst)*(len(text)+1) + 63) / 64
	if cap(m.tried) < words {
		m.tried = make([]uint64, words)
	}
	m.tried = m.tried[:words]
	clear(m.tried)
	anchored := p.prog.StartCond()&syntax.EmptyBeginText != 0
	for start := 0; start <= len(text); {
		m.capture = [4]int{start, -1, -1, -1}
		if m.try(start) {
			from, to := m.capture[2*p.group], m.capture[2*p.group+1]
			if from < 0 || to < from {
				return "", false // the group took no part in the match
			}
			return text[from:to], true
		}
		if anchored || start == len(text) {
			break
		}
		_, n := utf8.DecodeRuneInString(text[start:])
		start += n
	}
	return "", false
}

// try says whether a match begins at start.
func (m *matcher) try(start int) bool {
	m.ways = append(m.ways[:0], way{step: m.prog.Start, at: start})
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
func (m *matcher) follow(step, at int) bool {
	for {
		bit := step*(len(m.text)+1) + at
		if m.tried[bit>>6]&(1<<(bit&63)) != 0 {
			return false
		}
		m.tried[bit>>6] |= 1 << (bit & 63)
		inst := &m.prog.Inst[step]
		switch inst.Op {
		case syntax.InstMatch:
			m.capture[1] = at
			return true
		case syntax.InstFail:
			return false
		case syntax.InstAlt, syntax.InstAltMatch:
			m.ways = append(m.ways, way{step: int(inst.Arg), at: at})
		case syntax.InstCapture:
			if int(inst.Arg) < len(m.capture) {
				m.ways = append(m.ways, way{step: int(inst.Arg), at: m.capture[inst.Arg], restore: true})
				m.capture[inst.Arg] = at
			}
		case syntax.InstEmptyWidth:
			before, after := m.around(at)
			if syntax.EmptyOp(inst.Arg)&^syntax.EmptyOpContext(before, after) != 0 {
				return false
			}
		case syntax.InstNop:
		default: // one of the kinds that take a character
			r, n := utf8.DecodeRuneInString(m.text[at:])
			if n == 0 || !inst.MatchRune(r) {
				return false
			}
			at += n
		}
		step = int(inst.Out)
	}
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
