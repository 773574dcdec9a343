package decode

import (
	"strings"

	"github.com/aidr-engine/aidr/schema"
	"github.com/aidr-engine/aidr/schema/formats"
	"github.com/aidr-engine/aidr/schema/scan"
)

// start sets the time. A map that has it at the activity's end counts back by the duration.
func (m *mapReader) start(r *formats.Record) bool {
	for i := range m.time.from {
		s := &m.time.from[i]
		n := m.value(r, s, schema.Time)
		if !n.Present() {
			continue
		}
		ns, ok := instant(n, s.Unit)
		if !ok {
			r.Fault(schema.Time)
			continue
		}
		if s.AtEnd {
			if began := ns - r.Event.Int(schema.EventDuration); began < ns { // a wrong one may go beyond 64 bits
				ns = began
			}
		}
		return r.StartAt(ns)
	}
	return r.Start()
}

func (m *mapReader) readDuration(r *formats.Record) {
	for i := range m.duration.from {
		s := &m.duration.from[i]
		if s.until >= 0 {
			m.span(r, s)
		} else {
			r.SetDuration(m.value(r, s, schema.EventDuration), s.Unit.nanos())
		}
		if r.Event.Has(schema.EventDuration) {
			return
		}
	}
}

// span sets the duration from two times.
func (m *mapReader) span(r *formats.Record, s *mappedSource) {
	from, to := m.value(r, s, schema.EventDuration), r.At(s.until)
	if !from.Present() || !to.Present() {
		return
	}
	start, ok := instant(from, s.Unit)
	end, ok2 := instant(to, s.Unit)
	switch {
	case !ok || !ok2:
		r.Fault(schema.EventDuration)
	case end >= start && end-start >= 0: // else it is not known
		r.Event.SetInt(schema.EventDuration, end-start)
	}
}

func (m *mapReader) readSource(r *formats.Record) {
	for i := range m.source.from {
		s := &m.source.from[i]
		n := m.value(r, s, schema.SourceIP)
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

// set sets a field from the first of its sources that gives something.
func (m *mapReader) set(r *formats.Record, f *mappedField) {
	for i := range f.from {
		s := &f.from[i]
		switch f.kind {
		case schema.TypeString:
			m.setText(r, f.field, s)
		case schema.TypeInt:
			r.SetInt(f.field, m.value(r, s, f.field))
		case schema.TypeDouble:
			m.setDouble(r, f.field, s)
		case schema.TypeTimestamp, schema.TypeBool: // Mappable names none
		case schema.TypeList:
			m.setList(r, f.field, s)
		case schema.TypeDyn:
			r.SetDyn(f.field, m.value(r, s, f.field))
		}
		if r.Event.Has(f.field) {
			return
		}
	}
}

// setText sets a text, in the form that the field always has.
func (m *mapReader) setText(r *formats.Record, f schema.Field, s *mappedSource) {
	text := m.text(r, s, f)
	switch f {
	case schema.URLPath:
		_, text = formats.SplitURL(text)
	case schema.URLDomain:
		text = hostOf(text)
	case schema.ServiceTargetName:
		if strings.Contains(text, "://") {
			text = hostOf(text)
		}
	case schema.SourceGeoCountryISOCode:
		text = upper(r, text)
	case schema.MessageContextPromptText, schema.MessageContextResponseText:
		r.SetContent(f, text)
		return
	}
	r.Put(f, text)
}

// upper returns a country's code in capitals, as the field always is; "" for what is none.
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
		return "" // a URL without one
	}
	return formats.Host(text)
}

func (m *mapReader) setDouble(r *formats.Record, f schema.Field, s *mappedSource) {
	if r.SetDouble(f, m.value(r, s, f)); s.Unit == UnitCent && r.Event.Has(f) {
		r.Event.Set(f, schema.DoubleValue(r.Event.Double(f)/100))
	}
}

// setList sets a list from an array of texts, or from one text.
func (m *mapReader) setList(r *formats.Record, f schema.Field, s *mappedSource) {
	if s.plain {
		if n := m.node(r, s); n.Kind == scan.Array {
			r.SetList(f, n)
			return
		}
	}
	if text := m.text(r, s, f); text != "" {
		r.StartList()
		r.ListItem(text)
		r.PutList(f)
	}
}

// class sets the class and the action: the map's own, else what its class usually is.
func (m *mapReader) class(r *formats.Record) {
	action := m.first(r, &m.action)
	switch m.m.Class {
	case formats.ClassAPI, classHTTP:
		method := m.said(r, &m.method)
		r.SetCall(method)
		if action == "" {
			action = method
		}
	case formats.ClassLLM:
		if action == "" {
			action = m.said(r, &m.operation)
		}
		if action == "" {
			action = defaultOperation
		}
		if !r.Event.Has(schema.GenAIOperationName) {
			r.Put(schema.GenAIOperationName, action)
		}
	case formats.ClassTool:
		if action == "" {
			action = m.said(r, &m.toolMethod)
		}
	}
	r.SetClass(m.m.Class, action)
}

const (
	classHTTP      = "http"
	classGuardrail = "guardrail"
	// defaultOperation is what a call of a model is where nothing else is said.
	defaultOperation = "chat"
)

// Classes returns what a map's class may be.
func Classes() []string {
	return []string{
		formats.ClassAPI, classHTTP, formats.ClassLLM, formats.ClassTool, formats.ClassAuth, formats.ClassAudit, classGuardrail,
	}
}

// judge sets the outcome: from the HTTP status, unless the map has one of its own; what a control blocked has failed.
func (m *mapReader) judge(r *formats.Record) {
	r.SetOutcome(formats.Unknown)
	for i := range m.status.from {
		n := m.value(r, &m.status.from[i], schema.HTTPResponseStatusCode)
		if status, ok := scan.Int(n.Src, n.Span); ok {
			r.SetStatus(status)
			break
		}
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
