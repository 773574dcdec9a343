package webhook

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/schema"
)

// hostile is a text that tries to leave the place in which it is shown.
const hostile = "x\"}],\"a\":1 </script> <!channel> <https://evil.example|Click> *b* `c` {{.}} \u202e\u2028\x00\x1b[31m & \\ \xff"

// hostileFinding returns a finding in which every text is hostile.
func hostileFinding() *schema.Finding {
	f := sample()
	for _, s := range []*string{&f.RuleID, &f.Kind, &f.Title, &f.AgentUID, &f.AgentName, &f.SessionID, &f.Tenant, &f.Summary, &f.Explanation} {
		*s = hostile
	}
	f.Tags, f.Reasons, f.Key = []string{hostile}, []string{hostile}, map[string]string{hostile: hostile}
	f.Evidence[0].EventID, f.Evidence[0].Fields = hostile, map[string]any{hostile: []any{hostile}}
	return f
}

// variants returns entries of one type: made up, as large as they can be, and with hostile texts.
func variants(typ connectors.EntryType) map[string]connectors.Entry {
	out := map[string]connectors.Entry{"sample": SampleEntry(typ), "large": SampleEntry(typ), "hostile": SampleEntry(typ)}
	for name, e := range out {
		switch {
		case name == "sample":
		case e.Finding != nil && name == "large":
			f := grown(8, 100_000)
			f.Status, e.Finding = e.Finding.Status, f
		case e.Finding != nil:
			f := hostileFinding()
			f.Status, e.Finding = e.Finding.Status, f
		case e.Response != nil && name == "large":
			for range schema.MaxCovered {
				e.Response.Credentials = append(e.Response.Credentials, strings.Repeat("c", schema.MaxTargetText))
			}
		case e.Response != nil:
			e.Response.Target.Agent, e.Response.Reason, e.Response.By, e.Response.Why = hostile, hostile, hostile, hostile
		case e.Endpoint != nil:
			e.Endpoint = schema.EndpointDisabled(hostile, e.Endpoint.Since, hostile)
		case name == "large":
			e.Approval.Call.Tool = strings.Repeat("t", schema.MaxTargetText)
		default:
			e.Approval.Call = schema.Question{Agent: hostile, Tool: hostile, Server: hostile, Route: hostile}
		}
		out[name] = e
	}
	return out
}

// bodyOf returns the body that an endpoint with the configuration gets.
func bodyOf(t *testing.T, e *connectors.Entry, change func(*Config)) []byte {
	t.Helper()
	s := newSink(t, func(http.ResponseWriter, *http.Request) {}, change)
	b, err := fit(e, s.config.pages(), s.form.render)
	if err != nil {
		t.Fatal(err)
	}
	again, err := fit(e, s.config.pages(), s.form.render)
	if err != nil || string(again) != string(b) {
		t.Errorf("the second body differs, error %v:\n%s\n%s", err, b, again)
	}
	if len(b) > MaxBody {
		t.Errorf("body has %d bytes, want at most %d", len(b), MaxBody)
	}
	return b
}

// settings are complete configurations of each format.
var settings = map[Format]func(*Config){
	FormatAIDR:        func(c *Config) { c.Links = "https://aidr.example.com/" },
	FormatOCSF:        func(c *Config) { c.Format, c.Links = FormatOCSF, "https://aidr.example.com" },
	FormatCloudEvents: func(c *Config) { c.Format, c.Links = FormatCloudEvents, "https://aidr.example.com" },
	FormatTemplate: func(c *Config) {
		c.Format, c.Template = FormatTemplate, `{"a": "{{.data.title}}", "n": {{.data.count}}, "list": {{.data.evidence}}}`
	},
	FormatSlack: func(c *Config) {
		c.Format, c.Links, c.Secrets = FormatSlack, "https://aidr.example.com", nil
	},
	FormatPagerDuty: func(c *Config) { c.Format, c.RoutingKey, c.Links = FormatPagerDuty, "key", "https://aidr.example.com" },
	FormatSplunkHEC: func(c *Config) { c.Format, c.Token, c.Index = FormatSplunkHEC, "token", "security" },
}

// TestSchemas checks the body of every format against its JSON Schema, for every change, a large and a hostile finding.
func TestSchemas(t *testing.T) {
	for _, format := range Formats() {
		s := compileSchema(t, format)
		for _, typ := range Types() {
			if format == FormatOCSF && typ == connectors.EndpointDisabled {
				continue // it is not sent
			}
			for name, e := range variants(typ) {
				body := bodyOf(t, &e, settings[format])
				var v any
				if err := json.Unmarshal(body, &v); err != nil {
					t.Fatalf("%s, %s, %s: %v\n%s", format, typ, name, err, body)
				}
				if s == nil { // a template has no schema
					continue
				}
				if err := s.Validate(v); err != nil {
					t.Errorf("%s, %s, %s: %v\n%s", format, typ, name, err, body)
				}
			}
		}
	}
}

func TestPagerDuty(t *testing.T) {
	f := func(typ connectors.EntryType, severity schema.Severity, want string) {
		t.Helper()
		in := sample()
		in.Severity = severity
		in.Evidence = nil
		var got struct {
			EventAction string `json:"event_action"`
			DedupKey    string `json:"dedup_key"`
			Payload     struct{ Summary, Source, Severity string }
		}
		if err := json.Unmarshal(bodyOf(t, &connectors.Entry{Type: typ, Finding: in}, settings[FormatPagerDuty]), &got); err != nil {
			t.Fatal(err)
		}
		if s := fmt.Sprint(got); s != want {
			t.Errorf("got %s, want %s", s, want)
		}
	}
	const id = "ab000000-0000-0000-0000-000000000001"
	payload := `{Agent makes more than 100 tool calls a minute: "a1" called "shell" 101 times a1 `
	f(connectors.FindingOpened, schema.SeverityCritical, "{trigger "+id+" "+payload+"critical}}")
	f(connectors.FindingUpdated, schema.SeverityHigh, "{trigger "+id+" "+payload+"error}}")
	f(connectors.FindingOpened, schema.SeverityMedium, "{trigger "+id+" "+payload+"warning}}")
	f(connectors.FindingOpened, schema.SeverityInfo, "{trigger "+id+" "+payload+"info}}")
	f(connectors.FindingWithdrawn, schema.SeverityHigh, "{resolve "+id+" {  }}")
	s := newSink(t, nil, settings[FormatPagerDuty])
	if s.wants(connectors.Entry{Type: connectors.FindingSettled, Finding: sample()}) {
		t.Error("a settled finding would open a new alert")
	}
}

// TestSlackEscapes checks that no text of a finding mentions a channel, shows a link, or ends its code span.
func TestSlackEscapes(t *testing.T) {
	body := string(bodyOf(t, entry(hostileFinding()), settings[FormatSlack]))
	if header := `{"text":{"emoji":true,"text":":red_circle: x`; strings.Count(body, header) != 1 {
		t.Errorf("the body has not one header:\n%s", body)
	}
	_, body, _ = strings.Cut(body, `"type":"plain_text"`) // Slack does not interpret the plain text of the header
	for _, bad := range []string{"<!channel>", "<https://evil", "*b*", "`c`", "\\u001b", "\\u0000", "\u202e"} {
		if strings.Contains(body, bad) {
			t.Errorf("the body contains %s:\n%s", bad, body)
		}
	}
	long := sample()
	long.Summary = strings.Repeat("&<>", 5000)
	if body := bodyOf(t, entry(long), settings[FormatSlack]); len(body) > 3*maxSlackSection {
		t.Errorf("body has %d bytes", len(body))
	}
}

// api is a fake of Slack's Web API.
type slackAPI struct {
	mu    sync.Mutex
	calls []string
	fail  string // answered in place of ok, once
}

func (a *slackAPI) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	var m struct{ Channel, TS, Text string }
	if err := json.NewDecoder(r.Body).Decode(&m); err != nil || r.Header.Get("Authorization") != "Bearer xoxb-1" {
		http.Error(w, "bad request", http.StatusBadRequest)
		return
	}
	a.calls = append(a.calls, strings.TrimPrefix(r.URL.Path, "/secret-path/")+" "+m.Channel+" "+m.TS)
	if a.fail != "" {
		fmt.Fprintf(w, `{"ok":false,"error":%q}`, a.fail)
		a.fail = ""
		return
	}
	fmt.Fprintf(w, `{"ok":true,"channel":%q,"ts":"%d.5"}`, m.Channel, 100+len(a.calls))
}

// TestSlackUpdates checks that a finding is one message: posted once, then updated, also by a sink that was made later and
// has the notes of the former one; and that a deleted message is posted again.
func TestSlackUpdates(t *testing.T) {
	api := &slackAPI{}
	change := func(c *Config) {
		c.Format, c.Channel, c.Token, c.Secrets, c.URL = FormatSlack, "C1", "xoxb-1", nil, c.URL+"/chat.postMessage"
	}
	s := newSink(t, api.ServeHTTP, change)
	notes := newMemoryNotes()
	s.Profile().Keep(notes)
	write := func(s *Sink, typ connectors.EntryType, revision uint64) error {
		return s.Write(t.Context(), []connectors.Entry{{Seq: revision, Type: typ, Finding: finding(1, revision)}})
	}
	for i, typ := range []connectors.EntryType{connectors.FindingOpened, connectors.FindingUpdated} {
		if err := write(s, typ, uint64(i+1)); err != nil {
			t.Fatal(err)
		}
	}
	later := newSink(t, api.ServeHTTP, change)
	later.Profile().Keep(notes)
	if err := write(later, connectors.FindingSettled, 3); err != nil {
		t.Fatal(err)
	}
	api.fail = "message_not_found"
	if err := write(later, connectors.FindingWithdrawn, 4); err == nil {
		t.Error("an update of a deleted message succeeded")
	}
	if err := write(later, connectors.FindingWithdrawn, 4); err != nil {
		t.Fatal(err)
	}
	api.fail = "channel_not_found"
	u := undelivered(t, write(later, connectors.FindingOpened, 5))[5]
	if !u.Poison || u.Reason != connectors.ReasonRefused || !strings.Contains(u.Detail, "channel_not_found") {
		t.Errorf("got %+v, want a dead letter", u)
	}
	want := "chat.postMessage C1 |chat.update C1 101.5|chat.update C1 102.5|chat.update C1 103.5|chat.postMessage C1 |chat.update C1 105.5"
	if got := strings.Join(api.calls, "|"); got != want {
		t.Errorf("calls:\n%s\nwant:\n%s", got, want)
	}
}

// hec is a fake of Splunk's HTTP Event Collector.
type hec struct {
	mu     sync.Mutex
	events int
	asked  int  // questions for acknowledgment
	never  bool // nothing is ever indexed
	ack    bool // the token asks for acknowledgment
}

func (h *hec) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if r.Header.Get("Authorization") != "Splunk token" || r.Header.Get("X-Splunk-Request-Channel") == "" {
		http.Error(w, `{"text":"Invalid token","code":4}`, http.StatusForbidden)
		return
	}
	if r.URL.Path == ackPath {
		h.asked++
		fmt.Fprintf(w, `{"acks":{"7":%t}}`, h.asked > 1 && !h.never)
		return
	}
	if body, _ := io.ReadAll(r.Body); !strings.Contains(string(body), `"index":"security"`) {
		http.Error(w, `{"text":"Incorrect index","code":7}`, http.StatusBadRequest)
		return
	}
	h.events++
	if h.ack {
		fmt.Fprint(w, `{"text":"Success","code":0,"ackId":7}`)
	} else {
		fmt.Fprint(w, `{"text":"Success","code":0}`)
	}
}

func TestSplunkAcknowledges(t *testing.T) {
	f := func(h *hec, change func(*Config), events, asked int, reason string) {
		t.Helper()
		s := newSink(t, h.ServeHTTP, func(c *Config) {
			settings[FormatSplunkHEC](c)
			if change != nil {
				change(c)
			}
		})
		err := s.Write(t.Context(), entries(1))
		if reason == "" && err != nil {
			t.Fatal(err)
		}
		if reason != "" {
			if u := undelivered(t, err)[1]; u.Reason != reason {
				t.Errorf("got %+v, want the reason %s", u, reason)
			}
		}
		if h.events != events || asked >= 0 && h.asked != asked {
			t.Errorf("%d events, %d questions; want %d, %d", h.events, h.asked, events, asked)
		}
	}
	f(&hec{}, nil, 1, 0, "")
	f(&hec{ack: true}, nil, 1, 2, "")
	f(&hec{ack: true, never: true}, func(c *Config) { c.Timeout = 2 * ackEvery }, 1, -1, connectors.ReasonUnacknowledged)
	f(&hec{}, func(c *Config) { c.Token = "other" }, 0, 0, "http_403")
}

// TestConfigOfFormats checks that what a format needs, and what it does not know, is refused with the setting's name.
func TestConfigOfFormats(t *testing.T) {
	f := func(change func(*Config), want string) {
		t.Helper()
		c := Config{Name: "x", URL: "https://example.com", Secrets: []string{secretA}}
		change(&c)
		if _, err := New(c); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want an error with %q", err, want)
		}
	}
	f(func(c *Config) { c.Format = "teams" }, `"teams" is not one of aidr, ocsf`)
	f(func(c *Config) { c.Secrets = nil }, "secret: missing")
	f(func(c *Config) { c.Format, c.Secrets = FormatOCSF, nil }, "secret: missing")
	f(func(c *Config) { c.Template = "{}" }, "template: is for the format template only")
	f(func(c *Config) { c.Channel = "C1" }, "channel: is for the format slack only")
	f(func(c *Config) { c.Format = FormatPagerDuty }, "routing_key: missing")
	f(func(c *Config) { c.Format = FormatSplunkHEC }, "token: missing")
	f(func(c *Config) { c.Format, c.Channel = FormatSlack, "C1" }, "channel and token go together")
	f(func(c *Config) { c.Format, c.Channel, c.Token = FormatSlack, "C1", "t" }, "want https://slack.com/api/chat.postMessage")
	f(func(c *Config) { c.TLS = &connectors.TLS{Cert: "c"} }, "cert and key go together")
	f(func(c *Config) { c.TLS = &connectors.TLS{CA: "/does/not/exist"} }, "read tls ca")
	f(func(c *Config) { c.Format = FormatTemplate }, "template: is empty")
}
