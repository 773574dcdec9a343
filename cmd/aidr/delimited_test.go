package main

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"testing"

	common "go.opentelemetry.io/proto/otlp/common/v1"
	trace "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// otlpMessage returns a request with a span of a tool call.
func otlpMessage(t *testing.T, tool string) []byte {
	t.Helper()
	attribute := func(key, value string) *common.KeyValue {
		return &common.KeyValue{Key: key, Value: &common.AnyValue{Value: &common.AnyValue_StringValue{StringValue: value}}}
	}
	b, err := proto.Marshal(&trace.TracesData{ResourceSpans: []*trace.ResourceSpans{{
		ScopeSpans: []*trace.ScopeSpans{{Spans: []*trace.Span{{
			TraceId: make([]byte, 16), SpanId: []byte("12345678"), Name: "execute_tool " + tool, StartTimeUnixNano: 1_800_000_000_000_000_000,
			EndTimeUnixNano: 1_800_000_001_000_000_000,
			Attributes:      []*common.KeyValue{attribute("gen_ai.operation.name", "execute_tool"), attribute("gen_ai.tool.name", tool)},
		}}}},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestDecodeProtobufFiles(t *testing.T) {
	one, two := otlpMessage(t, "bash"), otlpMessage(t, strings.Repeat("x\n", 200))
	var fixed, varint []byte
	for _, m := range [][]byte{one, two} {
		fixed = append(binary.BigEndian.AppendUint32(fixed, uint32(len(m))), m...)
		varint = append(binary.AppendUvarint(varint, uint64(len(m))), m...)
	}
	dir := t.TempDir()
	f := func(name string, content []byte, events int, failure string) {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		got := aidr(t, "decode", path)
		n := strings.Count(got.stdout, `"event.dataset":"otel`)
		if n != events || (got.code != 0) != (failure != "") || !strings.Contains(got.stderr, failure) {
			t.Errorf("%s: %d events, want %d; %+v", name, n, events, got)
		}
	}
	f("single.pb", one, 1, "")
	f("fixed.pb", fixed, 2, "")
	f("varint.pb", varint, 2, "")
	f("cut.pb", fixed[:len(fixed)-1], 1, "the file ends inside a message")
	f("long.pb", append(fixed[:len(fixed):len(fixed)], "\xff\xff\xff\xff"...), 2, "is larger than")
}

// Text that begins with a line end, or whose first bytes look like a length, is no protobuf.
func TestDelimiterOfText(t *testing.T) {
	for _, text := range []string{"", "\n", "\n{}\n", "{\n" + strings.Repeat(" ", 200) + "}", "\x00\x00\x00\x02\n\n", "\x7b\n", "\n\x00"} {
		path := filepath.Join(t.TempDir(), "text")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if d := delimiterOf(path); d != notOTLP {
			t.Errorf("%q: %d", text, d)
		}
	}
}
