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
	steps    []overPattern // the `rule` of each step of a sequence
}

// overPattern is one entry of `over`, or the `rule` of a step: the id of a rule, a glob of ids, or a tag.
type overPattern struct {
	text  string
	place Problem // the position of the pattern, as a problem without a cause
}

// pattern reads a pattern.
func (r *reader) pattern(n *doc.Node) overPattern {
	p := overPattern{text: n.Filled()}
	if n != nil {
		p.place = Problem{File: r.rule.File, Line: n.Line, Col: n.Col, Rule: r.rule.ID, Key: n.Key, Snippet: r.doc.Snippet(n.Line, n.Col)}
	}
	return p
}

// builtinPrefix is the beginning of the ids of built-in rules, which feed no rule.
const builtinPrefix = "aidr."

// isGlob reports whether the pattern is a glob.
func (p overPattern) isGlob() bool { return strings.ContainsAny(p.text, "*?") }

// isTag reports whether the pattern has the form of a tag.
func (p overPattern) isTag() bool {
	return strings.HasPrefix(p.text, "x.") || slices.ContainsFunc(namespaces, func(ns string) bool { return strings.HasPrefix(p.text, ns) })
}

// names reports whether the pattern names the rule. A glob or a tag names no rule that itself has over, and no pattern
// names a built-in rule.
func (p overPattern) names(f *Rule) bool {
	switch {
	case strings.HasPrefix(f.ID, builtinPrefix):
		return false
	case f.ID == p.text:
		return true
	case f.Over != nil:
		return false
	}
	return p.isGlob() && content.Glob(p.text, f.ID) || p.isTag() && slices.Contains(f.Tags, p.text)
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
		p := r.pattern(v)
		if slices.ContainsFunc(r.rule.Over.patterns, func(o overPattern) bool { return o.text == p.text }) {
			v.Fail("%q is listed twice: remove one", doc.Short(p.text))
			continue
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
	p := r.pattern(f.Need("rule"))
	if p.text == "" {
		return ""
	}
	r.rule.Over.steps = append(r.rule.Over.steps, p)
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

// aboutAIDR reports whether the rule reads events of the process itself, such as its audit.
func (r *Rule) aboutAIDR() bool { return slices.ContainsFunc(r.Datasets, schema.IsInternal) }

// linker finds the rules that feed others.
type linker struct {
	rules    []*Rule // sorted by id
	problems []Problem
}

// link returns the rules, which are sorted by id, with copies of those that have over or feed others: Over.Feeding, Level,
// IsFeeding and Carries of the copies are set. For each problem of a pattern the rule that feeds is missing.
func link(all []*Rule) (linked []*Rule, problems []Problem) {
	l := &linker{rules: slices.Clone(all)}
	var over []*Rule
	for i, r := range l.rules {
		if r.Over != nil {
			own, of := *r, *r.Over
			own.Over = &of
			l.rules[i] = &own
			over = append(over, &own)
		}
	}
	l.copyFeeding(over)
	for _, r := range over {
		l.feed(r)
	}
	return l.rules, l.levels(over)
}

// copyFeeding replaces the rules that others name by copies, because the rules themselves may be part of an earlier Set.
func (l *linker) copyFeeding(over []*Rule) {
	for i, f := range l.rules {
		if f.Over == nil && slices.ContainsFunc(over, func(o *Rule) bool { return slices.ContainsFunc(o.Over.patterns, f.isNamed) }) {
			own := *f
			l.rules[i] = &own
		}
	}
}

func (r *Rule) isNamed(p overPattern) bool { return p.names(r) }

// levels sets the levels of the rules with over, and passes on the values that they read. It returns the problems.
func (l *linker) levels(over []*Rule) []Problem {
	for _, r := range over {
		if path := cycle(r, []*Rule{r}, map[*Rule]bool{}); path != nil {
			l.fail(r.Over.patterns[0], "the rules feed each other in a circle: "+strings.Join(path, " -> ")+": remove one of the names")
			return l.problems
		}
	}
	for _, r := range over {
		level(r)
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

// fail records an error about a pattern.
func (l *linker) fail(p overPattern, cause string) {
	problem := p.place
	problem.Cause = cause
	l.problems = append(l.problems, problem)
}

// warn records a warning about a pattern.
func (l *linker) warn(p overPattern, cause string) {
	l.fail(p, cause)
	l.problems[len(l.problems)-1].Warning = true
}

// feed sets the rules that feed r.
func (l *linker) feed(r *Rule) {
	feeding := map[*Rule]bool{}
	for _, p := range r.Over.patterns {
		found := l.named(p)
		for _, f := range found {
			if !f.aboutAIDR() {
				feeding[f] = true
			} else if !p.isGlob() && !p.isTag() {
				l.fail(p, fmt.Sprintf("%q reads events of AIDR itself, and feeds no rule: remove it", doc.Short(p.text)))
			}
		}
		switch {
		case len(found) > 0 || p.text == "":
		case p.isGlob() || p.isTag():
			missing := "an id like"
			if p.isTag() {
				missing = "the tag"
			}
			l.warn(p, fmt.Sprintf("no rule has %s %q: load the rules that it means, or remove it", missing, doc.Short(p.text)))
		default:
			l.fail(p, l.unknown(p.text, r.ID))
		}
	}
	for _, f := range l.rules {
		if feeding[f] {
			r.Over.Feeding = append(r.Over.Feeding, f)
		}
	}
	for _, p := range r.Over.steps {
		if len(r.Over.Feeding) > 0 && !slices.ContainsFunc(r.Over.Feeding, p.names) {
			l.warn(p, fmt.Sprintf("%q names no rule of over, so the step never matches: add it to over, or name one that over names", doc.Short(p.text)))
		}
	}
}

// named returns the rules that a pattern names.
func (l *linker) named(p overPattern) (found []*Rule) {
	for _, f := range l.rules {
		if p.names(f) {
			found = append(found, f)
		}
	}
	return found
}

// unknown returns the message about an id in the rule `in` that names no rule.
func (l *linker) unknown(id, in string) string {
	if strings.HasPrefix(id, builtinPrefix) {
		return fmt.Sprintf("%q is the id of a built-in rule, which feeds no rule: remove it", doc.Short(id))
	}
	var ids []string
	for _, r := range l.rules {
		if r.ID != in && !strings.HasPrefix(r.ID, builtinPrefix) {
			ids = append(ids, r.ID)
		}
	}
	if near := doc.Nearest(id, ids); near != "" {
		return fmt.Sprintf("no rule has the id %q: did you mean %s?", doc.Short(id), near)
	}
	return fmt.Sprintf("no rule has the id %q: load the rule too, or remove the name", doc.Short(id))
}

// cycle returns the ids of a circle that begins with path, of which r is the last; nil if there is no circle. seen holds
// the rules from which the search has gone on before: nothing leads from them back to the beginning.
func cycle(r *Rule, path []*Rule, seen map[*Rule]bool) (ids []string) {
	for _, f := range r.Over.Feeding {
		if f == path[0] {
			for _, p := range append(path, f) {
				ids = append(ids, p.ID)
			}
			return ids
		}
		if f.Over == nil || seen[f] {
			continue
		}
		seen[f] = true
		if ids = cycle(f, append(path, f), seen); ids != nil {
			return ids
		}
	}
	return nil
}

// level returns Rule.Level, and sets it in the rules that feed r.
func level(r *Rule) int {
	if r.Over == nil || r.Level > 0 {
		return r.Level
	}
	n := 0
	for _, f := range r.Over.Feeding {
		n = max(n, level(f))
	}
	r.Level = n + 1
	return r.Level
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

// maxUnfed is the number of rules that the reason of an idle rule names: more are harder to read than the file.
const maxUnfed = 3

// unfed makes a rule over others idle if none of the rules that feed it can trigger, or none of those that a step of
// its sequence names. works holds the rules that can trigger.
func (a *RuleActivity) unfed(works map[string]bool) {
	r := a.Rule
	fed := slices.DeleteFunc(slices.Clone(r.Over.Feeding), func(f *Rule) bool { return !f.Feeds(r) || !works[f.ID] })
	needed, reason := r.Over.Feeding, "no active rule feeds the rule"
	at := slices.IndexFunc(r.Over.steps, func(p overPattern) bool { return !slices.ContainsFunc(fed, p.names) })
	if len(fed) > 0 {
		if at < 0 {
			return
		}
		p := r.Over.steps[at]
		needed = slices.DeleteFunc(slices.Clone(needed), func(f *Rule) bool { return !p.names(f) })
		reason = "no active rule feeds the step " + r.Sequence.Steps[at].ID
	}
	a.Activity, a.Reason = Idle, reason
	a.Remedy = "load the rules that over names"
	if len(needed) == 0 {
		return
	}
	var names []string
	stage := true // it is their stages that keep all of them from feeding the rule
	for _, f := range needed {
		names = append(names, f.ID)
		stage = stage && !f.Feeds(r)
	}
	if more := len(names) - maxUnfed; more > 0 {
		names = append(names[:maxUnfed], fmt.Sprintf("%d more", more))
	}
	a.Remedy = "make one of the rules that over names active: " + alternatives(names)
	if stage {
		a.Remedy = "set the status of a rule that over names to stable or block: " + alternatives(names)
	}
}
