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

// Editor replaces values in the text of a file and leaves its comments, its order and the layout of everything else
// unchanged. It handles values as they are written in the tests of rules; if it cannot make a change, Text returns an
// error.
type Editor struct {
	text    string // without a byte order mark
	bom     string // the byte order mark, or ""
	newline string // the end of its lines, "\n" or "\r\n"
	starts  []int  // the offset of each line
	edits   []edit
	failed  []error
}

// edit replaces the bytes [from, to) of the file by text.
type edit struct {
	from, to int
	text     string
}

// NewEditor returns an Editor for the file whose nodes were parsed from src.
func NewEditor(src []byte) *Editor {
	text := strings.TrimPrefix(string(src), "\ufeff")
	e := &Editor{text: text, bom: string(src[:len(src)-len(text)]), newline: "\n", starts: []int{0}}
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

// Text returns the file with all changes, or an error if one of them is not possible.
func (e *Editor) Text() ([]byte, error) {
	if len(e.failed) > 0 {
		return nil, errors.Join(e.failed...)
	}
	return []byte(e.bom + e.part(0, len(e.text))), nil
}

// part returns the bytes [from, to) of the file with the changes inside them.
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

// replace adds an edit. It drops the earlier edits inside [from, to), because text already contains them.
func (e *Editor) replace(from, to int, text string) {
	e.edits = slices.DeleteFunc(e.edits, func(x edit) bool { return x.from >= from && x.to <= to })
	e.edits = append(e.edits, edit{from, to, text})
}

func (e *Editor) fail(n *Node, why string) {
	e.failed = append(e.failed, fmt.Errorf("%s (line %d) %s: change it by hand", n.Key, n.Line, why))
}

// Set replaces the value n by another, written as Flow returns it.
func (e *Editor) Set(n *Node, value string) {
	from, to, ok := e.span(n)
	if !ok {
		e.fail(n, "spans several lines")
		return
	}
	e.replace(from, to, value)
}

// List removes the items i of a list with drop[i] set and appends others, written as Flow returns them. Comments inside
// a removed item and on its line are removed with it.
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

// flowList rewrites a list in brackets. The text between two items that remain is kept.
func (e *Editor) flowList(n *Node, from int, drop []bool, add []string) {
	to := closing(e.text, from)
	var spans [][2]int
	for _, item := range n.items {
		a, b, ok := e.span(item)
		if !ok || b > to {
			e.fail(item, "spans several lines")
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
	put := func(separator, text string) {
		if kept++; kept > 1 {
			b.WriteString(separator)
		}
		b.WriteString(text)
	}
	for i, s := range spans {
		if drop[i] {
			continue
		}
		separator := gap
		if i > 0 {
			separator = e.text[spans[i-1][1]:s[0]]
		}
		put(separator, e.part(s[0], s[1]))
	}
	for _, text := range add {
		put(gap, text)
	}
	head, tail := "[", "]"
	if len(spans) > 0 && kept > 0 {
		head, tail = e.text[from:spans[0][0]], e.text[spans[len(spans)-1][1]:to]
	}
	e.replace(from, to, head+b.String()+tail)
}

// blockList removes the lines of items from a list with dashes, and adds lines for new items.
func (e *Editor) blockList(n *Node, drop []bool, add []string) {
	for i := range n.items {
		if drop[i] {
			from, to := e.lines(n, i)
			// Remove the end of the line before the item, not the item's own: the last line of a file may lack it.
			e.replace(len(strings.TrimSuffix(strings.TrimSuffix(e.text[:from], "\n"), "\r")), to, "")
		}
	}
	if !slices.Contains(drop, false) && len(add) == 0 {
		e.setEmpty(n)
		return
	}
	var b strings.Builder
	for _, text := range add {
		b.WriteString(e.newline + strings.Repeat(" ", n.Col-1) + "- " + text) // n begins at its first dash
	}
	_, end := e.lines(n, len(n.items)-1)
	e.edits = append(e.edits, edit{end, end, b.String()})
}

// setEmpty writes [] after the key of a list that loses all its items.
func (e *Editor) setEmpty(n *Node) {
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

// lines returns the bytes [from, to) of item i of a list with dashes: whole lines, without the end of the last line.
// Comments and blank lines below the item do not belong to it.
func (e *Editor) lines(n *Node, i int) (from, to int) {
	first := n.items[i].Line - 1
	for ; first > 0 && !e.dashed(n, first); first-- {
		// the value may begin on a line below its dash
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

// dashed reports whether an item of the list begins on a line. Lines count from 0.
func (e *Editor) dashed(n *Node, line int) bool {
	text := e.line(line)
	return len(text) >= n.Col && text[n.Col-1] == '-' && strings.TrimLeft(text[:n.Col-1], " ") == ""
}

// line returns line i without its end. Lines count from 0.
func (e *Editor) line(i int) string {
	end := len(e.text)
	if i+1 < len(e.starts) {
		end = e.starts[i+1]
	}
	return strings.TrimRight(e.text[e.starts[i]:end], "\r\n")
}

// offset returns the byte offset of a position in the file. Lines and columns count from 1.
func (e *Editor) offset(line, col int) int {
	at := e.starts[min(line, len(e.starts))-1]
	for ; col > 1 && at < len(e.text); col-- {
		_, size := utf8.DecodeRuneInString(e.text[at:])
		at += size
	}
	return at
}

// span returns the bytes [from, to) of a value. ok is false for a value that is written over several lines without
// brackets or quotes.
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

// closing returns the offset after the bracket or brace that closes the one at i, or i if it is never closed.
func closing(text string, i int) int {
	depth := 0
	for at := i; at < len(text); at++ {
		open := at == i || strings.IndexByte(" \t\r\n[{,:", text[at-1]) >= 0 // inside a word, a quote or # is an ordinary character
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

// quoted returns the length of the quoted text at the start of s, or 0 if the closing quote is missing.
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

// bareWord matches a text that needs no quotes in any context, unless notText matches it.
var bareWord = regexp.MustCompile(`^[A-Za-z_/][A-Za-z0-9_./-]*$`)

// notText matches a word that YAML reads as something other than text.
var notText = regexp.MustCompile(`^(?i:true|false|null|yes|no|on|off|y|n)$`)

// Flow returns a value as YAML on one line. The value has the types that Node.Any returns.
func Flow(v any) string {
	var parts []string
	switch v := v.(type) {
	case string:
		if bareWord.MatchString(v) && !notText.MatchString(v) {
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
