package llm

import (
	"github.com/aidr-engine/aidr/schema"
	"github.com/aidr-engine/aidr/schema/formats"
	"github.com/aidr-engine/aidr/schema/scan"
)

// traces holds what the spans of one request declare about their agents, so that one trace gives one agent: a span takes
// what it does not declare from its nearest ancestor in the request that does. It depends on the request alone.
type traces struct {
	spans  []traceSpan
	traces []traceFacts
	byID   map[traceKey]int32 // index in spans; empty for few spans
	byName map[string]int32   // index in traces of a trace's id; empty for few of them
	loaded bool

	surveyed bool
	may      [numInherited]bool // a span of the request may declare it

	path  []int32      // of resolve
	whole formats.Node // all spans of the request
	// Of a resource, a scope and a span. The reader's own shapes are in use while the spans are read.
	resource, scope, span *formats.Shape
}

// traceSpan is what one span declares, and after resolve what its ancestors declare for it.
type traceSpan struct {
	trace      int32
	id, parent string // parent is "" for the root of a trace
	told       [numInherited]string
	resolved   bool
}

// traceKey identifies a span.
type traceKey struct {
	trace int32
	id    string
}

// fewSpans is the number of spans and of traces up to which a linear search is as fast as a map.
const fewSpans = 32

// traceFacts is what the spans of one trace declare.
type traceFacts struct {
	name  string
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

// survey finds out what the spans of the request may declare: all that the keys of its attributes name, wherever they are.
func (t *traces) survey(el *formats.Element) {
	t.surveyed, t.may = true, [numInherited]bool{}
	noted, ok := el.Index.Inside(t.whole.Span)
	if t.whole.Kind != scan.Array {
		return
	}
	for i := range noted {
		e := &noted[i]
		if e.Kind != scan.String || e.Name(t.whole.Src) != "key" {
			continue
		}
		if ok = ok && !e.Escaped(); !ok {
			break
		}
		if what, known := inheritedBy(t.whole.Src[e.Start+1 : e.End-1]); known {
			t.may[what] = true
		}
	}
	if !ok { // a key that has to be decoded, or a request too large to be indexed
		t.may = [numInherited]bool{true, true, true, true}
	}
}

// lacks reports whether a span whose own declarations are given may take something from its trace. The root of its trace
// names the agent of a span without an id.
func (t *traces) lacks(own *[numInherited]string, shared bool) bool {
	switch {
	case own[inheritedName] == "" && t.may[inheritedName]:
		return true
	case own[inheritedSession] == "" && t.may[inheritedSession]:
		return true
	case own[inheritedID] == "" && (own[inheritedName] != "" || t.may[inheritedID]):
		return true
	}
	return shared && own[inheritedKey] == "" && t.may[inheritedKey]
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
		byID: map[traceKey]int32{}, byName: map[string]int32{},
		resource: formats.NewShape([]string{"scopeSpans"}, []string{"instrumentationLibrarySpans"}),
		scope:    formats.NewShape([]string{"spans"}),
		span: formats.NewShape([][]string{
			traceSpanTrace: {"traceId"}, traceSpanID: {"spanId"}, traceSpanParent: {"parentSpanId"}, traceSpanAttributes: {"attributes"},
		}...),
	}
}

// begin begins a request with these spans.
func (t *traces) begin(whole formats.Node) {
	if len(t.byID)+len(t.byName) > 0 {
		clear(t.byID)
		clear(t.byName)
	}
	t.whole, t.spans, t.traces, t.loaded = whole, t.spans[:0], t.traces[:0], false
	t.surveyed = false
}

// load reads what all spans of the request declare.
func (t *traces) load(el *formats.Element) {
	t.loaded = true
	if t.whole.Kind != scan.Array {
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
	number := t.trace(trace)
	if number < 0 {
		number = int32(len(t.traces))
		t.traces = append(t.traces, traceFacts{name: trace, root: -1})
		if len(t.traces) > fewSpans {
			t.indexTraces()
		}
	}
	s := traceSpan{trace: number, id: id, parent: traceID(el, t.span.At(traceSpanParent))}
	if s.parent == "" {
		t.traces[number].root = int32(len(t.spans))
	}
	t.spans = append(t.spans, s)
	t.declared(el, t.span.At(traceSpanAttributes))
	if len(t.spans) > fewSpans {
		t.indexSpans()
	}
}

// declared reads what the attributes of the last span declare.
func (t *traces) declared(el *formats.Element, list formats.Node) {
	noted, ok := el.Index.Inside(list.Span)
	if !ok {
		el.Index.Each(list.Src, list.Span, func(elem scan.Span) bool {
			key, value := keyValue(el, formats.Node{Src: list.Src, Span: elem})
			t.declare(el, key, value)
			return true
		})
		return
	}
	for ; len(noted) > 0; noted = noted[noted[0].Size():] {
		if key, value, ok := plainPair(list.Src, noted[:noted[0].Size()]); ok {
			t.declare(el, key, formats.Node{Src: list.Src, Span: value})
			continue
		}
		key, value := keyValue(el, formats.Node{Src: list.Src, Span: noted[0].Span})
		t.declare(el, key, value)
	}
}

// declare notes what one attribute of the last span declares.
func (t *traces) declare(el *formats.Element, key string, value formats.Node) {
	what, ok := inheritedBy(key)
	if !ok {
		return
	}
	s := &t.spans[len(t.spans)-1]
	text := el.Text(value)
	if text == "" || s.told[what] != "" {
		return
	}
	facts := &t.traces[s.trace]
	s.told[what] = text
	facts.many[what] = facts.many[what] || facts.alone[what] != "" && facts.alone[what] != text
	facts.alone[what] = text
}

// trace returns the index of a trace, or -1.
func (t *traces) trace(name string) int32 {
	if len(t.traces) > fewSpans {
		if i, ok := t.byName[name]; ok {
			return i
		}
		return -1
	}
	for i := len(t.traces) - 1; i >= 0; i-- {
		if t.traces[i].name == name {
			return int32(i)
		}
	}
	return -1
}

// find returns the index of a span, or -1. Of several with the id the last counts.
func (t *traces) find(trace int32, id string) int32 {
	if len(t.spans) > fewSpans {
		if i, ok := t.byID[traceKey{trace, id}]; ok {
			return i
		}
		return -1
	}
	for i := len(t.spans) - 1; i >= 0; i-- {
		if t.spans[i].id == id && t.spans[i].trace == trace {
			return int32(i)
		}
	}
	return -1
}

// indexTraces adds the traces that are not in byName yet.
func (t *traces) indexTraces() {
	for i := len(t.byName); i < len(t.traces); i++ {
		t.byName[t.traces[i].name] = int32(i)
	}
}

// indexSpans adds the spans that are not in byID yet: the last one, or all of them the first time.
func (t *traces) indexSpans() {
	from := len(t.spans) - 1
	if len(t.byID) == 0 {
		from = 0
	}
	for i := from; i < len(t.spans); i++ {
		t.byID[traceKey{t.spans[i].trace, t.spans[i].id}] = int32(i)
	}
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
// span that is alone, or whose request declares nothing, that is all there is. shared reports that many agents may
// share the process, so that the key counts as well.
func (t *traces) of(el *formats.Element, own [numInherited]string, root, shared bool) (k kin) {
	k.told = own
	if root {
		k.name = own[inheritedName]
	}
	if !t.surveyed {
		t.survey(el)
	}
	if !t.lacks(&own, shared) {
		return k
	}
	if !t.loaded {
		t.load(el)
	}
	trace, at := t.trace(el.Event.Text(schema.TraceID)), int32(-1)
	if trace >= 0 {
		at = t.find(trace, el.Event.Text(schema.SpanID))
	}
	if at < 0 {
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
	for at >= 0 && !t.spans[at].resolved {
		s := &t.spans[at]
		s.resolved = true
		t.path = append(t.path, at)
		at = -1
		if s.parent != "" {
			at = t.find(s.trace, s.parent)
		}
	}
	for i := len(t.path) - 1; i >= 0; i-- {
		s := &t.spans[t.path[i]]
		if s.parent == "" {
			continue
		}
		above := t.find(s.trace, s.parent)
		if above < 0 {
			continue
		}
		for what := range s.told {
			if s.told[what] == "" {
				s.told[what] = t.spans[above].told[what]
			}
		}
	}
}
