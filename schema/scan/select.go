package scan

// Select reads the one JSON value that src holds, blanks around it allowed: validates all of it (RFC 8259, valid UTF-8,
// MaxDepth) and fills out, which has Len entries, with the places of the wanted values; those that are not there become
// Absent. A key that stands twice: the last counts, as in encoding/json - also where the first was an object whose
// members are wanted and the last is not - and dup counts it where it is wanted. An escaped key counts as what it
// spells. An error is an *Error; out is then of no use.
func (t *Trie) Select(src string, out []Span) (dup int, err error) {
	clear(out)
	s := selection{trie: t, src: src, out: out}
	err = s.all()
	return s.dup, err
}

// all is Select into places that are empty.
func (s *selection) all() error {
	v, next, err := s.next(0)
	switch {
	case err != nil:
		return err
	case v.Kind == Absent:
		return sourceError(s.src)
	}
	if at := skipBlanks(s.src, next); at < len(s.src) {
		return newError(s.src, at, badSyntax)
	}
	return nil
}

// next takes one value of a text that may hold several, from a place on; it returns the value's span, Absent at the end of
// the text, and where to go on.
func (s *selection) next(from int) (v Span, next int, err error) {
	src, start := s.src, skipBlanks(s.src, from)
	if start == len(src) {
		return Span{}, start, nil
	}
	if len(src) > maxSource {
		return Span{}, start, sourceError(src)
	}
	end, verdict := s.root(start)
	if verdict.bad() {
		return Span{}, end, newError(src, end, verdict)
	}
	return newSpan(start, end, verdict), end, nil
}

// SelectAt is Select over the value at span of an already validated src.
func (t *Trie) SelectAt(src string, at Span, out []Span) (dup int) {
	clear(out)
	if at.Kind == Absent {
		return 0
	}
	s := selection{trie: t, src: src[:at.End], out: out}
	if t.root != nil {
		s.pass(int(at.Start), t.root)
	}
	return s.dup
}

// Each is scan.Each with SelectAt of every element, in one pass: during the call of yield, out holds what was found in
// the element.
func (t *Trie) Each(src string, array Span, out []Span, yield func(elem Span) bool) {
	if array.Kind != Array || t.root == nil {
		return
	}
	s := selection{trie: t, src: src[:array.End], out: out}
	i, last := skipBlanks(src, int(array.Start)+1), int(array.End)
	for i < last && src[i] != ']' {
		clear(out)
		v := s.pass(i, t.root)
		if !yield(v) {
			return
		}
		i = skipSeparator(src, int(v.End))
	}
}

// pass is value in a validated text.
func (s *selection) pass(i int, n *node) (v Span) {
	if len(n.children) > 0 && s.src[i] == '{' {
		v = Span{Start: int32(i), End: int32(s.passObject(i, n)), Kind: Object}
	} else {
		v = passSpan(s.src, i)
	}
	if n.place >= 0 {
		s.put(n.place, v)
	}
	return v
}

// passObject is object in a validated text.
func (s *selection) passObject(i int, n *node) (end int) {
	var seen marks
	if len(n.children) > 64 {
		var room [seenWords]uint64
		seen.many = n.marks(room[:])
	}
	src := s.src
	i = skipBlanks(src, i+1)
	for i < len(src) && src[i] == '"' {
		end, v := skipString(src, i)
		wanted := n.match(src, i+1, end-1, v)
		i, _ = skipColon(src, end)
		if wanted == nil {
			i = passValue(src, i)
		} else {
			i = int(s.pass(i, s.below(wanted, &seen)).End)
		}
		i = skipSeparator(src, i)
	}
	return i + 1
}

// selection is one run of Select.
type selection struct {
	trie *Trie
	src  string
	out  []Span
	dup  int

	index  *Index     // nil: nothing is noted
	ahead  *selection // of the elements of arrays of records; nil: they are not looked into
	filled []int      // places that were filled, up to its capacity; nil: nobody asks
	over   bool       // there were more
}

// put fills a place.
func (s *selection) put(place int, v Span) {
	s.out[place] = v
	if s.filled == nil {
		return
	}
	if len(s.filled) < cap(s.filled) {
		s.filled = append(s.filled, place)
	} else {
		s.over = true
	}
}

// root takes the whole value.
func (s *selection) root(i int) (int, verdict) {
	if s.trie.root == nil {
		return skipValue(s.src, i, 0)
	}
	return s.value(i, 0, s.trie.root, 0)
}

// value takes the value at i, which n wants, or something below it. at is its place in the index + 1, 0 where it is not
// noted, or not yet.
func (s *selection) value(i, depth int, n *node, at int32) (end int, v verdict) {
	records := n.records && s.ahead != nil && i < len(s.src) && s.src[i] == '['
	if (n.open || records) && at == 0 && s.index != nil {
		at = s.index.begin(0, 0, 0)
	}
	switch {
	case records && at > 0:
		if end, v = s.index.array(s.src, i, depth, s); !v.bad() {
			s.index.finish(at, i, end, v)
		}
	case len(n.children) > 0 && i < len(s.src) && s.src[i] == '{':
		if end, v = s.object(i, depth, n, at > 0); at > 0 && !v.bad() {
			s.index.finish(at, i, end, v)
		}
	case at > 0:
		end, v = s.index.value(s.src, i, depth, at)
	default:
		end, v = skipValue(s.src, i, depth)
	}
	if n.place < 0 || v.bad() {
		return end, v
	}
	if at == 0 {
		s.put(n.place, newSpan(i, end, v))
	} else {
		s.put(n.place, s.index.span(i, end, v, at))
	}
	return end, v
}

// seenWords is how many words of marks an object has on the stack: 1,024 wanted keys without an allocation.
const seenWords = 16

// marks tell which children an object has had.
type marks struct {
	few  uint64
	many []uint64 // where they are too many for few
}

// marks returns room for marks of more than 64 children: room, which is empty, or more where that is too little.
func (n *node) marks(room []uint64) []uint64 {
	if len(n.children) <= 64*len(room) {
		return room
	}
	return make([]uint64, (len(n.children)+63)/64)
}

// below returns what is wanted at the key of a slot. Where it stands twice, what was found of the first is forgotten.
func (s *selection) below(key *slot, seen *marks) *node {
	n := key.node
	twice := false
	if n.place >= 0 { // then something stands there, which is less work to see than a mark is to make
		twice = s.out[n.place].Kind != Absent
	} else {
		twice = seen.add(int(key.child))
	}
	if twice {
		s.dup++
		s.forget(n)
	}
	return n
}

// add marks a child, and says whether it was marked before.
func (m *marks) add(c int) (before bool) {
	word := &m.few
	if m.many != nil {
		word = &m.many[c>>6]
	}
	bit := uint64(1) << (c & 63)
	before = *word&bit != 0
	*word |= bit
	return before
}

// object takes an object some of whose members are wanted; src[i] is its '{'. open says that each member is noted.
func (s *selection) object(i, depth int, n *node, open bool) (int, verdict) {
	if depth >= MaxDepth {
		return i, badDepth
	}
	var seen marks
	if len(n.children) > 64 {
		var room [seenWords]uint64
		seen.many = n.marks(room[:])
	}
	src := s.src
	i = skipBlanks(src, i+1)
	if i < len(src) && src[i] == '}' {
		return i + 1, verdict(Object)
	}
	for {
		if i >= len(src) || src[i] != '"' {
			return i, badSyntax
		}
		end, v := skipString(src, i)
		if v.bad() {
			return end, v
		}
		wanted := n.match(src, i+1, end-1, v)
		var at int32
		if open {
			at = s.index.begin(i+1, end-1, v)
		}
		if end+1 < len(src) && src[end] == ':' && src[end+1] > ' ' { // skipColon, without a call for most keys
			i = end + 1
		} else if i, v = skipColon(src, end); v.bad() {
			return i, v
		}
		switch {
		case wanted != nil:
			below := s.below(wanted, &seen)
			if len(below.children) > 0 || below.open || at > 0 {
				i, v = s.value(i, depth+1, below, at)
				break
			}
			from := i
			if i < len(src) && src[i] == '"' { // most values, without a call between
				i, v = skipString(src, i)
			} else {
				i, v = skipValue(src, i, depth+1)
			}
			if !v.bad() {
				s.put(below.place, newSpan(from, i, v))
			}
		case at > 0:
			i, v = s.index.value(src, i, depth+1, at)
		case i < len(src) && src[i] == '"':
			i, v = skipString(src, i)
		default:
			i, v = skipValue(src, i, depth+1)
		}
		if v.bad() {
			return i, v
		}
		i = skipBlanks(src, i)
		switch {
		case i < len(src) && src[i] == ',':
			i = skipBlanks(src, i+1)
		case i < len(src) && src[i] == '}':
			return i + 1, verdict(Object)
		default:
			return i, badSyntax
		}
	}
}

// forget empties everything that was found at or below n.
func (s *selection) forget(n *node) {
	if n.place >= 0 {
		s.out[n.place] = Span{}
	}
	for i := range n.children {
		s.forget(n.children[i].node)
	}
}
