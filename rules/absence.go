package rules

import (
	"fmt"
	"strings"
	"time"

	"github.com/aidr-engine/aidr/rules/doc"
	"github.com/aidr-engine/aidr/rules/predicate"
)

// Absence is a rule's `absence` clause. Its roles are, by form: `after` (Order 1) and `expect` (2); `without` (1) and `act`
// (2); the only role of `silent`. The role `expect` or `without`, the answer, is Excepted.
type Absence struct {
	Form   AbsenceForm
	Within time.Duration // of expect and without
	Slack  time.Duration // of without
	For    time.Duration // of silent
}

// AbsenceForm is one of the three forms of the clause.
type AbsenceForm string

// The forms of an absence, by the part that is missing.
const (
	AbsenceExpect  AbsenceForm = "expect"  // after an event, no answer came in time
	AbsenceWithout AbsenceForm = "without" // an event happened, and no event that permits it came before it
	AbsenceSilent  AbsenceForm = "silent"  // the key had no event for some time
)

func (a *Absence) operands() []Operand           { return nil }
func (a *Absence) conditions() []*predicate.Cond { return nil }
func (a *Absence) lookback() time.Duration       { return max(a.Within+a.Slack, a.For) }

func (a *Absence) appendShape(b *strings.Builder, r *Rule) {
	fmt.Fprintf(b, "form=%s;within=%s;slack=%s;silent=%s;", a.Form, doc.FormatDuration(a.Within), doc.FormatDuration(a.Slack),
		doc.FormatDuration(a.For))
	appendRoleKeys(b, r)
}

// appendRoleKeys appends the keys of the rule's roles to a shape.
func appendRoleKeys(b *strings.Builder, r *Rule) {
	for _, role := range r.Roles {
		fmt.Fprintf(b, "role=%s,%s;", role.Name, operandShapes(role.Key))
	}
}

// absence reads the clause of that name.
func (r *reader) absence(clause, when *doc.Node) {
	r.rule.Absence = &Absence{}
	clause.Fail("is not supported yet")
}
