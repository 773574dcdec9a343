// Package api is the control API: HTTP on a unix socket in the state directory, for users of the same machine, and on the
// listener control.listen for callers with a token or a client certificate (package access). The commands findings, dlq,
// state and status use the socket to query a running process. If no process runs, they use the same handler on the store,
// which they open themselves.
//
// routes lists every request with the scope that it needs. A request that is refused changes nothing, is counted, and is in
// the audit.
package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/aidr-engine/aidr/cmd/aidr/access"
	"github.com/aidr-engine/aidr/engine"
	"github.com/aidr-engine/aidr/engine/contain"
	"github.com/aidr-engine/aidr/engine/item"
	"github.com/aidr-engine/aidr/engine/store"
	"github.com/aidr-engine/aidr/engine/triage"
	"github.com/aidr-engine/aidr/rules/doc"
	"github.com/aidr-engine/aidr/rules/expr"
	"github.com/aidr-engine/aidr/schema"
)

const (
	// SocketName is the file name of the socket in the state directory.
	SocketName = "control.sock"
	// MaxSocketPath is the maximum length of the path of a unix socket, in bytes: the kernel's sun_path without the NUL.
	MaxSocketPath = 107
	// tailEvery is how often tail looks for changes. It equals the default pause between checkpoints.
	tailEvery = 250 * time.Millisecond
	// maxBody is the maximum size of a request body, in bytes.
	maxBody = 1 << 20
)

// Runtime holds the functions that need a running process. Requests for a nil function fail with ErrNoProcess, except that
// the status then has Running set to false.
type Runtime struct {
	Status func() Status
	// State returns a JSON description of the State of one rule and key.
	State func(ctx context.Context, rule string, key map[string]string) (any, error)
	// Export passes each key that the store has State of, of one rule or, if rule is "", of all, to yield. It needs the rules.
	Export func(s *store.Store, rule string, yield func(*engine.KeyLine) bool) error
	// ClearState makes a rule forget its State of one group key, for the audit entry that it returns.
	ClearState func(ctx context.Context, rule string, key map[string]string, who, reason string) (*store.AuditEntry, error)
	// Try returns what items of an event, in flat form, would change in the State of a rule.
	Try func(ctx context.Context, s *store.Store, rule string, items []item.Item) ([]engine.Trial, error)
	// ReplayDead submits dead letters again and returns their outcomes, in the same order. Those that succeed are deleted.
	ReplayDead func(ctx context.Context, letters []*store.DeadLetter) []Replayed
	// Containment returns the containment table, and a function that makes its changes durable. If it is nil, the table of the
	// store is used, and its changes are made durable without an engine.
	Containment func() (*contain.Table, func(context.Context) error, error)
	// Triage returns the triage of findings. If it is nil, that of the store is used.
	Triage func() (*triage.Table, error)
	// Canary returns the state of the canary, nil if there is no canary. SendCanary makes its next event come at once.
	Canary     func() *Canary
	SendCanary func()
	// Ledger returns the cost of every rule since the engine started, without the sizes of State.
	Ledger func() (*engine.Ledger, error)
	// EnableSink makes a disabled sink try again; changed is false if it is not disabled.
	EnableSink func(name string) (changed bool, err error)
	// Inventory returns the inventory of the running engine.
	Inventory func() (*engine.Inventory, error)
	// Agent completes the row of an agent by the registry. It may be nil.
	Agent func(*schema.Agent)
	// Refused counts a request that was refused, by reason: unauthenticated, host, origin, scope, tenant, invalid. It may be nil.
	Refused func(reason string)
	Now     func() time.Time // the wall clock; nil: time.Now
	Log     *slog.Logger     // nil: nothing is logged
	// Metrics serves the metrics, as at http.listen. LogTail returns the end of the log. They may be nil.
	Metrics http.Handler
	LogTail func() []byte
	// Rules returns the rules that run now, sorted by id.
	Rules func() []RuleView
	// Coverage returns which rules can fire on which datasets.
	Coverage func() *Coverage
	// TailEvents passes the events that are read, of the tenants that sees reports and for which the filter holds, to yield, until
	// it returns false or ctx is done. It returns an error for a filter that does not compile.
	TailEvents func(ctx context.Context, filter string, sees func(tenant string) bool, yield func(EventTail) bool) error
	// RuleText returns the text of the file of a rule that runs now.
	RuleText func(id string) (*RuleText, error)
	// TryRule checks the text of a rule and runs it over the last hours, within limits of time and CPU, one at a time.
	TryRule TrialFunc
	// DraftRule writes a draft into the folder of drafts; nil: no folder is configured.
	DraftRule func(ctx context.Context, text string) (*RuleDraft, error)
	// Raw reads the record of an event again from its source; whole is false if its text may not be shown.
	Raw func(ctx context.Context, e *schema.Evidence, whole bool) (*RawRecord, error)
	// History is what is kept of the past beyond the store.
	History History
	// Labels returns the labels of a request that sends something to a host; nil: none are known.
	Labels func(host string) []string
	// ConsoleLink returns a link that opens the console once, as the caller.
	ConsoleLink func(access.Caller) (ConsoleLink, error)
}

// ErrNoProcess is returned for a request that needs a running process.
var ErrNoProcess = errors.New("no aidr runs on this state directory: start `aidr run` first")

// Handler returns the control API of a store. Each request needs a Caller in its context; see Server and access.Guard.
func Handler(s *store.Store, rt Runtime) *API {
	h := &handler{store: s, rt: rt}
	m := http.NewServeMux()
	for _, x := range h.routes() {
		m.HandleFunc(x.pattern, h.guarded(x))
	}
	return &API{http.MaxBytesHandler(m, maxBody), h}
}

type handler struct {
	store *store.Store
	rt    Runtime

	refusals refusals

	tokensOnce sync.Once // guards the two below
	tokens     *access.Tokens
	tokensErr  error

	triageOnce sync.Once // guards the two below
	triage     *triage.Table
	triageErr  error

	stopped  sync.Once // guards the two below
	table    *contain.Table
	tableErr error
}

// Listen opens the socket of a state directory, accessible to its owner only. The caller must hold the lock of the store:
// an existing socket is then one that a killed process left behind, and Listen replaces it.
func Listen(dir string) (net.Listener, error) {
	path, err := SocketPath(dir)
	if err != nil {
		return nil, err
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("remove the old control socket: %w", err)
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("open the control socket: %w", err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		l.Close()
		return nil, err
	}
	return l, nil
}

// SocketPath returns the path of the socket. If the path is too long, it is made relative to the working directory.
func SocketPath(dir string) (string, error) {
	path := filepath.Join(dir, SocketName)
	if len(path) <= MaxSocketPath {
		return path, nil
	}
	if wd, err := os.Getwd(); err == nil {
		if rel, err := filepath.Rel(wd, path); err == nil && len(rel) <= MaxSocketPath {
			return rel, nil
		}
	}
	return "", fmt.Errorf("state directory %q: its path is too long for a unix socket: use one of at most %d bytes",
		dir, MaxSocketPath-len(SocketName)-1)
}

func (h *handler) status(w http.ResponseWriter, _ *http.Request) {
	if h.rt.Status == nil {
		dead := h.store.DeadStats()
		reply(w, Status{Running: false, DeadLetters: dead.Count, DeadDeliveries: dead.Deliveries.Count, Entries: h.store.End() - 1})
		return
	}
	reply(w, h.rt.Status())
}

func (h *handler) findings(w http.ResponseWriter, r *http.Request) {
	f, table, err := h.findingFilter(r)
	if err != nil {
		refuse(w, http.StatusBadRequest, err)
		return
	}
	enc := lines(w)
	if err := h.store.Findings(f, func(x *schema.Finding) bool { return enc.Encode(lineOf(table, x)) == nil }); err != nil {
		enc.Encode(failure{err.Error()})
	}
}

// tail sends findings as they change, until the client disconnects. It starts after the entry number in the `after` of the
// query, or with the next change.
func (h *handler) tail(w http.ResponseWriter, r *http.Request) {
	f, table, err := h.findingFilter(r)
	if err != nil {
		refuse(w, http.StatusBadRequest, err)
		return
	}
	if h.rt.Status == nil {
		refuse(w, http.StatusServiceUnavailable, ErrNoProcess)
		return
	}
	last := h.store.End() - 1
	if s := r.URL.Query().Get("after"); s != "" {
		if last, err = strconv.ParseUint(s, 10, 64); err != nil {
			refuse(w, http.StatusBadRequest, fmt.Errorf("after: %w", err))
			return
		}
	}
	enc := lines(w)
	flush := http.NewResponseController(w)
	tick := time.NewTicker(tailEvery)
	defer tick.Stop()
	for {
		disconnected := false
		err := h.store.FindingsAfter(last, f, func(number uint64, x *schema.Finding) bool {
			last = number
			disconnected = enc.Encode(lineOf(table, x)) != nil
			return !disconnected
		})
		if err != nil || disconnected || flush.Flush() != nil {
			return
		}
		select {
		case <-r.Context().Done():
			return
		case <-tick.C:
		}
	}
}

func (h *handler) finding(w http.ResponseWriter, r *http.Request) {
	id, err := schema.ParseID(r.PathValue("id"))
	if err != nil {
		refuse(w, http.StatusBadRequest, fmt.Errorf("finding %q: %w", r.PathValue("id"), err))
		return
	}
	f, ok, err := h.store.Finding(id)
	switch {
	case err != nil:
		refuse(w, http.StatusInternalServerError, err)
	case !ok || !sees(r, f.Tenant):
		err := fmt.Errorf("finding %s is not in the local store: it may be older than findings_keep; ClickHouse keeps the history", id)
		refuse(w, http.StatusNotFound, err)
	default:
		table, err := h.triageTable()
		if err != nil {
			refuse(w, http.StatusInternalServerError, err)
			return
		}
		reply(w, lineOf(table, f))
	}
}

// findingFilter returns the filter of a query, and the triage of findings.
func (h *handler) findingFilter(r *http.Request) (f store.FindingFilter, table *triage.Table, err error) {
	if f, err = queryFilter(r); err != nil {
		return f, nil, err
	}
	if f.Match, err = h.withTriage(r, ofTenant(r, f.Match)); err != nil {
		return f, nil, err
	}
	table, err = h.triageTable()
	return f, table, err
}

func queryFilter(r *http.Request) (f store.FindingFilter, err error) {
	q := r.URL.Query()
	f = store.FindingFilter{
		Rule: q.Get("rule"), Agent: q.Get("agent"), Severity: schema.Severity(q.Get("severity")), Status: schema.Status(q.Get("status")),
	}
	if err := errors.Join(oneOf(r, "severity", schema.Severities()...),
		oneOf(r, "status", string(schema.StatusOpen), string(schema.StatusSettled), string(schema.StatusWithdrawn))); err != nil {
		return f, err
	}
	if f.Match, err = condition(q.Get("filter")); err != nil {
		return f, err
	}
	if about := q.Get("about"); about != "" {
		match := f.Match
		f.Match = func(x *schema.Finding) bool { return isAbout(x, about) && (match == nil || match(x)) }
	}
	if f.Since, f.Until, err = span(r); err != nil {
		return f, err
	}
	if f.Before, f.BeforeID, err = cursor(r); err != nil {
		return f, err
	}
	f.Limit, err = limit(r)
	return f, err
}

// sees reports whether the caller of a request sees what belongs to a tenant.
func sees(r *http.Request, tenant string) bool {
	c := callerOf(r.Context())
	return c.Sees(tenant)
}

// ofTenant restricts a condition, which may be nil, to what the caller of a request sees.
func ofTenant(r *http.Request, match func(*schema.Finding) bool) func(*schema.Finding) bool {
	c := callerOf(r.Context())
	if c.Tenant == "" {
		return match
	}
	return func(f *schema.Finding) bool { return c.Sees(f.Tenant) && (match == nil || match(f)) }
}

// isAbout reports whether a finding has an id: its own, or one of its agent, session, key or evidence.
func isAbout(f *schema.Finding, id string) bool {
	if id == f.ID.String() || id == f.AgentUID || id == f.AgentName || id == f.SessionID {
		return true
	}
	for _, v := range f.Key {
		if v == id {
			return true
		}
	}
	return slices.ContainsFunc(f.Evidence, func(e schema.Evidence) bool {
		return id == e.EventID || id == e.CredentialUID || id == e.Identity.String()
	})
}

// cursor returns the query's before: group_start and id of the last finding of the page before, with a comma between them.
func cursor(r *http.Request) (start schema.Instant, id schema.ID, err error) {
	text := r.URL.Query().Get("before")
	if text == "" {
		return 0, id, nil
	}
	at, name, _ := strings.Cut(text, ",")
	t, err := time.Parse(time.RFC3339Nano, at)
	if err == nil {
		id, err = schema.ParseID(name)
	}
	if err != nil {
		return 0, id, fmt.Errorf("before: %q is not the group_start and the id of a finding with a comma between them", schema.Truncate(text, 100))
	}
	return schema.InstantOf(t), id, nil
}

// condition compiles a condition over findings. It returns nil for "". A finding on which the condition fails does not match.
func condition(text string) (func(*schema.Finding) bool, error) {
	if text == "" {
		return nil, nil
	}
	env, err := expr.NewEnv(expr.Site{})
	if err != nil {
		return nil, err
	}
	filter, issues := env.CompileFinding(text)
	if len(issues) > 0 {
		var errs []error
		for _, i := range issues {
			errs = append(errs, fmt.Errorf("filter:%d:%d: %s", i.Line, i.Col, i.Text))
		}
		return nil, errors.Join(errs...)
	}
	return func(f *schema.Finding) bool {
		ok, err := filter("", f)
		return ok && err == nil
	}, nil
}

// oneOf returns an error for an unknown value. Without it, a misspelled value would give an empty response, which looks
// like good news.
func oneOf[T ~string](r *http.Request, name string, values ...T) error {
	if v := T(r.URL.Query().Get(name)); v != "" && !slices.Contains(values, v) {
		return fmt.Errorf("%s: %q is not one of %s", name, v, joined(values))
	}
	return nil
}

// joined returns the values separated by commas.
func joined[T ~string](values []T) string {
	texts := make([]string, len(values))
	for i, v := range values {
		texts[i] = string(v)
	}
	return strings.Join(texts, ", ")
}

// span returns the query's since and until, 0 if not given. Each is an instant, or a duration back from now.
func span(r *http.Request) (since, until schema.Instant, err error) {
	for _, x := range []struct {
		name string
		to   *schema.Instant
	}{{"since", &since}, {"until", &until}} {
		s := r.URL.Query().Get(x.name)
		if s == "" {
			continue
		}
		t, err := time.Parse(time.RFC3339Nano, s)
		if ago, ok := doc.ParseDuration(s); ok {
			t, err = time.Now().Add(-ago), nil
		}
		if err != nil {
			return 0, 0, fmt.Errorf("%s: %q is not an instant like 2026-01-31T12:00:00Z, and not a time back from now like 2h or 7d", x.name, s)
		}
		*x.to = schema.Instant(t.UnixNano())
	}
	return since, until, nil
}

// limit returns the query's limit, 0 if not given.
func limit(r *http.Request) (int, error) {
	s := r.URL.Query().Get("limit")
	if s == "" {
		return 0, nil
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 0 {
		return 0, fmt.Errorf("limit: %q is not a number", s)
	}
	return n, nil
}

// failure is the JSON form of an error.
type failure struct {
	Error string `json:"error"`
}

func reply(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.Encode(v) // an error means that the client has disconnected
}

func refuse(w http.ResponseWriter, code int, err error) {
	if rw, ok := w.(*refusalWriter); ok && code >= http.StatusBadRequest {
		rw.why = err
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	json.NewEncoder(w).Encode(failure{err.Error()})
}

// lines starts a response of one JSON object per line.
func lines(w http.ResponseWriter) *json.Encoder {
	w.Header().Set("Content-Type", "application/x-ndjson")
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	return enc
}
