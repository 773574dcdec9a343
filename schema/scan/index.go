package scan

// Index is what stands inside some values of validated texts, as it was noted while they were validated: whoever looks
// into them walks what is there and does not read the text again. It says nothing that the text does not, and it may
// leave things out, which are then read from the text. It belongs to one worker; the zero Index is empty and ready.
//
// A Span that an Index gave out is valid for it until the next Reset.
type Index struct {
	entries []Noted
	over    bool // there was more than maxEntries

	elements []element // of arrays of records
	picks    []pick    // what was found in them

	walker selection // of SelectAt, which is called for every small object: setting up a new one took a quarter of its time
}

// Noted is one value in an Index. What stands inside it comes behind it.
type Noted struct {
	Span
	key, past  int32 // the key between its quotes, of the member of an object
	size       int32 // how many it is, with all that is inside it
	keyEscaped bool
}

// Name returns the member's key as it is written between its quotes in src, "" where the value is no member.
func (e *Noted) Name(src string) string { return src[e.key:e.past] }

// Size returns how many values it is with all that is inside it: that many further in a list is the one behind it.
func (e *Noted) Size() int { return int(e.size) }

// maxEntries bounds what an Index holds: 2^16 values, 2 MiB. Only hostile records have more.
const maxEntries = 1 << 16

// minEntries is what an Index has room for from its first value on, more than most records need. Doubled often enough it
// is maxEntries.
const minEntries = 256

// Reset empties the index.
func (x *Index) Reset() {
	x.entries, x.over = x.entries[:0], false
	x.elements, x.picks = x.elements[:0], x.picks[:0]
}

// Valid is Valid, and notes what stands inside the value.
func (x *Index) Valid(src string) (Span, error) {
	start := skipBlanks(src, 0)
	if start == len(src) || len(src) > maxSource {
		return Span{}, sourceError(src)
	}
	at := x.begin(0, 0, 0)
	end, v := x.value(src, start, 0, at)
	if v.bad() {
		return Span{}, newError(src, end, v)
	}
	if at := skipBlanks(src, end); at < len(src) {
		return Span{}, newError(src, at, badSyntax)
	}
	return x.span(start, end, v, at), nil
}

// Each is Each, by what is noted.
func (x *Index) Each(src string, array Span, yield func(elem Span) bool) {
	if array.at() == 0 || array.Kind != Array {
		Each(src, array, yield)
		return
	}
	for list := x.inside(array.at()); len(list) > 0; list = list[list[0].size:] {
		if !yield(list[0].Span) {
			return
		}
	}
}

// Members is Members, by what is noted.
func (x *Index) Members(src string, object Span, a *Arena, yield func(key string, v Span) bool) {
	if object.at() == 0 || object.Kind != Object {
		Members(src, object, a, yield)
		return
	}
	for list := x.inside(object.at()); len(list) > 0; list = list[list[0].size:] {
		e := &list[0]
		key := e.Name(src)
		if e.keyEscaped {
			key = Text(src, Span{Start: e.key - 1, End: e.past + 1, Kind: String, note: 1}, a)
		}
		if !yield(key, e.Span) {
			return
		}
	}
}

// Inside returns what Members or Each would, without a call for each: the values inside an object or array, behind each
// of them what is inside it. It is for whoever knows by its place what it looks at. ok is false where they are not noted,
// and the text has to be read. The list is valid until the next Reset. Of the objects in an array of records it is not noted
// what is inside: it is not for those.
func (x *Index) Inside(v Span) (list []Noted, ok bool) {
	if v.at() == 0 {
		return nil, false
	}
	return x.inside(v.at()), true
}

// inside returns what is inside the value that is noted at a place + 1.
func (x *Index) inside(at int32) []Noted {
	return x.entries[at : at-1+x.entries[at-1].size]
}

// SelectAt is Trie.SelectAt, by what is noted.
func (x *Index) SelectAt(t *Trie, src string, at Span, out []Span) (dup int) {
	if at.at() == 0 {
		return t.SelectAt(src, at, out)
	}
	clear(out)
	s := &x.walker
	s.trie, s.src, s.out, s.dup, s.index = t, src, out, 0, x
	s.walkRoot(at)
	return s.dup
}

// EachSelect is Trie.Each, by what is noted.
func (x *Index) EachSelect(t *Trie, src string, array Span, out []Span, yield func(elem Span) bool) {
	if array.at() == 0 || array.Kind != Array {
		t.Each(src, array, out, yield)
		return
	}
	for list := x.inside(array.at()); len(list) > 0; list = list[list[0].size:] {
		elem := list[0].Span
		x.SelectAt(t, src, elem, out)
		if !yield(elem) {
			return
		}
	}
}

// begin makes room for a value, whose key is src[key:past] where it has one, and returns its place + 1, 0 where there is
// no more room.
func (x *Index) begin(key, past int, v verdict) (at int32) {
	n := len(x.entries)
	if n == cap(x.entries) && !x.grow() {
		return 0
	}
	x.entries = x.entries[:n+1]
	e := &x.entries[n] // finish sets the rest
	e.key, e.past, e.keyEscaped = int32(key), int32(past), v&escaped != 0
	return int32(n + 1)
}

// grow makes room for more values, false where there are maxEntries.
func (x *Index) grow() bool {
	n := len(x.entries)
	if n == maxEntries {
		x.over = true
		return false
	}
	entries := make([]Noted, n, max(2*n, minEntries))
	copy(entries, x.entries)
	x.entries = entries
	return true
}

// finish notes where the value that begin made room for stands; all that is inside it is noted already.
func (x *Index) finish(at int32, start, end int, v verdict) {
	e := &x.entries[at-1]
	e.Span = newSpan(start, end, v)
	e.size = int32(len(x.entries)) - at + 1
	if e.Kind >= Object && !x.over { // else not all that is inside is noted
		e.note = at
	}
}

// span is the span of a value that is finished, at its place + 1, or 0.
func (x *Index) span(start, end int, v verdict, at int32) Span {
	if at > 0 {
		return x.entries[at-1].Span
	}
	return newSpan(start, end, v)
}

// value is skipValue that notes the value at a place + 1, and what stands inside it; at 0 it is skipValue.
func (x *Index) value(s string, i, depth int, at int32) (end int, v verdict) {
	switch {
	case at == 0:
		return skipValue(s, i, depth)
	case i < len(s) && s[i] == '{':
		end, v = x.object(s, i, depth)
	case i < len(s) && s[i] == '[':
		end, v = x.array(s, i, depth, nil)
	default:
		end, v = skipValue(s, i, depth)
	}
	if !v.bad() {
		x.finish(at, i, end, v)
	}
	return end, v
}

// object is skipObject that notes the members.
func (x *Index) object(s string, i, depth int) (int, verdict) {
	if depth >= MaxDepth {
		return i, badDepth
	}
	i = skipBlanks(s, i+1)
	if i < len(s) && s[i] == '}' {
		return i + 1, verdict(Object)
	}
	for {
		if i >= len(s) || s[i] != '"' {
			return i, badSyntax
		}
		end, v := skipString(s, i)
		if v.bad() {
			return end, v
		}
		at := x.begin(i+1, end-1, v)
		if i, v = skipColon(s, end); v.bad() {
			return i, v
		}
		if i < len(s) && s[i] == '"' && at > 0 { // most values, without a call between
			from := i
			if i, v = skipString(s, i); !v.bad() {
				x.finish(at, from, i, v)
			}
		} else {
			i, v = x.value(s, i, depth+1, at)
		}
		if v.bad() {
			return i, v
		}
		i = skipBlanks(s, i)
		switch {
		case i < len(s) && s[i] == ',':
			i = skipBlanks(s, i+1)
		case i < len(s) && s[i] == '}':
			return i + 1, verdict(Object)
		default:
			return i, badSyntax
		}
	}
}

// array is skipArray that notes the elements; of an array of records, who looks into them is given.
func (x *Index) array(s string, i, depth int, records *selection) (int, verdict) {
	if depth >= MaxDepth {
		return i, badDepth
	}
	i = skipBlanks(s, i+1)
	if i < len(s) && s[i] == ']' {
		return i + 1, verdict(Array)
	}
	for {
		var v verdict
		at := x.begin(0, 0, 0)
		if records != nil && at > 0 && i < len(s) && s[i] == '{' {
			i, v = records.element(i, depth+1, at)
		} else {
			i, v = x.value(s, i, depth+1, at)
		}
		if v.bad() {
			return i, v
		}
		i = skipBlanks(s, i)
		switch {
		case i < len(s) && s[i] == ',':
			i = skipBlanks(s, i+1)
		case i < len(s) && s[i] == ']':
			return i + 1, verdict(Array)
		default:
			return i, badSyntax
		}
	}
}

// walkRoot is pass of a value that is noted.
func (s *selection) walkRoot(v Span) {
	n := s.trie.root
	if n == nil {
		return
	}
	if v.Kind == Object && len(n.children) > 0 {
		s.walk(v.at(), n)
	}
	if n.place >= 0 {
		s.put(n.place, v)
	}
}

// walk is passObject of an object that is noted at a place + 1.
func (s *selection) walk(at int32, n *node) {
	var seen marks
	if len(n.children) > 64 {
		var room [seenWords]uint64
		seen.many = n.marks(room[:])
	}
	for list := s.index.inside(at); len(list) > 0; list = list[list[0].size:] {
		e := &list[0]
		var v verdict
		if e.keyEscaped {
			v = escaped
		}
		wanted := n.match(s.src, int(e.key), int(e.past), v)
		if wanted == nil {
			continue
		}
		below := s.below(wanted, &seen)
		switch {
		case len(below.children) == 0 || e.Kind != Object:
		case e.note > 0:
			s.walk(e.note, below)
		default:
			s.passObject(int(e.Start), below)
		}
		if below.place >= 0 {
			s.put(below.place, e.Span)
		}
	}
}
