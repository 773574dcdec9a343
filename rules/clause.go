package rules

import (
	"fmt"
	"strings"
	"time"

	"github.com/aidr-engine/aidr/rules/doc"
	"github.com/aidr-engine/aidr/rules/predicate"
	"github.com/aidr-engine/aidr/schema"
)

// A clause is the stateful clause of a rule, such as *Threshold. Each is read and defined in a file of its own.
type clause interface {
	// operands returns the values that the clause reads of an event, besides the key.
	operands() []Operand
	// conditions returns the conditions of the clause besides those of the rule's roles.
	conditions() []*predicate.Cond
	// appendShape appends the clause's part of Rule.Shape.
	appendShape(b *strings.Builder, r *Rule)
	// lookback returns Rule.Lookback.
	lookback() time.Duration
}

// clause returns the rule's stateful clause, nil if it has none.
func (r *Rule) clause() clause {
	switch {
	case r.Threshold != nil:
		return r.Threshold
	case r.Distinct != nil:
		return r.Distinct
	case r.NewValue != nil:
		return r.NewValue
	case r.Sequence != nil:
		return r.Sequence
	case r.Absence != nil:
		return r.Absence
	case r.Baseline != nil:
		return r.Baseline
	case r.Rarity != nil:
		return r.Rarity
	case r.Flow != nil:
		return r.Flow
	case r.Provenance != nil:
		return r.Provenance
	}
	return nil
}

// kind reads the stateful clause, if there is one.
func (r *reader) kind(when *doc.Node) {
	f, rule := r.top, r.rule
	rule.Kind = KindNone
	var clause *doc.Node
	for _, k := range StatefulKinds() {
		n := f.Get(string(k))
		switch {
		case n == nil:
		case clause != nil:
			f.Name(string(k)).Fail("the rule already has %s: a rule has one stateful clause; write two rules", rule.Kind)
		default:
			rule.Kind, clause = k, n
		}
	}
	if !rule.Kind.hasRoles() && rule.Over == nil {
		f.Need("when")
	}
	switch rule.Kind {
	case KindNone:
		rule.Roles = []Role{{Cond: r.conjunction(when, r.when, "")}}
	case KindThreshold:
		r.threshold(clause, when)
	case KindDistinct:
		r.distinct(clause, when)
	case KindNewValue:
		r.newValue(clause, when)
	case KindSequence:
		r.sequence(clause)
	case KindAbsence:
		r.absence(clause, when)
	case KindBaseline:
		r.baseline(clause, when)
	case KindRarity:
		r.rarity(clause, when)
	case KindFlow:
		r.flow(clause)
	case KindProvenance:
		r.provenance(clause)
	}
	r.overKind(clause)
}

// hasRoles reports whether the parts of the clause have conditions of their own, so that the rule's `when` may be omitted.
func (k Kind) hasRoles() bool {
	return k == KindSequence || k == KindAbsence || k == KindFlow || k == KindProvenance
}

// by reads the key of a clause.
func (r *reader) by(clause *doc.Node, f *doc.Fields) []Operand {
	n := f.Get("by")
	if n == nil {
		clause.Fail("by is missing: name the fields that separate the keys, as in by: [ai_agent.uid]")
		return nil
	}
	var key []Operand
	key, r.keyValid = r.operandList(n, MaxBy)
	r.rule.Key = key
	return key
}

// onlyRole gives the rule one role, with the rule's `when` as its condition.
func (r *reader) onlyRole(when *doc.Node, key []Operand) {
	r.rule.Roles = []Role{{Cond: r.conjunction(when, r.when, ""), Key: key}}
}

// role reads {when, by?}, a part of a clause that is a role of its own, and adds it to the rule. more reads further keys of
// the part; it may be nil.
func (r *reader) role(n *doc.Node, role Role, key []Operand, more func(f *doc.Fields)) {
	if n == nil {
		return
	}
	f := n.Fields()
	_, own := r.condition(f.Need("when"))
	role.Key = r.roleKey(f.Get("by"), key)
	if more != nil {
		more(f)
	}
	f.Done()
	role.Cond = r.conjunction(n, r.when, own)
	r.rule.Roles = append(r.rule.Roles, role)
}

// roleKey reads the `by` of a role: the values that this role reads in place of those of the rule's key. If n is nil they
// are those of the rule's key.
func (r *reader) roleKey(n *doc.Node, key []Operand) []Operand {
	if n == nil {
		return key
	}
	own, ok := r.operandList(n, MaxBy)
	if !ok || len(key) == 0 {
		return own
	}
	if len(own) != len(key) {
		n.Fail("names %d fields, but the rule's by has %d: name one for each of them, in the same order", len(own), len(key))
		return own
	}
	for i := range own {
		a, b := own[i].valueType(), key[i].valueType()
		if a != b && a != schema.TypeDyn && b != schema.TypeDyn {
			n.Fail("%s and %s have values of different types, which are never equal: name fields of one type", own[i].Name, key[i].Name)
		}
	}
	return own
}

// decimal reads a number exactly. ok is false if the node is absent or not a number.
func (r *reader) decimal(n *doc.Node) (d Decimal, ok bool) {
	text := n.Number()
	if text == "" {
		return Decimal{}, false
	}
	if d, ok = ParseDecimal(text); !ok {
		n.Fail("%s is not a number of at most 20 digits before the point and 9 after it: round it, and write it without an exponent", doc.Short(text))
	}
	return d, ok
}

// share reads a share above 0 and at most 1, in units of 10^-9.
func (r *reader) share(n *doc.Node) int64 {
	d, ok := r.decimal(n)
	if !ok {
		return 0
	}
	if d.Hi != 0 || d.Lo == 0 || d.Lo > DecimalOne {
		n.Fail("must be a share above 0 and at most 1, as in 0.5")
		return 0
	}
	return int64(d.Lo)
}

// mentionsOf returns Rule.Mentions: the values that the conditions read, then those of the key, of the clause and
// of the summary.
func mentionsOf(rule *Rule) []predicate.Mention {
	var out []predicate.Mention
	seen := map[string]bool{}
	add := func(ms ...predicate.Mention) {
		for _, m := range ms {
			if !seen[m.Name] {
				seen[m.Name] = true
				out = append(out, m)
			}
		}
	}
	for _, role := range rule.Roles {
		add(role.Cond.Mentions()...)
	}
	operands := rule.Key
	for _, role := range rule.Roles {
		operands = append(operands[:len(operands):len(operands)], role.Key...)
	}
	if c := rule.clause(); c != nil {
		for _, cond := range c.conditions() {
			add(cond.Mentions()...)
		}
		operands = append(operands, c.operands()...)
	}
	if s := rule.Sequence; s != nil && s.Where != nil {
		for _, need := range s.Where.Needs() {
			add(need.Mention)
		}
	}
	for i := range operands {
		add(operands[i].Mentions()...)
	}
	add(rule.summaryMentions()...)
	if rule.Over != nil {
		add(predicate.Mention{Name: schema.RuleID.String(), Field: schema.RuleID, Raw: -1})
	}
	return out
}

// Lookback returns the length of the history that the rule's State covers, and so how long State that starts empty differs
// from State that has seen everything. For new_value it is the learning time.
func (r *Rule) Lookback() time.Duration {
	if c := r.clause(); c != nil {
		return c.lookback()
	}
	return 0
}

// shapeText returns the text of which Rule.Shape is the hash. It is part of the format of State: any change to the text
// makes all State start empty.
//
//	kind=threshold;count=100;within=1m;by=ai_agent.uid,session.id;optional=false;group=[0 1];for=1h
//
// The values that a threshold compares with are left out, except for a count, because it determines whether State holds
// single times or panes. Conditions are left out too: items that were folded under the old condition stay folded.
func shapeText(rule *Rule) string {
	var b strings.Builder
	if rule.Over != nil {
		b.WriteString("over;")
	}
	fmt.Fprintf(&b, "kind=%s;", rule.Kind)
	if c := rule.clause(); c != nil {
		c.appendShape(&b, rule)
	}
	fmt.Fprintf(&b, "by=%s;optional=%t;group=%v;for=%s", operandShapes(rule.Key), rule.KeyOptional, rule.GroupBy,
		doc.FormatDuration(rule.GroupFor))
	return b.String()
}

// Cost returns the estimated cost of what the rule evaluates of an event that has all its roles: its conditions and the
// expressions of its keys and of its clause, in cel-go's units.
func (r *Rule) Cost() (min, max uint64) {
	add := func(lo, hi uint64) { min, max = min+lo, max+hi }
	expressions := func(os []Operand) {
		for i := range os {
			if os[i].Text != nil {
				add(os[i].Text.Cost())
			}
		}
	}
	for _, role := range r.Roles {
		add(role.Cond.Cost())
		expressions(role.Key)
	}
	if c := r.clause(); c != nil {
		for _, cond := range c.conditions() {
			add(cond.Cost())
		}
		expressions(c.operands())
	}
	return min, max
}
