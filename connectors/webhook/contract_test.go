package webhook

import (
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"sync"
	"testing"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/connectors/conntest"
	"github.com/aidr-engine/aidr/schema"
)

// receiver remembers what it gets, checks it with the public library, and can be away.
type receiver struct {
	t  *testing.T
	wh *standardwebhooks.Webhook

	mu     sync.Mutex
	held   map[schema.ID]uint64
	bodies map[string]string
	away   bool
}

const refused = "no"

func (r *receiver) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.away {
		panic(http.ErrAbortHandler) // closes the connection
	}
	body, err := io.ReadAll(q.Body)
	var m struct {
		Type string
		Data schema.Finding
	}
	if err := errors.Join(err, r.wh.Verify(body, q.Header), json.Unmarshal(body, &m)); err != nil {
		r.t.Error(err)
	}
	if m.Data.RuleID == refused {
		w.WriteHeader(http.StatusUnprocessableEntity)
		return
	}
	id := q.Header.Get(HeaderID)
	if before, ok := r.bodies[id]; ok && before != string(body) {
		r.t.Errorf("%s with two bodies:\n%s\n%s", id, before, body)
	}
	r.bodies[id] = string(body)
	r.held[m.Data.ID] = max(r.held[m.Data.ID], m.Data.Revision)
}

func (r *receiver) set(away bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.away = away
}

// TestContract holds the sink to what all sinks promise.
func TestContract(t *testing.T) {
	conntest.TestSink(t, func(t *testing.T) conntest.SinkTarget {
		wh, err := standardwebhooks.NewWebhook(secretA)
		if err != nil {
			t.Fatal(err)
		}
		r := &receiver{t: t, wh: wh, held: map[schema.ID]uint64{}, bodies: map[string]string{}}
		srv := httptest.NewServer(r)
		t.Cleanup(srv.Close)
		return conntest.SinkTarget{
			New: func(t *testing.T) connectors.Sink {
				s, err := New(Config{Name: "soc", URL: srv.URL, Secrets: []string{secretA, secretB}, AllowNetworks: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}})
				if err != nil {
					t.Fatal(err)
				}
				return s
			},
			Held: func(t *testing.T) map[schema.ID]uint64 {
				r.mu.Lock()
				defer r.mu.Unlock()
				return maps.Clone(r.held)
			},
			Poison: func(f *schema.Finding) { f.RuleID = refused },
			Away: func(t *testing.T) (back func()) {
				r.set(true)
				return func() { r.set(false) }
			},
		}
	})
}
