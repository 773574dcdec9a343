package decision

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/schema"
)

// Table answers questions. The containment table of the engine is one, and so is the view of a process beside a gateway.
type Table interface {
	Decide(schema.Question) schema.Decision
	// Since returns the changes after a version of an epoch, or everything, and Changed a channel that the next change closes.
	Since(epoch schema.Instant, version uint64) *schema.Snapshot
	Changed() <-chan struct{}
	// Receive adds the answers that another process has given.
	Receive([]schema.Receipt)
}

// Options of a Server.
type Options struct {
	// Table returns the table, or nil while the process has none, as a standby.
	Table  func() Table
	Points []Point
	// Open is the name of the point that requests from loopback without a token or certificate belong to; "" means that they are refused.
	Open     string
	Log      *slog.Logger
	Registry prometheus.Registerer // nil: no metrics
	// Trace gets each decision once it is made; nil: nothing does.
	Trace connectors.Trace
	// Health returns why answers may be old, "" if they are current; nil: they are. /healthz shows it.
	Health func() string
	// Beat is the time between two signs of life in a stream; 0: DefaultBeat.
	Beat time.Duration
}

// DefaultBeat is the default of Options.Beat. A follower knows the age of its table from it.
const DefaultBeat = 2 * time.Second

// Server answers gateways over HTTP and gRPC. It holds no state but counters.
type Server struct {
	opts    Options
	points  []Point
	open    *Point
	metrics *serverMetrics
	logged  sync.Map // by reason: whether it was logged
}

// New returns a server. Its error names everything that is wrong with the points.
func New(opts Options) (*Server, error) {
	if opts.Beat <= 0 {
		opts.Beat = DefaultBeat
	}
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	s := &Server{opts: opts, points: append([]Point(nil), opts.Points...)}
	names := map[string]bool{}
	var wrong []error
	for i := range s.points {
		p := &s.points[i]
		wrong = append(wrong, p.check())
		if names[p.Name] {
			wrong = append(wrong, fmt.Errorf("point %s: the name is taken", p.Name))
		}
		names[p.Name] = true
		if p.Name == opts.Open {
			s.open = p
		}
	}
	if opts.Open != "" && s.open == nil {
		s.open = &Point{Name: opts.Open}
		wrong = append(wrong, s.open.check())
	}
	var err error
	if s.metrics, err = newServerMetrics(opts.Registry); err == nil {
		for i := range s.points {
			s.metrics.prepare(&s.points[i])
		}
		if s.open != nil {
			s.metrics.prepare(s.open)
		}
	}
	return s, errors.Join(append(wrong, err)...)
}

//go:embed openapi.json
var openAPI []byte

// Handler returns the HTTP interfaces.
func (s *Server) Handler() http.Handler {
	m := http.NewServeMux()
	m.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		text := "ok"
		if s.opts.Health != nil {
			if problem := s.opts.Health(); problem != "" {
				text = "ok, but " + problem
			}
		}
		_, _ = w.Write([]byte(text + "\n"))
	})
	m.HandleFunc("GET /v1/openapi.json", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(openAPI)
	})
	m.HandleFunc("POST "+decisionPath, s.with(s.decide))
	m.HandleFunc("GET "+decisionPath, s.with(s.decide))
	m.HandleFunc("POST /beta/litellm_basic_guardrail_api", s.with(s.guardrail))
	m.HandleFunc("GET /v1/snapshot", s.with(s.stream))
	m.HandleFunc("POST /v1/receipts", s.with(s.receive))
	authorize, decide := s.with(s.authorize), s.with(s.decide)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == decisionPath && (r.Method == http.MethodPost || r.Method == http.MethodGet) { // without the cost of the mux
			decide(w, r)
			return
		}
		// The rest of the path is that of an agent's request: the mux would redirect one with ".." or "//".
		if rest, ok := strings.CutPrefix(r.URL.Path, authorizePrefix); ok && (rest == "" || rest[0] == '/') {
			authorize(w, r)
			return
		}
		m.ServeHTTP(w, r)
	})
}

// decisionPath is the path of questions in JSON.
const decisionPath = "/v1/decision"

// Values of headers that all answers share. The server copies headers and does not change the values.
var (
	noStore         = []string{"no-store"}
	applicationJSON = []string{"application/json"}
)

// usualAnswer is the size of an answer in bytes that has room for a containment with a long reason.
const usualAnswer = 1 << 10

// authorizePrefix is the prefix that a gateway puts before the path of the agent's request.
const authorizePrefix = "/v1/ext_authz"

// with authenticates the point of a request and finds the table.
func (s *Server) with(next func(http.ResponseWriter, *http.Request, *Point, Table)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header()["Cache-Control"] = noStore
		p := s.pointOf(tokenOf(r.Header), certificates(r), r.RemoteAddr)
		if p == nil {
			s.refuse("no enforcement point authenticated", r.RemoteAddr)
			w.Header().Set("WWW-Authenticate", "Bearer")
			fail(w, http.StatusUnauthorized, "authenticate as an enforcement point: Authorization: Bearer TOKEN, or a client certificate")
			return
		}
		t := s.opts.Table()
		if t == nil {
			s.metrics.answered(p.Name, "standby")
			fail(w, http.StatusServiceUnavailable, "this process does not read the sources now, so its table is not current: ask another one")
			return
		}
		next(w, r, p, t)
	}
}

// refuse counts a request that did not authenticate, and logs the first.
func (s *Server) refuse(reason, address string) {
	s.metrics.refuse()
	if _, before := s.logged.LoadOrStore(reason, true); !before {
		s.opts.Log.Warn("decision request refused; further ones are counted only", "reason", reason, "address", address)
	}
}

// fail answers with an error. The text is ours, never the caller's.
func fail(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(struct {
		Error string `json:"error"`
	}{text})
}

// ask answers a question of a point.
func (s *Server) ask(p *Point, t Table, q schema.Question) (schema.Decision, error) {
	start := time.Now()
	q.Point = p.Name
	if p.Tenant != "" {
		q.Tenant = p.Tenant
	}
	if err := q.Check(); err != nil {
		s.metrics.answered(p.Name, "invalid")
		return schema.Decision{}, err
	}
	d := t.Decide(q)
	p.answered[d.Verdict].Inc()
	took := time.Since(start)
	s.metrics.seconds.Observe(took.Seconds())
	if s.opts.Trace != nil {
		s.opts.Trace(connectors.Span{Name: connectors.SpanDecision, Subject: p.Name, Start: start, Took: took})
	}
	return d, nil
}

// decide serves /v1/decision.
func (s *Server) decide(w http.ResponseWriter, r *http.Request, p *Point, t Table) {
	q, err := readQuestion(r)
	if err != nil {
		s.metrics.answered(p.Name, "invalid")
		fail(w, http.StatusBadRequest, err.Error())
		return
	}
	d, err := s.ask(p, t, q)
	if err != nil {
		fail(w, http.StatusBadRequest, err.Error())
		return
	}
	w.Header()["Content-Type"] = applicationJSON
	b := bodies.Get().(*bytes.Buffer)
	defer keep(b)
	b.Grow(usualAnswer)
	_, _ = w.Write(d.AppendJSON(b.AvailableBuffer()))
}

// passes reports whether a call passes at a point, for the interfaces whose answer is yes or no.
func (p *Point) passes(d *schema.Decision) bool {
	return d.Verdict == schema.VerdictAllow || d.Verdict == schema.VerdictUnknown && p.Unknown != schema.VerdictDeny
}

// status returns the HTTP status of an answer that is yes or no.
func (p *Point) status(d *schema.Decision) int {
	switch {
	case p.passes(d):
		return http.StatusOK
	case d.Verdict == schema.VerdictThrottle:
		return http.StatusTooManyRequests
	}
	return http.StatusForbidden
}

// headers returns the headers of an answer. Their values are ids, numbers and fixed words, never texts of events.
func headers(d *schema.Decision) map[string]string {
	h := map[string]string{
		"x-aidr-verdict": string(d.Verdict), "x-aidr-version": strconv.FormatUint(d.Version, 10), "x-aidr-age-ms": strconv.FormatInt(d.AgeMS, 10),
	}
	if !d.ContainmentID.IsZero() {
		h["x-aidr-containment"] = d.ContainmentID.String()
	}
	if !d.FindingID.IsZero() {
		h["x-aidr-finding"] = d.FindingID.String()
	}
	if !d.ApprovalID.IsZero() {
		h["x-aidr-approval"] = d.ApprovalID.String()
	}
	if d.Verdict == schema.VerdictThrottle {
		h["retry-after"] = strconv.FormatInt((d.RetryMS+999)/1000, 10)
	}
	return h
}

// authorize serves Envoy's HTTP ext_authz: the method and the path after the prefix are those of the agent's request.
func (s *Server) authorize(w http.ResponseWriter, r *http.Request, p *Point, t Table) {
	path := strings.TrimPrefix(r.URL.EscapedPath(), authorizePrefix)
	method := r.Method
	if original := r.Header.Get("X-Original-Uri"); path == "" && original != "" { // NGINX's auth_request
		path = original
		if m := r.Header.Get("X-Original-Method"); m != "" {
			method = m
		}
	}
	q := p.question(&seen{
		method: method, path: path, peer: "",
		header: func(name string) string {
			if name == "" {
				return ""
			}
			return r.Header.Get(name)
		},
		claim: func(string) string { return "" },
	})
	d, err := s.ask(p, t, q)
	if err != nil {
		fail(w, http.StatusForbidden, err.Error())
		return
	}
	for name, value := range headers(&d) {
		w.Header().Set(name, value)
	}
	if p.passes(&d) {
		w.WriteHeader(http.StatusOK)
		return
	}
	fail(w, p.status(&d), refusal(&d))
}

// refusal returns the sentence that an agent gets. The reason of the containment is for people of the site, not for the
// agent: it may quote evidence.
func refusal(d *schema.Decision) string {
	switch d.Verdict {
	case schema.VerdictThrottle:
		return "the agent is throttled by AIDR: try again later"
	case schema.VerdictHold:
		return "the call waits for the approval of a person in AIDR: " + d.ApprovalID.String()
	case schema.VerdictUnknown:
		return "AIDR does not know whether the agent is contained"
	}
	return "the agent is contained by AIDR: " + d.ContainmentID.String()
}

// receive serves /v1/receipts.
func (s *Server) receive(w http.ResponseWriter, r *http.Request, p *Point, t Table) {
	var list []schema.Receipt
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxQuestion)).Decode(&list); err != nil {
		fail(w, http.StatusBadRequest, "the body is not a list of receipts")
		return
	}
	for i := range list {
		if schema.CheckTargetText("point", list[i].Point) != nil || list[i].Point == "" {
			list[i].Point = p.Name
		}
		list[i].Point = p.Name + "/" + strings.TrimPrefix(list[i].Point, p.Name+"/")
	}
	t.Receive(list)
	w.WriteHeader(http.StatusNoContent)
}

// serverMetrics are the metrics of a Server.
type serverMetrics struct {
	answers  *prometheus.CounterVec
	seconds  prometheus.Histogram
	refusals prometheus.Counter
	streams  prometheus.Gauge
	open     atomic.Int64 // streams
}

func newServerMetrics(r prometheus.Registerer) (*serverMetrics, error) {
	m := &serverMetrics{
		answers: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "aidr_decisions_total", Help: "Answers to enforcement points, by point and verdict; invalid and standby are no verdicts.",
		}, []string{"point", "verdict"}),
		seconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "aidr_decision_seconds", Help: "Time from a question that was read to its answer.",
			Buckets: []float64{1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 0.1},
		}),
		refusals: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "aidr_decision_requests_refused_total", Help: "Requests that did not authenticate as an enforcement point.",
		}),
		streams: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "aidr_decision_streams", Help: "Processes that follow the containment table now.",
		}),
	}
	if r == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{m.answers, m.seconds, m.refusals, m.streams} {
		if err := r.Register(c); err != nil {
			return nil, fmt.Errorf("register metrics of decisions: %w", err)
		}
	}
	return m, nil
}

// prepare looks up the counters of a point, which takes a lock and a hash of the labels.
func (m *serverMetrics) prepare(p *Point) {
	p.answered = map[schema.Verdict]prometheus.Counter{}
	for _, v := range schema.Verdicts() {
		p.answered[v] = m.answers.WithLabelValues(p.Name, string(v))
	}
}

func (m *serverMetrics) answered(point, verdict string) {
	m.answers.WithLabelValues(point, verdict).Inc()
}

func (m *serverMetrics) refuse() { m.refusals.Inc() }

// waitOr waits for a channel or the end of a context, at most d.
func waitOr(ctx context.Context, c <-chan struct{}, d time.Duration) (changed bool) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-c:
		return true
	case <-t.C:
	case <-ctx.Done():
	}
	return false
}
