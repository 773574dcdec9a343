package decode

import (
	"fmt"
	"regexp"
	"regexp/syntax"
	"unicode/utf8"
)

// Pattern is a regular expression in RE2's syntax that extracts a part of a text. It matches exactly as Go's regexp
// does; the tests hold it to that. It has a matcher of its own because regexp allocates for each match: on a request
// line, `^[A-Z]+ (\S+)` takes 31 ns and no allocation here, 318 ns and one allocation of 32 bytes with
// FindStringSubmatchIndex (BenchmarkPattern, medians of 5). A Pattern is immutable and shared by workers.
type Pattern struct {
	steps    []step
	start    int
	anchored bool   // a match begins at the start of the text, or nowhere
	group    int    // the group to extract; 0 is the whole match
	moves    []move // see linearMoves; nil if the pattern is not linear
	words    *words // nil if the pattern is not a choice of words
}

// step is one instruction of a pattern.
type step struct {
	inst     *syntax.Inst
	consumes bool      // it consumes a character
	ascii    [2]uint64 // bit: the characters below 0x80 that it consumes
	wide     bool      // it may consume others
	memoised bool      // it is reachable in more than one way, so visits to it are remembered
	loop     *step     // of a choice: the body of a greedy loop that never has to give a character back, see greedyLoop
}

const (
	// maxPattern is the largest number of instructions in a pattern. No field needs nearly as many. It also bounds the
	// memory of a match.
	maxPattern = 1000
	// maxSubject is the length in bytes of the longest text that is matched, enough for a request line or a header. A
	// longer text does not match.
	maxSubject = 8 << 10
)

// NewPattern compiles a pattern that extracts its only group, or the whole match if it has no group.
func NewPattern(text string) (*Pattern, error) {
	if _, err := regexp.Compile(text); err != nil { // for its errors, which people know
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
		p.steps[i].memoised = reached[i] > 1 || op == syntax.InstAlt || op == syntax.InstAltMatch
		p.steps[i].loop = p.greedyLoop(i)
	}
	p.moves = p.linearMoves()
	p.words = wordsOf(tree)
	return p, nil
}

// greedyLoop returns the body of the loop at choice i if leaving the loop early can never help: the next step is the end
// of the pattern or of the text, or a character that the loop does not consume. Otherwise it returns nil.
func (p *Pattern) greedyLoop(i int) *step {
	choice := p.steps[i].inst
	if choice.Op != syntax.InstAlt {
		return nil
	}
	loop := &p.steps[choice.Out]
	if !loop.consumes || int(loop.inst.Out) != i {
		return nil
	}
	next := &p.steps[choice.Arg]
	for next.inst.Op == syntax.InstCapture || next.inst.Op == syntax.InstNop {
		next = &p.steps[next.inst.Out]
	}
	switch {
	case next.inst.Op == syntax.InstMatch, next.ends():
		return loop
	case next.consumes && !(next.wide && loop.wide) && next.ascii[0]&loop.ascii[0]|next.ascii[1]&loop.ascii[1] == 0:
		return loop
	}
	return nil
}

// ends reports whether a step is an assertion of the end of the text.
func (s *step) ends() bool {
	return s.inst.Op == syntax.InstEmptyWidth && syntax.EmptyOp(s.inst.Arg) == syntax.EmptyEndText
}

func newStep(inst *syntax.Inst) step {
	s := step{inst: inst}
	switch inst.Op {
	case syntax.InstRune, syntax.InstRune1, syntax.InstRuneAny, syntax.InstRuneAnyNotNL:
		s.consumes = true
		for r := range rune(utf8.RuneSelf) {
			if inst.MatchRune(r) {
				s.ascii[r>>6] |= 1 << (r & 63)
			}
		}
		last := inst.Rune // sorted ranges: the last element is the greatest
		s.wide = len(last) == 0 || last[len(last)-1] >= utf8.RuneSelf || syntax.Flags(inst.Arg)&syntax.FoldCase != 0
	}
	return s
}

// move is one action of a linear pattern. If it fails, the text does not match.
type move struct {
	kind moveKind
	step *step // of consumeOne and consumeAll
}

type moveKind uint8

const (
	consumeOne moveKind = iota // one character that the step consumes
	consumeAll                 // as many of them as there are
	groupStart                 // the wanted group begins
	groupEnd                   // the wanted group ends
	textEnd                    // the end of the text
)

// linearMoves compiles an anchored pattern whose only choices are greedy loops that never have to give a character
// back, as in most patterns for log lines. Such a pattern needs neither backtracking nor a memo. It returns nil for any
// other pattern.
func (p *Pattern) linearMoves() (moves []move) {
	if !p.anchored {
		return nil
	}
	for place := p.start; ; {
		s := &p.steps[place]
		place = int(s.inst.Out)
		switch {
		case s.consumes:
			moves = append(moves, move{consumeOne, s})
		case s.loop != nil:
			moves = append(moves, move{consumeAll, s.loop})
			place = int(s.inst.Arg)
		case s.ends():
			moves = append(moves, move{kind: textEnd})
		case s.inst.Op == syntax.InstCapture:
			moves = append(moves, move{kind: groupStart + moveKind(s.inst.Arg&1)})
		case s.inst.Op == syntax.InstNop:
		case s.inst.Op == syntax.InstEmptyWidth && syntax.EmptyOp(s.inst.Arg) == syntax.EmptyBeginText && len(moves) == 0:
		case s.inst.Op == syntax.InstMatch:
			return moves
		default:
			return nil
		}
	}
}

// matchLinear matches a linear pattern and returns the extracted part.
func (p *Pattern) matchLinear(text string) (part string, ok bool) {
	at, from, to := 0, 0, -1
	for i := range p.moves {
		m := &p.moves[i]
		switch m.kind {
		case consumeOne:
			n := m.step.consume(text, at)
			if n == 0 {
				return "", false
			}
			at += n
		case consumeAll:
			at = m.step.consumeAll(text, at)
		case groupStart:
			from = at
		case groupEnd:
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

// matcher matches patterns for one worker. It tries the alternatives of a pattern in order of preference and remembers
// which steps it has tried at which byte. No step is tried twice at one byte, so the time is bounded by steps times bytes.
type matcher struct {
	pattern *Pattern
	text    string
	visited []uint64 // bit step*(len(text)+1) + byte
	pending []branch
	capture [4]int
}

// branch is something left to try: a step at a byte, or the restoring of a capture.
type branch struct {
	step, at int
	restore  bool // set capture[step] to at
}

// find returns the part extracted from the first match in the text.
func (m *matcher) find(p *Pattern, text string) (part string, ok bool) {
	if len(text) > maxSubject {
		return "", false
	}
	switch {
	case p.words != nil:
		return p.words.find(text)
	case p.moves != nil:
		return p.matchLinear(text)
	}
	return m.search(p, text)
}

// search is find for any pattern.
func (m *matcher) search(p *Pattern, text string) (part string, ok bool) {
	m.pattern, m.text = p, text
	words := (len(p.steps)*(len(text)+1) + 63) / 64
	if cap(m.visited) < words {
		m.visited = make([]uint64, words)
	}
	m.visited = m.visited[:words]
	clear(m.visited)
	for start := 0; start <= len(text); {
		m.capture = [4]int{start, -1, -1, -1}
		if m.matchAt(start) {
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

// matchAt reports whether a match begins at start.
func (m *matcher) matchAt(start int) bool {
	m.pending = append(m.pending[:0], branch{step: m.pattern.start, at: start})
	for len(m.pending) > 0 {
		b := m.pending[len(m.pending)-1]
		m.pending = m.pending[:len(m.pending)-1]
		if b.restore {
			m.capture[b.step] = b.at
			continue
		}
		if m.advance(b.step, b.at) {
			return true
		}
	}
	return false
}

// advance runs the pattern from a step until it matches or fails. It pushes the alternatives on pending.
func (m *matcher) advance(place, at int) bool {
	for {
		s := &m.pattern.steps[place]
		if s.memoised {
			bit := place*(len(m.text)+1) + at
			if m.visited[bit>>6]&(1<<(bit&63)) != 0 {
				return false
			}
			m.visited[bit>>6] |= 1 << (bit & 63)
		}
		if s.consumes {
			n := s.consume(m.text, at)
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
			if s.loop != nil {
				var ok bool
				if at, ok = m.consumeLoop(s.loop, place, at); !ok {
					return false
				}
				place = int(s.inst.Arg)
				continue
			}
			m.pending = append(m.pending, branch{step: int(s.inst.Arg), at: at})
		case syntax.InstCapture:
			if slot := int(s.inst.Arg); slot < len(m.capture) {
				m.pending = append(m.pending, branch{step: slot, at: m.capture[slot], restore: true})
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

// consumeLoop consumes all characters that the loop of a choice does, and returns the byte after them. ok is false if
// it reaches a byte at which the choice has already been tried.
func (m *matcher) consumeLoop(loop *step, choice, at int) (end int, ok bool) {
	for n := loop.consume(m.text, at); n > 0; n = loop.consume(m.text, at) {
		at += n
		bit := choice*(len(m.text)+1) + at
		if m.visited[bit>>6]&(1<<(bit&63)) != 0 {
			return at, false
		}
		m.visited[bit>>6] |= 1 << (bit & 63)
	}
	return at, true
}

// consume returns the length in bytes of the character at a byte, or 0 if the step does not consume it.
func (s *step) consume(text string, at int) int {
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

// consumeAll returns the byte after the run of characters from at on that the step consumes.
func (s *step) consumeAll(text string, at int) int {
	low, high := s.ascii[0], s.ascii[1]
	for at < len(text) {
		c := text[at]
		if c >= utf8.RuneSelf {
			n := s.consume(text, at)
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

// around returns the characters before and after a byte, or -1 at an end of the text.
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
