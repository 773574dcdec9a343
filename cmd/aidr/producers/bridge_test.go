package producers

import (
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
)

// bridge takes what producers post, as the HTTP source of a log shipper and a collector do.
type bridge struct {
	*httptest.Server
	mu  sync.Mutex
	got []posted
}

// posted is one request to a bridge.
type posted struct{ path, body string }

func newBridge(t *testing.T) *bridge {
	t.Helper()
	b := &bridge{}
	b.Server = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Errorf("bridge: %v", err)
		}
		b.mu.Lock()
		defer b.mu.Unlock()
		b.got = append(b.got, posted{r.URL.Path, string(body)})
	}))
	t.Cleanup(b.Close)
	return b
}

// requests returns the requests so far.
func (b *bridge) requests() []posted {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.got)
}

// records returns the bodies of the requests so far, each of which becomes a record.
func (b *bridge) records() (bodies []string) {
	for _, r := range b.requests() {
		bodies = append(bodies, r.body)
	}
	return bodies
}
