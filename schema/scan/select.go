package scan

// Select validates the one JSON value in src, with blanks around it allowed (RFC 8259, valid UTF-8, MaxDepth), and sets
// out, which has Len entries, to the spans of the wanted values by place. A value that does not occur is Absent.
//
// If a key occurs twice in an object, the last one counts, as in encoding/json, even if the first was an object with wanted
// members and the last is not an object. dup counts the wanted keys that occur twice. An escaped key equals the key that it
// spells. An error is an *Error; out must not be used after it.
func (t *Trie) Select(src string, out []Span) (dup int, err error) {
	clear(out)
	s := selection{trie: t, src: src, out: out}
	err = s.whole()
	return s.dup, err
}

// whole selects from the one value in the source. All places must be clear.
func (s *selection) whole() error {
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

// next selects from the value at s.src[from:], after any blanks. It returns the span of the value, or Absent at the end of
// the source, and the offset at which to continue.
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

// SelectAt is Select for the value at a span of an already validated src.
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

// pass is value for a text that is already validated.
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

// passObject is object for a text that is already validated.
func (s *selection) passObject(i int, n *node) (end int) {
	var seen keySet
	if n.bares > 64 {
		var buf [keySetWords]uint64
		seen.many = n.keyWords(buf[:])
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
			s.below(wanted.node, &seen)
			i = int(s.pass(i, wanted.node).End)
		}
		i = skipSeparator(src, i)
	}
	return i + 1
}

// selection is the state of one run of Select.
type selection struct {
	trie *Trie
	src  string
	out  []Span // by place
	dup  int    // wanted keys that occurred twice

	habits    *habits    // nil: no keys are remembered
	index     *Index     // nil: nothing is indexed
	lookahead *selection // selects from the elements of arrays of records; nil: they are only validated
	filled    []int      // places that were filled, up to its capacity; nil: they are not listed
	overflow  bool       // more places were filled than filled has room for
}

// put sets the span of a place.
func (s *selection) put(place int, v Span) {
	s.out[place] = v
	if s.filled == nil {
		return
	}
	if len(s.filled) < cap(s.filled) {
		s.filled = append(s.filled, place)
	} else {
		s.overflow = true
	}
}

// root validates the whole value at i and selects from it.
func (s *selection) root(i int) (int, verdict) {
	if s.trie.root == nil {
		return skipValue(s.src, i, 0)
	}
	return s.value(i, 0, s.trie.root, 0)
}

// value validates the value at i, which is wanted or contains wanted values, and selects from it. entry is its index entry
// + 1, or 0 if it is not in the index yet.
func (s *selection) value(i, depth int, n *node, entry int32) (end int, v verdict) {
	records := n.records && s.lookahead != nil && i < len(s.src) && s.src[i] == '['
	if (n.open || records) && entry == 0 && s.index != nil {
		entry = s.index.reserve(0, 0, 0)
	}
	switch {
	case records && entry > 0:
		if end, v = s.index.array(s.src, i, depth, s); !v.bad() {
			s.index.finish(entry, i, end, v)
		}
	case len(n.children) > 0 && i < len(s.src) && s.src[i] == '{':
		if end, v = s.object(i, depth, n, entry > 0); entry > 0 && !v.bad() {
			s.index.finish(entry, i, end, v)
		}
	case entry > 0:
		end, v = s.index.value(s.src, i, depth, entry)
	default:
		end, v = skipValue(s.src, i, depth)
	}
	if n.place < 0 || v.bad() {
		return end, v
	}
	if entry == 0 {
		s.put(n.place, newSpan(i, end, v))
	} else {
		s.put(n.place, s.index.span(i, end, v, entry))
	}
	return end, v
}

// keySet is the set of those children of a node that have occurred in an object.
type keySet struct {
	few  uint64
	many []uint64 // used instead of few for a node with more than 64 wanted keys without a place
}

// keySetWords is the number of words of a keySet that an object has on the stack, enough for 1,024 wanted keys without a
// place and without an allocation.
const keySetWords = 16

// keyWords returns the words of an empty keySet for more than 64 keys: buf, which must be zero, or a longer slice if buf
// is too short.
func (n *node) keyWords(buf []uint64) []uint64 {
	if n.bares <= 64*len(buf) {
		return buf
	}
	return make([]uint64, (n.bares+63)/64)
}

// below is called for the node of each wanted key of an object. If the key occurs twice in the object, the places that its
// first occurrence filled are cleared.
func (s *selection) below(n *node, seen *keySet) {
	twice := false
	if n.place >= 0 { // the place shows whether the key has occurred, which is cheaper than the set
		twice = s.out[n.place].Kind != Absent
	} else {
		twice = seen.add(n.bare)
	}
	if twice {
		s.dup++
		s.forget(n)
	}
}

// forget clears the places that the first occurrence of a key filled: only its own if the value was not an object. A
// hostile object may have the same key thousands of times, and a node hundreds of places below it.
func (s *selection) forget(n *node) {
	if n.place >= 0 && s.out[n.place].Kind != Object {
		s.out[n.place] = Span{}
		return
	}
	s.clear(n)
}

// add adds a child and reports whether it was in the set already.
func (k *keySet) add(c int) (twice bool) {
	word := &k.few
	if k.many != nil {
		word = &k.many[c>>6]
	}
	bit := uint64(1) << (c & 63)
	twice = *word&bit != 0
	*word |= bit
	return twice
}

// object validates an object and selects from its members; src[i] is its '{'. If open is true, every member is indexed.
func (s *selection) object(i, depth int, n *node, open bool) (int, verdict) {
	if depth >= MaxDepth {
		return i, badDepth
	}
	var seen keySet
	if n.bares > 64 {
		var buf [keySetWords]uint64
		seen.many = n.keyWords(buf[:])
	}
	src := s.src
	i = skipBlanks(src, i+1)
	if i < len(src) && src[i] == '}' {
		return i + 1, verdict(Object)
	}
	run := s.habits.begin(n)
	for {
		var below *node
		var leaf bool
		var entry int32
		var v verdict
		if k := run.expected(src, i); k != nil {
			if open {
				entry = s.index.reserve(i+1, i+int(k.quote), 0)
			}
			below, leaf = k.node, k.leaf
			i = skipBlanks(src, i+int(k.length))
		} else {
			from := i
			if i >= len(src) || src[i] != '"' {
				return i, badSyntax
			}
			end, key := skipString(src, i)
			if key.bad() {
				return end, key
			}
			wanted := n.match(src, i+1, end-1, key)
			if open {
				entry = s.index.reserve(i+1, end-1, key)
			}
			if i, v = skipColon(src, end); v.bad() {
				return i, v
			}
			if wanted != nil {
				below, leaf = wanted.node, wanted.node.leaf()
			}
			run.learn(src[from:i], end-1-from, key, below)
		}
		switch {
		case below != nil:
			s.below(below, &seen)
			if !leaf || entry > 0 {
				i, v = s.value(i, depth+1, below, entry)
				break
			}
			from := i
			if i < len(src) && src[i] == '"' { // most values, with one call less
				i, v = skipString(src, i)
			} else {
				i, v = skipValue(src, i, depth+1)
			}
			if !v.bad() {
				s.put(below.place, newSpan(from, i, v))
			}
		case entry > 0:
			i, v = s.index.value(src, i, depth+1, entry)
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

// clear clears the places of n and of all nodes below it.
func (s *selection) clear(n *node) {
	if n.place >= 0 {
		s.out[n.place] = Span{}
	}
	for i := range n.children {
		s.clear(n.children[i].node)
	}
}
