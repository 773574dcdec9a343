package predicate

import (
	"strconv"

	"github.com/aidr-engine/aidr/schema"
)

// Name is a compiled expression over an event whose value is a text: the identifier of an agent, or a computed part of a
// key. It is immutable.
type Name struct {
	root     NamePart
	slots    []Slot
	text     string
	mentions []Mention
	min, max uint64 // estimated cost
}

// NewName returns the expression with the given root, which reads the given values, and whose estimated cost is from min to
// max. It keeps its arguments, which must not be changed.
func NewName(root NamePart, slots []Slot, text string, mentions []Mention, min, max uint64) *Name {
	return &Name{root, slots, text, mentions, min, max}
}

// Cost returns the estimated cost, in cel-go's units.
func (n *Name) Cost() (min, max uint64) { return n.min, n.max }

// Mentions returns the fields and raw paths that the expression reads. It must not be changed.
func (n *Name) Mentions() []Mention { return n.mentions }

// Fields returns the fields that the expression reads.
func (n *Name) Fields() (fields schema.FieldSet) {
	for _, m := range n.mentions {
		if m.Raw < 0 {
			fields.Add(m.Field)
		}
	}
	return fields
}

// Text returns the source text.
func (n *Name) Text() string { return n.text }

// Eval returns the text, or "" if the value is absent. An integer is its digits; any other value is an error. Eval does not
// allocate if the expression only chooses among fields, raw texts and constants.
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
		return "", ErrNotText
	}
	return "", nil
}

// NamePart is a part of a Name that has a value. Only this package implements it.
type NamePart interface {
	value(s *Scratch) (schema.Value, error)
}

// NameSlot returns a part whose value is that of a slot.
func NameSlot(slot *Slot) NamePart { return nameSlot{slot} }

type nameSlot struct{ slot *Slot }

func (n nameSlot) value(s *Scratch) (schema.Value, error) { return s.read(n.slot), nil }

// NameText returns a part whose value is a constant.
func NameText(text string) NamePart { return nameText(text) }

type nameText string

func (n nameText) value(*Scratch) (schema.Value, error) { return schema.StringValue(string(n)), nil }

// NameChoice returns cond ? then : other.
func NameChoice(cond Node, then, other NamePart) NamePart { return nameChoice{cond, then, other} }

type nameChoice struct {
	cond        Node
	then, other NamePart
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

// NameComputed returns a part whose value is the result of run.
func NameComputed(run func(*Scratch) (schema.Value, error)) NamePart { return nameComputed(run) }

type nameComputed func(*Scratch) (schema.Value, error)

func (n nameComputed) value(s *Scratch) (schema.Value, error) { return n(s) }
