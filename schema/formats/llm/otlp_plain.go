package llm

import (
	"encoding/base64"
	"math"
	"strconv"

	"github.com/aidr-engine/aidr/schema/formats"
	"github.com/aidr-engine/aidr/schema/scan"
)

// maxPlain is the depth to which an OTLP value is converted. Deeper levels become null; tools and messages are not
// nested deeper.
const maxPlain = 16

// appendPlain appends an OTLP value as plain JSON, or null if it is not one.
func appendPlain(dst []byte, el *formats.Element, shape *formats.Shape, value formats.Node, depth int) []byte {
	kind, inner := plainKind(el, value)
	switch {
	case depth > maxPlain:
	case kind == "stringValue" && inner.Kind == scan.String, kind == "boolValue" && (inner.Kind == scan.True || inner.Kind == scan.False):
		return append(dst, inner.Raw()...)
	case kind == "intValue":
		if n, ok := scan.Int(inner.Src, inner.Span); ok {
			return strconv.AppendInt(dst, n, 10)
		}
	case kind == "doubleValue":
		if f, ok := scan.Double(inner.Src, inner.Span); ok && !math.IsInf(f, 0) && !math.IsNaN(f) {
			return strconv.AppendFloat(dst, f, 'g', -1, 64)
		}
	case kind == "bytesValue" && inner.Kind == scan.String:
		return appendBytes(dst, el.Text(inner))
	case kind == "arrayValue":
		return appendPlainList(dst, el, shape, inner, depth)
	case kind == "kvlistValue":
		return appendPlainMap(dst, el, shape, inner, depth)
	}
	return append(dst, "null"...)
}

// plainKind returns the alternative that a value uses. If there are several, which no producer writes, the alternative
// of the lowest plainRank counts, so that the order of keys decides nothing. Unknown keys are ignored.
func plainKind(el *formats.Element, value formats.Node) (kind string, inner formats.Node) {
	first := notPlain
	el.Index.Members(value.Src, value.Span, &el.Arena, func(key string, v scan.Span) bool {
		if rank := plainRank(key); rank < notPlain && rank <= first && v.Kind > scan.Null {
			first, kind, inner = rank, key, formats.Node{Src: value.Src, Span: v}
		}
		return true
	})
	return kind, inner
}

const (
	plainLists = 4 // the lowest rank of an alternative that is not a scalar
	notPlain   = 7 // the rank of an unknown key
)

// plainRank returns the rank of an alternative, for choosing among several.
func plainRank(key string) int {
	switch key {
	case "stringValue":
		return 0
	case "intValue":
		return 1
	case "boolValue":
		return 2
	case "doubleValue":
		return 3
	case "arrayValue":
		return 4
	case "kvlistValue":
		return 5
	case "bytesValue":
		return 6
	}
	return notPlain
}

// listOf returns the member "values" of an OTLP list or map.
func listOf(el *formats.Element, inner formats.Node) (values formats.Node) {
	el.Index.Members(inner.Src, inner.Span, &el.Arena, func(key string, v scan.Span) bool {
		if key == "values" {
			values = formats.Node{Src: inner.Src, Span: v}
		}
		return true
	})
	return values
}

func appendPlainList(dst []byte, el *formats.Element, shape *formats.Shape, inner formats.Node, depth int) []byte {
	values := listOf(el, inner)
	dst = append(dst, '[')
	from := len(dst)
	el.Index.Each(values.Src, values.Span, func(elem scan.Span) bool {
		if len(dst) > from {
			dst = append(dst, ',')
		}
		dst = appendPlain(dst, el, shape, formats.Node{Src: values.Src, Span: elem}, depth+1)
		return true
	})
	return append(dst, ']')
}

func appendPlainMap(dst []byte, el *formats.Element, shape *formats.Shape, inner formats.Node, depth int) []byte {
	return appendPlainMembers(dst, el, shape, listOf(el, inner), depth)
}

// appendPlainMembers appends a list of attributes as an object.
func appendPlainMembers(dst []byte, el *formats.Element, shape *formats.Shape, values formats.Node, depth int) []byte {
	dst = append(dst, '{')
	from := len(dst)
	el.Index.Each(values.Src, values.Span, func(elem scan.Span) bool {
		shape.Select(el, formats.Node{Src: values.Src, Span: elem})
		key, value := shape.At(attributeKey), shape.At(attributeValue)
		if key.Kind != scan.String {
			return true
		}
		if len(dst) > from {
			dst = append(dst, ',')
		}
		dst = append(append(dst, key.Raw()...), ':')
		dst = appendPlain(dst, el, shape, value, depth+1)
		return true
	})
	return append(dst, '}')
}

// appendBytes appends base64 as the text that it encodes, or unchanged if it is not valid base64.
func appendBytes(dst []byte, text string) []byte {
	if b, err := base64.StdEncoding.DecodeString(text); err == nil {
		text = string(b)
	}
	return formats.AppendString(dst, text)
}
