package llm

import (
	"github.com/aidr-engine/aidr/schema"
	"github.com/aidr-engine/aidr/schema/formats"
	"github.com/aidr-engine/aidr/schema/scan"
)

// exchange holds the places of a record whose request and response are whole HTTP messages, each with a body of its own, as
// proxies that know nothing of models log them.
type exchange struct {
	request, response               int // request.body, response.body
	requestHeaders, responseHeaders int // request.headers, response.headers
	url, status, statusCode         int // request.url, response.status, response.status_code
}

func openExchange(p *formats.Paths) exchange {
	return exchange{
		request: p.Add("request", "body"), response: p.Add("response", "body"),
		requestHeaders: p.Add("request", "headers"), responseHeaders: p.Add("response", "headers"),
		url: p.Add("request", "url"), status: p.Add("response", "status"), statusCode: p.Add("response", "status_code"),
	}
}

// fits reports whether the record is one. The response decides, because the caller may write anything into its body: the answer
// of a provider has neither a body nor headers.
func (x *exchange) fits(el *formats.Element) bool {
	switch el.At(x.response).Kind {
	case scan.Object, scan.Array, scan.String:
		return el.At(x.responseHeaders).Present() || el.At(x.status).Kind == scan.Number || el.At(x.statusCode).Kind == scan.Number
	}
	return false
}

// outcome sets the outcome by the status of the response.
func (x *exchange) outcome(el *formats.Element) {
	for _, place := range [...]int{x.status, x.statusCode} {
		n := el.At(place)
		if status, ok := scan.Int(n.Src, n.Span); ok && status >= 100 && status < 600 {
			el.Event.SetInt(schema.HTTPResponseStatusCode, status)
			el.SetHTTPStatus(status)
			return
		}
	}
}

// dateIn returns the date in the headers of a response, whose names match in any case.
func dateIn(el *formats.Element, headers formats.Node) (date formats.Node) {
	if headers.Kind != scan.Object {
		return date
	}
	el.Index.Members(headers.Src, headers.Span, &el.Arena, func(name string, v scan.Span) bool {
		if date.Present() || !is(name, "date") {
			return true
		}
		if date = (formats.Node{Src: headers.Src, Span: v}); v.Kind == scan.Array {
			date = el.FirstItem(date)
		}
		return true
	})
	return date
}
