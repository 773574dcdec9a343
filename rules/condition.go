package rules

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/aidr-engine/aidr/rules/doc"
	"github.com/aidr-engine/aidr/rules/expr"
	"github.com/aidr-engine/aidr/rules/predicate"
	"github.com/aidr-engine/aidr/schema"
	"github.com/aidr-engine/aidr/schema/content"
)

// compiler compiles the conditions of one Set. A text that occurs in several rules is compiled once, so that the index
// evaluates it once per event.
type compiler struct {
	env      *expr.Env
	today    time.Time
	families *families
	known    map[condText]compiled
	params   *siteParams
	tags     map[string]string // the titles of the known tags; nil until a tag is read
}

// condText identifies a condition: its text, and whether it is one over triggers.
type condText struct {
	text     string
	triggers bool
}

type compiled struct {
	cond   *predicate.Cond
	issues []expr.Issue
}

func (c *compiler) compile(t condText) compiled {
	k, ok := c.known[t]
	if !ok {
		if t.triggers {
			k.cond, k.issues = c.env.CompileTrigger(t.text)
		} else {
			k.cond, k.issues = c.env.Compile(t.text)
		}
		c.known[t] = k
	}
	return k
}

// compile compiles a condition of the rule.
func (r *reader) compile(text string) compiled {
	return r.compiler.compile(condText{text, r.rule.Over != nil})
}

// condition compiles the text of a node. Each issue becomes a problem at its position in the file. cond is nil if the
// node is absent or has an issue.
func (r *reader) condition(n *doc.Node) (cond *predicate.Cond, text string) {
	text = n.Filled()
	if strings.TrimSpace(text) == "" {
		return nil, ""
	}
	k := r.compile(text)
	for _, i := range k.issues {
		n.FailAt(i.Line, i.Col, "%s", i.Text)
	}
	if k.cond != nil {
		r.mentions(n, k.cond.Mentions())
		r.rule.noteRegistry(text)
		r.lint(n, text, k.cond.Conjuncts())
	}
	return k.cond, text
}

// mentions refuses raw paths that hold a credential, because findings show every value that a rule reads.
func (r *reader) mentions(n *doc.Node, ms []predicate.Mention) {
	for _, m := range ms {
		if m.Raw < 0 {
			continue
		}
		for _, key := range r.compiler.env.RawPaths()[m.Raw] {
			if content.CredentialName(key) {
				line, col := positionOf(n.String(), m.Name)
				n.FailAt(line, col, "%s holds a credential, and findings show the values that a rule reads: "+
					"compare credential.uid (its hash) instead", m.Name)
			}
		}
	}
}

// positionOf returns the line and column of a name in a condition, or 1:1 if the condition spells it in another way.
func positionOf(text, name string) (line, col int) {
	i := strings.Index(text, name)
	if i < 0 {
		return 1, 1
	}
	head := text[:i]
	return strings.Count(head, "\n") + 1, utf8.RuneCountInString(head[strings.LastIndexByte(head, '\n')+1:]) + 1
}

// conjunction compiles `(when) && (own)`, the condition of a role. Either text may be "". Both have been compiled alone
// before, so a problem of the two together is one of size or cost.
func (r *reader) conjunction(n *doc.Node, when, own string) *predicate.Cond {
	text := own
	switch {
	case own == "":
		text = when
	case when != "":
		text = "(" + when + "\n) && (" + own + "\n)" // the line end closes a comment at the end of either text
	}
	if text == "" || r.doc.Failed() {
		return nil
	}
	k := r.compile(text)
	if k.cond == nil {
		cause := "the condition cannot be compiled"
		if len(k.issues) > 0 {
			cause = k.issues[0].Text
		}
		n.Fail("together with the rule's when: %s", cause)
	}
	return k.cond
}

// readsRegistry reports whether an expression contains the name agent, outside of string literals and not after a dot, and
// whether it contains agent.registry: then it works without a registry, too.
func readsRegistry(text string) (reads, optional bool) {
	for i := 0; i < len(text); {
		switch c := text[i]; {
		case c == '"' || c == '\'':
			i = afterLiteral(text, i)
		case nameByte(c):
			end := endOfName(text, i)
			if text[i:end] == "agent" && (i == 0 || text[i-1] != '.') {
				reads = true
				if rest, ok := strings.CutPrefix(text[end:], ".registry"); ok && (rest == "" || !nameByte(rest[0])) {
					optional = true
				}
			}
			i = end
		default:
			i++
		}
	}
	return reads, optional
}

// endOfName returns the index after the name that begins at i.
func endOfName(text string, i int) int {
	for i < len(text) && nameByte(text[i]) {
		i++
	}
	return i
}

// noteRegistry records whether an expression of the rule reads the registry.
func (r *Rule) noteRegistry(text string) {
	reads, optional := readsRegistry(text)
	r.readsAgent = r.readsAgent || reads
	r.registryOptional = r.registryOptional || optional
}

// needsRegistry reports whether the rule is idle at a site without a registry.
func (r *Rule) needsRegistry() bool { return r.readsAgent && !r.registryOptional }

func nameByte(c byte) bool {
	return c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}

// afterLiteral returns the index after the string literal that begins at i.
func afterLiteral(text string, i int) int {
	raw := i > 0 && (text[i-1] == 'r' || text[i-1] == 'R')
	quote := text[i : i+1]
	if triple := strings.Repeat(quote, 3); strings.HasPrefix(text[i:], triple) {
		quote = triple
	}
	for j := i + len(quote); j < len(text); j++ {
		if text[j] == '\\' && !raw {
			j++
		} else if strings.HasPrefix(text[j:], quote) {
			return j + len(quote)
		}
	}
	return len(text)
}

// where compiles the `where` of a sequence, a condition over its steps.
func (r *reader) where(n *doc.Node, steps []Step) *predicate.Where {
	text := n.Filled()
	if strings.TrimSpace(text) == "" || len(steps) == 0 {
		return nil
	}
	ids := make([]string, len(steps))
	for i, s := range steps {
		ids[i] = s.ID
	}
	compile := r.compiler.env.CompileWhere
	if r.rule.Over != nil {
		compile = r.compiler.env.CompileTriggerWhere
	}
	w, issues := compile(text, ids)
	for _, i := range issues {
		n.FailAt(i.Line, i.Col, "%s", i.Text)
	}
	if w == nil {
		return nil
	}
	named := map[int]bool{}
	for i, need := range w.Needs() {
		r.mentions(n, []predicate.Mention{need.Mention})
		if s := steps[need.Step]; s.Times > 1 && !named[need.Step] && !w.InJoinsAlone(i) {
			named[need.Step] = true
			n.Fail("reads step %q, which has %d items (times): compare it in conjuncts such as %s.field == STEP.field only, "+
				"or split this step in two", s.ID, s.Times, s.ID)
		}
	}
	return w
}

// Exception removes the events that match a condition from a rule, until the end of a day in event time.
type Exception struct {
	Cond   *predicate.Cond
	Until  schema.Instant // the first instant after the day; it does not apply to events that end at this time or later
	Reason string
	Owner  string
}

func (r *reader) exceptions(n *doc.Node) {
	if n == nil {
		return
	}
	for _, e := range n.Items() {
		f := e.Fields()
		x := Exception{}
		x.Cond, _ = r.condition(f.Need("when"))
		until := f.Need("until")
		day := until.Date()
		x.Until = schema.InstantOf(day.Add(24 * time.Hour))
		x.Reason = f.Get("reason").Filled()
		x.Owner = f.Get("owner").Filled()
		f.Done()
		if !day.IsZero() && !r.compiler.today.IsZero() && schema.InstantOf(r.compiler.today) >= x.Until {
			until.Warn("the exception expired at the end of %s: remove it, or set a later day", day.Format(time.DateOnly))
		}
		r.rule.Exceptions = append(r.rule.Exceptions, x)
	}
}

// field reads the name of a field that rules may read. ok is false if the node is absent or does not hold one.
func (r *reader) field(n *doc.Node) (f schema.Field, ok bool) {
	name := n.Filled()
	if name == "" {
		return 0, false
	}
	f, ok = schema.FieldByName(name)
	switch {
	case !ok:
		n.Fail("unknown field %q%s", doc.Short(name), nearField(name))
	case f.OfTrigger() && r.rule.Over == nil:
		n.Fail("%s belongs to the triggers of rules: only a rule with over can read it", name)
	case !f.Visible() && !f.OfTrigger():
		n.Fail("%s describes when or where a record was read: name another field, because findings must not depend on that", name)
	default:
		return f, true
	}
	return 0, false
}

// nearField returns the end of the message about an unknown field: the field that was probably meant, or where to look.
func nearField(name string) string {
	var names []string
	for f := range schema.Field(schema.NumFields) {
		if f.Visible() {
			names = append(names, f.String())
		}
	}
	if s := doc.Nearest(name, names); s != "" {
		return fmt.Sprintf(": did you mean %s?", s)
	}
	return ": schema/FIELDS.md lists all fields"
}
