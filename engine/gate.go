package engine

import (
	"context"
	"sync"
	"time"

	"github.com/aidr-engine/aidr/connectors"
)

// DefaultMaxAhead is how far, in record time, a partition with a backlog may run ahead of the slowest that has one too: it
// bounds what is pending. Partitions that are read to their end hold nobody back.
const DefaultMaxAhead = 5 * time.Minute

// gate holds readers back: while another partition is far behind, and while there is no room for what they read.
type gate struct {
	ahead time.Duration // how far a partition may be ahead

	mu     sync.Mutex
	cond   *sync.Cond
	front  map[connectors.Partition]int64 // of partitions with a backlog: the highest record time routed
	closed string                         // why nobody may read, "" where all may
	ended  bool                           // the engine stops: nobody waits any more
}

func newGate(ahead time.Duration) *gate {
	g := &gate{ahead: ahead, front: map[connectors.Partition]int64{}}
	g.cond = sync.NewCond(&g.mu)
	return g
}

// pass waits until p may hand in its next batch.
func (g *gate) pass(ctx context.Context, p connectors.Partition) error {
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
		return ErrStopped
	}
	return ctx.Err()
}

// end lets everybody who waits go.
func (g *gate) end() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.ended = true
	g.cond.Broadcast()
}

// tooFar says whether p is too far ahead of the slowest partition that has a backlog.
func (g *gate) tooFar(p connectors.Partition) bool {
	own, ok := g.front[p]
	if !ok || own == never {
		return false
	}
	slowest := own
	for _, t := range g.front {
		if t != never { // one that has given nothing yet may be long away, or not even open
			slowest = min(slowest, t)
		}
	}
	return before(own, g.ahead) > slowest
}

// move says how far p has come; active is false where it holds nobody back: read to its end, final, or revoked.
func (g *gate) move(p connectors.Partition, front int64, active bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if active {
		g.front[p] = front
	} else {
		delete(g.front, p)
	}
	g.cond.Broadcast()
}

// set closes the gate for everybody, or opens it again with "".
func (g *gate) set(why string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed != why {
		g.closed = why
		g.cond.Broadcast()
	}
}

func (g *gate) why() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.closed
}
