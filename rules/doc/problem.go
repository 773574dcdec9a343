package doc

import (
	"fmt"
	"slices"
	"strings"

	"github.com/goccy/go-yaml/token"
)

// Problem is one error or warning about a file. Line and Col count from 1, Col in characters.
type Problem struct {
	File      string
	Line, Col int
	Key       string // dotted path, such as threshold.count or steps[1].when; "" for the whole file
	Cause     string // the cause, and what to do about it
	Snippet   string // the line with a caret below it, or "" if the file has fewer lines
	Warning   bool   // the file is usable in spite of the problem
}

// String returns the problem as `file:line:col: key: cause`, without the snippet.
func (p Problem) String() string {
	if p.Key == "" {
		return fmt.Sprintf("%s:%d:%d: %s", p.File, p.Line, p.Col, p.Cause)
	}
	return fmt.Sprintf("%s:%d:%d: %s: %s", p.File, p.Line, p.Col, p.Key, p.Cause)
}

// Problems returns the problems found so far, sorted by position. If there are more than MaxProblems, the last one holds
// the number of those left out.
func (d *Doc) Problems() []Problem {
	ps := slices.Clone(d.problems)
	slices.SortStableFunc(ps, ComparePlace)
	if d.dropped > 0 {
		ps = append(ps, Problem{File: d.Name, Line: len(d.lines()), Col: 1, Cause: fmt.Sprintf("and %d more problems", d.dropped)})
	}
	return ps
}

// Take returns the problems and forgets them: of a document whose values are used in several places, the problems of one.
func (d *Doc) Take() []Problem {
	out := d.Problems()
	d.problems, d.dropped = nil, 0
	return out
}

// ComparePlace orders problems by file, line, column, key and cause.
func ComparePlace(a, b Problem) int {
	if c := strings.Compare(a.File, b.File); c != 0 {
		return c
	}
	if a.Line != b.Line {
		return a.Line - b.Line
	}
	if a.Col != b.Col {
		return a.Col - b.Col
	}
	if c := strings.Compare(a.Key, b.Key); c != 0 {
		return c
	}
	return strings.Compare(a.Cause, b.Cause)
}

// TakeProblems is Take of the document that the node belongs to.
func (n *Node) TakeProblems() []Problem { return n.doc.Take() }

// Failed reports whether there is a problem that is not a warning.
func (d *Doc) Failed() bool {
	return slices.ContainsFunc(d.problems, func(p Problem) bool { return !p.Warning })
}

func (d *Doc) add(line, col int, key, cause string, warning bool) {
	if len(d.problems) >= MaxProblems {
		d.dropped++
		return
	}
	d.problems = append(d.problems, Problem{File: d.Name, Line: line, Col: col, Key: key, Cause: cause,
		Snippet: d.Snippet(line, col), Warning: warning})
}

func (d *Doc) addToken(t *token.Token, cause string) {
	d.add(max(t.Position.Line, 1), max(t.Position.Column, 1), "", cause, false)
}

// snippetWidth is the largest width of a snippet, in characters: about that of a terminal.
const snippetWidth = 100

// Snippet returns a line of the file with a caret below the column. Of a long line it returns the part around the column.
// It returns "" for a position outside the file.
func (d *Doc) Snippet(line, col int) string {
	if line < 1 || line > len(d.lines()) || col < 1 {
		return ""
	}
	text := []rune(d.lines()[line-1])
	at := min(col-1, len(text))
	from := 0
	if at > snippetWidth*3/4 {
		from = at - snippetWidth/2
	}
	var b strings.Builder
	for _, r := range text[from:min(len(text), from+snippetWidth)] {
		b.WriteRune(visible(r))
	}
	b.WriteByte('\n')
	b.WriteString(strings.Repeat(" ", at-from))
	b.WriteByte('^')
	return b.String()
}

// visible returns the character to print for r, so that a snippet stays on one line and its caret stays below the right
// character: a space for a tab, and a question mark for characters that have no width or change the direction of text,
// which an untrusted file may hold.
func visible(r rune) rune {
	switch {
	case r == '\t':
		return ' '
	case r < ' ', r == 0x7f, r >= 0x80 && r < 0xa0, r == 0xad, r == 0xfeff, r >= 0x200b && r <= 0x200f,
		r >= 0x2028 && r <= 0x202e, r >= 0x2060 && r <= 0x206f, r >= 0xe0000:
		return '?'
	}
	return r
}
