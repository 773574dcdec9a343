package rules

import (
	"fmt"
	"slices"
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

const (
	// MaxSlack is the longest slack of an absence. A finding waits for it, and clocks that differ by more are wrong.
	MaxSlack = 24 * time.Hour
	// defaultSlack is the slack of an absence that names none: how far the clocks of two systems differ, at most.
	defaultSlack = 30 * time.Second
)

// absence reads the clause of that name. It reads the parts of all forms, so that a part of the wrong form is checked too.
func (r *reader) absence(clause, when *doc.Node) {
	f := clause.Fields()
	a := &Absence{}
	r.rule.Absence = a
	after, expect := f.Get("after"), f.Get("expect")
	act, without := f.Get("act"), f.Get("without")
	silent := f.Get("silent")
	within, slack := f.Get("within"), f.Get("slack")
	if within != nil {
		a.Within = within.Duration(time.Millisecond, MaxSpan)
	}
	key := r.by(clause, f)
	f.Done()
	r.role(after, Role{Name: "after", Order: 1}, key, nil)
	r.role(expect, Role{Name: "expect", Order: 2, Excepted: true}, key, nil)
	r.role(without, Role{Name: "without", Order: 1, Excepted: true}, key, nil)
	r.role(act, Role{Name: "act", Order: 2}, key, nil)
	if silent != nil {
		s := silent.Fields()
		a.For = s.Need("for").Duration(time.Millisecond, MaxSpan)
		s.Done()
		r.top.Need("when")
		r.onlyRole(when, key)
	}
	if clause.Kind == doc.Map {
		a.setForm(clause, f)
	}
	if slack != nil {
		a.Slack = slack.Duration(0, MaxSlack)
	} else if a.Form == AbsenceWithout {
		a.Slack = defaultSlack
	}
}

// absenceForm describes the keys of one form of the clause.
type absenceForm struct {
	form AbsenceForm
	own  []string // the keys that no other form has; all of them are required
	more []string // the keys that it may have besides; `within` is required
	text string   // the required keys
}

var absenceForms = []absenceForm{
	{AbsenceExpect, []string{"after", "expect"}, []string{"within"}, "after, expect and within"},
	{AbsenceWithout, []string{"act", "without"}, []string{"within", "slack"}, "act, without and within"},
	{AbsenceSilent, []string{"silent"}, nil, "silent"},
}

// setForm sets the form, that of the first of its own keys in the order of absenceForms, and checks that the clause has the
// keys of this form and no others.
func (a *Absence) setForm(clause *doc.Node, f *doc.Fields) {
	has := func(key string) bool { return f.Name(key) != nil }
	at := slices.IndexFunc(absenceForms, func(x absenceForm) bool { return slices.ContainsFunc(x.own, has) })
	if at < 0 {
		clause.Fail("names nothing that can be missing: write after and expect, or act and without, or silent: {for: 2h}")
		return
	}
	form := &absenceForms[at]
	a.Form = form.form
	for _, key := range slices.Concat(form.own, form.more) {
		if key != "slack" && !has(key) {
			clause.Fail("%s is missing: this form needs %s", key, form.text)
		}
	}
	for _, key := range [...]string{"after", "expect", "act", "without", "silent", "within", "slack"} {
		if has(key) && !slices.Contains(form.own, key) && !slices.Contains(form.more, key) {
			f.Name(key).Fail("does not belong to this form, which has %s: remove it, or write two rules", form.text)
		}
	}
}
