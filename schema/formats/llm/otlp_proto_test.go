package llm

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	common "go.opentelemetry.io/proto/otlp/common/v1"
	logs "go.opentelemetry.io/proto/otlp/logs/v1"
	metrics "go.opentelemetry.io/proto/otlp/metrics/v1"
	resource "go.opentelemetry.io/proto/otlp/resource/v1"
	trace "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/aidr-engine/aidr/schema/scan"
)

// anyValue draws a value of the kinds that instrumentations write.
func anyValue(t *rapid.T, depth int) *common.AnyValue {
	kinds := 6
	if depth < 3 {
		kinds = 8
	}
	switch rapid.IntRange(0, kinds-1).Draw(t, "kind") {
	case 0:
		return nil
	case 1:
		return &common.AnyValue{Value: &common.AnyValue_StringValue{StringValue: rapid.String().Draw(t, "text")}}
	case 2:
		return &common.AnyValue{Value: &common.AnyValue_BoolValue{BoolValue: rapid.Bool().Draw(t, "bool")}}
	case 3:
		return &common.AnyValue{Value: &common.AnyValue_IntValue{IntValue: rapid.Int64().Draw(t, "int")}}
	case 4:
		return &common.AnyValue{Value: &common.AnyValue_DoubleValue{DoubleValue: rapid.Float64().Draw(t, "double")}}
	case 5:
		return &common.AnyValue{Value: &common.AnyValue_BytesValue{BytesValue: rapid.SliceOf(rapid.Byte()).Draw(t, "bytes")}}
	case 6:
		list := &common.ArrayValue{}
		for range rapid.IntRange(0, 3).Draw(t, "n") {
			if v := anyValue(t, depth+1); v != nil {
				list.Values = append(list.Values, v)
			}
		}
		return &common.AnyValue{Value: &common.AnyValue_ArrayValue{ArrayValue: list}}
	}
	return &common.AnyValue{Value: &common.AnyValue_KvlistValue{KvlistValue: &common.KeyValueList{Values: keyValues(t, depth+1)}}}
}

func keyValues(t *rapid.T, depth int) (list []*common.KeyValue) {
	for range rapid.IntRange(0, 3).Draw(t, "attributes") {
		list = append(list, &common.KeyValue{Key: rapid.String().Draw(t, "key"), Value: anyValue(t, depth)})
	}
	return list
}

func id(t *rapid.T, size int) []byte {
	if rapid.Bool().Draw(t, "no id") {
		return nil
	}
	return rapid.SliceOfN(rapid.Byte(), size, size).Draw(t, "id")
}

func drawSpans(t *rapid.T) *trace.TracesData {
	span := &trace.Span{
		TraceId: id(t, 16), SpanId: id(t, 8), ParentSpanId: id(t, 8),
		TraceState: rapid.String().Draw(t, "state"), Name: rapid.String().Draw(t, "name"),
		Kind: trace.Span_SpanKind(rapid.IntRange(0, 5).Draw(t, "kind")), StartTimeUnixNano: rapid.Uint64().Draw(t, "start"),
		EndTimeUnixNano: rapid.Uint64().Draw(t, "end"), Attributes: keyValues(t, 0), Flags: rapid.Uint32().Draw(t, "flags"),
		Events: []*trace.Span_Event{{TimeUnixNano: 1, Name: rapid.String().Draw(t, "event"), Attributes: keyValues(t, 0)}},
		Status: &trace.Status{Message: rapid.String().Draw(t, "message"), Code: trace.Status_StatusCode(rapid.IntRange(0, 2).Draw(t, "code"))},
		Links:  []*trace.Span_Link{{TraceId: id(t, 16), SpanId: id(t, 8), Attributes: keyValues(t, 1)}},

		DroppedAttributesCount: 3, // not read
	}
	return &trace.TracesData{ResourceSpans: []*trace.ResourceSpans{
		{
			Resource: &resource.Resource{
				Attributes: keyValues(t, 0),
				EntityRefs: []*common.EntityRef{{Type: "host", IdKeys: []string{"a", "b"}}},
			},
			SchemaUrl: "u",
			ScopeSpans: []*trace.ScopeSpans{
				{
					Scope: &common.InstrumentationScope{Name: rapid.String().Draw(t, "scope"), Version: "1"},
					Spans: []*trace.Span{span, {Name: "second"}},
				},
				{},
			},
		},
		{},
	}}
}

func drawLogs(t *rapid.T) *logs.LogsData {
	record := &logs.LogRecord{
		TimeUnixNano: rapid.Uint64().Draw(t, "time"), ObservedTimeUnixNano: 2, SeverityNumber: 9, SeverityText: "INFO", Body: anyValue(t, 0),
		Attributes: keyValues(t, 0), Flags: 1, TraceId: id(t, 16), SpanId: id(t, 8), EventName: rapid.String().Draw(t, "event"),
	}
	return &logs.LogsData{ResourceLogs: []*logs.ResourceLogs{
		{
			Resource:  &resource.Resource{Attributes: keyValues(t, 0)},
			ScopeLogs: []*logs.ScopeLogs{{LogRecords: []*logs.LogRecord{record, {TimeUnixNano: 1}}}},
		},
	}}
}

// asBase64 decodes the hex of an id as base64, as protobuf's JSON parser does when it reads OTLP's JSON.
func asBase64(id []byte) []byte {
	b, err := base64.StdEncoding.DecodeString(hex.EncodeToString(id))
	if err != nil {
		panic(err)
	}
	return b
}

// clearUnread removes from a request the fields that are not read, and makes its ids comparable.
func clearUnread(m proto.Message) {
	switch m := m.(type) {
	case *trace.TracesData:
		for _, rs := range m.ResourceSpans {
			clearResource(rs.Resource)
			for _, ss := range rs.ScopeSpans {
				clearScope(ss.Scope)
				for _, s := range ss.Spans {
					s.TraceId, s.SpanId, s.ParentSpanId = asBase64(s.TraceId), asBase64(s.SpanId), asBase64(s.ParentSpanId)
					for _, l := range s.Links {
						l.TraceId, l.SpanId, l.DroppedAttributesCount = asBase64(l.TraceId), asBase64(l.SpanId), 0
					}
					s.DroppedAttributesCount, s.DroppedEventsCount, s.DroppedLinksCount = 0, 0, 0
					for _, e := range s.Events {
						e.DroppedAttributesCount = 0
					}
				}
			}
		}
	case *logs.LogsData:
		for _, rl := range m.ResourceLogs {
			clearResource(rl.Resource)
			for _, sl := range rl.ScopeLogs {
				clearScope(sl.Scope)
				for _, r := range sl.LogRecords {
					r.TraceId, r.SpanId, r.DroppedAttributesCount = asBase64(r.TraceId), asBase64(r.SpanId), 0
				}
			}
		}
	}
}

func clearResource(r *resource.Resource) {
	if r != nil {
		r.DroppedAttributesCount = 0
	}
}

func clearScope(s *common.InstrumentationScope) {
	if s != nil {
		s.DroppedAttributesCount = 0
	}
}

// The JSON made of protobuf has the same meaning, by the judgement of protobuf's own JSON parser.
func TestProtobufMeansTheSame(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var want, got proto.Message = drawSpans(t), new(trace.TracesData)
		if rapid.Bool().Draw(t, "logs") {
			want, got = drawLogs(t), new(logs.LogsData)
		}
		raw, err := proto.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		text, err := AppendOTLP(nil, string(raw), 1<<20)
		if err != nil {
			t.Fatalf("%v: %x", err, raw)
		}
		if _, err := scan.Valid(string(text)); err != nil {
			t.Fatalf("%v: %s", err, text)
		}
		if err := protojson.Unmarshal(text, got); err != nil {
			t.Fatalf("%v: %s", err, text)
		}
		clearUnread(want)
		if !proto.Equal(got, want) {
			t.Fatalf("got %v, want %v", got, want)
		}
	})
}

// spansOf returns a request of one span.
func spansOf(span *trace.Span) *trace.TracesData {
	return &trace.TracesData{ResourceSpans: []*trace.ResourceSpans{{ScopeSpans: []*trace.ScopeSpans{{Spans: []*trace.Span{span}}}}}}
}

// Whatever is taken for OTLP is OTLP: protobuf's own library accepts it too, as spans or as log records.
func FuzzAppendOTLP(f *testing.F) {
	for _, m := range []proto.Message{
		spansOf(&trace.Span{Name: "a", TraceId: make([]byte, 16)}),
		&logs.LogsData{ResourceLogs: []*logs.ResourceLogs{{ScopeLogs: []*logs.ScopeLogs{{LogRecords: []*logs.LogRecord{{TimeUnixNano: 5}}}}}}},
	} {
		raw, err := proto.Marshal(m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(raw))
	}
	f.Add("\n{\"resourceSpans\":[]}")
	f.Fuzz(func(t *testing.T, raw string) {
		text, err := AppendOTLP(nil, raw, 1<<20)
		if err != nil {
			return
		}
		if _, err := scan.Valid(string(text)); err != nil && !errors.Is(err, scan.ErrDepth) {
			t.Fatalf("%v: %s", err, text)
		}
		var want, got proto.Message = new(trace.TracesData), new(trace.TracesData)
		if strings.HasPrefix(string(text), `{"resourceLogs"`) {
			want, got = new(logs.LogsData), new(logs.LogsData)
		}
		if err := (proto.UnmarshalOptions{DiscardUnknown: true}).Unmarshal([]byte(raw), want); err != nil {
			t.Fatalf("taken, but protobuf refuses it: %v: %x", err, raw)
		}
		if err := protojson.Unmarshal(text, got); err != nil {
			t.Fatalf("%v: %s", err, text)
		}
		if strings.Contains(protojson.Format(want), "Strindex") {
			return // only profiles refer to texts by an index
		}
		clearUnread(want)
		if !proto.Equal(got, want) {
			t.Fatalf("got %v, want %v", got, want)
		}
	})
}

// Nothing else is taken for OTLP: not metrics, not a truncated request, not a field that occurs twice.
func TestOnlyOTLPIsTaken(t *testing.T) {
	name := strings.Repeat("m", 16) // as long as a trace id
	sum := &metrics.Metric_Sum{Sum: &metrics.Sum{DataPoints: []*metrics.NumberDataPoint{{TimeUnixNano: 1}}}}
	m, err := proto.Marshal(&metrics.MetricsData{ResourceMetrics: []*metrics.ResourceMetrics{{ScopeMetrics: []*metrics.ScopeMetrics{
		{Metrics: []*metrics.Metric{{Name: name, Data: sum}}},
	}}}})
	if err != nil {
		t.Fatal(err)
	}
	span, err := proto.Marshal(spansOf(&trace.Span{Name: name, TraceId: make([]byte, 16), StartTimeUnixNano: 1}))
	if err != nil {
		t.Fatal(err)
	}
	for name, raw := range map[string]string{
		"metrics": string(m), "nothing": "", "an empty resource": "\n\x00", "a blank line": "\n",
		"JSON": "\n{\"resourceSpans\":[]}", "text after the request": string(span) + "x",
		"an id of 4 bytes":    "\n\x0a\x12\x08\x12\x06\x0a\x04abcd",
		"a name twice":        "\n\x0c\x12\x0a\x12\x08\x2a\x01a\x2a\x01b\x30\x01",
		"a name not in UTF-8": "\n\x07\x12\x05\x12\x03\x2a\x01\xff",
		"two alternatives":    "\n\x11\x12\x0f\x12\x0d\x4a\x0b\x0a\x01k\x12\x06\x0a\x01v\x18\x01\x10",
		"deep":                deepValue(200),
	} {
		if text, err := AppendOTLP(nil, raw, 1<<20); err == nil {
			t.Errorf("%s: taken as %s", name, text)
		}
	}
	for n := 1; n < len(span); n++ {
		if text, err := AppendOTLP(nil, string(span[:n]), 1<<20); err == nil {
			t.Errorf("truncated to %d bytes: taken as %s", n, text)
		}
	}
	if _, err := AppendOTLP(nil, string(span), 10); !errors.Is(err, ErrOTLPSize) {
		t.Errorf("beyond the limit: got %v, want %v", err, ErrOTLPSize)
	}
}

// deepValue returns a span with an attribute of n nested arrays.
func deepValue(n int) string {
	v := &common.AnyValue{Value: &common.AnyValue_BoolValue{BoolValue: true}}
	for range n {
		v = &common.AnyValue{Value: &common.AnyValue_ArrayValue{ArrayValue: &common.ArrayValue{Values: []*common.AnyValue{v}}}}
	}
	raw, err := proto.Marshal(spansOf(&trace.Span{Attributes: []*common.KeyValue{{Key: "k", Value: v}}}))
	if err != nil {
		panic(err)
	}
	return string(raw)
}
