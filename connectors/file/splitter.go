package file

import (
	"bytes"
	"context"
	"errors"
	"io"
)

const (
	// maxLine is the largest line or single document that becomes a record, in bytes: the cap of a Kafka message.
	maxLine = 16 << 20
	// maxElement is the largest element of an array or of Records that becomes a record, in bytes.
	maxElement = 4 << 20
	// maxLookahead is the number of bytes that decide whether a document is an array of objects or a Records document.
	// They include the blanks between its first tokens.
	maxLookahead = 4 << 10
)

// container is the kind of text that the splitter is in.
type container uint8

const (
	atTop     container = iota // lines and documents, one after another
	inArray                    // the elements of a document that is an array
	inRecords                  // the elements of Records, the first member of a document
)

// splitter splits a stream of bytes into records. A record is a line, an element of an array of objects, an element of a
// document that begins with "Records", or a document over several lines. If a text turns out not to be a document, the
// text up to the next line that begins with a bracket becomes one record, so a broken line never hides the next line.
// The result does not depend on the sizes of the pieces in which the bytes arrive.
type splitter struct {
	ctx  context.Context
	win  window
	out  batcher
	wait func(ctx context.Context) error // for a followed file: returns when it may have grown

	pos      int64 // everything before this offset has been split
	in       container
	lastEnd  int64 // the end of the last element, or of the bracket that opened the array
	reported bool  // a record with broken text of this array has been added

	fence int64 // the offset of the last fault, up to which a broken value was scanned
	again int64 // the number of bytes that were scanned and have been or will be scanned again

	scanned int64 // the number of bytes that scanValue has scanned, for tests

	maxLine int64
	maxElem int64
	maxHead int // less than both
}

// newSplitter returns a splitter of src that adds its records to out. The end of the stream is unknown at first.
func newSplitter(ctx context.Context, src io.Reader, out batcher) *splitter {
	out.ctx, out.highWater = ctx, -1
	return &splitter{ctx: ctx, win: window{src: src}, out: out, maxLine: maxLine, maxElem: maxElement, maxHead: headBytes}
}

// run splits until the stream ends. Its error comes from the Reader or from wait; win.fault returns an error of the
// stream itself.
func (s *splitter) run() error {
	if err := s.skipBOM(); err != nil {
		return err
	}
	for {
		var err error
		if s.in == atTop {
			err = s.topLevel()
		} else {
			err = s.element()
		}
		if err == io.EOF {
			return s.out.finish(&s.win)
		}
		if err != nil {
			return err
		}
	}
}

// fill reads more bytes and retains the buffered ones from offset keep on. It returns false at the end of the stream.
func (s *splitter) fill(keep int64) (bool, error) {
	for {
		if len(s.out.records) > 0 && keep-s.out.start >= batchBytes {
			if err := s.out.flush(&s.win, false); err != nil {
				return false, err
			}
		}
		ok, idle := s.win.read(s.out.retainFrom(&s.win, keep))
		if s.ctx.Err() != nil {
			// The text read last may be cut anywhere, so it must not become a record. Complete records are passed on.
			return false, errors.Join(s.out.flush(&s.win, false), context.Cause(s.ctx))
		}
		if !idle {
			return ok, nil
		}
		if s.wait == nil {
			return false, nil
		}
		if err := s.out.flush(&s.win, true); err != nil {
			return false, err
		}
		if err := s.wait(s.ctx); err != nil {
			return false, err
		}
	}
}

// skipBOM skips a byte order mark.
func (s *splitter) skipBOM() error {
	const bom = "\xef\xbb\xbf"
	for len(s.win.buf) < len(bom) {
		ok, err := s.fill(0)
		if err != nil {
			return err
		}
		if !ok {
			return nil
		}
	}
	if bytes.HasPrefix(s.win.buf, []byte(bom)) {
		s.pos = int64(len(bom))
	}
	return nil
}

// skipBlanks moves to the next byte that is not blank and returns it, or returns io.EOF.
func (s *splitter) skipBlanks() (byte, error) {
	for {
		for i, b := range s.win.bytes(s.pos) {
			if !isBlank(b) {
				s.pos += int64(i)
				return b, nil
			}
		}
		s.pos = s.win.end()
		// The last byte is retained: it decides whether the next one begins a line.
		ok, err := s.fill(max(s.pos-1, s.win.base))
		if err != nil {
			return 0, err
		}
		if !ok {
			return 0, io.EOF
		}
	}
}

// topLevel adds one line or steps into one document.
func (s *splitter) topLevel() error {
	b, err := s.skipBlanks()
	if err != nil {
		return err
	}
	if b == '{' || b == '[' {
		opened, err := s.openDocument()
		if opened || err != nil {
			return err
		}
	}
	end, err := s.lineEnd()
	if err != nil {
		return err
	}
	if end < 0 {
		return s.addTooLarge(s.pos, s.skipLine)
	}
	line := bytes.TrimRight(s.win.bytes(s.pos)[:end-s.pos], " \t\r")
	last := line[len(line)-1]
	if b != '{' && b != '[' || last == '}' || last == ']' {
		return s.addLine(line, end)
	}
	return s.addDocument(line, end)
}

// addLine adds the line from pos to end as a record.
func (s *splitter) addLine(line []byte, end int64) error {
	start := s.pos
	s.pos = end
	return s.out.add(&s.win, start, start+int64(len(line)))
}

// lineEnd returns the offset of the line end after pos, the end of the stream if the last line lacks a line end, or -1
// if the line is over the cap.
func (s *splitter) lineEnd() (int64, error) {
	searched := s.pos
	for {
		if i := bytes.IndexByte(s.win.bytes(searched), '\n'); i >= 0 {
			searched += int64(i)
			break
		}
		if searched = s.win.end(); searched-s.pos > s.maxLine {
			return -1, nil
		}
		ok, err := s.fill(s.pos)
		if err != nil {
			return 0, err
		}
		if !ok {
			break
		}
	}
	if searched-s.pos > s.maxLine {
		return -1, nil
	}
	return searched, nil
}

// addDocument adds a line that opens a value and does not look closed. If the value goes on in the next lines, the record
// is the whole value.
func (s *splitter) addDocument(line []byte, end int64) error {
	scan, open := openValue(line)
	if !open || scan.quoted() || end == s.win.end() && s.win.err != nil {
		return s.addLine(line, end)
	}
	start := s.pos
	limit, err := s.limit(start, s.maxLine)
	if err != nil {
		return err
	}
	v, err := s.scanValue(&scan, start, end, limit)
	switch {
	case err != nil:
		return err
	case s.pos-start > s.maxLine:
		_, err := s.addTooLargeValue(&scan, v, start)
		return err
	case v == done:
		return s.out.add(&s.win, start, s.pos)
	}
	return s.resync(start)
}

// limit returns the number of bytes within which the value at start has to end: most, or less. A broken value hides the
// lines after it up to a fault that may be far away, and these lines are scanned again, each of them perhaps up to the same
// fault. Once more bytes have been scanned again than the stream has up to the fault, a value before the fault has to end
// before the next line that begins with a bracket. So no stream is scanned more than a few times.
func (s *splitter) limit(start, most int64) (int64, error) {
	if start >= s.fence || s.again <= s.fence {
		return most, nil
	}
	end, ok, err := s.nextBracket(start)
	if err != nil || !ok {
		return most, err
	}
	return min(most, end-start), nil
}

// openValue scans the values of a line. It returns the state of the scan at the end of the line; open reports whether the
// last value goes on there.
func openValue(line []byte) (scan valueScan, open bool) {
	for {
		scan = valueScan{strict: true}
		n, v := scan.scan(line)
		if v != done {
			return scan, v == more
		}
		line = bytes.TrimLeft(line[n:], " \t\r")
		if len(line) == 0 || line[0] != '{' && line[0] != '[' {
			return scan, false
		}
	}
}

// scanValue continues a scan at offset from, up to limit bytes after start, and moves pos to the end of the scan. That
// is the end of the value for done and the offending byte for bad. For more it is the end of the buffered bytes: either
// the value is over the limit, or the stream has ended. If the limit is below that of the kind of value, for more it is
// the limit.
func (s *splitter) scanValue(scan *valueScan, start, from, limit int64) (verdict, error) {
	s.pos = from
	for {
		text, within := s.win.bytes(s.pos), limit < min(s.maxLine, s.maxElem)
		if within {
			text = text[:min(int64(len(text)), max(start+limit-s.pos, 0))]
		}
		n, v := scan.scan(text)
		s.pos += int64(n)
		s.scanned += int64(n)
		if v != more || s.pos-start > limit || within && s.pos-start == limit {
			return v, nil
		}
		ok, err := s.fill(start)
		if err != nil || !ok {
			return more, err
		}
	}
}

// addTooLargeValue adds the beginning of the value at start, which was scanned beyond its cap with verdict v, and skips
// the rest of the value. broken reports that the text is not a value after all; it then ends before the next line that
// begins with a bracket.
func (s *splitter) addTooLargeValue(scan *valueScan, v verdict, start int64) (broken bool, err error) {
	err = s.addTooLarge(start, func() error {
		for v == more {
			ok, err := s.fill(s.pos - 1) // the byte before pos may be the line end that skipBroken looks for
			if err != nil || !ok {
				return err
			}
			var n int
			n, v = scan.scan(s.win.bytes(s.pos))
			s.pos += int64(n)
		}
		if v == done {
			return nil
		}
		broken = true
		s.pos--
		return s.skipBroken()
	})
	return broken, err
}

// skipLine moves to the next line end.
func (s *splitter) skipLine() error {
	for {
		if i := bytes.IndexByte(s.win.bytes(s.pos), '\n'); i >= 0 {
			s.pos += int64(i)
			return nil
		}
		s.pos = s.win.end()
		ok, err := s.fill(s.pos)
		if err != nil || !ok {
			return err
		}
	}
}

// addTooLarge adds the beginning of the record at start and calls skip to skip the rest.
func (s *splitter) addTooLarge(start int64, skip func() error) error {
	if err := s.out.addText(&s.win, head(s.win.bytes(start), s.maxHead), start, start+1, true); err != nil {
		return err
	}
	return skip()
}

// resync adds the broken text from start to the next line that begins with a bracket as one record, and moves to that
// line.
func (s *splitter) resync(start int64) error {
	fault := s.pos
	searched, ok, err := s.nextBracket(start)
	if err != nil {
		return err
	}
	if !ok {
		s.pos = start
		return s.addTooLarge(start, s.skipBroken)
	}
	s.pos = searched
	s.fence, s.again = max(s.fence, fault), s.again+max(fault-searched, 0)
	text := bytes.TrimRight(s.win.bytes(start)[:searched-start], " \t\r\n")
	if len(text) == 0 { // a document that breaks off at a line end within a string: no text is left to add
		return s.addUnclosed()
	}
	return s.out.add(&s.win, start, start+int64(len(text)))
}

// nextBracket returns the offset of the line end before the next line after start that begins with a bracket, or the end of
// the stream. ok is false if that is more than maxLine away.
func (s *splitter) nextBracket(start int64) (at int64, ok bool, err error) {
	searched := start
	for {
		if i := lineWithBracket(s.win.bytes(searched)); i >= 0 {
			searched += int64(i)
			break
		}
		// The last byte may be the line end of a line that begins with a bracket.
		searched = max(start, s.win.end()-1)
		if searched-start > s.maxLine {
			break
		}
		more, err := s.fill(start)
		if err != nil {
			return 0, false, err
		}
		if !more {
			searched = s.win.end()
			break
		}
	}
	return searched, searched-start <= s.maxLine, nil
}

// skipBroken moves to the line end before the next line that begins with a bracket.
func (s *splitter) skipBroken() error {
	for {
		if at := lineWithBracket(s.win.bytes(s.pos)); at >= 0 {
			s.pos += int64(at)
			return nil
		}
		s.pos = max(s.pos, s.win.end()-1)
		ok, err := s.fill(s.pos)
		if err != nil {
			return err
		}
		if !ok {
			s.pos = s.win.end()
			return nil
		}
	}
}

// lineWithBracket returns the index of the first line end in b that is followed by a bracket, or -1.
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
