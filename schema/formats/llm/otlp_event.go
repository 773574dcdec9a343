package llm

import (
	"strings"

	"github.com/aidr-engine/aidr/schema/formats"
	"github.com/aidr-engine/aidr/schema/scan"
)

// spanEvent is an event of a span that holds one message: the conventions before version 1.37, and Strands.
type spanEvent struct {
	name       string
	attributes formats.Node
}

// maxSpanEvents is the number of events that are kept of one span. A span that repeats a longer history loses its beginning.
const maxSpanEvents = 1000

// readEvents reads a span's events. Those of a whole call have the attributes of a span; those of one message are kept.
func (o *otlp) readEvents(el *formats.Element) {
	o.messages = o.messages[:0]
	events := el.At(o.events)
	el.Index.Each(events.Src, events.Span, func(elem scan.Span) bool {
		o.event.Select(el, formats.Node{Src: events.Src, Span: elem})
		name, attributes := el.Text(o.event.At(spanEventName)), o.event.At(spanEventAttributes)
		if !strings.HasPrefix(name, "gen_ai.") {
			return true
		}
		o.attrs.read(el, attributes)
		if strings.HasSuffix(name, ".message") || name == eventChoice {
			if len(o.messages) == maxSpanEvents {
				o.messages = append(o.messages[:0], o.messages[1:]...)
			}
			o.messages = append(o.messages, spanEvent{name, attributes})
		}
		return true
	})
}

// The names of the events of one message.
const (
	eventChoice      = "gen_ai.choice"
	eventToolMessage = "gen_ai.tool.message"
)

// roleOfEvent returns the role that the name of an event implies.
func roleOfEvent(name string) string {
	switch name {
	case eventChoice, "gen_ai.assistant.message":
		return "assistant"
	case "gen_ai.system.message":
		return "system"
	case eventToolMessage:
		return "tool"
	}
	return "user"
}

// eventMessages returns the messages of the span's events as a list: those of the request, or those of the answer.
func (o *otlp) eventMessages(el *formats.Element, answer bool) formats.Node {
	dst := append(o.text[:0], '[')
	for i := range o.messages {
		e := &o.messages[i]
		if (e.name == eventChoice) != answer {
			continue
		}
		if len(dst) > 1 {
			dst = append(dst, ',')
		}
		dst = o.appendEvent(dst, el, e)
	}
	o.text = append(dst, ']')
	if len(o.text) == len("[]") {
		return formats.Node{}
	}
	return el.Parse(o.text)
}

// Places in the attributes of a message's event.
const (
	eventContent = iota // the first five are names of the content
	eventMessage
	eventEventContent
	eventPrompt
	eventCompletion
	eventID
	eventToolCalls
	eventFinishReason
	eventToolName
	eventPlaces
)

// eventKeys returns the keys of these attributes, each at its place.
func eventKeys() [][]string {
	return [][]string{
		eventContent: {"content"}, eventMessage: {"message"}, eventEventContent: {"gen_ai.event.content"}, eventPrompt: {"gen_ai.prompt"},
		eventCompletion: {"gen_ai.completion"}, eventID: {"id"}, eventToolCalls: {"tool_calls"}, eventFinishReason: {"finish_reason"},
		eventToolName: {"name"},
	}
}

// appendEvent appends a message. The contents are JSON inside a string in some instrumentations, whose list of blocks
// takes the place of the string.
func (o *otlp) appendEvent(dst []byte, el *formats.Element, e *spanEvent) []byte {
	content, blocks := o.eventContent(el, e)
	role := roleOfEvent(e.name)
	if blocks && role == "tool" {
		role = "user" // the blocks are results, as in the providers' own APIs
	}
	dst = append(append(append(dst, `{"role":"`...), role...), '"')
	if content.Present() {
		dst = append(append(dst, `,"content":`...), content.Raw()...)
	}
	for _, member := range [...]struct {
		place int
		key   string
	}{{eventID, `,"tool_call_id":`}, {eventToolCalls, `,"tool_calls":`}, {eventFinishReason, `,"finish_reason":`}, {eventToolName, `,"name":`}} {
		if value := o.part[member.place]; value.Present() {
			value, _ = el.Unwrap(value)
			dst = append(append(dst, member.key...), value.Raw()...)
		}
	}
	return append(dst, '}')
}

// eventContent reads the attributes of an event and returns the content of its message. blocks is true if it is a list of
// blocks.
func (o *otlp) eventContent(el *formats.Element, e *spanEvent) (content formats.Node, blocks bool) {
	clear(o.part[:])
	if e.attributes.Kind == scan.Object {
		o.message.Select(el, e.attributes)
		for place := range o.part {
			o.part[place] = o.message.At(place)
		}
	} else {
		o.eventList(el, e.attributes)
	}
	for place := eventContent; place <= eventCompletion; place++ {
		if n := o.part[place]; n.Present() {
			return contentOf(el, n)
		}
	}
	return formats.Node{}, false
}

// eventList reads a list of attributes. Lists and maps of OTLP are converted.
func (o *otlp) eventList(el *formats.Element, attributes formats.Node) {
	a := o.attrs
	el.Index.Each(attributes.Src, attributes.Span, func(elem scan.Span) bool {
		if elem.Kind != scan.Object {
			return true
		}
		a.shape.Select(el, formats.Node{Src: attributes.Src, Span: elem})
		place := placeOfEvent(el.Text(a.shape.At(attributeKey)))
		value, nested := a.value()
		n := formats.Node{Src: attributes.Src, Span: value}
		if place < 0 || !n.Present() {
			return true
		}
		if nested {
			n = a.plainBody(el, n)
		}
		o.part[place] = n
		return true
	})
}

// placeOfEvent returns the place of an attribute, or -1.
func placeOfEvent(key string) int {
	switch key {
	case "content":
		return eventContent
	case "message":
		return eventMessage
	case "gen_ai.event.content":
		return eventEventContent
	case "gen_ai.prompt":
		return eventPrompt
	case "gen_ai.completion":
		return eventCompletion
	case "id":
		return eventID
	case "tool_calls":
		return eventToolCalls
	case "finish_reason":
		return eventFinishReason
	case "name":
		return eventToolName
	}
	return -1
}

// contentOf returns the content of a message: the blocks that a string holds as JSON, or the member content or message of
// an object.
func contentOf(el *formats.Element, n formats.Node) (content formats.Node, blocks bool) {
	inner, ok := el.Unwrap(n)
	if !ok {
		return n, false
	}
	if inner.Kind == scan.Array {
		first := el.FirstItem(inner)
		return inner, first.Kind == scan.Object
	}
	found, message := formats.Node{}, formats.Node{}
	el.Index.Members(inner.Src, inner.Span, &el.Arena, func(key string, v scan.Span) bool {
		switch key {
		case "content":
			found = formats.Node{Src: inner.Src, Span: v}
		case "message":
			message = formats.Node{Src: inner.Src, Span: v}
		}
		return true
	})
	if !found.Present() {
		found = message
	}
	if found.Present() {
		if list, ok := el.Unwrap(found); ok && list.Kind == scan.Array {
			return list, el.FirstItem(list).Kind == scan.Object
		}
		return found, false
	}
	return inner, false
}

// toolEvents returns the arguments and the result that the events of a tool's span hold.
func (o *otlp) toolEvents(el *formats.Element) (arguments, result formats.Node) {
	for i := range o.messages {
		switch e := &o.messages[i]; e.name {
		case eventToolMessage:
			arguments, _ = o.eventContent(el, e)
		case eventChoice:
			result, _ = o.eventContent(el, e)
		}
	}
	return arguments, result
}

// messageEvents reads a list of the events of one message each, which pydantic-ai keeps in an attribute.
func (o *otlp) messageEvents(el *formats.Element, list formats.Node) {
	c := o.chat
	list, _ = el.Unwrap(list)
	el.Index.Each(list.Src, list.Span, func(elem scan.Span) bool {
		n := formats.Node{Src: list.Src, Span: elem}
		if elem.Kind != scan.Object {
			return true
		}
		name := ""
		el.Index.Members(n.Src, n.Span, &el.Arena, func(key string, v scan.Span) bool {
			if key == "event.name" {
				name = el.Text(formats.Node{Src: n.Src, Span: v})
			}
			return true
		})
		if name == eventChoice {
			c.readChoice(el, n)
		} else {
			c.messages = append(c.messages, turn{node: n})
		}
		return true
	})
	c.readNew(el)
}
