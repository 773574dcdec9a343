package webhook

import (
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aidr-engine/aidr/connectors"
)

func TestUnreachable(t *testing.T) {
	srv := httptest.NewServer(status(200))
	address := srv.URL
	srv.Close()
	f := func(url, reason string, change func(*Config)) {
		t.Helper()
		s := newSink(t, status(200), func(c *Config) {
			c.URL = url
			if change != nil {
				change(c)
			}
		})
		u := undelivered(t, s.Write(t.Context(), entries(1)))[1]
		if u.Reason != reason || u.Poison || u.After == 0 {
			t.Errorf("%s: got %+v, want a retry because of %s", url, u, reason)
		}
		if strings.Contains(u.Detail, "secret-path") || strings.Contains(s.Health().Reason, "secret-path") {
			t.Errorf("the URL leaks: %s", u.Detail)
		}
	}
	f(address+"/secret-path", connectors.ReasonNetwork, nil)
	f("http://name.invalid/secret-path", connectors.ReasonDNS, nil)
	f(address+"/secret-path", connectors.ReasonDeniedAddress, func(c *Config) { c.AllowNetworks = nil })
	f("http://localhost:1/secret-path", connectors.ReasonDeniedAddress, func(c *Config) { c.AllowNetworks = nil })
	f("http://[::ffff:127.0.0.1]:1/secret-path", connectors.ReasonDeniedAddress, func(c *Config) { c.AllowNetworks = nil })
	f("http://169.254.169.254/secret-path", connectors.ReasonDeniedAddress, nil)
}

// TestTLS checks that nothing is sent to a server whose certificate is not signed by a trusted authority.
func TestTLS(t *testing.T) {
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the entry was sent") }))
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	srv.StartTLS()
	defer srv.Close()
	s := newSink(t, status(200), func(c *Config) { c.URL = srv.URL })
	u := undelivered(t, s.Write(t.Context(), entries(1)))[1]
	if u.Reason != connectors.ReasonNetwork || u.Poison || !strings.Contains(u.Detail, "x509") {
		t.Errorf("got %+v, want a retry because of the certificate", u)
	}
}

// TestReusesConnections checks that deliveries share connections although the answers have bodies.
func TestReusesConnections(t *testing.T) {
	var connections atomic.Int64
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, strings.Repeat("x", 10_000))
	}))
	srv.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			connections.Add(1)
		}
	}
	srv.Start()
	defer srv.Close()
	s := newSink(t, status(200), func(c *Config) { c.URL, c.Concurrency = srv.URL, 2 })
	for range 5 {
		if err := s.Write(t.Context(), entries(20)); err != nil {
			t.Fatal(err)
		}
	}
	if n := connections.Load(); n < 1 || n > 2 {
		t.Errorf("%d connections were opened, want at most 2", n)
	}
}

// TestNoProxy checks that a proxy from the environment is not used: it would dial addresses that the guard does not see.
func TestNoProxy(t *testing.T) {
	var proxied atomic.Bool
	proxy := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { proxied.Store(true) }))
	defer proxy.Close()
	t.Setenv("HTTP_PROXY", proxy.URL)
	t.Setenv("http_proxy", proxy.URL)
	s := newSink(t, status(200), func(c *Config) { c.URL = "http://name.invalid/" })
	undelivered(t, s.Write(t.Context(), entries(1)))
	if proxied.Load() {
		t.Error("a request went to the proxy of the environment")
	}
}

func TestRedirectIsNotFollowed(t *testing.T) {
	var followed atomic.Bool
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { followed.Store(true) }))
	defer elsewhere.Close()
	s := newSink(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, elsewhere.URL, http.StatusTemporaryRedirect)
	}, nil)
	if u := undelivered(t, s.Write(t.Context(), entries(1)))[1]; u.Reason != "http_307" || u.Poison {
		t.Errorf("got %+v, want a retry because of http_307", u)
	}
	if followed.Load() {
		t.Error("the redirect was followed")
	}
}

// TestHostileReceivers checks that an attempt ends in time whatever the receiver does, and that the entry is either
// delivered or undelivered with a reason.
func TestHostileReceivers(t *testing.T) {
	release := make(chan struct{})
	defer close(release)
	f := func(name string, h http.HandlerFunc, reason string) {
		t.Helper()
		s := newSink(t, h, func(c *Config) { c.Timeout = time.Second })
		start := time.Now()
		err := s.Write(t.Context(), entries(1))
		if d := time.Since(start); d > 5*time.Second {
			t.Errorf("%s: the attempt took %v, want at most 5 s", name, d)
		}
		u, failed := undelivered(t, err)[1]
		if failed != (reason != "") || u.Reason != reason {
			t.Errorf("%s: got %+v, want reason %q", name, u, reason)
		}
		if len(u.Detail) > maxDetail+len(ellipsis) || strings.ContainsAny(u.Detail, "\n\x1b") {
			t.Errorf("%s: detail is %q, want one short line", name, u.Detail)
		}
	}
	raw := func(text string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			conn, _, err := w.(http.Hijacker).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close()
			_, _ = io.Copy(io.Discard, io.LimitReader(conn, 0))
			_, _ = io.WriteString(conn, text)
		}
	}
	f("never answers", func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-r.Context().Done():
		case <-release:
		}
	}, connectors.ReasonTimeout)
	f("endless body", func(w http.ResponseWriter, r *http.Request) {
		block := make([]byte, 1<<16)
		for {
			if _, err := w.Write(block); err != nil {
				return
			}
		}
	}, "")
	f("slow body", func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(200)
		w.(http.Flusher).Flush()
		select {
		case <-r.Context().Done():
		case <-release:
		}
	}, "")
	f("closes", raw(""), connectors.ReasonNetwork)
	f("not HTTP", raw("\x1b[2J SSH-2.0\n"+strings.Repeat("x", 1000)+"\n"), connectors.ReasonNetwork)
	f("endless header", raw("HTTP/1.1 200 OK\r\nX: "+strings.Repeat("x", 1<<20)+"\r\n\r\n"), connectors.ReasonNetwork)
	f("a thousand 103s", raw(strings.Repeat("HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n", 10_000)), connectors.ReasonNetwork)
	f("status 999", raw("HTTP/1.1 999 Odd\r\nContent-Length: 0\r\n\r\n"), "http_999")
	f("short body", raw("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nx"), "")
	f("switches protocols", raw("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n"), "http_101")
}
