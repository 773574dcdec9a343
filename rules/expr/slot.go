package expr

import (
	"strconv"
	"strings"

	"github.com/aidr-engine/aidr/schema"
)

// source says where a slot's value comes from.
type source uint8

const (
	fromField   source = iota // Event.Value(at)
	fromRaw                   // Event.Raws[at]
	fromAgent                 // the registry's attribute name of the event's agent
	fromNeed                  // what Where.Needs()[at] captured
	fromFinding               // findingNames[at]
)

// slot is one value that a condition reads. In the checked expression it is an identifier: "@" and its number.
type slot struct {
	src      source
	at       int
	name     string      // attribute of fromAgent
	typ      schema.Type // what it is, or what lies above path
	path     []string    // keys below a TypeDyn, none for the value itself
	derive   string      // a text made of the value: "lower", or a part of a URL; "" for the value itself
	presence bool        // it asks whether the value is there; a bool
	agents   Registry    // fromAgent; may be nil
}

// resultType is the type of what read returns.
func (s *slot) resultType() schema.Type {
	if s.presence {
		return schema.TypeBool
	}
	if s.derive != "" {
		return schema.TypeString
	}
	return s.typ
}

// values is where slots read from: an event, captured values or a finding. It is owned by whoever evaluates.
type values struct {
	slots   []slot
	event   *schema.Event
	needs   []schema.Value
	finding *schema.Finding

	// The last text that was spelled out and what it became: many conditions look into the arguments of one event. It
	// is a copy, because what it was read from is used again.
	escaped, spelled string
}

// search returns what text functions ask of a value (see jsonText); ok is false where it is no text.
func (v *values) search(val schema.Value) (text string, ok bool) {
	switch {
	case val.Kind == schema.KindString:
		return val.Text, true
	case val.Kind != schema.KindJSON:
		return "", false
	case strings.IndexByte(val.Text, '\\') < 0:
		return val.Text, true
	}
	if v.escaped != val.Text {
		v.escaped, v.spelled = strings.Clone(val.Text), jsonSpelled(val.Text)
	}
	return v.spelled, true
}

// read returns the slot's value. An absent value is its type's zero value, and missing (KindAbsent) for TypeDyn.
func (v *values) read(s *slot) schema.Value {
	val := v.raw(s)
	if val.Kind == schema.KindJSON {
		val = jsonAt(val.Text, s.path)
	} else if len(s.path) > 0 {
		val = schema.Value{}
	}
	if s.derive != "" {
		val = derived(s.derive, val)
	}
	if s.presence {
		return schema.BoolValue(val.Present())
	}
	if s.derive != "" {
		return schema.StringValue(val.Text)
	}
	if !val.Present() {
		return zeroValue(s.typ)
	}
	return val
}

// derived returns the text that is made of a value, absent where that is "". It allocates where there is something to
// lower, and for a URL.
func derived(how string, v schema.Value) schema.Value {
	text := ""
	switch {
	case v.Kind != schema.KindString:
	case how == "lower":
		text = lowerASCII(v.Text)
	default:
		text = urlPart(how, v.Text)
	}
	if text == "" {
		return schema.Value{}
	}
	return schema.StringValue(text)
}

// raw returns the value above the slot's path, absent where there is none.
func (v *values) raw(s *slot) schema.Value {
	switch s.src {
	case fromField:
		return v.event.Value(schema.Field(s.at))
	case fromRaw:
		if s.at < len(v.event.Raws) {
			return v.event.Raws[s.at]
		}
	case fromAgent:
		if s.agents != nil {
			return typed(s.agents.Attribute(v.event.Text(schema.AIAgentUID), s.name), s.typ)
		}
	case fromNeed:
		if s.at < len(v.needs) {
			return typed(v.needs[s.at], s.typ)
		}
	case fromFinding:
		return findingNames[s.at].value(v.finding)
	}
	return schema.Value{}
}

// typed drops a value whose kind is not what the condition was checked for: it comes from outside this package.
func typed(v schema.Value, t schema.Type) schema.Value {
	if t == schema.TypeDyn || v.Kind == zeroValue(t).Kind {
		return v
	}
	return schema.Value{}
}

func zeroValue(t schema.Type) schema.Value {
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

// slotName is the identifier of slot n.
func slotName(n int) string { return "@" + strconv.Itoa(n) }

// slotNumber is slotName's inverse.
func slotNumber(name string) (int, bool) {
	if len(name) < 2 || name[0] != '@' {
		return 0, false
	}
	n, err := strconv.Atoi(name[1:])
	return n, err == nil
}
