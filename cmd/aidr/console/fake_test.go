package console

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/aidr-engine/aidr/cmd/aidr/access"
	"github.com/aidr-engine/aidr/cmd/aidr/api"
	"github.com/aidr-engine/aidr/engine"
	"github.com/aidr-engine/aidr/engine/contain"
	"github.com/aidr-engine/aidr/engine/store"
	"github.com/aidr-engine/aidr/engine/triage"
	"github.com/aidr-engine/aidr/schema"
)

// fakeID is the id of everything that a fake control API knows.
const fakeID = "01234567-89ab-cdef-0123-456789abcdef"

// fake is a control API whose answers have a text of next in every text that they can have, also in those that the real one takes
// from a fixed list.
type fake struct {
	next func() string
	gone bool // the state directory is not open
}

// answers are the answers by path. A slice is an answer of lines.
func answers() map[string]any {
	return map[string]any{
		"/v1/status": api.Status{}, "/v1/findings": []schema.Finding{}, "/v1/findings/queue": api.Queue{}, "/v1/findings/report": api.Report{}, "/v1/rules/coverage": api.Coverage{}, "/v1/flows": api.Flows{}, "/v1/snoozes": []triage.Snooze{}, "/v1/snoozes/dry-run": api.Quiet{}, "/v1/findings/" + fakeID + "/raw": api.RawRecord{}, "/v1/state": stateOf{}, "/v1/rules/try": api.RuleTried{}, "/v1/rules/draft": api.RuleDraft{}, "/v1/events/tail": api.EventTail{}, "/v1/findings/" + fakeID: api.FindingLine{},
		"/v1/rules": []api.RuleView{}, "/v1/story": api.Story{}, "/v1/containments": contain.Contained{}, "/v1/containments/dry-run": contain.Blast{},
		"/v1/responses": []schema.ResponseRecord{}, "/v1/responses/" + fakeID: schema.ResponseRecord{}, "/v1/dead-letters": []store.DeadLetter{},
		"/v1/rules/top": engine.Ledger{}, "/v1/inventory/agents": []fakeAgent{}, "/v1/inventory/agents/one": fakeAgent{},
		"/v1/inventory/credentials": []fakeCredential{}, "/v1/inventory/tools": []fakeTool{},
		"/v1/findings/" + fakeID + "/triage": schema.Triage{}, "/v1/containments/" + fakeID + "/release": schema.ResponseRecord{}, "/v1/approvals/" + fakeID: api.Answered{}, "/v1/dead-letters/7/replay": api.Replayed{},
	}
}

// The lines of the inventory, whose embedded pointers reflection cannot fill from their JSON.
type (
	fakeAgent struct {
		*schema.Agent
		Risk        api.Risk `json:"risk"`
		Containment string   `json:"containment"`
	}
	fakeCredential struct {
		*schema.Credential
		Risk api.Risk `json:"risk"`
	}
	fakeTool struct {
		*schema.Tool
		Risk api.Risk `json:"risk"`
	}
)

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	all := answers()
	answer, ok := all[r.URL.Path]
	if r.Method == http.MethodPost && r.URL.Path == "/v1/containments" {
		answer = schema.ResponseRecord{}
	}
	if !ok && strings.HasPrefix(r.URL.Path, "/v1/rules/") && strings.HasSuffix(r.URL.Path, "/text") {
		answer, ok = api.RuleText{}, true
	}
	if !ok && strings.HasPrefix(r.URL.Path, "/v1/rules/") {
		answer, ok = api.RuleView{}, true
	}
	if !ok {
		w.WriteHeader(http.StatusNotFound)
		json.NewEncoder(w).Encode(map[string]string{"error": "not found: " + f.next()})
		return
	}
	v := reflect.New(reflect.TypeOf(answer)).Elem()
	f.fill(v, 0)
	enc := json.NewEncoder(w)
	if v.Kind() != reflect.Slice {
		enc.Encode(v.Interface())
		return
	}
	for i := range v.Len() {
		enc.Encode(v.Index(i).Interface())
	}
}

// fill fills a value with texts, numbers and times.
func (f *fake) fill(v reflect.Value, depth int) {
	if depth > 12 || !v.CanSet() {
		return
	}
	switch v.Type() {
	case reflect.TypeFor[schema.ID]():
		id, _ := schema.ParseID(fakeID)
		v.Set(reflect.ValueOf(id))
		return
	case reflect.TypeFor[time.Time]():
		v.Set(reflect.ValueOf(time.Unix(1_700_000_000, 0)))
		return
	case reflect.TypeFor[json.Number]():
		v.SetString("17")
		return
	case reflect.TypeFor[json.RawMessage]():
		v.SetBytes([]byte(`{"known": 3, "since": ` + quoted(f.next()) + `, "median": 4, "samples": 5, "direction": ` + quoted(f.next()) + `}`))
		return
	case reflect.TypeFor[schema.Instant]():
		v.SetInt(1_700_000_000_000_000_000)
		return
	case reflect.TypeFor[any]():
		v.Set(reflect.ValueOf(f.next()))
		return
	}
	switch v.Kind() {
	case reflect.Func:
		return
	case reflect.String:
		v.SetString(f.next())
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		v.SetInt(1)
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v.SetUint(7)
	case reflect.Float64:
		v.SetFloat(0.5)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		f.fill(v.Elem(), depth+1)
	case reflect.Struct:
		for i := range v.NumField() {
			f.fill(v.Field(i), depth+1)
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		for i := range v.Len() {
			f.fill(v.Index(i), depth+1)
		}
		if v.Type() == reflect.TypeFor[[]api.QueueAgent]() {
			break
		}
	case reflect.Array:
		for i := range v.Len() {
			f.fill(v.Index(i), depth+1)
		}
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		f.fill(key, depth+1)
		f.fill(value, depth+1)
		v.SetMapIndex(key, value)
	}
	if e, ok := v.Addr().Interface().(*api.RuleView); ok {
		e.Kind = "baseline"
	}
	if e, ok := v.Addr().Interface().(*triage.Snooze); ok {
		e.Ended, e.SnoozeSpec = 0, triage.SnoozeSpec{}
	}
	if e, ok := v.Addr().Interface().(*api.Flow); ok {
		e.Before = 0
	}
	if e, ok := v.Addr().Interface().(*api.FlowDestination); ok {
		e.Labels = append(e.Labels, "egress")
	}
	if e, ok := v.Addr().Interface().(*api.EventLine); ok {
		e.Event = `{"event.action": ` + quoted(f.next()) + `, "ai_agent.name": ` + quoted(f.next()) + `, "x": [` + quoted(f.next()) + `]}`
	}
	if e, ok := v.Addr().Interface().(*api.StoryEvent); ok {
		e.Findings = []int{0, 1}
	}
}

func quoted(s string) string {
	b, _ := json.Marshal(s)
	return string(b)
}

// newFake returns a console over a fake control API, and the cookie of a session with all scopes.
func newFake(t testing.TB, next func() string) (*Console, *http.Cookie) {
	t.Helper()
	f := &fake{next: next}
	c, err := New(Options{Config: Config{Listen: "127.0.0.1:8472"}, Control: func() http.Handler {
		if f.gone {
			return nil
		}
		return f
	}, Version: "test"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c, cookieOf(c, "tester", access.All()...)
}

// cookieOf opens a session.
func cookieOf(c *Console, name string, scopes ...access.Scope) *http.Cookie {
	return &http.Cookie{Name: c.cookieName(), Value: c.sessions.open(Caller{Caller: access.Caller{Name: name, Scopes: scopes}})}
}

// ask sends a request to a console.
func ask(c *Console, method, address string, cookie *http.Cookie, change ...func(*http.Request)) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "http://127.0.0.1:8472"+address, nil)
	if cookie != nil {
		r.AddCookie(cookie)
	}
	for _, f := range change {
		f(r)
	}
	w := httptest.NewRecorder()
	c.ServeHTTP(w, r)
	return w
}

// addresses returns an address for each route that shows a page, with text as every parameter.
func (c *Console) addresses(text string) (out []string) {
	for _, rt := range c.routes() {
		if rt.method != http.MethodGet || rt.stream || strings.HasPrefix(rt.path, "/static/") || strings.HasSuffix(rt.path, ".csv") {
			continue
		}
		path := strings.NewReplacer("{$}", "", "{id}", fakeID, "{seq}", "7").Replace(rt.path)
		v := url.Values{}
		if rt.path == "/quiet" {
			v.Set("finding", fakeID)
		}
		for _, name := range []string{
			"q", "uid", "tenant", "agent", "session", "rule", "severity", "status", "since", "until", "filter", "name", "type", "scope", "state", "mode", "ttl",
			"reason", "tool", "route", "credential", "mcp_server", "link", "stage", "failed", "before", "key",
		} {
			v.Set(name, text)
		}
		out = append(out, path+"?"+v.Encode())
	}
	return out
}
