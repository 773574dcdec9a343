// Package gate holds the readers of partitions back.
package gate

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/schema"
)

// DefaultAhead is how far, in record time, a partition with a backlog may run ahead of the slowest partition that has
// a backlog too. It bounds the number of pending items. A partition that is read to its end does not hold others back.
const DefaultAhead = 5 * time.Minute

// ErrEnded is returned by Pass after End.
var ErrEnded = errors.New("the gate has ended")

// Gate holds readers back while another partition is far behind, and while there is no room for more input.
type Gate struct {
	ahead time.Duration // how far a partition may be ahead

	mu     sync.Mutex
	cond   *sync.Cond
	front  map[connectors.Partition]schema.Instant // the highest record time routed, of partitions with a backlog
	closed string                                  // why reading is paused, "" if it is not
	ended  bool                                    // the engine stops: waiting is over
}

// New returns an open gate that lets a partition be ahead of the slowest by at most ahead.
func New(ahead time.Duration) *Gate {
	g := &Gate{ahead: ahead, front: map[connectors.Partition]schema.Instant{}}
	g.cond = sync.NewCond(&g.mu)
	return g
}

// Pass waits until p may hand in its next batch.
func (g *Gate) Pass(ctx context.Context, p connectors.Partition) error {
	stop := context.AfterFunc(ctx, func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.cond.Broadcast()
	})
	defer stop()
	g.mu.Lock()
	defer g.mu.Unlock()
	for ctx.Err() == nil && !g.ended && (g.closed != "" || g.tooFar(p)) {
		g.cond.Wait()
	}
	if g.ended {
		return ErrEnded
	}
	return ctx.Err()
}

// End releases every waiting reader.
func (g *Gate) End() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.ended = true
	g.cond.Broadcast()
}

// Holds reports whether p waits because it is too far ahead.
func (g *Gate) Holds(p connectors.Partition) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.tooFar(p)
}

// tooFar reports whether p is too far ahead of the slowest partition that has a backlog.
func (g *Gate) tooFar(p connectors.Partition) bool {
	own, ok := g.front[p]
	if !ok || own == schema.MinInstant {
		return false
	}
	slowest := own
	for _, t := range g.front {
		if t != schema.MinInstant { // a partition without a first record may be a long way off, or not even open
			slowest = min(slowest, t)
		}
	}
	return own.Sub(g.ahead) > slowest
}

// Move records how far p has come. active is false if p does not hold others back: it is read to its end, final,
// or revoked.
func (g *Gate) Move(p connectors.Partition, front schema.Instant, active bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if active {
		g.front[p] = front
	} else {
		delete(g.front, p)
	}
	g.cond.Broadcast()
}

// Set closes the gate for all readers, or opens it again if why is "".
func (g *Gate) Set(why string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed != why {
		g.closed = why
		g.cond.Broadcast()
	}
}

// Why returns why reading is paused, "" if it is not.
func (g *Gate) Why() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.closed
}
