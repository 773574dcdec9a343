// Package doc reads strict YAML and remembers where everything stands, so that whatever is wrong with a file can be
// said as `file:line:col: key: cause: what to do`, all of it at once. Rule files, lists, the registry of agents and the
// configuration are read through it. It is the only importer of the YAML library.
//
// Strict means: one document, UTF-8, no key twice, no anchors, aliases, merge keys, tags or complex keys, and no guessing
// of types: text where a number belongs is a problem, and so is a number where text belongs.
//
// A reader walks the document with getters that never fail: each returns a usable zero value and notes the problem in
// the Doc. Getters are safe on a nil Node, which stands for a key that is not there.
package doc

import (
	"bytes"
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
	// MaxSize is how large a file may be, in bytes. People write these files; what is larger is not one of them.
	MaxSize = 1 << 20
	// MaxListSize is MaxSize for a file that holds data: 100,000 values of 100 bytes and more.
	MaxListSize = 16 << 20
	// MaxDepth is how deep mappings and lists may nest. The YAML library's time grows with the square of the depth.
	MaxDepth = 32
	// MaxBlocks is how many keys and dashes may have nothing behind them on their line, because a block follows, or
	// nothing. The YAML library's time grows with the square of them.
	MaxBlocks = 10_000
	// MaxProblems is how many problems of one file are kept: nobody reads more, and a hostile file has millions.
	MaxProblems = 200
)

// Doc is one file that is being read, and the problems that it has so far.
type Doc struct {
	Name     string // as it is shown
	problems []Problem
	dropped  int
	lines    []string
}

// Parse reads one file of at most MaxSize bytes. The root is nil where the file is empty or has no structure that can
// be read; then Problems says why.
func Parse(name string, src []byte) (d *Doc, root *Node) { return ParseSize(name, src, MaxSize) }

// ParseSize is Parse with another cap in bytes.
func ParseSize(name string, src []byte, maxSize int) (d *Doc, root *Node) {
	d = &Doc{Name: name}
	if len(src) > maxSize {
		d.add(1, 1, "", fmt.Sprintf("the file has %d bytes, more than %d: split it", len(src), maxSize), false)
		return d, nil
	}
	text := strings.TrimPrefix(string(src), "\ufeff")
	d.lines = splitLines(text)
	if !d.printable(text) {
		return d, nil
	}
	body := d.parse(text)
	if body == nil {
		return d, nil
	}
	return d, d.node(body, nil, "", 0)
}

// printable reports the first byte that no YAML file may hold.
func (d *Doc) printable(text string) bool {
	if !utf8.ValidString(text) {
		for i, r := range text {
			if _, n := utf8.DecodeRuneInString(text[i:]); r == utf8.RuneError && n == 1 {
				line, col := place(text, i)
				d.add(line, col, "", fmt.Sprintf("byte 0x%02x is no UTF-8: save the file as UTF-8", text[i]), false)
				return false
			}
		}
	}
	i := strings.IndexFunc(text, func(r rune) bool { return r < ' ' && r != '\t' && r != '\n' && r != '\r' || r == 0x7f })
	if i < 0 {
		i = bareReturn(text)
	}
	if i >= 0 {
		line, col := place(text, i)
		d.add(line, col, "", fmt.Sprintf("control character 0x%02x: write it as \"\\x%02x\" in double quotes", text[i], text[i]), false)
	}
	return i < 0
}

// bareReturn finds a "\r" that ends no line: to YAML it is one, to editors not, so lines would be counted differently.
func bareReturn(text string) int {
	for i := range len(text) {
		if text[i] == '\r' && (i+1 == len(text) || text[i+1] != '\n') {
			return i
		}
	}
	return -1
}

// place returns the line and column (in runes) of byte i.
func place(text string, i int) (line, col int) {
	before := text[:i]
	start := strings.LastIndexByte(before, '\n') + 1
	return strings.Count(before, "\n") + 1, utf8.RuneCountInString(before[start:]) + 1
}

// parse returns the body of the one document. The library is not ours and its input is hostile: a panic of it is a
// problem of the file.
func (d *Doc) parse(text string) (body ast.Node) {
	defer func() {
		if r := recover(); r != nil {
			d.add(1, 1, "", "the file is no YAML that can be read", false)
			body = nil
		}
	}()
	tokens := lexer.Tokenize(text)
	if !d.plain(tokens) {
		return nil
	}
	file, err := parser.Parse(tokens, 0, parser.AllowDuplicateMapKey()) // keys that stand twice are found in node
	if err != nil {
		d.syntax(err)
		return nil
	}
	for _, doc := range file.Docs {
		if doc.Body == nil {
			continue
		}
		if body != nil {
			d.addToken(startOf(doc.Body), "a second document: a file holds one, put it into a file of its own")
			return nil
		}
		body = doc.Body
	}
	if body == nil {
		d.add(1, 1, "", "the file is empty", false)
	}
	return body
}

// syntax notes what the library says, without its picture of the source.
func (d *Doc) syntax(err error) {
	var e yaml.Error
	if errors.As(err, &e) && e.GetToken() != nil {
		d.addToken(e.GetToken(), "no YAML: "+e.GetMessage())
		return
	}
	text, _, _ := strings.Cut(err.Error(), "\n")
	d.add(1, 1, "", "no YAML: "+text, false)
}

// plain refuses, before anything is built of the tokens, what makes YAML dangerous or deep.
func (d *Doc) plain(tokens token.Tokens) bool {
	flow, entries, line, blocks := 0, 0, 0, 0
	for _, t := range tokens {
		if t.Position.Line != line {
			line, entries = t.Position.Line, 0
		}
		switch t.Type {
		case token.AnchorType, token.AliasType, token.MergeKeyType:
			d.addToken(t, "anchors, aliases and merge keys are not read here: write the value out")
			return false
		case token.TagType:
			d.addToken(t, "tags are not read here: quote what is text, write numbers and true/false bare")
			return false
		case token.DirectiveType:
			d.addToken(t, "directives are not read here: leave the line out")
			return false
		case token.MappingKeyType:
			d.addToken(t, "complex keys are not read here: write `key: value`")
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

// splitLines cuts text at line ends, "\r" left out.
func splitLines(text string) []string {
	raw := bytes.Split([]byte(text), []byte("\n"))
	lines := make([]string, len(raw))
	for i, l := range raw {
		lines[i] = string(bytes.TrimSuffix(l, []byte("\r")))
	}
	return lines
}
