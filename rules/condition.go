package rules

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/aidr-engine/aidr/rules/doc"
	"github.com/aidr-engine/aidr/rules/expr"
	"github.com/aidr-engine/aidr/schema"
	"github.com/aidr-engine/aidr/schema/content"
)

// compiler compiles the conditions of one Set. A text that stands in many rules is compiled once, and the index then
// evaluates it once per event.
type compiler struct {
	env   *expr.Env
	today time.Time
	known map[string]compiled
	tags  map[string]string // known tags and their titles; nil until one is asked for
}

type compiled struct {
	cond   *expr.Cond
	issues []expr.Issue
}

func (c *compiler) compile(text string) compiled {
	k, ok := c.known[text]
	if !ok {
		k.cond, k.issues = c.env.Compile(text)
		c.known[text] = k
	}
	return k
}

// condition compiles the text of a node; its issues become problems of the file, each where it stands in it.
func (r *reader) condition(n *doc.Node) (cond *expr.Cond, text string) {
	text = n.Filled()
	if strings.TrimSpace(text) == "" {
		return nil, ""
	}
	k := r.compiler.compile(text)
	for _, i := range k.issues {
		n.FailAt(i.Line, i.Col, "%s", i.Text)
	}
	if k.cond != nil {
		r.mentions(n, k.cond.Mentions())
		r.rule.asksRegistry = r.rule.asksRegistry || readsAgent(text)
	}
	return k.cond, text
}

// mentions refuses what no finding may show.
func (r *reader) mentions(n *doc.Node, ms []expr.Mention) {
	for _, m := range ms {
		if m.Raw < 0 {
			continue
		}
		for _, key := range r.compiler.env.RawPaths()[m.Raw] {
			if content.CredentialName(key) {
				line, col := placeOf(n.String(), m.Name)
				n.FailAt(line, col, "%s holds a credential: what a rule reads is shown in its findings, so compare credential.uid (its hash) instead", m.Name)
			}
		}
	}
}

// placeOf returns line and column of a name in a condition, 1:1 where it is spelled in another way.
func placeOf(text, name string) (line, col int) {
	at := strings.Index(text, name)
	if at < 0 {
		return 1, 1
	}
	before := text[:at]
	return strings.Count(before, "\n") + 1, utf8.RuneCountInString(before[strings.LastIndexByte(before, '\n')+1:]) + 1
}

// both compiles `(when) && (own)`: what a role asks for. Either text may be "", and both are known to be right.
func (r *reader) both(n *doc.Node, when, own string) *expr.Cond {
	text := own
	switch {
	case own == "":
		text = when
	case when != "":
		text = "(" + when + "\n) && (" + own + "\n)" // a line end closes a comment that one of them ends with
	}
	if text == "" || r.doc.Failed() {
		return nil
	}
	k := r.compiler.compile(text)
	if k.cond == nil { // each alone is fine: together they are too long or too dear
		cause := "cannot be compiled"
		if len(k.issues) > 0 {
			cause = k.issues[0].Text
		}
		n.Fail("together with the rule's when: %s", cause)
	}
	return k.cond
}

// readsAgent says whether a condition asks the registry: whether agent stands in it as a name of its own, outside text.
func readsAgent(text string) bool {
	for i := 0; i < len(text); {
		switch c := text[i]; {
		case c == '"' || c == '\'':
			i = afterLiteral(text, i)
		case nameByte(c):
			end := i
			for end < len(text) && nameByte(text[end]) {
				end++
			}
			if text[i:end] == "agent" && (i == 0 || text[i-1] != '.') {
				return true
			}
			i = end
		default:
			i++
		}
	}
	return false
}

func nameByte(c byte) bool {
	return c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}

// afterLiteral returns the place behind the string literal that begins at i.
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

// where compiles a sequence's condition over its steps.
func (r *reader) where(n *doc.Node, steps []Step) *expr.Where {
	text := n.Filled()
	if strings.TrimSpace(text) == "" || len(steps) == 0 {
		return nil
	}
	ids := make([]string, len(steps))
	for i, s := range steps {
		ids[i] = s.ID
	}
	w, issues := r.compiler.env.CompileWhere(text, ids)
	for _, i := range issues {
		n.FailAt(i.Line, i.Col, "%s", i.Text)
	}
	if w == nil {
		return nil
	}
	named := map[int]bool{}
	for _, need := range w.Needs() {
		r.mentions(n, []expr.Mention{need.Mention})
		if s := steps[need.Step]; s.Times > 1 && !named[need.Step] {
			named[need.Step] = true
			n.Fail("names step %q, which has times %d: of several items none is meant; split the step in two", s.ID, s.Times)
		}
	}
	return w
}

// Exception takes events away from a rule until the end of a day, by event time.
type Exception struct {
	Cond   *expr.Cond
	Until  int64 // ns, the first instant after the day; events from then on are items again
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
		x.Until = day.Add(24 * time.Hour).UnixNano()
		x.Reason = f.Get("reason").Filled()
		x.Owner = f.Get("owner").Filled()
		f.Done()
		if !day.IsZero() && !r.compiler.today.IsZero() && r.compiler.today.UnixNano() >= x.Until {
			until.Warn("the exception is over since the end of %s: remove it, or set a later day", day.Format(time.DateOnly))
		}
		r.rule.Exceptions = append(r.rule.Exceptions, x)
	}
}

// field reads the name of a field that rules may see.
func (r *reader) field(n *doc.Node) (schema.Field, bool) {
	name := n.Filled()
	if name == "" {
		return 0, false
	}
	f, ok := schema.FieldByName(name)
	switch {
	case strings.HasPrefix(name, "raw.") || strings.HasPrefix(name, "raw["):
		n.Fail("%q is a raw path: only fields of the event can stand here", doc.Short(name))
	case !ok:
		n.Fail("unknown field %q%s", doc.Short(name), nearField(name))
	case !f.Visible():
		n.Fail("%s tells where and when a record was read: no rule can see it, or findings would depend on it", name)
	default:
		return f, true
	}
	return 0, false
}

// nearField suggests a field for a name that is none.
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
	return ": aidr fields are listed in schema/FIELDS.md"
}
