package expr

import (
	"fmt"
	"strconv"

	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/operators"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"

	"github.com/aidr-engine/aidr/schema"
	"github.com/aidr-engine/aidr/schema/content"
)

// Name is a compiled expression over an event whose value is a text: what names an agent. It is immutable.
type Name struct {
	*checked
	root   nameNode
	fields schema.FieldSet
}

// CompileName compiles an expression over an event that gives a text, such as
//
//	has(raw.metadata.bot) ? raw.metadata.bot : client.app.id
//
// Fields and raw paths are those of conditions; agent.* and lists.* are not there, because the name is what they are
// asked by. All issues are returned at once; name is nil where there are any.
func (v *Env) CompileName(text string) (name *Name, issues []Issue) {
	c, issues := v.checkResult(text, nameScope{eventScope{v}}, types.StringType)
	if issues != nil {
		return nil, issues
	}
	name = &Name{checked: c}
	for _, m := range c.mentions {
		if m.Raw < 0 {
			name.fields.Add(m.Field)
			continue
		}
		for _, key := range v.raws[m.Raw] {
			if content.CredentialName(key) {
				issues = append(issues, Issue{1, 1, fmt.Sprintf("%s holds a credential, and findings show what names an agent: use credential.uid, its hash", m.Name)})
			}
		}
	}
	if issues != nil {
		return nil, issues
	}
	b := builder{env: v, checked: c}
	root, err := b.name(c.ast.Expr())
	if err != nil {
		return nil, []Issue{{1, 1, fmt.Sprintf("the expression cannot be planned: %v", err)}}
	}
	name.root = root
	c.ast = nil // done with
	return name, nil
}

// Fields returns the fields that the expression reads.
func (n *Name) Fields() schema.FieldSet { return n.fields }

// Text returns the expression as it was written.
func (n *Name) Text() string { return n.text }

// Eval returns the text, "" where what it reads is not there. A whole number is its digits; any other value is an error.
// It allocates nothing where the expression only chooses among fields, raw texts and constants.
func (n *Name) Eval(e *schema.Event, s *Scratch) (string, error) {
	s.event, s.slots, s.err = e, n.slots, nil
	v, err := n.root.value(s)
	switch {
	case err != nil:
		return "", err
	case v.Kind == schema.KindString:
		return v.Text, nil
	case v.Kind == schema.KindInt:
		return strconv.FormatInt(v.Int(), 10), nil
	case v.Present():
		return "", errText
	}
	return "", nil
}

// nameScope is an event without the registry.
type nameScope struct{ eventScope }

func (nameScope) agents() (Registry, bool) { return nil, false }

// nameNode is a part of a Name, made ready.
type nameNode interface {
	value(s *Scratch) (schema.Value, error)
}

// name makes a node of an expression that gives a text. What it has no node for stays CEL.
func (b *builder) name(e ast.Expr) (nameNode, error) {
	if s := b.slot(e); s != nil {
		return nameSlot{s}, nil
	}
	if text, ok := literalText(e); ok {
		return nameText(text), nil
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
		return nameChoice{cond, then, other}, err
	}
	p, err := b.env.program(b.checked, e)
	return nameCEL{p}, err
}

type nameSlot struct{ slot *slot }

func (n nameSlot) value(s *Scratch) (schema.Value, error) { return s.read(n.slot), nil }

type nameText string

func (n nameText) value(*Scratch) (schema.Value, error) { return schema.StringValue(string(n)), nil }

type nameChoice struct {
	cond        node
	then, other nameNode
}

func (n nameChoice) value(s *Scratch) (schema.Value, error) {
	switch n.cond.eval(s) {
	case yes:
		return n.then.value(s)
	case no:
		return n.other.value(s)
	}
	return schema.Value{}, s.err
}

type nameCEL struct{ program program }

func (n nameCEL) value(s *Scratch) (schema.Value, error) {
	out, err := n.program.eval(&s.values)
	if err != nil {
		return schema.Value{}, err
	}
	return nameValue(out)
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
	return schema.Value{}, errText
}
