package decision

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/aidr-engine/aidr/schema"
)

// FuzzFlat checks that readFlat reads what encoding/json reads, or leaves it to it.
func FuzzFlat(f *testing.F) {
	for _, body := range []string{
		`{"agent":"a","tool":"t","arguments_sha256":"00","route":"POST /x","tenant":"","mcp_server":"m","session":"s","credential":"c"}`,
		" {\t\"agent\" :\r\n\"ä\" , \"agent\":\"b\" } ", `{"agent":"a"}{}`, `{"agent":"a",}`, `{}`, `{"Agent":"a"}`, `{"agent":"\u0061"}`, `{"agent":null}`,
		`{"agent":"a` + "\xff" + `"}`, `{"agent":"a` + "\x00" + `"}`, `{"agent":"a"} x`, `{"arguments":{"a":1},"agent":"a"}`, `{"agent":"a"`, `{"agent"`, `[`, ``,
		`{"credential_secret":"x"}`, `{"agent":"a","x":"y"}`,
	} {
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body string) {
		var got schema.Question
		if !readFlat(body, &got) {
			return
		}
		want, err := decodeQuestion([]byte(body))
		if err != nil || got != want {
			t.Errorf("%q: got %+v; encoding/json: %+v, %v", body, got, want, err)
		}
	})
}

// TestFlatReadsTheUsual checks that the usual question takes the short way.
func TestFlatReadsTheUsual(t *testing.T) {
	var q schema.Question
	if readFlat(` {"agent":"a", "tool" : "send \u00fc"} `, &q) {
		t.Error("a text with an escape is read")
	}
	if !readFlat("{\n  \"agent\": \"ä\",\n  \"tool\": \"t\"\n}\n", &q) || q != (schema.Question{Agent: "ä", Tool: "t"}) {
		t.Errorf("got %+v", q)
	}
	if readFlat(`{"agent":"`+strings.Repeat("a", maxFlat)+`"}`, &q) {
		t.Error("a large body is read")
	}
}

// answering is a table that allocates nothing.
type answering struct{ *fakeTable }

func (answering) Decide(schema.Question) schema.Decision {
	return schema.Decision{Verdict: schema.VerdictDeny, ContainmentID: schema.ID{1}, Scope: schema.ScopeAgent, Reason: "a case", Version: 3, Epoch: 7}
}

// discard is an http.ResponseWriter.
type discard struct {
	header http.Header
	n      int
}

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) WriteHeader(int)             {}
func (d *discard) Write(b []byte) (int, error) { d.n += len(b); return len(b), nil }

// body is a request body that can be read again.
type body struct{ strings.Reader }

func (*body) Close() error { return nil }

// decisionRequest returns a handler that answers a question as often as it is called.
func decisionRequest(t testing.TB) func() {
	s, err := New(Options{Table: func() Table { return answering{} }, Points: []Point{{Name: "gate", Token: gateToken}}})
	if err != nil {
		t.Fatal(err)
	}
	h := s.Handler()
	r := httptest.NewRequest("POST", decisionPath, nil)
	r.Header.Set("Authorization", bearer)
	const text = `{"agent":"agent-7","session":"s","credential":"2f1e","tool":"send_mail","route":"POST /v1/chat/completions"}`
	in, w := &body{}, &discard{header: http.Header{}}
	r.Body = in
	return func() {
		in.Reset(text)
		h.ServeHTTP(w, r)
	}
}

// TestDecisionAllocations checks that an answer costs two allocations, the text of the question and the limit of its body, beyond
// those of net/http.
func TestDecisionAllocations(t *testing.T) {
	if underRace {
		t.Skip("under the race detector a sync.Pool drops items at random, so buffers are allocated again")
	}
	ask := decisionRequest(t)
	ask()
	if n := testing.AllocsPerRun(1000, ask); n > 3 {
		t.Errorf("%v allocations, want at most 3", n)
	}
}

// BenchmarkDecision measures an answer over HTTP without the server of net/http.
func BenchmarkDecision(b *testing.B) {
	ask := decisionRequest(b)
	b.ReportAllocs()
	for b.Loop() {
		ask()
	}
}
