package predicate

import (
	"fmt"
	"strconv"

	"github.com/aidr-engine/aidr/schema"
)

// Source is the origin of a field slot's value.
type Source uint8

// The sources of field slots.
const (
	FromField      Source = iota // Event.Value(At)
	FromRaw                      // Event.Raws[At]
	FromAgent                    // the registry's attribute Name of the event's agent
	FromGrant                    // a bool: whether the event's agent may use Of, or Text, which is of the kind Name
	FromCapability               // whether the event has the label with bit At
	FromStep                     // the value captured for Where.Needs()[At]
	FromFinding                  // the value of the finding, or of its entry, with index At in FindingNames
)

// Slot, a field slot, is one value that a condition reads.
type Slot struct {
	Source   Source
	At       int
	Name     string       // the attribute's name if Source is FromAgent, the kind's if it is FromGrant, the label's if it is FromCapability
	Type     schema.Type  // of the value above Path
	Path     []string     // keys below a TypeDyn; empty for the value itself
	Derive   string       // the values to make from the value, one from the other, separated by spaces: see derived.go; or ""
	Presence bool         // the slot is a bool: whether the value is present
	Agents   Registry     // for FromAgent and FromGrant; may be nil
	Of       *Slot        // for FromGrant: the value that is used; nil for the constant Text
	Text     string       // for FromGrant
	Can      Capabilities // for FromCapability; may be nil
}

// ResultType returns the type of the value that is read, which Presence and Derive change.
func (s *Slot) ResultType() schema.Type {
	if s.Presence {
		return schema.TypeBool
	}
	if s.Derive != "" {
		return derivedType(s.Derive)
	}
	return s.Type
}

// isPlainField reports whether the slot is a field of the event, unchanged.
func (s *Slot) isPlainField() bool {
	return s.Source == FromField && len(s.Path) == 0 && !s.Presence && s.Derive == ""
}

// isTextField reports whether the slot is a text field of the event, unchanged.
func (s *Slot) isTextField() bool { return s.isPlainField() && s.Type == schema.TypeString }

// key is equal for slots that read the same value.
func (s *Slot) key() string {
	if s.isPlainField() || s.Source == FromRaw && len(s.Path) == 0 && !s.Presence && s.Derive == "" {
		return strconv.Itoa(int(s.Source)) + " " + strconv.Itoa(s.At)
	}
	key := fmt.Sprintf("%d %d %s %s %v %q", s.Source, s.At, s.Name, s.Derive, s.Presence, s.Path)
	if s.Source == FromGrant {
		if s.Of == nil {
			return fmt.Sprintf("%s %q", key, s.Text)
		}
		return key + " of " + s.Of.key()
	}
	return key
}

// SameSource reports whether two slots read the same value, before their paths and derivations.
func (s *Slot) SameSource(o *Slot) bool {
	return s.Source == o.Source && s.At == o.At && s.Name == o.Name && s.Text == o.Text &&
		(s.Of == nil) == (o.Of == nil) && (s.Of == nil || s.Of.key() == o.Of.key())
}

// read returns the slot's value. An absent value is the zero value of the slot's type, and missing (KindAbsent) for
// TypeDyn.
func (s *Scratch) read(slot *Slot) schema.Value {
	v := s.value(slot)
	if slot.Presence {
		return schema.BoolValue(v.Present())
	}
	if !v.Present() && slot.Derive != "" {
		return ZeroValue(derivedType(slot.Derive))
	}
	if !v.Present() {
		return ZeroValue(slot.Type)
	}
	return v
}

// value returns the slot's value, absent if it does not exist, whatever its type. Presence has no effect.
func (s *Scratch) value(slot *Slot) schema.Value {
	v := s.above(slot)
	if v.Kind == schema.KindJSON {
		v = JSONAt(v.Text, slot.Path)
	} else if len(slot.Path) > 0 {
		v = schema.Value{}
	}
	if slot.Derive != "" {
		v = s.derived(slot.Derive, v)
	}
	return v
}

// above returns the value above the slot's path, absent if it does not exist.
func (s *Scratch) above(slot *Slot) schema.Value {
	switch slot.Source {
	case FromField:
		return s.event.Value(schema.Field(slot.At))
	case FromRaw:
		if slot.At < len(s.event.Raws) {
			return s.event.Raws[slot.At]
		}
	case FromAgent:
		if r := s.registry(slot.Agents); r != nil {
			return typedAs(slot.Type, r.Attribute(s.event.Text(schema.AIAgentUID), slot.Name))
		}
	case FromGrant:
		return schema.BoolValue(s.allowed(slot))
	case FromCapability:
		return schema.BoolValue(s.labels(slot.Can).Has(Labels(slot.At)))
	case FromStep:
		if slot.At < len(s.captured) {
			return typedAs(slot.Type, s.captured[slot.At])
		}
	case FromFinding:
		if slot.At < len(findingNames) {
			return findingNames[slot.At].value(s.finding)
		}
		if s.entryType != "" {
			return schema.StringValue(s.entryType)
		}
	}
	return schema.Value{}
}

// registry returns the registry that the evaluation uses: that of the Scratch, or else the one that the condition was compiled
// with.
func (s *Scratch) registry(compiled Registry) Registry {
	if s.Agents != nil {
		return s.Agents
	}
	return compiled
}

// allowed reports whether the event's agent may use the value of a FromGrant slot. It may not use a value that is not a text.
func (s *Scratch) allowed(slot *Slot) bool {
	x := schema.StringValue(slot.Text)
	if slot.Of != nil {
		x = s.read(slot.Of)
	}
	r := s.registry(slot.Agents)
	return r != nil && x.Kind == schema.KindString && r.Allows(s.event.Text(schema.AIAgentUID), slot.Name, x.Text)
}

// typedAs returns v, or an absent value if v is not of type t: the registry and captured values come from outside of this
// package, and the condition was checked for type t.
func typedAs(t schema.Type, v schema.Value) schema.Value {
	if t == schema.TypeDyn || v.Kind == ZeroValue(t).Kind {
		return v
	}
	return schema.Value{}
}

// ZeroValue returns the value that an absent field of type t has in a condition: "", 0, false, an empty list; for TypeDyn
// it is absent.
func ZeroValue(t schema.Type) schema.Value {
	switch t {
	case schema.TypeString:
		return schema.Value{Kind: schema.KindString}
	case schema.TypeInt:
		return schema.Value{Kind: schema.KindInt}
	case schema.TypeDouble:
		return schema.Value{Kind: schema.KindDouble}
	case schema.TypeBool:
		return schema.Value{Kind: schema.KindBool}
	case schema.TypeTimestamp:
		return schema.Value{Kind: schema.KindTimestamp}
	case schema.TypeList:
		return schema.Value{Kind: schema.KindList, Text: "[]"}
	}
	return schema.Value{}
}
