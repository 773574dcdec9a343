package scan

// Found is what one Trie finds, in one value after another. Emptying it costs what was found before, not what is wanted:
// that is far less where many formats' paths are wanted, each record having those of one. It belongs to one worker.
type Found struct {
	Spans []Span // by place, Absent where nothing is; those of the last Select
	trie  *Trie
	index *Index     // nil: nothing is noted
	last  selection  // whose filled places are to be emptied
	ahead *selection // of elements; nil where nothing is noted
}

// maxFilled is how many filled places are emptied one by one, 256: more is slower than emptying all.
const maxFilled = 256

// Found returns room for what the complete trie finds. Select notes in x what stands inside the values of Open, nothing
// where it is nil; SelectAt takes values from it.
func (t *Trie) Found(x *Index) *Found {
	f := &Found{Spans: make([]Span, t.Len()), trie: t, index: x, last: selection{filled: make([]int, 0, maxFilled)}}
	if x != nil {
		f.ahead = &selection{trie: t, out: make([]Span, t.Len()), filled: make([]int, 0, maxFilled), index: x}
	}
	return f
}

// Filled returns the places at which something may be found, some perhaps twice; all is false where there are more, too
// many to be noted.
func (f *Found) Filled() (places []int, all bool) { return f.last.filled, !f.last.over }

// begin empties the places.
func (f *Found) begin(src string) *selection {
	if f.last.over {
		clear(f.Spans)
	} else {
		for _, place := range f.last.filled {
			f.Spans[place] = Span{}
		}
	}
	f.last = selection{trie: f.trie, src: src, out: f.Spans, filled: f.last.filled[:0]}
	return &f.last
}

// Select is Trie.Select.
func (f *Found) Select(src string) (dup int, err error) {
	s := f.begin(src)
	s.index, s.ahead = f.index, f.ahead
	err = s.all()
	s.src = ""
	return s.dup, err
}

// Next is Select of the value that the function Next would read.
func (f *Found) Next(src string, from int) (v Span, next, dup int, err error) {
	s := f.begin(src)
	s.index, s.ahead = f.index, f.ahead
	v, next, err = s.next(from)
	s.src = ""
	return v, next, s.dup, err
}

// SelectAt is Trie.SelectAt, by the index where the value is in it.
func (f *Found) SelectAt(src string, at Span) (dup int) {
	s := f.begin(src[:at.End])
	switch {
	case at.Kind == Object && at.note < 0:
		f.take(s, at.note)
	case at.at() > 0:
		s.index = f.index
		s.walkRoot(at)
	case at.Kind != Absent && f.trie.root != nil:
		s.pass(int(at.Start), f.trie.root)
	}
	s.src = ""
	return s.dup
}
