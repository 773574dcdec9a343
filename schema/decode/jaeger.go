package decode

import (
	"strconv"
	"time"

	"github.com/aidr-engine/aidr/schema/formats"
	"github.com/aidr-engine/aidr/schema/scan"
)

// jaeger holds the places of the keys of Jaeger's traces and spans in JSON, which are read as requests of OTLP.
type jaeger struct {
	traceID, spans, processes int // of a trace, as Jaeger's API has it: traceID, spans, processes
	spanTrace, operation      int // of a span, as Jaeger's collector writes it to Kafka: traceId, operationName
	process                   int // process.serviceName
	span, tag, reference      *formats.Shape
}

// Places in the shape of a span. The API and the collector spell some keys differently.
const (
	jaegerTrace = iota
	jaegerTraceProto
	jaegerSpan
	jaegerSpanProto
	jaegerName
	jaegerStart
	jaegerDuration
	jaegerTags
	jaegerReferences
	jaegerProcess
	jaegerService
)

// Places in the shape of a tag. The API has one key for values of all types, the collector one for each type.
const (
	tagKey = iota
	tagValue
	tagText
	tagBool
	tagInt
	tagFloat
)

func openJaeger(p *formats.Paths) jaeger {
	return jaeger{
		traceID: p.Add("traceID"), spans: p.Add("spans"), processes: p.Add("processes"),
		spanTrace: p.Add("traceId"), operation: p.Add("operationName"), process: p.Add("process", "serviceName"),
		span: formats.NewShape([][]string{
			jaegerTrace: {"traceID"}, jaegerTraceProto: {"traceId"}, jaegerSpan: {"spanID"}, jaegerSpanProto: {"spanId"},
			jaegerName: {"operationName"}, jaegerStart: {"startTime"}, jaegerDuration: {"duration"}, jaegerTags: {"tags"},
			jaegerReferences: {"references"}, jaegerProcess: {"processID"}, jaegerService: {"process", "serviceName"},
		}...),
		tag: formats.NewShape([][]string{
			tagKey: {"key"}, tagValue: {"value"}, tagText: {"vStr"}, tagBool: {"vBool"}, tagInt: {"vInt64"}, tagFloat: {"vFloat64"},
		}...),
		reference: formats.NewShape([]string{"spanID"}, []string{"spanId"}),
	}
}

// peelJaeger decodes a trace or a span of Jaeger. It returns false if the object is neither.
func (d *Decoder) peelJaeger(src string, v scan.Span, level int) bool {
	j := &d.envelope.jaeger
	record := append(d.json[:0], `{"resourceSpans":[`...)
	switch {
	case d.has(j.traceID) && d.found[j.spans].Kind == scan.Array && d.has(j.processes):
		services := map[string]string{}
		d.elem.Index.Members(src, d.found[j.processes], &d.elem.Arena, func(id string, process scan.Span) bool {
			d.elem.Index.Members(src, process, &d.elem.Arena, func(key string, name scan.Span) bool {
				if key == "serviceName" {
					services[id] = d.elem.Text(formats.Node{Src: src, Span: name})
				}
				return true
			})
			return true
		})
		j.span.Each(d.elem, formats.Node{Src: src, Span: d.found[j.spans]}, func(formats.Node) bool {
			record = append(d.appendJaegerSpan(record, services), ',')
			return len(record) < MaxRecord
		})
	case d.has(j.spanTrace) && d.has(j.operation) && d.has(j.process):
		j.span.Select(d.elem, formats.Node{Src: src, Span: v})
		record = append(d.appendJaegerSpan(record, nil), ',')
	default:
		return false
	}
	d.json = append(record, `{}]}`...)
	d.decodeRebuilt(src, v, "Jaeger", level)
	return true
}

// appendJaegerSpan appends the current span as a resource of OTLP with one span.
func (d *Decoder) appendJaegerSpan(dst []byte, services map[string]string) []byte {
	s, text := d.envelope.jaeger.span, d.elem.Text
	service := text(s.At(jaegerService))
	if id := text(s.At(jaegerProcess)); service == "" {
		service = services[id]
	}
	dst = append(dst, `{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":`...)
	dst = formats.AppendString(dst, service)
	dst = append(dst, `}}]},"scopeSpans":[{"spans":[{"traceId":`...)
	dst = formats.AppendString(dst, d.elem.FirstText(s.At(jaegerTrace), s.At(jaegerTraceProto)))
	dst = formats.AppendString(append(dst, `,"spanId":`...), d.elem.FirstText(s.At(jaegerSpan), s.At(jaegerSpanProto)))
	dst = formats.AppendString(append(dst, `,"name":`...), text(s.At(jaegerName)))
	d.envelope.jaeger.reference.Select(d.elem, d.elem.FirstItem(s.At(jaegerReferences)))
	parent := d.elem.FirstText(d.envelope.jaeger.reference.At(0), d.envelope.jaeger.reference.At(1))
	dst = formats.AppendString(append(dst, `,"parentSpanId":`...), parent)
	if start := s.At(jaegerStart); start.Present() {
		if ns, ok := scan.Time(start.Src, start.Span); ok {
			dst = append(strconv.AppendInt(append(dst, `,"startTimeUnixNano":"`...), ns, 10), '"')
			dst = append(strconv.AppendInt(append(dst, `,"endTimeUnixNano":"`...), ns+jaegerNanos(s.At(jaegerDuration), text), 10), '"')
		}
	}
	return d.appendJaegerTags(append(dst, `,"attributes":[`...))
}

// jaegerNanos returns a duration, which is a number of microseconds or a text with its unit, in ns, or 0.
func jaegerNanos(n formats.Node, text func(formats.Node) string) int64 {
	if us, ok := scan.Int(n.Src, n.Span); ok && us > 0 && us < int64(maxJaegerDuration/time.Microsecond) {
		return us * int64(time.Microsecond)
	}
	if d, err := time.ParseDuration(text(n)); err == nil && d > 0 && d < maxJaegerDuration {
		return int64(d)
	}
	return 0
}

// maxJaegerDuration bounds a span's duration.
const maxJaegerDuration = 365 * 24 * time.Hour

// appendJaegerTags appends the tags of the current span as attributes, and what two of them state: the kind and the status.
func (d *Decoder) appendJaegerTags(dst []byte) []byte {
	tag := d.envelope.jaeger.tag
	kind, failed, first := "1", false, true
	tag.Each(d.elem, d.envelope.jaeger.span.At(jaegerTags), func(formats.Node) bool {
		key, value := d.elem.Text(tag.At(tagKey)), formats.Node{}
		for place := tagValue; place <= tagFloat && !value.Present(); place++ {
			value = tag.At(place)
		}
		text := d.elem.Text(value)
		if value.Kind == scan.True || value.Kind == scan.False {
			text = value.Raw()
		}
		switch {
		case key == "span.kind" && text == "server":
			kind = "2"
		case key == "span.kind" && text == "client":
			kind = "3"
		case key == "error" && text == "true", key == "otel.status_code" && text == "ERROR":
			failed = true
		}
		if !first {
			dst = append(dst, ',')
		}
		first = false
		dst = formats.AppendString(append(dst, `{"key":`...), key)
		dst = formats.AppendString(append(dst, `,"value":{"stringValue":`...), text)
		dst = append(dst, `}}`...)
		return true
	})
	dst = append(append(dst, `],"kind":`...), kind...)
	if failed {
		dst = append(dst, `,"status":{"code":2}`...)
	}
	return append(dst, `}]}]}`...)
}
