package scan

// Index lists the values inside some objects and arrays. It is filled while their text is validated, so that they can be
// walked later without reading the text again.
//
// An index holds nothing that is not in the text, and it may be incomplete: if a value is not indexed, the methods of Index
// read the text instead. A Span that an Index returned may be passed to its methods until the next Reset.
//
// An Index belongs to one worker. The zero Index is empty and ready to use.
type Index struct {
	entries  []IndexEntry
	overflow bool // a value was left out because the index had maxEntries
	work     int  // see Work

	elements []element // elements of arrays of records
	picks    []pick    // the spans selected in them

	// walker is the selection of Pick. Pick is called for every small object, and setting up a new selection took a quarter
	// of its time.
	walker selection
}

// IndexEntry is one value in an Index. It is followed by the values inside it.
type IndexEntry struct {
	Span
	keyStart, keyEnd int32 // the key of an object's member, without its quotes; both 0 for other values
	size             int32 // number of entries of this value and of all values inside it
	keyEscaped       bool
}

// Name returns the key of an object's member as it is written between its quotes in src, or "" for other values.
func (e *IndexEntry) Name(src string) string { return src[e.keyStart:e.keyEnd] }

// Size returns the number of entries of this value and of all values inside it. The next value of the same object or array
// is that many entries further in the list.
func (e *IndexEntry) Size() int { return int(e.size) }

// maxEntries bounds an Index: 2^16 values, 2 MiB. Only hostile records have more.
const maxEntries = 1 << 16

// minEntries is the capacity of an Index after its first value, which most records do not exceed. maxEntries is minEntries
// times a power of two, so that doubling ends there.
const minEntries = 256

// Reset empties the index.
func (x *Index) Reset() {
	x.entries, x.overflow = x.entries[:0], false
	x.elements, x.picks = x.elements[:0], x.picks[:0]
}

// Work returns the work done so far by the methods of the index and of the Founds that use it: the number of bytes of
// text that were read, and of entries that were visited. It is never reset. It grows with every use of a text, so that
// a test can check that no text is read once for each part of another.
func (x *Index) Work() int { return x.work }

// Valid validates the one JSON value in src, as the function Valid does, and indexes the values inside it.
func (x *Index) Valid(src string) (Span, error) {
	start := skipBlanks(src, 0)
	if start == len(src) || len(src) > maxSource {
		return Span{}, sourceError(src)
	}
	x.work += len(src)
	entry := x.reserve(0, 0, 0)
	end, v := x.value(src, start, 0, entry)
	if v.bad() {
		return Span{}, newError(src, end, v)
	}
	if at := skipBlanks(src, end); at < len(src) {
		return Span{}, newError(src, at, badSyntax)
	}
	return x.span(start, end, v, entry), nil
}

// Each calls yield with each element of an array, as the function Each does, without reading the text if it is indexed.
func (x *Index) Each(src string, array Span, yield func(elem Span) bool) {
	if array.entry() == 0 || array.Kind != Array {
		x.work += int(array.End - array.Start)
		Each(src, array, yield)
		return
	}
	for list := x.inside(array.entry()); len(list) > 0; list = list[list[0].size:] {
		x.work++
		if !yield(list[0].Span) {
			return
		}
	}
}

// Members calls yield with each member of an object, as the function Members does, without reading the text if it is
// indexed.
func (x *Index) Members(src string, object Span, a *Arena, yield func(key string, v Span) bool) {
	if object.entry() == 0 || object.Kind != Object {
		x.work += int(object.End - object.Start)
		Members(src, object, a, yield)
		return
	}
	for list := x.inside(object.entry()); len(list) > 0; list = list[list[0].size:] {
		x.work++
		e := &list[0]
		key := e.Name(src)
		if e.keyEscaped {
			key = Text(src, Span{Start: e.keyStart - 1, End: e.keyEnd + 1, Kind: String, note: 1}, a)
		}
		if !yield(key, e.Span) {
			return
		}
	}
}

// Inside returns the values inside an object or array, each followed by the values inside itself. It saves the call of
// yield that Each and Members make for each value. If the values are not indexed, ok is false and the text has to be read.
// The list is valid until the next Reset.
//
// Inside must not be used for the objects in an array of records: their entries do not list the values inside them.
func (x *Index) Inside(v Span) (list []IndexEntry, ok bool) {
	if v.entry() == 0 {
		return nil, false
	}
	list = x.inside(v.entry())
	x.work += len(list)
	return list, true
}

// inside returns the values inside the value with this entry + 1.
func (x *Index) inside(entry int32) []IndexEntry {
	return x.entries[entry : entry-1+x.entries[entry-1].size]
}

// Pick selects from the value at a span of an already validated src, as Trie.SelectAt does, without reading the text if the
// value is indexed.
func (x *Index) Pick(p *Picked, src string, at Span) (dup int) {
	p.Clear()
	s := x.picking(p, src)
	switch {
	case at.entry() > 0:
		s.walkRoot(at)
	case at.Kind != Absent && p.trie.root != nil:
		x.work += int(at.End - at.Start)
		s.pass(int(at.Start), p.trie.root)
	}
	p.filled, p.overflow = s.filled, s.overflow
	return s.dup
}

// picking returns the selection that fills p.
func (x *Index) picking(p *Picked, src string) *selection {
	s := &x.walker
	s.trie, s.src, s.out, s.dup, s.index, s.filled, s.overflow = p.trie, src, p.Spans, 0, x, p.filled, false
	return s
}

// EachPicked calls yield with each element of an array, as the method Each does, and selects from the element as Pick does.
// During the call of yield, p holds the spans of that element.
func (x *Index) EachPicked(p *Picked, src string, array Span, yield func(elem Span) bool) {
	switch {
	case array.Kind != Array:
	case array.entry() > 0:
		for list := x.inside(array.entry()); len(list) > 0; list = list[list[0].size:] {
			elem := list[0].Span
			x.Pick(p, src, elem)
			if !yield(elem) {
				return
			}
		}
	default:
		x.work += int(array.End - array.Start)
		x.eachPassed(p, src, array, yield)
	}
}

// eachPassed is EachPicked for an array that is not indexed: each element is selected in the pass that finds its end.
func (x *Index) eachPassed(p *Picked, src string, array Span, yield func(elem Span) bool) {
	i, last := skipBlanks(src, int(array.Start)+1), int(array.End)
	for i < last && src[i] != ']' {
		p.Clear()
		var v Span
		if p.trie.root == nil {
			v = passSpan(src, i)
		} else {
			s := x.picking(p, src[:last])
			v = s.pass(i, p.trie.root)
			p.filled, p.overflow = s.filled, s.overflow
		}
		if !yield(v) {
			return
		}
		i = skipSeparator(src, int(v.End))
	}
}

// reserve adds the entry of a value that is about to be validated and returns its number + 1, or 0 if the index is full.
// For a member of an object, src[keyStart:keyEnd] is its key, and v the verdict of the key.
func (x *Index) reserve(keyStart, keyEnd int, v verdict) (entry int32) {
	n := len(x.entries)
	if n == cap(x.entries) && !x.grow() {
		return 0
	}
	x.entries = x.entries[:n+1]
	e := &x.entries[n] // finish sets the other fields
	e.keyStart, e.keyEnd, e.keyEscaped = int32(keyStart), int32(keyEnd), v&escaped != 0
	return int32(n + 1)
}

// grow makes room for more entries. It reports false if there are maxEntries.
func (x *Index) grow() bool {
	n := len(x.entries)
	if n == maxEntries {
		x.overflow = true
		return false
	}
	entries := make([]IndexEntry, n, max(2*n, minEntries))
	copy(entries, x.entries)
	x.entries = entries
	return true
}

// finish completes the entry that reserve added, after all values inside it have been indexed.
func (x *Index) finish(entry int32, start, end int, v verdict) {
	e := &x.entries[entry-1]
	e.Span = newSpan(start, end, v)
	e.size = int32(len(x.entries)) - entry + 1
	if e.Kind >= Object && !x.overflow { // after an overflow the entries inside it may be incomplete
		e.note = entry
	}
}

// span returns the span of a finished value; entry is its entry + 1, or 0.
func (x *Index) span(start, end int, v verdict, entry int32) Span {
	if entry > 0 {
		return x.entries[entry-1].Span
	}
	return newSpan(start, end, v)
}

// value skips a value as skipValue does and indexes the values inside it. entry is the entry + 1 of the value; if it is 0,
// nothing is indexed.
func (x *Index) value(s string, i, depth int, entry int32) (end int, v verdict) {
	switch {
	case entry == 0:
		return skipValue(s, i, depth)
	case i < len(s) && s[i] == '{':
		end, v = x.object(s, i, depth)
	case i < len(s) && s[i] == '[':
		end, v = x.array(s, i, depth, nil)
	default:
		end, v = skipValue(s, i, depth)
	}
	if !v.bad() {
		x.finish(entry, i, end, v)
	}
	return end, v
}

// object skips an object as skipObject does and indexes its members.
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
		entry := x.reserve(i+1, end-1, v)
		if end+1 < len(s) && s[end] == ':' && s[end+1] > ' ' { // skipColon, without a call for most keys
			i = end + 1
		} else if i, v = skipColon(s, end); v.bad() {
			return i, v
		}
		if i < len(s) && s[i] == '"' && entry > 0 { // most values, with one call less
			from := i
			if i, v = skipString(s, i); !v.bad() {
				x.finish(entry, from, i, v)
			}
		} else {
			i, v = x.value(s, i, depth+1, entry)
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

// array skips an array as skipArray does and indexes its elements. For an array of records, records is the selection that
// selects from each element; otherwise it is nil.
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
		entry := x.reserve(0, 0, 0)
		if records != nil && entry > 0 && i < len(s) && s[i] == '{' {
			i, v = records.element(i, depth+1, entry)
		} else {
			i, v = x.value(s, i, depth+1, entry)
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

// walkRoot is pass for a value that is already indexed.
func (s *selection) walkRoot(v Span) {
	n := s.trie.root
	if n == nil {
		return
	}
	if v.Kind == Object && len(n.children) > 0 {
		s.walk(v.entry(), n)
	}
	if n.place >= 0 {
		s.put(n.place, v)
	}
}

// walk is passObject for an object that is already indexed; entry is its entry + 1.
func (s *selection) walk(entry int32, n *node) {
	var seen keySet
	if n.bares > 64 {
		var buf [keySetWords]uint64
		seen.many = n.keyWords(buf[:])
	}
	for list := s.index.inside(entry); len(list) > 0; list = list[list[0].size:] {
		s.index.work++
		e := &list[0]
		var v verdict
		if e.keyEscaped {
			v = escaped
		}
		wanted := n.match(s.src, int(e.keyStart), int(e.keyEnd), v)
		if wanted == nil {
			continue
		}
		below := wanted.node
		s.below(below, &seen)
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
