package expr

import (
	"fmt"

	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/operators"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"

	"github.com/aidr-engine/aidr/rules/predicate"
	"github.com/aidr-engine/aidr/schema"
	"github.com/aidr-engine/aidr/schema/content"
)

// CompileName compiles an expression over an event whose value is a text, the identifier of an agent, such as
//
//	has(raw.metadata.bot) ? raw.metadata.bot : client.app.id
//
// Its names are those of conditions without agent.* and lists.*, because the agent is found by the result. All issues are
// returned at once; name is nil if there are any.
func (v *Env) CompileName(text string) (name *predicate.Name, issues []Issue) {
	name, issues = v.compileText(text, nameScope{eventScope{env: v}})
	if issues != nil {
		return nil, issues
	}
	for _, m := range name.Mentions() {
		if m.Raw < 0 {
			continue
		}
		for _, key := range v.raws[m.Raw] {
			if content.CredentialName(key) {
				issues = append(issues, Issue{1, 1, m.Name +
					" holds a credential, and findings show the identifier of an agent: use credential.uid, its hash"})
			}
		}
	}
	if issues != nil {
		return nil, issues
	}
	return name, nil
}

// CompileText compiles an expression over an event whose value is a text: a computed part of a key, or the text in which a
// rule looks for values. Its names are those of conditions. All issues are returned at once; name is nil if there are any.
func (v *Env) CompileText(text string) (name *predicate.Name, issues []Issue) {
	return v.compileText(text, eventScope{env: v})
}

// CompileTriggerText is CompileText over a trigger.
func (v *Env) CompileTriggerText(text string) (name *predicate.Name, issues []Issue) {
	return v.compileText(text, eventScope{env: v, triggers: true})
}

// CompileRaw compiles an expression that is one raw path, such as raw.requestParameters.bucketName or raw["@timestamp"].
func (v *Env) CompileRaw(text string) (m predicate.Mention, issues []Issue) {
	c, issues := v.checkResult(text, eventScope{env: v}, types.DynType)
	if issues != nil {
		return predicate.Mention{}, issues
	}
	b := builder{env: v, checked: c}
	if s := b.slot(c.ast.Expr()); s == nil || s.Source != predicate.FromRaw || len(s.Path) > 0 || s.Derive != "" || s.Presence {
		return predicate.Mention{}, []Issue{{1, 1, "is not one path of the original record: write raw.a.b, or {as: NAME, is: EXPRESSION}"}}
	}
	return c.mentions[0].Mention, nil
}

func (v *Env) compileText(text string, names scope) (name *predicate.Name, issues []Issue) {
	c, issues := v.checkResult(text, names, types.StringType)
	if issues != nil {
		return nil, issues
	}
	var mentions []predicate.Mention
	for _, m := range c.mentions {
		mentions = append(mentions, m.Mention)
	}
	b := builder{env: v, checked: c, ors: map[ast.Expr]disjunction{}}
	root, err := b.name(c.ast.Expr())
	if err != nil {
		return nil, []Issue{{1, 1, fmt.Sprintf("the expression cannot be planned: %v", err)}}
	}
	return predicate.NewName(root, c.slots, text, mentions, c.cost.min, c.cost.max), nil
}

// nameScope is an event without the registry.
type nameScope struct{ eventScope }

func (nameScope) agents() (predicate.Registry, bool) { return nil, false }

func (nameScope) capabilities() (predicate.Capabilities, bool) { return nil, false }

// name returns the part of a Name for an expression. An expression that is not a slot, a text or a choice stays CEL.
func (b *builder) name(e ast.Expr) (predicate.NamePart, error) {
	if s := b.slot(e); s != nil {
		return predicate.NameSlot(s), nil
	}
	if text, ok := literalText(e); ok {
		return predicate.NameText(text), nil
	}
	if isCall(e, operators.Conditional) {
		args := e.AsCall().Args()
		cond, err := b.condition(args[0])
		if err != nil {
			return nil, err
		}
		then, err := b.name(args[1])
		if err != nil {
			return nil, err
		}
		other, err := b.name(args[2])
		return predicate.NameChoice(cond, then, other), err
	}
	p, err := b.env.program(b.checked, e)
	if err != nil {
		return nil, err
	}
	return predicate.NameComputed(func(s *predicate.Scratch) (schema.Value, error) {
		out, err := p.eval(s)
		if err != nil {
			return schema.Value{}, err
		}
		return nameValue(out)
	}), nil
}

func nameValue(out ref.Val) (schema.Value, error) {
	switch v := out.(type) {
	case types.String:
		return schema.StringValue(string(v)), nil
	case types.Int:
		return schema.IntValue(int64(v)), nil
	case missing, types.Null:
		return schema.Value{}, nil
	}
	return schema.Value{}, predicate.ErrNotText
}
