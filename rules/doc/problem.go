package doc

import (
	"fmt"
	"slices"
	"strings"

	"github.com/goccy/go-yaml/token"
)

// Problem is one thing wrong with a file. Line and Col count from 1, Col in characters.
type Problem struct {
	File      string
	Line, Col int
	Key       string // dotted: threshold.count, steps[1].when; "" for the file as a whole
	Cause     string // what is wrong, and what to do
	Snippet   string // the line, and below it a caret; "" where there is none
	Warning   bool   // the file is usable all the same
}

// String renders `file:line:col: key: cause`.
func (p Problem) String() string {
	if p.Key == "" {
		return fmt.Sprintf("%s:%d:%d: %s", p.File, p.Line, p.Col, p.Cause)
	}
	return fmt.Sprintf("%s:%d:%d: %s: %s", p.File, p.Line, p.Col, p.Key, p.Cause)
}

// Problems returns what was found so far, sorted by place. Where there were more than MaxProblems the last one says so.
func (d *Doc) Problems() []Problem {
	ps := slices.Clone(d.problems)
	slices.SortStableFunc(ps, ComparePlace)
	if d.dropped > 0 {
		ps = append(ps, Problem{File: d.Name, Line: len(d.lines), Col: 1, Cause: fmt.Sprintf("and %d more problems", d.dropped)})
	}
	return ps
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

// Failed says whether there is a problem that is no warning.
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

// snippetWidth is how much of a line a snippet shows, in characters: a terminal's width.
const snippetWidth = 100

// Snippet returns the line and, below it, a caret under the column; a long line is cut around the column.
func (d *Doc) Snippet(line, col int) string {
	if line < 1 || line > len(d.lines) || col < 1 {
		return ""
	}
	text := []rune(d.lines[line-1])
	at := min(col-1, len(text))
	from := 0
	if at > snippetWidth*3/4 {
		from = at - snippetWidth/2
	}
	shown := text[from:min(len(text), from+snippetWidth)]
	var b strings.Builder
	for _, r := range shown {
		b.WriteRune(visible(r))
	}
	b.WriteByte('\n')
	b.WriteString(strings.Repeat(" ", at-from))
	b.WriteByte('^')
	return b.String()
}

// visible keeps a snippet on one line and in step with its caret: a tab is one blank, and what has no width or changes
// the direction of text (a file from elsewhere may hold it) is shown as a question mark.
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
