package rules

import (
	"strings"
	"time"

	"github.com/aidr-engine/aidr/rules/doc"
	"github.com/aidr-engine/aidr/schema"
)

// unlessName is the name of the role that breaks a sequence. No step can have this id.
const unlessName = "unless"

// sequence reads the clause of that name. Each step becomes a role; `unless` becomes the last one.
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
		steps.Fail("the number of steps is %d: write 2 to %d steps; for one step with a count use threshold", len(items), MaxSteps)
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
	for _, earlier := range s.Steps {
		if step.ID != "" && earlier.ID == step.ID {
			id.Fail("%q is the id of an earlier step: choose another", step.ID)
		}
	}
	role.Cond = r.conjunction(n, r.when, own)
	s.Steps = append(s.Steps, step)
	r.rule.Roles = append(r.rule.Roles, role)
}

// stepID reads the id of a step, which `where` writes in front of a field as STEP.field.
func (r *reader) stepID(n *doc.Node) string {
	id := n.Filled()
	if id == "" {
		return ""
	}
	for i, c := range []byte(id) {
		if c != '_' && (c < 'a' || c > 'z') && (i == 0 || c < '0' || c > '9') {
			n.Fail("%q cannot be written in where: use a-z, 0-9 and _, with a letter first", doc.Short(id))
			return ""
		}
	}
	if reserved(id) {
		n.Fail("%q already has a meaning in conditions: choose another", doc.Short(id))
		return ""
	}
	return id
}

// reserved reports whether a name already has a meaning in conditions.
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
	role.Cond = r.conjunction(n, r.when, own)
	r.rule.Sequence.Unless = true
	r.rule.Roles = append(r.rule.Roles, role)
}

// roleKey reads the `by` of a step or of `unless`: the fields that this role reads the values of the key from. If n is
// nil they are those of the rule's key.
func (r *reader) roleKey(n *doc.Node, key []schema.Field) []schema.Field {
	if n == nil {
		return key
	}
	own, ok := r.fieldList(n, MaxBy)
	if !ok || len(key) == 0 {
		return own
	}
	if len(own) != len(key) {
		n.Fail("names %d fields, but the rule's by has %d: name one for each of them, in the same order", len(own), len(key))
		return own
	}
	for i := range own {
		if a, b := own[i].Info().Type, key[i].Info().Type; a != b {
			n.Fail("%s and %s have values of different types, which are never equal: name fields of one type", own[i], key[i])
		}
	}
	return own
}
