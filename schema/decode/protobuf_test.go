package decode

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	logs "go.opentelemetry.io/proto/otlp/logs/v1"
	trace "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// otlpRecords returns the OTLP records among the cases and the fixtures, as JSON.
func otlpRecords(t testing.TB) (list []string) {
	t.Helper()
	for _, file := range []string{"otlp", "otlp_logs"} {
		names, cases := readCases(t, "../../testdata/cases/decode/"+file+".txtar")
		for _, name := range names {
			list = append(list, cases[name].record)
		}
	}
	for _, file := range []string{"otlp_genai", "otlp_logs_agent"} {
		for _, f := range readFixtures(t, "../../testdata/fixtures/"+file+".jsonl") {
			list = append(list, f.record(t))
		}
	}
	return list
}

// asProtobuf returns the protobuf that an exporter would send instead of OTLP's JSON; ok is false if protobuf cannot
// express it, for example because a value has an impossible type.
func asProtobuf(text string) (raw string, ok bool) {
	var tree map[string]any
	if json.Unmarshal([]byte(text), &tree) != nil || !idsAsBase64(tree) {
		return "", false
	}
	var m proto.Message = new(trace.TracesData)
	if tree["resourceLogs"] != nil {
		m = new(logs.LogsData)
	}
	b, err := json.Marshal(tree)
	if err != nil || protojson.Unmarshal(b, m) != nil {
		return "", false
	}
	b, err = proto.Marshal(m)
	return string(b), err == nil
}

// idsAsBase64 converts the ids of traces and spans from OTLP's hex to the base64 of protobuf's JSON.
func idsAsBase64(v any) bool {
	ok := true
	switch v := v.(type) {
	case []any:
		for _, elem := range v {
			ok = idsAsBase64(elem) && ok
		}
	case map[string]any:
		for key, elem := range v {
			if text, is := elem.(string); is && strings.HasSuffix(key, "Id") {
				id, err := hex.DecodeString(text)
				ok = ok && err == nil
				v[key] = base64.StdEncoding.EncodeToString(id)
				continue
			}
			ok = idsAsBase64(elem) && ok
		}
	}
	return ok
}

// Protobuf gives the same events as the equivalent JSON, bare and in a schema registry's frame.
func TestProtobufGivesWhatJSONGives(t *testing.T) {
	compared := 0
	for _, text := range otlpRecords(t) {
		raw, ok := asProtobuf(text)
		if !ok {
			continue
		}
		compared++
		for _, format := range []string{Auto, "otlp"} {
			o := Options{Format: format, Wanted: everything()}
			want, got := decodeAll(t, o, text, Meta{}), decodeAll(t, o, raw, Meta{})
			framed := decodeAll(t, o, "\x00\x00\x00\x00\x07\x00"+raw, Meta{})
			if !slices.Equal(got.lines, want.lines) || !slices.Equal(framed.lines, want.lines) || len(got.dead) != len(want.dead) {
				t.Errorf("%s: got %v dead %v, in a frame %v, want %v dead %v: %.200s", format, got.lines, got.dead, framed.lines,
					want.lines, want.dead, text)
			}
		}
	}
	if compared < 12 {
		t.Errorf("only %d records could be compared", compared)
	}
}

// A text that is not OTLP in protobuf is read as usual: a newline before JSON lines, and binary data of no format.
func TestNewlineIsNotProtobuf(t *testing.T) {
	for text, want := range map[string]int{"\n" + small + "\n" + small: 2, "\n\n" + small: 1, "\n{\"a\"": 0, "\n\x05abcde": 0} {
		res := decodeAll(t, Options{Format: Auto, Wanted: everything()}, text, Meta{})
		if len(res.events) != want || (want == 0) != (len(res.dead) == 1) {
			t.Errorf("%q: got %d events, dead %v, want %d", text, len(res.events), res.dead, want)
		}
	}
}

// Protobuf does not allocate either: the JSON made of it goes into chunks of the arena.
func TestProtobufDoesNotAllocate(t *testing.T) {
	raw, ok := asProtobuf(otlpRecords(t)[0])
	if !ok {
		t.Fatal("the first record cannot be written as protobuf")
	}
	d, err := New(Options{Format: Auto, Wanted: typical()})
	if err != nil {
		t.Fatal(err)
	}
	h := &Handler{Dead: func(dead Dead) { t.Errorf("%v", dead) }}
	if n := testing.AllocsPerRun(200, func() { d.Decode(raw, Meta{}, h) }); n != 0 {
		t.Errorf("got %v allocations per record, want 0", n)
	}
}
