package sigma

import (
	"strings"

	"github.com/aidr-engine/aidr/rules/doc"
)

// maxConditionDepth is the deepest nesting of brackets and of not in a condition, so that a hostile one costs no stack.
const maxConditionDepth = 30

// maxTokens is the largest number of words and brackets in a condition. Each may refer to all selections.
const maxTokens = 200

// condition parses a condition over the selections:
//
//	or   = and { "or" and }
//	and  = not { "and" not }
//	not  = [ "not" ] item
//	item = "(" or ")" | ("1" | "all" | "any") "of" pattern | name
type condition struct {
	at     *doc.Node // the text
	tokens []token
	next   int
	depth  int
	names  []string // of the selections, in the order of the file
	of     func(name string) *node
	failed bool
}

// token is a word or a bracket, with its column in characters.
type token struct {
	text string
	line int
	col  int
}

// parseCondition returns the condition; nil after recording a problem.
func parseCondition(at *doc.Node, names []string, of func(string) *node) *node {
	c := &condition{at: at, names: names, of: of}
	text := at.String()
	c.tokens = tokensOf(text)
	if len(c.tokens) == 0 {
		at.Fail("is empty: write the names of selections with and, or and not")
		return nil
	}
	if len(c.tokens) > maxTokens {
		c.fail(c.tokens[maxTokens], "is longer than %d words: split the rule", maxTokens)
		return nil
	}
	for _, t := range c.tokens {
		switch {
		case t.text == "|":
			c.fail(t, "aggregations in a condition are the old syntax of Sigma 1, which Sigma 2 removed: write a correlation of type event_count or value_count")
			return nil
		case strings.EqualFold(t.text, "near"):
			c.fail(t, "near is the old syntax of Sigma 1, which Sigma 2 removed: write a correlation of type temporal")
			return nil
		}
	}
	n := c.or()
	if n != nil && c.next < len(c.tokens) {
		c.fail(c.tokens[c.next], "%q is not expected here: write and, or or not between selections", doc.Short(c.tokens[c.next].text))
		return nil
	}
	if c.failed {
		return nil
	}
	return n
}

// tokensOf splits a condition into words and brackets.
func tokensOf(text string) (out []token) {
	line, col := 1, 1
	word, start := "", token{}
	flush := func() {
		if word != "" {
			start.text = word
			out = append(out, start)
			word = ""
		}
	}
	for _, r := range text {
		switch r {
		case ' ', '\t', '\n', '\r':
			flush()
		case '(', ')', '|':
			flush()
			out = append(out, token{string(r), line, col})
		default:
			if word == "" {
				start = token{line: line, col: col}
			}
			word += string(r)
		}
		if col++; r == '\n' {
			line, col = line+1, 1
		}
	}
	flush()
	return out
}

func (c *condition) fail(t token, format string, args ...any) {
	if !c.failed {
		c.at.FailAt(t.line, t.col, format, args...)
	}
	c.failed = true
}

// is reports whether the next token is a word, and passes it.
func (c *condition) is(word string) bool {
	if c.next < len(c.tokens) && strings.EqualFold(c.tokens[c.next].text, word) {
		c.next++
		return true
	}
	return false
}

func (c *condition) or() *node {
	kids := []*node{}
	for {
		n := c.and()
		if n == nil {
			return nil
		}
		if kids = append(kids, n); !c.is("or") {
			return or(kids)
		}
	}
}

func (c *condition) and() *node {
	kids := []*node{}
	for {
		n := c.not()
		if n == nil {
			return nil
		}
		if kids = append(kids, n); !c.is("and") {
			return and(kids)
		}
	}
}

func (c *condition) not() *node {
	if c.depth++; c.depth > maxConditionDepth {
		c.fail(c.tokens[min(c.next, len(c.tokens)-1)], "is nested deeper than %d: split it", maxConditionDepth)
		return nil
	}
	defer func() { c.depth-- }()
	if c.is("not") {
		n := c.not()
		if n == nil {
			return nil
		}
		return not(n)
	}
	return c.item()
}

func (c *condition) item() *node {
	if c.next == len(c.tokens) {
		last := c.tokens[len(c.tokens)-1]
		c.fail(last, "ends with %q: write the name of a selection after it", doc.Short(last.text))
		return nil
	}
	t := c.tokens[c.next]
	if c.is("(") {
		n := c.or()
		if n == nil {
			return nil
		}
		if !c.is(")") {
			c.fail(t, "this bracket is not closed: add )")
			return nil
		}
		return n
	}
	c.next++
	if c.is("of") {
		return c.several(t)
	}
	switch strings.ToLower(t.text) {
	case ")", "and", "or", "of":
		c.fail(t, "%q is not expected here: write the name of a selection", t.text)
		return nil
	}
	for _, n := range c.names {
		if n == t.text {
			return c.of(n)
		}
	}
	hint := ""
	if near := doc.Nearest(t.text, c.names); near != "" {
		hint = ": did you mean " + near + "?"
	}
	c.fail(t, "there is no selection %q%s", doc.Short(t.text), hint)
	return nil
}

// several parses what follows `1 of` and the like; count is the token before of.
func (c *condition) several(count token) *node {
	if c.next == len(c.tokens) {
		c.fail(count, "write the names of selections after of, such as selection* or them")
		return nil
	}
	t := c.tokens[c.next]
	c.next++
	all := false
	switch strings.ToLower(count.text) {
	case "all":
		all = true
	case "1", "any":
	default:
		c.fail(count, "%q of selections is not translated: write 1 of or all of, or the combinations", doc.Short(count.text))
		return nil
	}
	var kids []*node
	for _, name := range c.names {
		them := strings.EqualFold(t.text, "them")
		if them && strings.HasPrefix(name, "_") || !them && !matchesName(t.text, name) {
			continue
		}
		n := c.of(name)
		if n == nil { // go on, so that the problems of all selections are known
			c.failed = true
			continue
		}
		kids = append(kids, n)
	}
	if c.failed {
		return nil
	}
	if len(kids) == 0 {
		c.fail(t, "no selection has such a name: write one of %s", doc.Short(strings.Join(c.names, ", ")))
		return nil
	}
	if all {
		return and(kids)
	}
	return or(kids)
}

// matchesName reports whether a name matches a pattern in which * is any text.
func matchesName(pattern, name string) bool {
	parts := strings.Split(pattern, "*")
	if len(parts) == 1 {
		return pattern == name
	}
	if !strings.HasPrefix(name, parts[0]) {
		return false
	}
	name = name[len(parts[0]):]
	for _, p := range parts[1 : len(parts)-1] {
		i := strings.Index(name, p)
		if i < 0 {
			return false
		}
		name = name[i+len(p):]
	}
	return strings.HasSuffix(name, parts[len(parts)-1])
}
