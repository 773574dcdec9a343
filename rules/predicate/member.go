package predicate

import (
	"slices"

	"github.com/aidr-engine/aidr/schema"
)

// In returns slot in [values].
func In(slot *Slot, values []schema.Value) Node {
	isText := func(v schema.Value) bool { return v.Kind == schema.KindString }
	if !slot.isTextField() || slices.ContainsFunc(values, func(v schema.Value) bool { return !isText(v) }) {
		return &slotIn{slot: slot, values: values}
	}
	var texts []string
	for _, v := range values {
		texts = append(texts, v.Text)
	}
	return newTextIn(schema.Field(slot.At), texts)
}

// textIn is field in ["a", "b"].
type textIn struct {
	plain
	field schema.Field
	texts []string
	set   map[string]struct{} // nil for at most maxScan texts
}

// maxScan is the number of texts up to which comparing them one by one is faster than a map.
const maxScan = 8

func newTextIn(f schema.Field, texts []string) *textIn {
	n := &textIn{field: f, texts: texts}
	if len(texts) > maxScan {
		n.set = make(map[string]struct{}, len(texts))
		for _, t := range texts {
			n.set[t] = struct{}{}
		}
	}
	return n
}

func (n *textIn) eval(s *Scratch) verdict {
	text := s.event.Text(n.field)
	if n.set != nil {
		_, ok := n.set[text]
		return verdictOf(ok)
	}
	return verdictOf(slices.Contains(n.texts, text))
}

// slotIn is slot in [constants].
type slotIn struct {
	plain
	slot   *Slot
	values []schema.Value
}

func (n *slotIn) eval(s *Scratch) verdict {
	v := s.read(n.slot)
	for _, c := range n.values {
		if equalValues(v, c) {
			return yes
		}
	}
	return no
}

// InList returns slot in lists.NAME.
func InList(slot *Slot, list List) Node { return &listIn{slot: slot, list: list} }

type listIn struct {
	plain
	slot *Slot
	list List
}

func (n *listIn) eval(s *Scratch) verdict {
	v := s.read(n.slot)
	return verdictOf(v.Kind == schema.KindString && n.list.Contains(v.Text))
}

// HasElement returns "text" in slot, for a slot that is a list of texts; nil for other slots.
func HasElement(slot *Slot, text string) Node {
	if slot.Type != schema.TypeList || slot.Presence {
		return nil
	}
	return &listHas{slot: slot, text: text}
}

type listHas struct {
	search
	slot *Slot
	text string
}

func (n *listHas) eval(s *Scratch) verdict {
	it := JSONItems{text: s.read(n.slot).Text, at: 1}
	for it.Next() {
		if jsonSpells(it.value, n.text) {
			return yes
		}
	}
	return no
}
