package decode

import (
	"math"
	"slices"
	"strings"

	"github.com/aidr-engine/aidr/schema"
	"github.com/aidr-engine/aidr/schema/formats"
	"github.com/aidr-engine/aidr/schema/formats/llm"
	"github.com/aidr-engine/aidr/schema/scan"
)

// mapReader reads the records of one map in one worker.
type mapReader struct {
	m        *Map
	classes  mappedField
	fields   []mappedField  // the fields that are set directly from their sources
	steps    []mappedSource // the sources of the wanted ones among them, field after field
	planned  bool           // steps is complete
	identity []mappedSource
	embeds   []*embedded
	nested   bool   // in this record, the value of an embedded is a text, which may hold JSON
	absent   uint64 // bit n: a text of length n may mean absent; bit 63 is for all greater lengths
	parsed   parsedTime
	matcher  matcher

	// These need special treatment; they are not in fields, except for those of the second group.
	time, duration, source, action, outcome, disposition mappedField
	status, method, operation, toolMethod, userAgent     mappedField
	called, returned, arguments, result, route, toolName mappedField

	chat                     *llm.Conversation // nil without Map.Chat
	request, response, tools []mappedSource
}

// mappedField is a field and its sources. from is empty if the map does not mention the field.
type mappedField struct {
	field schema.Field
	from  []mappedSource
}

// mappedSource is a source of a field, and its place in a record. The members used for every record come first.
type mappedSource struct {
	place int          // of Path, or -1 for a constant
	next  int          // of a step: the index of the next field's first step
	field schema.Field // the field that it sets
	form  form
	plain bool // the value is used unchanged
	bare  bool // plain, and the text is not a secret
	*MapSource

	rung      string
	forwarded []int // places of Forwarded
	until     int   // place of Until, or -1
	inside    []insidePlace
	table     *table         // nil if Table is nil
	item      *formats.Shape // nil if Item is nil or the whole item is meant
}

// Places in the shape of an item of a list.
const (
	itemValue = iota
	itemKey
)

// parsedTime is a time that was parsed for the duration, so that it is not parsed again for the event's time.
type parsedTime struct {
	place int // or -1
	unit  Unit
	ns    int64
}

// insidePlace is a place in JSON that is embedded as text at a shorter path.
type insidePlace struct {
	embedded *embedded
	place    int // in its shape
}

// embedded is a path at which some producers write JSON as text, and others an object.
type embedded struct {
	place  int
	path   []string
	below  [][]string // the paths read inside
	shape  *formats.Shape
	tried  bool // the text of this record was parsed
	isJSON bool // it is JSON
}

// openMap returns a reader for one worker.
func openMap(m *Map, p *formats.Paths) formats.Reader {
	r := &mapReader{m: m, absent: 1} // "" always means absent
	for _, text := range m.Absent {
		r.absent |= 1 << min(len(text), 63)
	}
	special := map[schema.Field]*mappedField{
		schema.Time: &r.time, schema.EventDuration: &r.duration, schema.SourceIP: &r.source, schema.EventAction: &r.action,
		schema.EventOutcome: &r.outcome, schema.Disposition: &r.disposition,
		schema.GenAIToolCalled: &r.called, schema.GenAIToolReturned: &r.returned,
	}
	needed := map[schema.Field]*mappedField{ // set directly too, and needed for other fields
		schema.HTTPResponseStatusCode: &r.status, schema.HTTPRequestMethod: &r.method, schema.GenAIOperationName: &r.operation,
		schema.MCPMethodName: &r.toolMethod, schema.UserAgentOriginal: &r.userAgent,
		schema.GenAIToolCallArguments: &r.arguments, schema.GenAIToolCallResult: &r.result,
		schema.HTTPRoute: &r.route, schema.GenAIToolName: &r.toolName,
	}
	for i := range m.Fields {
		f := mappedField{field: m.Fields[i].Field, from: r.openField(m.Fields[i].Field, m.Fields[i].From, p)}
		if field := special[f.field]; field != nil {
			*field = f
			continue
		}
		if field := needed[f.field]; field != nil {
			*field = f
		}
		r.fields = append(r.fields, f)
	}
	r.identity = r.openField(schema.AIAgentUID, m.Identity, p)
	r.classes = mappedField{schema.EventClass, r.openField(schema.EventClass, m.Classes, p)}
	if m.Chat != nil {
		r.chat = llm.NewConversation()
		r.request, r.response, r.tools = r.openSources(m.Chat.Request, p), r.openSources(m.Chat.Response, p), r.openSources(m.Chat.Tools, p)
		for _, s := range slices.Concat(m.Chat.Request, m.Chat.Response) {
			if s.Path != nil {
				p.Index(s.Path...)
			}
		}
	}
	for _, e := range r.embeds {
		e.shape = formats.NewShape(e.below...)
	}
	return r
}

// openField returns the sources of a field, with their places.
func (m *mapReader) openField(f schema.Field, from []MapSource, p *formats.Paths) []mappedSource {
	list := m.openSources(from, p)
	for i := range list {
		list[i].field, list[i].form = f, formOf(f)
	}
	return list
}

// openSources returns sources, with their places, for no particular field.
func (m *mapReader) openSources(from []MapSource, p *formats.Paths) []mappedSource {
	list := make([]mappedSource, len(from))
	for i := range from {
		s := mappedSource{MapSource: &from[i], rung: from[i].Rung(), place: -1, until: -1}
		s.plain = s.Path != nil && s.Value == "" && s.Pattern == nil && s.Table == nil
		s.bare = s.plain && !s.Hash
		if s.Table != nil {
			s.table = newTable(s.Table)
		}
		switch {
		case s.Item != nil: // several sources look into one list
			s.place = p.AddIndexed(s.Path...)
		case s.Path != nil:
			s.place = p.Add(s.Path...)
		}
		if item := s.Item; item != nil && item.Path != nil {
			paths := [][]string{itemValue: item.Path}
			if item.Key != "" {
				paths = append(paths, []string{item.Key})
			}
			s.item = formats.NewShape(paths...)
		}
		for _, path := range s.Forwarded {
			s.forwarded = append(s.forwarded, p.Add(path...))
		}
		if s.Until != nil {
			s.until = p.Add(s.Until...)
		}
		for n := len(s.Path) - 1; n > 0; n-- { // the longest path first
			e := m.embeddedAt(s.Path[:n], p)
			s.inside = append(s.inside, insidePlace{e, e.add(s.Path[n:])})
		}
		list[i] = s
	}
	return list
}

// plan makes the steps of the wanted fields. The set of wanted fields never changes.
func (m *mapReader) plan(el *formats.Element) {
	m.planned = true
	for i := range m.fields {
		f := &m.fields[i]
		if !el.Wanted(f.field) {
			continue
		}
		next := len(m.steps) + len(f.from)
		for _, s := range f.from {
			s.next = next
			m.steps = append(m.steps, s)
		}
	}
}

func (m *mapReader) embeddedAt(path []string, p *formats.Paths) *embedded {
	for _, e := range m.embeds {
		if samePath(e.path, path) {
			return e
		}
	}
	e := &embedded{path: path, place: p.Add(path...)}
	m.embeds = append(m.embeds, e)
	return e
}

// add adds a path inside the text and returns its place in the shape.
func (e *embedded) add(path []string) int {
	for i, known := range e.below {
		if samePath(known, path) {
			return i
		}
	}
	e.below = append(e.below, path)
	return len(e.below) - 1
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
func (m *mapReader) Read(el *formats.Element) {
	el.SetDataset(m.m.Dataset)
	m.reset(el)
	m.readDuration(el)
	if !m.start(el) {
		return
	}
	if !m.planned {
		m.plan(el)
	}
	for i := 0; i < len(m.steps); {
		s := &m.steps[i]
		if i++; m.lacks(el, s) {
			continue
		}
		if m.set(el, s); el.Event.Has(s.field) {
			i = s.next
		}
	}
	m.readSource(el)
	for i := range m.identity {
		if s := &m.identity[i]; !m.lacks(el, s) {
			name := el.SetAgent
			if s.Declared {
				if m.unauthenticated(el) {
					continue
				}
				name = el.DeclareAgent
			}
			name(s.rung, m.text(el, s)) // even if the agent is already named, so that faults are reported
		}
	}
	el.SetAgentByAddress(m.fieldText(el, &m.userAgent))
	m.setClass(el)
	m.setOutcome(el)
	if el.WantsWorkflowHash() { // the map has no name for it
		el.SetWorkflow(m.fieldText(el, &m.route))
	}
	if m.chat == nil {
		el.Emit()
		return
	}
	m.chat.Reset()
	m.chat.Tools(el, m.firstBody(el, m.tools))
	m.chat.Request(el, m.firstBody(el, m.request))
	m.chat.Response(el, m.firstBody(el, m.response))
	m.chat.Fill(el)
	m.chat.Emit(el)
}

// reset clears the state of the previous record.
func (m *mapReader) reset(el *formats.Element) {
	m.parsed.place, m.nested = -1, false
	for _, e := range m.embeds {
		e.tried, e.isJSON = el.At(e.place).Kind != scan.String, false
		m.nested = m.nested || !e.tried
	}
}

// lacks reports whether a source yields nothing because its place is empty, as most places are in most records. If it
// returns false, the source may still yield nothing.
func (m *mapReader) lacks(el *formats.Element, s *mappedSource) bool {
	return s.place >= 0 && el.At(s.place).Kind <= scan.Null && !m.nested
}

// node returns the value at a source's path. It is Absent if there is no value or if the value is a text that means
// absent.
func (m *mapReader) node(el *formats.Element, s *mappedSource) formats.Node {
	if s.place < 0 {
		return formats.Node{}
	}
	n := el.At(s.place)
	if s.Item != nil {
		return m.itemOf(el, s, n)
	}
	if n.Kind > scan.Null && n.Kind != scan.String {
		return n
	}
	for i := 0; n.Kind == scan.Absent && m.nested && i < len(s.inside); i++ {
		if e := s.inside[i].embedded; e.parse(el) {
			n = e.shape.At(s.inside[i].place)
		}
	}
	if n.Kind == scan.Null || n.Kind == scan.String && m.meansAbsent(n) {
		return formats.Node{}
	}
	return n
}

// itemOf returns the value of a source in a list. A list that is encoded in a text counts as a list.
func (m *mapReader) itemOf(el *formats.Element, s *mappedSource, list formats.Node) (value formats.Node) {
	if list.Kind == scan.String {
		list, _ = el.Unwrap(list)
	}
	if s.item == nil {
		if value = el.FirstItem(list); value.Kind == scan.String && m.meansAbsent(value) {
			return formats.Node{}
		}
		return value
	}
	s.item.Each(el, list, func(formats.Node) bool {
		if s.Item.Key != "" && !strings.EqualFold(el.Text(s.item.At(itemKey)), s.Item.Text) {
			return true
		}
		value = s.item.At(itemValue)
		return false
	})
	if value.Kind == scan.Null || value.Kind == scan.String && m.meansAbsent(value) {
		return formats.Node{}
	}
	return value
}

// meansAbsent reports whether a text means that the value is absent.
func (m *mapReader) meansAbsent(n formats.Node) bool {
	text := n.Src[n.Start+1 : n.End-1]
	if !m.mayMeanAbsent(text) || n.Escaped() {
		return false
	}
	return text == "" || slices.Contains(m.m.Absent, text)
}

// mayMeanAbsent reports whether a text has the length of one that means absent.
func (m *mapReader) mayMeanAbsent(text string) bool { return m.absent>>min(len(text), 63)&1 != 0 }

// parse parses the text as JSON, once per record, and reports whether it is JSON.
func (e *embedded) parse(el *formats.Element) bool {
	if e.tried {
		return e.isJSON
	}
	e.tried = true
	var n formats.Node
	if n, e.isJSON = el.Unwrap(el.At(e.place)); e.isJSON {
		e.shape.Select(el, n)
	}
	return e.isJSON
}

// firstBody returns the first body that is present. A text that holds JSON is parsed.
func (m *mapReader) firstBody(el *formats.Element, from []mappedSource) formats.Node {
	for i := range from {
		if n := m.node(el, &from[i]); n.Present() {
			n, _ = el.Unwrap(n)
			return n
		}
	}
	return formats.Node{}
}

// text returns the text of a source after all its steps, or "".
func (m *mapReader) text(el *formats.Element, s *mappedSource) string {
	if s.bare {
		if n := el.At(s.place); n.Kind == scan.String && !n.Escaped() { // nearly every text, without a call
			if text := n.Src[n.Start+1 : n.End-1]; !m.mayMeanAbsent(text) {
				return text
			}
		}
	}
	n := m.node(el, s)
	switch {
	case s.bare && (n.Kind == scan.String || n.Kind == scan.Number):
		return el.Text(n)
	case n.Kind == scan.Absent && s.place >= 0:
		return ""
	}
	return m.transform(el, s, n)
}

// transform returns the text of a source whose path holds n, after all its steps.
func (m *mapReader) transform(el *formats.Element, s *mappedSource, n formats.Node) string {
	text := s.Value
	if s.place >= 0 {
		if s.Value != "" && n.Kind != scan.Absent {
			return s.Value
		}
		text = ""
		switch n.Kind {
		case scan.String, scan.Number:
			text = el.Text(n)
		case scan.True, scan.False:
			if s.Table == nil { // a bool is not a text, unless a table translates it
				el.CountFault(s.field)
				return ""
			}
			text = n.Raw()
		case scan.Object, scan.Array:
			el.CountFault(s.field)
			return ""
		}
	}
	if s.Pattern != nil && text != "" {
		text, _ = m.matcher.find(s.Pattern, text)
	}
	if s.table != nil && text != "" {
		to, ok := s.table.of(text)
		if !ok {
			el.CountFault(s.field)
		}
		text = to
	}
	if s.Hash {
		text = el.HashSecret(text)
	}
	return text
}

// first returns the first text that a field's sources yield.
func (m *mapReader) first(el *formats.Element, f *mappedField) string {
	for i := range f.from {
		s := &f.from[i]
		if m.lacks(el, s) {
			continue
		}
		if text := m.text(el, s); text != "" {
			return text
		}
	}
	return ""
}

// fieldText is like first, for a field that a step has already set if it is wanted.
func (m *mapReader) fieldText(el *formats.Element, f *mappedField) string {
	if len(f.from) == 0 || el.Wanted(f.field) {
		return el.Event.Text(f.field)
	}
	return m.first(el, f)
}

// value returns the value of a source for a field that is not text: unchanged if the source is plain, else as a string.
func (m *mapReader) value(el *formats.Element, s *mappedSource) formats.Node {
	if s.plain {
		if n := el.At(s.place); n.Kind == scan.Number {
			return n
		}
		return m.node(el, s)
	}
	text := m.text(el, s)
	if text == "" {
		return formats.Node{}
	}
	quoted := el.Arena.Concat(`"`, text, `"`)
	return formats.Node{Src: quoted, Span: scan.Span{End: int32(len(quoted)), Kind: scan.String}}
}

// table holds the rows of MapSource.Table.
type table struct {
	rows     []row             // all but OtherRow, if there are at most fewRows
	byText   map[string]string // all, if there are more
	other    string            // the result of OtherRow
	hasOther bool              // there is an OtherRow
}

type row struct{ from, to string }

// fewRows is the number of rows up to which a linear search is faster than a map.
const fewRows = 8

func newTable(rows map[string]string) *table {
	t := new(table)
	t.other, t.hasOther = rows[OtherRow]
	if len(rows) > fewRows {
		t.byText = rows
		return t
	}
	for from, to := range rows {
		if from != OtherRow {
			t.rows = append(t.rows, row{from, to})
		}
	}
	return t
}

// of returns the result for a text; ok is false if the table lacks a row for it.
func (t *table) of(text string) (to string, ok bool) {
	for i := range t.rows {
		if t.rows[i].from == text {
			return t.rows[i].to, true
		}
	}
	if to, ok = t.byText[text]; ok {
		return to, true
	}
	return t.other, t.hasOther
}

// instant parses a time in a unit. With UnitNone, the value itself shows its unit.
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

// ticksTo1970 is the number of .NET ticks from the year 1 to 1970.
const ticksTo1970 = 621355968000000000
