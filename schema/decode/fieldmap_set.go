package decode

import (
	"strings"

	"github.com/aidr-engine/aidr/schema"
	"github.com/aidr-engine/aidr/schema/formats"
	"github.com/aidr-engine/aidr/schema/scan"
)

// start sets the time. If the map gives the time of the end, the duration is subtracted.
func (m *mapReader) start(r *formats.Record) bool {
	for i := range m.time.from {
		s := &m.time.from[i]
		if m.lacks(r, s) {
			continue
		}
		n := m.value(r, s)
		if !n.Present() {
			continue
		}
		ns, ok := m.parsed.ns, s.plain && m.parsed.place == s.place && m.parsed.unit == s.Unit
		if !ok {
			ns, ok = instant(n, s.Unit)
		}
		if !ok {
			r.Fault(schema.Time)
			continue
		}
		if s.AtEnd {
			if start := ns - r.Event.Int(schema.EventDuration); start < ns { // a wrong duration may overflow
				ns = start
			}
		}
		return r.StartAt(ns)
	}
	return r.Start()
}

func (m *mapReader) readDuration(r *formats.Record) {
	for i := range m.duration.from {
		s := &m.duration.from[i]
		if m.lacks(r, s) {
			continue
		}
		if s.until >= 0 {
			m.durationBetween(r, s)
		} else {
			r.SetDuration(m.value(r, s), s.Unit.nanos())
		}
		if r.Event.Has(schema.EventDuration) {
			return
		}
	}
}

// durationBetween sets the duration from two times.
func (m *mapReader) durationBetween(r *formats.Record, s *mappedSource) {
	from, to := m.value(r, s), r.At(s.until)
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
		r.Fault(schema.EventDuration)
	case end >= start && end-start >= 0: // else the duration is unknown
		r.Event.SetInt(schema.EventDuration, end-start)
	}
}

func (m *mapReader) readSource(r *formats.Record) {
	for i := range m.source.from {
		s := &m.source.from[i]
		if m.lacks(r, s) {
			continue
		}
		n := m.value(r, s)
		if !n.Present() {
			continue
		}
		forwarded := ""
		for i := 0; i < len(s.forwarded) && forwarded == ""; i++ {
			forwarded = r.Text(r.At(s.forwarded[i]))
		}
		if forwarded == "" || !r.SetSource(r.Text(n), forwarded) {
			r.SetCaller(n)
		}
		if r.Event.Has(schema.SourceIP) || r.Event.Has(schema.SourceDomain) {
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
	return asNothing // Mappable allows no bool, and no time except the event's
}

// set sets a step's field if the source yields a value. The field must be wanted and absent.
func (m *mapReader) set(r *formats.Record, s *mappedSource) {
	switch s.form {
	case asText:
		r.Event.SetText(s.field, m.text(r, s))
	case asPath:
		r.Event.SetText(s.field, formats.URLPath(m.text(r, s)))
	case asHost:
		r.Event.SetText(s.field, hostOf(m.text(r, s)))
	case asTarget:
		text := m.text(r, s)
		if strings.Contains(text, "://") {
			text = hostOf(text)
		}
		r.Event.SetText(s.field, text)
	case asCountry:
		r.Event.SetText(s.field, upper(r, m.text(r, s)))
	case asContent:
		r.SetContent(s.field, m.text(r, s))
	case asInt:
		r.SetInt(s.field, m.value(r, s))
	case asDouble:
		m.setDouble(r, s)
	case asList:
		m.setList(r, s)
	case asAny:
		r.SetDyn(s.field, m.value(r, s))
	case asNothing:
	}
}

// upper returns a country code in capitals, the only form that the field has, or "" if it is not a code.
func upper(r *formats.Record, code string) string {
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
	return r.Arena.Hold(capitals[:])
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

func (m *mapReader) setDouble(r *formats.Record, s *mappedSource) {
	if r.SetDouble(s.field, m.value(r, s)); s.Unit == UnitCent && r.Event.Has(s.field) {
		r.Event.Set(s.field, schema.DoubleValue(r.Event.Double(s.field)/100))
	}
}

// setList sets a list from an array of texts, or from one text.
func (m *mapReader) setList(r *formats.Record, s *mappedSource) {
	if s.plain {
		if n := m.node(r, s); n.Kind == scan.Array {
			r.SetList(s.field, n)
			return
		}
	}
	if text := m.text(r, s); text != "" {
		r.StartList()
		r.ListItem(text)
		r.PutList(s.field)
	}
}

// setClass sets the class, and the action: the map's own, else the usual action of the class.
func (m *mapReader) setClass(r *formats.Record) {
	action := m.first(r, &m.action)
	switch m.m.Class {
	case formats.ClassAPI, classHTTP:
		method := m.fieldText(r, &m.method)
		r.SetCallType(method)
		if action == "" {
			action = method
		}
	case formats.ClassLLM:
		if action == "" {
			action = m.fieldText(r, &m.operation)
		}
		if action == "" {
			action = defaultOperation
		}
		if !r.Event.Has(schema.GenAIOperationName) {
			r.Put(schema.GenAIOperationName, action)
		}
	case formats.ClassTool:
		if action == "" {
			action = m.fieldText(r, &m.toolMethod)
		}
	}
	r.SetClass(m.m.Class, action)
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
func (m *mapReader) setOutcome(r *formats.Record) {
	r.SetOutcome(formats.Unknown)
	if status, ok := m.statusOf(r); ok {
		r.SetStatus(status)
	}
	switch outcome := m.first(r, &m.outcome); outcome {
	case formats.Success, formats.Failure, formats.Unknown:
		r.SetOutcome(outcome)
	case "":
	default:
		r.Fault(schema.EventOutcome)
	}
	switch disposition := m.first(r, &m.disposition); disposition {
	case formats.Blocked:
		r.Block()
	case "":
	default:
		r.Put(schema.Disposition, disposition)
	}
}

// statusOf returns the HTTP status, even if it is impossible and the field therefore stays absent.
func (m *mapReader) statusOf(r *formats.Record) (status int64, ok bool) {
	if len(m.status.from) == 1 && r.Event.Has(m.status.field) {
		return r.Event.Int(m.status.field), true
	}
	for i := range m.status.from {
		if m.lacks(r, &m.status.from[i]) {
			continue
		}
		n := m.value(r, &m.status.from[i])
		if status, ok = scan.Int(n.Src, n.Span); ok {
			return status, true
		}
	}
	return 0, false
}
