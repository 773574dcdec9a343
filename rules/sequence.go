package rules

import (
	"fmt"
	"strings"
	"time"

	"github.com/aidr-engine/aidr/rules/doc"
	"github.com/aidr-engine/aidr/rules/predicate"
	"github.com/aidr-engine/aidr/schema"
)

// unlessName is the name of the role that breaks a sequence. No step can have this id.
const unlessName = "unless"

const (
	// MaxSteps is the largest number of steps of a sequence. State holds up to 16 chains for each step and key.
	MaxSteps = 16
	// MaxTimes is the largest times of a step. A larger number is better written as a threshold.
	MaxTimes = 256
)

// Sequence is a rule's `sequence` clause. The role of step i is Roles[i].
type Sequence struct {
	Steps  []Step
	Within time.Duration
	Where  *predicate.Where // nil if there is no `where`
	Unless bool             // there is an `unless`, whose role is the last one
}

// Step is one step of a sequence.
type Step struct {
	ID    string
	Times int // 1 to MaxTimes
}

func (s *Sequence) operands() []Operand           { return nil }
func (s *Sequence) conditions() []*predicate.Cond { return nil }
func (s *Sequence) lookback() time.Duration       { return s.Within }

func (s *Sequence) appendShape(b *strings.Builder, rule *Rule) {
	for i, step := range s.Steps {
		fmt.Fprintf(b, "step=%s,%d,%s;", step.ID, step.Times, operandShapes(rule.Roles[i].Key))
	}
	if s.Unless {
		fmt.Fprintf(b, "unless=%s;", operandShapes(rule.Roles[len(s.Steps)].Key))
	}
	if s.Where != nil { // chains hold the values that where compares
		for _, need := range s.Where.Needs() {
			fmt.Fprintf(b, "need=%d,%s;", need.Step, need.Name)
		}
		for _, join := range s.Where.Joins() { // State has the values of joins in their order
			b.WriteString("join=")
			for _, side := range join.Sides {
				fmt.Fprintf(b, "%d,", side.Need)
			}
			b.WriteString(";")
		}
		fmt.Fprintf(b, "joins_alone=%t;", s.Where.JoinsAlone())
	}
	fmt.Fprintf(b, "within=%s;", doc.FormatDuration(s.Within))
}

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

func (r *reader) step(n *doc.Node, key []Operand) {
	s := r.rule.Sequence
	f := n.Fields()
	step := Step{Times: 1}
	id := f.Need("id")
	step.ID = r.stepID(id)
	own := r.stepWhen(f)
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

// stepWhen reads the condition of a step. A step over triggers names a rule, and may omit `when`.
func (r *reader) stepWhen(f *doc.Fields) string {
	rule := f.Get("rule")
	if r.rule.Over == nil {
		rule.Fail("names a rule, but the items of this rule are events: write over: [...] to count triggers")
		_, own := r.condition(f.Need("when"))
		return own
	}
	named := r.stepOver(f)
	if _, own := r.condition(f.Get("when")); own != "" && named != "" {
		return "(" + named + ") && (" + own + "\n)"
	}
	return named
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

func (r *reader) unless(n *doc.Node, key []Operand) {
	r.role(n, Role{Name: unlessName, Excepted: true}, key, nil)
	r.rule.Sequence.Unless = true
}
