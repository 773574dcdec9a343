package engine

import (
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
)

// simNetwork connects the process with the brokers. A connection of the process can break at a numbered operation, and the
// network can swallow everything for a while.
type simNetwork struct {
	kfake.VirtualNetwork
	ops atomic.Int64

	mu      sync.Mutex
	conns   map[*simConn]bool // the open ones of processes
	breakAt int64             // the operation at which a connection breaks; 0: none
	silent  chan struct{}     // closed at the end of a silence; nil: there is none
}

func newSimNetwork() *simNetwork { return &simNetwork{conns: map[*simConn]bool{}} }

var errBroken = errors.New("connection reset by peer")

// dialer returns the dial function of a process, which fails once it is dead.
func (n *simNetwork) dialer(dead *atomic.Bool) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		if dead.Load() {
			return nil, errBroken
		}
		if err := n.wait(ctx.Done()); err != nil {
			return nil, err
		}
		conn, err := n.VirtualNetwork.DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		c := &simConn{Conn: conn, net: n, dead: dead, closed: make(chan struct{}), filled: make(chan struct{}, 1)}
		go c.send()
		n.mu.Lock()
		defer n.mu.Unlock()
		n.conns[c] = true
		return c, nil
	}
}

// breaks counts an operation, and reports whether it breaks its connection.
func (n *simNetwork) breaks() bool {
	op := n.ops.Add(1)
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.breakAt == 0 || op < n.breakAt {
		return false
	}
	n.breakAt = 0
	return true
}

func (n *simNetwork) isSilent() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.silent != nil
}

// wait waits until the network is not silent. It returns an error if done is closed before.
func (n *simNetwork) wait(done <-chan struct{}) error {
	n.mu.Lock()
	silent := n.silent
	n.mu.Unlock()
	if silent == nil {
		return nil
	}
	select {
	case <-silent:
		return nil
	case <-done:
		return net.ErrClosed
	}
}

// cut breaks all connections of a process; nil: those of every process.
func (n *simNetwork) cut(of *atomic.Bool) {
	n.mu.Lock()
	var list []*simConn
	for c := range n.conns {
		if of == nil || c.dead == of {
			list = append(list, c)
		}
	}
	n.mu.Unlock()
	for _, c := range list {
		_ = c.Close()
	}
}

// breakAfter breaks the connection that makes one of the next operations.
func (n *simNetwork) breakAfter(ops int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.breakAt = n.ops.Load() + int64(ops)
}

// silence swallows everything until heal.
func (n *simNetwork) silence() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.silent == nil {
		n.silent = make(chan struct{})
	}
}

func (n *simNetwork) heal() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.breakAt = 0
	if n.silent != nil {
		close(n.silent)
		n.silent = nil
	}
}

// simConn is a connection of the process. Like a socket it buffers what is written: a writer that waited for the other side
// would hold the locks of the client while the virtual time does not move, because synctest does not count a goroutine that waits for a
// lock as blocked.
type simConn struct {
	net.Conn
	net    *simNetwork
	dead   *atomic.Bool
	closed chan struct{}
	once   sync.Once
	filled chan struct{} // receives when there is something to send

	mu      sync.Mutex
	waiting []byte
	reads   int // calls of Read under way
}

// send writes to the other side whatever waits.
func (c *simConn) send() {
	for {
		select {
		case <-c.filled:
		case <-c.closed:
			return
		}
		if c.net.wait(c.closed) != nil {
			return
		}
		c.mu.Lock()
		b := c.waiting
		c.waiting = nil
		c.mu.Unlock()
		if _, err := c.Conn.Write(b); err != nil {
			_ = c.Close()
			return
		}
	}
}

// operate counts an operation of the connection, which may break it.
func (c *simConn) operate() error {
	if c.dead.Load() {
		return errBroken
	}
	if c.net.breaks() {
		_ = c.Close()
		return errBroken
	}
	return nil
}

func (c *simConn) Read(b []byte) (int, error) {
	if err := c.operate(); err != nil {
		return 0, err
	}
	c.mu.Lock()
	c.reads++
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.reads--
	}()
	return c.Conn.Read(b)
}

func (c *simConn) Write(b []byte) (int, error) {
	if err := c.operate(); err != nil {
		return 0, err
	}
	select {
	case <-c.closed:
		return 0, net.ErrClosed
	default:
	}
	silent := c.net.isSilent()
	c.mu.Lock()
	overtaking := silent && c.reads > 0
	if !overtaking {
		c.waiting = append(c.waiting, b...)
	}
	c.mu.Unlock()
	if overtaking { // the client would wait for its own lock until the answer to an earlier request: see simConn
		_ = c.Close()
		return 0, errBroken
	}
	select {
	case c.filled <- struct{}{}:
	default:
	}
	return len(b), nil
}

// A write never waits, so its deadline has no effect.
func (c *simConn) SetDeadline(at time.Time) error      { return c.Conn.SetReadDeadline(at) }
func (c *simConn) SetWriteDeadline(at time.Time) error { return nil }

func (c *simConn) Close() error {
	c.once.Do(func() {
		close(c.closed)
		c.net.mu.Lock()
		delete(c.net.conns, c)
		c.net.mu.Unlock()
	})
	return c.Conn.Close()
}
