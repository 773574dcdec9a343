package decode

import (
	"math"
	"slices"

	"github.com/aidr-engine/aidr/schema"
	"github.com/aidr-engine/aidr/schema/formats"
	"github.com/aidr-engine/aidr/schema/formats/llm"
	"github.com/aidr-engine/aidr/schema/scan"
)

// mapReader reads the records of one map in one worker.
type mapReader struct {
	m        *Map
	fields   []mappedField // those that are set as they stand
	settled  bool          // no field is left that nobody wants
	identity []mappedSource
	heads    []*head
	matcher  matcher

	// These are read in their own way.
	time, duration, source, action, outcome, disposition, status, method, operation, toolMethod, userAgent mappedField

	chat                     *llm.Conversation // nil: none
	request, response, tools []mappedSource
}

// mappedField is a field with its sources; from is empty where the map does not name it.
type mappedField struct {
	field schema.Field
	kind  schema.Type // of the field
	from  []mappedSource
}

// mappedSource is a source and its place in a record.
type mappedSource struct {
	*MapSource
	rung      string
	place     int   // of Path, -1 for a constant
	forwarded []int // of Forwarded
	until     int   // of Until, -1 for none
	plain     bool  // the value is taken as it stands
	under     []under
}

// under is a place in JSON that stands as text at a shorter path.
type under struct {
	head  *head
	place int // in the head's shape
}

// head is a path at which a producer may write JSON as text where others write it as it is.
type head struct {
	place  int
	path   []string
	below  [][]string
	shape  *formats.Shape
	looked bool // in this record
	found  bool
}

// openMap returns a reader for one worker.
func openMap(m *Map, p *formats.Paths) formats.Reader {
	r := &mapReader{m: m}
	own := map[schema.Field]*mappedField{
		schema.Time: &r.time, schema.EventDuration: &r.duration, schema.SourceIP: &r.source, schema.EventAction: &r.action,
		schema.EventOutcome: &r.outcome, schema.Disposition: &r.disposition,
	}
	also := map[schema.Field]*mappedField{ // set as they stand, and needed for others
		schema.HTTPResponseStatusCode: &r.status, schema.HTTPRequestMethod: &r.method, schema.GenAIOperationName: &r.operation,
		schema.MCPMethodName: &r.toolMethod, schema.UserAgentOriginal: &r.userAgent,
	}
	for i := range m.Fields {
		f := mappedField{field: m.Fields[i].Field, kind: m.Fields[i].Field.Info().Type, from: r.open(m.Fields[i].From, p)}
		if mine := own[f.field]; mine != nil {
			*mine = f
			continue
		}
		if mine := also[f.field]; mine != nil {
			*mine = f
		}
		r.fields = append(r.fields, f)
	}
	r.identity = r.open(m.Identity, p)
	if m.Chat != nil {
		r.chat = llm.NewConversation()
		r.request, r.response, r.tools = r.open(m.Chat.Request, p), r.open(m.Chat.Response, p), r.open(m.Chat.Tools, p)
		for _, s := range slices.Concat(m.Chat.Request, m.Chat.Response) {
			if s.Path != nil {
				p.Note(s.Path...)
			}
		}
	}
	for _, h := range r.heads {
		h.shape = formats.NewShape(h.below...)
	}
	return r
}

// open finds the places of sources.
func (m *mapReader) open(from []MapSource, p *formats.Paths) []mappedSource {
	list := make([]mappedSource, len(from))
	for i := range from {
		s := mappedSource{MapSource: &from[i], rung: from[i].Rung(), place: -1, until: -1}
		s.plain = s.Path != nil && s.Value == "" && s.Pattern == nil && s.Table == nil
		if s.Path != nil {
			s.place = p.Add(s.Path...)
		}
		for _, path := range s.Forwarded {
			s.forwarded = append(s.forwarded, p.Add(path...))
		}
		if s.Until != nil {
			s.until = p.Add(s.Until...)
		}
		for n := len(s.Path) - 1; n > 0; n-- { // the longest first
			h := m.head(s.Path[:n], p)
			s.under = append(s.under, under{h, h.add(s.Path[n:])})
		}
		list[i] = s
	}
	return list
}

func (m *mapReader) head(path []string, p *formats.Paths) *head {
	for _, h := range m.heads {
		if samePath(h.path, path) {
			return h
		}
	}
	h := &head{path: path, place: p.Add(path...)}
	m.heads = append(m.heads, h)
	return h
}

// add adds a path below the head and returns its place in the shape.
func (h *head) add(path []string) int {
	for i, known := range h.below {
		if samePath(known, path) {
			return i
		}
	}
	h.below = append(h.below, path)
	return len(h.below) - 1
}

func samePath(a, b []string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

// Read implements formats.Reader.
func (m *mapReader) Read(r *formats.Record) {
	r.Begin(m.m.Dataset)
	for _, h := range m.heads {
		h.looked, h.found = false, false
	}
	m.readDuration(r)
	if !m.start(r) {
		return
	}
	if !m.settled { // what is wanted never changes
		m.settled = true
		m.fields = slices.DeleteFunc(m.fields, func(f mappedField) bool { return !r.Wants(f.field) })
	}
	for i := range m.fields {
		m.set(r, &m.fields[i])
	}
	m.readSource(r)
	for i := range m.identity {
		s := &m.identity[i]
		r.Agent(s.rung, m.text(r, s, schema.AIAgentUID))
	}
	r.AgentByAddress(m.said(r, &m.userAgent))
	m.class(r)
	m.judge(r)
	if m.chat == nil {
		r.Emit()
		return
	}
	m.chat.Reset()
	llm.SetTools(r, m.body(r, m.tools))
	m.chat.Request(r, m.body(r, m.request))
	m.chat.Response(r, m.body(r, m.response))
	m.chat.Fill(r)
	m.chat.Emit(r)
}

// node returns what stands at a source's path, Absent where it is nothing or a text that means nothing.
func (m *mapReader) node(r *formats.Record, s *mappedSource) formats.Node {
	if s.place < 0 {
		return formats.Node{}
	}
	n := r.At(s.place)
	if n.Kind > scan.Null && n.Kind != scan.String {
		return n
	}
	for i := 0; n.Kind == scan.Absent && i < len(s.under); i++ {
		if h := s.under[i].head; h.open(r) {
			n = h.shape.At(s.under[i].place)
		}
	}
	if n.Kind == scan.Null || n.Kind == scan.String && m.means(n) {
		return formats.Node{}
	}
	return n
}

// means says that a text means that there is nothing.
func (m *mapReader) means(n formats.Node) bool {
	if int(n.End-n.Start) == len(`""`) {
		return true
	}
	if n.Escaped() {
		return false
	}
	text := n.Src[n.Start+1 : n.End-1]
	for _, absent := range m.m.Absent {
		if text == absent {
			return true
		}
	}
	return false
}

// open looks, once a record, for JSON in the text at the head.
func (h *head) open(r *formats.Record) bool {
	if h.looked {
		return h.found
	}
	h.looked = true
	n := r.At(h.place)
	if n.Kind != scan.String {
		return false
	}
	if n, h.found = r.Inside(n); h.found {
		h.shape.Select(r, n)
	}
	return h.found
}

// body returns the first of the bodies that is there; JSON as text counts as itself.
func (m *mapReader) body(r *formats.Record, from []mappedSource) formats.Node {
	for i := range from {
		if n := m.node(r, &from[i]); n.Present() {
			n, _ = r.Inside(n)
			return n
		}
	}
	return formats.Node{}
}

// text returns a source's text after all that is done to it; "" where there is none.
func (m *mapReader) text(r *formats.Record, s *mappedSource, f schema.Field) string {
	text := s.Value
	if s.place >= 0 {
		n := m.node(r, s)
		if s.Value != "" && n.Kind != scan.Absent {
			return s.Value
		}
		text = ""
		switch n.Kind {
		case scan.String, scan.Number:
			text = r.Text(n)
		case scan.True, scan.False:
			if s.Table == nil { // a bool is no text, but where a table says what it means
				r.Fault(f)
				return ""
			}
			text = n.Raw()
		case scan.Object, scan.Array:
			r.Fault(f)
			return ""
		}
	}
	if s.Pattern != nil && text != "" {
		text, _ = m.matcher.find(s.Pattern, text)
	}
	if s.Table != nil && text != "" {
		to, ok := s.Table[text]
		if !ok {
			if to, ok = s.Table[OtherRow]; !ok {
				r.Fault(f)
			}
		}
		text = to
	}
	if s.Hash {
		text = r.Secret(text)
	}
	return text
}

// first returns the first text of a field's sources.
func (m *mapReader) first(r *formats.Record, f *mappedField) string {
	for i := range f.from {
		if text := m.text(r, &f.from[i], f.field); text != "" {
			return text
		}
	}
	return ""
}

// said is first of a field that set has read already if it is wanted.
func (m *mapReader) said(r *formats.Record, f *mappedField) string {
	if len(f.from) == 0 || r.Wants(f.field) {
		return r.Event.Text(f.field)
	}
	return m.first(r, f)
}

// value returns a source's value for a field that is no text: as it stands, or what was made of it.
func (m *mapReader) value(r *formats.Record, s *mappedSource, f schema.Field) formats.Node {
	if s.plain {
		return m.node(r, s)
	}
	text := m.text(r, s, f)
	if text == "" {
		return formats.Node{}
	}
	quoted := r.Arena.Concat(`"`, text, `"`)
	return formats.Node{Src: quoted, Span: scan.Span{End: int32(len(quoted)), Kind: scan.String}}
}

// instant reads a time in a unit; without one the value tells.
func instant(n formats.Node, unit Unit) (ns int64, ok bool) {
	if unit == UnitNone {
		return scan.Time(n.Src, n.Span)
	}
	v, ok := scan.Int(n.Src, n.Span)
	if !ok {
		f, ok := scan.Double(n.Src, n.Span)
		if f = f * float64(unit.nanos()); !ok || math.Abs(f) > math.MaxInt64/2 {
			return 0, false
		}
		return int64(math.Round(f)), true
	}
	if unit == UnitTick {
		v -= ticksTo1970
	}
	ns = v * unit.nanos()
	return ns, ns/unit.nanos() == v
}

// ticksTo1970 is .NET's count at the start of 1970.
const ticksTo1970 = 621355968000000000
