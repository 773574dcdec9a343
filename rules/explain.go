package rules

import (
	"slices"
	"time"

	"github.com/aidr-engine/aidr/rules/expr"
	"github.com/aidr-engine/aidr/rules/match"
	"github.com/aidr-engine/aidr/rules/predicate"
	"github.com/aidr-engine/aidr/schema"
)

// Explanation is what a rule makes of one event, for people.
type Explanation struct {
	Rule *Rule
	// Dataset is the event's dataset, and ReadsDataset is whether the rule reads it.
	Dataset      string
	ReadsDataset bool
	Roles        []RoleExplanation
	Exceptions   []ExceptionExplanation
	// Excepted is true if an exception removes the event from the roles that exceptions apply to.
	Excepted bool
	// Compared are the values of the clause, such as those of `of`.
	Compared []Reading
	// Hit has the roles of the event as the index finds them: the index and the conditions agree.
	Hit uint32
}

// RoleExplanation is the condition of one role with its parts.
type RoleExplanation struct {
	Name      string
	Condition PartExplanation
	// Witness describes the facts by which the index finds the condition, or the reason why it is evaluated for every event.
	Witness string
	Always  bool      // it is evaluated for every event
	Found   bool      // the index evaluates it for the event
	Key     []Reading // the values of the key; the event is no item of the rule if one is absent, unless Rule.KeyOptional
}

// IsComplete reports whether the event has all values of the key that the rule needs.
func (r *RoleExplanation) IsComplete(rule *Rule) bool {
	return rule.KeyOptional || !slices.ContainsFunc(r.Key, func(v Reading) bool { return !v.Value.Present() })
}

// PartExplanation is a condition or a part of one, with its value.
type PartExplanation struct {
	Text     string
	Operator string // of the parts: &&, || or !
	Holds    bool
	Err      error // why it has no value
	Reads    []Reading
	Parts    []PartExplanation
}

// Reading is a value that a rule reads of an event.
type Reading struct {
	Name    string
	Value   schema.Value      // absent if the event lacks it
	Mention predicate.Mention // of a value that is a field or a raw path; Raw is -1 and Field 0 for an expression
	Err     error             // of an expression
}

// ExceptionExplanation is an exception, with its value.
type ExceptionExplanation struct {
	Text, Reason, Owner string
	Until               schema.Instant
	Over                bool // it applies to earlier events only
	Holds               bool
	Err                 error
}

// Explain returns what the rule makes of an event. It compiles each part of its conditions, so it is for people and not for
// concurrent use. r is one of s.Rules, and has no Over.
func (s *Set) Explain(r *Rule, e *schema.Event) *Explanation {
	x := &Explanation{Rule: r, Dataset: e.Text(schema.EventDataset)}
	x.ReadsDataset = len(r.Datasets) == 0 || slices.Contains(r.Datasets, x.Dataset)
	sc := s.NewScratch()
	place := slices.Index(s.Rules, r)
	for i := range r.Roles {
		role := &r.Roles[i]
		re := RoleExplanation{Name: role.Name, Condition: s.explainPart(expr.OutlineOf(role.Cond.Text()), e), Key: readings(role.Key, e, sc)}
		if place >= 0 {
			re.Witness, re.Always = s.Witness(place, i), s.Plan(place, i).Always
			re.Found = isFound(r, role, e)
		}
		x.Roles = append(x.Roles, re)
	}
	end, _ := e.End()
	for i := range r.Exceptions {
		ex := &r.Exceptions[i]
		xe := ExceptionExplanation{Text: ex.Cond.Text(), Reason: ex.Reason, Owner: ex.Owner, Until: ex.Until, Over: end >= ex.Until}
		xe.Holds, xe.Err = ex.Cond.Eval(e, sc.Predicate)
		x.Excepted = x.Excepted || xe.Holds && !xe.Over
		x.Exceptions = append(x.Exceptions, xe)
	}
	if c := r.clause(); c != nil {
		x.Compared = readings(c.operands(), e, sc)
	}
	for _, hit := range s.Match(e, sc, nil) {
		if hit.Rule == place {
			x.Hit = hit.Roles
		}
	}
	return x
}

// explainPart evaluates a condition and its parts.
func (s *Set) explainPart(o expr.Outline, e *schema.Event) PartExplanation {
	p := PartExplanation{Text: o.Text, Operator: o.Operator}
	cond, issues := s.env.Compile(o.Text)
	if cond == nil {
		p.Err = expr.Error(issues[0])
		return p
	}
	p.Holds, p.Err = cond.Eval(e, predicate.NewScratch())
	for _, part := range o.Parts {
		p.Parts = append(p.Parts, s.explainPart(part, e))
	}
	if len(o.Parts) == 0 {
		for _, m := range cond.Mentions() {
			p.Reads = append(p.Reads, Reading{Name: m.Name, Value: valueOf(&m, e), Mention: m})
		}
	}
	return p
}

// valueOf returns the event's value of a field or a raw path.
func valueOf(m *predicate.Mention, e *schema.Event) schema.Value {
	switch {
	case m.Raw < 0:
		return e.Value(m.Field)
	case m.Raw < len(e.Raws):
		return e.Raws[m.Raw]
	}
	return schema.Value{}
}

// readings returns the event's values of operands.
func readings(os []Operand, e *schema.Event, sc *Scratch) (out []Reading) {
	for i := range os {
		o := &os[i]
		if o.Text == nil {
			if m := o.Mentions()[0]; o.Name != "" {
				out = append(out, Reading{Name: o.Name, Value: valueOf(&m, e), Mention: m})
			}
			continue
		}
		r := Reading{Name: o.Name, Mention: predicate.Mention{Name: o.Name, Raw: -1}}
		text, err := o.Text.Eval(e, sc.Predicate)
		if r.Err = err; err == nil && text != "" {
			r.Value = schema.StringValue(text)
		}
		out = append(out, r)
	}
	return out
}

// isFound reports whether an index evaluates the condition of a role for the event.
func isFound(r *Rule, role *Role, e *schema.Event) bool {
	sc := match.NewScratch()
	match.Build([]*predicate.Cond{role.Cond}, [][]string{r.Datasets}).Eval(e, sc, nil)
	return sc.Candidates > 0
}

// Day returns the last day on which an exception applies.
func (x *ExceptionExplanation) Day() string {
	return time.Unix(0, int64(x.Until)).UTC().AddDate(0, 0, -1).Format(time.DateOnly)
}
