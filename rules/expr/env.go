package expr

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/ast"

	"github.com/aidr-engine/aidr/rules/predicate"
)

// Limits of an expression's text. They are wide for authors and stop accidents.
const (
	maxExpressionRunes = 64 << 10 // a condition with a few thousand values should use a list
	maxNesting         = 64       // of brackets and calls
)

// Env compiles the expressions of one Set. It numbers the raw paths that they read. It is not for concurrent use, except
// for Prepare; the results of compiling are immutable, and all workers share them.
type Env struct {
	cel   *cel.Env
	site  Site
	raws  [][]string
	rawAt map[string]int // pathKey -> index in raws

	shared    predicate.SharedTests
	operands  map[string]*operand // of &&, by text; see conjunction
	prepared  prepared
	cancelled context.Context // see program
}

// NewEnv returns an Env over the schema, the site's lists and its agents.
func NewEnv(site Site) (*Env, error) {
	env, err := newCEL()
	if err != nil {
		return nil, fmt.Errorf("build CEL environment: %w", err)
	}
	cancelled, cancel := context.WithCancel(context.Background())
	cancel()
	return &Env{cancelled: cancelled, cel: env, site: site, rawAt: map[string]int{}, operands: map[string]*operand{}}, nil
}

// RawPaths returns the raw paths mentioned so far, in the order of Event.Raws. The paths must not be changed.
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

// pathKey returns a text that is different for different paths.
func pathKey(path []string) string { return fmt.Sprintf("%q", path) }

// listNames returns the names of the site's lists, sorted.
func (v *Env) listNames() []string { return slices.Sorted(maps.Keys(v.site.Lists)) }

// checked is an expression whose names are resolved and whose types are right.
type checked struct {
	ast      *ast.AST
	slots    []predicate.Slot
	mentions []predicate.StepMention // in order of first mention; Step is 0 for an event
	text     string
	reasons  []predicate.Reason // set by Env.nodes
	outlook  outlook
	empty    []string // the empty lists because of which the condition never holds
	cost     costRange
}

// check resolves and checks a condition, and makes it lenient.
func (v *Env) check(text string, names scope) (*checked, []Issue) {
	return v.checkResult(text, names, cel.BoolType)
}

// checkResult is check for an expression with a value of type result, which is bool or string.
func (v *Env) checkResult(text string, names scope, result *cel.Type) (*checked, []Issue) {
	isCondition := result.Kind() == cel.BoolKind
	if strings.TrimSpace(text) == "" {
		if isCondition {
			return nil, []Issue{{1, 1, "the condition is empty: write an expression that is true or false"}}
		}
		return nil, []Issue{{1, 1, "the expression is empty: write one that is a text"}}
	}
	parsed, issues := v.parse(text)
	if issues != nil {
		return nil, issues
	}
	r := newResolver(v, names, parsed.NativeRep())
	r.visit(parsed.NativeRep().Expr())
	issues = r.issues
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
		name := typeName(t.String())
		if isCondition {
			return nil, []Issue{{1, 1, fmt.Sprintf("a condition is true or false, this is %s: compare it with something", name)}}
		}
		return nil, []Issue{{1, 1, fmt.Sprintf("the expression must give a text, this is %s", name)}}
	}
	c := &checked{ast: typed.NativeRep(), slots: r.slots, mentions: r.mentions, text: text}
	c.outlook = v.outlook(c.ast.Expr())
	c.empty = c.outlook.emptyLists()
	c.cost = v.estimate(typed, c.slots)
	if c.cost.max > MaxCost {
		return nil, []Issue{{1, 1, c.cost.tooHigh()}}
	}
	l := lenient{checked: c, env: v, vars: map[string]bool{}}
	l.root(isCondition)
	return c, nil
}

// Compile compiles a condition over an event. All issues are returned at once; cond is nil if there are any.
func (v *Env) Compile(text string) (cond *predicate.Cond, issues []Issue) {
	if cond := v.conjunction(text); cond != nil {
		return cond, nil
	}
	return v.compileWhole(text)
}

// compileWhole is Compile without the parts of other conditions.
func (v *Env) compileWhole(text string) (cond *predicate.Cond, issues []Issue) {
	return v.compile(text, eventScope{env: v})
}

// CompileTrigger compiles a condition over a trigger: over the fields of the event that triggered, and those of the rule.
func (v *Env) CompileTrigger(text string) (cond *predicate.Cond, issues []Issue) {
	return v.compile(text, eventScope{env: v, triggers: true})
}

func (v *Env) compile(text string, names scope) (cond *predicate.Cond, issues []Issue) {
	c, issues := v.check(text, names)
	if issues != nil {
		return nil, issues
	}
	root, issues := v.nodes(c)
	if issues != nil {
		return nil, issues
	}
	return c.cond(text, root), nil
}

// cond returns the condition with the given root.
func (c *checked) cond(text string, root predicate.Node) *predicate.Cond {
	facts := predicate.Facts{
		Text: text, Reasons: c.reasons, MinCost: c.cost.min, MaxCost: c.cost.max, EmptyLists: c.empty,
	}
	for _, m := range c.mentions {
		facts.Mentions = append(facts.Mentions, m.Mention)
	}
	return predicate.NewCond(root, c.slots, facts)
}
