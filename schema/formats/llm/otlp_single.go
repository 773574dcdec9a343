package llm

import (
	"github.com/aidr-engine/aidr/schema/formats"
	"github.com/aidr-engine/aidr/schema/scan"
)

// OTelRecord reads spans and log records of OpenTelemetry that are records of their own, with their resource, their scope
// and plain attributes: those that CloudWatch keeps in aws/spans and in the logs of AgentCore, and those that the console
// exporters of the SDKs print.
func OTelRecord() formats.Format {
	return formats.Format{
		Name:     "otel_record",
		Aliases:  []string{"aws_spans", "agentcore"},
		Datasets: []string{claudeCodeDataset, otelDataset, otelHTTPDataset},
		Families: []string{formats.FamilyLLM},
		Apart:    map[string][]string{otelHTTPDataset: {formats.FamilyGateway}},
		Signatures: []formats.Signature{
			{Keys: []string{"traceId", "spanId", "startTimeUnixNano", "attributes"}},
			{Keys: []string{"resource", "scope", "timeUnixNano", "body"}},
			{Keys: []string{"resource", "scope", "observedTimeUnixNano", "body"}},
			{Keys: []string{"context", "start_time", "end_time", "attributes", "resource"}},
			{Keys: []string{"body", "severity_text", "attributes", "trace_id", "resource"}},
			// Phoenix's spans.
			{Keys: []string{"context", "span_kind", "start_time", "attributes"}},
			// Spans alone, without their resource and their ids.
			{Keys: []string{"name", "kind", "attributes"}, Path: []string{"kind"}, Text: "SPAN_KIND_INTERNAL"},
			{Keys: []string{"name", "kind", "attributes"}, Path: []string{"kind"}, Text: "SPAN_KIND_CLIENT"},
			{Keys: []string{"name", "kind", "attributes"}, Path: []string{"kind"}, Text: "SPAN_KIND_SERVER"},
		},
		NewReader: openOTelRecord,
	}
}

// otelRecord reads these records. Its int fields are places in a record.
type otelRecord struct {
	lower, console                    *otlp // of OTLP's own keys, and of the console exporters'
	resource, resources, scope        int   // resource.attributes, resource, scope.name
	library, scopeAttributes          int   // instrumentation_scope.name, scope.attributes
	start, startConsole, traceConsole int   // startTimeUnixNano, start_time, trace_id
	kind                              int   // kind
}

func openOTelRecord(p *formats.Paths) formats.Reader {
	lower, console := openOTLP(p).(*otlp), openOTLP(p).(*otlp)
	console.traceID, console.spanID, console.parentID = p.Add("context", "trace_id"), p.Add("context", "span_id"), p.Add("parent_id")
	console.start, console.end, console.status = p.Add("start_time"), p.Add("end_time"), p.Add("status", "status_code")
	console.time, console.observed = p.Add("timestamp"), p.Add("observed_timestamp")
	return &otelRecord{
		lower: lower, console: console,
		resource: p.AddIndexed("resource", "attributes"), resources: p.Add("resource"), scope: p.Add("scope", "name"),
		library: p.Add("instrumentation_scope", "name"), scopeAttributes: p.Add("scope", "attributes"),
		start: p.Add("startTimeUnixNano"), startConsole: p.Add("start_time"), traceConsole: p.Add("trace_id"),
		kind: p.Add("kind"),
	}
}

func (r *otelRecord) Read(el *formats.Element) {
	o, logs := r.lower, !el.At(r.start).Present() && !el.At(r.kind).Present()
	if el.At(r.startConsole).Present() || el.At(r.traceConsole).Present() {
		o, logs = r.console, !el.At(r.startConsole).Present()
	}
	o.logs = logs
	o.traces.begin(formats.Node{})
	o.forget()
	attributes := el.At(o.attributes)
	o.attrs.isPlain = attributes.Kind != scan.Array || !el.FirstItem(attributes).Present()
	o.shared.reset()
	if shared := el.At(r.resource); shared.Present() {
		o.shared.read(el, shared)
	} else {
		o.shared.read(el, el.At(r.resources))
	}
	o.shared.save()
	o.shared.read(el, el.At(r.scopeAttributes))
	o.setScope(el.FirstText(el.At(r.scope), el.At(r.library)))
	o.Read(el)
}

// conversation returns the messages of a call, and reports whether the body of a log record holds them: CloudWatch's agents move them
// there from the spans of any framework.
func (o *otlp) conversation(el *formats.Element) (input, output formats.Node, ok bool) {
	body := el.At(o.body)
	if body.Kind != scan.Object {
		return input, output, false
	}
	body = o.attrs.plainBody(el, body)
	o.exchange.Select(el, body)
	input, output = o.exchange.At(exchangeInput), o.exchange.At(exchangeOutput)
	return input, output, input.Kind == scan.Array || output.Kind == scan.Array
}

// Places in the shape of such a body.
const (
	exchangeInput = iota
	exchangeOutput
)

// readConversation reads the messages of such a body.
func (o *otlp) readConversation(el *formats.Element, input, output formats.Node) {
	c := o.chat
	o.head(el, "chat")
	c.Request(el, o.unwrapped(el, input))
	c.Response(el, o.unwrapped(el, output))
	c.Fill(el)
	c.Emit(el)
}

// unwrapped returns messages whose content, an object with the content or a text of JSON, is the content itself.
func (o *otlp) unwrapped(el *formats.Element, list formats.Node) formats.Node {
	dst := append(o.text[:0], '[')
	el.Index.Each(list.Src, list.Span, func(elem scan.Span) bool {
		n := formats.Node{Src: list.Src, Span: elem}
		if elem.Kind != scan.Object {
			return true
		}
		if len(dst) > 1 {
			dst = append(dst, ',')
		}
		dst = append(dst, '{')
		first := true
		el.Index.Members(n.Src, n.Span, &el.Arena, func(key string, v scan.Span) bool {
			value := formats.Node{Src: n.Src, Span: v}
			if key == "content" {
				value, _ = contentOf(el, value)
			}
			if !value.Present() {
				return true
			}
			if !first {
				dst = append(dst, ',')
			}
			first = false
			dst = append(append(formats.AppendString(dst, key), ':'), value.Raw()...)
			return true
		})
		dst = append(dst, '}')
		return true
	})
	o.text = append(dst, ']')
	return el.Parse(o.text)
}
