package llm

import (
	"strings"

	"github.com/aidr-engine/aidr/schema/formats"
	"github.com/aidr-engine/aidr/schema/scan"
)

// headers holds the HTTP request headers that are read. Names match in any case. If a header has a list of values, the
// first value counts.
type headers struct {
	key, keyHeader, userAgent, forwarded string
	traceparent                          formats.Node
	used                                 bool // headers were read
}

// read reads the headers of several objects. The value in the first object that has a header counts.
func (h *headers) read(el *formats.Element, objects ...formats.Node) {
	if h.used {
		*h = headers{}
	}
	for _, object := range objects {
		if object.Kind != scan.Object {
			continue
		}
		h.used = true
		el.Index.Members(object.Src, object.Span, &el.Arena, func(name string, v scan.Span) bool {
			h.take(el, name, formats.Node{Src: object.Src, Span: v})
			return true
		})
	}
}

// take reads one header.
func (h *headers) take(el *formats.Element, name string, n formats.Node) {
	if n.Kind == scan.Array {
		n = el.FirstItem(n)
	}
	text := el.Text(n)
	switch {
	case text == "":
	case is(name, "authorization"):
		h.credential("header authorization", formats.BearerToken(text))
	case is(name, "x-api-key"):
		h.credential("header x-api-key", text)
	case is(name, "api-key"):
		h.credential("header api-key", text)
	case is(name, "user-agent"):
		h.userAgent = text
	case is(name, "x-forwarded-for"):
		h.forwarded = text
	case is(name, "traceparent"):
		h.traceparent = n
	}
}

func (h *headers) credential(header, key string) {
	if h.key == "" && key != "" {
		h.key, h.keyHeader = key, header
	}
}

func is(name, header string) bool { return len(name) == len(header) && strings.EqualFold(name, header) }
