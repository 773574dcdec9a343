package decode_test

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/aidr-engine/aidr/schema"
	. "github.com/aidr-engine/aidr/schema/decode"
	"github.com/aidr-engine/aidr/schema/formats"
	"github.com/aidr-engine/aidr/schema/scan"
)

// judge is the verdict of encoding/json on a text.
type judge struct {
	valid  bool            // one JSON value in UTF-8, nested at most as deep as allowed
	object bool            // it is an object
	top    map[string]bool // its keys
}

func judgeOf(text string) (j judge) {
	j.valid = utf8.ValidString(text) && json.Valid([]byte(text)) && depth(text) <= scan.MaxDepth
	var top map[string]json.RawMessage
	j.object = j.valid && json.Unmarshal([]byte(text), &top) == nil && top != nil
	j.top = map[string]bool{}
	for key := range top {
		j.top[key] = true
	}
	return j
}

// depth returns the depth to which objects and arrays are nested in valid JSON.
func depth(text string) (most int) {
	d, now := json.NewDecoder(strings.NewReader(text)), 0
	for {
		token, err := d.Token()
		if err != nil {
			return most
		}
		switch token {
		case json.Delim('{'), json.Delim('['):
			now++
			most = max(most, now)
		case json.Delim('}'), json.Delim(']'):
			now--
		}
	}
}

// FuzzDetect compares detection with encoding/json. A text that is not JSON has no format. The format of an object is
// one whose keys the object has at its top, and an object that has the keys of some format has a format.
func FuzzDetect(f *testing.F) {
	r := allRecords(f)
	for _, text := range Hostile(r.texts) {
		f.Add(text)
	}
	f.Add(`{"\u0063lass_uid":1,"met\u0061data":{}}`)
	f.Add(`{"started_at":1,"started_at":null,"latencies":{},"request":0}`)
	shipped := shippedMaps(f)
	tells := map[string][]formats.Signature{}
	for _, name := range r.detector.Names {
		tells[name] = nil
	}
	for name := range tells {
		if _, builtIn := Find(name); builtIn {
			tells[name] = KeySetsOf(f, name)
		}
	}
	for _, m := range shipped.Maps() {
		for _, keys := range m.Keys {
			tell := formats.Signature{Keys: keys}
			if m.Match != nil {
				tell.Path = []string{m.Match.Key}
			}
			tells[m.Name] = append(tells[m.Name], tell)
		}
	}
	f.Fuzz(func(t *testing.T, text string) {
		j, name := judgeOf(text), r.detector.Of(text)
		if name != "" && !j.object {
			t.Fatalf("%q is not an object, but has format %s", text, name)
		}
		known := false // a key set without a required text is present
		fits := false
		for format, list := range tells {
			for _, tell := range list {
				all := true
				for _, key := range tell.Keys {
					all = all && j.top[key]
				}
				known = known || all && tell.Path == nil
				fits = fits || all && format == name
			}
		}
		if known && name == "" {
			t.Fatalf("%q has the keys of a format, and none is found", text)
		}
		if name != "" && !fits {
			t.Fatalf("%q has format %s, but lacks its keys", text, name)
		}
	})
}

// envelopes are the envelopes in which FuzzPeel wraps a text.
var envelopes = []func(text string) string{
	func(text string) string { return `[` + text + `]` },
	func(text string) string { return `{"Records":[` + text + `]}` },
	func(text string) string { return `{"records":[` + text + `]}` },
	func(text string) string { return `{"log":` + quoted(text) + `,"stream":"stdout"}` },
	func(text string) string {
		return `{"message":{"data":"` + base64.StdEncoding.EncodeToString([]byte(text)) + `","messageId":"1"},"subscription":"s"}`
	},
	func(text string) string { return `{"schema":{"type":"struct"},"payload":` + text + `}` },
	func(text string) string {
		return `{"specversion":"1.0","id":"i","source":"s","type":"t","data":` + text + `}`
	},
	func(text string) string {
		return `{"log":` + quoted("2026-05-01T10:00:00.123456789Z stdout F "+text) + `}`
	},
	func(text string) string {
		return `{"message":` + quoted("<134>1 2026-05-01T10:00:00Z host app 1 - - "+text) + `}`
	},
	func(text string) string { return `{"version":"1.1","host":"h","short_message":` + quoted(text) + `}` },
	func(text string) string {
		return `{"time":1,"host":"h","sourcetype":"aws:cloudtrail","event":` + text + `}`
	},
	func(text string) string {
		return `{"Type":"Notification","TopicArn":"a","Message":` + quoted(text) + `}`
	},
	func(text string) string {
		return `{"Records":[{"eventSource":"aws:kinesis","kinesis":{"data":"` + base64.StdEncoding.EncodeToString([]byte(text)) + `"}}]}`
	},
	func(text string) string {
		return `{"requestId":"r","timestamp":1,"records":[{"data":"` + base64.StdEncoding.EncodeToString([]byte(text)) + `"}]}`
	},
	func(text string) string {
		return `{"eventSource":"aws:kafka","records":{"t-0":[{"value":"` + base64.StdEncoding.EncodeToString([]byte(text)) + `"}]}}`
	},
	func(text string) string {
		return `{"schema":{"type":"struct","fields":[{"field":"message","type":"bytes"}]},"payload":{"message":"` +
			base64.StdEncoding.EncodeToString([]byte(text)) + `"}}`
	},
	func(text string) string { return `{"before":null,"after":` + text + `,"source":{},"op":"c"}` },
	func(text string) string { return `{"topic":"t","offset":1,"value":` + text + `}` },
	func(text string) string { return `{"@odata.context":"x","value":[` + text + `]}` },
	func(text string) string { return quoted(quoted(text)) },
	func(text string) string {
		var b bytes.Buffer
		w := gzip.NewWriter(&b)
		_, _ = w.Write([]byte(text)) // cannot fail: b is in memory
		_ = w.Close()
		return b.String()
	},
}

// FuzzPeel checks that a valid object gives the same events and identities bare and inside any two envelopes, and that
// nothing panics on an envelope around any text.
func FuzzPeel(f *testing.F) {
	r := allRecords(f)
	for i, text := range Hostile(r.texts) {
		f.Add(text, uint8(i), uint8(i/len(envelopes)))
	}
	f.Add(`{"Records":[{"Records":[{"a":1}]}]}`, uint8(0), uint8(1))
	bare, wrapped := newRecorder(r.detector.Decoder), newRecorder(NewDetector(f, shippedMaps(f).Maps()).Decoder)
	f.Fuzz(func(t *testing.T, text string, inner, outer uint8) {
		first, second := envelopes[int(inner)%len(envelopes)], envelopes[int(outer)%len(envelopes)]
		text = strings.TrimSpace(text)
		once := first(text)
		if strings.HasPrefix(once, "\x1f\x8b") && int(outer)%len(envelopes) != 4 {
			second = envelopes[4] // bytes need base64
		}
		got := wrapped.of(second(once), Meta{Time: 1})
		if !judgeOf(text).object || depth(text)+4 > scan.MaxDepth || !strings.HasPrefix(strings.Join(bare.of(text, Meta{Time: 1}), ""), "event") {
			return // an envelope itself, or no events: it only must not panic
		}
		if r.detector.Of(text) == "" || strings.Contains(text, "\n") {
			return // an envelope: inside more of them it is another record; or several lines, which no prefix has after it
		}
		want := bare.of(text, Meta{Time: 1})
		if strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Fatalf("in envelopes %d and %d %q gives\n%q\nwant\n%q", inner, outer, text, got, want)
		}
	})
}

// verbatim lists fields that are copied from the record, some of them as part of a text, such as a model's name in a
// path.
var verbatim = []schema.Field{
	schema.UserEmail, schema.GenAIResponseID, schema.GenAIConversationID, schema.HTTPRequestID, schema.MCPServerName,
	schema.CloudRegion, schema.GenAIRequestModel,
}

// FuzzFormat gives any record to the decoder of each format. encoding/json is the judge: a text that is not JSON gives
// no event, an object is never called malformed, and copied values occur in the record.
func FuzzFormat(f *testing.F) {
	set := shippedMaps(f).Maps()
	r := allRecords(f)
	var decoders []*Decoder
	for i, name := range r.detector.Names {
		d, err := New(Options{Format: name, Wanted: Everything(), Maps: set})
		if err != nil {
			f.Fatal(err)
		}
		decoders = append(decoders, d)
		for _, record := range r.of[name] {
			f.Add(uint8(i), record)
		}
		for _, guest := range r.longest(r.detector.Names[(i+1)%len(r.detector.Names)], 1) {
			f.Add(uint8(i), guest)
		}
	}
	f.Fuzz(func(t *testing.T, number uint8, record string) {
		name := r.detector.Names[int(number)%len(decoders)]
		j := judgeOf(record)
		var texts map[string]bool
		decoders[int(number)%len(decoders)].Decode(record, Meta{Time: 1}, &Handler{
			Event: func(e *schema.Event) {
				if !json.Valid([]byte(e.Record)) {
					t.Fatalf("%s: an event of a record that is not JSON: %q", name, e.Record)
				}
				if !e.Has(schema.Time) || e.Text(schema.EventDataset) == "" || e.Text(schema.EventClass) == "" {
					t.Fatalf("%s: event without time, dataset or class: %s", name, formats.AppendEvent(nil, e, false))
				}
				if line := formats.AppendEvent(nil, e, false); !json.Valid(line) {
					t.Fatalf("%s: the event is printed as %q, which is not JSON", name, line)
				}
				if !j.object {
					return
				}
				if texts == nil {
					texts = textsOf(record)
				}
				for _, field := range verbatim {
					if text := e.Text(field); text != "" && !within(texts, text) {
						t.Fatalf("%s: %s is %q, which encoding/json does not find in %s", name, field, text, record)
					}
				}
			},
			Dead: func(d Dead) {
				if j.object && (d.Reason == ReasonMalformed || d.Reason == ReasonUTF8) && d.Body == record {
					t.Fatalf("%s: encoding/json takes what is called %s (%s): %q", name, d.Reason, d.Detail, record)
				}
			},
		})
	})
}

// within reports whether text is one of the texts or part of one.
func within(texts map[string]bool, text string) bool {
	if texts[text] {
		return true
	}
	for whole := range texts {
		if strings.Contains(whole, text) {
			return true
		}
	}
	return false
}

// textsOf returns all strings and numbers of a record as encoding/json reads them, including those in JSON inside
// strings.
func textsOf(record string) map[string]bool {
	texts := map[string]bool{}
	var collect func(v any, level int)
	parse := func(text string, level int) {
		d := json.NewDecoder(strings.NewReader(text))
		d.UseNumber()
		for {
			var v any
			if d.Decode(&v) != nil {
				return
			}
			collect(v, level)
		}
	}
	collect = func(v any, level int) {
		switch v := v.(type) {
		case string:
			texts[v] = true
			for line := range strings.Lines(v) { // a stream of events has JSON on each line
				if i := strings.IndexAny(line, `{["`); i >= 0 && level < 4 {
					parse(line[i:], level+1)
				}
			}
		case json.Number:
			texts[v.String()] = true
		case []any:
			for _, elem := range v {
				collect(elem, level)
			}
		case map[string]any:
			for key, member := range v {
				texts[key] = true
				collect(member, level)
			}
		}
	}
	parse(record, 0)
	return texts
}
