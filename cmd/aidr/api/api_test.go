package api

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/engine/store"
	"github.com/aidr-engine/aidr/schema"
)

// first is the group_start of the first finding.
const first = schema.Instant(1_767_225_600_000_000_000) // 2026-01-01T00:00:00Z

// finding returns the nth finding. They start one minute apart.
func finding(n int) *schema.Finding {
	return &schema.Finding{
		ID: schema.ID{0: byte(n), 15: 1}, Revision: 1, Status: [...]schema.Status{schema.StatusOpen, schema.StatusSettled}[n%2],
		RuleID: fmt.Sprintf("rule.%d", n%3), Severity: [...]schema.Severity{"low", "high"}[n%2],
		AgentUID: fmt.Sprintf("agent-%d", n%5), AgentName: fmt.Sprintf("bot-%d", n%5), Key: map[string]string{},
		GroupStart: first + schema.Instant(n)*schema.Instant(time.Minute), Explanation: "<b>&\u202e",
	}
}

// fill commits the findings from to to-1 in one checkpoint. The first checkpoint also has two dead letters.
func fill(t *testing.T, s *store.Store, seq uint64, from, to int) {
	t.Helper()
	c := &store.Checkpoint{Seq: seq}
	for n := from; n < to; n++ {
		c.Outbox = append(c.Outbox, connectors.Entry{Type: "finding.opened", Finding: finding(n)})
	}
	if seq == 1 {
		c.Dead = []store.DeadLetter{
			{Kind: schema.DeadRecord, Reason: "not_json", Detail: "x", Time: first, Source: "s", Topic: "t", Partition: 2, Offset: 7, Body: "{"},
			{Kind: schema.DeadDelivery, Reason: "http_400", Time: first, Sink: "soc", Entry: 1, Body: "{}"},
		}
	}
	if err := s.Commit(c); err != nil {
		t.Fatalf("commit: %v", err)
	}
}

func memory(t *testing.T) *store.Store {
	t.Helper()
	s, err := store.Open("", store.Options{Memory: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	fill(t, s, 1, 0, 10)
	return s
}

// running is the Runtime of a process that has State of one key and can replay deliveries.
func running(s *store.Store) Runtime {
	return Runtime{
		Status: func() Status { return Status{Status: "ok", Running: true, Rules: 3, Entries: s.End() - 1} },
		State: func(_ context.Context, rule string, key map[string]string) (any, error) {
			if rule != "rule.1" || key["ai_agent.uid"] != "a" {
				return nil, fmt.Errorf("rule %q remembers nothing of %v", rule, key)
			}
			return map[string]any{"rule": rule, "pending": 2}, nil
		},
		ReplayDead: func(_ context.Context, letters []*store.DeadLetter) (out []Replayed) {
			for _, l := range letters {
				if l.Kind == schema.DeadRecord {
					out = append(out, Replayed{Seq: l.Seq, Error: "it still cannot be decoded"})
				} else {
					out = append(out, Replayed{Seq: l.Seq, Result: "handed to " + l.Sink + " again"})
				}
			}
			return out
		},
		EnableSink: func(name string) (bool, error) {
			if name != "soc" {
				return false, errors.New("no sink has this name")
			}
			return true, nil
		},
	}
}

func TestEndpoints(t *testing.T) {
	s := memory(t)
	for name, h := range map[string]http.Handler{"running": ofOwner(Handler(s, running(s))), "stopped": ofOwner(Handler(s, Runtime{}))} {
		f := func(method, path string, code int, wants ...string) {
			t.Helper()
			w := httptest.NewRecorder()
			h.ServeHTTP(w, httptest.NewRequest(method, path, nil))
			if w.Code != code {
				t.Errorf("%s: %s %s: got %d, want %d: %s", name, method, path, w.Code, code, w.Body)
			}
			for _, want := range wants {
				if !strings.Contains(w.Body.String(), want) {
					t.Errorf("%s: %s %s: got %s, want %s in it", name, method, path, w.Body, want)
				}
			}
		}
		n := func(path string, want int) {
			t.Helper()
			w := httptest.NewRecorder()
			h.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
			if got := strings.Count(w.Body.String(), "\n"); got != want || w.Header().Get("Content-Type") != "application/x-ndjson" {
				t.Errorf("%s: %s: got %d lines of %s, want %d: %s", name, path, got, w.Header().Get("Content-Type"), want, w.Body)
			}
		}
		n("/v1/findings", 10)
		n("/v1/findings?limit=3", 3)
		n("/v1/findings?rule=rule.1", 3)
		n("/v1/findings?agent=agent-4", 2)
		n("/v1/findings?severity=high&status=settled", 5)
		n("/v1/findings?severity=low", 10)
		n("/v1/findings?severity=critical", 0)
		n("/v1/findings?agent=bot-4", 2)
		n("/v1/findings?agent=bot-4&limit=1", 1)
		n("/v1/findings?agent=bot-9", 0)
		n("/v1/findings?since=20000d", 10)
		n("/v1/findings?since=1m", 0)
		n("/v1/findings?until=1m", 10)
		n("/v1/findings?filter="+url.QueryEscape(`severity >= "medium" && agent_name == "bot-4"`), 1)
		n("/v1/findings?limit=2&filter="+url.QueryEscape(`severity < "medium"`), 2)
		n("/v1/findings?since=2026-01-01T00:08:00Z", 2)
		n("/v1/findings?until=2026-01-01T00:08:00Z", 8)
		n("/v1/dead-letters", 2)
		n("/v1/dead-letters?kind=delivery", 1)
		n("/v1/dead-letters?reason=not_json", 1)
		n("/v1/dead-letters?sink=soc", 1)
		n("/v1/dead-letters?limit=1", 1)
		for _, q := range []string{"limit=x", "limit=-1", "since=now", "until=1", "status=opne", "severity=bad"} {
			f("GET", "/v1/findings?"+q, 400, q[:5])
			if name == "running" {
				f("GET", "/v1/findings/tail?"+q, 400, q[:5])
			}
		}
		f("GET", "/v1/findings?filter="+url.QueryEscape(`severity >= "hihg"`), 400, `filter:1:13: there is no severity hihg: did you mean high?`)
		f("GET", "/v1/findings?filter=type", 400, `filter:1:1: `)
		f("GET", "/v1/dead-letters?kind=x", 400, "not one of record, row, delivery")
		f("GET", "/v1/dead-letters?since=x", 400, "not an instant")
		f("GET", "/v1/findings/"+finding(3).ID.String(), 200, `"rule.0"`, `"explanation":"<b>&`)
		f("GET", "/v1/findings/zz", 400, "zz")
		f("GET", "/v1/findings/"+schema.ID{1: 9}.String(), 404, "is not in the local store")
		f("GET", "/v1/dead-letters/1", 200, `"body":"{"`, `"offset":7`)
		f("GET", "/v1/dead-letters/x", 400, "not a number")
		f("GET", "/v1/dead-letters/99", 404, "dead letter 99 not found")
		f("POST", "/v1/dead-letters/99/replay", 404, "dead letter 99 not found")
		f("DELETE", "/v1/dead-letters/99", 404, "dead letter 99 not found")
		f("DELETE", "/v1/dead-letters", 400, "nothing restricts the selection")
		f("DELETE", "/v1/dead-letters?limit=1", 400, "nothing restricts the selection")
		f("POST", "/v1/dead-letters/replay?kind=x", 400, "not one of record, row, delivery")
		f("POST", "/v1/dead-letters/replay?dry_run=1&all=1", 200, `"dry_run":true,"matched":2,"done":0,"failed":0`,
			`{"kind":"delivery","sink":"soc","reason":"http_400","count":1},{"kind":"record","reason":"not_json","count":1}`)
		f("DELETE", "/v1/dead-letters?dry_run=1&kind=record&until=2026-01-01T00:00:00Z", 200, `"matched":0`)
		if name == "running" {
			f("POST", "/v1/dead-letters/replay?all=1", 200, `"matched":2,"done":1,"failed":1`, `"errors":["it still cannot be decoded"]`)
			f("POST", "/v1/sinks/soc/enable", 200, `{"sink":"soc","changed":true}`)
		} else {
			f("POST", "/v1/dead-letters/replay?all=1", 503, "no aidr runs")
		}
		f("POST", "/v1/sinks/siem/enable", 404, "no sink has this name")
		f("POST", "/v1/findings", 404)
		f("GET", "/", 404)
	}
}

func TestBodiesOfDeadLettersAreLeftOut(t *testing.T) {
	h := ofOwner(Handler(memory(t), Runtime{}))
	for path, want := range map[string]bool{"/v1/dead-letters": false, "/v1/dead-letters?body=1": true} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
		if got := strings.Contains(w.Body.String(), `"body"`); got != want {
			t.Errorf("%s: has a body: %t, want %t", path, got, want)
		}
	}
}

// TestDropSelected checks that only the selected dead letters are dropped, over more than one batch.
func TestDropSelected(t *testing.T) {
	s := memory(t)
	c := &store.Checkpoint{Seq: 2}
	for n := range 3*replayBatch + 7 {
		c.Dead = append(c.Dead, store.DeadLetter{
			Kind: schema.DeadRecord, Reason: [...]string{"not_json", "too_deep"}[n%2],
			Time: first + schema.Instant(n)*schema.Instant(time.Second), Body: "{",
		})
	}
	if err := s.Commit(c); err != nil {
		t.Fatal(err)
	}
	h := ofOwner(Handler(s, Runtime{}))
	f := func(query string, done, left int) {
		t.Helper()
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("DELETE", "/v1/dead-letters?"+query, nil))
		if want := fmt.Sprintf(`"matched":%d,"done":%d,"failed":0`, done, done); !strings.Contains(w.Body.String(), want) {
			t.Errorf("%s: got %s, want %s", query, w.Body, want)
		}
		if got := s.DeadStats().Count; got != uint64(left) {
			t.Errorf("%s: %d dead letters are left, want %d", query, got, left)
		}
	}
	f("reason=too_deep", 303, 306)
	f("kind=record&since=2026-01-01T00:00:00Z&until=2026-01-01T00:01:00Z", 31, 275) // 30 of them, and the one of fill
	f("sink=soc&limit=5", 1, 274)
	f("all=1", 274, 0)
}

// serve serves the API in a directory as a running process does.
func serve(t *testing.T, dir string, h http.Handler) {
	t.Helper()
	l, err := Listen(dir)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: h}
	go server.Serve(l)
	t.Cleanup(func() { server.Close() })
}

func dial(t *testing.T, dir string) *Client {
	t.Helper()
	c, err := Dial(dir, Runtime{})
	if err != nil {
		t.Fatalf("dial: %v", err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// query sends requests that a running process and a stopped one answer alike.
func query(t *testing.T, c *Client) {
	t.Helper()
	ctx := t.Context()
	var f schema.Finding
	if err := c.Do(ctx, "GET", "/v1/findings/"+finding(3).ID.String(), nil, &f); err != nil || f.RuleID != "rule.0" {
		t.Errorf("finding: got %q, %v", f.RuleID, err)
	}
	lines := 0
	if err := c.Lines(ctx, "/v1/findings", url.Values{"severity": {"high"}}, func([]byte) bool { lines++; return true }); err != nil || lines != 5 {
		t.Errorf("findings: got %d lines, %v, want 5", lines, err)
	}
	lines = 0
	if err := c.Lines(ctx, "/v1/findings", nil, func([]byte) bool { lines++; return lines < 2 }); err != nil || lines != 2 {
		t.Errorf("findings until enough: got %d lines, %v, want 2", lines, err)
	}
	err := c.Lines(ctx, "/v1/findings", url.Values{"limit": {"x"}}, func([]byte) bool { return true })
	if err == nil || err.Error() != `limit: "x" is not a number` {
		t.Errorf("a refusal: got %v", err)
	}
	var done Replayed
	if err := c.Do(ctx, "DELETE", "/v1/dead-letters/1", nil, &done); err != nil || done != (Replayed{Seq: 1, Result: "dropped"}) {
		t.Errorf("drop: got %+v, %v", done, err)
	}
}

func TestClientOfRunningProcess(t *testing.T) {
	dir, s := t.TempDir(), memory(t)
	serve(t, dir, ofOwner(Handler(s, running(s))))
	if info, err := os.Stat(filepath.Join(dir, SocketName)); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("socket: got mode %v, %v, want 0600", info.Mode(), err)
	}
	c := dial(t, dir)
	if !c.Running() {
		t.Error("Running reports false")
	}
	ctx := t.Context()
	var st Status
	if err := c.Do(ctx, "GET", "/v1/status", nil, &st); err != nil || !st.Running || st.Rules != 3 || st.Entries != 10 {
		t.Errorf("status: got %+v, %v", st, err)
	}
	var v struct{ Pending int }
	if err := c.Do(ctx, "GET", "/v1/state", url.Values{"rule": {"rule.1"}, "key": {`{"ai_agent.uid":"a"}`}}, &v); err != nil || v.Pending != 2 {
		t.Errorf("state: got %+v, %v", v, err)
	}
	for q, want := range map[string]string{`{"ai_agent.uid":"b"}`: "remembers nothing", `[`: "key: not an object", "": "remembers nothing"} {
		if err := c.Do(ctx, "GET", "/v1/state", url.Values{"rule": {"rule.1"}, "key": {q}}, &v); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("state of %s: got %v, want %s in it", q, err, want)
		}
	}
	if err := c.Do(ctx, "POST", "/v1/dead-letters/1/replay", nil, nil); err == nil || err.Error() != "it still cannot be decoded" {
		t.Errorf("replay of a record: got %v", err)
	}
	var done Replayed
	if err := c.Do(ctx, "POST", "/v1/dead-letters/2/replay", nil, &done); err != nil || done.Result != "handed to soc again" {
		t.Errorf("replay of a delivery: got %+v, %v", done, err)
	}
	query(t, c)
}

func TestClientOfStoppedProcess(t *testing.T) {
	dir := t.TempDir()
	s, err := store.Open(dir, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Dial(dir, Runtime{}); !errors.Is(err, store.ErrLocked) || !strings.Contains(err.Error(), "starting or stopping") {
		t.Errorf("a store that is locked and not served: got %v", err)
	}
	fill(t, s, 1, 0, 10)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	leaveSocket(t, dir)
	c := dial(t, dir)
	if c.Running() {
		t.Error("Running reports true")
	}
	var st Status
	if err := c.Do(t.Context(), "GET", "/v1/status", nil, &st); err != nil || st.Running || st.Entries != 10 || st.DeadLetters != 2 {
		t.Errorf("status: got %+v, %v", st, err)
	}
	for _, x := range [][2]string{{"GET", "/v1/state?x"}, {"POST", "/v1/dead-letters/1/replay"}, {"GET", "/v1/findings/tail"}} {
		path, _, _ := strings.Cut(x[1], "?")
		if err := c.Do(t.Context(), x[0], path, nil, nil); err == nil || err.Error() != ErrNoProcess.Error() {
			t.Errorf("%s %s: got %v, want %v", x[0], path, err, ErrNoProcess)
		}
	}
	query(t, c)
}

// leaveSocket creates a socket without a listener, as a killed process leaves behind.
func leaveSocket(t *testing.T, dir string) {
	t.Helper()
	l, err := Listen(dir)
	if err != nil {
		t.Fatal(err)
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	l.Close()
	if _, err := os.Stat(filepath.Join(dir, SocketName)); err != nil {
		t.Fatal(err)
	}
	if l, err = Listen(dir); err != nil { // the next process replaces it
		t.Fatalf("listen over an old socket: %v", err)
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	l.Close()
}

func TestDialElsewhere(t *testing.T) {
	dir := t.TempDir()
	for path, want := range map[string]string{
		filepath.Join(dir, "none"): "name the state directory with --state",
		dir:                        "is not a state directory of aidr",
		filepath.Join(dir, strings.Repeat("x", 120)): "too long for a unix socket",
	} {
		if _, err := Dial(path, Runtime{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %s in it", path, err, want)
		}
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("dialling created %v, %v", left, err)
	}
}

func TestLongPathsAreShortened(t *testing.T) {
	dir := filepath.Join(t.TempDir(), strings.Repeat("x", 90))
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Chdir(filepath.Dir(dir))
	if got, err := SocketPath(dir); err != nil || len(got) > MaxSocketPath || filepath.IsAbs(got) {
		t.Fatalf("got %q, %v", got, err)
	}
	s := memory(t)
	serve(t, dir, ofOwner(Handler(s, running(s))))
	if !dial(t, dir).Running() {
		t.Error("Running reports false")
	}
}

// TestTail checks that tail sends existing findings only with `after`, new ones as they come, and each finding once.
func TestTail(t *testing.T) {
	s := memory(t)
	server := httptest.NewServer(ofOwner(Handler(s, running(s))))
	defer server.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	follow := func(query string) *bufio.Scanner {
		t.Helper()
		req, err := http.NewRequestWithContext(ctx, "GET", server.URL+"/v1/findings/tail"+query, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { resp.Body.Close() })
		return bufio.NewScanner(resp.Body)
	}
	expect := func(sc *bufio.Scanner, numbers ...int) {
		t.Helper()
		for _, n := range numbers {
			var f schema.Finding
			if !sc.Scan() {
				t.Fatalf("finding %d did not come: %v", n, sc.Err())
			}
			if err := json.Unmarshal(sc.Bytes(), &f); err != nil || f.ID != finding(n).ID {
				t.Errorf("got %s, %v, want finding %d", sc.Bytes(), err, n)
			}
		}
	}
	now, later, high := follow(""), follow("?after=8"), follow("?severity=high")
	expect(later, 8, 9)
	fill(t, s, 2, 10, 13)
	expect(now, 10, 11, 12)
	expect(later, 10, 11, 12)
	expect(high, 11)
	fill(t, s, 3, 13, 14)
	expect(now, 13)
	expect(high, 13)
	cancel()
	if now.Scan() {
		t.Errorf("got %s after the end", now.Bytes())
	}
}
