package clickhouse

import (
	"io"
	"net"
	"net/url"
	"sync"
	"testing"
)

// gate is a TCP proxy between a client and a server. While it is shut, the server is unreachable for this test only.
type gate struct {
	server, addr string

	mu    sync.Mutex
	l     net.Listener // nil while the gate is shut
	conns map[net.Conn]bool
}

// newGate returns an open gate to the server of dsn, and the DSN of the gate.
func newGate(t *testing.T, dsn string) (*gate, string) {
	t.Helper()
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	g := &gate{server: u.Host, addr: "127.0.0.1:0", conns: map[net.Conn]bool{}}
	g.open(t)
	t.Cleanup(g.shut)
	u.Host = g.addr
	return g, u.String()
}

func (g *gate) open(t *testing.T) {
	t.Helper()
	l, err := net.Listen("tcp", g.addr)
	if err != nil {
		t.Fatal(err)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.l, g.addr = l, l.Addr().String()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go g.forward(c)
		}
	}()
}

// shut closes the gate and all connections through it.
func (g *gate) shut() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.l == nil {
		return
	}
	g.l.Close()
	g.l = nil
	for c := range g.conns {
		c.Close()
	}
}

func (g *gate) forward(client net.Conn) {
	defer client.Close()
	server, err := net.Dial("tcp", g.server)
	if err != nil {
		return
	}
	defer server.Close()
	if !g.add(client, server) {
		return
	}
	go func() {
		_, _ = io.Copy(server, client)
		server.Close()
	}()
	_, _ = io.Copy(client, server)
}

// add registers the connections and reports whether the gate is open.
func (g *gate) add(conns ...net.Conn) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, c := range conns {
		g.conns[c] = true
	}
	return g.l != nil
}
