package formats

import (
	"unicode/utf8"

	"github.com/aidr-engine/aidr/schema"
	"github.com/aidr-engine/aidr/schema/scan"
)

// omission replaces the middle of a text that was too long.
const omission = " [...] "

// truncate returns a text of at most MaxContent bytes, and sets event.truncated if the text was longer. Head and tail
// are kept, because a limit that drops the end lets padding in front of a text hide it.
func (el *Element) truncate(text string) string {
	if len(text) <= MaxContent {
		return text
	}
	el.setTruncated()
	const room = MaxContent - len(omission)
	tail := len(text) - room/2
	for tail < len(text) && !utf8.RuneStart(text[tail]) {
		tail++
	}
	return el.Arena.Concat(schema.Truncate(text, room/2), omission, text[tail:])
}

func (el *Element) setTruncated() {
	if el.Wanted(schema.EventTruncated) {
		el.Event.Set(schema.EventTruncated, schema.BoolValue(true))
	}
}

// shortened returns an object or array as JSON of at most MaxContent bytes, and sets event.truncated. The structure is
// kept, so that a rule finds the other values wherever the padding is: long strings lose their middle, the longest
// first, and only if there are too many values do an object and an array lose those in the middle.
func (el *Element) shortened(n Node) string {
	el.setTruncated()
	s := shortener{el: el, dst: el.scratch[:0], sizes: el.sizes[:0]}
	s.value(n, MaxContent)
	el.scratch, el.sizes = s.dst, s.sizes
	return el.Arena.Copy(s.dst)
}

// shortener writes a JSON value in a limited number of bytes. It looks at each value once for each level above it, so
// the cost is linear in the size of the value.
type shortener struct {
	el    *Element
	dst   []byte
	sizes []memberSize // of the members of all containers around the current value
}

// memberSize has the number of bytes of one member of an object, or of one element of an array.
type memberSize struct {
	fixed int // key and punctuation
	value int
}

// minShare is the number of bytes that every value may have. A value of at most this length is never changed.
const minShare = 64

// value writes a value in at most limit bytes, of which there are at least minShare.
func (s *shortener) value(n Node, limit int) {
	switch raw := n.Raw(); {
	case len(raw) <= limit:
		s.dst = append(s.dst, raw...)
	case n.Kind == scan.String:
		s.text(raw[1:len(raw)-1], limit)
	case n.Kind == scan.Object || n.Kind == scan.Array:
		s.container(n, limit)
	default: // a number with more digits than a number has
		s.dst = append(s.dst, "null"...)
	}
}

// text writes a string, of which raw is the text between the quotes. It cuts between characters and never inside an escape.
func (s *shortener) text(raw string, limit int) {
	room := limit - len(`""`) - len(omission)
	head, tail := 0, len(raw)
	for i := 0; i < len(raw); {
		if len(raw)-i <= room/2 {
			tail = i
			break
		}
		i += characterSize(raw[i:])
		if i <= room/2 {
			head = i
		}
	}
	s.dst = append(append(append(append(append(s.dst, '"'), raw[:head]...), omission...), raw[tail:]...), '"')
}

// characterSize returns the number of bytes of the first character of a valid JSON string's text.
func characterSize(raw string) int {
	switch {
	case raw[0] != '\\':
		_, n := utf8.DecodeRuneInString(raw)
		return n
	case raw[1] == 'u':
		return len(`\u0000`)
	}
	return len(`\n`)
}

// container writes an object or array. Each value gets the same share of the limit, and the longer ones get the bytes
// that short values do not need.
func (s *shortener) container(n Node, limit int) {
	base := len(s.sizes)
	s.each(n, func(key string, v Node) {
		size := memberSize{len(","), len(v.Raw())}
		if n.Kind == scan.Object {
			size.fixed += quotedSize(key) + len(":")
		}
		s.sizes = append(s.sizes, size)
	})
	limit -= len("{}")
	head, tail := kept(s.sizes[base:], limit)
	share := shareOf(s.sizes[base:], head, tail, limit)
	open, end := byte('{'), byte('}')
	if n.Kind == scan.Array {
		open, end = '[', ']'
	}
	s.dst = append(s.dst, open)
	from, i := len(s.dst), 0
	s.each(n, func(key string, v Node) {
		if at := i; at < head || at >= tail {
			if len(s.dst) > from {
				s.dst = append(s.dst, ',')
			}
			if n.Kind == scan.Object {
				s.dst = append(appendString(s.dst, key), ':')
			}
			s.value(v, share)
		}
		i++
	})
	s.dst = append(s.dst, end)
	s.sizes = s.sizes[:base]
}

// each calls yield with each member of an object, or each element of an array.
func (s *shortener) each(n Node, yield func(key string, v Node)) {
	if n.Kind == scan.Array {
		s.el.Index.Each(n.Src, n.Span, func(v scan.Span) bool {
			yield("", Node{n.Src, v})
			return true
		})
		return
	}
	s.el.Index.Members(n.Src, n.Span, &s.el.Arena, func(key string, v scan.Span) bool {
		yield(key, Node{n.Src, v})
		return true
	})
}

// kept returns which values fit into limit bytes if none has more than minShare: those before head and those from tail on. If
// all fit, head is tail.
func kept(sizes []memberSize, limit int) (head, tail int) {
	need := 0
	for _, m := range sizes {
		need += m.fixed + min(m.value, minShare)
	}
	if need <= limit {
		return len(sizes), len(sizes)
	}
	for room := limit / 2; head < len(sizes); head++ {
		if room -= sizes[head].fixed + min(sizes[head].value, minShare); room < 0 {
			break
		}
	}
	tail = len(sizes)
	for room := limit / 2; tail > head; tail-- {
		if room -= sizes[tail-1].fixed + min(sizes[tail-1].value, minShare); room < 0 {
			break
		}
	}
	return head, tail
}

// shareOf returns the largest share with which the kept values fit into limit bytes. It is at least minShare, with which they
// fit.
func shareOf(sizes []memberSize, head, tail, limit int) int {
	low, high := minShare, max(limit, minShare)
	for low < high {
		share, need := (low+high+1)/2, 0
		for i, m := range sizes {
			if i < head || i >= tail {
				need += m.fixed + min(m.value, share)
			}
		}
		if need <= limit {
			low = share
		} else {
			high = share - 1
		}
	}
	return low
}

// quotedSize returns the number of bytes that appendString appends for a text.
func quotedSize(text string) int {
	n := len(`""`)
	for _, r := range text {
		switch {
		case r == '"' || r == '\\' || r == '\n' || r == '\r' || r == '\t':
			n += 2
		case r < ' ' || r == 0x7f || r == '\u2028' || r == '\u2029':
			n += len(`\u0000`)
		default:
			n += utf8.RuneLen(r)
		}
	}
	return n
}
