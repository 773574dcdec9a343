package rules

import (
	"slices"
	"strings"
	"time"

	"github.com/aidr-engine/aidr/rules/doc"
	"github.com/aidr-engine/aidr/rules/predicate"
	"github.com/aidr-engine/aidr/schema"
)

// Limits of the clauses. They are part of the rule language.
const (
	// MaxCount is the largest count of a threshold, and the largest min of a ratio.
	MaxCount = 1_000_000_000
	// MaxDistinct is the largest count of distinct. State holds four times as many values for each key.
	MaxDistinct = 10_000
	// MaxOf is the largest number of fields in `of`.
	MaxOf = 3
	// MaxNewValues is the largest max_values of new_value.
	MaxNewValues = 4096
	// MaxSteps is the largest number of steps of a sequence. State holds up to 16 chains for each step and key.
	MaxSteps = 16
	// MaxTimes is the largest times of a step. A larger number is better written as a threshold.
	MaxTimes = 256
)

// defaultGroup is the default of group.by for a rule without a stateful clause.
var defaultGroup = []schema.Field{schema.AIAgentUID}

// plannedKinds are kinds that the language reserves and the engine does not support yet.
var plannedKinds = []string{"absence", "baseline", "rarity", "flow", "correlate"}

// kind reads the stateful clause, if there is one.
func (r *reader) kind(when *doc.Node) {
	f, rule := r.top, r.rule
	for _, k := range plannedKinds {
		f.Refuse(k, "is not supported yet: use threshold, distinct, new_value or sequence, or none of them")
	}
	rule.Kind = KindNone
	var clause *doc.Node
	for _, k := range []Kind{KindThreshold, KindDistinct, KindNewValue, KindSequence} {
		n := f.Get(string(k))
		switch {
		case n == nil:
		case clause != nil:
			f.Name(string(k)).Fail("the rule already has %s: a rule has one stateful clause; write two rules", rule.Kind)
		default:
			rule.Kind, clause = k, n
		}
	}
	if rule.Kind != KindSequence {
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
	}
}

// by reads the key of a clause.
func (r *reader) by(clause *doc.Node, f *doc.Fields) []schema.Field {
	n := f.Get("by")
	if n == nil {
		clause.Fail("by is missing: name the fields that separate the keys, as in by: [ai_agent.uid]")
		return nil
	}
	var key []schema.Field
	key, r.keyValid = r.fieldList(n, MaxBy)
	r.rule.Key = key
	return key
}

// onlyRole gives the rule one role, with the rule's `when` as its condition.
func (r *reader) onlyRole(when *doc.Node, key []schema.Field) {
	r.rule.Roles = []Role{{Cond: r.conjunction(when, r.when, ""), Key: key}}
}

func (r *reader) threshold(clause, when *doc.Node) {
	f := clause.Fields()
	t := &Threshold{}
	r.rule.Threshold = t
	count, sum, ratio := f.Get("count"), f.Get("sum"), f.Get("ratio")
	t.Within = f.Need("within").Duration(time.Millisecond, MaxSpan)
	key := r.by(clause, f)
	f.Done()
	given := 0
	for _, n := range []*doc.Node{count, sum, ratio} {
		if n != nil {
			given++
		}
	}
	if given != 1 && clause.Kind == doc.Map {
		clause.Fail("needs exactly one of count, sum and ratio")
	}
	if count != nil {
		t.Count = count.Int(1, MaxCount)
	}
	if sum != nil {
		t.Sum = r.sum(sum)
	}
	if ratio != nil {
		t.Ratio = r.ratio(ratio)
	}
	r.onlyRole(when, key)
}

func (r *reader) sum(n *doc.Node) *Sum {
	f := n.Fields()
	of, atLeast := f.Need("of"), f.Need("at_least")
	f.Done()
	s := &Sum{}
	field, ok := r.field(of)
	if t := field.Info().Type; ok && t != schema.TypeInt && t != schema.TypeDouble {
		of.Fail("%s is not a number: sum adds numbers, such as gen_ai.usage.input_tokens", field)
	}
	s.Of = field
	s.AtLeast, ok = r.decimal(atLeast)
	if ok && s.AtLeast.Sign() <= 0 {
		atLeast.Fail("must be above 0: every window reaches 0")
	}
	return s
}

func (r *reader) ratio(n *doc.Node) *Ratio {
	f := n.Fields()
	of, atLeast, min := f.Need("of"), f.Need("at_least"), f.Need("min")
	f.Done()
	q := &Ratio{}
	q.Of, _ = r.condition(of)
	if share, ok := r.decimal(atLeast); ok {
		q.AtLeast = int64(share.Lo)
		if share.Hi != 0 || share.Lo == 0 || share.Lo > DecimalOne {
			atLeast.Fail("must be a share above 0 and at most 1, as in 0.5")
		}
	}
	if min != nil {
		q.Min = min.Int(1, MaxCount)
	}
	return q
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

func (r *reader) distinct(clause, when *doc.Node) {
	f := clause.Fields()
	d := &Distinct{}
	r.rule.Distinct = d
	d.Of, _ = r.fieldList(f.Need("of"), MaxOf)
	if n := f.Need("count"); n != nil {
		d.Count = int(n.Int(1, MaxDistinct))
	}
	d.Within = f.Need("within").Duration(time.Millisecond, MaxSpan)
	key := r.by(clause, f)
	f.Done()
	r.onlyRole(when, key)
}

func (r *reader) newValue(clause, when *doc.Node) {
	f := clause.Fields()
	v := &NewValue{Forget: defaultForget, MaxValues: defaultMaxValues}
	r.rule.NewValue = v
	v.Of, _ = r.fieldList(f.Need("of"), MaxOf)
	learn := f.Get("learn")
	if learn == nil && clause.Kind == doc.Map {
		clause.Fail("learn is missing: write how old a key must be before its new values trigger, as in learn: 7d, or learn: 0s")
	}
	v.Learn = learn.Duration(0, MaxSpan)
	if n := f.Get("forget"); n != nil {
		v.Forget = n.Duration(time.Millisecond, MaxSpan)
	}
	if n := f.Get("max_values"); n != nil {
		v.MaxValues = int(n.Int(1, MaxNewValues))
	}
	key := r.by(clause, f)
	f.Done()
	r.onlyRole(when, key)
}

// fieldList reads a list of 1 to most different fields. A single field may be written without brackets.
func (r *reader) fieldList(n *doc.Node, most int) (out []schema.Field, ok bool) {
	if n == nil {
		return nil, false
	}
	items := []*doc.Node{n}
	if n.Kind != doc.Text {
		items = n.Items()
		if n.Kind == doc.List && (len(items) == 0 || len(items) > most) {
			n.Fail("names %d fields: name 1 to %d", len(items), most)
			return nil, false
		}
	}
	ok = true
	for _, v := range items {
		f, valid := r.field(v)
		if valid && slices.Contains(out, f) {
			v.Fail("%s is listed twice: remove one", f)
			valid = false
		}
		ok = ok && valid
		out = append(out, f)
	}
	return out, ok && len(out) > 0
}

// subset returns the indexes in the key of the group's fields, ascending.
func (r *reader) subset(n *doc.Node, fields []schema.Field) []int {
	var indexes []int
	for _, f := range fields {
		i := slices.Index(r.rule.Key, f)
		if i < 0 {
			if r.keyValid {
				n.Fail("%s is not in the rule's by (%s): name fields of by only", f, fieldNames(r.rule.Key))
			}
			continue
		}
		indexes = append(indexes, i)
	}
	slices.Sort(indexes)
	return indexes
}

// firstIndexes returns 0, 1, ... n-1.
func firstIndexes(n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = i
	}
	return out
}

func fieldNames(fs []schema.Field) string {
	names := make([]string, len(fs))
	for i, f := range fs {
		names[i] = f.String()
	}
	return strings.Join(names, ", ")
}

// mentionsOf returns Rule.Mentions: the values that the conditions read, then the fields of the clause.
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
	if t := rule.Threshold; t != nil && t.Ratio != nil {
		add(t.Ratio.Of.Mentions()...)
	}
	if s := rule.Sequence; s != nil && s.Where != nil {
		for _, need := range s.Where.Needs() {
			add(need.Mention)
		}
	}
	for _, f := range fieldsOf(rule) {
		add(predicate.Mention{Name: f.String(), Field: f, Raw: -1})
	}
	return out
}

// fieldsOf returns the fields that the clause itself reads: the keys of all roles, and those of `of`.
func fieldsOf(rule *Rule) []schema.Field {
	out := slices.Clone(rule.Key)
	for _, role := range rule.Roles {
		out = append(out, role.Key...)
	}
	switch {
	case rule.Distinct != nil:
		out = append(out, rule.Distinct.Of...)
	case rule.NewValue != nil:
		out = append(out, rule.NewValue.Of...)
	case rule.Threshold != nil && rule.Threshold.Sum != nil:
		out = append(out, rule.Threshold.Sum.Of)
	}
	return out
}
