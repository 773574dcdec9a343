package pipeline

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/engine"
	"github.com/aidr-engine/aidr/engine/store"
)

// lockRetry is how often the state directory is tried while another process still has it.
const lockRetry = 250 * time.Millisecond

// errStopping says that nothing new is begun any more.
var errStopping = errors.New("aidr is stopping")

// errNotOpen says that a source reads although nothing was assigned to it.
var errNotOpen = errors.New("the engine is not open")

// reader stands between the sources and the engine, which is open only while there are partitions and is replaced by
// a reload.
type reader struct {
	p   *Pipeline
	ctx context.Context // of Run: its end ends waiting
}

// Assigned implements connectors.Reader. The first partition opens the state directory; where another process still
// has it, it waits.
func (r *reader) Assigned(part connectors.Partition) (from int64, known bool) {
	for {
		from, known, err := r.p.assign(part)
		switch {
		case err == nil:
			return from, known
		case errors.Is(err, errStopping), r.ctx.Err() != nil:
			return 0, false
		case !errors.Is(err, store.ErrLocked):
			r.p.fail(fmt.Errorf("open the state directory: %w", err))
			return 0, false
		}
		r.p.ask()
		if r.p.wait(err.Error()) {
			r.p.log.Warn("waiting for the state directory", "error", err)
		}
		select {
		case <-r.ctx.Done():
			return 0, false
		case <-time.After(lockRetry):
		}
	}
}

func (p *Pipeline) assign(part connectors.Partition) (from int64, known bool, err error) {
	p.life.Lock()
	defer p.life.Unlock()
	if p.isStopping() {
		return 0, false, errStopping
	}
	if p.engine == nil {
		if err := p.open(); err != nil {
			return 0, false, err
		}
	}
	p.active[part] = true
	p.setIdle(false)
	from, known = p.engine.Assigned(part)
	return from, known, nil
}

// Read implements connectors.Reader. A batch that an engine refuses because it stops goes to the one that replaces it.
func (r *reader) Read(ctx context.Context, b *connectors.Batch) error {
	e := r.p.current()
	for e != nil {
		err := e.Read(ctx, b)
		if !errors.Is(err, engine.ErrStopped) {
			return err
		}
		r.p.life.RLock() // until it is replaced, or closed
		next := r.p.engine
		r.p.life.RUnlock()
		if next == e {
			return err
		}
		e = next
	}
	if r.p.isStopping() || r.ctx.Err() != nil { // nothing was assigned for that: ctx ends too, but not before
		<-ctx.Done()
		return ctx.Err()
	}
	return errNotOpen
}

// Revoked implements connectors.Reader. After the last partition there is nothing to read; the state directory stays open
// for the sinks until somebody else may need it.
func (r *reader) Revoked(ctx context.Context, part connectors.Partition) error {
	p := r.p
	p.life.RLock() // no swap: the engine lives until it has answered
	var err error
	if p.engine != nil {
		err = p.engine.Revoked(ctx, part)
	}
	p.life.RUnlock()
	p.life.Lock()
	defer p.life.Unlock()
	delete(p.active, part)
	if len(p.active) == 0 && p.handsOver() {
		p.setIdle(true)
	}
	return err
}

// Standby implements connectors.Reader. Who reads instead may need the state directory.
func (r *reader) Standby(source, why string) {
	p := r.p
	p.life.RLock()
	if p.engine != nil {
		p.engine.Standby(source, why)
	}
	p.life.RUnlock()
	p.mu.Lock()
	if why == "" {
		delete(p.standby, source)
	} else {
		if p.standby[source] != why {
			p.log.Info("waiting as standby", "source", source, "reason", why)
		}
		p.standby[source] = why
	}
	p.mu.Unlock()
	if why != "" {
		p.handOver(why)
	}
}

// handsOver says that another process can take over all that this one reads: then it must get the state directory.
// Files are this process's alone.
func (p *Pipeline) handsOver() bool {
	for _, s := range p.cfg.Sources {
		if s.Kafka == nil {
			return false
		}
	}
	return true
}

// setIdle notes whether there is nothing to read although the engine is open. life is held.
func (p *Pipeline) setIdle(idle bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.idle = idle; idle {
		p.waiting = noPartition
	} else {
		p.waiting = ""
	}
}

// current returns the engine, nil where none is open.
func (p *Pipeline) current() *engine.Engine {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.engine
}

// Checkpoint makes one of all that was read: what is found in it is in the outbox when it returns.
func (p *Pipeline) Checkpoint(ctx context.Context) error {
	e := p.current()
	if e == nil {
		return errNotOpen
	}
	return e.Cut(ctx)
}

func (p *Pipeline) isStopping() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.stopping || p.lost != nil
}

// wait notes why the engine is not open, and says whether that is news.
func (p *Pipeline) wait(why string) (news bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	news = p.waiting != why
	p.waiting = why
	return news
}

// fail ends Run with an error.
func (p *Pipeline) fail(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.lost != nil {
		return
	}
	p.lost = err
	p.log.Error("aidr can not go on", "error", err)
	if p.cancel != nil {
		p.cancel()
	}
}
