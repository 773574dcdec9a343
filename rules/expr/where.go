package expr

import (
	"fmt"

	"github.com/aidr-engine/aidr/schema"
)

// Where is a compiled condition over a sequence's steps. It is immutable and for all shards.
type Where struct {
	*checked
	root  node
	needs []StepMention
}

// StepMention is one value that a Where reads: of which step, and what.
type StepMention struct {
	Step int
	Mention
}

// CompileWhere compiles a sequence's condition over its steps: a field of a step is written STEP.field. Of a step all
// fields and raw paths can be named, lists too; agent.* cannot, because the registry may have changed since.
func (v *Env) CompileWhere(text string, steps []string) (where *Where, issues []Issue) {
	var needs []StepMention
	c, issues := v.check(text, stepScope{env: v, steps: steps, needs: &needs})
	if issues != nil {
		return nil, issues
	}
	root, err := (&builder{env: v, checked: c}).condition(c.ast.Expr())
	if err != nil {
		return nil, []Issue{{1, 1, fmt.Sprintf("the condition cannot be planned: %v", err)}}
	}
	c.ast = nil // done with
	return &Where{checked: c, root: root, needs: needs}, nil
}

// Needs returns what has to be captured, in the order in which Eval takes it. It is not to be changed.
func (w *Where) Needs() []StepMention { return w.needs }

// Text returns the condition as it was written.
func (w *Where) Text() string { return w.text }

// Eval says whether the condition holds over the captured values, which have the order of Needs. A value of another
// kind than its field's counts as absent. An error counts as false; the caller counts it.
func (w *Where) Eval(captured []schema.Value) (bool, error) {
	s := Scratch{values: values{slots: w.slots, needs: captured}}
	v := w.root.eval(&s)
	if v == failed {
		return false, s.err
	}
	return v == yes, nil
}
