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

// receiver is an endpoint that verifies messages with the public library, stores them, and can be made unavailable.
type receiver struct {
	t  *testing.T
	wh *standardwebhooks.Webhook

	mu     sync.Mutex
	stored map[schema.ID]uint64 // the highest revision of each finding
	bodies map[string]string    // by webhook-id
	down   bool
}

// refusedRule is the ID of a rule whose findings the receiver refuses.
const refusedRule = "no"

func (r *receiver) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.down {
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
	if m.Data.RuleID == refusedRule {
		w.WriteHeader(http.StatusUnprocessableEntity)
		return
	}
	id := q.Header.Get(HeaderID)
	if before, ok := r.bodies[id]; ok && before != string(body) {
		r.t.Errorf("%s came with two bodies:\n%s\n%s", id, before, body)
	}
	r.bodies[id] = string(body)
	r.stored[m.Data.ID] = max(r.stored[m.Data.ID], m.Data.Revision)
}

func (r *receiver) setDown(down bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.down = down
}

// TestContract runs the suite that every sink passes.
func TestContract(t *testing.T) {
	conntest.TestSink(t, func(t *testing.T) conntest.SinkTarget {
		wh, err := standardwebhooks.NewWebhook(secretA)
		if err != nil {
			t.Fatal(err)
		}
		r := &receiver{t: t, wh: wh, stored: map[schema.ID]uint64{}, bodies: map[string]string{}}
		srv := httptest.NewServer(r)
		t.Cleanup(srv.Close)
		return conntest.SinkTarget{
			New: func(t *testing.T) connectors.Sink {
				s, err := New(Config{
					Name: "soc", URL: srv.URL, Secrets: []string{secretA, secretB},
					AllowNetworks: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
				})
				if err != nil {
					t.Fatal(err)
				}
				return s
			},
			Stored: func(t *testing.T) map[schema.ID]uint64 {
				r.mu.Lock()
				defer r.mu.Unlock()
				return maps.Clone(r.stored)
			},
			Poison: func(f *schema.Finding) { f.RuleID = refusedRule },
			TakeDown: func(t *testing.T) (bringBack func()) {
				r.setDown(true)
				return func() { r.setDown(false) }
			},
		}
	})
}
