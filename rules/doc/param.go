package doc

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// paramName is the name of a parameter, and paramUse its use in an expression.
var (
	paramName = regexp.MustCompile(`^[a-z][a-z0-9_]{0,39}$`)
	paramUse  = regexp.MustCompile(`"(\\.|[^"\\])*"|'(\\.|[^'\\])*'|\bparams\.[A-Za-z0-9_]*`)
)

// Params are the parameters of a file: texts, numbers, true or false, or lists of these, by name.
type Params struct {
	values map[string]*Node
	used   map[string]bool
}

// ReadParams reads the parameters under a node, of which the values of overrides, which may be of another file, replace some. It
// records a problem for an override that is unknown or of another kind. n and overrides may be nil.
func ReadParams(n, overrides *Node) *Params {
	p := &Params{values: map[string]*Node{}, used: map[string]bool{}}
	var names []string
	n.Each(func(name, value *Node) {
		switch {
		case !paramName.MatchString(name.text):
			name.Fail("%q may hold only a-z, 0-9 and _ and begins with a letter: choose another name", Short(name.text))
		case value.Kind == Null || value.Kind == Map || value.Kind == List && slices.ContainsFunc(value.items, func(i *Node) bool {
			return i.Kind == Null || i.Kind == Map || i.Kind == List
		}):
			value.Fail("a parameter is a text, a number, true or false, or a list of these")
		default:
			p.values[name.text] = value
			names = append(names, name.text)
		}
	})
	overrides.Each(func(name, value *Node) {
		old, ok := p.values[name.text]
		switch {
		case !ok && len(names) == 0:
			name.Fail("the rule has no parameters: remove it")
		case !ok:
			name.Fail("the rule has no such parameter%s; it has %s", didYouMean(name.text, names), strings.Join(names, ", "))
		case old.Kind != value.Kind && (old.Kind != Float || value.Kind != Int):
			value.Fail("is %s, and the rule has %s: write the same kind of value", value.Kind, old.Kind)
		default:
			p.values[name.text] = value
		}
	})
	return p
}

// Fill replaces, in the values of a mapping, each text $NAME by the parameter NAME, and in each other text params.NAME by the
// parameter as a literal of CEL. It leaves out the given keys of the mapping.
func (p *Params) Fill(n *Node, except ...string) {
	if n == nil || n.Kind != Map {
		return
	}
	for i, k := range n.names {
		if !slices.Contains(except, k.text) {
			n.items[i] = p.filled(n.items[i])
		}
	}
}

// Unused returns the names of the parameters that Fill did not find, sorted.
func (p *Params) Unused() (names []string) {
	for name := range p.values {
		if !p.used[name] {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

func (p *Params) filled(n *Node) *Node {
	switch n.Kind {
	case Map, List:
		for i := range n.items {
			n.items[i] = p.filled(n.items[i])
		}
	case Text:
		if name, ok := strings.CutPrefix(n.text, "$"); ok && paramName.MatchString(name) {
			if v := p.get(n, name); v != nil {
				return v
			}
			return n
		}
		if strings.Contains(n.text, "params.") {
			n.text = paramUse.ReplaceAllStringFunc(n.text, func(use string) string {
				name, ok := strings.CutPrefix(use, "params.")
				if !ok {
					return use // a text
				}
				v := p.get(n, name)
				if v == nil {
					return use
				}
				literal := v.literal()
				return literal + strings.Repeat(" ", max(0, len(use)-len(literal))) // columns stay as in the file
			})
		}
	}
	return n
}

// get returns a parameter; it records a problem at its use if there is none.
func (p *Params) get(use *Node, name string) *Node {
	v := p.values[name]
	if v == nil {
		use.Fail("the parameter %s is not declared%s: write it under params, with its default", name, didYouMean(name, p.names()))
		return nil
	}
	p.used[name] = true
	return v
}

func (p *Params) names() (names []string) {
	for name := range p.values {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// literal returns a value as a literal of CEL.
func (n *Node) literal() string {
	switch n.Kind {
	case Int:
		return strconv.FormatInt(n.num, 10)
	case Float:
		text := strconv.FormatFloat(n.float, 'g', -1, 64)
		if !strings.ContainsAny(text, ".eE") {
			text += ".0"
		}
		return text
	case Bool:
		return strconv.FormatBool(n.boolean)
	case List:
		var parts []string
		for _, i := range n.items {
			parts = append(parts, i.literal())
		}
		return "[" + strings.Join(parts, ", ") + "]"
	}
	return strconv.QuoteToASCII(n.text)
}
