package kafka

import (
	"context"
	"net"
	"sync"
)

// conns are the open connections of one group membership. The client's own requests have deadlines, but that of a join
// is as long as the group may wait for its members.
type conns struct {
	mu   sync.Mutex
	open map[*trackedConn]bool
}

// dial opens a connection and remembers it until it is closed.
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

// cut closes all connections: whoever waits on one gets an error.
func (c *conns) cut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for t := range c.open {
		t.Conn.Close()
	}
	clear(c.open)
}

type trackedConn struct {
	net.Conn
	of *conns
}

func (t *trackedConn) Close() error {
	t.of.mu.Lock()
	delete(t.of.open, t)
	t.of.mu.Unlock()
	return t.Conn.Close()
}
