package rules

import (
	"strings"
	"time"

	"github.com/aidr-engine/aidr/rules/doc"
	"github.com/aidr-engine/aidr/schema"
)

// unlessName is the name of the role that breaks a sequence; no step can have it.
const unlessName = "unless"

// sequence reads the steps, each of which is a role, and unless, which is the last one.
func (r *reader) sequence(clause *doc.Node) {
	f, rule := clause.Fields(), r.rule
	s := &Sequence{}
	rule.Sequence = s
	steps := f.Need("steps")
	s.Within = f.Need("within").Duration(time.Millisecond, MaxSpan)
	key := r.by(clause, f)
	where, unless := f.Get("where"), f.Get("unless")
	f.Done()
	items := steps.Items()
	if steps != nil && steps.Kind == doc.List && (len(items) < 2 || len(items) > MaxSteps) {
		steps.Fail("there are %d steps: a sequence has 2 to %d; one step with a count is a threshold", len(items), MaxSteps)
		return
	}
	for _, n := range items {
		r.step(n, key)
	}
	if unless != nil {
		r.unless(unless, key)
	}
	if where != nil {
		s.Where = r.where(where, s.Steps)
	}
}

func (r *reader) step(n *doc.Node, key []schema.Field) {
	s := r.rule.Sequence
	f := n.Fields()
	step := Step{Times: 1}
	id := f.Need("id")
	step.ID = r.stepID(id)
	_, own := r.condition(f.Need("when"))
	if t := f.Get("times"); t != nil {
		step.Times = int(t.Int(1, MaxTimes))
	}
	role := Role{Name: step.ID, Order: uint16(len(s.Steps) + 1), Key: r.roleKey(f.Get("by"), key)}
	f.Done()
	for _, before := range s.Steps {
		if step.ID != "" && before.ID == step.ID {
			id.Fail("%q is the id of an earlier step: choose another", step.ID)
		}
	}
	role.Cond = r.both(n, r.when, own)
	s.Steps = append(s.Steps, step)
	r.rule.Roles = append(r.rule.Roles, role)
}

// stepID reads a name that `where` can write in front of a field: STEP.field.
func (r *reader) stepID(n *doc.Node) string {
	id := n.Filled()
	if id == "" {
		return ""
	}
	for i, c := range []byte(id) {
		if c != '_' && (c < 'a' || c > 'z') && (i == 0 || c < '0' || c > '9') {
			n.Fail("%q is no name that where can write: use a-z, 0-9 and _, a letter first", doc.Short(id))
			return ""
		}
	}
	if reserved(id) {
		n.Fail("%q is the name of something else in conditions: choose another", doc.Short(id))
		return ""
	}
	return id
}

// reserved says whether a name means something in a condition already.
func reserved(id string) bool {
	switch id {
	case unlessName, "raw", "lists", "agent", "has", "in", "true", "false", "null", "as", "break", "const", "continue",
		"else", "for", "function", "if", "import", "let", "loop", "package", "namespace", "return", "var", "void", "while":
		return true
	}
	for f := range schema.Field(schema.NumFields) {
		if first, _, _ := strings.Cut(f.String(), "."); first == id {
			return true
		}
	}
	return false
}

func (r *reader) unless(n *doc.Node, key []schema.Field) {
	f := n.Fields()
	_, own := r.condition(f.Need("when"))
	role := Role{Name: unlessName, Excepted: true, Key: r.roleKey(f.Get("by"), key)}
	f.Done()
	role.Cond = r.both(n, r.when, own)
	r.rule.Sequence.Unless = true
	r.rule.Roles = append(r.rule.Roles, role)
}

// roleKey reads a `by` of its own: other fields for the same places of the key.
func (r *reader) roleKey(n *doc.Node, key []schema.Field) []schema.Field {
	if n == nil {
		return key
	}
	own, ok := r.fieldList(n, MaxBy)
	if !ok || len(key) == 0 {
		return own
	}
	if len(own) != len(key) {
		n.Fail("names %d fields where the rule's by has %d: each takes the place of one", len(own), len(key))
		return own
	}
	for i := range own {
		if a, b := own[i].Info().Type, key[i].Info().Type; a != b {
			n.Fail("%s and %s hold values of different types: they never meet", own[i], key[i])
		}
	}
	return own
}
