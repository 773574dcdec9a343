package console

import (
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/aidr-engine/aidr/cmd/aidr/access"
)

// Hostile is a console whose every field has another text of the corpus, on a listener. It returns a link that opens it, its address, and
// a function that returns the paths of all pages, whose parameters are texts of the corpus too, another one with each call.
func Hostile(t testing.TB) (link, base string, pages func() []string) {
	t.Helper()
	texts := corpus()
	var mu sync.Mutex
	at := 0
	next := func() string {
		mu.Lock()
		defer mu.Unlock()
		at++
		return texts[at%len(texts)]
	}
	f := &fake{next: next}
	c, err := New(Options{Config: Config{Listen: "127.0.0.1:0"}, Control: func() http.Handler { return f }, Version: "test"})
	if err != nil {
		t.Fatal(err)
	}
	l, err := c.Listen()
	if err != nil {
		t.Fatal(err)
	}
	server := c.Server(nil)
	go server.Serve(l, "console")
	t.Cleanup(func() {
		c.Close()
		server.Close()
	})
	x, err := c.Link(access.Caller{Name: next(), Scopes: access.All()})
	if err != nil {
		t.Fatal(err)
	}
	return x.URL, c.Address(), func() (out []string) {
		for _, address := range c.addresses(next()) {
			if !strings.HasPrefix(address, "/open") {
				out = append(out, address)
			}
		}
		return out
	}
}
