package doc

import (
	"fmt"
	"math"
	"strconv"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"
)

// Kind is the kind of a Node.
type Kind uint8

// The kinds of a Node. Null is also the kind of a value that could not be read.
const (
	Null Kind = iota
	Text
	Int
	Float
	Bool
	Map
	List
)

// String returns the kind's name as it is used in a sentence.
func (k Kind) String() string {
	return [...]string{"nothing", "text", "a whole number", "a number", "true or false", "a mapping", "a list"}[k]
}

// Node is one value of a document. Its methods may be called on nil, which represents an absent key.
type Node struct {
	Line, Col int    // count from 1, Col in characters
	Key       string // dotted path from the root
	Kind      Kind

	doc      *Doc
	text     string // of a scalar
	num      int64
	overflow bool // a whole number does not fit into num
	float    float64
	boolean  bool
	style    style
	items    []*Node // the values of a list or a mapping
	names    []*Node // the keys of a mapping, as text nodes: names[i] is the key of items[i]

	whole *Node // of a part: the node of whose text it is a part
	from  int   // of a part: its place in that text
}

// node converts the library's tree. For an unsupported value it records a problem and returns a null node, so that the
// rest of the file is still read.
func (d *Doc) node(n ast.Node, key *Node, path string, depth int) *Node {
	out := &Node{doc: d, Key: path, Line: 1, Col: 1}
	if key != nil {
		out.Line, out.Col = key.Line, key.Col
	}
	if n == nil {
		return out
	}
	if t := startOf(n); t != nil {
		out.at(t)
	}
	if depth > MaxDepth {
		out.Fail("nested deeper than %d", MaxDepth)
		return out
	}
	switch n := n.(type) {
	case *ast.MappingNode:
		out.mapping(n.Values, depth)
	case *ast.MappingValueNode:
		out.mapping([]*ast.MappingValueNode{n}, depth)
	case *ast.SequenceNode:
		out.Kind = List
		for i, v := range n.Values {
			out.items = append(out.items, d.node(v, nil, path+"["+strconv.Itoa(i)+"]", depth+1))
		}
	default:
		out.scalar(n)
	}
	return out
}

// startOf returns the first token of a node. For a block mapping the library returns its first colon, but the mapping
// begins with its first key.
func startOf(n ast.Node) *token.Token {
	t := n.GetToken()
	if t == nil || t.Type != token.MappingValueType {
		return t
	}
	switch n := n.(type) {
	case *ast.MappingNode:
		if len(n.Values) > 0 {
			return n.Values[0].Key.GetToken()
		}
	case *ast.MappingValueNode:
		return n.Key.GetToken()
	}
	return t
}

func (n *Node) at(t *token.Token) { n.Line, n.Col = max(t.Position.Line, 1), max(t.Position.Column, 1) }

func (n *Node) mapping(values []*ast.MappingValueNode, depth int) {
	n.Kind = Map
	seen := make(map[string]int, len(values))
	for _, v := range values {
		k := n.name(v.Key)
		if first, twice := seen[k.text]; twice {
			k.Fail("the key is set twice, first in line %d: keep one", n.names[first].Line)
			continue
		}
		seen[k.text] = len(n.names)
		n.names = append(n.names, k)
		n.items = append(n.items, n.doc.node(v.Value, k, k.Key, depth+1))
	}
}

// name reads a key. A key that is not text, such as a number, becomes its text, which Done then reports as unknown.
func (n *Node) name(key ast.MapKeyNode) *Node {
	k := &Node{doc: n.doc, Kind: Text, Line: 1, Col: 1}
	t := key.GetToken()
	if t != nil {
		k.at(t)
	}
	switch key := key.(type) {
	case *ast.StringNode:
		k.text = key.Value
	default:
		if t != nil {
			k.text = t.Value
		}
	}
	k.Key = k.text
	if n.Key != "" {
		k.Key = n.Key + "." + k.text
	}
	return k
}

func (n *Node) scalar(v ast.Node) {
	if t := v.GetToken(); t != nil {
		n.text = t.Value
	}
	switch v := v.(type) {
	case *ast.NullNode:
	case *ast.BoolNode:
		n.Kind, n.boolean = Bool, v.Value
	case *ast.IntegerNode:
		n.integer(v.Value)
	case *ast.FloatNode:
		n.Kind, n.float = Float, v.Value
	case *ast.InfinityNode, *ast.NanNode:
		n.Kind, n.float = Float, math.NaN() // Float refuses it
	case *ast.StringNode:
		n.Kind, n.text = Text, v.Value
		n.style = styleOf(v.Token)
	case *ast.LiteralNode:
		n.Kind, n.style = Text, block
		if v.Value != nil {
			n.text = v.Value.Value
		}
	default:
		n.Fail("is not supported: write text, a number, true or false, a list or a mapping")
	}
}

// integer sets a whole number from the library's value: an int64, or a uint64 if an int64 is too small.
func (n *Node) integer(v any) {
	n.Kind = Int
	switch v := v.(type) {
	case int64:
		n.num = v
	case int:
		n.num = int64(v)
	case uint64:
		n.num, n.overflow = int64(v), v > 1<<63-1
	default:
		n.overflow = true
	}
}

// Part returns the bytes from to to of a text node as a node of its own, whose problems show their place in the file.
func (n *Node) Part(from, to int) *Node {
	p := &Node{Key: n.Key, Kind: Text, doc: n.doc, text: n.text[from:to], whole: n, from: from}
	p.Line, p.Col = p.locate(1, 1)
	return p
}

// Fail records a problem at the node's position.
func (n *Node) Fail(format string, args ...any) {
	if n != nil {
		n.doc.add(n.Line, n.Col, n.Key, fmt.Sprintf(format, args...), false)
	}
}

// Warn records a problem at the node's position that leaves the file usable.
func (n *Node) Warn(format string, args ...any) {
	if n != nil {
		n.doc.add(n.Line, n.Col, n.Key, fmt.Sprintf(format, args...), true)
	}
}

// FailAt records a problem within the node's text. line and col (in characters) count from 1 in the text as String
// returns it; the problem shows the corresponding position in the file, taking quotes, escapes and folding into account.
func (n *Node) FailAt(line, col int, format string, args ...any) {
	if n == nil {
		return
	}
	l, c := n.locate(line, col)
	n.doc.add(l, c, n.Key, fmt.Sprintf(format, args...), false)
}

// WarnAt is FailAt for a problem that leaves the file usable.
func (n *Node) WarnAt(line, col int, format string, args ...any) {
	if n == nil {
		return
	}
	l, c := n.locate(line, col)
	n.doc.add(l, c, n.Key, fmt.Sprintf(format, args...), true)
}
