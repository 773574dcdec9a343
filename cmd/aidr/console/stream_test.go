package console

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aidr-engine/aidr/cmd/aidr/access"
)

// pipes is a listener whose connections are pipes, so that their deadlines follow the time of a synctest bubble. A pipe holds
// nothing: a client that does not read blocks its writer at once.
type pipes struct {
	conns chan net.Conn
	ended chan struct{}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.ended:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { close(p.ended); return nil }
func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "unix"} }

// streamed is a console with controlled versions, served over pipes.
type streamed struct {
	*Console
	listener *pipes
	cookie   *http.Cookie
}

func newStreamed(t *testing.T) *streamed {
	c, cookie := newFake(t, func() string { return "x" })
	c.hubs.look = func(context.Context, string) (versions, error) { return versions{}, errNotOpen } // the test sets the versions
	s := &streamed{c, &pipes{make(chan net.Conn), make(chan struct{})}, cookie}
	server := c.Server(nil)
	go server.Serve(s.listener, "console")
	t.Cleanup(func() { server.Close() })
	return s
}

// open opens a stream and returns its connection behind the headers.
func (s *streamed) open(t *testing.T, of string) (net.Conn, *bufio.Reader) {
	t.Helper()
	ours, theirs := net.Pipe()
	s.listener.conns <- theirs
	io.WriteString(ours, "GET /live?of="+of+" HTTP/1.1\r\nHost: 127.0.0.1:8472\r\nAccept: text/event-stream\r\nCookie: "+s.cookie.Name+"="+s.cookie.Value+"\r\n\r\n")
	r := bufio.NewReader(ours)
	resp, err := http.ReadResponse(r, nil)
	if err != nil || resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Type") != "text/event-stream" ||
		resp.Header.Get("Content-Security-Policy") != policy || resp.Header.Get("Cache-Control") != "no-store" {
		t.Fatalf("open a stream: %+v, %v", resp, err)
	}
	return ours, bufio.NewReader(resp.Body)
}

// event returns the data of the next event.
func event(t *testing.T, r *bufio.Reader) string {
	t.Helper()
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return "end"
		}
		if data, ok := strings.CutPrefix(line, "data: "); ok {
			return strings.TrimSpace(data)
		}
	}
}

// TestStream checks that a stream carries the newest version only, that a client that does not read costs the others nothing and is
// cut off, and that a stream ends with its session.
func TestStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStreamed(t)
		stuck, _ := s.open(t, "findings")
		defer stuck.Close()
		conn, live := s.open(t, "findings")
		defer conn.Close()
		synctest.Wait()
		all := s.hubs.of("")
		s.hubs.set(all, versions{findings: "0"})
		if got := event(t, live); got != "0" {
			t.Errorf("first: got %s", got)
		}
		began := time.Now()
		for n := range 1000 {
			s.hubs.set(all, versions{findings: fmt.Sprint(n + 1)})
		}
		if took := time.Since(began); took != 0 {
			t.Errorf("1,000 changes with a client that does not read took %v", took)
		}
		got, events := "", 0
		for got != "1000" {
			got = event(t, live)
			events++
		}
		if events > 10 {
			t.Errorf("the newest came as event %d of 1,000 changes", events)
		}
		synctest.Wait()
		if s.hubs.open() != 2 {
			t.Errorf("got %d streams, want 2", s.hubs.open())
		}
		time.Sleep(sendTime + time.Second)
		synctest.Wait()
		if s.hubs.open() != 1 {
			t.Errorf("a client that does not read is not cut off after %v: %d streams", sendTime, s.hubs.open())
		}
		s.hubs.set(all, versions{findings: "1000", containment: "new"}) // not what the page follows
		s.hubs.set(all, versions{findings: "1001"})
		if got := event(t, live); got != "1001" {
			t.Errorf("after another one was cut off: got %s", got)
		}
		s.sessions.end(s.cookie.Value)
		if got := event(t, live); got != "end" {
			t.Errorf("after the session: got %s, want the end", got)
		}
		conn.Close()
		synctest.Wait()
		if s.hubs.open() != 0 {
			t.Errorf("got %d streams at the end", s.hubs.open())
		}

	})
}

// TestStreamRevoked checks that revoking a token ends its streams, and that they are counted.
func TestStreamRevoked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStreamed(t)
		ended := make(chan struct{})
		s.cookie.Value = s.sessions.open(Caller{Caller: access.Caller{Name: "token:a", Scopes: []access.Scope{access.Read}}, Ended: ended})
		conn, live := s.open(t, "all")
		defer conn.Close()
		synctest.Wait()
		s.hubs.set(s.hubs.of(""), versions{findings: "1"})
		event(t, live)
		close(ended)
		if got := event(t, live); got != "end" {
			t.Errorf("got %s, want the end", got)
		}
		conn.Close()
		synctest.Wait()
		var entered []*hub
		for range maxStreams {
			x := s.hubs.enter("")
			if x == nil {
				t.Fatal("a stream is refused below the limit")
			}
			entered = append(entered, x)
		}
		if s.hubs.enter("a") != nil {
			t.Error("a stream is accepted above the limit")
		}
		for _, x := range entered {
			s.hubs.leave(x)
		}
		if len(s.hubs.all) != 0 {
			t.Errorf("%d hubs are left", len(s.hubs.all))
		}

	})
}

// open returns the number of streams.
func (h *hubs) open() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.streams
}

// of returns the hub of a tenant.
func (h *hubs) of(tenant string) *hub {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.all[tenant]
}
