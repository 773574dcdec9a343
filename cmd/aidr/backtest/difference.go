package backtest

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/aidr-engine/aidr/rules"
	"github.com/aidr-engine/aidr/schema"
)

// MaxChanges is the number of findings that a Difference lists; it counts all of them.
const MaxChanges = 10_000

// Difference is how the findings of two sets of rules differ.
type Difference struct {
	Same      int64            `json:"same"`       // findings that are equal on both sides
	OnlyLeft  int64            `json:"only_left"`  // findings of Options.Set alone
	OnlyRight int64            `json:"only_right"` // findings of Options.Against alone
	Changed   int64            `json:"changed"`    // findings of both sides that are not equal
	Rules     []RuleDifference `json:"rules"`      // rules that differ, or whose findings do
	Findings  []Change         `json:"findings"`   // by start, rule and key; at most MaxChanges
	Omitted   int64            `json:"omitted"`    // number of findings beyond that
}

// RuleDifference is how a rule and its findings differ.
type RuleDifference struct {
	ID        string   `json:"id"`
	Same      int64    `json:"same"`
	OnlyLeft  int64    `json:"only_left"`
	OnlyRight int64    `json:"only_right"`
	Changed   int64    `json:"changed"`
	Why       []string `json:"why"` // how the rule differs
}

// The kinds of a Change.
const (
	OnlyLeft  = "only left"
	OnlyRight = "only right"
	Changed   = "changed"
)

// Change is a finding that differs.
type Change struct {
	Change   string          `json:"change"`
	Rule     string          `json:"rule"`
	Severity schema.Severity `json:"severity"`
	Tenant   string          `json:"tenant,omitempty"`
	Agent    string          `json:"agent,omitempty"`
	Key      string          `json:"key"` // as JSON
	Start    schema.Instant  `json:"group_start"`
	Count    int64           `json:"count"`
	Value    string          `json:"value,omitempty"`
	Summary  string          `json:"summary"`
	Why      []string        `json:"why"` // of a finding on both sides, its values that differ; otherwise how its rule differs
}

// place is what identifies a finding over two sets of rules.
type place struct {
	rule, tenant, key string
	start             schema.Instant
	late              bool
	first             schema.Instant // of a late finding, of which a group can have several
}

func (f *found) place() place {
	p := place{rule: f.rule, tenant: f.tenant, key: f.key, start: f.start, late: f.late}
	if f.late {
		p.first = f.first
	}
	return p
}

// pair is a finding of both sides, or of one.
type pair struct{ left, right *found }

// difference compares the findings of the two sides.
func (r *run) difference() *Difference {
	left, right := r.sides[0], r.sides[1]
	why := newReasons(left.set, right.set, r.opts.Text)
	out := &Difference{Findings: []Change{}}
	byRule := map[string]*RuleDifference{}
	of := func(id string) *RuleDifference {
		d := byRule[id]
		if d == nil {
			d = &RuleDifference{ID: id, Why: why.rule(id)}
			byRule[id] = d
		}
		return d
	}
	for _, p := range match(left, right) {
		d := of(p.any().rule)
		c, differs := why.change(p, d.Why)
		switch {
		case !differs:
			d.Same++
			continue
		case p.right == nil:
			d.OnlyLeft++
		case p.left == nil:
			d.OnlyRight++
		default:
			d.Changed++
		}
		if len(out.Findings) < MaxChanges {
			out.Findings = append(out.Findings, c)
		} else {
			out.Omitted++
		}
	}
	for _, s := range r.sides {
		for _, rule := range s.set.All {
			of(rule.ID)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(byRule)) {
		d := byRule[id]
		out.Same += d.Same
		out.OnlyLeft += d.OnlyLeft
		out.OnlyRight += d.OnlyRight
		out.Changed += d.Changed
		if len(d.Why) > 0 || d.OnlyLeft+d.OnlyRight+d.Changed > 0 {
			out.Rules = append(out.Rules, *d)
		}
	}
	return out
}

// any returns the finding of the left side, or else that of the right one.
func (p pair) any() *found {
	if p.left != nil {
		return p.left
	}
	return p.right
}

// match pairs the findings of two sides: those at the same place, and then those of the same rule and key whose groups
// overlap, because with another rule a group may begin with another event. The result is sorted.
func match(left, right *side) []pair {
	at := map[place]*pair{}
	for _, f := range left.found {
		at[f.place()] = &pair{left: f}
	}
	for _, f := range right.found {
		if p := at[f.place()]; p != nil {
			p.right = f
		} else {
			at[f.place()] = &pair{right: f}
		}
	}
	pairs := make([]pair, 0, len(at))
	for _, p := range at {
		pairs = append(pairs, *p)
	}
	slices.SortFunc(pairs, func(a, b pair) int { return compareFound(a.any(), b.any()) })
	pairs = joinMoved(pairs, groupsOf(left.set, right.set))
	slices.SortFunc(pairs, func(a, b pair) int {
		x, y := a.any(), b.any()
		return cmp.Or(cmp.Compare(x.start, y.start), compareFound(x, y))
	})
	return pairs
}

// compareFound orders findings by rule, tenant, key and start.
func compareFound(a, b *found) int {
	lateness := func(f *found) int {
		if f.late {
			return 1
		}
		return 0
	}
	return cmp.Or(
		cmp.Compare(a.rule, b.rule), cmp.Compare(a.tenant, b.tenant), cmp.Compare(a.key, b.key), cmp.Compare(a.start, b.start),
		cmp.Compare(lateness(a), lateness(b)), cmp.Compare(a.first, b.first),
	)
}

// groupsOf returns the length of the groups of each rule, the longer one of the two sides.
func groupsOf(sets ...*rules.Set) map[string]time.Duration {
	out := map[string]time.Duration{}
	for _, s := range sets {
		for _, r := range s.Rules {
			out[r.ID] = max(out[r.ID], r.GroupFor)
		}
	}
	return out
}

// joinMoved joins each finding of one side alone with the next one in the order, if that is of the other side, of the same
// rule and key, and its group began before the first one was over.
func joinMoved(pairs []pair, groups map[string]time.Duration) []pair {
	out := pairs[:0]
	for _, p := range pairs {
		if n := len(out); n > 0 && moved(out[n-1], p, groups) {
			last := &out[n-1]
			if last.left == nil {
				last.left = p.left
			} else {
				last.right = p.right
			}
			continue
		}
		out = append(out, p)
	}
	return out
}

func moved(a, b pair, groups map[string]time.Duration) bool {
	oneEach := a.left == nil && a.right != nil && b.left != nil && b.right == nil ||
		a.left != nil && a.right == nil && b.left == nil && b.right != nil
	if !oneEach {
		return false
	}
	x, y := a.any(), b.any()
	return x.rule == y.rule && x.tenant == y.tenant && x.key == y.key && !x.late && !y.late && !y.start.Reached(x.start, groups[x.rule])
}

// change describes a pair that differs. differs is false if both findings are equal.
func (w *reasons) change(p pair, rule []string) (c Change, differs bool) {
	f := p.any()
	c = Change{
		Rule: f.rule, Severity: f.severity, Tenant: f.tenant, Agent: f.agent, Key: f.key, Start: f.start, Count: f.count, Value: f.value,
		Summary: f.summary, Why: rule,
	}
	switch {
	case p.right == nil:
		c.Change = OnlyLeft
	case p.left == nil:
		c.Change = OnlyRight
	default:
		c.Change, c.Why = Changed, changes(p.left, p.right)
		return c, len(c.Why) > 0
	}
	if len(c.Why) == 0 {
		c.Why = []string{"the rule is the same: rules that feed it, lists, parameters, the registry or capabilities differ"}
	}
	return c, true
}

// changes lists the values in which two findings differ. Whether a finding is open is no difference: that depends on time.
func changes(l, r *found) (out []string) {
	note := func(name string, a, b any) {
		if a != b {
			out = append(out, fmt.Sprintf("%s: %v -> %v", name, a, b))
		}
	}
	note("version", l.version, r.version)
	note("severity", l.severity, r.severity)
	note("shadow", l.shadow, r.shadow)
	note("group_start", l.start, r.start)
	note("count", l.count, r.count)
	note("value", l.value, r.value)
	note("first_seen", l.first, r.first)
	note("last_seen", l.last, r.last)
	note("agent", l.agent, r.agent)
	note("summary", strings.TrimSpace(l.summary), strings.TrimSpace(r.summary))
	return out
}
