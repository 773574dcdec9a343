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

// What logs say is written by attackers, and a terminal obeys what it is sent: nothing that steers one, or that shows
// text in another order than it stands, is ever printed as it is.

// steers says whether a terminal may do something with the rune other than show it.
func steers(r rune) bool {
	return unicode.IsControl(r) || unicode.In(r, unicode.Cf, unicode.Co, unicode.Zl, unicode.Zp)
}

// plain shows what would steer a terminal as question marks.
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		if steers(r) || r == utf8.RuneError {
			return '?'
		}
		return r
	}, s)
}

// plainLines is plain for a text of several lines.
func plainLines(s string) string {
	lines := strings.Split(s, "\n")
	for i, l := range lines {
		lines[i] = plain(l)
	}
	return strings.Join(lines, "\n")
}

// plainJSON passes JSON on and writes what would steer a terminal as \u escapes, which mean the same in it: such runes
// stand in strings only. Line feeds and tabs between values stay.
type plainJSON struct {
	w    io.Writer
	part []byte // the beginning of a rune whose end has not come
	out  []byte
}

// Write implements io.Writer.
func (p *plainJSON) Write(b []byte) (int, error) {
	text := append(p.part, b...)
	p.out = p.out[:0]
	for len(text) > 0 && (utf8.FullRune(text) || len(text) >= utf8.UTFMax) {
		r, size := utf8.DecodeRune(text)
		switch {
		case r == '\n' || r == '\t' || !steers(r):
			p.out = append(p.out, text[:size]...)
		case r > 0xffff:
			hi, lo := utf16.EncodeRune(r)
			p.out = fmt.Appendf(p.out, `\u%04x\u%04x`, hi, lo)
		default:
			p.out = fmt.Appendf(p.out, `\u%04x`, r)
		}
		text = text[size:]
	}
	p.part = append(p.part[:0], text...)
	if _, err := p.w.Write(p.out); err != nil {
		return 0, err
	}
	return len(b), nil
}

// jsonTo returns where JSON made of logs is written: to a terminal harmlessly, elsewhere as it is.
func jsonTo(w io.Writer) io.Writer {
	if f, ok := w.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		return &plainJSON{w: w}
	}
	return w
}
