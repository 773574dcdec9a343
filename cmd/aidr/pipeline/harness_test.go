package pipeline

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aidr-engine/aidr/cmd/aidr/api"
	"github.com/aidr-engine/aidr/cmd/aidr/config"
	"github.com/aidr-engine/aidr/connectors/webhook"
	"github.com/aidr-engine/aidr/schema"
)

// patience is how long a test waits for a condition: far longer than it takes even on a busy machine.
const patience = 60 * time.Second

const leak = `id: test.leak
title: A leak
severity: high
confidence: 50
datasets: [x.test]
when: event.action == "leak"
group: {for: 1h, by: [ai_agent.uid]}
`

const thrice = `id: test.thrice
title: Thrice
severity: low
confidence: 50
datasets: [x.test]
when: event.action == "try"
threshold: {count: 3, within: 1h, by: [ai_agent.uid]}
group: {for: 1h, by: [ai_agent.uid]}
`

// event returns a record of format aidr at second n of a day.
func event(n int, action, agent string) string {
	at := time.Date(2026, 1, 1, 0, 0, n, 0, time.UTC)
	return fmt.Sprintf(`{"time":%q,"event.dataset":"x.test","event.class":"api","event.id":"e%d","event.action":%q,"ai_agent.uid":%q}`,
		at.Format(time.RFC3339), n, action, agent)
}

// folder writes files into a new folder and returns its path.
func folder(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		write(t, filepath.Join(dir, name), text)
	}
	return dir
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// endpoint is a receiver of webhooks that checks signatures.
type endpoint struct {
	config.Webhook
	verifier *webhook.Verifier

	mu    sync.Mutex
	got   []delivery
	wrong int
	hold  chan struct{} // not nil: requests wait until it is closed
	held  int           // number of requests that waited
	down  bool          // requests are answered with 503
	tried int           // number of requests answered with 503
	code  int           // requests are answered with this status; 0: normally
}

type delivery struct {
	Type string
	Data schema.Finding
}

func newEndpoint(t *testing.T) *endpoint {
	t.Helper()
	const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	v, err := webhook.NewVerifier(secret)
	if err != nil {
		t.Fatal(err)
	}
	e := &endpoint{verifier: v}
	server := httptest.NewServer(e)
	t.Cleanup(server.Close)
	e.Webhook = config.Webhook{Name: "soc", URL: server.URL, Secrets: []string{secret}, AllowNetworks: []string{"127.0.0.0/8"}}
	return e
}

func (e *endpoint) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	var d delivery
	if err == nil {
		err = e.verifier.Verify(r.Header, body, time.Now())
	}
	if err == nil {
		err = json.Unmarshal(body, &d)
	}
	e.mu.Lock()
	hold := e.hold
	if hold != nil {
		e.held++
	}
	e.mu.Unlock()
	if hold != nil {
		<-hold
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.down {
		e.tried++
		http.Error(w, "for now", http.StatusServiceUnavailable)
		return
	}
	if e.code != 0 {
		http.Error(w, http.StatusText(e.code), e.code)
		return
	}
	if err != nil {
		e.wrong++
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	e.got = append(e.got, d)
}

// seen returns "rule agent count" of the latest delivery of each finding, sorted.
func (e *endpoint) seen() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	latest := map[schema.ID]string{}
	for _, d := range e.got {
		latest[d.Data.ID] = fmt.Sprintf("%s %s %d", d.Data.RuleID, d.Data.AgentUID, d.Data.Count)
	}
	var out []string
	for _, s := range latest {
		out = append(out, s)
	}
	slices.Sort(out)
	return out
}

// latest returns the latest delivery of each finding.
func (e *endpoint) latest() map[schema.ID]schema.Finding {
	e.mu.Lock()
	defer e.mu.Unlock()
	latest := map[schema.ID]schema.Finding{}
	for _, d := range e.got {
		latest[d.Data.ID] = d.Data
	}
	return latest
}

// refuse makes the endpoint answer with 503, or normally again.
func (e *endpoint) refuse(down bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.down = down
}

// answer makes the endpoint answer with a status, or normally again if it is 0.
func (e *endpoint) answer(code int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.code = code
}

// refused returns the number of requests answered with 503.
func (e *endpoint) refused() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.tried
}

// process is a running pipeline.
type process struct {
	*Pipeline
	t      *testing.T
	logs   *logs
	cancel context.CancelFunc
	ended  chan error
}

// logs collects the log lines of a pipeline.
type logs struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logs) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func start(t *testing.T, cfg *config.Config) *process {
	t.Helper()
	return startWith(t, cfg, nil)
}

// startWith is start with a function that reads the configuration again.
func startWith(t *testing.T, cfg *config.Config, load func() (*config.Config, error)) *process {
	t.Helper()
	x := &process{t: t, logs: &logs{}, ended: make(chan error, 1)}
	var err error
	if x.Pipeline, err = New(cfg, Options{Version: "v0", Log: slog.New(slog.NewTextHandler(x.logs, nil)), Load: load}); err != nil {
		t.Fatalf("new: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	x.cancel = cancel
	go func() { x.ended <- x.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if t.Failed() {
			t.Logf("log of the pipeline:\n%s", x.logs)
		}
	})
	return x
}

// stop ends the pipeline as SIGTERM does.
func (x *process) stop() {
	x.t.Helper()
	x.cancel()
	if err := x.end(); err != nil {
		x.t.Errorf("run: %v", err)
	}
}

// end waits for Run to return.
func (x *process) end() error {
	x.t.Helper()
	select {
	case err := <-x.ended:
		return err
	case <-time.After(patience):
		x.t.Fatalf("run does not end: %+v", x.Status())
		return nil
	}
}

// get sends a request to the handler of the listener.
func (x *process) get(path string) (code int, body string) {
	w := httptest.NewRecorder()
	x.handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
	return w.Code, w.Body.String()
}

// ready queries /readyz and returns the status code, the status of the whole, and that of one component.
func (x *process) ready(component string) (code int, status string, c api.Component) {
	x.t.Helper()
	code, body := x.get("/readyz")
	var r struct {
		Status     string
		Components map[string]api.Component
	}
	if err := json.Unmarshal([]byte(body), &r); err != nil {
		x.t.Fatalf("readyz: %v: %s", err, body)
	}
	return code, r.Status, r.Components[component]
}

// wait polls until the condition holds.
func wait(t *testing.T, name string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !condition(); {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s", name)
		}
		<-time.After(5 * time.Millisecond)
	}
}

func (x *process) awaitStatus(component, status, reason string) {
	x.t.Helper()
	wait(x.t, fmt.Sprintf("%s of %s: %s", status, component, reason), func() bool {
		_, _, c := x.ready(component)
		return c.Status == status && strings.Contains(c.Reason, reason)
	})
}

func (e *endpoint) await(t *testing.T, want ...string) {
	t.Helper()
	slices.Sort(want)
	deadline := time.Now().Add(patience)
	for !slices.Equal(e.seen(), want) {
		if time.Now().After(deadline) {
			t.Fatalf("delivered: got %v, want %v", e.seen(), want)
		}
		<-time.After(5 * time.Millisecond)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.wrong > 0 {
		t.Errorf("%d deliveries have no good signature", e.wrong)
	}
}

// kafkaConfig returns a configuration that reads topic x of a broker.
func kafkaConfig(addr, rules string, e *endpoint, dir string) *config.Config {
	return &config.Config{
		File: "test", Rules: []string{rules}, State: config.State{Dir: dir}, Shards: 2,
		Sources: []config.Source{{
			Name: "logs", Format: "auto,aidr", Datasets: []string{"x.test"},
			Kafka: &config.Kafka{Brokers: []string{addr}, Topics: []string{"x"}, Group: "g", Start: "first"},
		}},
		Sinks: config.Sinks{Webhooks: []config.Webhook{e.Webhook}},
	}
}

// fileConfig returns a configuration that reads files, and follows them if follow is set.
func fileConfig(t *testing.T, rules string, e *endpoint, follow bool, paths ...string) *config.Config {
	c := &config.Config{
		File: "test", Rules: []string{rules}, State: config.State{Dir: t.TempDir()}, Shards: 2,
		Sources: []config.Source{{
			Name: "files", Format: "aidr", Datasets: []string{"x.test"}, File: &config.File{Paths: paths, Follow: follow},
		}},
	}
	if e != nil {
		c.Sinks.Webhooks = []config.Webhook{e.Webhook}
	}
	return c
}
