package doc

import (
	"strconv"
	"strings"
	"unicode"

	"github.com/goccy/go-yaml/token"
)

// style is how a text is written in the file.
type style uint8

const (
	bare   style = iota // without quotes, on one line or several
	single              // 'it''s'
	double              // "a\tb"
	block               // | and >
)

func styleOf(t *token.Token) style {
	if t == nil {
		return bare
	}
	switch t.Type {
	case token.SingleQuoteType:
		return single
	case token.DoubleQuoteType:
		return double
	}
	return bare
}

// A spot is a character of a text with its position in the file.
type spot struct {
	r         rune
	hard      bool // white space written as an escape
	line, col int
}

// locate maps a position in the text to its position in the file. In every style the characters other than white space
// have the same order in the text and in the file; folding, indentation and line ends change only the white space between
// them. So locate walks the two side by side. If they do not match, it returns the position of the node.
func (n *Node) locate(line, col int) (int, int) {
	if n.whole != nil {
		atLine, atCol := lineCol(n.whole.text, n.from)
		if line == 1 {
			col += atCol - 1
		}
		return n.whole.locate(line+atLine-1, col)
	}
	spots := n.spots()
	i := 0
	atLine, atCol := 1, 1
	for _, r := range n.text {
		here := atLine == line && atCol == col
		switch {
		case !unicode.IsSpace(r):
			for i < len(spots) && spots[i].hard {
				i++
			}
			if i == len(spots) || spots[i].r != r {
				return n.Line, n.Col
			}
			if here {
				return spots[i].line, spots[i].col
			}
			i++
		case i < len(spots) && spots[i].hard && spots[i].r == r:
			if here {
				return spots[i].line, spots[i].col
			}
			i++
		case here:
			return after(spots, i, n)
		}
		if atCol++; r == '\n' {
			atLine, atCol = atLine+1, 1
		}
	}
	return after(spots, i, n)
}

// after returns the position of white space, which is just after spot i-1.
func after(spots []spot, i int, n *Node) (int, int) {
	if i == 0 || i > len(spots) {
		return n.Line, n.Col
	}
	return spots[i-1].line, spots[i-1].col + 1
}

// spots returns the characters of the file from the node's position on, as many as can belong to the text. White space
// is left out unless it is an escape.
func (n *Node) spots() []spot {
	var out []spot
	w := &walker{lines: n.doc.lines(), line: n.Line, col: n.Col}
	if n.style == block { // the text begins on the line after `|` or `>`
		w.line, w.col = n.Line+1, 1
	} else if n.style != bare {
		w.next() // the opening quote
	}
	for len(out) < len(n.text) { // a rune is at least a byte
		line, col := w.line, w.col
		r, ok := w.next()
		if !ok {
			break
		}
		hard := false
		if n.style == single && r == '\'' {
			r, ok = w.next() // the first quote escapes the second
		} else if n.style == double && r == '\\' {
			r, ok = w.escape()
			hard = unicode.IsSpace(r)
		}
		if ok && (hard || !unicode.IsSpace(r)) && r != 0 {
			out = append(out, spot{r, hard, line, col})
		}
	}
	return out
}

// walker reads the characters of the file's lines.
type walker struct {
	lines     []string
	line, col int
	runes     []rune
	runesLine int // the line whose characters are in runes
}

func (w *walker) next() (rune, bool) {
	if w.line > len(w.lines) {
		return 0, false
	}
	if w.runesLine != w.line {
		w.runes, w.runesLine = []rune(w.lines[w.line-1]), w.line
	}
	if w.col > len(w.runes) {
		w.line, w.col = w.line+1, 1
		return '\n', true
	}
	w.col++
	return w.runes[w.col-2], true
}

// simpleEscapes lists the one-letter escapes of double quotes: each letter, followed by its character.
const simpleEscapes = "0\x00a\ab\bt\t\t\tn\nv\vf\fr\re\x1b\"\"//\\\\N\u0085_\u00a0L\u2028P\u2029  "

// escape reads the rest of an escape after its backslash and returns its character, or 0 for a
// backslash at the end of a line, which joins the lines.
func (w *walker) escape() (rune, bool) {
	r, ok := w.next()
	if !ok || r == '\n' {
		return 0, ok
	}
	digits := map[rune]int{'x': 2, 'u': 4, 'U': 8}[r]
	if digits == 0 {
		pairs := []rune(simpleEscapes)
		for i := 0; i+1 < len(pairs); i += 2 {
			if pairs[i] == r {
				return pairs[i+1], true
			}
		}
		return r, true
	}
	var hex strings.Builder
	for range digits {
		h, ok := w.next()
		if !ok {
			return 0, false
		}
		hex.WriteRune(h)
	}
	v, err := strconv.ParseUint(hex.String(), 16, 32)
	if err != nil {
		return 0, false
	}
	return rune(v), true
}
