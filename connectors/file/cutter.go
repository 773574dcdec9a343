package file

import (
	"bytes"
	"context"
	"io"
)

const (
	// maxLine is the largest line or single document that becomes a record, in bytes: the cap of a Kafka message.
	maxLine = 16 << 20
	// maxElement is the largest element of an array or of Records that becomes a record, in bytes.
	maxElement = 4 << 20
	// maxLookahead is how many bytes decide whether a document is an array of objects or a Records document; the
	// blanks between its first tokens are part of them.
	maxLookahead = 4 << 10
)

// inside says which kind of text the cutter stands in.
type inside uint8

const (
	atTop     inside = iota // lines and documents, one after the other
	inArray                 // the elements of an array that is a document
	inRecords               // the elements of a document's first member, Records
)

// cutter cuts a stream of bytes into records. A record is a line; or an element of an array of objects, or of a
// document that begins with "Records"; or a document over several lines. Only what cannot be a document is broken off:
// then the text up to the next line that begins with a bracket is one record, so that one broken line never hides the
// next one. How the bytes arrive makes no difference.
type cutter struct {
	ctx  context.Context
	win  window
	out  batcher
	wait func(ctx context.Context) error // for a followed file: returns when there may be more

	pos      int64 // everything before it is cut
	in       inside
	lastEnd  int64 // the end of the last element, or of the bracket that opened the array
	reported bool  // something in this array is broken and was handed on
	maxLine  int64
	maxElem  int64
	maxHead  int // below both
}

// newCutter returns a cutter of src that hands on through out; out's position in the stream is unknown at first.
func newCutter(ctx context.Context, src io.Reader, out batcher) *cutter {
	out.ctx, out.highWater = ctx, -1
	return &cutter{ctx: ctx, win: window{src: src}, out: out, maxLine: maxLine, maxElem: maxElement, maxHead: headBytes}
}

// run cuts until the stream ends. It returns what the Reader or the wait returned; a fault of the stream itself is in
// win.fault.
func (c *cutter) run() error {
	if err := c.skipMark(); err != nil {
		return err
	}
	for {
		var err error
		if c.in == atTop {
			err = c.top()
		} else {
			err = c.element()
		}
		if err == io.EOF {
			return c.out.finish(&c.win)
		}
		if err != nil {
			return err
		}
	}
}

// fill gets more bytes and keeps those from keep on. It returns false at the end of the stream.
func (c *cutter) fill(keep int64) (bool, error) {
	for {
		if len(c.out.records) > 0 && keep-c.out.start >= batchBytes {
			if err := c.out.flush(&c.win, false); err != nil {
				return false, err
			}
		}
		ok, idle := c.win.read(c.out.leave(&c.win, keep))
		if !idle {
			return ok, nil
		}
		if c.wait == nil {
			return false, nil
		}
		if err := c.out.flush(&c.win, true); err != nil {
			return false, err
		}
		if err := c.wait(c.ctx); err != nil {
			return false, err
		}
	}
}

// skipMark skips a byte order mark.
func (c *cutter) skipMark() error {
	const mark = "\xef\xbb\xbf"
	for len(c.win.buf) < len(mark) {
		ok, err := c.fill(0)
		if err != nil {
			return err
		}
		if !ok {
			return nil
		}
	}
	if bytes.HasPrefix(c.win.buf, []byte(mark)) {
		c.pos = int64(len(mark))
	}
	return nil
}

// skipBlanks moves to the next byte that is not blank and returns it, or io.EOF.
func (c *cutter) skipBlanks() (byte, error) {
	for {
		for i, b := range c.win.bytes(c.pos) {
			if !isBlank(b) {
				c.pos += int64(i)
				return b, nil
			}
		}
		c.pos = c.win.end()
		// The last byte stays: it tells whether what follows begins a line.
		ok, err := c.fill(max(c.pos-1, c.win.base))
		if err != nil {
			return 0, err
		}
		if !ok {
			return 0, io.EOF
		}
	}
}

// top cuts one line or opens one document.
func (c *cutter) top() error {
	b, err := c.skipBlanks()
	if err != nil {
		return err
	}
	if b == '{' || b == '[' {
		opened, err := c.open()
		if opened || err != nil {
			return err
		}
	}
	end, err := c.lineEnd()
	if err != nil {
		return err
	}
	if end < 0 {
		return c.tooLarge(c.pos, c.skipLine)
	}
	line := bytes.TrimRight(c.win.bytes(c.pos)[:end-c.pos], " \t\r")
	last := line[len(line)-1]
	if b != '{' && b != '[' || last == '}' || last == ']' {
		return c.cutLine(line, end)
	}
	return c.document(line, end)
}

// cutLine makes a record of the line that stands at pos and ends at end.
func (c *cutter) cutLine(line []byte, end int64) error {
	start := c.pos
	c.pos = end
	return c.out.add(&c.win, start, start+int64(len(line)))
}

// lineEnd returns the place of the line end behind pos, the end of the stream, or -1 where the line is over the cap.
func (c *cutter) lineEnd() (int64, error) {
	searched := c.pos
	for {
		if i := bytes.IndexByte(c.win.bytes(searched), '\n'); i >= 0 {
			searched += int64(i)
			break
		}
		if searched = c.win.end(); searched-c.pos > c.maxLine {
			return -1, nil
		}
		ok, err := c.fill(c.pos)
		if err != nil {
			return 0, err
		}
		if !ok {
			break
		}
	}
	if searched-c.pos > c.maxLine {
		return -1, nil
	}
	return searched, nil
}

// document cuts a line that opens a value and does not look closed. Where the value goes on in the next lines, the
// record is all of it.
func (c *cutter) document(line []byte, end int64) error {
	s, open := openValue(line)
	if !open || s.quoted() || end == c.win.end() && c.win.err != nil {
		return c.cutLine(line, end)
	}
	start := c.pos
	v, err := c.scanValue(&s, start, end, c.maxLine)
	switch {
	case err != nil:
		return err
	case c.pos-start > c.maxLine:
		_, err := c.tooLargeValue(&s, v, start)
		return err
	case v == done:
		return c.out.add(&c.win, start, c.pos)
	}
	return c.resync(start)
}

// openValue scans the values of a line and returns where the last one stands; open is false where none goes on.
func openValue(line []byte) (s valueScan, open bool) {
	for {
		s = valueScan{strict: true}
		n, v := s.scan(line)
		if v != done {
			return s, v == more
		}
		line = bytes.TrimLeft(line[n:], " \t\r")
		if len(line) == 0 || line[0] != '{' && line[0] != '[' {
			return s, false
		}
	}
}

// scanValue scans on at from, up to limit bytes behind start, and moves pos to where it got: behind the value for done,
// else to the byte that is wrong, or to the end of the bytes that are there (more: the value is over the limit or the
// stream ended).
func (c *cutter) scanValue(s *valueScan, start, from, limit int64) (verdict, error) {
	c.pos = from
	for {
		n, v := s.scan(c.win.bytes(c.pos))
		c.pos += int64(n)
		if v != more || c.pos-start > limit {
			return v, nil
		}
		ok, err := c.fill(start)
		if err != nil || !ok {
			return more, err
		}
	}
}

// tooLargeValue hands on the beginning of the value at start, which was scanned beyond its cap with verdict v, and
// passes the rest of it. broken says that it is no value after all; then it ends before the next line that begins with
// a bracket.
func (c *cutter) tooLargeValue(s *valueScan, v verdict, start int64) (broken bool, err error) {
	err = c.tooLarge(start, func() error {
		for v == more {
			ok, err := c.fill(c.pos - 1) // the byte before pos may be the line end that skipBroken looks for
			if err != nil || !ok {
				return err
			}
			var n int
			n, v = s.scan(c.win.bytes(c.pos))
			c.pos += int64(n)
		}
		if v == done {
			return nil
		}
		broken = true
		c.pos--
		return c.skipBroken()
	})
	return broken, err
}

// skipLine moves to the next line end.
func (c *cutter) skipLine() error {
	for {
		if i := bytes.IndexByte(c.win.bytes(c.pos), '\n'); i >= 0 {
			c.pos += int64(i)
			return nil
		}
		c.pos = c.win.end()
		ok, err := c.fill(c.pos)
		if err != nil || !ok {
			return err
		}
	}
}

// tooLarge hands on the beginning of the record at start and lets skip pass the rest of it.
func (c *cutter) tooLarge(start int64, skip func() error) error {
	if err := c.out.addText(&c.win, head(c.win.bytes(start), c.maxHead), start, start+1, true); err != nil {
		return err
	}
	return skip()
}

// resync makes one record of the broken text from start to the next line that begins with a bracket, and goes on there.
func (c *cutter) resync(start int64) error {
	searched := start
	for {
		at := lineWithBracket(c.win.bytes(searched))
		if at >= 0 {
			searched += int64(at)
			break
		}
		// The last byte may be the line end of a line that begins with a bracket.
		searched = max(start, c.win.end()-1)
		if searched-start > c.maxLine {
			break
		}
		ok, err := c.fill(start)
		if err != nil {
			return err
		}
		if !ok {
			searched = c.win.end()
			break
		}
	}
	if searched-start > c.maxLine {
		c.pos = start
		return c.tooLarge(start, c.skipBroken)
	}
	c.pos = searched
	text := bytes.TrimRight(c.win.bytes(start)[:searched-start], " \t\r\n")
	if len(text) == 0 { // a document that a line end breaks in a text: there is nothing behind it
		return c.mark()
	}
	return c.out.add(&c.win, start, start+int64(len(text)))
}

// skipBroken moves to the line end before the next line that begins with a bracket.
func (c *cutter) skipBroken() error {
	for {
		if at := lineWithBracket(c.win.bytes(c.pos)); at >= 0 {
			c.pos += int64(at)
			return nil
		}
		c.pos = max(c.pos, c.win.end()-1)
		ok, err := c.fill(c.pos)
		if err != nil {
			return err
		}
		if !ok {
			c.pos = c.win.end()
			return nil
		}
	}
}

// lineWithBracket returns the place of the first line end in b that a bracket follows, or -1.
func lineWithBracket(b []byte) int {
	for i := 0; ; i++ {
		n := bytes.IndexByte(b[i:], '\n')
		if n < 0 || i+n+1 == len(b) {
			return -1
		}
		if i += n; b[i+1] == '{' || b[i+1] == '[' {
			return i
		}
	}
}
