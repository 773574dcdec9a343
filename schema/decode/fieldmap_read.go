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
	fields   []mappedField  // those that are set as they stand, until what is wanted is known
	steps    []mappedSource // the sources of those of them that are wanted, one field after another
	settled  bool           // steps are there
	identity []mappedSource
	heads    []*head
	nested   bool   // in this record a head may hold JSON as text
	absent   uint64 // bit: how long a text that means nothing may be, 63 for all longer ones
	began    began
	matcher  matcher

	// These are read in their own way.
	time, duration, source, action, outcome, disposition, status, method, operation, toolMethod, userAgent mappedField

	chat                     *llm.Conversation // nil: none
	request, response, tools []mappedSource
}

// mappedField is a field with its sources; from is empty where the map does not name it.
type mappedField struct {
	field schema.Field
	from  []mappedSource
}

// mappedSource is a source of a field and its place in a record. What is looked at in every record stands first.
type mappedSource struct {
	place int          // of Path, -1 for a constant
	next  int          // of a step: the first one of the field behind
	field schema.Field // that it gives
	form  form
	plain bool // the value is taken as it stands
	bare  bool // and so is its text, which is no secret
	*MapSource

	rung      string
	forwarded []int // of Forwarded
	until     int   // of Until, -1 for none
	under     []under
	table     *table // nil: the text as it is
}

// began is a time that the duration was made of, so that it is not read twice.
type began struct {
	place int // -1 for none
	unit  Unit
	ns    int64
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
	r := &mapReader{m: m, absent: 1} // "" always does
	for _, text := range m.Absent {
		r.absent |= 1 << min(len(text), 63)
	}
	own := map[schema.Field]*mappedField{
		schema.Time: &r.time, schema.EventDuration: &r.duration, schema.SourceIP: &r.source, schema.EventAction: &r.action,
		schema.EventOutcome: &r.outcome, schema.Disposition: &r.disposition,
	}
	also := map[schema.Field]*mappedField{ // set as they stand, and needed for others
		schema.HTTPResponseStatusCode: &r.status, schema.HTTPRequestMethod: &r.method, schema.GenAIOperationName: &r.operation,
		schema.MCPMethodName: &r.toolMethod, schema.UserAgentOriginal: &r.userAgent,
	}
	for i := range m.Fields {
		f := mappedField{field: m.Fields[i].Field, from: r.open(m.Fields[i].Field, m.Fields[i].From, p)}
		if mine := own[f.field]; mine != nil {
			*mine = f
			continue
		}
		if mine := also[f.field]; mine != nil {
			*mine = f
		}
		r.fields = append(r.fields, f)
	}
	r.identity = r.open(schema.AIAgentUID, m.Identity, p)
	if m.Chat != nil {
		r.chat = llm.NewConversation()
		r.request, r.response, r.tools = r.bodies(m.Chat.Request, p), r.bodies(m.Chat.Response, p), r.bodies(m.Chat.Tools, p)
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

// open finds the places of a field's sources.
func (m *mapReader) open(f schema.Field, from []MapSource, p *formats.Paths) []mappedSource {
	list := m.bodies(from, p)
	for i := range list {
		list[i].field, list[i].form = f, formOf(f)
	}
	return list
}

// bodies finds the places of sources, of no field.
func (m *mapReader) bodies(from []MapSource, p *formats.Paths) []mappedSource {
	list := make([]mappedSource, len(from))
	for i := range from {
		s := mappedSource{MapSource: &from[i], rung: from[i].Rung(), place: -1, until: -1}
		s.plain = s.Path != nil && s.Value == "" && s.Pattern == nil && s.Table == nil
		s.bare = s.plain && !s.Hash
		if s.Table != nil {
			s.table = newTable(s.Table)
		}
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

// settle makes the steps of the fields that are wanted, which never changes.
func (m *mapReader) settle(r *formats.Record) {
	m.settled = true
	for i := range m.fields {
		f := &m.fields[i]
		if !r.Wants(f.field) {
			continue
		}
		next := len(m.steps) + len(f.from)
		for _, s := range f.from {
			s.next = next
			m.steps = append(m.steps, s)
		}
	}
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
	m.begin(r)
	m.readDuration(r)
	if !m.start(r) {
		return
	}
	if !m.settled {
		m.settle(r)
	}
	for i := 0; i < len(m.steps); {
		s := &m.steps[i]
		if i++; m.lacks(r, s) {
			continue
		}
		if m.set(r, s); r.Event.Has(s.field) {
			i = s.next
		}
	}
	m.readSource(r)
	for i := range m.identity {
		if s := &m.identity[i]; !m.lacks(r, s) {
			r.Agent(s.rung, m.text(r, s)) // also behind the one that names it: what is wrong is counted
		}
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

// begin forgets the record before.
func (m *mapReader) begin(r *formats.Record) {
	m.began.place, m.nested = -1, false
	for _, h := range m.heads {
		h.looked, h.found = r.At(h.place).Kind != scan.String, false
		m.nested = m.nested || !h.looked
	}
}

// lacks says that a source gives nothing because nothing stands at its place, as most do in most records. It may give
// nothing also where it is false.
func (m *mapReader) lacks(r *formats.Record, s *mappedSource) bool {
	return s.place >= 0 && r.At(s.place).Kind <= scan.Null && !m.nested
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
	for i := 0; n.Kind == scan.Absent && m.nested && i < len(s.under); i++ {
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
	text := n.Src[n.Start+1 : n.End-1]
	if !m.may(text) || n.Escaped() {
		return false
	}
	return text == "" || slices.Contains(m.m.Absent, text)
}

// may says that a text is as long as one that means nothing.
func (m *mapReader) may(text string) bool { return m.absent>>min(len(text), 63)&1 != 0 }

// open looks, once a record, for JSON in the text at the head.
func (h *head) open(r *formats.Record) bool {
	if h.looked {
		return h.found
	}
	h.looked = true
	var n formats.Node
	if n, h.found = r.Inside(r.At(h.place)); h.found {
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
func (m *mapReader) text(r *formats.Record, s *mappedSource) string {
	if s.bare {
		if n := r.At(s.place); n.Kind == scan.String && !n.Escaped() { // nearly every text, without a call
			if text := n.Src[n.Start+1 : n.End-1]; !m.may(text) {
				return text
			}
		}
	}
	n := m.node(r, s)
	switch {
	case s.bare && (n.Kind == scan.String || n.Kind == scan.Number):
		return r.Text(n)
	case n.Kind == scan.Absent && s.place >= 0:
		return ""
	}
	return m.made(r, s, n)
}

// made is text of what stands at the source's path.
func (m *mapReader) made(r *formats.Record, s *mappedSource, n formats.Node) string {
	text := s.Value
	if s.place >= 0 {
		if s.Value != "" && n.Kind != scan.Absent {
			return s.Value
		}
		text = ""
		switch n.Kind {
		case scan.String, scan.Number:
			text = r.Text(n)
		case scan.True, scan.False:
			if s.Table == nil { // a bool is no text, but where a table says what it means
				r.Fault(s.field)
				return ""
			}
			text = n.Raw()
		case scan.Object, scan.Array:
			r.Fault(s.field)
			return ""
		}
	}
	if s.Pattern != nil && text != "" {
		text, _ = m.matcher.find(s.Pattern, text)
	}
	if s.table != nil && text != "" {
		to, ok := s.table.of(text)
		if !ok {
			r.Fault(s.field)
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
		s := &f.from[i]
		if m.lacks(r, s) {
			continue
		}
		if text := m.text(r, s); text != "" {
			return text
		}
	}
	return ""
}

// said is first of a field that a step has set already if it is wanted.
func (m *mapReader) said(r *formats.Record, f *mappedField) string {
	if len(f.from) == 0 || r.Wants(f.field) {
		return r.Event.Text(f.field)
	}
	return m.first(r, f)
}

// value returns a source's value for a field that is no text: as it stands, or what was made of it.
func (m *mapReader) value(r *formats.Record, s *mappedSource) formats.Node {
	if s.plain {
		if n := r.At(s.place); n.Kind == scan.Number {
			return n
		}
		return m.node(r, s)
	}
	text := m.text(r, s)
	if text == "" {
		return formats.Node{}
	}
	quoted := r.Arena.Concat(`"`, text, `"`)
	return formats.Node{Src: quoted, Span: scan.Span{End: int32(len(quoted)), Kind: scan.String}}
}

// table is the rows of MapSource.Table.
type table struct {
	few   []row             // all but OtherRow, where they are at most fewRows
	many  map[string]string // where they are more
	other string            // what OtherRow gives
	all   bool              // there is one
}

type row struct{ from, to string }

// fewRows is how many rows are found sooner one by one than by a hash.
const fewRows = 8

func newTable(rows map[string]string) *table {
	t := new(table)
	t.other, t.all = rows[OtherRow]
	if len(rows) > fewRows {
		t.many = rows
		return t
	}
	for from, to := range rows {
		if from != OtherRow {
			t.few = append(t.few, row{from, to})
		}
	}
	return t
}

// of returns what a text's row gives; false where it has none.
func (t *table) of(text string) (to string, ok bool) {
	for i := range t.few {
		if t.few[i].from == text {
			return t.few[i].to, true
		}
	}
	if to, ok = t.many[text]; ok {
		return to, true
	}
	return t.other, t.all
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
