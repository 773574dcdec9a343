package decode

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/aidr-engine/aidr/schema"
)

const small = `{"start_time":"2026-01-01T10:00:00Z","response_flags":"-","request_id":"1"}`

func gzipped(t testing.TB, text string) string {
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

func TestLimits(t *testing.T) {
	big := func(n int) string {
		return `{"start_time":"2026-01-01T10:00:00Z","response_flags":"-","x":"` + strings.Repeat("a", n) + `"}`
	}
	cases := []struct {
		name, record string
		events       int
		dead         []string
	}{
		{"a record of 16 MB and more", big(MaxRecord), 0, []string{ReasonSize}},
		{"an element of 10 MB", big(10 << 20), 0, []string{ReasonSize}},
		{"an element of 10 MB among others", "[" + small + "," + big(10<<20) + "," + small + "]", 2, []string{ReasonSize}},
		{"an element of almost 4 MB", big(MaxElement - 100), 1, nil},
		{"depth 10,000", strings.Repeat(`{"a":`, 10_000) + "1" + strings.Repeat("}", 10_000), 0, []string{ReasonDepth}},
		{"depth 10,000, unfinished", strings.Repeat("[", 10_000), 0, []string{ReasonDepth}},
		{"depth 64", `{"start_time":"2026-01-01T10:00:00Z","response_flags":"-","x":` + strings.Repeat("[", 63) + strings.Repeat("]",
			63) + "}", 1, nil},
		{"depth 65", `{"start_time":"2026-01-01T10:00:00Z","response_flags":"-","x":` + strings.Repeat("[", 64) + strings.Repeat("]",
			64) + "}", 0, []string{ReasonDepth}},
		{"invalid UTF-8 outside of texts", "{\"start_time\":\xff}", 0, []string{ReasonUTF8}},
		{"invalid UTF-8", "{\"start_time\":\"2026-01-01T10:00:00Z\",\"response_flags\":\"\xff\"}", 1, nil},
		{"a surrogate as bytes", "{\"start_time\":\"2026-01-01T10:00:00Z\",\"response_flags\":\"\xed\xa0\x80\"}", 1, nil},
		{"empty", "", 0, []string{ReasonEmpty}},
		{"truncated", small[:40], 0, []string{ReasonMalformed}},
		{"5,000 elements", "[" + strings.Repeat(small+",", 4999) + small + "]", 5000, nil},
		{"5,001 elements", "[" + strings.Repeat(small+",", 5000) + small + "]", 5000, []string{ReasonFanOut}},
		{"a bomb of numbers", "[" + strings.Repeat("1,", 100_000) + "1]", 0, append(repeat(ReasonUnknownFormat, 5000), ReasonFanOut)},
		{"lines beyond the cap", strings.Repeat(small+"\n", 6000), 5000, []string{ReasonFanOut}},
		{"calls beyond the cap", `{"id":"i","call_type":"c","metadata":{},"custom_llm_provider":"o","startTime":1767261600,"response":{` +
			`"choices":[{"message":{"tool_calls":[` +
			strings.Repeat(`{"id":"c"},`, 6000) + `{"id":"c"}]}}]}}`, 5000, []string{ReasonFanOut}},
		{"results beyond the cap", `{"id":"i","call_type":"c","metadata":{},"custom_llm_provider":"o","startTime":1767261600,` +
			`"messages":[{"role":"assistant","tool_calls":[` +
			strings.Repeat(`{"id":"c"},`, 100_000) + `{"id":"d"}]}` + strings.Repeat(`,{"role":"tool","tool_call_id":"d"}`, 60_000) +
			`]}`, 5000, []string{ReasonFanOut}},
		{"gzip", gzipped(t, small+"\n"+small), 2, nil},
		{"gzip, truncated", gzipped(t, small)[:20], 0, []string{ReasonMalformed}},
		{"a gzip bomb", gzipped(t, strings.Repeat(" ", MaxRecord+1)), 0, []string{ReasonSize}},
		{"base64 of gzip", `{"awslogs":{"data":"` + base64.StdEncoding.EncodeToString([]byte(gzipped(t,
			`{"messageType":"DATA_MESSAGE","logEvents":[{"message":`+quote(small, false)+`}]}`))) + `"}}`, 1, nil},
		{"no base64", `{"awslogs":{"data":"***"}}`, 0, []string{ReasonMalformed}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			res := decodeAll(t, Options{Format: Auto, Wanted: everything()}, c.record, Meta{})
			var dead []string
			for _, d := range res.dead {
				dead = append(dead, d.Reason)
			}
			if len(res.events) != c.events || fmt.Sprint(dead) != fmt.Sprint(c.dead) {
				t.Errorf("got %d events and dead letters %.200v, want %d and %.200v", len(res.events), dead, c.events, c.dead)
			}
		})
	}
}

func repeat(s string, n int) (list []string) {
	for range n {
		list = append(list, s)
	}
	return list
}

// The cap on inflated bytes holds for the whole record, also if it contains many small gzip streams.
func TestInflatedBytesAreBoundedPerRecord(t *testing.T) {
	bomb := `{"awslogs":{"data":"` + base64.StdEncoding.EncodeToString([]byte(gzipped(t, strings.Repeat(" ", MaxRecord/2)))) + `"}}`
	d, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	res := d.all(t, strings.Repeat(bomb+"\n", 50), Meta{})
	sizes := 0
	for _, dead := range res.dead {
		if dead.Reason == ReasonSize {
			sizes++
		}
	}
	if sizes != 48 || d.inflated > 2*MaxRecord {
		t.Errorf("got %d of 50 refused and %d bytes inflated, want 48 and at most %d", sizes, d.inflated, 2*MaxRecord)
	}
}

// Long content keeps its head, its tail and its structure, is cut between characters, and event.truncated is set.
func TestLongContentIsCut(t *testing.T) {
	prompt := strings.Repeat("\u00e9", 200<<10)
	record := `{"id":"i","call_type":"c","metadata":{},"custom_llm_provider":"o","startTime":1767261600,"messages":[{"role":"user",` +
		`"content":"` + prompt + `"}],"response":{"choices":[{"message":{"tool_calls":[` +
		`{"id":"1","function":{"name":"f","arguments":{"a":"` + prompt + `","url":"https://x.example/"}}},` +
		`{"id":"2","function":{"name":"g","arguments":"{}"}}]}}]}}`
	res := decodeAll(t, Options{Wanted: everything()}, record, Meta{})
	if len(res.events) != 3 {
		t.Fatalf("got %d events, want 3", len(res.events))
	}
	whole := func(text any) bool {
		s, ok := text.(string)
		return ok && len(s) <= 256<<10 && len(s) > 256<<10-8 && strings.Count(s, "\u00e9") == (len(s)-len(" [...] "))/2 &&
			strings.Count(s, " [...] ") == 1
	}
	if got := res.events[0]["message_context.prompt_text"]; !whole(got) {
		t.Errorf("prompt: got %d bytes", len(got.(string)))
	}
	arguments, ok := res.events[1]["gen_ai.tool.call.arguments"].(map[string]any)
	long, _ := arguments["a"].(string)
	if !ok || len(long) < 256<<10-64 || !strings.HasSuffix(long, "\u00e9") ||
		arguments["url"] != "https://x.example/" {
		t.Errorf("arguments: got %d bytes and url %v", len(long), arguments["url"])
	}
	for i, want := range []any{true, true, nil} {
		if got := res.events[i]["event.truncated"]; got != want {
			t.Errorf("event %d: event.truncated: got %v, want %v", i, got, want)
		}
	}
}

func TestRawPaths(t *testing.T) {
	w := schema.Wanted{Raw: [][]string{
		{"requestParameters", "bucketName"}, {"requestParameters"}, {"n"}, {"f"}, {"b"}, {"null"}, {"missing", "deep"}, {"empty"}, {"a.b"}, {"big"},
	}}
	d, err := New(Options{Format: "cloudtrail", Wanted: w})
	if err != nil {
		t.Fatal(err)
	}
	record := `{"eventVersion":"1","eventSource":"s","userIdentity":{},"eventTime":1767261600,"requestParameters":{"bucketName":"b\n"},` +
		`"n":5,"f":1.5,"b":false,"null":null,"empty":"","a.b":[1],"big":1e40}`
	want := []schema.Value{
		schema.StringValue("b\n"), schema.JSONValue(`{"bucketName":"b\n"}`), schema.IntValue(5), schema.DoubleValue(1.5), schema.BoolValue(false),
		{}, {}, schema.StringValue(""), schema.JSONValue("[1]"), schema.DoubleValue(1e40),
	}
	events := 0
	for range 2 {
		d.Decode(record, Meta{}, &Handler{Event: func(e *schema.Event) {
			events++
			if fmt.Sprint(e.Raws) != fmt.Sprint(want) {
				t.Errorf("got %v, want %v", e.Raws, want)
			}
		}})
	}
	if events != 2 {
		t.Errorf("got %d events, want 2", events)
	}
}

// Position and tenant come from the source. The index is that of the innermost element in the record.
func TestPositionAndTenant(t *testing.T) {
	d, err := New(Options{Tenant: "acme"})
	if err != nil {
		t.Fatal(err)
	}
	pos := schema.Position{Topic: "t", Partition: 3, Offset: 9}
	var got []string
	d.Decode("["+small+",[7,"+small+"]]\n"+small, Meta{Pos: pos}, &Handler{
		Event: func(e *schema.Event) {
			got = append(got, fmt.Sprintf("%s %s/%d/%d/%d", e.Tenant, e.Pos.Topic, e.Pos.Partition, e.Pos.Offset, e.Pos.Index))
		},
		Dead: func(d Dead) { got = append(got, fmt.Sprintf("dead %d %s", d.Index, d.Body)) },
	})
	if want := "[acme t/3/9/0 dead 1 7 acme t/3/9/2 acme t/3/9/3]"; fmt.Sprint(got) != want {
		t.Errorf("got %v, want %s", got, want)
	}
}

func TestNewRefusesUnknownNames(t *testing.T) {
	for _, o := range []Options{{Format: "nginx"}, {TrustForwarded: []string{"10.0.0.0/99"}}, {TrustForwarded: []string{"proxy"}}} {
		if _, err := New(o); err == nil {
			t.Errorf("%v: got no error", o)
		} else {
			t.Log(err)
		}
	}
	for _, o := range []Options{{}, {Format: Auto}, {Format: "kong"}, {Format: "kong_http_log"}, {Format: "kong.http_log"},
		{TrustForwarded: []string{"10.0.0.1", "::1/128"}}} {
		if _, err := New(o); err != nil {
			t.Errorf("%v: %v", o, err)
		}
	}
}

func TestFormatsAreListed(t *testing.T) {
	list := Formats()
	for i, f := range list {
		if f.Keys == "" || i > 0 && list[i-1].Name >= f.Name {
			t.Errorf("format %v has no keys or is out of order", f)
		}
		if f.Name != "aidr" && len(f.Datasets) == 0 {
			t.Errorf("format %s has no datasets", f.Name)
		}
		for _, name := range append([]string{f.Name}, f.Aliases...) {
			if got, ok := Find(name); !ok || got.Name != f.Name {
				t.Errorf("Find(%q): got %v, want %s", name, got, f.Name)
			}
		}
		for _, name := range f.Datasets { // several formats may have the dataset
			if got, ok := Find(name); !ok || !slices.Contains(got.Datasets, name) {
				t.Errorf("Find(%q): got %v, want one of that dataset", name, got)
			}
		}
	}
	for _, name := range []string{Auto, "", "nginx"} {
		if got, ok := Find(name); ok {
			t.Errorf("Find(%q): got %v", name, got)
		}
	}
}

// A truncated record gives exactly one dead letter, which holds all that is left of the record, or of the element of a list
// that is cut off.
func TestTruncatedRecordsAreOneDeadLetter(t *testing.T) {
	d, err := New(Options{Wanted: everything()})
	if err != nil {
		t.Fatal(err)
	}
	for _, record := range corpus(t) {
		record = strings.TrimSpace(record)
		for n := 1; n < len(record); n += 7 {
			res := d.all(t, record[:n], Meta{Time: 1})
			if len(res.dead) != 1 || res.dead[0].Reason != ReasonMalformed || !strings.HasSuffix(record[:n], res.dead[0].Body) ||
				len(res.events) == 0 && res.dead[0].Body != record[:n] {
				t.Fatalf("cut at %d: got %d events and %v: %.100s", n, len(res.events), res.dead, record)
			}
		}
	}
}

// A line that is cut off costs that line alone, also if so many lines are cut off that each is read on its own. The
// text after them is read as usual, also a value of several lines.
func TestManyLinesThatAreCutOff(t *testing.T) {
	d, err := New(Options{Wanted: everything()})
	if err != nil {
		t.Fatal(err)
	}
	swallowing := `{"a":[{"b":` // the next line continues it
	for _, cut := range []int{1, 3, 40, 400} {
		record := strings.Repeat(swallowing+"\n"+small+"\n", cut) + "{\"x\":\n{}}\n" + strings.Replace(small, ",", ",\n\n", 1) + "\n" + small
		res := d.all(t, record, Meta{})
		want := repeat(ReasonMalformed, cut)
		want = append(want, ReasonUnknownFormat) // the value of two lines
		if len(res.events) != cut+2 || len(res.dead) != len(want) {
			t.Fatalf("%d lines: got %d events and %d dead letters, want %d and %d", cut, len(res.events), len(res.dead), cut+2, len(want))
		}
		for i, dead := range res.dead {
			if dead.Reason != want[i] || dead.Reason == ReasonMalformed && dead.Body != swallowing {
				t.Errorf("%d lines: dead letter %d: got %s %q", cut, i, dead.Reason, dead.Body)
			}
		}
	}
}

// A record that costs too much becomes a dead letter, whether it yields events or not. The cost is that of the record
// alone: the fields that are wanted change nothing.
func TestTooExpensive(t *testing.T) {
	logs := func(service string, n int, record string) string {
		return `{"resourceLogs":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"` + service + `"}}]},` +
			`"scopeLogs":[{"logRecords":[` + strings.Repeat(record+",", n) + record + `]}]}]}`
	}
	event := `{"timeUnixNano":"1767261600000000000","eventName":"gen_ai.choice"}`
	scopes := `{"resourceSpans":[{"scopeSpans":[` + strings.Repeat("{},", 1_000_000) + `{}]}]}`
	digest := `{"digestStartTime":1,"digestS3Bucket":2}`
	stream := `{"awslogs":{"data":"` + base64.StdEncoding.EncodeToString([]byte(gzipped(t, digest))) + `"}}` + "\n"
	for _, c := range []struct {
		name, record string
		tooExpensive bool
	}{
		{"elements that are skipped", logs("s", 140_000, "{}"), true},
		{"elements in envelopes", "[" + strings.Repeat(digest+",", 140_000) + digest + "]", true},
		{"empty lists", "[" + strings.Repeat("[],", 140_000) + "[]]", true},
		{"lines", strings.Repeat(digest+"\n", 140_000), true},
		{"scopes", scopes, true},
		{"gzip streams", strings.Repeat(stream, 5000), true},
		{"a large context of many events", logs(strings.Repeat("s", 100_000), 3000, event), true},
		{"a large context of other elements", logs(strings.Repeat("s", 100_000), 3000, "{}"), false},
		{"a small context of many events", logs(strings.Repeat("s", 10_000), 4000, event), false},
		{"as many elements as a large batch has", logs("s", 100_000, "{}"), false},
		{"a large record", "[" + strings.Repeat(digest[:len(digest)-2]+`"`+strings.Repeat("b", 1000)+`"},`,
			15_000) + digest + "]", false},
	} {
		var results []string
		for _, wanted := range []schema.Wanted{{}, everything()} {
			d, err := New(Options{Format: Auto, Wanted: wanted})
			if err != nil {
				t.Fatal(err)
			}
			events, reasons := 0, map[string]int{}
			d.Decode(c.record, Meta{}, &Handler{Event: func(*schema.Event) { events++ }, Dead: func(dead Dead) {
				reasons[dead.Reason]++
				if dead.Reason == ReasonTooExpensive && dead.Body != c.record {
					t.Errorf("%s: the dead letter has a body of %d bytes, want the record", c.name, len(dead.Body))
				}
			}})
			if got := reasons[ReasonTooExpensive] == 1; got != c.tooExpensive || len(reasons) > 1 {
				t.Errorf("%s: got dead letters %v, want too expensive: %v", c.name, reasons, c.tooExpensive)
			}
			results = append(results, fmt.Sprint(events, reasons, d.elem.Cost()))
		}
		if results[0] != results[1] {
			t.Errorf("%s: got %s and %s, depending on the wanted fields", c.name, results[0], results[1])
		}
	}
}

// TestCostIsOfTheRecord checks that the cost is the same for any fields that are wanted, and is linear in each part of
// the input.
func TestCostIsOfTheRecord(t *testing.T) {
	all, err := New(Options{Format: Auto, Wanted: everything()})
	if err != nil {
		t.Fatal(err)
	}
	none, err := New(Options{Format: Auto})
	if err != nil {
		t.Fatal(err)
	}
	cost := func(d *Decoder, record string) int {
		d.Decode(record, Meta{Time: 1}, discard())
		return d.elem.Cost()
	}
	for _, s := range append(scalings(t), envelopes(t)...) {
		small, large := s.of(100), s.of(200)
		if a, b := cost(all, small), cost(none, small); a != b {
			t.Errorf("%s: the cost is %d, and %d if no field is wanted", s.name, a, b)
		}
		if strings.Contains(s.name, ", ") {
			continue // two parts grow: a context is charged for each event in it
		}
		bytes := max(2, float64(len(large))/float64(len(small)))
		if growth := float64(cost(all, large)) / float64(cost(all, small)) * 2 / bytes; growth > maxGrowth {
			t.Errorf("%s: the cost grows by %.2f, want at most %.1f", s.name, growth, maxGrowth)
		}
	}
}
