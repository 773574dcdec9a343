package predicate

import (
	"cmp"

	"github.com/aidr-engine/aidr/schema"
	"github.com/aidr-engine/aidr/schema/content"
)

// secretsIn returns the kinds of credentials in a text, or in JSON as in the record: its keys are evidence, too. Other
// values contain none.
func secretsIn(v schema.Value) content.KindSet {
	if v.Kind != schema.KindString && v.Kind != schema.KindJSON {
		return 0
	}
	return content.Kinds(v.Text)
}

// HasSecret returns "kind" in secrets(slot).
func HasSecret(slot *Slot, kind string) Node { return &hasSecret{slot: slot, kind: kind} }

type hasSecret struct {
	search
	slot *Slot
	kind string
}

func (n *hasSecret) eval(s *Scratch) verdict {
	return verdictOf(secretsIn(s.read(n.slot)).Has(n.kind))
}

// CountSecrets returns the comparison of size(secrets(slot)) with n.
func CountSecrets(slot *Slot, op Order, n int64) Node { return &countSecrets{slot: slot, op: op, n: n} }

type countSecrets struct {
	search
	slot *Slot
	op   Order
	n    int64
}

func (n *countSecrets) eval(s *Scratch) verdict {
	count := int64(secretsIn(s.read(n.slot)).Len())
	return verdictOf(n.op.accepts(cmp.Compare(count, n.n)))
}

// invisibleIn returns the kinds of invisible characters in a text, or in JSON as text functions search it.
func (s *Scratch) invisibleIn(slot *Slot) content.InvisibleSet {
	text, _ := s.searchable(s.read(slot))
	return content.Invisible(text)
}

// HasInvisible returns "kind" in invisible(slot).
func HasInvisible(slot *Slot, kind string) Node { return &hasInvisible{slot: slot, kind: kind} }

type hasInvisible struct {
	search
	slot *Slot
	kind string
}

func (n *hasInvisible) eval(s *Scratch) verdict {
	return verdictOf(s.invisibleIn(n.slot).Has(n.kind))
}

// CountInvisible returns the comparison of size(invisible(slot)) with n.
func CountInvisible(slot *Slot, op Order, n int64) Node {
	return &countInvisible{slot: slot, op: op, n: n}
}

type countInvisible struct {
	search
	slot *Slot
	op   Order
	n    int64
}

func (n *countInvisible) eval(s *Scratch) verdict {
	return verdictOf(n.op.accepts(cmp.Compare(int64(s.invisibleIn(n.slot).Len()), n.n)))
}
