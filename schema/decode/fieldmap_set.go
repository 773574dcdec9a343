package decode

import (
	"strings"

	"github.com/aidr-engine/aidr/schema"
	"github.com/aidr-engine/aidr/schema/formats"
	"github.com/aidr-engine/aidr/schema/scan"
)

// start sets the time. If the map gives the time of the end, the duration is subtracted.
func (m *mapReader) start(el *formats.Element) bool {
	for i := range m.time.from {
		s := &m.time.from[i]
		if m.lacks(el, s) {
			continue
		}
		n := m.value(el, s)
		if !n.Present() {
			continue
		}
		ns, ok := m.parsed.ns, s.plain && s.Item == nil && m.parsed.place == s.place && m.parsed.unit == s.Unit
		if !ok {
			ns, ok = instant(n, s.Unit)
		}
		if !ok {
			el.CountFault(schema.Time)
			continue
		}
		if s.AtEnd {
			if start := ns - el.Event.Int(schema.EventDuration); start < ns { // a wrong duration may overflow
				ns = start
			}
		}
		return el.SetTimeNanos(ns)
	}
	return el.SetTime()
}

func (m *mapReader) readDuration(el *formats.Element) {
	for i := range m.duration.from {
		s := &m.duration.from[i]
		if m.lacks(el, s) {
			continue
		}
		if s.until >= 0 {
			m.durationBetween(el, s)
		} else {
			el.CopyDuration(m.value(el, s), s.Unit.nanos())
		}
		if el.Event.Has(schema.EventDuration) {
			return
		}
	}
}

// durationBetween sets the duration from two times.
func (m *mapReader) durationBetween(el *formats.Element, s *mappedSource) {
	from, to := m.value(el, s), el.At(s.until)
	if !from.Present() || !to.Present() {
		return
	}
	start, ok := instant(from, s.Unit)
	if ok && s.plain {
		m.parsed = parsedTime{s.place, s.Unit, start}
	}
	end, endOK := instant(to, s.Unit)
	switch {
	case !ok || !endOK:
		el.CountFault(schema.EventDuration)
	case end >= start && end-start >= 0: // else the duration is unknown
		el.Event.SetInt(schema.EventDuration, end-start)
	}
}

func (m *mapReader) readSource(el *formats.Element) {
	for i := range m.source.from {
		s := &m.source.from[i]
		if m.lacks(el, s) {
			continue
		}
		n := m.value(el, s)
		if !n.Present() {
			continue
		}
		forwarded := ""
		for i := 0; i < len(s.forwarded) && forwarded == ""; i++ {
			forwarded = el.Text(el.At(s.forwarded[i]))
		}
		if forwarded == "" || !el.SetSourceIP(el.Text(n), forwarded) {
			el.CopySource(n)
		}
		if el.Event.Has(schema.SourceIP) || el.Event.Has(schema.SourceDomain) {
			return
		}
	}
}

// form is the conversion from a source's value to the value of its field.
type form uint8

const (
	asText form = iota
	asPath
	asHost
	asTarget
	asCountry
	asContent
	asInt
	asDouble
	asList
	asAny
	asNothing
)

// formOf returns the form of a field.
func formOf(f schema.Field) form {
	switch f {
	case schema.URLPath:
		return asPath
	case schema.URLDomain:
		return asHost
	case schema.ServiceTargetName:
		return asTarget
	case schema.SourceGeoCountryISOCode:
		return asCountry
	case schema.MessageContextPromptText, schema.MessageContextResponseText:
		return asContent
	}
	switch f.Info().Type {
	case schema.TypeString:
		return asText
	case schema.TypeInt:
		return asInt
	case schema.TypeDouble:
		return asDouble
	case schema.TypeList:
		return asList
	case schema.TypeDyn:
		return asAny
	}
	return asNothing // bools, and the event's time, are set separately; Mappable allows no other time
}

// set sets a step's field if the source yields a value. The field must be wanted and absent.
func (m *mapReader) set(el *formats.Element, s *mappedSource) {
	switch s.form {
	case asText:
		el.Event.SetText(s.field, m.text(el, s))
	case asPath:
		el.Event.SetText(s.field, formats.URLPath(m.text(el, s)))
	case asHost:
		el.Event.SetText(s.field, hostOf(m.text(el, s)))
	case asTarget:
		text := m.text(el, s)
		if strings.Contains(text, "://") {
			text = hostOf(text)
		}
		el.Event.SetText(s.field, text)
	case asCountry:
		el.Event.SetText(s.field, upper(el, m.text(el, s)))
	case asContent:
		el.SetContent(s.field, m.text(el, s))
	case asInt:
		el.CopyInt(s.field, m.value(el, s))
	case asDouble:
		m.setDouble(el, s)
	case asList:
		m.setList(el, s)
	case asAny:
		el.CopyUnwrapped(s.field, m.value(el, s))
	case asNothing:
	}
}

// upper returns a country code in capitals, the only form that the field has, or "" if it is not a code.
func upper(el *formats.Element, code string) string {
	if len(code) != 2 {
		return ""
	}
	capitals := [2]byte{code[0] &^ 0x20, code[1] &^ 0x20}
	for _, c := range capitals {
		if c < 'A' || c > 'Z' {
			return ""
		}
	}
	if string(capitals[:]) == code {
		return code
	}
	return el.Arena.Copy(capitals[:])
}

// hostOf returns the host of a URL or of an authority.
func hostOf(text string) string {
	if host, _ := formats.SplitURL(text); host != "" {
		return host
	}
	if strings.HasPrefix(text, "/") {
		return "" // a URL without a host
	}
	return formats.Host(text)
}

func (m *mapReader) setDouble(el *formats.Element, s *mappedSource) {
	if el.CopyDouble(s.field, m.value(el, s)); s.Unit == UnitCent && el.Event.Has(s.field) {
		el.Event.Set(s.field, schema.DoubleValue(el.Event.Double(s.field)/100))
	}
}

// setList sets a list from an array of texts, or from one text.
func (m *mapReader) setList(el *formats.Element, s *mappedSource) {
	if s.plain {
		if n := m.node(el, s); n.Kind == scan.Array {
			el.CopyList(s.field, n)
			return
		}
	}
	if text := m.text(el, s); text != "" {
		el.BeginList()
		el.AddListItem(text)
		el.EndList(s.field)
	}
}

// setClass sets the class, and the action: the map's own, else the usual action of the class.
func (m *mapReader) setClass(el *formats.Element) {
	action := m.first(el, &m.action)
	class := m.m.Class
	if stated := m.first(el, &m.classes); stated != "" {
		class = stated
	}
	switch class {
	case formats.ClassAPI, classHTTP:
		method := m.fieldText(el, &m.method)
		el.SetMethodType(method)
		if action == "" {
			action = method
		}
	case formats.ClassLLM:
		if action == "" {
			action = m.fieldText(el, &m.operation)
		}
		if action == "" {
			action = defaultOperation
		}
		if !el.Event.Has(schema.GenAIOperationName) {
			el.SetText(schema.GenAIOperationName, action)
		}
	case formats.ClassTool:
		if action == "" {
			action = m.fieldText(el, &m.toolMethod)
		}
	}
	el.SetClass(class, action)
	m.setPhases(el, class, action)
	if len(m.toolName.from) > 0 && !formats.OfTool(class, action) && (class == formats.ClassTool || len(m.classes.from) > 0) {
		m.clearTool(el, action)
	}
}

// clearTool removes the name of a tool from an event that does not concern one: that of another method of MCP, or of a record
// that the map's sources of the class take for something else. The name of a prompt becomes the resource's.
func (m *mapReader) clearTool(el *formats.Element, action string) {
	if action == formats.ActionPrompt && !el.Event.Has(schema.ResourceName) {
		el.SetText(schema.ResourceName, m.fieldText(el, &m.toolName))
	}
	el.Event.Set(schema.GenAIToolName, schema.Value{})
	if class := el.Event.Text(schema.EventClass); class != formats.ClassTool {
		el.Event.Set(schema.GenAIToolCallID, schema.Value{})
		el.Event.Set(schema.GenAIToolCallArguments, schema.Value{})
	}
}

// setPhases sets gen_ai.tool.called and gen_ai.tool.returned: the map's own, else, for class tool, those that follow from the
// action and from the parts of a call that the record holds.
func (m *mapReader) setPhases(el *formats.Element, class, action string) {
	if !el.Wanted(schema.GenAIToolCalled) && !el.Wanted(schema.GenAIToolReturned) {
		return
	}
	var shown formats.Phase
	if class == formats.ClassTool {
		shown = formats.ToolPhase(action, m.holds(el, &m.arguments), m.holds(el, &m.result))
	}
	if len(m.called.from) > 0 {
		shown &^= formats.Called
		if m.isTrue(el, &m.called) {
			shown |= formats.Called
		}
	}
	if len(m.returned.from) > 0 {
		shown &^= formats.Returned
		if m.isTrue(el, &m.returned) {
			shown |= formats.Returned
		}
	}
	el.SetPhase(shown)
}

// holds reports whether the record has a value for a field, whether the field is wanted or not.
func (m *mapReader) holds(el *formats.Element, f *mappedField) bool {
	for i := range f.from {
		if s := &f.from[i]; !m.lacks(el, s) && (s.place < 0 || m.node(el, s).Present()) {
			return true
		}
	}
	return false
}

// isTrue returns the first value that the sources of a bool field yield. Any value but true, false and the texts of these is a
// field error.
func (m *mapReader) isTrue(el *formats.Element, f *mappedField) bool {
	for i := range f.from {
		s := &f.from[i]
		if m.lacks(el, s) {
			continue
		}
		if n := m.node(el, s); s.plain && (n.Kind == scan.True || n.Kind == scan.False) {
			return n.Kind == scan.True
		}
		switch m.text(el, s) {
		case "true":
			return true
		case "false":
			return false
		case "":
		default:
			el.CountFault(f.field)
		}
	}
	return false
}

const (
	classHTTP      = "http"
	classGuardrail = "guardrail"
	// defaultOperation is the operation of a model call that the map does not name.
	defaultOperation = "chat"
)

// Classes returns the classes that a map may have.
func Classes() []string {
	return []string{
		formats.ClassAPI, classHTTP, formats.ClassLLM, formats.ClassTool, formats.ClassAuth, formats.ClassAudit, classGuardrail,
	}
}

// setOutcome sets the outcome: the map's own, else that of the HTTP status. An activity that a control blocked has
// failed.
func (m *mapReader) setOutcome(el *formats.Element) {
	el.SetOutcome(formats.Unknown)
	if status, ok := m.statusOf(el); ok {
		el.SetHTTPStatus(status)
	}
	switch outcome := m.first(el, &m.outcome); outcome {
	case formats.Success, formats.Failure, formats.Unknown:
		el.SetOutcome(outcome)
	case "":
	default:
		el.CountFault(schema.EventOutcome)
	}
	switch disposition := m.first(el, &m.disposition); disposition {
	case formats.Blocked:
		el.SetBlocked()
	case "":
	default:
		el.SetText(schema.Disposition, disposition)
	}
}

// statusOf returns the HTTP status, even if it is impossible and the field therefore stays absent.
func (m *mapReader) statusOf(el *formats.Element) (status int64, ok bool) {
	if len(m.status.from) == 1 && el.Event.Has(m.status.field) {
		return el.Event.Int(m.status.field), true
	}
	for i := range m.status.from {
		if m.lacks(el, &m.status.from[i]) {
			continue
		}
		n := m.value(el, &m.status.from[i])
		if status, ok = scan.Int(n.Src, n.Span); ok {
			return status, true
		}
	}
	return 0, false
}

// unauthenticated reports whether the gateway refused to authenticate the caller and no principal is known: an id that such a
// caller declares names nobody.
func (m *mapReader) unauthenticated(el *formats.Element) bool {
	if el.Event.Has(schema.AIAgentUID) {
		return false
	}
	status, ok := m.statusOf(el)
	return ok && status == formats.StatusUnauthenticated
}
