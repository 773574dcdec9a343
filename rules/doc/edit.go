package doc

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// Editor changes values of a file where they stand: comments, order and layout of everything else stay as they are. It
// is for values as people write them in tests; what it cannot change it says, and leaves the file as it was.
type Editor struct {
	text    string // without a byte order mark
	mark    string // the byte order mark, or ""
	newline string // how its lines end
	starts  []int  // where each line begins
	edits   []edit
	failed  []error
}

// edit puts text in the place of text[from:to].
type edit struct {
	from, to int
	text     string
}

// NewEditor begins to edit a file whose nodes were read from src.
func NewEditor(src []byte) *Editor {
	text := strings.TrimPrefix(string(src), "\ufeff")
	e := &Editor{text: text, mark: string(src[:len(src)-len(text)]), newline: "\n", starts: []int{0}}
	if strings.Contains(text, "\r\n") {
		e.newline = "\r\n"
	}
	for i := range len(text) {
		if text[i] == '\n' {
			e.starts = append(e.starts, i+1)
		}
	}
	return e
}

// Text returns the file with all changes, or why there can be none.
func (e *Editor) Text() ([]byte, error) {
	if len(e.failed) > 0 {
		return nil, errors.Join(e.failed...)
	}
	return []byte(e.mark + e.part(0, len(e.text))), nil
}

// part returns a part of the file with the changes in it.
func (e *Editor) part(from, to int) string {
	slices.SortStableFunc(e.edits, func(a, b edit) int { return a.from - b.from })
	var b strings.Builder
	for _, x := range e.edits {
		if x.from < from || x.to > to {
			continue
		}
		b.WriteString(e.text[from:x.from])
		b.WriteString(x.text)
		from = x.to
	}
	b.WriteString(e.text[from:to])
	return b.String()
}

// replace notes a change, in which those inside it are contained already.
func (e *Editor) replace(from, to int, text string) {
	e.edits = slices.DeleteFunc(e.edits, func(x edit) bool { return x.from >= from && x.to <= to })
	e.edits = append(e.edits, edit{from, to, text})
}

func (e *Editor) fail(n *Node, why string) {
	e.failed = append(e.failed, fmt.Errorf("%s (line %d) %s: change it by hand", n.Key, n.Line, why))
}

// Set writes a value, as Flow returns it, in the place of another.
func (e *Editor) Set(n *Node, value string) {
	from, to, ok := e.span(n)
	if !ok {
		e.fail(n, "stands on several lines")
		return
	}
	e.replace(from, to, value)
}

// List takes items out of a list and puts others, written as Flow returns them, behind those that stay. Comments inside
// an item, and on its line, go with it.
func (e *Editor) List(n *Node, drop []bool, add []string) {
	from := e.offset(n.Line, n.Col)
	switch {
	case !slices.Contains(drop, true) && len(add) == 0:
	case strings.HasPrefix(e.text[from:], "["):
		e.flowList(n, from, drop, add)
	default:
		e.blockList(n, drop, add)
	}
}

// flowList writes a list in brackets anew: what stands between two items stays between them.
func (e *Editor) flowList(n *Node, from int, drop []bool, add []string) {
	to := closing(e.text, from)
	var spans [][2]int
	for _, item := range n.items {
		a, b, ok := e.span(item)
		if !ok || b > to {
			e.fail(item, "stands on several lines")
			return
		}
		spans = append(spans, [2]int{a, b})
	}
	gap := ", "
	if len(spans) > 1 {
		gap = e.text[spans[0][1]:spans[1][0]]
	}
	var b strings.Builder
	kept := 0
	put := func(text, before string) {
		if kept++; kept > 1 {
			b.WriteString(before)
		}
		b.WriteString(text)
	}
	for i, s := range spans {
		if drop[i] {
			continue
		}
		before := gap
		if i > 0 {
			before = e.text[spans[i-1][1]:s[0]]
		}
		put(e.part(s[0], s[1]), before)
	}
	for _, text := range add {
		put(text, gap)
	}
	head, tail := "[", "]"
	if len(spans) > 0 && kept > 0 {
		head, tail = e.text[from:spans[0][0]], e.text[spans[len(spans)-1][1]:to]
	}
	e.replace(from, to, head+b.String()+tail)
}

// blockList takes lines out of a list with dashes, and puts lines in.
func (e *Editor) blockList(n *Node, drop []bool, add []string) {
	for i := range n.items {
		if drop[i] {
			from, to := e.lines(n, i)
			// The line's end before it goes, not its own: a last line may have none.
			e.replace(len(strings.TrimSuffix(strings.TrimSuffix(e.text[:from], "\n"), "\r")), to, "")
		}
	}
	if !slices.Contains(drop, false) && len(add) == 0 {
		e.empty(n)
		return
	}
	var b strings.Builder
	for _, text := range add {
		b.WriteString(e.newline + strings.Repeat(" ", n.Col-1) + "- " + text) // n begins at its first dash
	}
	_, end := e.lines(n, len(n.items)-1)
	e.edits = append(e.edits, edit{end, end, b.String()})
}

// empty writes [] behind the key of a list that loses all its items.
func (e *Editor) empty(n *Node) {
	at := e.offset(n.Line, 1)
	before := strings.TrimRight(e.text[:at], " \t\r\n")
	key := before[strings.LastIndexByte(before, '\n')+1:]
	name := n.Key[strings.LastIndexByte(n.Key, '.')+1:] + ":"
	if trimmed := strings.TrimLeft(key, " -"); !strings.HasPrefix(trimmed, name) {
		e.fail(n, "has something between its key and its first item")
		return
	}
	end := len(before) - len(key) + strings.Index(key, name) + len(name)
	e.edits = append(e.edits, edit{end, end, " []"})
}

// lines returns where item i of a list with dashes begins and ends: whole lines, without the last one's end. Comments
// and blank lines below it are not its own.
func (e *Editor) lines(n *Node, i int) (from, to int) {
	first := n.items[i].Line - 1
	for ; first > 0 && !e.dashed(n, first); first-- {
		// the item begins below its dash
	}
	last := first
	for l := first + 1; l < len(e.starts); l++ {
		text := e.line(l)
		trimmed := strings.TrimLeft(text, " \t")
		if trimmed == "" || trimmed[0] == '#' {
			continue
		}
		if len(text)-len(trimmed) < n.Col {
			break
		}
		last = l
	}
	return e.starts[first], e.starts[last] + len(e.line(last))
}

// dashed says whether an item of the list begins in a line, which counts from 0.
func (e *Editor) dashed(n *Node, line int) bool {
	text := e.line(line)
	return len(text) >= n.Col && text[n.Col-1] == '-' && strings.TrimLeft(text[:n.Col-1], " ") == ""
}

// line returns a line, which counts from 0, without its end.
func (e *Editor) line(i int) string {
	end := len(e.text)
	if i+1 < len(e.starts) {
		end = e.starts[i+1]
	}
	return strings.TrimRight(e.text[e.starts[i]:end], "\r\n")
}

// offset returns where a place of the file is.
func (e *Editor) offset(line, col int) int {
	at := e.starts[min(line, len(e.starts))-1]
	for ; col > 1 && at < len(e.text); col-- {
		_, size := utf8.DecodeRuneInString(e.text[at:])
		at += size
	}
	return at
}

// span returns where a value begins and ends; ok is false of what is written over lines without brackets or quotes.
func (e *Editor) span(n *Node) (from, to int, ok bool) {
	from = e.offset(n.Line, n.Col)
	rest := e.text[from:]
	switch {
	case n.Kind == Map || n.Kind == List:
		to = closing(e.text, from)
		return from, to, to > from
	case n.Kind == Text && n.style != bare && n.style != block:
		to = from + quoted(rest)
		return from, to, to > from
	}
	return from, from + len(n.text), n.text != "" && n.style != block && strings.HasPrefix(rest, n.text)
}

// closing returns the end of what is in brackets or braces at i; i where nothing is.
func closing(text string, i int) int {
	depth := 0
	for at := i; at < len(text); at++ {
		open := at == i || strings.IndexByte(" \t\r\n[{,:", text[at-1]) >= 0 // a quote or # in a word is part of it
		switch c := text[at]; {
		case c == '[' || c == '{':
			depth++
		case c == ']' || c == '}':
			if depth--; depth == 0 {
				return at + 1
			}
		case open && (c == '\'' || c == '"'):
			at += max(quoted(text[at:]), 1) - 1
		case open && c == '#':
			end := strings.IndexByte(text[at:], '\n')
			if end < 0 {
				return i
			}
			at += end
		}
		if depth == 0 {
			return i
		}
	}
	return i
}

// quoted returns how long the quoted text is that s begins with; 0 where it does not end.
func quoted(s string) int {
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] == '\\' && s[0] == '"':
			i++
		case s[i] == '\'' && s[0] == '\'' && strings.HasPrefix(s[i+1:], "'"):
			i++
		case s[i] == s[0]:
			return i + 1
		}
	}
	return 0
}

// bareWord is a text that means itself without quotes wherever it stands.
var bareWord = regexp.MustCompile(`^[A-Za-z_/][A-Za-z0-9_./-]*$`)

// otherwise are words that mean something else than text.
var otherwise = regexp.MustCompile(`^(?i:true|false|null|yes|no|on|off|y|n)$`)

// Flow writes a value as encoding/json knows it on one line.
func Flow(v any) string {
	var parts []string
	switch v := v.(type) {
	case string:
		if bareWord.MatchString(v) && !otherwise.MatchString(v) {
			return v
		}
	case []any:
		for _, x := range v {
			parts = append(parts, Flow(x))
		}
		return "[" + strings.Join(parts, ", ") + "]"
	case map[string]any:
		for _, k := range slices.Sorted(maps.Keys(v)) {
			parts = append(parts, Flow(k)+": "+Flow(v[k]))
		}
		return "{" + strings.Join(parts, ", ") + "}"
	}
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return Flow(fmt.Sprint(v))
	}
	return strings.TrimSuffix(b.String(), "\n")
}
