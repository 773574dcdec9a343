package rules

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/aidr-engine/aidr/rules/doc"
)

// Problem is one error or warning about a rule file, a list or the registry. Line and Col count from 1, Col in characters.
type Problem struct {
	File      string
	Line, Col int
	Rule      string // the rule's id, or "" if it is not known
	Key       string // dotted path, such as threshold.count or sequence.steps[1].when; "" for the whole file
	Cause     string // the cause, and what to do about it
	Snippet   string // the line with a caret below it, or "" if the file has fewer lines
	Warning   bool   // the rule loads in spite of the problem
}

// String returns the problem as `file:line:col: rule "id": key: cause`, without the snippet.
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

// Failed reports whether any of the problems is not a warning.
func Failed(problems []Problem) bool {
	return slices.ContainsFunc(problems, func(p Problem) bool { return !p.Warning })
}

// ofDoc converts the problems of a file, and adds the id of its rule.
func ofDoc(ps []doc.Problem, rule string) []Problem {
	out := make([]Problem, len(ps))
	for i, p := range ps {
		out[i] = Problem{File: p.File, Line: p.Line, Col: p.Col, Rule: rule, Key: p.Key, Cause: p.Cause,
			Snippet: p.Snippet, Warning: p.Warning}
	}
	return out
}

// sortProblems sorts by file and position, so that every run prints the same order.
func sortProblems(ps []Problem) {
	compare := func(a, b Problem) int {
		return cmp.Or(strings.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Col, b.Col),
			strings.Compare(a.Key, b.Key), strings.Compare(a.Cause, b.Cause))
	}
	if !slices.IsSortedFunc(ps, compare) { // files are read in their order, and there may be a warning for each
		slices.SortStableFunc(ps, compare)
	}
}
