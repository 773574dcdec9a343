package expr

import (
	"slices"

	"github.com/aidr-engine/aidr/rules/predicate"
	"github.com/aidr-engine/aidr/schema"
)

// findingScope resolves the JSON names of a finding.
type findingScope struct{ names []predicate.FindingName }

func (findingScope) agents() (predicate.Registry, bool) { return nil, false }

func (sc findingScope) roots() []string {
	out := []string{"lists"}
	for _, n := range sc.names {
		out = append(out, n.Name)
	}
	return out
}

func (sc findingScope) resolve(names []string) resolved {
	at := slices.IndexFunc(sc.names, func(n predicate.FindingName) bool { return n.Name == names[0] })
	if at < 0 {
		return resolved{problem: unknownName("value of a finding", names[0], sc.roots()[1:])}
	}
	return resolved{slot: predicate.Slot{Source: predicate.FromFinding, At: at, Type: sc.names[at].Type}, used: 1}
}

// CompileFinding compiles a condition over a finding, the filter of a webhook. Its variables are the finding's JSON names:
// severity == "high" && "owasp.asi08-2026" in tags && key["session.id"] != "x". An absent value is the zero value of its
// type; in key, baseline, evidence and response it is missing. Several goroutines may call the filter at once. All issues
// are returned at once; filter is nil if there are any.
func (v *Env) CompileFinding(text string) (filter func(*schema.Finding) (bool, error), issues []Issue) {
	c, issues := v.check(text, findingScope{predicate.FindingNames()})
	if issues != nil {
		return nil, issues
	}
	root, issues := v.nodes(c)
	if issues != nil {
		return nil, issues
	}
	return predicate.NewFilter(root, c.slots), nil
}
