package scan

// element is what Found.Select found in an element of an array of records: a range of an Index's picks.
type element struct {
	from, to int32
	dup      int32 // wanted keys that stand twice
}

// pick is a place of the trie that was filled.
type pick struct {
	place int32
	Span
}

// maxPicks bounds what is found of elements ahead: 2^16 values, 1.3 MB, as many as an Index notes otherwise. What stands in
// further elements is looked up when it is their turn.
const maxPicks = maxEntries

// element takes an object in an array of records, which is a value of its own: the whole trie looks into it. at is its
// place in the index + 1.
func (s *selection) element(i, depth int, at int32) (end int, v verdict) {
	ahead := s.ahead
	ahead.src = s.src
	end, v = ahead.value(i, depth, s.trie.root, 0)
	picked := s.index.pick(ahead)
	if !v.bad() {
		s.index.finish(at, i, end, v)
		s.index.entries[at-1].note = picked
	}
	return end, v
}

// pick takes what was found in an element out of the selection, which is empty then, and returns the note of the element's
// span: -1 - its place among the elements, 0 where there is no room.
func (x *Index) pick(s *selection) (note int32) {
	from := len(x.picks)
	room := !s.over && from+len(s.filled) <= maxPicks && len(x.elements) < maxEntries
	for _, place := range s.filled {
		if v := s.out[place]; v.Kind != Absent && room { // else its key came twice, and it is taken or gone
			x.picks = append(x.picks, pick{int32(place), v})
		}
		s.out[place] = Span{}
	}
	if s.over {
		clear(s.out)
	}
	if room {
		x.elements = append(x.elements, element{int32(from), int32(len(x.picks)), int32(s.dup)})
		note = -int32(len(x.elements))
	}
	s.src, s.filled, s.over, s.dup = "", s.filled[:0], false, 0
	return note
}

// take finds what was found in an element when its array was.
func (f *Found) take(s *selection, note int32) {
	e := f.index.elements[-note-1]
	for i := e.from; i < e.to; i++ {
		p := &f.index.picks[i]
		s.put(int(p.place), p.Span)
	}
	s.dup = int(e.dup)
}
