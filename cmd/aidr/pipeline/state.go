package pipeline

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/aidr-engine/aidr/cmd/aidr/api"
	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/engine"
	"github.com/aidr-engine/aidr/engine/deliver"
	"github.com/aidr-engine/aidr/engine/store"
	"github.com/aidr-engine/aidr/schema"
	"github.com/aidr-engine/aidr/schema/content"
)

const (
	// stopTime bounds the last checkpoint; draining the sinks has its own time.
	stopTime = 10 * time.Second
	// handoverTime is how long the sinks may drain when another process takes the partitions: what is left is delivered
	// by that one, which waits for the state directory meanwhile.
	handoverTime = 2 * time.Second
)

// opened is the open state directory and what stands on it, but for the engine, which a reload replaces.
type opened struct {
	store     *store.Store
	deliverer *deliver.Deliverer
	outbox    *prometheus.Registry // metrics of the deliverer
	control   *http.Server
}

// open opens the state directory and starts the engine. life is held for writing.
func (p *Pipeline) open() error {
	s, err := store.Open(p.cfg.State.Dir, store.Options{
		OutboxCap: p.cfg.State.Outbox, FindingsKeep: p.cfg.State.FindingsKeep,
		Logf: func(format string, args ...any) { p.log.Warn(fmt.Sprintf(format, args...)) },
	})
	if err != nil {
		return err
	}
	if _, _, known, err := s.Last(); err == nil && !known {
		p.log.Info("the state directory is new: reading starts at the committed positions, or where `start` says", "dir", p.cfg.State.Dir)
	}
	p.wait("reading the checkpoint")
	o := &opened{store: s, outbox: prometheus.NewRegistry()}
	o.deliverer, err = deliver.New(deliver.Options{Store: s, Sinks: p.sinks, Log: p.log, Registry: o.outbox, Dead: p.metrics.Dead})
	if err != nil {
		return errors.Join(err, s.Close())
	}
	e, err := p.newEngine(o, p.set, p.inputs)
	if err != nil {
		return errors.Join(err, s.Close())
	}
	if o.control, err = p.openControl(s); err != nil {
		return errors.Join(err, e.Stop(context.Background()), s.Close())
	}
	o.deliverer.Start()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.opened, p.engine, p.waiting, p.worked = o, e, "", true
	p.answered()
	return nil
}

// newEngine starts an engine over the open state directory: it goes on from the last checkpoint.
func (p *Pipeline) newEngine(o *opened, set *Set, inputs []engine.Input) (*engine.Engine, error) {
	return engine.New(engine.Options{
		Set: set, Inputs: inputs, Store: o.store, Shards: p.cfg.Shards, CutEvery: p.cfg.State.CutEvery,
		CacheCells: p.cfg.State.Cells, Log: p.log, Metrics: p.metrics, Redact: content.Redact, Redaction: p.cfg.Redact,
		Committed: func(entries []connectors.Entry) {
			o.deliverer.Notify()
			if p.o.Committed != nil {
				p.o.Committed(entries)
			}
		},
	})
}

func (p *Pipeline) openControl(s *store.Store) (*http.Server, error) {
	l, err := api.Listen(p.cfg.State.Dir)
	if err != nil {
		return nil, err
	}
	server := &http.Server{Handler: api.Handler(s, p.runtime()), ReadHeaderTimeout: headerTime}
	go serve(p.log, server, l, "control")
	return server, nil
}

// close makes a last checkpoint, gives the sinks some time to get what they have not, and closes the state directory.
// life is held for writing; mu is not, so that /readyz answers meanwhile.
func (p *Pipeline) close(drain time.Duration) error {
	o, e := p.opened, p.engine
	if o == nil {
		return nil
	}
	p.mu.Lock()
	p.engine, p.waiting = nil, "making the last checkpoint and draining the sinks"
	p.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), stopTime)
	defer cancel()
	err := e.Stop(ctx)
	end, stop := context.WithTimeout(context.Background(), drain)
	defer stop()
	if left := o.deliverer.Drain(end); left != nil {
		p.log.Warn("not every sink could be drained", "reason", left)
	}
	p.mu.Lock()
	p.opened, p.waiting, p.idle = nil, noPartition, false
	p.mu.Unlock()
	o.control.Close() // it was answering until now; its clients are told that nobody is there
	clear(p.active)
	return errors.Join(err, o.store.Close())
}

// runtime is what the control API asks of the running process. life is held for reading while the engine is asked: it
// lives as long.
func (p *Pipeline) runtime() api.Runtime {
	return api.Runtime{Status: p.Status, State: p.state, ReplayDead: p.replayDead}
}

func (p *Pipeline) state(ctx context.Context, rule string, key map[string]string) (any, error) {
	p.life.RLock()
	defer p.life.RUnlock()
	if p.engine == nil {
		return nil, api.ErrNoProcess
	}
	return p.engine.State(ctx, rule, key)
}

// replayDead hands a dead letter in again and, where that worked, takes it away.
func (p *Pipeline) replayDead(ctx context.Context, l *store.DeadLetter) (string, error) {
	p.life.RLock()
	defer p.life.RUnlock()
	if p.engine == nil {
		return "", api.ErrNoProcess
	}
	if l.Kind != schema.DeadRecord {
		if err := p.opened.deliverer.Requeue(l.Seq); err != nil {
			return "", err
		}
		return "handed to " + l.Sink + " again", nil
	}
	done, err := p.engine.ReplayRecord(ctx, l)
	if err != nil {
		return "", err
	}
	// A cut makes what it gave durable before the letter goes: killed in between, it is there twice, not lost.
	if err := p.engine.Cut(ctx); err != nil {
		return "", fmt.Errorf("make the replayed record durable: %w: the dead letter stays", err)
	}
	_, err = p.opened.store.DropDeadLetters(l.Seq)
	return done, err
}
