// Package expr is CEL over an event, over a finding, and over the steps of a sequence. It is the only importer of
// cel-go: others get plain Go functions and facts from it.
package expr

import (
	"github.com/aidr-engine/aidr/schema"
)

// List is what `x in lists.NAME` asks.
type List interface {
	// Contains says whether the list holds the text, or matches it where the list is of CIDRs or globs.
	Contains(text string) bool
	// Literals returns the list's values where it is a list of plain strings, so that they can be indexed.
	Literals() (values []string, ok bool)
	Size() int
}

// Registry is what `agent.*` asks; the agent is ai_agent.uid.
type Registry interface {
	// Attribute returns agent.<name> of the agent; absent where the agent or the attribute is not known.
	Attribute(uid, name string) schema.Value
	// Allows answers agent.allows_tool(x) and the like; what is "tool", "route", "model" ...
	Allows(uid, what, x string) bool
}

// Site is what the site adds to the language. The zero Site has no lists and no agents.
type Site struct {
	Lists  map[string]List
	Agents Registry
}

// Issue is one thing wrong with an expression. Line and Col count from 1, in runes, within the expression's text.
type Issue struct {
	Line, Col int
	Text      string
}

// Mention is one value of the event that an expression reads: a field, or a raw path.
type Mention struct {
	Name  string // as the author wrote it: event.action, raw.requestParameters.bucketName
	Field schema.Field
	Raw   int // place in Env.RawPaths and Event.Raws; -1 where it is a field
}

// The rest of this file is the seam: bodies are the package's.

// Env compiles expressions for one Set. It numbers the raw paths that they mention. It is not for concurrent use;
// what it compiles is immutable and shared by all workers.
type Env struct{ seam }
type seam struct{}

// NewEnv returns an Env over the schema, the site's lists and its agents.
func NewEnv(site Site) (*Env, error) { panic("BUG: seam") }

// RawPaths returns the raw paths mentioned so far; Event.Raws has this order.
func (v *Env) RawPaths() [][]string { panic("BUG: seam") }

// Compile compiles a condition over an event. All issues are returned at once; cond is nil where there are any.
func (v *Env) Compile(text string) (cond *Cond, issues []Issue) { panic("BUG: seam") }

// CompileWhere compiles a sequence's condition over its steps: a field of a step is written STEP.field.
func (v *Env) CompileWhere(text string, steps []string) (where *Where, issues []Issue) {
	panic("BUG: seam")
}

// CompileFinding compiles a condition over a finding (the filter of a webhook), whose fields have their JSON names.
func (v *Env) CompileFinding(text string) (filter func(*schema.Finding) (bool, error), issues []Issue) {
	panic("BUG: seam")
}

// Scratch is what one worker needs to evaluate; it is not shared.
type Scratch struct{}

// NewScratch returns a worker's scratch.
func NewScratch() *Scratch { panic("BUG: seam") }

// Cond is a compiled condition.
type Cond struct{ seam }

// Eval says whether the condition holds. An error counts as no match; the caller counts it.
func (c *Cond) Eval(e *schema.Event, s *Scratch) (bool, error) { panic("BUG: seam") }

// Fields returns the fields that the condition reads.
func (c *Cond) Fields() schema.FieldSet { panic("BUG: seam") }

// Mentions returns what it reads, in order of first mention: what evidence shows.
func (c *Cond) Mentions() []Mention { panic("BUG: seam") }

// Conjuncts returns the source text of each operand of the top-level &&: all are true where the condition holds.
func (c *Cond) Conjuncts() []string { panic("BUG: seam") }

// Cost returns the estimated cost, in cel-go's units.
func (c *Cond) Cost() (min, max uint64) { panic("BUG: seam") }

// Witness is a necessary condition that an index can look up: where it does not hold, the condition does not.
// It is a disjunction: any of Values in Field. The zero Witness (no values) says that there is none; Why tells why.
type Witness struct {
	Field  schema.Field
	Values []string
	List   List // where the values are a whole list
	Why    string
}

// Witnesses returns the necessary conditions found, the most selective first.
func (c *Cond) Witnesses() []Witness { panic("BUG: seam") }

// Where is a compiled condition over a sequence's steps.
type Where struct{ seam }

// StepMention is one value that a Where reads: of which step, and what.
type StepMention struct {
	Step int
	Mention
}

// Needs returns what has to be captured, in the order in which Eval takes it.
func (w *Where) Needs() []StepMention { panic("BUG: seam") }

// Eval says whether the condition holds over the captured values, which have the order of Needs.
func (w *Where) Eval(values []schema.Value) (bool, error) { panic("BUG: seam") }
