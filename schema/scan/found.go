package scan

// Found holds the spans that a Trie selects and is reused for one value after another. Clearing it costs as much as the
// previous value filled, not as much as the trie wants: that is far less when the paths of many formats are wanted and a
// record has those of one. It belongs to one worker.
type Found struct {
	Spans     []Span // by place; Absent if the value has nothing there. They are those of the last Select
	trie      *Trie
	index     *Index     // nil: nothing is indexed
	habits    *habits    // shared with lookahead
	last      selection  // the last selection; its filled places are cleared before the next one
	lookahead *selection // for the elements of arrays of records; nil if index is nil
}

// maxFilled is the largest number of filled places that are cleared one by one, 256. Clearing more of them in this way is
// slower than clearing all places at once.
const maxFilled = 256

// Found returns a Found for a complete trie. If x is not nil, Select indexes in it the values below each path of Open, and
// SelectAt uses it for values that it contains.
func (t *Trie) Found(x *Index) *Found {
	f := &Found{Spans: make([]Span, t.Len()), trie: t, index: x, habits: newHabits(t), last: selection{filled: make([]int, 0, maxFilled)}}
	if x != nil {
		f.lookahead = &selection{trie: t, out: make([]Span, t.Len()), filled: make([]int, 0, maxFilled), habits: f.habits, index: x}
	}
	return f
}

// Filled returns the places that may be filled; some may be listed twice. If more than maxFilled places were filled, all
// is true, and any place may be filled.
func (f *Found) Filled() (places []int, all bool) { return f.last.filled, !f.last.overflow }

// begin clears the places and returns the selection of the next value.
func (f *Found) begin(src string) *selection {
	if f.last.overflow {
		clear(f.Spans)
	} else {
		for _, place := range f.last.filled {
			f.Spans[place] = Span{}
		}
	}
	f.last = selection{trie: f.trie, src: src, out: f.Spans, filled: f.last.filled[:0], habits: f.habits}
	return &f.last
}

// Select selects from the one JSON value in src, as Trie.Select does.
func (f *Found) Select(src string) (dup int, err error) {
	s := f.begin(src)
	s.index, s.lookahead = f.index, f.lookahead
	err = s.whole()
	s.src = ""
	return s.dup, err
}

// Next selects from the next of several values in src, in the pass that validates it. See the function Next.
func (f *Found) Next(src string, from int) (v Span, next, dup int, err error) {
	s := f.begin(src)
	s.index, s.lookahead = f.index, f.lookahead
	v, next, err = s.next(from)
	f.count(next - from)
	s.src = ""
	return v, next, s.dup, err
}

// count adds to the work of the index, if there is one.
func (f *Found) count(work int) {
	if f.index != nil {
		f.index.work += work
	}
}

// SelectAt selects from the value at a span of an already validated src, as Trie.SelectAt does. It does not read the text
// of a value that is indexed.
func (f *Found) SelectAt(src string, at Span) (dup int) {
	s := f.begin(src[:at.End])
	switch {
	case at.Kind == Object && at.note < 0:
		f.restore(s, at.note)
	case at.entry() > 0:
		s.index = f.index
		s.walkRoot(at)
	case at.Kind != Absent && f.trie.root != nil:
		f.count(int(at.End - at.Start))
		s.pass(int(at.Start), f.trie.root)
	}
	s.src = ""
	return s.dup
}

// Picked holds the spans that a Trie selects in one small object after another, from an Index if the object is indexed.
// Unlike a Found it selects nothing ahead. Clearing it costs as much as the last object filled. It belongs to one worker.
type Picked struct {
	Spans    []Span // by place; Absent if the object has nothing there
	trie     *Trie
	filled   []int // places that may be filled; some may be listed twice
	overflow bool  // more places were filled than filled has room for
}

// Picked returns a Picked for a complete trie.
func (t *Trie) Picked() Picked {
	return Picked{Spans: make([]Span, t.Len()), trie: t, filled: make([]int, 0, max(t.Len(), 1))}
}

// Filled returns the places that may be filled; some may be listed twice.
func (p *Picked) Filled() []int {
	if p.overflow { // the object has the same keys many times
		p.filled, p.overflow = p.filled[:0], false
		for place := range p.Spans {
			if p.Spans[place].Kind != Absent {
				p.filled = append(p.filled, place)
			}
		}
	}
	return p.filled
}

// Put sets the span of a place that is Absent.
func (p *Picked) Put(place int, v Span) {
	p.Spans[place] = v
	p.filled = append(p.filled, place)
}

// Clear makes all places Absent.
func (p *Picked) Clear() {
	if p.overflow {
		clear(p.Spans)
	}
	for _, place := range p.filled {
		p.Spans[place] = Span{}
	}
	p.filled, p.overflow = p.filled[:0], false
}

// An array of records is an array whose elements are selected as values of their own, such as Records in CloudTrail's
// files. Select validates the array anyway, so it selects from each element in the same pass and stores the result in the
// Index: first in a selection of its own, the lookahead, and from there as picks. SelectAt of the element later copies the
// picks instead of reading the element a second time.

// element is the result of Found.Select for one element of an array of records: a range of Index.picks.
type element struct {
	from, to int32
	dup      int32 // wanted keys that occur twice
}

// pick is a filled place and its span.
type pick struct {
	place int32
	Span
}

// maxPicks bounds the stored picks: 2^16 values, 1.3 MB, as many as an Index has entries. Elements after that are
// selected from their text.
const maxPicks = maxEntries

// element validates an object in an array of records and selects from it with the whole trie. entry is its index entry
// + 1.
func (s *selection) element(i, depth int, entry int32) (end int, v verdict) {
	lookahead := s.lookahead
	lookahead.src = s.src
	end, v = lookahead.value(i, depth, s.trie.root, 0)
	note := s.index.store(lookahead)
	if !v.bad() {
		s.index.finish(entry, i, end, v)
		s.index.entries[entry-1].note = note
	}
	return end, v
}

// store moves the result of the selection of one element into the index and clears the selection. It returns the note for
// the span of the element: -1 - its number among the elements, or 0 if the index is full.
func (x *Index) store(s *selection) (note int32) {
	from := len(x.picks)
	fits := !s.overflow && from+len(s.filled) <= maxPicks && len(x.elements) < maxEntries
	for _, place := range s.filled {
		if v := s.out[place]; v.Kind != Absent && fits { // a key that occurs twice may list its place twice
			x.picks = append(x.picks, pick{int32(place), v})
		}
		s.out[place] = Span{}
	}
	if s.overflow {
		clear(s.out)
	}
	if fits {
		x.elements = append(x.elements, element{int32(from), int32(len(x.picks)), int32(s.dup)})
		note = -int32(len(x.elements))
	}
	s.src, s.filled, s.overflow, s.dup = "", s.filled[:0], false, 0
	return note
}

// restore fills the places with the stored result for the element with this note.
func (f *Found) restore(s *selection, note int32) {
	e := f.index.elements[-note-1]
	f.index.work += int(e.to - e.from)
	for i := e.from; i < e.to; i++ {
		p := &f.index.picks[i]
		s.put(int(p.place), p.Span)
	}
	s.dup = int(e.dup)
}
