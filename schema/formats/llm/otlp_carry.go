package llm

import (
	"github.com/aidr-engine/aidr/schema"
	"github.com/aidr-engine/aidr/schema/formats"
	"github.com/aidr-engine/aidr/schema/scan"
)

// minCarried is the number of attributes from which on they may be a record: no format has fewer keys.
const minCarried = 2

// carry offers the body and the attributes of a log record as records of other formats: collectors put the lines of access
// logs and of applications there. The resource is their context.
func (o *otlp) carry(el *formats.Element) {
	body := el.At(o.body)
	if text := el.At(o.bodyText); text.Kind == scan.String {
		body = text
	} else if body.Kind == scan.Object {
		body = o.attrs.plainBody(el, body)
	}
	if n, ok := el.Unwrap(body); ok && n.Kind == scan.Object {
		el.Charge(len(n.Raw()))
		el.Carry(n)
	} else if n.Kind == scan.String {
		el.Carry(n) // perhaps a line of keys and values
	}
	if n := o.asRecord(el, el.At(o.attributes)); n.Present() {
		el.Carry(n)
	}
	for _, at := range [...]formats.Node{el.At(o.time), el.At(o.observed)} {
		if ns, ok := instant(at); ok && !zero(at) {
			el.SurroundTime(ns)
			break
		}
	}
	a := o.attrs
	if service := o.service(el); !isGateway(service) {
		el.Surround(schema.AIAgentUID, service)
		el.Surround(schema.AIAgentInstanceUID, el.Text(a.at(attrServiceInstance)))
	}
	el.Surround(schema.TraceID, traceID(el, el.At(o.traceID)))
	el.Surround(schema.SpanID, traceID(el, el.At(o.spanID)))
	el.Surround(schema.CloudProvider, el.Text(a.at(attrCloudProvider)))
	el.Surround(schema.CloudAccountID, el.Text(a.at(attrCloudAccount)))
	el.Surround(schema.CloudRegion, el.Text(a.at(attrCloudRegion)))
}

// asRecord returns attributes as a plain object, or an absent node if they are too few for a record.
func (o *otlp) asRecord(el *formats.Element, list formats.Node) formats.Node {
	if list.Kind == scan.Object {
		return list
	}
	el.Charge(len(list.Raw()))
	n := 0
	el.Index.Each(list.Src, list.Span, func(scan.Span) bool { n++; return true })
	if n < minCarried {
		return formats.Node{}
	}
	o.text = appendPlainMembers(o.text[:0], el, o.attrs.shape, list, 0)
	return el.Parse(o.text)
}
