package decode

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/aidr-engine/aidr/schema"
)

// explain decodes a record and returns the explanations of its elements and the number of events.
func explain(t testing.TB, o Options, record string) (got []Explanation, events int) {
	t.Helper()
	d, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	d.Decode(record, Meta{}, &Handler{
		Event:   func(*schema.Event) { events++ },
		Explain: func(x *Explanation) { got = append(got, *x) },
	})
	return got, events
}

func zipped(t testing.TB, text string) string {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

const trailElement = `{"eventVersion":"1.11","userIdentity":{"type":"AssumedRole","sessionContext":{"sessionIssuer":{"type":"Role",` +
	`"arn":"arn:aws:iam::1:role/bot"}}},` +
	`"eventTime":"2026-01-01T10:00:30Z","eventSource":"s3.amazonaws.com","eventName":"GetObject","eventID":"e-1"}`

func TestExplain(t *testing.T) {
	got, _ := explain(t, Options{Wanted: everything()}, kongRecord)
	if len(got) != 1 || got[0].Format != "kong_http_log" || got[0].Dead != "" || got[0].Events != 1 || got[0].Named || len(got[0].Envelopes) != 0 {
		t.Fatalf("got %+v", got)
	}
	if want := []string{"started_at", "latencies", "request"}; !reflect.DeepEqual(got[0].Keys, want) {
		t.Errorf("keys: got %q, want %q", got[0].Keys, want)
	}
	if want := (Naming{UID: "c-1", Source: "consumer.id", Rung: "record"}); got[0].Agent != want {
		t.Errorf("got %+v, want %+v", got[0].Agent, want)
	}

	// The envelopes are listed from the outside in.
	f := func(record string, want ...string) {
		t.Helper()
		got, events := explain(t, Options{Format: everyFormat(), Wanted: everything()}, record)
		if len(got) != 1 || events != 1 || !reflect.DeepEqual(got[0].Envelopes, want) {
			t.Errorf("got %d events and %+v, want the envelopes %q", events, got, want)
		}
	}
	quoted, err := json.Marshal(trailElement)
	if err != nil {
		t.Fatal(err)
	}
	f(`{"Records":[`+trailElement+`]}`, "Records")
	f(zipped(t, `{"Records":[`+trailElement+`]}`), "gzip", "Records")
	f(`[{"detail-type":"x","detail":`+trailElement+`}]`, "array", "EventBridge")
	f(`{"message":`+string(quoted)+`}`, "message")
	f(`{"log":`+string(quoted)+`}`, "log")
	f(`{"messageType":"DATA_MESSAGE","logEvents":[{"message":`+string(quoted)+`}]}`, "CloudWatch Logs", "message")
	f("\x00\x00\x00\x00\x07"+trailElement, "schema registry frame")
}

// Values that are not read are listed by path, or by the path of the object around them. Values that a rule reads are
// not listed.
func TestExplainIgnored(t *testing.T) {
	record := strings.Replace(trailElement, `"eventID":"e-1"`,
		`"eventID":"e-1","tls\u0044etails":{"a":{"b":1}},"additionalEventData":{"bytesTransferredOut":1,"other":[1,{"x":2}],`+
			`"mine":{"a":1,"b":2}},"arn\u0022":0`, 1)
	o := Options{Wanted: everything()}
	f := func(want ...string) {
		t.Helper()
		got, events := explain(t, o, record)
		if len(got) != 1 || events != 1 || !reflect.DeepEqual(got[0].Ignored, want) {
			t.Errorf("got %d events and %+v, want ignored %q", events, got, want)
		}
	}
	f(`tlsDetails.a`, `additionalEventData.other`, `additionalEventData.mine`, `arn"`)
	o.Wanted.Raw = [][]string{{"additionalEventData", "mine", "a"}, {"tlsDetails"}}
	f(`additionalEventData.other`, `additionalEventData.mine.b`, `arn"`)

	o, record = Options{Wanted: everything()}, strings.Replace(trailElement, `{`, `{`+strings.Repeat(`"x":0,`, 2*maxIgnored), 1)
	if got, _ := explain(t, o, record); len(got) != 1 || len(got[0].Ignored) != maxIgnored {
		t.Errorf("got %+v, want %d ignored paths", got, maxIgnored)
	}
}

// Field errors, duplicate keys and, for an unknown format, the nearest format are reported.
func TestExplainFaults(t *testing.T) {
	bad := strings.Replace(kongRecord, `"request":1`, `"request":"soon"`, 1)
	bad = strings.Replace(bad, `"client_ip":`, `"client_ip":"192.0.2.1","client_ip":`, 1)
	got, _ := explain(t, Options{Wanted: everything()}, bad)
	if len(got) != 1 || !reflect.DeepEqual(got[0].Faults, []string{"event.duration"}) ||
		!reflect.DeepEqual(got[0].Duplicates, []string{"client_ip"}) {
		t.Errorf("got %+v", got)
	}

	got, events := explain(t, Options{Wanted: everything()}, `{"eventVersion":"1","eventSource":"s3","x":1}`)
	if events != 0 || len(got) != 1 || got[0].Dead != ReasonUnknownFormat || got[0].Format != "" || !strings.HasSuffix(got[0].Near,
		"and lacks userIdentity") {
		t.Errorf("got %+v", got)
	}
	got, _ = explain(t, Options{Wanted: everything()}, `{"a":`)
	if len(got) != 1 || got[0].Dead != ReasonMalformed {
		t.Errorf("got %+v", got)
	}
}

func TestExplainNaming(t *testing.T) {
	o := Options{
		Wanted:   everything(),
		Aliases:  func(_, uid string) string { return map[string]string{"c-1": "agent-7", "x": "agent-8"}[uid] },
		Override: overrideOf("aws.cloudtrail", []string{"eventName"}, func(*schema.Event) (string, error) { return "x", nil }),
	}
	f := func(record string, want Naming) {
		t.Helper()
		got, _ := explain(t, o, record)
		if len(got) != 1 || got[0].Agent != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
	}
	f(kongRecord, Naming{UID: "agent-7", Source: "consumer.id", Record: "c-1", Rung: "record"})
	f(trailElement, Naming{UID: "agent-8", Source: OverrideRung, Record: "arn:aws:iam::1:role/bot", Rung: "override"})
}

// Explaining does not change the result.
func TestExplainChangesNothing(t *testing.T) {
	for _, f := range readFixtures(t, "../../testdata/fixtures/adversarial.jsonl") {
		record := f.record(t)
		plain := decodeAll(t, Options{Wanted: everything()}, record, Meta{})
		got, events := explain(t, Options{Wanted: everything()}, record)
		total, dead := 0, 0
		for _, x := range got {
			total += x.Events
			if x.Dead != "" {
				dead++
			}
		}
		if events != len(plain.events) || total != events || dead != len(plain.dead) {
			t.Errorf("%s: got %d events and %d dead letters, %d explained, want %d and %d", f.Name, events, dead, total,
				len(plain.events), len(plain.dead))
		}
	}
}

// The dead letter of an unknown format names its keys and the nearest format. It is safe to print and to store.
func TestUnknownFormatNamesKeys(t *testing.T) {
	secret := "sk-ant-api03-" + strings.Repeat("Ab1", 30)
	many := ""
	for i := range 100 {
		many += fmt.Sprintf(`,"k%d":1`, i)
	}
	for _, c := range []struct{ record, has, lacks string }{
		{`{"started_at":1,"latencies":{}}`, `"started_at", "latencies"; the nearest format is kong_http_log, which also has request`, ""},
		{`{"object":"list","choices":[]}`, `the nearest format is openai_api, but object is not "chat.completion"`, ""},
		{`{"a\u001b[31m\u202e\"":1}`, `"a\x1b[31m\u202e\""`, "\x1b"},
		{`{"` + secret + `":1}`, "[redacted:", secret[:20]},
		{`{"` + strings.Repeat("long", 100) + `":1}`, strings.Repeat("long", 10) + `"...`, strings.Repeat("long", 11)},
		{`{"a":1` + many + `}`, ", and more", "k9"},
		{`{}`, "the object has no keys", ""},
		{`[{"b":1},{"c":1}]`, `"c"`, `"b"`},
		{small + "\n{\"d\":1}", `"d"`, "start_time"},
	} {
		res := decodeAll(t, Options{Format: Auto}, c.record, Meta{})
		detail := res.dead[len(res.dead)-1].Detail
		if !strings.Contains(detail, c.has) || c.lacks != "" && strings.Contains(detail, c.lacks) || len(detail) > 1000 {
			t.Errorf("%.60s: got %q, want %q and not %q", c.record, detail, c.has, c.lacks)
		}
	}
}
