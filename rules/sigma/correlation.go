package sigma

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/aidr-engine/aidr/rules"
	"github.com/aidr-engine/aidr/rules/doc"
)

// correlation is the section of that name.
type correlation struct {
	at       *doc.Node
	kind     string
	rules    []*doc.Node // names and ids of the correlated rules
	groupBy  []*doc.Node
	timespan string
	aliases  map[string]map[string]*doc.Node // by alias, by rule: a field
	generate bool
	count    int64
	field    []*doc.Node

	of []*rule // the correlated rules, once they are found
}

// readCorrelation reads the section; it returns nil after recording problems.
func readCorrelation(n *doc.Node) *correlation {
	c := &correlation{at: n, aliases: map[string]map[string]*doc.Node{}}
	f := n.Fields()
	kind := f.Need("type")
	c.kind = kind.String()
	switch c.kind {
	case "event_count", "value_count", "temporal", "temporal_ordered":
	case "value_sum", "value_avg", "value_percentile", "value_median":
		kind.Fail("%s is not translated: write the rule with threshold and sum, or with baseline", c.kind)
	default:
		kind.Fail("%q is not one of event_count, value_count, temporal, temporal_ordered", doc.Short(c.kind))
	}
	c.rules = scalars(f.Need("rules"))
	c.groupBy = scalars(f.Get("group-by"))
	if len(c.groupBy) > rules.MaxBy {
		f.Get("group-by").Fail("has %d fields, the limit is %d: remove some", len(c.groupBy), rules.MaxBy)
	}
	c.readTimespan(f.Need("timespan"))
	if g := f.Get("generate"); g != nil {
		c.generate = g.Bool()
	}
	if a := f.Get("aliases"); a != nil {
		a.Each(func(alias, of *doc.Node) {
			m := map[string]*doc.Node{}
			of.Each(func(rule, field *doc.Node) { m[rule.String()] = field })
			c.aliases[alias.String()] = m
		})
	}
	c.readCondition(f.Get("condition"), f)
	return c
}

// scalars returns the texts of a list, or the one that takes its place.
func scalars(n *doc.Node) []*doc.Node {
	switch {
	case n == nil:
		return nil
	case n.Kind == doc.List:
		return n.Items()
	}
	return []*doc.Node{n}
}

// readTimespan reads a number of seconds, minutes, hours or days.
func (c *correlation) readTimespan(n *doc.Node) {
	if n == nil {
		return
	}
	text := n.String()
	if text == "" {
		return
	}
	unit := text[len(text)-1]
	v, err := strconv.ParseInt(text[:len(text)-1], 10, 32)
	if err != nil || v < 1 || !strings.ContainsRune("smhd", rune(unit)) {
		n.Fail("%q is not a timespan: write a number and s, m, h or d, such as 15m", doc.Short(text))
		return
	}
	seconds := v * map[byte]int64{'s': 1, 'm': 60, 'h': 3600, 'd': 86400}[unit]
	if limit := int64(rules.MaxSpan.Seconds()); seconds > limit {
		n.Fail("%s is longer than a rule may remember, which is %d days: shorten it", text, limit/86400)
	}
	c.timespan = text
}

// readCondition reads the limit. Only limits that a count reaches from below are translated.
func (c *correlation) readCondition(n *doc.Node, f *doc.Fields) {
	if n == nil {
		if strings.HasPrefix(c.kind, "temporal") {
			c.count = int64(len(c.rules))
		} else {
			f.Need("condition")
		}
		return
	}
	if n.Kind == doc.Text {
		n.Fail("conditions over the names of rules are not translated: write gte with the number of rules")
		return
	}
	n.Each(func(key, value *doc.Node) {
		switch key.String() {
		case "field":
			c.field = scalars(value)
		case "gte":
			c.count = max(c.count, value.Int(1, 1e9))
		case "gt":
			c.count = max(c.count, value.Int(0, 1e9)+1)
		case "lt", "lte", "eq", "neq":
			key.Fail("a count that is %s a number is true before it reaches the number, so that no event shows it: write gte, or a rule of the kind absence",
				map[string]string{"lt": "below", "lte": "at most", "eq": "equal to", "neq": "different from"}[key.String()])
		default:
			key.Fail("unknown key; known are field, gt, gte")
		}
	})
	if c.kind == "value_count" && len(c.field) == 0 {
		n.Fail("%q is missing: value_count counts the values of a field", "field")
	}
	if c.count == 0 && n.Kind == doc.Map {
		n.Fail("has no limit: write gte with a number")
	}
	if len(c.field) > rules.MaxOf {
		n.Fail("has %d fields, the limit is %d", len(c.field), rules.MaxOf)
	}
}

// translate writes the clause of the rule into w. Problems are recorded at the nodes.
func (c *correlation) translate(w *writer) bool {
	var ids []string
	for _, r := range c.of {
		ids = append(ids, r.outID)
	}
	w.list("over", ids)
	switch c.kind {
	case "event_count":
		by, ok := c.by()
		w.line("threshold: {count: %d, within: %s, by: %s}", c.count, c.timespan, by)
		return ok
	case "value_count":
		by, ok := c.by()
		of, okOf := c.operands(c.field)
		w.line("distinct: {of: %s, count: %d, within: %s, by: %s}", of, c.count, c.timespan, by)
		return ok && okOf
	case "temporal":
		if c.count > int64(len(c.of)) {
			c.at.Fail("the condition asks for %d rules of %d: it never holds", c.count, len(c.of))
			return false
		}
		by, ok := c.by()
		w.line("distinct: {of: [rule.id], count: %d, within: %s, by: %s}", c.count, c.timespan, by)
		return ok
	}
	return c.ordered(w)
}

// ordered writes a sequence of the rules.
func (c *correlation) ordered(w *writer) bool {
	const most = 16 // steps of a sequence
	switch {
	case len(c.of) < 2 || len(c.of) > most:
		c.at.Fail("temporal_ordered has %d rules: a sequence has 2 to %d", len(c.of), most)
		return false
	case c.count != int64(len(c.of)):
		c.at.Fail("temporal_ordered with a count other than that of its rules is not translated: leave the condition out")
		return false
	}
	by, ok := c.by()
	w.line("sequence:")
	w.line("  within: %s", c.timespan)
	w.line("  by: %s", by)
	w.line("  steps:")
	for i, r := range c.of {
		w.line("    - {id: s%d, rule: %s}", i+1, r.outID)
	}
	return ok
}

// by returns the operands of group-by. Without group-by all events are of one group.
func (c *correlation) by() (string, bool) {
	if len(c.groupBy) == 0 {
		return `[{as: all, is: '"all"'}]`, true
	}
	return c.operands(c.groupBy)
}

// operands returns fields as operands of the rule.
func (c *correlation) operands(nodes []*doc.Node) (string, bool) {
	var out []string
	for _, n := range nodes {
		text := n.String()
		if text == "" {
			n.Fail("is empty: write a field")
			return "[]", false
		}
		x, ok := c.operand(n, text)
		if !ok {
			return "[]", false
		}
		out = append(out, x)
	}
	return "[" + strings.Join(out, ", ") + "]", true
}

// operand returns a field or an alias as an operand: the place if all rules have the field in the same one, else an
// expression that reads the place of the rule that triggered.
func (c *correlation) operand(n *doc.Node, name string) (string, bool) {
	aliases, isAlias := c.aliases[name]
	var first string
	same := true
	var cases []string
	for _, r := range c.of {
		field, at := name, n
		if isAlias {
			at = aliases[r.name]
			if at == nil {
				at = aliases[r.id]
			}
			if at == nil {
				n.Fail("the alias %q has no field for the rule %q: add one below aliases", doc.Short(name), doc.Short(r.called()))
				return "", false
			}
			field = at.String()
		}
		read, single, ok := c.read(r, at, field)
		if !ok {
			return "", false
		}
		if len(cases) == 0 {
			first = single
		}
		same = same && single != "" && single == first
		cases = append(cases, fmt.Sprintf("rule.id == %s ? %s : ", quote(r.outID), read))
	}
	if same {
		return first, true
	}
	expr := `""`
	for i := len(cases) - 1; i >= 0; i-- {
		expr = cases[i] + expr
	}
	return "{as: " + operandName(name) + ", is: " + yamlText(expr) + "}", true
}

// read returns the expression that gives a rule's field as text, and its place if it has one only.
func (c *correlation) read(r *rule, at *doc.Node, field string) (expr, single string, ok bool) {
	s := r.logSource()
	if s == nil {
		at.Fail("the rule %q has no log of its own in which the field could be found: group by fields of rules", doc.Short(r.called()))
		return "", "", false
	}
	places, problem := s.places(field)
	if problem != "" {
		at.Fail("%s", problem)
		return "", "", false
	}
	var parts []string
	for _, p := range places {
		if p.isList() {
			at.Fail("%s is below a list, which has several values in one event: group by a field with one", doc.Short(field))
			return "", "", false
		}
		parts = append(parts, textOf(p, p.value()))
	}
	if len(places) == 1 {
		return parts[0], places[0].name(), true
	}
	expr = parts[len(parts)-1]
	for i := len(parts) - 2; i >= 0; i-- {
		expr = fmt.Sprintf("(%s != \"\" ? %s : %s)", parts[i], parts[i], expr)
	}
	return expr, "", true
}

// logSource returns the log of a rule; of a correlation, that of the first of its rules.
func (o *rule) logSource() *source {
	for depth := 0; o.correlation != nil; depth++ {
		if len(o.correlation.of) == 0 || depth > maxChain {
			return nil
		}
		o = o.correlation.of[0]
	}
	return o.source
}

// called returns the name by which correlations refer to a rule.
func (o *rule) called() string {
	for _, s := range []string{o.name, o.id, o.title} {
		if s != "" {
			return s
		}
	}
	return o.outID
}

// operandName returns a name as that of an operand: letters, digits and _.
func operandName(s string) string {
	out := strings.ReplaceAll(slug(s), "-", "_")
	if out[0] >= '0' && out[0] <= '9' {
		out = "f_" + out
	}
	return out
}
