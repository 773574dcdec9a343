package formats

import (
	"github.com/aidr-engine/aidr/schema"
	"github.com/aidr-engine/aidr/schema/scan"
)

// surrounding is a fact about the source of a carried record.
type surrounding struct {
	field schema.Field
	text  string
}

// Carry offers a value inside the element that may be a record of another format, such as the body of a log record. If the
// element itself gives no event, the first value offered that is of a known format is decoded in its place. A reader
// calls it after Skip.
func (el *Element) Carry(n Node) { el.carried = append(el.carried, n) }

// Surround sets a field of the events of a carried record, if the record itself does not set it.
func (el *Element) Surround(f schema.Field, text string) {
	if text != "" {
		el.around = append(el.around, surrounding{f, text})
	}
}

// SurroundTime sets the time, in ns since 1970, of a carried record that has none itself.
func (el *Element) SurroundTime(ns int64) { el.outside = ns }

// Carried returns the values that were offered and are not yet tried. It returns none for a record that was carried itself.
func (el *Element) Carried() []Node {
	if el.inside || el.emitted > 0 || el.refusal != "" || el.LimitExceeded() {
		return nil
	}
	return el.carried
}

// ResetCarried is like Reset, for a record that the current element carries.
func (el *Element) ResetCarried(index int, element, src string, values []scan.Span) {
	around, outside := el.around, el.outside
	el.around = nil
	el.Reset(index, element, src, values)
	el.around, el.outside, el.inside = around, outside, true
}

// surround sets the fields of the current event that its record does not set. A service and its instance are the agent of what
// an application logs about its own calls, but not that of requests which it serves.
func (el *Element) surround() {
	if !el.inside {
		return
	}
	for _, s := range el.around {
		switch {
		case el.Event.Has(s.field):
		case s.field != schema.AIAgentUID && s.field != schema.AIAgentInstanceUID:
			el.SetText(s.field, s.text)
		case el.Event.Text(schema.EventClass) != ClassLLM && el.Event.Text(schema.EventClass) != ClassTool:
		case s.field == schema.AIAgentUID:
			el.SetAgent("service.name", s.text)
		default:
			el.SetText(s.field, s.text)
		}
	}
}
