package rules

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/aidr-engine/aidr/rules/doc"
	"github.com/aidr-engine/aidr/rules/predicate"
	"github.com/aidr-engine/aidr/schema"
	"github.com/aidr-engine/aidr/schema/content"
)

// Over is a rule's `over`: the rules whose triggers are the items of the rule.
type Over struct {
	// Feeding are the rules that the patterns name, sorted by id, whatever their stages: see Feeds.
	Feeding []*Rule

	patterns []overPattern
}

// overPattern is one entry of `over`, or the `rule` of a step: the id of a rule, a glob of ids, or a tag.
type overPattern struct {
	text string
	at   *doc.Node
}

// builtinPrefix is the beginning of the ids of built-in rules, which feed no rule.
const builtinPrefix = "aidr."

// isGlob reports whether the pattern is a glob.
func (p overPattern) isGlob() bool { return strings.ContainsAny(p.text, "*?") }

// isTag reports whether the pattern has the form of a tag.
func (p overPattern) isTag() bool {
	return strings.HasPrefix(p.text, "x.") || slices.ContainsFunc(namespaces, func(ns string) bool { return strings.HasPrefix(p.text, ns) })
}

// condition returns the condition that holds for the triggers of the rules that the pattern names.
func (p overPattern) condition() string {
	quoted := strconv.Quote(p.text)
	switch {
	case p.isGlob():
		return "rule.id.glob(" + quoted + ")"
	case p.isTag():
		return "rule.id == " + quoted + " || " + quoted + " in rule.tag"
	}
	return "rule.id == " + quoted
}

// always is the condition of a rule over all triggers of the rules that it names.
const always = "true"

// over reads `over`, if the rule has it.
func (r *reader) over(n, datasets *doc.Node) {
	if n == nil {
		return
	}
	r.rule.Over = &Over{}
	if datasets != nil {
		r.top.Name("datasets").Fail("the rule has over, so its items are triggers and have no dataset: remove one of the two")
	}
	items := n.Items()
	if n.Kind == doc.List && len(items) == 0 {
		n.Fail(`is empty: name the rules whose triggers the rule counts, as in ["*"] for all rules`)
	}
	for _, v := range items {
		p := overPattern{v.Filled(), v}
		if slices.ContainsFunc(r.rule.Over.patterns, func(o overPattern) bool { return o.text == p.text }) {
			v.Fail("%q is listed twice: remove one", doc.Short(p.text))
		}
		r.rule.Over.patterns = append(r.rule.Over.patterns, p)
	}
}

// overKind refuses the kinds that have no meaning over triggers.
func (r *reader) overKind(clause *doc.Node) {
	rule := r.rule
	switch {
	case rule.Over == nil:
	case rule.Kind == KindThreshold && rule.Threshold.Count == 0:
		clause.Fail("a rule with over counts triggers, which have no numbers: use threshold with count, distinct, new_value or sequence")
	case rule.Kind == KindNone, rule.Kind == KindThreshold, rule.Kind == KindDistinct, rule.Kind == KindNewValue, rule.Kind == KindSequence:
	default:
		clause.Fail("has no meaning over triggers: a rule with over may use threshold with count, distinct, new_value or sequence, or none of them")
	}
}

// stepOver reads the `rule` of a step of a sequence over triggers, and returns the condition for it.
func (r *reader) stepOver(f *doc.Fields) string {
	if r.rule.Over == nil {
		return ""
	}
	n := f.Need("rule")
	p := overPattern{n.Filled(), n}
	if p.text == "" {
		return ""
	}
	return p.condition()
}

// Feeds reports whether the triggers of r are items of o, which has r among its Feeding: a rule that is not in production
// must not change the findings of one that is.
func (r *Rule) Feeds(o *Rule) bool {
	switch r.Stage {
	case StageDraft:
		return o.Stage == StageDraft
	case StageShadow:
		return o.Stage == StageShadow || o.Stage == StageDraft
	}
	return r.Stage != StageDisabled
}

// linker finds the rules that feed others.
type linker struct {
	rules    []*Rule // sorted by id
	byID     map[string]*Rule
	problems []Problem
}

// link sets Over.Feeding, Level and Carries of all rules, which are sorted by id, and returns the problems. For each
// problem of a pattern the rule that feeds is missing.
func link(all []*Rule) []Problem {
	l := &linker{rules: all, byID: make(map[string]*Rule, len(all))}
	for _, r := range all {
		l.byID[r.ID] = r
	}
	var over []*Rule
	for _, r := range all {
		if r.Over != nil {
			l.feed(r)
			over = append(over, r)
		}
	}
	for _, r := range over {
		if path := l.cycle(r, []*Rule{r}); path != nil {
			r.Over.patterns[0].fail(l, r, "the rules feed each other in a circle: "+strings.Join(path, " -> ")+": remove one of the names")
			return l.problems
		}
	}
	for _, r := range over {
		r.Level = level(r)
	}
	slices.SortStableFunc(over, func(a, b *Rule) int { return cmp.Compare(b.Level, a.Level) })
	for _, r := range over { // the highest level first: a rule carries also what the rules over those over it read
		for _, f := range r.Over.Feeding {
			f.IsFeeding = true
			f.carry(r)
		}
	}
	return l.problems
}

// fail records a problem with the pattern of a rule.
func (p overPattern) fail(l *linker, r *Rule, cause string) {
	l.problems = append(l.problems, p.problem(r, cause))
}

func (p overPattern) problem(r *Rule, cause string) Problem {
	return Problem{File: r.File, Line: p.at.Line, Col: p.at.Col, Rule: r.ID, Key: p.at.Key, Cause: cause}
}

// feed sets the rules that feed r.
func (l *linker) feed(r *Rule) {
	feeding := map[*Rule]bool{}
	for _, p := range r.Over.patterns {
		found := l.named(p, r)
		for _, f := range found {
			feeding[f] = true
		}
		switch {
		case len(found) > 0 || p.text == "":
		case p.isGlob() || p.isTag():
			problem := p.problem(r, fmt.Sprintf("no rule has %q: remove it, or load the rules that it names", doc.Short(p.text)))
			problem.Warning = true
			l.problems = append(l.problems, problem)
		default:
			p.fail(l, r, fmt.Sprintf("no rule has the id %q%s", doc.Short(p.text), l.near(p.text)))
		}
	}
	for _, f := range l.rules {
		if feeding[f] {
			r.Over.Feeding = append(r.Over.Feeding, f)
		}
	}
}

// named returns the rules that a pattern of r names. A glob or a tag names no rule that itself has over.
func (l *linker) named(p overPattern, r *Rule) (found []*Rule) {
	if f := l.byID[p.text]; f != nil && !strings.HasPrefix(p.text, builtinPrefix) {
		return []*Rule{f}
	}
	if !p.isGlob() && !p.isTag() {
		return nil
	}
	for _, f := range l.rules {
		if f == r || f.Over != nil || strings.HasPrefix(f.ID, builtinPrefix) {
			continue
		}
		if p.isGlob() && content.Glob(p.text, f.ID) || p.isTag() && slices.Contains(f.Tags, p.text) {
			found = append(found, f)
		}
	}
	return found
}

// near returns the end of the message about an unknown id.
func (l *linker) near(id string) string {
	var ids []string
	for _, r := range l.rules {
		ids = append(ids, r.ID)
	}
	if near := doc.Nearest(id, ids); near != "" {
		return ": did you mean " + near + "?"
	}
	return ": load the rule too, or remove the name"
}

// cycle returns the ids of a circle that begins with path, nil if there is none.
func (l *linker) cycle(r *Rule, path []*Rule) (ids []string) {
	for _, f := range r.Over.Feeding {
		if f == path[0] {
			for _, p := range append(path, f) {
				ids = append(ids, p.ID)
			}
			return ids
		}
		if f.Over == nil || slices.Contains(path, f) {
			continue
		}
		if ids = l.cycle(f, append(path, f)); ids != nil {
			return ids
		}
	}
	return nil
}

// level returns Rule.Level.
func level(r *Rule) (n int) {
	if r.Over == nil {
		return 0
	}
	for _, f := range r.Over.Feeding {
		n = max(n, level(f))
	}
	return n + 1
}

// carry adds to the values that r captures those that the rule o over it reads.
func (r *Rule) carry(o *Rule) {
	for _, ms := range [...][]predicate.Mention{o.Mentions, o.Carries} {
		for _, m := range ms {
			if m.Raw < 0 && m.Field.OfTrigger() && !(r.Over != nil && m.Field >= schema.ProvenanceValue) {
				continue // the trigger itself has it; that of a rule over a provenance passes on the provenance of its item
			}
			at, found := slices.BinarySearchFunc(r.Carries, m, func(a, b predicate.Mention) int { return strings.Compare(a.Name, b.Name) })
			if !found {
				r.Carries = slices.Insert(r.Carries, at, m)
			}
		}
	}
}

// Tactics returns the tactics of the rule's tags, sorted: those that are tactics, and those of techniques.
func (r *Rule) Tactics() (tactics []string) {
	for _, tag := range r.Tags {
		tactics = append(tactics, tacticsOf(tag)...)
	}
	slices.Sort(tactics)
	return slices.Compact(tactics)
}
