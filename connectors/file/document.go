package file

import "io"

// unclosed stands for a document that is broken off after an element, or behind its array: decoding finds it malformed, and so it is counted.
const unclosed = "["

// open looks whether the text at pos opens an array of objects or a Records document, and steps into it.
func (c *cutter) open() (bool, error) {
	for {
		text := c.win.bytes(c.pos)
		text = text[:min(len(text), maxLookahead)]
		kind, n, decided := opening(text)
		if !decided && len(text) < maxLookahead {
			ok, err := c.fill(c.pos)
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
		c.in, c.reported = kind, false
		c.pos += int64(n)
		c.lastEnd = c.pos
		return true, nil
	}
}

// opening says what kind of document b opens and how long its opening is. It is not decided where b is too short.
func opening(b []byte) (kind inside, n int, decided bool) {
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

func blanks(b []byte) int {
	for i, c := range b {
		if !isBlank(c) {
			return i
		}
	}
	return len(b)
}

// element cuts one element of an array, and what follows it.
func (c *cutter) element() error {
	b, err := c.skipBlanks()
	if err == io.EOF {
		return c.brokenOff()
	}
	if err != nil {
		return err
	}
	if b == ']' {
		return c.leave()
	}
	start := c.pos
	var s valueScan
	v, err := c.scanValue(&s, start, start, c.maxElem)
	switch {
	case err != nil:
		return err
	case c.pos-start > c.maxElem:
		c.reported, err = c.tooLargeValue(&s, v, start)
		if err != nil || c.reported {
			return err
		}
	case v == done, v == more && s.state == inScalar && s.depth == 0:
		if err := c.out.add(&c.win, start, c.pos); err != nil {
			return err
		}
	default:
		c.reported = true
		return c.resync(start)
	}
	c.lastEnd = c.pos
	return c.separator()
}

// separator takes what stands between two elements.
func (c *cutter) separator() error {
	b, err := c.skipBlanks()
	switch {
	case err == io.EOF:
		return c.brokenOff()
	case err != nil:
		return err
	case b == ',':
		c.pos++
		c.lastEnd = c.pos
		return nil
	case b == ']':
		return c.leave()
	}
	return c.astray(b)
}

// astray leaves a document at a byte that cannot follow. Where that byte opens a line, the line is a new one.
func (c *cutter) astray(b byte) error {
	beginsLine := c.pos > c.win.base && c.win.bytes(c.pos - 1)[0] == '\n'
	if beginsLine && (b == '{' || b == '[') {
		return c.mark()
	}
	c.in = atTop
	return c.resync(c.pos)
}

// leave steps out of the array whose closing bracket stands at pos.
func (c *cutter) leave() error {
	c.pos++
	if c.in == inArray {
		c.in = atTop
		return nil
	}
	c.lastEnd = c.pos
	s := valueScan{state: wantNext, depth: 1, kinds: 1} // behind a member of an object
	for {
		n, v := s.scan(c.win.bytes(c.pos))
		c.pos += int64(n)
		switch v {
		case done:
			c.in = atTop
			return nil
		case bad:
			return c.astray(c.win.bytes(c.pos)[0])
		}
		ok, err := c.fill(c.pos - 1)
		if err != nil {
			return err
		}
		if !ok {
			return c.brokenOff()
		}
	}
}

// brokenOff ends a stream inside a document.
func (c *cutter) brokenOff() error {
	if err := c.mark(); err != nil {
		return err
	}
	return io.EOF
}

// mark leaves an array that is not closed, and hands on a mark of it unless what is broken was handed on already. It
// stands at the last byte that was right, or behind it where that byte is a whole record: no position is used twice.
func (c *cutter) mark() error {
	c.in = atTop
	if c.reported {
		return nil
	}
	at := max(c.lastEnd-1, c.out.last+1)
	return c.out.addText(&c.win, unclosed, at, at+1, false)
}
