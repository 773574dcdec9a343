package rules

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/aidr-engine/aidr/rules/doc"
)

// Problem is one thing wrong with a rule file, a list or the registry. Line and Col count from 1, Col in characters.
type Problem struct {
	File      string
	Line, Col int
	Rule      string // the rule's id, "" where it is not known
	Key       string // dotted: threshold.count, sequence.steps[1].when; "" for the file as a whole
	Cause     string // what is wrong, and what to do
	Snippet   string // the line with a caret below, "" where there is none
	Warning   bool   // the rule loads all the same
}

// String renders `file:line:col: rule "id": key: cause`, without the snippet.
func (p Problem) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s:%d:%d: ", p.File, p.Line, p.Col)
	if p.Rule != "" {
		fmt.Fprintf(&b, "rule %q: ", p.Rule)
	}
	if p.Key != "" {
		b.WriteString(p.Key + ": ")
	}
	b.WriteString(p.Cause)
	return b.String()
}

// Failed says whether there is a problem that is no warning.
func Failed(problems []Problem) bool {
	return slices.ContainsFunc(problems, func(p Problem) bool { return !p.Warning })
}

// ofDoc takes over what the reader of a file found.
func ofDoc(ps []doc.Problem, rule string) []Problem {
	out := make([]Problem, len(ps))
	for i, p := range ps {
		out[i] = Problem{File: p.File, Line: p.Line, Col: p.Col, Rule: rule, Key: p.Key, Cause: p.Cause,
			Snippet: p.Snippet, Warning: p.Warning}
	}
	return out
}

// sortProblems orders by place, so that two runs print the same.
func sortProblems(ps []Problem) {
	slices.SortStableFunc(ps, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Col, b.Col),
			cmp.Compare(a.Key, b.Key), cmp.Compare(a.Cause, b.Cause))
	})
}
