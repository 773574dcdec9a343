package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"golang.org/x/term"
)

// The content of logs is written by attackers, and a terminal executes the control sequences that it receives. Characters
// that control a terminal, or that reorder the displayed text, are therefore never printed as they are.

// controls reports whether a rune may make a terminal do anything other than display the rune.
func controls(r rune) bool {
	return unicode.IsControl(r) || unicode.In(r, unicode.Cf, unicode.Co, unicode.Zl, unicode.Zp)
}

// plain replaces characters that control a terminal by question marks.
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		if controls(r) || r == utf8.RuneError {
			return '?'
		}
		return r
	}, s)
}

// plainLine is plain for a text of several lines that has to fit on one.
func plainLine(s string) string { return plain(strings.ReplaceAll(s, "\n", "; ")) }

// plainLines is plain for a text of several lines.
func plainLines(s string) string {
	lines := strings.Split(s, "\n")
	for i, l := range lines {
		lines[i] = plain(l)
	}
	return strings.Join(lines, "\n")
}

// plainJSON is a writer for JSON that replaces characters that control a terminal by \u escapes. This keeps the meaning,
// because such characters occur only in strings. Line feeds and tabs between values are kept.
type plainJSON struct {
	w       io.Writer
	partial []byte // beginning of a rune that the last write cut off
	out     []byte
}

// Write implements io.Writer.
func (p *plainJSON) Write(b []byte) (int, error) {
	text := append(p.partial, b...)
	p.out = p.out[:0]
	for len(text) > 0 && (utf8.FullRune(text) || len(text) >= utf8.UTFMax) {
		r, size := utf8.DecodeRune(text)
		switch {
		case r == '\n' || r == '\t' || !controls(r):
			p.out = append(p.out, text[:size]...)
		case r > 0xffff:
			hi, lo := utf16.EncodeRune(r)
			p.out = fmt.Appendf(p.out, `\u%04x\u%04x`, hi, lo)
		default:
			p.out = fmt.Appendf(p.out, `\u%04x`, r)
		}
		text = text[size:]
	}
	p.partial = append(p.partial[:0], text...)
	if _, err := p.w.Write(p.out); err != nil {
		return 0, err
	}
	return len(b), nil
}

// jsonTo returns the writer for JSON made of logs: on a terminal nothing in it can control the terminal, elsewhere it is
// written unchanged.
func jsonTo(w io.Writer) io.Writer {
	if _, ok := terminal(w); ok {
		return &plainJSON{w: w}
	}
	return w
}

// terminal returns the file of w if w is a terminal.
func terminal(w io.Writer) (*os.File, bool) {
	f, ok := w.(*os.File)
	return f, ok && term.IsTerminal(int(f.Fd()))
}
