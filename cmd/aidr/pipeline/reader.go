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

// lockRetry is the pause between two attempts to open a state directory that another process still has open.
const lockRetry = 250 * time.Millisecond

// errStopping is returned instead of opening or replacing the engine once aidr is stopping.
var errStopping = errors.New("aidr is stopping")

// errNotOpen is returned to a source that reads although no partition was assigned to it.
var errNotOpen = errors.New("the engine is not open")

// reader is the connectors.Reader that the sources get. It passes their calls to the engine, which is open only while
// partitions are assigned and which a reload replaces.
type reader struct {
	p   *Pipeline
	ctx context.Context // of Run: waiting ends when it is done
}

// Assigned implements connectors.Reader. The first partition opens the state directory. If another process still has it
// open, Assigned requests it and waits.
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
		r.p.requestHandover()
		if r.p.setWaiting(err.Error()) {
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

// StateLost implements connectors.StateLost.
func (r *reader) StateLost(part connectors.Partition) {
	r.p.life.RLock()
	defer r.p.life.RUnlock()
	if r.p.engine != nil {
		r.p.engine.StateLost(part)
	}
}

// Read implements connectors.Reader. If an engine refuses the batch because it stops, the batch goes to its replacement.
func (r *reader) Read(ctx context.Context, b *connectors.Batch) error {
	e := r.p.current()
	for e != nil {
		err := e.Read(ctx, b)
		if !errors.Is(err, engine.ErrStopped) {
			return err
		}
		r.p.life.RLock() // waits until the engine is replaced or closed
		next := r.p.engine
		r.p.life.RUnlock()
		if next == e {
			return err
		}
		e = next
	}
	if r.p.isStopping() || r.ctx.Err() != nil { // stopping is why no engine was opened; ctx will be done soon too
		<-ctx.Done()
		return ctx.Err()
	}
	return errNotOpen
}

// Revoked implements connectors.Reader. After the last partition the state directory stays open for the sinks until
// another process may need it.
func (r *reader) Revoked(ctx context.Context, part connectors.Partition) error {
	p := r.p
	p.life.RLock() // keeps a reload from replacing the engine during the call
	var err error
	if p.engine != nil {
		err = p.engine.Revoked(ctx, part)
	}
	p.life.RUnlock()
	p.life.Lock()
	defer p.life.Unlock()
	delete(p.active, part)
	if len(p.active) == 0 && p.canHandOver() {
		p.setIdle(true)
	}
	return err
}

// Standby implements connectors.Reader. The member that reads instead may need the state directory, so it is handed over.
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

// canHandOver reports whether another process can take over everything that this one reads, and so may need the state
// directory. Files are read by this process alone.
func (p *Pipeline) canHandOver() bool {
	for _, s := range p.cfg.Sources {
		if s.Kafka == nil {
			return false
		}
	}
	return true
}

// setIdle records whether the engine is open without an assigned partition. Its caller holds life.
func (p *Pipeline) setIdle(idle bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.idle = idle; idle {
		p.waiting = noPartition
	} else {
		p.waiting = ""
	}
}

// current returns the engine, or nil if none is open.
func (p *Pipeline) current() *engine.Engine {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.engine
}

// Checkpoint makes a checkpoint of everything read so far. When it returns, the findings up to there are in the outbox.
func (p *Pipeline) Checkpoint(ctx context.Context) error {
	e := p.current()
	if e == nil {
		return errNotOpen
	}
	return e.Checkpoint(ctx)
}

func (p *Pipeline) isStopping() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.stopping || p.failure != nil
}

// setWaiting records why the engine is not open, and reports whether the reason is a new one.
func (p *Pipeline) setWaiting(why string) (changed bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	changed = p.waiting != why
	p.waiting = why
	return changed
}

// fail ends Run with an error. Only the first error counts.
func (p *Pipeline) fail(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.failure != nil {
		return
	}
	p.failure = err
	p.log.Error("aidr cannot continue", "error", err)
	if p.cancel != nil {
		p.cancel()
	}
}
