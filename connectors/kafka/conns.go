package kafka

import (
	"context"
	"net"
	"sync"
)

// conns holds the open connections of one group membership, so that they can be closed from outside. The client's own
// requests have deadlines, but the deadline of a join is as long as the group may wait for its members.
type conns struct {
	mu   sync.Mutex
	open map[*trackedConn]bool
}

// dial opens a connection and registers it until it is closed.
func (c *conns) dial(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	t := &trackedConn{conn, c}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.open == nil {
		c.open = map[*trackedConn]bool{}
	}
	c.open[t] = true
	return t, nil
}

// closeAll closes all connections. Requests that wait for an answer then fail.
func (c *conns) closeAll() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for t := range c.open {
		t.Conn.Close()
	}
	clear(c.open)
}

// trackedConn is a connection that leaves its conns when it is closed.
type trackedConn struct {
	net.Conn
	conns *conns
}

func (t *trackedConn) Close() error {
	t.conns.mu.Lock()
	delete(t.conns.open, t)
	t.conns.mu.Unlock()
	return t.Conn.Close()
}
