package protobuf

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
)

const event = `syntax = "proto3";
package acme.v1;
import "google/protobuf/timestamp.proto";
import "google/protobuf/duration.proto";
import "google/protobuf/struct.proto";
import "google/protobuf/wrappers.proto";
import "confluent/meta.proto";
import "acme/tool.proto";

message Ping { string at = 1; }
message Event {
  enum Kind { KIND_UNSPECIFIED = 0; CALL = 1; }
  int64 event_id = 1 [(confluent.field_meta) = {doc: "the id"}];
  Kind kind = 2;
  google.protobuf.Timestamp at = 3;
  google.protobuf.Duration took = 4;
  google.protobuf.Struct arguments = 5;
  google.protobuf.BoolValue failed = 6;
  acme.Tool tool = 7;
  repeated uint32 counts = 8;
  map<string, double> scores = 9;
  bytes blob = 10;
  string agent = 11 [json_name = "agent.id"];
  oneof who { string user = 12; string account = 13; }
  optional bool dry_run = 14;
  repeated Event inner = 15;
  message Note { string text = 1; }
  Note note = 16;
  float rate = 17;
  sint32 delta = 18;
  fixed64 mask = 19;
}
`

var imports = map[string]string{"acme/tool.proto": `syntax = "proto3"; package acme; message Tool { string name = 1; }`}

// field returns one field of a message: a varint, or bytes.
func field(number protowire.Number, value any) string {
	switch v := value.(type) {
	case int:
		return string(protowire.AppendVarint(protowire.AppendTag(nil, number, protowire.VarintType), uint64(v)))
	case string:
		return string(protowire.AppendString(protowire.AppendTag(nil, number, protowire.BytesType), v))
	case float64:
		return string(protowire.AppendFixed64(protowire.AppendTag(nil, number, protowire.Fixed64Type), 0x3fe0000000000000))
	}
	panic(fmt.Sprint(value))
}

func parsed(t testing.TB, text string) *Schema {
	t.Helper()
	s, err := Parse(text, imports)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestAppendJSON(t *testing.T) {
	s := parsed(t, event)
	f := func(position []int, text, want string) {
		t.Helper()
		got, err := s.AppendJSON([]byte("x"), position, text)
		if err != nil || string(got) != "x"+want || !json.Valid(got[1:]) {
			t.Errorf("%d %q: got %s, %v, want %s", position, text, got, err, want)
		}
	}
	at := []int{1}
	f(nil, field(1, "now"), `{"at":"now"}`)
	f([]int{0}, "", `{}`)
	f([]int{1, 0}, field(1, "a\"\n\u00e9"), `{"text":"a\"\né"}`)
	f(at, field(1, 1<<53+1)+field(2, 1), `{"event_id":9007199254740993,"kind":"CALL"}`)
	f(at, field(2, 7), `{"kind":7}`)
	f(at, field(3, field(1, 1767261600)+field(2, 5000000)), `{"at":"2026-01-01T10:00:00.005Z"}`)
	f(at, field(3, field(1, 1<<60)), `{"at":{"seconds":1152921504606846976}}`)
	f(at, field(4, field(1, 1)+field(2, 500000000)), `{"took":"1.5s"}`)
	f(at, field(5, field(1, field(1, "q")+field(2, field(2, 0.5)))+field(1, field(1, "a")+field(2, field(1, 0)))), `{"arguments":{"a":null,"q":0.5}}`)
	f(at, field(6, field(1, 1))+field(6, ""), `{"failed":true}`)
	f(at, field(6, ""), `{"failed":false}`)
	f(at, field(7, field(1, "bash")), `{"tool":{"name":"bash"}}`)
	f(at, field(8, "\x01\x02")+field(8, 3), `{"counts":[1,2,3]}`)
	f(at, field(9, field(1, "b")+field(2, 0.5))+field(9, field(1, "a")+field(2, 0.5)), `{"scores":{"a":0.5,"b":0.5}}`)
	f(at, field(10, "\x00\xff"), `{"blob":"AP8="}`)
	f(at, field(11, "a1"), `{"agent.id":"a1"}`)
	f(at, field(12, "u")+field(13, "c"), `{"account":"c"}`)
	f(at, field(14, 0), `{"dry_run":false}`)
	f(at, field(15, field(15, field(1, 3))), `{"inner":[{"inner":[{"event_id":3}]}]}`)
	f(at, field(99, "unknown")+field(1, 1), `{"event_id":1}`)
	f(at, string(protowire.AppendFixed32(protowire.AppendTag(nil, 17, protowire.Fixed32Type), 0x7fc00000)), `{"rate":null}`)
	f(at, field(18, 3), `{"delta":-2}`)
	if s.Package() != "acme.v1" {
		t.Errorf("package %q", s.Package())
	}
}

// A second syntax: groups, required and default values, extensions.
func TestProto2(t *testing.T) {
	s := parsed(t, `syntax = "proto2"; message M { required string a = 1; optional int32 n = 2 [default = 7]; repeated group Item = 3 { optional string x = 4; }
		optional string raw = 5; extensions 100 to 200; } extend M { optional string more = 100; }`)
	group := append(protowire.AppendTag(nil, 3, protowire.StartGroupType), field(4, "in")...)
	group = protowire.AppendTag(group, 3, protowire.EndGroupType)
	got, err := s.AppendJSON(nil, nil, string(group)+field(100, "left out")+field(5, "a\xffb"))
	if want := `{"item":[{"x":"in"}],"raw":"a` + "\ufffd" + `b"}`; err != nil || string(got) != want {
		t.Errorf("got %s, %v, want %s", got, err, want)
	}
}

func TestMessagesThatAreRefused(t *testing.T) {
	s := parsed(t, event)
	f := func(position []int, text string, want error) {
		t.Helper()
		if got, err := s.AppendJSON([]byte("x"), position, text); !errors.Is(err, want) || string(got) != "x" {
			t.Errorf("%d, %d bytes: got %d bytes, %v, want %v", position, len(text), len(got), err, want)
		}
	}
	f([]int{2}, "", ErrInvalid)
	f([]int{1, 5}, "", ErrInvalid)
	f([]int{-1}, "", ErrInvalid)
	f([]int{1}, "\xff", ErrInvalid)
	f([]int{1}, field(7, "\x0a\x7f"), ErrInvalid)
	f(nil, field(1, "\xff"), ErrInvalid) // proto3 has UTF-8 only
	f(nil, strings.Repeat("x", MaxMessage+1), ErrSize)
	f([]int{1}, strings.Repeat(field(15, ""), MaxValues+1), ErrSize)
	f([]int{1}, field(8, strings.Repeat("\x01", MaxValues+1)), ErrSize)
	deep := ""
	for range maxDepth + 2 {
		deep = field(15, deep)
	}
	f([]int{1}, deep, ErrSize)
}

func TestSchemasThatAreRefused(t *testing.T) {
	for _, text := range []string{
		"syntax", `syntax = "proto3"; message A { B b = 1; }`, `syntax = "proto3"; import "elsewhere.proto";`, `{"type":"record"}`,
		"\x00\xff", `syntax = "proto3"; message A { string a = 1; string b = 1; }`, strings.Repeat("/", MaxSchema+1),
	} {
		if s, err := Parse(text, nil); err == nil {
			t.Errorf("%.40q: got %v", text, s)
		}
	}
	if _, err := Parse(event, nil); err == nil || !strings.Contains(err.Error(), `imports "acme/tool.proto"`) {
		t.Errorf("a missing import: %v", err)
	}
	if _, err := Parse(`syntax = "proto3"; import "a"; message M {}`, map[string]string{"a": strings.Repeat("\n", MaxSchema)}); err == nil {
		t.Error("a large import: no error")
	}
}

// FuzzAppendJSON checks that any bytes give valid JSON, the same each time and no more than the limits allow, or an error.
func FuzzAppendJSON(f *testing.F) {
	s := parsed(f, event)
	f.Add(1, []byte(field(1, 1)+field(5, field(1, field(1, "q")+field(2, field(3, "x"))))+field(8, "\x01\x02")))
	f.Add(0, []byte(field(1, "now")))
	f.Fuzz(func(t *testing.T, message int, raw []byte) {
		first, err := s.AppendJSON(nil, []int{message}, string(raw))
		if err == nil && !json.Valid(first) {
			t.Fatalf("%x: got %s", raw, first)
		}
		if again, _ := s.AppendJSON(nil, []int{message}, string(raw)); !bytes.Equal(first, again) {
			t.Fatalf("%x: got %s and %s", raw, first, again)
		}
	})
}
