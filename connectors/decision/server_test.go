package decision

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/aidr-engine/aidr/schema"
)

// fakeTable denies, holds and throttles by the agent's uid, and records the questions.
type fakeTable struct {
	mu       sync.Mutex
	asked    []schema.Question
	receipts []schema.Receipt
	snapshot schema.Snapshot
	changed  chan struct{}
}

func newFakeTable() *fakeTable {
	return &fakeTable{changed: make(chan struct{}), snapshot: schema.Snapshot{Epoch: 7, Version: 1, Known: true}}
}

func (t *fakeTable) Decide(q schema.Question) schema.Decision {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.asked = append(t.asked, q)
	d := schema.Decision{Verdict: schema.VerdictAllow, Version: 3, Epoch: 7}
	for _, v := range schema.Verdicts() {
		if q.Agent == string(v) || q.Tool == string(v) || q.Credential == schema.CredentialHash(string(v)) {
			d.Verdict = v
		}
	}
	switch d.Verdict {
	case schema.VerdictAllow:
		return d
	case schema.VerdictThrottle:
		d.RetryMS = 1500
	case schema.VerdictHold:
		d.ApprovalID = schema.ID{2}
	}
	d.ContainmentID, d.Reason = schema.ID{1}, "evidence that agents must not read"
	return d
}

func (t *fakeTable) Since(epoch schema.Instant, version uint64) *schema.Snapshot {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.snapshot
	if epoch == s.Epoch && version > 0 {
		s.Since = version
	}
	return &s
}

func (t *fakeTable) Changed() <-chan struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.changed
}

func (t *fakeTable) Receive(list []schema.Receipt) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.receipts = append(t.receipts, list...)
}

// change makes a new version of the table.
func (t *fakeTable) change() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.snapshot.Version++
	close(t.changed)
	t.changed = make(chan struct{})
}

func (t *fakeTable) last() schema.Question {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.asked) == 0 {
		return schema.Question{}
	}
	return t.asked[len(t.asked)-1]
}

const (
	gateToken  = "gate-token-0123456789abcdef"
	strictGate = "strict-token-0123456789abcdef"
)

// newServer returns a server with two points, and its address.
func newServer(t *testing.T, table Table, change func(*Options)) (*Server, string) {
	t.Helper()
	opts := Options{
		Table: func() Table { return table }, Log: slog.New(slog.DiscardHandler), Registry: prometheus.NewRegistry(),
		Points: []Point{
			{Name: "gate", Token: gateToken, Agent: "header:x-agent", Credential: "authorization-of-agent", Session: "x-session", Tool: "x-tool"},
			{Name: "strict", Token: strictGate, Tenant: "acme", Agent: "claim:sub", Unknown: schema.VerdictDeny},
		},
	}
	if change != nil {
		change(&opts)
	}
	s, err := New(opts)
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(s.Handler())
	t.Cleanup(srv.Close)
	return s, srv.URL
}

// call makes a request and returns status, headers and body.
func call(t *testing.T, method, url, body string, headers ...string) (int, http.Header, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, resp.Header, string(b)
}

const bearer = "Bearer " + gateToken

func TestDecision(t *testing.T) {
	table := newFakeTable()
	_, url := newServer(t, table, nil)
	f := func(method, path, body string, status int, want string, question schema.Question) {
		t.Helper()
		got, _, text := call(t, method, url+path, body, "Authorization", bearer)
		if got != status || !strings.Contains(text, want) {
			t.Errorf("%s %s %s: %d %s, want %d and %s", method, path, body, got, text, status, want)
		}
		if question != (schema.Question{}) {
			question.Point = "gate"
			if q := table.last(); q != question {
				t.Errorf("asked %+v, want %+v", q, question)
			}
		}
	}
	f("POST", "/v1/decision", `{"agent":"deny","tool":"shell"}`, 200, `"verdict":"deny"`, schema.Question{Agent: "deny", Tool: "shell"})
	f("GET", "/v1/decision?agent=hold&route=GET%20/x", "", 200, `"approval_id":"02000000-`, schema.Question{Agent: "hold", Route: "GET /x"})
	f("POST", "/v1/decision", `{"credential_secret":"deny","arguments":{"a": 1}}`, 200, `"verdict":"deny"`,
		schema.Question{Credential: schema.CredentialHash("deny"), Arguments: hashArguments([]byte(`{"a":1}`))})
	f("POST", "/v1/decision", `{"tool":"x"}`, 400, "the question names nobody", schema.Question{})
	f("POST", "/v1/decision", `{"agent":"a","declared":"x"}`, 400, "is not a question", schema.Question{})
	f("POST", "/v1/decision", `{"agent":"a"}{"agent":"b"}`, 400, "more than one question", schema.Question{})
	f("POST", "/v1/decision", `{"agent":"a\u0000b"}`, 400, "control character", schema.Question{})
	f("GET", "/v1/decision?agent=a&agent=b", "", 400, "agent more than once", schema.Question{})
	f("GET", "/v1/decision?credential_secret=x", "", 400, "no part of a question", schema.Question{})
	f("POST", "/v1/decision", `{"agent":"`+strings.Repeat("a", maxQuestion)+`"}`, 400, "more than", schema.Question{})
	f("PUT", "/v1/decision", `{}`, 405, "", schema.Question{})
	if status, _, body := call(t, "GET", url+"/v1/openapi.json", ""); status != 200 || !json.Valid([]byte(body)) {
		t.Errorf("openapi: %d %s", status, body)
	}
}

// TestAuthentication checks that nothing is answered without a point's token, whatever the interface.
func TestAuthentication(t *testing.T) {
	table := newFakeTable()
	_, url := newServer(t, table, nil)
	for _, headers := range [][]string{
		nil, {"Authorization", "Bearer wrong"}, {"Authorization", gateToken}, {"Authorization", "Basic " + gateToken}, {"X-Api-Key", ""},
		{"Authorization", "Bearer "}, {"Cookie", gateToken},
	} {
		for _, path := range []string{"/v1/decision?agent=a", "/v1/ext_authz/x", "/v1/snapshot"} {
			if status, h, _ := call(t, "GET", url+path, "", headers...); status != 401 || h.Get("Www-Authenticate") != "Bearer" {
				t.Errorf("%s with %v: %d, want 401", path, headers, status)
			}
		}
	}
	if len(table.asked) > 0 {
		t.Errorf("the table was asked: %v", table.asked)
	}
	if status, _, _ := call(t, "GET", url+"/v1/decision?agent=a", "", "X-Api-Key", strictGate); status != 200 {
		t.Errorf("a key: %d, want 200", status)
	}
	if q := table.last(); q.Tenant != "acme" || q.Point != "strict" {
		t.Errorf("asked %+v, want the tenant of the point", q)
	}
	_, open := newServer(t, table, func(o *Options) { o.Open = "local" })
	if status, _, _ := call(t, "GET", open+"/v1/decision?agent=a", ""); status != 200 || table.last().Point != "local" {
		t.Errorf("a request from loopback to an open server: %d of %q, want 200 of local", status, table.last().Point)
	}
	if status, _, _ := call(t, "GET", open+"/v1/decision?agent=a", "", "Authorization", "Bearer wrong"); status != 401 {
		t.Errorf("a wrong token to an open server: %d, want 401", status)
	}
	_, standby := newServer(t, nil, func(o *Options) { o.Table = func() Table { return nil } })
	if status, _, body := call(t, "GET", standby+"/v1/decision?agent=a", "", "Authorization", bearer); status != 503 || !strings.Contains(body, "another one") {
		t.Errorf("a standby: %d %s, want 503", status, body)
	}
}

func TestAuthorize(t *testing.T) {
	table := newFakeTable()
	_, url := newServer(t, table, nil)
	f := func(method, path, agent string, status int, want schema.Question, more ...string) http.Header {
		t.Helper()
		got, h, body := call(t, method, url+authorizePrefix+path, "", append([]string{"Authorization", bearer, "X-Agent", agent}, more...)...)
		if got != status || strings.Contains(body, "evidence") {
			t.Errorf("%s %s: %d %s, want %d without the reason", method, path, got, body, status)
		}
		want.Point = "gate"
		if q := table.last(); q != want {
			t.Errorf("asked %+v, want %+v", q, want)
		}
		return h
	}
	f("POST", "/v1/invoices?secret=1", "a", 200, schema.Question{Agent: "a", Route: "POST /v1/invoices"})
	f("GET", "//double/../up", "a", 200, schema.Question{Agent: "a", Route: "GET //double/../up"})
	h := f("GET", "/x", "throttle", 429, schema.Question{Agent: "throttle", Route: "GET /x"})
	if h.Get("Retry-After") != "2" || h.Get("X-Aidr-Verdict") != "throttle" {
		t.Errorf("headers %v", h)
	}
	h = f("GET", "/x", "hold", 403, schema.Question{Agent: "hold", Route: "GET /x"})
	if h.Get("X-Aidr-Approval") != (schema.ID{2}).String() {
		t.Errorf("headers %v", h)
	}
	f("GET", "/x", "unknown", 200, schema.Question{Agent: "unknown", Route: "GET /x"})
	f("GET", "/x", "a", 403, schema.Question{Agent: "a", Route: "GET /x", Credential: schema.CredentialHash("deny"), Session: "s", Tool: "t"},
		"Authorization-Of-Agent", "Bearer deny", "X-Session", "s", "X-Tool", "t")
	f("GET", "", "a", 200, schema.Question{Agent: "a", Route: "PUT /orders"}, "X-Original-Uri", "/orders?x=1", "X-Original-Method", "PUT")
}

func TestGuardrail(t *testing.T) {
	table := newFakeTable()
	_, url := newServer(t, table, nil)
	f := func(body string, status int, want string) {
		t.Helper()
		got, _, text := call(t, "POST", url+"/beta/litellm_basic_guardrail_api", body, "X-Api-Key", gateToken)
		if got != status || strings.TrimSpace(text) != want && status == 200 {
			t.Errorf("%s: %d %s, want %d %s", body, got, text, status, want)
		}
	}
	f(`{"texts":["hi"],"request_data":{"user_api_key_hash":"allow"},"litellm_trace_id":"t","input_type":"request"}`, 200, `{"action":"NONE"}`)
	if q := table.last(); q.Credential != "allow" || q.Session != "t" {
		t.Errorf("asked %+v", q)
	}
	f(`{"texts":[],"request_data":{"user_api_key_hash":"deny"}}`, 200,
		fmt.Sprintf(`{"action":"BLOCKED","blocked_reason":"the agent is contained by AIDR: %s"}`, schema.ID{1}))
	f(`{"request_data":{"user_api_key_hash":"a"},"tool_calls":[{"function":{"name":"ok","arguments":"{}"}},{"function":{"name":"deny"}}]}`, 200,
		fmt.Sprintf(`{"action":"BLOCKED","blocked_reason":"the agent is contained by AIDR: %s"}`, schema.ID{1}))
	f(`{"request_data":{}}`, 200, `{"action":"NONE"}`)
	f(`[]`, 400, "")
}

// TestPoints checks the errors of the configuration.
func TestPoints(t *testing.T) {
	f := func(p Point, want string) {
		t.Helper()
		if _, err := New(Options{Points: []Point{p}}); err == nil || !strings.Contains(err.Error(), want) || p.Token != "" && strings.Contains(err.Error(), p.Token) {
			t.Errorf("got %v, want an error with %q and without the token", err, want)
		}
	}
	f(Point{Name: "X"}, "want a name")
	f(Point{Name: "x", Token: "shorttoken"}, "token: shorter than")
	f(Point{Name: "x", Agent: "x-agent"}, "is not header:NAME")
	f(Point{Name: "x", Agent: "header:a b"}, "is not header:NAME")
	f(Point{Name: "x", Session: "a:b"}, "is not the name of a header")
	f(Point{Name: "x", Unknown: "hold"}, "is not allow or deny")
}

// FuzzQuestion checks that any body and any request of an agent gives a question that is checked, or an error.
func FuzzQuestion(f *testing.F) {
	f.Add(`{"agent":"a","arguments":[1]}`, "/a/../b?c", `{"method":"tools/call","params":{"name":"x","arguments":{}}}`)
	f.Fuzz(func(t *testing.T, body, path, call string) {
		r := httptest.NewRequest("POST", "/v1/decision", strings.NewReader(body))
		if q, err := readQuestion(r); err == nil {
			_ = q.Check()
		}
		p := Point{Name: "x", Agent: "header:a"}
		q := p.question(&seen{method: "GET", path: path, header: func(string) string { return path }, body: []byte(call)})
		if strings.ContainsAny(q.Route, "?#") {
			t.Errorf("route %q of %q", q.Route, path)
		}
	})
}
