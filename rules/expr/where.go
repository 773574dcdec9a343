package expr

import "github.com/aidr-engine/aidr/rules/predicate"

// CompileWhere compiles a sequence's condition over its steps; a field of a step is written STEP.field. A condition may name
// all fields and raw paths of a step, also lists, but not agent.*, because the registry may have changed since the step.
// All issues are returned at once; where is nil if there are any.
func (v *Env) CompileWhere(text string, steps []string) (where *predicate.Where, issues []Issue) {
	return v.compileWhere(text, steps, eventScope{env: v})
}

// CompileTriggerWhere is CompileWhere for a sequence whose steps are triggers.
func (v *Env) CompileTriggerWhere(text string, steps []string) (where *predicate.Where, issues []Issue) {
	return v.compileWhere(text, steps, eventScope{env: v, triggers: true})
}

func (v *Env) compileWhere(text string, steps []string, names eventScope) (where *predicate.Where, issues []Issue) {
	var needs []predicate.StepMention
	var uses []int
	c, issues := v.check(text, stepScope{eventScope: names, steps: steps, needs: &needs, uses: &uses})
	if issues != nil {
		return nil, issues
	}
	root, issues := v.nodes(c)
	if issues != nil {
		return nil, issues
	}
	return predicate.NewWhere(root, c.slots, text, needs, uses), nil
}
