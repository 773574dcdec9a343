package avro

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"math"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/twmb/avro"
	"github.com/twmb/avro/ocf"
)

const event = `{"type":"record","name":"Event","namespace":"logs","fields":[
	{"name":"id","type":"string"},
	{"name":"at","type":{"type":"long","logicalType":"timestamp-millis"}},
	{"name":"day","type":{"type":"int","logicalType":"date"}},
	{"name":"cost","type":{"type":"bytes","logicalType":"decimal","precision":9,"scale":4}},
	{"name":"args","type":["null",{"type":"map","values":["null","string","long","double","boolean"]}]},
	{"name":"tags","type":{"type":"array","items":"string"}},
	{"name":"kind","type":{"type":"enum","name":"Kind","symbols":["CALL","RESULT"]}},
	{"name":"raw","type":"bytes"},
	{"name":"next","type":["null","Event"],"default":null}]}`

func encode(t testing.TB, schema string, value any) string {
	t.Helper()
	b, err := avro.MustParse(schema).Encode(value)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func eventValue() map[string]any {
	return map[string]any{
		"id": "a\"\\\n\t\x01é", "at": time.Date(2026, 1, 31, 12, 0, 0, 5e6, time.UTC), "day": time.Date(2026, 1, 31, 0, 0, 0, 0, time.UTC),
		"cost": big.NewRat(12345, 10000), "args": map[string]any{"z": int64(7), "a": "x", "m": nil, "f": 1.5, "b": true},
		"tags": []any{"p", "q"}, "kind": "CALL", "raw": []byte("\x00\xff"), "next": nil,
	}
}

const eventJSON = `{"args":{"a":"x","b":true,"f":1.5,"m":null,"z":7},"at":"2026-01-31T12:00:00.005Z","cost":"1.2345",` +
	`"day":"2026-01-31T00:00:00Z","id":"a\"\\\n\t\u0001é","kind":"CALL","next":null,"raw":"AP8=","tags":["p","q"]}`

func TestAppendJSON(t *testing.T) {
	f := func(schema string, value any, want string, before ...string) {
		t.Helper()
		s, err := Parse(schema, before...)
		if err != nil {
			t.Fatal(err)
		}
		var text string
		if len(before) == 0 {
			text = encode(t, schema, value)
		} else {
			b, err := s.schema.Encode(value)
			if err != nil {
				t.Fatal(err)
			}
			text = string(b)
		}
		got, err := s.AppendJSON([]byte("x"), text)
		if err != nil || string(got) != "x"+want || !json.Valid(got[1:]) {
			t.Errorf("%s: got %s, %v, want %s", schema, got, err, want)
		}
		for cut := range len(text) {
			if got, err := s.AppendJSON(nil, text[:cut]); err == nil && len(text) > 0 {
				t.Errorf("%s: %d of %d bytes: got %s", schema, cut, len(text), got)
			}
		}
		if _, err := s.AppendJSON(nil, text+"\x00"); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: a byte more: error %v", schema, err)
		}
	}
	f(event, eventValue(), eventJSON)
	f(`"string"`, "", `""`)
	f(`"double"`, math.NaN(), `null`)
	f(`"float"`, float32(1e30), `1e+30`)
	f(`{"type":"fixed","name":"f","size":2}`, []byte{1, 2}, `"AQI="`)
	f(`{"type":"long","logicalType":"timestamp-micros"}`, time.Unix(1, 2000).UTC(), `"1970-01-01T00:00:01.000002Z"`)
	f(`{"type":"int","logicalType":"time-millis"}`, 90*time.Second, `"00:01:30"`)
	f(`{"type":"record","name":"Outer","fields":[{"name":"in","type":"a.Inner"}]}`, map[string]any{"in": map[string]any{"n": int32(-3)}},
		`{"in":{"n":-3}}`, `{"type":"record","name":"a.Inner","fields":[{"name":"n","type":"int"}]}`)
}

// A few bytes can claim a billion items without a size, or nest without an end.
func TestHostile(t *testing.T) {
	f := func(schema, text string) {
		t.Helper()
		s, err := Parse(schema)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := s.AppendJSON(nil, text); err == nil {
			t.Errorf("%s: got %d bytes of JSON, want an error", schema, len(got))
		}
	}
	f(`{"type":"array","items":"null"}`, "\xfe\xff\xff\xff\x0f\x00")
	f(`{"type":"array","items":{"type":"record","name":"e","fields":[]}}`, "\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01\x00")
	f(`{"type":"map","values":"null"}`, "\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01\x00")
	f(`"string"`, "\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01")
	f(`"bytes"`, "\x01")
	f(`["null","string"]`, "\x7f")
	f(`{"type":"record","name":"r","fields":[{"name":"next","type":["null","r"]}]}`, strings.Repeat("\x02", 1<<20)+"\x00")
	f(`"string"`, strings.Repeat("x", MaxValue+1))
	for _, schema := range []string{
		"", "{}", `{"type":"record"}`, strings.Repeat("[", 1<<20), `{"type":"record","name":"r","fields":` + strings.Repeat(`[{"a":`, 1<<16),
		`"` + strings.Repeat("x", MaxSchema) + `"`,
	} {
		if _, err := Parse(schema); err == nil {
			t.Errorf("schema of %d bytes: no error", len(schema))
		}
	}
}

// container returns a container file with n events.
func container(t testing.TB, n int, opts ...ocf.WriterOpt) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := ocf.NewWriter(&b, avro.MustParse(event), opts...)
	if err != nil {
		t.Fatal(err)
	}
	for range n {
		if err := w.Encode(eventValue()); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestLines(t *testing.T) {
	for _, codec := range []ocf.Codec{nil, ocf.DeflateCodec(6), ocf.SnappyCodec(), ocf.MustZstdCodec(nil, nil)} {
		var opts []ocf.WriterOpt
		if codec != nil {
			opts = append(opts, ocf.WithCodec(codec))
		}
		file := container(t, 500, opts...)
		l, err := NewLines(bytes.NewReader(file))
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(l)
		if want := strings.Repeat(eventJSON+"\n", 500); err != nil || string(got) != want {
			t.Errorf("got %d bytes, %v, want %d", len(got), err, len(want))
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		// A file that is cut off yields the events of its whole blocks, and an error.
		l, err = NewLines(bytes.NewReader(file[:len(file)-3]))
		if err != nil {
			t.Fatal(err)
		}
		if _, err = io.ReadAll(l); err == nil {
			t.Error("a cut file: no error")
		}
	}
	if _, err := NewLines(strings.NewReader(Magic + "\x02\xfe\xff\xff\xff\x0f")); err == nil {
		t.Error("a huge header: no error")
	}
}

func FuzzAppendJSON(f *testing.F) {
	f.Add(event, encode(f, event, eventValue()))
	f.Add(`{"type":"array","items":["null","long",{"type":"map","values":"string"}]}`, "\x04\x00\x02\x7f\x00")
	f.Add(`{"type":"record","name":"r","fields":[{"name":"next","type":["null","r"]}]}`, "\x02\x02\x00")
	f.Fuzz(func(t *testing.T, schema, text string) {
		s, err := Parse(schema)
		if err != nil {
			return
		}
		got, err := s.AppendJSON(nil, text)
		if err == nil && (!json.Valid(got) || len(got) > MaxJSON) {
			t.Errorf("not JSON: %q", got)
		}
		again, _ := s.AppendJSON(nil, text)
		if !bytes.Equal(got, again) {
			t.Errorf("got %q and %q", got, again)
		}
	})
}

func FuzzLines(f *testing.F) {
	f.Add(container(f, 2))
	f.Add(container(f, 2, ocf.WithCodec(ocf.DeflateCodec(1))))
	f.Fuzz(func(t *testing.T, file []byte) {
		l, err := NewLines(bytes.NewReader(file))
		if err != nil {
			return
		}
		io.Copy(io.Discard, io.LimitReader(l, 1<<22))
		l.Close()
	})
}
