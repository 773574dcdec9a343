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
	o.eachMember(el, e.attributes, func(key string, value formats.Node) {
		switch key {
		case "id":
			dst = append(append(dst, `,"tool_call_id":`...), value.Raw()...)
		case "tool_calls", "finish_reason", "name":
			if inner, ok := el.Unwrap(value); ok {
				value = inner
			}
			dst = append(append(append(append(dst, `,"`...), key...), `":`...), value.Raw()...)
		}
	})
	return append(dst, '}')
}

// eventContent returns the content of an event's message. blocks is true if it is a list of blocks or such an object.
func (o *otlp) eventContent(el *formats.Element, e *spanEvent) (content formats.Node, blocks bool) {
	o.eachMember(el, e.attributes, func(key string, value formats.Node) {
		switch key {
		case "content", "message", "gen_ai.event.content", "gen_ai.prompt", "gen_ai.completion":
			if !content.Present() {
				content = value
			}
		}
	})
	return contentOf(el, content)
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
	found := formats.Node{}
	el.Index.Members(inner.Src, inner.Span, &el.Arena, func(key string, v scan.Span) bool {
		if (key == "content" || key == "message") && v.Kind > scan.Null {
			found = formats.Node{Src: inner.Src, Span: v}
		}
		return true
	})
	if found.Present() {
		if list, ok := el.Unwrap(found); ok && list.Kind == scan.Array {
			return list, el.FirstItem(list).Kind == scan.Object
		}
		return found, false
	}
	return inner, false
}

// eachMember calls yield with the plain attributes of a list or of an object. Lists and maps of OTLP are converted.
func (o *otlp) eachMember(el *formats.Element, attributes formats.Node, yield func(key string, value formats.Node)) {
	if attributes.Kind == scan.Object {
		el.Index.Members(attributes.Src, attributes.Span, &el.Arena, func(key string, v scan.Span) bool {
			yield(key, formats.Node{Src: attributes.Src, Span: v})
			return true
		})
		return
	}
	a := o.attrs
	el.Index.Each(attributes.Src, attributes.Span, func(elem scan.Span) bool {
		if elem.Kind != scan.Object {
			return true
		}
		a.shape.Select(el, formats.Node{Src: attributes.Src, Span: elem})
		key := el.Text(a.shape.At(attributeKey))
		value, nested := a.value()
		n := formats.Node{Src: attributes.Src, Span: value}
		if nested {
			n = a.plainBody(el, n)
		}
		if n.Present() {
			yield(key, n)
		}
		return true
	})
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
