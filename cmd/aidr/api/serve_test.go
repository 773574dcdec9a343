package api

import (
	"bufio"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// pipes is a listener whose connections are pipes, so that their deadlines follow the time of a synctest bubble.
type pipes struct {
	conns chan net.Conn
	ended chan struct{}
}

func newPipes() *pipes { return &pipes{make(chan net.Conn), make(chan struct{})} }

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

func (p *pipes) dial() net.Conn {
	ours, theirs := net.Pipe()
	p.conns <- theirs
	return ours
}

// closedAfter returns how long the server leaves the connection open.
func closedAfter(c net.Conn) time.Duration {
	began := time.Now()
	io.Copy(io.Discard, c)
	return time.Since(began)
}

// TestConnectionLimits checks that every connection is closed in the end, whatever its client does or does not do.
func TestConnectionLimits(t *testing.T) {
	const request = "GET / HTTP/1.1\r\nHost: a\r\n"
	for _, c := range []struct {
		name string
		send func(c net.Conn)
		want time.Duration
	}{
		{"nothing", func(net.Conn) {}, headerTime},
		{"half of the headers", func(c net.Conn) { io.WriteString(c, request) }, headerTime},
		{"a byte of the headers each second", func(c net.Conn) {
			for _, err := io.WriteString(c, request+"X-A: "); err == nil; _, err = io.WriteString(c, "x") {
				time.Sleep(time.Second)
			}
		}, headerTime},
		{"half of the body", func(c net.Conn) { io.WriteString(c, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf") }, readTime},
		{"idle after a request", func(c net.Conn) { io.WriteString(c, request+"\r\n") }, idleTime},
		{"does not read the response", func(c net.Conn) {
			io.WriteString(c, strings.Replace(request, "/", "/large", 1)+"\r\n")
		}, time.Minute},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newPipes()
				s := NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					io.Copy(io.Discard, r.Body)
					if r.URL.Path == "/large" {
						w.Write(make([]byte, 1<<20))
					}
				}), ServerOptions{Log: slog.New(slog.DiscardHandler), WriteTime: time.Minute})
				go s.Serve(l, "test")
				defer s.Close()
				conn := l.dial()
				began := time.Now()
				var sender sync.WaitGroup
				sender.Go(func() { c.send(conn) })
				if c.name == "does not read the response" {
					time.Sleep(time.Minute + time.Second)
				}
				closedAfter(conn)
				if took := time.Since(began); took < c.want || took > c.want+time.Second {
					t.Errorf("closed after %v, want %v", took, c.want)
				}
				conn.Close()
				sender.Wait()
			})
		})
	}
}

// TestLastingRequest checks that the limits of reading do not end a request that lasts, such as that of tail.
func TestLastingRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newPipes()
		s := NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			select {
			case <-r.Context().Done():
			case <-time.After(10 * readTime):
				io.WriteString(w, "done")
			}
		}), ServerOptions{Log: slog.New(slog.DiscardHandler)})
		go s.Serve(l, "test")
		defer s.Close()
		conn := l.dial()
		io.WriteString(conn, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
		b, err := io.ReadAll(conn)
		if err != nil || !strings.HasSuffix(string(b), "done") {
			t.Errorf("got %q, %v", b, err)
		}
	})
}

// TestMaxConnections checks that connections over the cap are refused and counted, and that closing one frees its place.
func TestMaxConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newPipes()
		refused := 0
		s := NewServer(http.NotFoundHandler(), ServerOptions{Log: slog.New(slog.DiscardHandler), Refused: func() { refused++ }})
		go s.Serve(l, "test")
		defer s.Close()
		var open []net.Conn
		for range MaxConnections {
			open = append(open, l.dial())
		}
		for range 3 {
			if took := closedAfter(l.dial()); took != 0 {
				t.Errorf("a connection over the cap was closed after %v, want at once", took)
			}
		}
		open[0].Close()
		synctest.Wait()
		conn := l.dial()
		if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: a\r\n\r\n"); err != nil {
			t.Errorf("after a connection was closed: %v", err)
		}
		if r, err := http.ReadResponse(bufio.NewReader(conn), nil); err != nil || r.StatusCode != http.StatusNotFound {
			t.Errorf("after a connection was closed: got %v, %v", r, err)
		}
		if refused != 3 {
			t.Errorf("got %d refused connections, want 3", refused)
		}
	})
}

// TestLargeHeaders checks that headers over the limit are refused.
func TestLargeHeaders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newPipes()
		s := NewServer(http.NotFoundHandler(), ServerOptions{Log: slog.New(slog.DiscardHandler)})
		go s.Serve(l, "test")
		defer s.Close()
		conn := l.dial()
		go io.WriteString(conn, "GET / HTTP/1.1\r\nHost: a\r\nX-A: "+strings.Repeat("x", 4*maxHeader))
		r, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil || r.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
			t.Errorf("got %v, %v, want 431", r, err)
		}
		conn.Close()
		time.Sleep(time.Second) // the server waits half a second for the client to read the response
	})
}
