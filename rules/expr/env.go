package expr

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/ast"

	"github.com/aidr-engine/aidr/schema"
)

// Limits of an expression's text. They are wide for people and narrow for accidents.
const (
	maxExpressionRunes = 64 << 10 // a condition that lists a few thousand values belongs in a list
	maxNesting         = 64       // brackets and calls inside one another
)

// Env compiles expressions for one Set. It numbers the raw paths that they mention. It is not for concurrent use;
// what it compiles is immutable and shared by all workers.
type Env struct {
	cel   *cel.Env
	site  Site
	raws  [][]string
	rawAt map[string]int // pathKey -> place in raws

	shared map[string]*shared // by shareKey
	spent  context.Context    // is over: see program
}

// NewEnv returns an Env over the schema, the site's lists and its agents.
func NewEnv(site Site) (*Env, error) {
	env, err := newCEL()
	if err != nil {
		return nil, fmt.Errorf("build CEL environment: %w", err)
	}
	spent, end := context.WithCancel(context.Background())
	end()
	return &Env{spent: spent, cel: env, site: site, rawAt: map[string]int{}, shared: map[string]*shared{}}, nil
}

// RawPaths returns the raw paths mentioned so far; Event.Raws has this order. The paths are not to be changed.
func (v *Env) RawPaths() [][]string { return slices.Clip(v.raws) }

// raw returns the number of a raw path.
func (v *Env) raw(path []string) int {
	key := pathKey(path)
	n, ok := v.rawAt[key]
	if !ok {
		n = len(v.raws)
		v.rawAt[key] = n
		v.raws = append(v.raws, slices.Clone(path))
	}
	return n
}

// pathKey is one text for a path, different for different paths.
func pathKey(path []string) string {
	var b strings.Builder
	for _, k := range path {
		fmt.Fprintf(&b, "%d:%s", len(k), k)
	}
	return b.String()
}

// listNames returns the names of the site's lists, sorted.
func (v *Env) listNames() []string { return slices.Sorted(maps.Keys(v.site.Lists)) }

// checked is an expression whose names are resolved and whose types are right.
type checked struct {
	text      string
	ast       *ast.AST
	slots     []slot
	mentions  []StepMention // in order of first mention; Step is 0 for an event
	conjuncts []string
	cost      costRange
}

// check does everything that is common to the three kinds of condition.
func (v *Env) check(text string, names scope) (*checked, []Issue) {
	return v.checkResult(text, names, cel.BoolType)
}

// checkResult is check for an expression whose value is of a type: bool, or string.
func (v *Env) checkResult(text string, names scope, result *cel.Type) (*checked, []Issue) {
	isCondition := result.Kind() == cel.BoolKind
	if strings.TrimSpace(text) == "" {
		want := "expression is empty: write one that is a text"
		if isCondition {
			want = "condition is empty: write an expression that is true or false"
		}
		return nil, []Issue{{1, 1, "the " + want}}
	}
	parsed, iss := v.cel.Parse(text)
	if iss.Err() != nil {
		return nil, issuesOf(iss)
	}
	r := newResolver(v, names, parsed.NativeRep())
	r.visit(parsed.NativeRep().Expr())
	issues := r.issues
	typed, iss := v.cel.Check(parsed)
	if iss.Err() != nil {
		issues = append(issues, issuesOf(iss)...)
	} else {
		issues = append(issues, restoreEquality(typed.NativeRep())...)
	}
	if len(issues) > 0 {
		return nil, sortIssues(issues)
	}
	if t := typed.OutputType(); t.Kind() != result.Kind() && t.Kind() != cel.DynKind {
		if !isCondition {
			return nil, []Issue{{1, 1, fmt.Sprintf("what names an agent is a text, this is %s", typeName(t.String()))}}
		}
		return nil, []Issue{{1, 1, fmt.Sprintf("a condition is true or false, this is %s: compare it with something", typeName(t.String()))}}
	}
	c := &checked{text: text, ast: typed.NativeRep(), slots: r.slots, mentions: r.mentions}
	c.conjuncts = splitConjuncts(text)
	c.cost = v.estimate(typed, c.slots)
	if c.cost.max > MaxCost {
		return nil, []Issue{{1, 1, c.cost.tooMuch()}}
	}
	l := lenient{checked: c, env: v, vars: map[string]bool{}}
	l.root(isCondition)
	return c, nil
}

// Compile compiles a condition over an event. All issues are returned at once; cond is nil where there are any.
func (v *Env) Compile(text string) (cond *Cond, issues []Issue) {
	c, issues := v.check(text, eventScope{v})
	if issues != nil {
		return nil, issues
	}
	b := builder{env: v, checked: c}
	root, err := b.condition(c.ast.Expr())
	if err != nil {
		return nil, []Issue{{1, 1, fmt.Sprintf("the condition cannot be planned: %v", err)}}
	}
	cond = &Cond{checked: c, root: root}
	for _, m := range c.mentions {
		cond.mentions = append(cond.mentions, m.Mention)
		if m.Raw < 0 {
			cond.fields.Add(m.Field)
		}
	}
	cond.witnesses = witnessesOf(root)
	c.ast = nil // the tree is large, and done with
	return cond, nil
}

// Cond is a compiled condition. It is immutable.
type Cond struct {
	*checked
	root      node
	fields    schema.FieldSet
	mentions  []Mention
	witnesses []Witness
}

// Scratch is what one worker needs to evaluate; it is not shared.
type Scratch struct {
	values
	err error // of the last node that failed

	sharing bool    // between Begin and End
	epoch   uint64  // counts Begins
	known   []known // by shared.id
}

// NewScratch returns a worker's scratch.
func NewScratch() *Scratch { return &Scratch{} }

// Eval says whether the condition holds. An error counts as no match; the caller counts it. Where all of the condition
// is typed nodes (see Typed) it allocates nothing.
func (c *Cond) Eval(e *schema.Event, s *Scratch) (bool, error) {
	s.event, s.slots, s.err = e, c.slots, nil
	switch c.root.eval(s) {
	case yes:
		return true, nil
	case no:
		return false, nil
	}
	return false, s.err
}

// Text returns the condition as it was written.
func (c *Cond) Text() string { return c.text }

// Fields returns the fields that the condition reads.
func (c *Cond) Fields() schema.FieldSet { return c.fields }

// Mentions returns what it reads, in order of first mention: what evidence shows.
func (c *Cond) Mentions() []Mention { return c.mentions }

// Conjuncts returns the source text of each operand of the top-level &&: all are true where the condition holds.
func (c *Cond) Conjuncts() []string { return c.conjuncts }

// Cost returns the estimated cost, in cel-go's units.
func (c *Cond) Cost() (min, max uint64) { return c.cost.min, c.cost.max }

// Typed says that the condition is evaluated without CEL.
func (c *Cond) Typed() bool { return !c.root.usesCEL() }
