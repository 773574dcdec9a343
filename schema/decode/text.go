package decode

import (
	"errors"
	"fmt"
	"strings"

	"github.com/aidr-engine/aidr/schema/scan"
)

// decodeText decodes a whole text: one JSON value, several of them, lines with JSON at their end, gzip, a framed message,
// or protobuf.
func (d *Decoder) decodeText(text string, level int) {
	d.depth = level
	d.elem.Charge(len(text))
	switch {
	case len(text) > MaxRecord:
		d.deadLetter(ReasonSize, fmt.Sprintf("%d bytes are more than %d", len(text), MaxRecord), text)
		return
	case isGzip(text):
		d.decodeGzip(text, level)
		return
	case isUTF16(text):
		d.decodeUTF16(text, level)
		return
	case isFramed(text):
		d.decodeFramed(text, level)
		return
	case strings.HasPrefix(text, avroMagic):
		d.deadLetter(ReasonMalformed, "a container file of Avro in a message: send its records one by one, or read it as a file", text)
		return
	case d.decodeProtobuf(text, level):
		return
	}
	from := skipSeparators(text, 0)
	v, next, dup, err := d.nextValue(text, len(text), from)
	if err == nil && v.Kind != scan.Absent && skipSeparators(text, next) == len(text) {
		d.decodeValue(text, d.found[d.root], dup, level)
		return
	}
	d.decodeLines(text, level, from, v, next, dup, err)
}

// nextValue selects from the value that begins at an offset, as if the text ended at within. A line that begins with a number,
// as those with a time or an address do, is not JSON if the number is only the beginning of a word, of a known prefix or of a
// line of an access log.
func (d *Decoder) nextValue(text string, within, from int) (v scan.Span, next, dup int, err error) {
	if from < len(text) && text[from]-'0' <= 9 && (from == 0 || text[from-1] == '\n') {
		line := firstLine(text[from:])
		word := strings.TrimLeft(line, "0123456789.+-eE")
		_, err := scan.Valid(line[:len(line)-len(word)])
		if err != nil || d.isRecordLine(line) || word != "" && strings.IndexByte(blanks+`{["`, word[0]) < 0 {
			return scan.Span{}, from, 0, &scan.Error{Cause: scan.ErrSyntax, Offset: from}
		}
	}
	return d.selection.Next(text[:within], from)
}

// skipSeparators returns the offset of the next value at or after an offset: it skips blanks, and what programs leave
// between values and never inside them. These are the record separators of RFC 7464, byte order marks of files that were
// joined, and the runs of NUL that file systems leave after a crash.
func skipSeparators(text string, at int) int {
	for at < len(text) {
		switch text[at] {
		case ' ', '\t', '\r', '\n', recordSeparator, 0:
			at++
		default:
			if !strings.HasPrefix(text[at:], byteOrderMark) {
				return at
			}
			at += len(byteOrderMark)
		}
	}
	return at
}

const (
	recordSeparator = 0x1e
	byteOrderMark   = "\ufeff"
)

// decodeLines decodes consecutive JSON values, as in NDJSON, and lines with text before their JSON. A malformed value ends
// one line at most: if the bad line begins with an object, decoding resumes at the next line that does. v, next, dup and err
// are the result of Found.Next for the first value, which begins at from.
//
// A value that is cut off swallows the lines after it, up to a fault that may be far away. These lines are read again, and
// each of them may be cut off, too, so that reading could cost 64 times the text, once for each level of nesting. Once as
// many bytes have been read again as the text has, each line up to the last fault is read on its own, as if the text ended
// with that line.
func (d *Decoder) decodeLines(text string, level, from int, v scan.Span, next, dup int, err error) {
	outer := d.salvage
	d.noteLines(level, true)
	defer func() {
		d.noteLines(level, false)
		d.salvage = outer
	}()
	first := from
	fence, again := 0, 0 // the offset of the last fault; the number of bytes that have been or will be read again
	d.salvage = 2 * len(text)
	for within := len(text); ; {
		switch {
		case err != nil:
			end := d.decodeDamaged(text, from, err, level)
			if end == len(text) {
				return
			}
			from, fence, again = end, max(fence, next), again+max(next-end, 0)
		case v.Kind == scan.Absent && within == len(text):
			if from == first {
				d.deadLetter(ReasonEmpty, "nothing but blanks", text)
			}
			return
		default:
			from = next
			if v.Kind != scan.Absent {
				d.decodeValue(text, d.found[d.root], dup, level)
			}
		}
		if d.elem.LimitExceeded() {
			return
		}
		from = skipSeparators(text, from)
		switch {
		case from >= fence || again <= len(text):
			within = len(text)
		case from >= within || within == len(text):
			within = d.lineEnd(text, from)
		}
		v, next, dup, err = d.nextValue(text, within, from)
	}
}

// noteLines records whether the values at a level are consecutive values of a text.
func (d *Decoder) noteLines(level int, lines bool) {
	if level < len(d.trail) {
		d.trail[level].lines = lines
	}
}

// lineEnd returns the end of a malformed value that begins at start. If the value begins a line with an object, its end
// is before the next such line. A line of text ends before the next line that begins with JSON or has it after a known
// prefix. NUL and the record separator end any value, because JSON has neither. Otherwise the rest of the text is lost.
func (d *Decoder) lineEnd(text string, start int) int {
	if start == len(text) {
		return start
	}
	c := text[start]
	if c != '{' && c != '[' && c != '"' {
		return start + d.proseEnd(text[start:])
	}
	lines := c == '{' && (start == 0 || strings.IndexByte("\n\x00\x1e\xbf", text[start-1]) >= 0) // 0xbf ends a byte order mark
	for end := start; ; end++ {
		i := strings.IndexAny(text[end:], "\n\x00\x1e")
		if i < 0 {
			return len(text)
		}
		end += i
		if text[end] != '\n' || lines && end+1 < len(text) && text[end+1] == '{' {
			return end
		}
	}
}

// proseEnd returns the end of the lines of text at the beginning of a text that does not begin with JSON: the first line, and
// the following ones without JSON.
func (d *Decoder) proseEnd(text string) int {
	if d.isRecordLine(firstLine(text)) {
		return len(firstLine(text))
	}
	for at := 0; ; {
		i := strings.IndexByte(text[at:], '\n')
		if i < 0 {
			return len(text)
		}
		at += i + 1
		line := firstLine(text[at:])
		if line == "" {
			continue
		}
		if line[0] == '{' || line[0] == '[' || d.isRecordLine(line) {
			return at
		}
	}
}

// isRecordLine reports whether a line of text holds a record: it has a known prefix, or it is a line of an access log.
func (d *Decoder) isRecordLine(line string) bool {
	_, ok := d.cutPrefix(line)
	return ok || d.isAccessLine(line)
}

// firstLine returns the text up to the first newline.
func firstLine(text string) string {
	if i := strings.IndexByte(text, '\n'); i >= 0 {
		return text[:i]
	}
	return text
}

// decodeDamaged decodes the part of a text at an offset that is not JSON, by what it may be instead: a line with a prefix, a
// list with bad elements among good ones, or JSON with faults that can be mended. Anything else becomes a dead letter. It
// returns the offset after that part.
func (d *Decoder) decodeDamaged(text string, from int, err error, level int) (end int) {
	d.depth = level
	if line := firstLine(text[from:]); text[from] != '{' && text[from] != '[' {
		if p, ok := d.cutPrefix(line); ok {
			d.decodePrefixed(line, p, level)
			return from + len(line)
		}
		if record, ok := d.accessLine(line); ok {
			d.decodeText(record, level)
			return from + len(line)
		}
	}
	if d.salvage > 0 {
		if after := d.decodeSalvaged(text[from:], level); after > 0 {
			return from + after
		}
		d.salvage -= len(text) - from // or else many lines would each be read up to the end of the text
	}
	end = d.lineEnd(text, from)
	part := text[from:end]
	if d.decodeMended(part, level) {
		return end
	}
	d.depth = level
	reason, detail := reasonOf(err)
	d.deadLetter(reason, detail, part)
	return end
}

// reasonOf returns a dead letter's reason and detail for an error of the scanner.
func reasonOf(err error) (reason, detail string) {
	reason = ReasonMalformed
	switch {
	case errors.Is(err, scan.ErrUTF8):
		reason = ReasonUTF8
	case errors.Is(err, scan.ErrDepth):
		reason = ReasonDepth
	case errors.Is(err, scan.ErrEmpty):
		reason = ReasonEmpty
	}
	return reason, err.Error()
}
