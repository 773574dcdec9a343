package decode

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/aidr-engine/aidr/schema"
)

// accessMaps are the formats whose lines of text are read; the shipped maps read more of them.
func accessMaps() []*Map {
	field := func(f schema.Field, keys ...string) MapField {
		var from []MapSource
		for _, key := range keys {
			from = append(from, MapSource{Path: []string{key}})
		}
		return MapField{f, from}
	}
	return []*Map{
		{
			Name: combinedMap, Dataset: "nginx.access", Class: "api", Keys: [][]string{{"remote_addr", "status", "request"}}, Absent: []string{"-"},
			Fields: []MapField{field(schema.Time, "time_local"), field(schema.SourceIP, "remote_addr"), field(schema.HTTPResponseStatusCode, "status")},
		},
		{
			Name: loadBalMap, Dataset: "aws.alb", Class: "api", Keys: [][]string{{"elb", "elb_status_code", "request"}}, Absent: []string{"-"},
			Fields: []MapField{field(schema.Time, "time"), field(schema.SourceIP, "client:port"), field(schema.HTTPResponseStatusCode, "elb_status_code")},
		},
	}
}

const (
	combinedLine = `203.0.113.9 - - [10/Oct/2026:13:55:36 +0000] "GET /x HTTP/1.1" 200 12 "-" "a"`
	balancerLine = `h2 2026-05-01T10:00:01.1Z app/web/1 203.0.113.8:42 - -1 -1 -1 403 - 34 57 "GET https://a.example:443/ HTTP/2.0" "a" - -`
)

// Lines of access logs are read among each other, among JSON and in every wrapping; a bad line spoils no other.
func TestAccessLines(t *testing.T) {
	quoted := func(text string) string {
		b, err := json.Marshal(text)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	record := `{"remote_addr":"203.0.113.7","status":"500","request":"-","time_local":"2026-01-01T10:00:00Z"}`
	d, err := New(Options{Wanted: everything(), Maps: accessMaps()})
	if err != nil {
		t.Fatal(err)
	}
	f := func(text, want string) {
		t.Helper()
		var got []string
		d.Decode(text, Meta{}, &Handler{
			Event: func(e *schema.Event) { got = append(got, e.Text(schema.SourceIP)[len("203.0.113."):]) },
			Dead:  func(dead Dead) { got = append(got, dead.Reason) },
		})
		if strings.Join(got, " ") != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
	f(combinedLine, "9")
	f(combinedLine+"\r\n", "9")
	f(combinedLine+"\n"+balancerLine+"\n\n"+record+"\n"+combinedLine+"\n", "9 8 7 9")
	f(record+"\n"+balancerLine, "7 8")
	f("some text\n"+combinedLine+"\nmore text\n"+balancerLine, "malformed_json 9 malformed_json 8")
	f(strings.Replace(combinedLine, " 200 ", " 20 ", 1)+"\n"+combinedLine, "malformed_json 9")
	f("2026-05-01T10:00:00.1Z stderr F "+combinedLine, "9")
	f("<134>1 2026-05-01T10:00:00Z h nginx 1 - - "+combinedLine, "9")
	f("Oct 10 13:55:36 web nginx: "+combinedLine, "9")
	f(`{"log":`+quoted(combinedLine+"\n")+`,"stream":"stdout"}`, "9")
	f(`{"message":`+quoted(balancerLine)+`,"agent":{"type":"filebeat"}}`, "8")
	f(`{"messageType":"DATA_MESSAGE","logGroup":"g","logEvents":[{"id":"1","timestamp":1,"message":`+quoted(combinedLine)+`}]}`, "9")
	f(`[`+quoted(combinedLine)+`,`+quoted(balancerLine)+`]`, "9 8")
	f(strings.Repeat("x", maxAccessLine)+combinedLine, "malformed_json")
	for _, other := range []string{
		"", "-", strings.Replace(combinedLine, " - -", " x -", 1), strings.Replace(combinedLine, "Oct", "1ct", 1), strings.Replace(combinedLine, `"GET`, "GET", 1),
		strings.Replace(combinedLine, `"a"`, `"a"b`, 1), strings.Replace(combinedLine, "203.0.113.9 -", " -", 1), strings.Replace(combinedLine, `"a"`, `"a\"`, 1),
		strings.Replace(balancerLine, "app/", "net/", 1), strings.Replace(balancerLine, "h2 ", "h3 ", 1), balancerLine[:len(balancerLine)-8],
		strings.Replace(balancerLine, "T10:", " 10:", 1),
	} {
		if other != "" {
			f(other, "malformed_json")
		}
	}
	// Without their maps the lines are text like any other.
	if d, err = New(Options{Format: "envoy_access_log", Wanted: everything(), Maps: accessMaps()}); err != nil {
		t.Fatal(err)
	}
	f(balancerLine, "malformed_json")
}

// FuzzAccessLine checks that a line of an access log becomes a JSON object of texts, and that decoding any lines ends.
func FuzzAccessLine(f *testing.F) {
	for _, line := range []string{
		combinedLine, balancerLine, combinedLine + ` "198.51.100.7"`, combinedLine + ` 318 0.023 [a-80] [] 172.17.0.7:8080 190 0.023 503 8e2d`,
		"a.example:443 " + combinedLine, strings.ReplaceAll(combinedLine, "/x", `/\x22\"\\\xff\n`), combinedLine + "\n" + balancerLine,
		strings.Replace(combinedLine, " - - [", " - a [10/Oct/2026:13:55:36 +0000] b [", 1),
	} {
		f.Add(line)
	}
	d, err := New(Options{Wanted: everything(), Maps: accessMaps()})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, line string) {
		if record, ok := d.accessLine(line); ok {
			var flat map[string]string
			if err := json.Unmarshal([]byte(record), &flat); err != nil {
				t.Fatalf("%q gives %q: %v", line, record, err)
			}
			if !d.isAccessLine(strings.TrimRight(line, "\r\n")) {
				t.Fatalf("%q is read, but is no line of an access log", line)
			}
		}
		d.Decode(line, Meta{Time: 1}, &Handler{Event: func(*schema.Event) {}})
	})
}
