package console

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aidr-engine/aidr/cmd/aidr/access"
	"github.com/aidr-engine/aidr/cmd/aidr/api"
)

// tailing is a control API whose tail has an event every 100 ms until its client goes away.
type tailing struct {
	mu      sync.Mutex
	open    int
	tenants []string
}

func (f *tailing) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	who, _ := access.From(r.Context())
	f.mu.Lock()
	f.tenants = append(f.tenants, who.Tenant)
	f.mu.Unlock()
	if r.URL.Query().Get("filter") == "bad" {
		w.WriteHeader(http.StatusBadRequest)
		json.NewEncoder(w).Encode(map[string]string{"error": "filter:1:1: unknown name bad"})
		return
	}
	f.count(1)
	defer f.count(-1)
	for n := int64(1); ; n++ {
		x := api.EventTail{Looked: n, Passed: 2 * n, Events: []api.EventLine{{Source: "s", Dataset: "d", Event: `{"event.action": "a", "time": "2026-01-01T00:00:00Z", "n": ` + string(rune('0'+n%10)) + `}`}}}
		if json.NewEncoder(w).Encode(x) != nil || r.Context().Err() != nil {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// count adds to the number of open tails.
func (f *tailing) count(n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.open += n
}

// state returns the number of open tails, and the tenants of all so far.
func (f *tailing) state() (open int, tenants []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.open, slices.Clone(f.tenants)
}

// TestTail checks that people with one filter share a tail, that the newest events win, that a bad filter is named, that tenants are
// apart, and that a tail that nobody looks at ends.
func TestTail(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &tailing{}
		c, err := New(Options{Config: Config{Listen: "127.0.0.1:8472"}, Control: func() http.Handler { return f }})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		cookie := cookieOf(c, "ana", access.Read, access.Triage)
		other := *cookie
		other.Value = c.sessions.open(Caller{Caller: access.Caller{Name: "bob", Scopes: []access.Scope{access.Triage}, Tenant: "t1"}})
		page := ask(c, "GET", "/tail", cookie).Body.String()
		if !strings.Contains(page, "1 of 2 events were looked at") || !strings.Contains(page, `data-live="tail"`) || !strings.Contains(page, "- set:\n    event.action: &#34;a&#34;\n    n: 1\n") {
			t.Errorf("the first page: %s", page)
		}
		time.Sleep(20 * time.Second)
		page = ask(c, "GET", "/tail", cookie).Body.String()
		if n := strings.Count(page, "as a test event"); n != tailShown {
			t.Errorf("%d events are shown, want the newest %d", n, tailShown)
		}
		ask(c, "GET", "/tail?filter=x", cookie)
		ask(c, "GET", "/tail", &other)
		if open, tenants := f.state(); open != 3 || tenants[0] != "" || tenants[2] != "t1" {
			t.Errorf("%d tails are open, of the tenants %q", open, tenants)
		}
		if page := ask(c, "GET", "/tail?filter=bad", cookie); !strings.Contains(page.Body.String(), "unknown name bad") {
			t.Errorf("a bad filter: got %d", page.Code)
		}
		time.Sleep(tailIdle + time.Second)
		synctest.Wait()
		if open, _ := f.state(); open != 0 || len(c.tails.all) != 0 {
			t.Errorf("%d tails are open though nobody looks", open)
		}
	})
}
