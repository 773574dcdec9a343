package file

import "bytes"

// verdict is the result of scanning a piece of a value.
type verdict uint8

const (
	more verdict = iota // the value goes on after the piece
	done                // the value ends within the piece
	bad                 // the piece cannot be part of a JSON value
)

// scanState is the position of a valueScan in the grammar. The escape state of each kind of string directly follows the
// state of that kind.
type scanState uint8

const (
	wantValue scanState = iota
	wantElement
	wantKey
	wantFirstKey
	wantColon
	wantNext
	inKey
	inKeyEscape
	inText
	inTextEscape
	inScalar
	inDeep
	inDeepText
	inDeepEscape
)

// maxNesting is the depth down to which the grammar is followed; below it only brackets and strings are recognised.
// Decoding refuses deeper values, but an element that is too deep must not hide its neighbours.
const maxNesting = 64

// valueScan finds the end of one JSON value that arrives in pieces. It follows the grammar only as far as necessary to
// detect that a value breaks off, and leaves the contents of strings and numbers to decoding. The zero valueScan is
// before a value.
type valueScan struct {
	state  scanState
	strict bool // nesting deeper than maxNesting is bad
	depth  int
	kinds  uint64 // bit i: level i is an object
}

// scan continues with b. It returns the number of bytes of b that belong to the value; for bad, that is the index of the
// offending byte.
func (s *valueScan) scan(b []byte) (int, verdict) {
	for i := 0; i < len(b); i++ {
		switch s.state {
		case inKey, inText, inDeepText:
			n := textEnd(b[i:])
			if i += n; i == len(b) {
				return i, more
			}
			if b[i] == '\n' {
				return i, bad
			}
			if s.inString(b[i]) {
				return i + 1, done
			}
		case inKeyEscape, inTextEscape, inDeepEscape:
			if b[i] == '\n' {
				return i, bad
			}
			s.state-- // from the escape state to that of its string
		case inDeep:
			s.deep(b[i])
		case inScalar:
			if isScalar(b[i]) {
				continue
			}
			if s.depth == 0 {
				return i, done
			}
			s.state = wantNext
			i-- // the byte is examined again in the new state
		default:
			if isBlank(b[i]) {
				continue
			}
			switch s.token(b[i]) {
			case done:
				return i + 1, done
			case bad:
				return i, bad
			}
		}
	}
	return len(b), more
}

// inString handles the quote or backslash at which the text of a string has stopped. It reports whether the value ends
// there.
func (s *valueScan) inString(c byte) bool {
	if c == '\\' {
		s.state++
		return false
	}
	switch s.state {
	case inKey:
		s.state = wantColon
	case inDeepText:
		s.state = inDeep
	default:
		s.state = wantNext
		return s.depth == 0
	}
	return false
}

// deep counts the brackets below maxNesting.
func (s *valueScan) deep(c byte) {
	switch c {
	case '"':
		s.state = inDeepText
	case '{', '[':
		s.depth++
	case '}', ']':
		if s.depth--; s.depth == maxNesting {
			s.state = wantNext
		}
	}
}

// token handles a byte that is neither blank nor inside a string or scalar.
func (s *valueScan) token(c byte) verdict {
	switch {
	case c == '"' && (s.state == wantKey || s.state == wantFirstKey):
		s.state = inKey
	case c == ':' && s.state == wantColon:
		s.state = wantValue
	case c == ',' && s.state == wantNext && s.depth > 0:
		s.state = wantValue
		if s.inObject() {
			s.state = wantKey
		}
	case c == '}' && (s.state == wantFirstKey || s.state == wantNext && s.inObject()),
		c == ']' && (s.state == wantElement || s.state == wantNext && s.depth > 0 && !s.inObject()):
		s.state = wantNext
		if s.depth--; s.depth == 0 {
			return done
		}
	case s.state != wantValue && s.state != wantElement:
		return bad
	case c == '"':
		s.state = inText
	case c == '{' || c == '[':
		return s.open(c)
	case isScalar(c):
		s.state = inScalar
	default:
		return bad
	}
	return more
}

// open handles a bracket that opens an object or array.
func (s *valueScan) open(c byte) verdict {
	if s.depth++; s.depth > maxNesting {
		if s.strict {
			return bad
		}
		s.state = inDeep
		return more
	}
	s.state = wantElement
	if s.kinds &^= 1 << (s.depth - 1); c == '{' {
		s.kinds |= 1 << (s.depth - 1)
		s.state = wantFirstKey
	}
	return more
}

// inObject reports whether the innermost open value is an object.
func (s *valueScan) inObject() bool { return s.depth > 0 && s.kinds>>(s.depth-1)&1 == 1 }

// quoted reports whether the bytes scanned so far end within a string.
func (s *valueScan) quoted() bool {
	switch s.state {
	case inKey, inKeyEscape, inText, inTextEscape, inDeepText, inDeepEscape:
		return true
	}
	return false
}

// textEnd returns the index of the first quote, backslash or line end in b, or len(b). It examines the first bytes one by
// one, and the rest in pieces, each with three calls of bytes.IndexByte, which uses vector instructions. Searching in
// pieces keeps a text of nothing but backslashes from costing a search to the end of b for each of them.
func textEnd(b []byte) int {
	const short, piece = 16, 256
	n := min(short, len(b))
	for i, c := range b[:n] {
		if c == '"' || c == '\\' || c == '\n' {
			return i
		}
	}
	for n < len(b) {
		p := b[n:min(n+piece, len(b))]
		end := len(p)
		for _, c := range [...]byte{'"', '\\', '\n'} {
			if i := bytes.IndexByte(p[:end], c); i >= 0 {
				end = i
			}
		}
		if n += end; end < len(p) {
			return n
		}
	}
	return n
}

func isBlank(c byte) bool { return c == ' ' || c == '\n' || c == '\t' || c == '\r' }

// isScalar reports whether c can be part of a number, true, false or null.
func isScalar(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || c == '-' || c == '+' || c == '.'
}
