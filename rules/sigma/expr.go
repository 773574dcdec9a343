package sigma

import (
	"strconv"
	"strings"
	"unicode"
)

// node is a part of a condition: a test in CEL, or an and, or or not of others.
type node struct {
	op   op
	kids []*node
	test string // of a test
}

type op uint8

const (
	opTest op = iota
	opAnd
	opOr
	opNot
)

func test(text string) *node { return &node{op: opTest, test: text} }

// always and never are the tests of no operands.
var (
	alwaysText = "true"
	neverText  = "false"
)

// and returns the conjunction of nodes: of one node, itself.
func and(kids []*node) *node { return group(opAnd, kids, alwaysText) }

// or returns the disjunction of nodes.
func or(kids []*node) *node { return group(opOr, mergeLists(kids, 0), neverText) }

// mergeLists makes one test of those that look for different elements of the same list, so that the list is searched once.
func mergeLists(kids []*node, depth int) (out []*node) {
	if depth == len(listVariables) || len(kids) < 2 {
		return kids
	}
	open := ".exists(" + listVariables[depth] + ", "
	at := map[string]int{} // by list: its place in out
	inner := map[string][]*node{}
	for _, k := range kids {
		list, rest, ok := strings.Cut(k.test, open)
		if k.op != opTest || !ok || strings.ContainsAny(list, "( ") {
			out = append(out, k)
			continue
		}
		if _, known := at[list]; !known {
			at[list] = len(out)
			out = append(out, nil)
		}
		inner[list] = append(inner[list], test(strings.TrimSuffix(rest, ")")))
	}
	for list, i := range at {
		out[i] = test(list + open + group(opOr, mergeLists(inner[list], depth+1), neverText).flat() + ")")
	}
	return out
}

func group(o op, kids []*node, empty string) *node {
	var flat []*node
	for _, k := range kids {
		if k.op == o {
			flat = append(flat, k.kids...)
		} else {
			flat = append(flat, k)
		}
	}
	switch len(flat) {
	case 0:
		return test(empty)
	case 1:
		return flat[0]
	}
	return &node{op: o, kids: flat}
}

// not returns the negation of a node.
func not(n *node) *node {
	if n.op == opNot {
		return n.kids[0]
	}
	return &node{op: opNot, kids: []*node{n}}
}

// lineWidth is the width in bytes up to which a part of a condition stays on one line.
const lineWidth = 100

// cel returns the condition as text, one operand of && or || a line if the whole is wider than a line.
func (n *node) cel() string { return n.layout("") }

func (n *node) layout(indent string) string {
	if flat := n.flat(); len(flat)+len(indent) <= lineWidth {
		return flat
	}
	switch n.op {
	case opNot:
		if n.kids[0].op == opTest {
			return n.flat()
		}
		return "!(" + n.kids[0].layout(indent+"  ") + ")"
	case opAnd, opOr:
		sep := " && "
		if n.op == opOr {
			sep = " || "
		}
		var b strings.Builder
		for i, k := range n.kids {
			if i > 0 {
				b.WriteString("\n" + indent + strings.TrimLeft(sep, " "))
			}
			if k.op == opAnd || k.op == opOr {
				b.WriteString("(" + k.layout(indent+"  ") + ")")
			} else {
				b.WriteString(k.layout(indent + "  "))
			}
		}
		return b.String()
	}
	return n.test
}

// flat returns the condition on one line.
func (n *node) flat() string {
	switch n.op {
	case opNot:
		if isCall(n.kids[0]) {
			return "!" + n.kids[0].test
		}
		return "!(" + n.kids[0].flat() + ")"
	case opAnd, opOr:
		sep := " && "
		if n.op == opOr {
			sep = " || "
		}
		parts := make([]string, len(n.kids))
		for i, k := range n.kids {
			if parts[i] = k.flat(); k.op == opAnd || k.op == opOr {
				parts[i] = "(" + parts[i] + ")"
			}
		}
		return strings.Join(parts, sep)
	}
	return n.test
}

// isCall reports whether a test is a single call or name, so that a ! before it needs no brackets.
func isCall(n *node) bool {
	if n.op != opTest {
		return false
	}
	depth, quoted := 0, byte(0)
	for i := 0; i < len(n.test); i++ {
		c := n.test[i]
		switch {
		case quoted != 0:
			if c == '\\' {
				i++
			} else if c == quoted {
				quoted = 0
			}
		case c == '"' || c == '\'':
			quoted = c
		case c == '(' || c == '[':
			depth++
		case c == ')' || c == ']':
			depth--
		case depth == 0 && c == ' ':
			return false
		}
	}
	return true
}

// quote returns a text as a CEL literal.
func quote(s string) string { return strconv.Quote(s) }

// quotePattern returns a regular expression as a CEL literal: raw if it has nothing that a raw literal cannot hold.
func quotePattern(s string) string {
	if strings.Contains(s, `\`) && !strings.ContainsAny(s, `"`) && strings.IndexFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) < 0 {
		return `r"` + s + `"`
	}
	return strconv.Quote(s)
}

// reserved are the words that CEL does not accept as a key after a dot.
var reserved = map[string]bool{
	"as": true, "break": true, "const": true, "continue": true, "else": true, "false": true, "for": true, "function": true,
	"if": true, "import": true, "in": true, "let": true, "loop": true, "package": true, "namespace": true, "null": true,
	"return": true, "true": true, "var": true, "void": true, "while": true,
}

// keyText returns the access to a key: .key, or ["key"] for one that is not an identifier.
func keyText(key string) string {
	plain := key != "" && !reserved[key]
	for i, r := range key {
		letter := r == '_' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
		if !letter && (i == 0 || r < '0' || r > '9') {
			plain = false
		}
	}
	if plain {
		return "." + key
	}
	return "[" + strconv.Quote(key) + "]"
}
