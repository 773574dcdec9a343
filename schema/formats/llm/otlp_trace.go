package llm

import (
	"strings"

	"github.com/aidr-engine/aidr/schema"
	"github.com/aidr-engine/aidr/schema/formats"
	"github.com/aidr-engine/aidr/schema/scan"
)

// traces holds what the spans of one request declare about their agents, so that one trace gives one agent: a span takes
// what it does not declare from its nearest ancestor in the request that does. It depends on the request alone.
type traces struct {
	spans  []traceSpan
	traces []traceFacts
	byID   map[string]int32 // index in spans of a trace's id with a span's id
	byName map[string]int32 // index in traces of a trace's id
	loaded bool

	path  []int32 // of resolve
	key   []byte
	whole formats.Node // all spans of the request
	// Of a resource, a scope and a span. The reader's own shapes are in use while the spans are read.
	resource, scope, span *formats.Shape
}

// traceSpan is what one span declares, and after resolve what its ancestors declare for it.
type traceSpan struct {
	trace    int32
	parent   string // key of the parent in byID, "" for the root of a trace
	told     [numInherited]string
	resolved bool
}

// traceFacts is what the spans of one trace declare.
type traceFacts struct {
	root  int32 // index in spans, or -1 if the request does not hold the root
	alone [numInherited]string
	many  [numInherited]bool // several spans declare different values
}

// inherited lists what a span takes from its ancestors.
type inherited uint8

const (
	inheritedName inherited = iota
	inheritedID
	inheritedKey
	inheritedSession
	numInherited
)

// inheritedBy returns what the attribute of a name declares.
func inheritedBy(key string) (what inherited, ok bool) {
	switch key {
	case "gen_ai.agent.name", "agent.name", "agent_name":
		return inheritedName, true
	case "gen_ai.agent.id":
		return inheritedID, true
	case "metadata.user_api_key_hash":
		return inheritedKey, true
	case "gen_ai.conversation.id", "session.id", "gcp.vertex.agent.session_id", "langfuse.session.id":
		return inheritedSession, true
	}
	return 0, false
}

// declares reports whether the text of a request may declare an agent or a session. A request that does not is not walked.
func declares(text string) bool {
	for _, part := range [...]string{`agent.name"`, `agent.id"`, `agent_name"`, `user_api_key_hash"`, `session.id"`, `session_id"`, `conversation.id"`} {
		if strings.Contains(text, part) {
			return true
		}
	}
	return false
}

// Places in the shape of a span.
const (
	traceSpanTrace = iota
	traceSpanID
	traceSpanParent
	traceSpanAttributes
)

func newTraces() *traces {
	return &traces{
		byID: map[string]int32{}, byName: map[string]int32{},
		resource: formats.NewShape([]string{"scopeSpans"}, []string{"instrumentationLibrarySpans"}),
		scope:    formats.NewShape([]string{"spans"}),
		span: formats.NewShape([][]string{
			traceSpanTrace: {"traceId"}, traceSpanID: {"spanId"}, traceSpanParent: {"parentSpanId"}, traceSpanAttributes: {"attributes"},
		}...),
	}
}

// begin begins a request with these spans.
func (t *traces) begin(whole formats.Node) {
	if len(t.spans) > 0 {
		clear(t.byID)
		clear(t.byName)
	}
	t.whole, t.spans, t.traces, t.loaded = whole, t.spans[:0], t.traces[:0], false
}

// load reads what all spans of the request declare.
func (t *traces) load(el *formats.Element) {
	t.loaded = true
	if t.whole.Kind != scan.Array || !declares(t.whole.Raw()) {
		return
	}
	el.Charge(len(t.whole.Raw()))
	t.resource.Each(el, t.whole, func(formats.Node) bool {
		scopes := t.resource.At(0)
		if !scopes.Present() {
			scopes = t.resource.At(1)
		}
		t.scope.Each(el, scopes, func(formats.Node) bool {
			spans := t.scope.At(0)
			t.span.Each(el, spans, func(formats.Node) bool {
				t.add(el)
				return true
			})
			return true
		})
		return true
	})
}

// add adds the selected span.
func (t *traces) add(el *formats.Element) {
	trace, id := traceID(el, t.span.At(traceSpanTrace)), traceID(el, t.span.At(traceSpanID))
	if trace == "" || id == "" {
		return
	}
	number, ok := t.byName[trace]
	if !ok {
		number = int32(len(t.traces))
		t.byName[trace] = number
		t.traces = append(t.traces, traceFacts{root: -1})
	}
	facts, s := &t.traces[number], traceSpan{trace: number}
	if parent := traceID(el, t.span.At(traceSpanParent)); parent != "" {
		s.parent = el.Arena.Concat(trace, "-", parent)
	} else {
		facts.root = int32(len(t.spans))
	}
	list := t.span.At(traceSpanAttributes)
	el.Index.Each(list.Src, list.Span, func(elem scan.Span) bool {
		key, value := keyValue(el, formats.Node{Src: list.Src, Span: elem})
		what, ok := inheritedBy(key)
		text := ""
		if ok {
			text = el.Text(value)
		}
		if text == "" || s.told[what] != "" {
			return true
		}
		s.told[what] = text
		facts.many[what] = facts.many[what] || facts.alone[what] != "" && facts.alone[what] != text
		facts.alone[what] = text
		return true
	})
	t.byID[el.Arena.Concat(trace, "-", id)] = int32(len(t.spans))
	t.spans = append(t.spans, s)
}

// keyValue returns the key and the scalar value of an attribute.
func keyValue(el *formats.Element, n formats.Node) (key string, value formats.Node) {
	el.Index.Members(n.Src, n.Span, &el.Arena, func(name string, v scan.Span) bool {
		switch name {
		case "key":
			key = el.Text(formats.Node{Src: n.Src, Span: v})
		case "value":
			el.Index.Members(n.Src, v, &el.Arena, func(kind string, v scan.Span) bool {
				if plainRank(kind) < plainLists {
					value = formats.Node{Src: n.Src, Span: v}
				}
				return true
			})
		}
		return true
	})
	return key, value
}

// kin is what a span declares or takes from its trace.
type kin struct {
	told [numInherited]string
	name string // the agent's name that is part of the agent's id, or ""
}

// of returns what the span of the current event declares or takes from its trace. own is what it declares itself. Of a
// span that is alone, or whose request declares nothing, that is all there is.
func (t *traces) of(el *formats.Element, own [numInherited]string, root bool) (k kin) {
	if !t.loaded {
		t.load(el)
	}
	k.told = own
	if root {
		k.name = own[inheritedName]
	}
	t.key = append(append(append(t.key[:0], el.Event.Text(schema.TraceID)...), '-'), el.Event.Text(schema.SpanID)...)
	at, ok := t.byID[string(t.key)]
	if !ok {
		return k
	}
	t.resolve(at)
	facts := &t.traces[t.spans[at].trace]
	for what := range k.told {
		if k.told[what] == "" {
			k.told[what] = t.spans[at].told[what]
		}
		if k.told[what] == "" && !facts.many[what] && inherited(what) != inheritedName {
			k.told[what] = facts.alone[what]
		}
	}
	if facts.root >= 0 {
		k.name = t.spans[facts.root].told[inheritedName]
		if k.name == "" && !facts.many[inheritedName] {
			k.name = facts.alone[inheritedName]
		}
	}
	return k
}

// resolve fills what a span does not declare from its ancestors. Each span is resolved once, and a cycle of parents ends
// where it began.
func (t *traces) resolve(at int32) {
	t.path = t.path[:0]
	for ok := true; ok && !t.spans[at].resolved; {
		t.spans[at].resolved = true
		t.path = append(t.path, at)
		if parent := t.spans[at].parent; parent != "" {
			var next int32
			if next, ok = t.byID[parent]; ok {
				at = next
			}
		} else {
			ok = false
		}
	}
	for i := len(t.path) - 1; i >= 0; i-- {
		s := &t.spans[t.path[i]]
		above, ok := t.byID[s.parent]
		if s.parent == "" || !ok {
			continue
		}
		for what := range s.told {
			if s.told[what] == "" {
				s.told[what] = t.spans[above].told[what]
			}
		}
	}
}
