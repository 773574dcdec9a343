package webhook

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/schema"
)

var _ connectors.Sink = (*Sink)(nil)

// newSink returns a sink for a receiver on loopback.
func newSink(t *testing.T, h http.HandlerFunc, change func(*Config)) *Sink {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	c := Config{
		Name: "soc", URL: srv.URL + "/secret-path", Secrets: []string{secretA},
		AllowNetworks: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
	}
	if change != nil {
		change(&c)
	}
	s, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// finding returns the n-th of many findings that differ only in the ID.
func finding(n int, revision uint64) *schema.Finding {
	f := sample()
	f.ID, f.Revision = schema.ID{byte(n >> 8), byte(n)}, revision
	return f
}

// entries returns the first revisions of n findings as entries 1 to n.
func entries(n int) (out []connectors.Entry) {
	for i := range n {
		out = append(out, connectors.Entry{Seq: uint64(i + 1), Type: connectors.FindingOpened, Finding: finding(i, 1)})
	}
	return out
}

// undelivered returns the entries that a Partial names, by Seq; nil if err is nil.
func undelivered(t *testing.T, err error) map[uint64]connectors.Undelivered {
	t.Helper()
	if err == nil {
		return nil
	}
	var p *connectors.Partial
	if !errors.As(err, &p) {
		t.Fatalf("got %v, want a Partial", err)
	}
	out := map[uint64]connectors.Undelivered{}
	for _, u := range p.Entries {
		if _, twice := out[u.Seq]; twice {
			t.Errorf("the Partial names entry %d twice", u.Seq)
		}
		out[u.Seq] = u
	}
	return out
}

func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(code) }
}

// TestDelivers writes the same entries twice to a receiver that verifies with the public library: it gets each entry
// twice, with the same bytes.
func TestDelivers(t *testing.T) {
	wh, err := standardwebhooks.NewWebhook(secretA)
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	got := map[string][]string{} // bodies by webhook-id
	s := newSink(t, func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err := errors.Join(err, wh.Verify(body, r.Header)); err != nil {
			t.Error(err)
		}
		if r.Method != "POST" || r.URL.Path != "/secret-path" {
			t.Errorf("got %s %s, want POST /secret-path", r.Method, r.URL)
		}
		if r.Header.Get("Content-Type") != "application/json" || r.Header.Get("X-Token") != "t" {
			t.Errorf("got headers %v, want those of JSON and X-Token", r.Header)
		}
		mu.Lock()
		defer mu.Unlock()
		got[r.Header.Get(HeaderID)] = append(got[r.Header.Get(HeaderID)], string(body))
		w.WriteHeader(204)
	}, func(c *Config) { c.Headers = map[string]string{"X-Token": "t"} })
	for range 2 { // the second time as after a restart
		if err := s.Write(t.Context(), entries(50)); err != nil {
			t.Fatal(err)
		}
	}
	if len(got) != 50 {
		t.Errorf("got %d webhook-ids, want 50", len(got))
	}
	for id, bodies := range got {
		if len(bodies) != 2 || bodies[0] != bodies[1] {
			t.Errorf("%s: got %d bodies, want the same body twice", id, len(bodies))
		}
	}
	if s.Health().Degraded {
		t.Errorf("got %+v, want good health", s.Health())
	}
}

func TestStatuses(t *testing.T) {
	f := func(code int, header string, want connectors.Undelivered, degraded bool) {
		t.Helper()
		s := newSink(t, func(w http.ResponseWriter, r *http.Request) {
			if header != "" {
				w.Header().Set("Retry-After", header)
			}
			w.Header().Set("Location", "http://169.254.169.254/latest/meta-data/")
			w.WriteHeader(code)
		}, func(c *Config) { c.Retries = []time.Duration{time.Second} })
		u, failed := undelivered(t, s.Write(t.Context(), entries(1)))[1]
		if !failed {
			t.Fatalf("%d: the entry counts as delivered", code)
		}
		if u.After != want.After && !(want.After == time.Second && u.After >= 800*time.Millisecond && u.After <= 1200*time.Millisecond) {
			t.Errorf("%d, Retry-After %s: the entry is tried again after %v, want %v", code, header, u.After, want.After)
		}
		u.After, u.Detail, want.After, want.Seq = 0, "", 0, 1
		if u != want {
			t.Errorf("%d: got %+v, want %+v", code, u, want)
		}
		if got := s.Health().Degraded; got != degraded {
			t.Errorf("%d: health is degraded: %t, want %t", code, got, degraded)
		}
	}
	retry := func(reason string, after time.Duration) connectors.Undelivered {
		return connectors.Undelivered{Reason: reason, After: after}
	}
	dead := func(reason string) connectors.Undelivered {
		return connectors.Undelivered{Reason: reason, Poison: true}
	}
	f(400, "", dead("http_400"), false)
	f(401, "", dead("http_401"), false)
	f(404, "60", dead("http_404"), false)
	f(422, "", dead("http_422"), false)
	f(410, "", dead("http_410"), true)
	f(429, "", retry("http_429", time.Second), true)
	f(429, "7", retry("http_429", 7*time.Second), true)
	f(502, "7", retry("http_502", 7*time.Second), true)
	f(503, "99999999999", retry("http_503", maxRetryAfter), true)
	f(504, "-1", retry("http_504", time.Second), true)
	f(503, "Thu, 01 Jan 1970 00:00:00 GMT", retry("http_503", time.Second), true)
	f(500, "7", retry("http_500", time.Second), true)
	f(301, "", retry("http_301", time.Second), true)
	f(307, "7", retry("http_307", time.Second), true)
}

func TestRetryAfterDate(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	h := http.Header{"Retry-After": {"Thu, 01 Jan 2026 00:01:30 GMT"}}
	if got, want := retryAfter(h, now), 90*time.Second; got != want {
		t.Errorf("got %v, want %v", got, want)
	}
}

// TestSchedule checks that each failed attempt is followed by its pause in the schedule, and that the entry is poison after
// the last attempt.
func TestSchedule(t *testing.T) {
	s := newSink(t, status(500), nil)
	for attempt, pause := range DefaultRetries() {
		s.breaker = newBreaker()
		e := entries(1)
		e[0].Attempt = attempt
		u := undelivered(t, s.Write(t.Context(), e))[1]
		if u.Poison || u.After < pause*8/10 || u.After > pause*12/10 {
			t.Errorf("attempt %d: got %+v, want a retry after about %v", attempt, u, pause)
		}
		again := undelivered(t, s.Write(t.Context(), e))[1]
		if again.After != u.After {
			t.Errorf("attempt %d: got %v, then %v: want the same pause for the same entry and attempt", attempt, u.After, again.After)
		}
	}
	s.breaker = newBreaker()
	e := entries(1)
	e[0].Attempt = len(DefaultRetries())
	u := undelivered(t, s.Write(t.Context(), e))[1]
	if !u.Poison || u.Reason != connectors.ReasonExhausted || !strings.Contains(u.Detail, "13 attempts") || !strings.Contains(u.Detail, "http_500") {
		t.Errorf("got %+v, want exhausted", u)
	}
}

func TestJitterSpreads(t *testing.T) {
	low, high := time.Hour, time.Duration(0)
	for n := range 1000 {
		d := jitter(time.Minute, fmt.Sprint(n), 1)
		low, high = min(low, d), max(high, d)
	}
	if low < 48*time.Second || low > 49*time.Second || high > 72*time.Second || high < 71*time.Second {
		t.Errorf("pauses are from %v to %v, want 48s to 72s", low, high)
	}
}

// TestOrder checks that the entries of one finding arrive in order, that no entry is sent after an entry that is to be
// tried again, and that a refused entry does not stop the later ones.
func TestOrder(t *testing.T) {
	var mu sync.Mutex
	var got []string
	s := newSink(t, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		parts := strings.Split(r.Header.Get(HeaderID), "_")
		got = append(got, parts[1][:4]+"."+parts[2])
		if parts[1][:4] == "0002" && parts[2] == "2" {
			w.WriteHeader(500)
		}
		if parts[1][:4] == "0003" && parts[2] == "2" {
			w.WriteHeader(400)
		}
	}, nil)
	var in []connectors.Entry
	for revision := range uint64(5) {
		for n := range 6 {
			in = append(in, connectors.Entry{Seq: uint64(len(in) + 1), Type: connectors.FindingUpdated, Finding: finding(n, revision)})
		}
	}
	failed := undelivered(t, s.Write(t.Context(), in))
	for n := range 6 {
		var revisions []string
		for _, g := range got {
			if strings.HasPrefix(g, fmt.Sprintf("%04x.", n)) {
				revisions = append(revisions, g[5:])
			}
		}
		want := []string{"0", "1", "2", "3", "4"}
		if n == 2 {
			want = want[:3]
		}
		if !slices.Equal(revisions, want) {
			t.Errorf("finding %d: got revisions %q, want %q", n, revisions, want)
		}
	}
	var names []string
	for _, e := range in {
		if u, ok := failed[e.Seq]; ok {
			names = append(names, fmt.Sprintf("%d.%d:%s:%t:%t", e.Finding.ID[1], e.Finding.Revision, u.Reason, u.Poison, u.Held))
		}
	}
	want := []string{"2.2:http_500:false:false", "3.2:http_400:true:false", "2.3:held:false:true", "2.4:held:false:true"}
	if !slices.Equal(names, want) {
		t.Errorf("got %q, want %q", names, want)
	}
}

// TestGone checks that nothing is sent after 410 Gone until the sink is enabled.
func TestGone(t *testing.T) {
	var requests atomic.Int64
	var back atomic.Bool
	s := newSink(t, func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		if !back.Load() {
			w.WriteHeader(410)
		}
	}, func(c *Config) { c.Concurrency = 1 })
	for range 2 {
		err := s.Write(t.Context(), entries(5))
		failed := undelivered(t, err)
		var partial *connectors.Partial
		if !errors.As(err, &partial) || !strings.Contains(partial.Disabled, "410") {
			t.Errorf("got %+v, want a Partial that disables the sink because of 410", err)
		}
		if len(failed) != 5 {
			t.Fatalf("%d entries were not delivered, want 5", len(failed))
		}
		for _, u := range failed {
			if !u.Poison {
				t.Errorf("got %+v, want poison", u)
			}
		}
	}
	if n := requests.Load(); n != 1 {
		t.Errorf("%d requests were sent, want 1", n)
	}
	if h := s.Health(); !h.Degraded || !strings.Contains(h.Reason, "410") || h.Since.IsZero() {
		t.Errorf("got %+v, want degraded because of 410", h)
	}
	back.Store(true)
	s.Profile().Enable()
	if err := s.Write(t.Context(), entries(1)); err != nil || requests.Load() != 2 {
		t.Errorf("after it was enabled: %v, %d requests; want a second request", err, requests.Load())
	}
	if h := s.Health(); h.Degraded {
		t.Errorf("after it was enabled: got %+v", h)
	}
}

// TestUnavailable checks that only the first entries use up an attempt if every attempt fails, and that Write then fails as
// a whole until the breaker closes.
func TestUnavailable(t *testing.T) {
	var requests atomic.Int64
	var available atomic.Bool
	s := newSink(t, func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		if !available.Load() {
			w.WriteHeader(500)
		}
	}, nil)
	failed := undelivered(t, s.Write(t.Context(), entries(200)))
	untried := 0
	for _, u := range failed {
		if u.Held {
			untried++
		}
	}
	if n := int(requests.Load()); len(failed) != 200 || n < breakAfter || n > breakAfter+DefaultConcurrency || untried != 200-n {
		t.Errorf("%d requests were sent, and %d of %d entries were not tried", n, untried, len(failed))
	}
	before := requests.Load()
	var p *connectors.Partial
	err := s.Write(t.Context(), entries(3))
	if err == nil || errors.As(err, &p) || !strings.Contains(err.Error(), "http_500") {
		t.Errorf("got %v, want an error that is not a Partial and has the reason", err)
	}
	if requests.Load() != before {
		t.Error("a request was sent while the breaker was open")
	}
	if h := s.Health(); !h.Degraded || !strings.Contains(h.Reason, "http_500") {
		t.Errorf("got %+v, want degraded", h)
	}
	available.Store(true)
	s.breaker.mu.Lock()
	s.breaker.until = time.Now() // as if the pause had passed
	s.breaker.mu.Unlock()
	if err := s.Write(t.Context(), entries(200)); err != nil {
		t.Errorf("got %v, want every entry delivered", err)
	}
	if h := s.Health(); h.Degraded {
		t.Errorf("got %+v, want good health", h)
	}
}

// TestStops checks that Write ends with its context. The entries that were not delivered are named, and this was not an
// attempt to deliver them.
func TestStops(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var requests atomic.Int64
	s := newSink(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.ReadAll(r.Body) // the server notices a closed connection only after this
		if requests.Add(1) == 3 {
			cancel()
			<-r.Context().Done()
		}
	}, func(c *Config) { c.Concurrency = 1 })
	failed := undelivered(t, s.Write(ctx, entries(10)))
	if len(failed) != 8 {
		t.Errorf("got %d entries, want 8", len(failed))
	}
	for seq, u := range failed {
		if seq < 3 || !u.Held || u.Poison {
			t.Errorf("got %+v, want a retry that does not count as an attempt", u)
		}
	}
	if s.Health().Degraded {
		t.Errorf("got %+v, want good health: the caller ended the Write", s.Health())
	}
	if err := s.Write(ctx, entries(1)); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want %v", err, context.Canceled)
	}
}

func TestConcurrencyIsBounded(t *testing.T) {
	var now, most atomic.Int64
	s := newSink(t, func(w http.ResponseWriter, r *http.Request) {
		n := now.Add(1)
		defer now.Add(-1)
		for {
			m := most.Load()
			if n <= m || most.CompareAndSwap(m, n) {
				break
			}
		}
	}, func(c *Config) { c.Concurrency = 3 })
	if err := s.Write(t.Context(), entries(200)); err != nil {
		t.Fatal(err)
	}
	if m := most.Load(); m < 1 || m > 3 {
		t.Errorf("%d requests ran at the same time, want at most 3", m)
	}
}

func TestWants(t *testing.T) {
	notify := func(names ...string) (out []schema.Response) {
		for _, n := range names {
			out = append(out, schema.Response{Action: "notify", Target: n})
		}
		return out
	}
	f := func(want bool, change func(*connectors.Entry), filter func(connectors.Entry) (bool, error)) {
		t.Helper()
		s := newSink(t, status(200), func(c *Config) { c.Filter = filter })
		e := entries(1)[0]
		if change != nil {
			change(&e)
		}
		if got := s.wants(e); got != want {
			t.Errorf("wants(%+v) = %t, want %t", e, got, want)
		}
	}
	f(true, nil, nil)
	for _, typ := range []connectors.EntryType{
		connectors.FindingOpened, connectors.FindingUpdated, connectors.FindingSettled, connectors.FindingWithdrawn,
	} {
		f(true, func(e *connectors.Entry) { e.Type = typ }, nil)
	}
	f(false, func(e *connectors.Entry) { e.Type = "agent.contained" }, nil)
	f(false, func(e *connectors.Entry) { e.Finding = nil }, nil)
	f(false, func(e *connectors.Entry) { e.Finding.Shadow = true }, nil)
	f(true, func(e *connectors.Entry) { e.Finding.Response = notify("other", "soc") }, nil)
	f(false, func(e *connectors.Entry) { e.Finding.Response = notify("other") }, nil)
	f(true, func(e *connectors.Entry) { e.Finding.Response = []schema.Response{{Action: "contain", Target: "x"}} }, nil)
	high := func(e connectors.Entry) (bool, error) { return e.Finding.Severity == schema.SeverityHigh, nil }
	f(true, nil, high)
	f(false, func(e *connectors.Entry) { e.Finding.Severity = schema.SeverityLow }, high)
	f(true, nil, func(connectors.Entry) (bool, error) { return false, errors.New("no such key") })
	opened := func(e connectors.Entry) (bool, error) { return e.Type == connectors.FindingOpened, nil }
	f(true, func(e *connectors.Entry) { e.Type = connectors.FindingOpened }, opened)
	f(false, func(e *connectors.Entry) { e.Type = connectors.FindingUpdated }, opened)
}

func TestUnwantedCountAsDelivered(t *testing.T) {
	s := newSink(t, func(http.ResponseWriter, *http.Request) { t.Error("an unwanted entry was sent") }, func(c *Config) {
		c.Filter = func(connectors.Entry) (bool, error) { return false, nil }
	})
	if err := s.Write(t.Context(), entries(3)); err != nil {
		t.Error(err)
	}
}

// TestConfig checks that an error names every mistake of a configuration and does not contain a secret.
func TestConfig(t *testing.T) {
	f := func(change func(*Config), want string) {
		t.Helper()
		c := Config{Name: "soc", URL: "https://example.com/hunter2", Secrets: []string{secretA}}
		change(&c)
		_, err := New(c)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("got error %v, want %q in it", err, want)
		}
		if err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Errorf("the error contains a secret: %v", err)
		}
	}
	f(func(c *Config) {}, "")
	f(func(c *Config) { c.Name = "" }, "name: ")
	f(func(c *Config) { c.URL = "ftp://example.com/hunter2" }, `scheme "ftp"`)
	f(func(c *Config) { c.URL = "https:///hunter2" }, "no host: ")
	f(func(c *Config) { c.URL = "https://u:hunter2@example.com/" }, "Authorization")
	f(func(c *Config) { c.URL = "https://exa%mple/hunter2" }, "cannot be parsed")
	f(func(c *Config) { c.Secrets = nil }, "secret: missing")
	f(func(c *Config) { c.Secrets = []string{"hunter2"} }, "secret 1: ")
	f(func(c *Config) { c.Headers = map[string]string{"webhook-ID": "x"} }, "is set by AIDR")
	f(func(c *Config) { c.Headers = map[string]string{"A B": "x"} }, "not a valid name")
	f(func(c *Config) { c.Headers = map[string]string{"A": "hunter2\r\nB: c"} }, "control character")
	f(func(c *Config) { c.Retries = []time.Duration{0} }, "retries: ")
	f(func(c *Config) { c.Concurrency = 1000 }, "concurrency")
	_, err := New(Config{})
	for _, want := range []string{"name: ", "url: ", "secret: "} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want every mistake, and %q among them", err, want)
		}
	}
}

func TestDefaults(t *testing.T) {
	s := newSink(t, status(200), nil)
	if got, want := s.config.Retries, DefaultRetries(); !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if p := s.Profile(); p.UpdateEvery != time.Minute || p.Dead != schema.DeadDelivery {
		t.Errorf("profile has updates every %v and dead letters of kind %s, want 1m0s and %s", p.UpdateEvery, p.Dead, schema.DeadDelivery)
	}
	if s.config.Timeout != 15*time.Second || s.Name() != "soc" {
		t.Errorf("timeout is %v and name is %s, want 15s and soc", s.config.Timeout, s.Name())
	}
	if text := fmt.Sprintf("%v %+v", s, s); strings.Contains(text, "secret-path") || strings.Contains(text, secretA) {
		t.Errorf("the text contains a secret: %s", text)
	}
	noRetries := newSink(t, status(500), func(c *Config) { c.Retries, c.UpdateEvery = []time.Duration{}, -1 })
	if u := undelivered(t, noRetries.Write(t.Context(), entries(1)))[1]; !u.Poison || u.Reason != connectors.ReasonExhausted {
		t.Errorf("got %+v, want exhausted after the first attempt", u)
	}
	if got := noRetries.Profile().UpdateEvery; got != 0 {
		t.Errorf("updates come every %v, want 0: no limit", got)
	}
}

// TestObserve checks that each attempt is reported with the status of the answer, or the reason if there was no answer.
func TestObserve(t *testing.T) {
	var mu sync.Mutex
	got := map[string]int{}
	observe := func(c *Config) {
		c.Timeout = 200 * time.Millisecond
		c.Observe = func(status string, took time.Duration) {
			mu.Lock()
			defer mu.Unlock()
			if got[status]++; took <= 0 {
				t.Errorf("%s: got a duration of %v", status, took)
			}
		}
	}
	for _, h := range []http.HandlerFunc{
		status(204), status(500), status(404),
		func(_ http.ResponseWriter, r *http.Request) {
			io.Copy(io.Discard, r.Body) // the server notices only then that the client has gone
			<-r.Context().Done()
		},
		func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
	} {
		newSink(t, h, observe).Write(t.Context(), entries(1))
	}
	want := map[string]int{"204": 1, "500": 1, "404": 1, connectors.ReasonTimeout: 1, connectors.ReasonNetwork: 1}
	if !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
