package deliver

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/engine/clock"
	"github.com/aidr-engine/aidr/engine/store"
)

// Limits of one call of Profile.DeadLetters.
const (
	maxDeadLetters = 100
	maxDeadBytes   = 4 << 20
	// deadEvery is how often new dead letters are looked for, which does not read the disk.
	deadEvery = time.Second
)

// deadOutlet copies the dead letters to one sink, in order. The sink's place is durable, so a crash repeats at most the dead
// letters of one call. They stay in the store: what is dropped there before it was copied is not copied.
type deadOutlet struct {
	name     string
	write    func(context.Context, []connectors.DeadLetter) error
	store    *store.Store
	clock    clock.Clock
	log      *slog.Logger
	draining <-chan struct{}
	pauses   connectors.Backoff
	failing  bool
}

func newDeadOutlets(d *Deliverer) (out []*deadOutlet, err error) {
	for _, s := range d.opts.Sinks {
		write := s.Profile().DeadLetters
		if write == nil {
			continue
		}
		if _, err := d.opts.Store.DeadCursor(s.Name()); err != nil { // registers a new sink before the first dead letter
			return nil, err
		}
		out = append(out, &deadOutlet{
			name: s.Name(), write: write, store: d.opts.Store, clock: d.opts.Clock, log: d.opts.Log, draining: d.draining,
			pauses: connectors.Backoff{Min: minPause, Max: maxPause},
		})
	}
	return out, nil
}

// run copies until ctx ends, or, while the deliverer drains, until nothing is left or a write fails.
func (o *deadOutlet) run(ctx context.Context) {
	for ctx.Err() == nil {
		more, err := o.deliver(ctx)
		switch {
		case errors.Is(err, store.ErrClosed):
			return
		case err != nil:
			if isClosed(o.draining) {
				return
			}
			if !o.failing {
				o.log.Warn("dead letters cannot be copied, retrying", "sink", o.name, "error", err)
			}
			o.failing = true
			o.sleep(ctx, true)
		default:
			if o.failing && more {
				o.log.Info("dead letters are copied again", "sink", o.name)
			}
			o.failing = o.failing && !more
			o.pauses.Reset()
			if more {
				continue
			}
			if isClosed(o.draining) {
				return
			}
			o.sleep(ctx, false)
		}
	}
}

// deliver copies the next dead letters; more is false if there were none.
func (o *deadOutlet) deliver(ctx context.Context) (more bool, err error) {
	cursor, err := o.store.DeadCursor(o.name)
	if err != nil || o.store.NextDeadLetter() <= cursor+1 {
		return false, err
	}
	var list []connectors.DeadLetter
	var failed error
	size := 0
	err = o.store.DeadLetters(store.DeadFilter{After: cursor, Limit: maxDeadLetters}, func(l *store.DeadLetter) bool {
		text, err := json.Marshal(l)
		if err != nil {
			failed = fmt.Errorf("encode dead letter %d: %w", l.Seq, err)
			return false
		}
		list = append(list, connectors.DeadLetter{Seq: l.Seq, Kind: l.Kind, Reason: l.Reason, Origin: cmp.Or(l.Source, l.Sink), JSON: text})
		size += len(text)
		return size < maxDeadBytes
	})
	if err = errors.Join(err, failed); err != nil || len(list) == 0 {
		return false, err
	}
	if err := o.write(ctx, list); err != nil {
		return false, err
	}
	return true, o.store.SetDeadCursor(o.name, list[len(list)-1].Seq)
}

// sleep waits for the next look, or after a failure for a growing pause; the end of ctx and draining end it.
func (o *deadOutlet) sleep(ctx context.Context, failed bool) {
	pause := deadEvery
	if failed {
		pause = o.pauses.Next()
	}
	tick, stop := o.clock.Tick(pause)
	defer stop()
	select {
	case <-tick:
	case <-ctx.Done():
	case <-o.draining:
	}
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
