// Package doc reads strict YAML and keeps the position of every value, so that all problems of a file can be reported
// at once, each as `file:line:col: key: cause: what to do`. Rule files, lists, the registry of agents and the
// configuration are read through it. It is the only importer of the YAML library.
//
// Strict means: one document (ParseStream reads several), UTF-8, no duplicate keys, no anchors, aliases, merge keys, tags or complex keys, and no
// guessing of types: text instead of a number is a problem, and so is a number instead of text.
//
// A reader walks the document with getters that never fail: each returns a usable zero value and records the problem in
// the Doc. Getters are safe on a nil Node, which represents an absent key.
package doc

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

const (
	// MaxSize is the largest size of a file, in bytes. These files are written by hand, and none comes near it.
	MaxSize = 1 << 20
	// MaxListSize is the limit for a file of data, such as a list: room for 100,000 values of more than 100 bytes.
	MaxListSize = 16 << 20
	// MaxDepth is the deepest nesting of mappings and lists. The YAML library's time grows with the square of the depth.
	MaxDepth = 32
	// MaxBlocks is the largest number of keys and dashes with nothing after them on their line, because a block or no
	// value follows. The YAML library's time grows with the square of this number.
	MaxBlocks = 10_000
	// MaxProblems is the largest number of problems kept for one file; a hostile file has millions.
	MaxProblems = 200
)

// Doc is one file that is being read, with the problems found so far.
type Doc struct {
	Name     string // the file's name as problems show it
	problems []Problem
	dropped  int // number of problems beyond MaxProblems
	text     string
	split    []string // the lines of text, once a problem needs them
}

// Parse reads one file of at most MaxSize bytes. If the file is empty or its structure cannot be read, root is nil and
// Problems holds the reason.
func Parse(name string, src []byte) (d *Doc, root *Node) { return ParseSize(name, src, MaxSize) }

// ParseSize is Parse with a limit of maxSize bytes instead of MaxSize.
func ParseSize(name string, src []byte, maxSize int) (d *Doc, root *Node) {
	d, bodies := parse(name, src, maxSize)
	switch {
	case len(bodies) > 1:
		d.addToken(startOf(bodies[1]), "second document: a file holds one; move this one to a file of its own")
		return d, nil
	case len(bodies) == 0:
		return d, nil
	}
	return d, d.node(bodies[0], nil, "", 0)
}

// ParseStream reads a file of at most MaxSize bytes that may hold several documents, separated by lines with ---. It returns
// their roots in the order of the file. If the structure of the file cannot be read, there are none, and Problems holds the
// reason.
func ParseStream(name string, src []byte) (d *Doc, roots []*Node) {
	d, bodies := parse(name, src, MaxSize)
	for _, b := range bodies {
		roots = append(roots, d.node(b, nil, "", 0))
	}
	return d, roots
}

func parse(name string, src []byte, maxSize int) (d *Doc, bodies []ast.Node) {
	d = &Doc{Name: name}
	if len(src) > maxSize {
		d.add(1, 1, "", fmt.Sprintf("the file has %d bytes, the limit is %d: split it", len(src), maxSize), false)
		return d, nil
	}
	text := strings.TrimPrefix(string(src), "\ufeff")
	d.text = text
	if !d.printable(text) {
		return d, nil
	}
	return d, d.parse(text)
}

// printable reports whether the text holds no byte that YAML forbids; the first such byte becomes a problem.
func (d *Doc) printable(text string) bool {
	if !utf8.ValidString(text) {
		for i, r := range text {
			if _, n := utf8.DecodeRuneInString(text[i:]); r == utf8.RuneError && n == 1 {
				line, col := lineCol(text, i)
				d.add(line, col, "", fmt.Sprintf("byte 0x%02x is not valid UTF-8: save the file as UTF-8", text[i]), false)
				return false
			}
		}
	}
	i := strings.IndexFunc(text, func(r rune) bool { return r < ' ' && r != '\t' && r != '\n' && r != '\r' || r == 0x7f })
	if i < 0 {
		i = bareReturn(text)
	}
	if i >= 0 {
		line, col := lineCol(text, i)
		d.add(line, col, "", fmt.Sprintf("control character 0x%02x: write it as \"\\x%02x\" in double quotes", text[i], text[i]), false)
	}
	return i < 0
}

// bareReturn returns the index of the first "\r" that is not followed by "\n", or -1. YAML counts it as the end of a
// line and editors do not, so the line numbers of problems would be wrong.
func bareReturn(text string) int {
	for i := range len(text) {
		if text[i] == '\r' && (i+1 == len(text) || text[i+1] != '\n') {
			return i
		}
	}
	return -1
}

// lineCol returns the line and the column (in characters) of byte i. Both count from 1.
func lineCol(text string, i int) (line, col int) {
	before := text[:i]
	start := strings.LastIndexByte(before, '\n') + 1
	return strings.Count(before, "\n") + 1, utf8.RuneCountInString(before[start:]) + 1
}

// parse returns the bodies of the documents. The input may be hostile, so a panic in the YAML library becomes a problem of
// the file.
func (d *Doc) parse(text string) (bodies []ast.Node) {
	defer func() {
		if r := recover(); r != nil {
			d.add(1, 1, "", "the file is not valid YAML", false)
			bodies = nil
		}
	}()
	tokens := lexer.Tokenize(text)
	if !d.plain(tokens) {
		return nil
	}
	file, err := parser.Parse(tokens, 0, parser.AllowDuplicateMapKey()) // Node.mapping reports duplicate keys
	if err != nil {
		d.syntax(err)
		return nil
	}
	for _, doc := range file.Docs {
		if doc.Body != nil {
			bodies = append(bodies, doc.Body)
		}
	}
	if len(bodies) == 0 {
		d.add(1, 1, "", "the file is empty", false)
	}
	return bodies
}

// syntax records an error of the library, without the excerpt of the source that the library adds.
func (d *Doc) syntax(err error) {
	var e yaml.Error
	if errors.As(err, &e) && e.GetToken() != nil {
		d.addToken(e.GetToken(), "not valid YAML: "+e.GetMessage())
		return
	}
	text, _, _ := strings.Cut(err.Error(), "\n")
	d.add(1, 1, "", "not valid YAML: "+text, false)
}

// plain reports whether the tokens are free of the parts of YAML that are refused, and of deep nesting. It runs before
// anything is built from the tokens, so that a hostile file costs little.
func (d *Doc) plain(tokens token.Tokens) bool {
	flow, entries, line, blocks := 0, 0, 0, 0
	for _, t := range tokens {
		if t.Position.Line != line {
			line, entries = t.Position.Line, 0
		}
		switch t.Type {
		case token.AnchorType, token.AliasType, token.MergeKeyType:
			d.addToken(t, "anchors, aliases and merge keys are not supported: write the value out")
			return false
		case token.TagType:
			d.addToken(t, "tags are not supported: put text into quotes, write numbers and true/false without")
			return false
		case token.DirectiveType:
			d.addToken(t, "directives are not supported: remove the line")
			return false
		case token.MappingKeyType:
			d.addToken(t, "complex keys are not supported: write `key: value`")
			return false
		case token.SequenceStartType, token.MappingStartType:
			flow++
		case token.SequenceEndType, token.MappingEndType:
			flow--
		case token.SequenceEntryType:
			entries++
		}
		if t.Type == token.SequenceEntryType || t.Type == token.MappingValueType {
			if t.Next == nil || t.Next.Position.Line > t.Position.Line {
				blocks++
			}
		}
		if blocks > MaxBlocks {
			d.addToken(t, fmt.Sprintf("more than %d blocks and empty values: split the file", MaxBlocks))
			return false
		}
		if flow > MaxDepth || entries > MaxDepth {
			d.addToken(t, fmt.Sprintf("nested deeper than %d", MaxDepth))
			return false
		}
	}
	return true
}

// lines returns the lines of the file without their ends, "\n" or "\r\n".
func (d *Doc) lines() []string {
	if d.split == nil {
		d.split = strings.Split(d.text, "\n")
		for i, l := range d.split {
			d.split[i] = strings.TrimSuffix(l, "\r")
		}
	}
	return d.split
}
