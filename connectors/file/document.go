package file

import "io"

// unclosed is the record for a document that breaks off after an element or after its array. Decoding counts it, because
// it is malformed.
const unclosed = "["

// openDocument steps into the document at pos if it is an array of objects or a Records document, and reports whether it
// is.
func (s *splitter) openDocument() (bool, error) {
	for {
		text := s.win.bytes(s.pos)
		text = text[:min(len(text), maxLookahead)]
		kind, n, decided := classify(text)
		if !decided && len(text) < maxLookahead {
			ok, err := s.fill(s.pos)
			if err != nil {
				return false, err
			}
			if ok {
				continue
			}
		}
		if kind == atTop {
			return false, nil
		}
		s.in, s.reported = kind, false
		s.pos += int64(n)
		s.lastEnd = s.pos
		return true, nil
	}
}

// classify returns the kind of the document at the start of b and the length of its opening tokens. decided is false if b
// is too short.
func classify(b []byte) (kind container, n int, decided bool) {
	if b[0] == '[' {
		n = 1 + blanks(b[1:])
		if n == len(b) {
			return atTop, 0, false
		}
		if b[n] == '{' {
			return inArray, 1, true
		}
		return atTop, 0, true
	}
	for _, token := range []string{"{", `"Records"`, ":", "["} {
		n += blanks(b[n:])
		rest := b[n:]
		if len(rest) < len(token) {
			return atTop, 0, string(rest) != token[:len(rest)]
		}
		if string(rest[:len(token)]) != token {
			return atTop, 0, true
		}
		n += len(token)
	}
	return inRecords, n, true
}

// blanks returns the number of blanks at the start of b.
func blanks(b []byte) int {
	for i, c := range b {
		if !isBlank(c) {
			return i
		}
	}
	return len(b)
}

// element adds one element of an array and reads the separator after it.
func (s *splitter) element() error {
	b, err := s.skipBlanks()
	if err == io.EOF {
		return s.endUnclosed()
	}
	if err != nil {
		return err
	}
	if b == ']' {
		return s.closeArray()
	}
	start := s.pos
	var scan valueScan
	limit, err := s.limit(start, s.maxElem)
	if err != nil {
		return err
	}
	v, err := s.scanValue(&scan, start, start, limit)
	switch {
	case err != nil:
		return err
	case s.pos-start > s.maxElem:
		s.reported, err = s.addTooLargeValue(&scan, v, start)
		if err != nil || s.reported {
			return err
		}
	case v == done, v == more && scan.state == inScalar && scan.depth == 0:
		if err := s.out.add(&s.win, start, s.pos); err != nil {
			return err
		}
	default:
		s.reported = true
		return s.resync(start)
	}
	s.lastEnd = s.pos
	return s.separator()
}

// separator reads the text between two elements.
func (s *splitter) separator() error {
	b, err := s.skipBlanks()
	switch {
	case err == io.EOF:
		return s.endUnclosed()
	case err != nil:
		return err
	case b == ',':
		s.pos++
		s.lastEnd = s.pos
		return nil
	case b == ']':
		return s.closeArray()
	}
	return s.unexpected(b)
}

// unexpected leaves a document at b, a byte that cannot follow at pos. If b is a bracket at the start of a line, this line
// begins a new record.
func (s *splitter) unexpected(b byte) error {
	beginsLine := s.pos > s.win.base && s.win.bytes(s.pos - 1)[0] == '\n'
	if beginsLine && (b == '{' || b == '[') {
		return s.addUnclosed()
	}
	s.in = atTop
	return s.resync(s.pos)
}

// closeArray steps out of the array whose closing bracket is at pos.
func (s *splitter) closeArray() error {
	s.pos++
	if s.in == inArray {
		s.in = atTop
		return nil
	}
	s.lastEnd = s.pos
	scan := valueScan{state: wantNext, depth: 1, kinds: 1} // after a member of an object
	for {
		n, v := scan.scan(s.win.bytes(s.pos))
		s.pos += int64(n)
		switch v {
		case done:
			s.in = atTop
			return nil
		case bad:
			return s.unexpected(s.win.bytes(s.pos)[0])
		}
		ok, err := s.fill(s.pos - 1)
		if err != nil {
			return err
		}
		if !ok {
			return s.endUnclosed()
		}
	}
}

// endUnclosed ends the stream inside a document.
func (s *splitter) endUnclosed() error {
	if err := s.addUnclosed(); err != nil {
		return err
	}
	return io.EOF
}

// addUnclosed leaves an array that is not closed, and adds the record unclosed unless broken text of the array has been
// added already. The offset of this record is that of the last correct byte, or one more if that byte is itself a whole
// record, so that no offset is used twice.
func (s *splitter) addUnclosed() error {
	s.in = atTop
	if s.reported {
		return nil
	}
	at := max(s.lastEnd-1, s.out.last+1)
	return s.out.addText(&s.win, unclosed, at, at+1, false)
}
