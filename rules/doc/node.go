package doc

import (
	"fmt"
	"math"
	"strconv"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"
)

// Kind says what a Node is.
type Kind uint8

const (
	Null Kind = iota
	Text
	Int
	Float
	Bool
	Map
	List
)

// String names the kind as a sentence needs it.
func (k Kind) String() string {
	return [...]string{"nothing", "text", "a whole number", "a number", "true or false", "a mapping", "a list"}[k]
}

// Node is one value of a document. Its methods may be called on nil, which is a key that is not there.
type Node struct {
	Line, Col int
	Key       string // dotted path from the root
	Kind      Kind

	doc    *Doc
	text   string // a scalar's text
	num    int64
	float  float64
	yes    bool
	style  style
	items  []*Node
	names  []*Node // of a mapping: the keys, as text nodes, items beside them
	ranges bool    // a whole number beyond 64 bits
}

// node converts the library's tree. Where it meets something that no reader takes, it notes a problem and returns a
// null node, so that the rest is read too.
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

// startOf is where a node begins; of a block mapping the library tells the first colon, but it begins with its key.
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
			k.Fail("the key is there twice, first in line %d: keep one", n.names[first].Line)
			continue
		}
		seen[k.text] = len(n.names)
		n.names = append(n.names, k)
		n.items = append(n.items, n.doc.node(v.Value, k, k.Key, depth+1))
	}
}

// name reads a key. A key that is a number or the like is kept as its text, which no reader knows.
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
		n.Kind, n.yes = Bool, v.Value
	case *ast.IntegerNode:
		n.integer(v.Value)
	case *ast.FloatNode:
		n.Kind, n.float = Float, v.Value
	case *ast.InfinityNode, *ast.NanNode:
		n.Kind, n.float = Float, math.NaN() // readers want numbers that are finite
	case *ast.StringNode:
		n.Kind, n.text = Text, v.Value
		n.style = styleOf(v.Token)
	case *ast.LiteralNode:
		n.Kind, n.style = Text, block
		if v.Value != nil {
			n.text = v.Value.Value
		}
	default:
		n.Fail("cannot be read here: write text, a number, true or false, a list or a mapping")
	}
}

// integer takes what the library parsed: an int64, or a uint64 where that is not enough.
func (n *Node) integer(v any) {
	n.Kind = Int
	switch v := v.(type) {
	case int64:
		n.num = v
	case int:
		n.num = int64(v)
	case uint64:
		n.num, n.ranges = int64(v), v > 1<<63-1
	default:
		n.ranges = true
	}
}

// Fail notes a problem at the node.
func (n *Node) Fail(format string, args ...any) {
	if n != nil {
		n.doc.add(n.Line, n.Col, n.Key, fmt.Sprintf(format, args...), false)
	}
}

// Warn notes a problem that leaves the file usable.
func (n *Node) Warn(format string, args ...any) {
	if n != nil {
		n.doc.add(n.Line, n.Col, n.Key, fmt.Sprintf(format, args...), true)
	}
}

// FailAt notes a problem within the node's text: line and column (in characters) count from 1 in the text as Text
// returns it, and are shown where they stand in the file, whatever quotes or folding lie between.
func (n *Node) FailAt(line, col int, format string, args ...any) {
	if n == nil {
		return
	}
	l, c := n.locate(line, col)
	n.doc.add(l, c, n.Key, fmt.Sprintf(format, args...), false)
}
