package predicate

import (
	"math/bits"
	"strings"

	"github.com/aidr-engine/aidr/schema"
)

// Labels is a set of capabilities of a tool, a request or a cloud action.
type Labels uint8

// The labels.
const (
	Change      Labels = 1 << iota // it changes something
	Destructive                    // it deletes, stops or revokes something
	Egress                         // it brings data to others
	Private                        // it reads data of the organisation or of people
	Untrusted                      // its result holds text that strangers may have written
)

var labelNames = [...]string{"change", "destructive", "egress", "private", "untrusted"}

// LabelNames returns the names of all labels, sorted: NAME in cap.NAME.
func LabelNames() []string { return append([]string(nil), labelNames[:]...) }

// LabelOf returns the label with a name, or none.
func LabelOf(name string) Labels {
	for i, n := range labelNames {
		if n == name {
			return 1 << i
		}
	}
	return 0
}

// Has reports whether a label is in the set.
func (l Labels) Has(label Labels) bool { return l&label != 0 }

// Names returns the names of the labels in the set, sorted.
func (l Labels) Names() []string {
	names := make([]string, 0, bits.OnesCount8(uint8(l)))
	for i, n := range labelNames {
		if l&(1<<i) != 0 {
			names = append(names, n)
		}
	}
	return names
}

// Capabilities answers `cap.*`. All workers read it at once.
type Capabilities interface {
	// Tool returns the labels of a tool by its name and its MCP server, which may be "". byShape reports whether the arguments of
	// a call may add some.
	Tool(server, name string) (labels Labels, byShape bool)
	// Shape returns the labels that the arguments of a call, in JSON, add.
	Shape(arguments string) Labels
	// Request returns the labels of a request over HTTP.
	Request(host, path, method string) Labels
	// Action returns the labels of an action of an audit log.
	Action(action string) Labels
}

// CapabilityFields are the fields of the event that cap.* reads.
func CapabilityFields() []schema.Field {
	return []schema.Field{
		schema.GenAIToolName, schema.MCPServerName, schema.GenAIToolCallArguments, schema.URLDomain, schema.URLPath, schema.HTTPRoute,
		schema.HTTPRequestMethod, schema.EventAction, schema.EventClass,
	}
}

// namedLabels are the labels of names that a worker met, in a table of hashes: most events are of few tools.
type namedLabels struct {
	kind         byte
	first, name  string
	labels       Labels
	byShape, set bool
}

// numNamed is the number of names whose labels a worker keeps.
const numNamed = 512

// labels returns the labels of the event.
func (s *Scratch) labels(c Capabilities) Labels {
	if c == nil {
		return 0
	}
	if s.sharing && s.labelsFor == s.epoch && s.labelsOf == c {
		return s.eventLabels
	}
	l := s.findLabels(c)
	s.labelsFor, s.labelsOf, s.eventLabels = s.epoch, c, l
	return l
}

func (s *Scratch) findLabels(c Capabilities) Labels {
	e := s.event
	if tool := e.Text(schema.GenAIToolName); tool != "" {
		n := s.named(c, 't', e.Text(schema.MCPServerName), tool)
		if !n.byShape {
			return n.labels
		}
		arguments := e.Value(schema.GenAIToolCallArguments)
		if arguments.Kind == schema.KindJSON || arguments.Kind == schema.KindString {
			return n.labels | c.Shape(arguments.Text)
		}
		return n.labels
	}
	switch e.Text(schema.EventClass) {
	case "audit", "auth":
		if action := e.Text(schema.EventAction); action != "" {
			return s.named(c, 'a', "", action).labels
		}
	case "api", "http":
		path := e.Text(schema.HTTPRoute)
		if path == "" {
			path = e.Text(schema.URLPath)
		}
		return c.Request(e.Text(schema.URLDomain), path, e.Text(schema.HTTPRequestMethod))
	}
	return 0
}

// named returns the labels of a tool or an action, which it keeps for the next event.
func (s *Scratch) named(c Capabilities, kind byte, first, name string) *namedLabels {
	if s.namedLabels == nil || s.namedOf != c {
		s.namedLabels, s.namedOf = make([]namedLabels, numNamed), c
	}
	h := uint32(2166136261) ^ uint32(kind)
	for _, t := range [2]string{first, name} {
		for i := range len(t) {
			h = (h ^ uint32(t[i])) * 16777619
		}
	}
	n := &s.namedLabels[(h^h>>15)%numNamed]
	if n.set && n.kind == kind && n.first == first && n.name == name {
		return n
	}
	*n = namedLabels{kind: kind, first: strings.Clone(first), name: strings.Clone(name), set: true}
	if kind == 'a' {
		n.labels = c.Action(name)
	} else {
		n.labels, n.byShape = c.Tool(first, name)
	}
	return n
}

// ToolCan returns tool(slot).<label>, or tool("text").<label> if slot is nil.
func ToolCan(can Capabilities, label string, slot *Slot, text string) Node {
	return &toolCan{can: can, label: LabelOf(label), slot: slot, text: text}
}

type toolCan struct {
	search
	can   Capabilities // may be nil
	label Labels
	slot  *Slot  // nil for a constant
	text  string // the constant
}

func (n *toolCan) eval(s *Scratch) verdict {
	v := schema.StringValue(n.text)
	if n.slot != nil {
		v = s.read(n.slot)
	}
	if n.can == nil || v.Kind != schema.KindString || v.Text == "" {
		return no
	}
	return verdictOf(s.named(n.can, 't', "", v.Text).labels.Has(n.label))
}
