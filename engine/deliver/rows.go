package deliver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/engine/clock"
	"github.com/aidr-engine/aidr/engine/inventory"
	"github.com/aidr-engine/aidr/engine/store"
	"github.com/aidr-engine/aidr/engine/tally"
	"github.com/aidr-engine/aidr/schema"
)

// maxBlockRows is the number of rows of the inventory that one call of Profile.Rows gets.
const maxBlockRows = 10_000

// rowOutlet delivers the rows of the inventory to one sink, one checkpoint after another. The sink's place in the rows is
// durable, so a crash repeats at most the rows of one checkpoint, which then replace themselves.
type rowOutlet struct {
	name     string
	write    func(context.Context, *connectors.RowBlock) error
	store    *store.Store
	clock    clock.Clock
	log      *slog.Logger
	draining <-chan struct{}
	agent    func(*schema.Agent) // completes the row of an agent
	isNew    bool                // the sink lacks what the store had before it was added
	pauses   connectors.Backoff
	failing  bool
	wake     chan struct{} // of capacity 1
	sinks    []string      // names of all sinks of rows
	attempts *attempts
	rules    func() []*schema.RuleInfo
	stale    atomic.Bool // the sink lacks the present rules

	mu     sync.Mutex
	reason string // why the last write failed; "" if it did not
}

func newRowOutlets(d *Deliverer) (out []*rowOutlet, err error) {
	var names []string
	for _, s := range d.opts.Sinks {
		if write := s.Profile().Rows; write != nil {
			names = append(names, s.Name())
			out = append(out, &rowOutlet{
				name: s.Name(), write: write, store: d.opts.Store, clock: d.opts.Clock, log: d.opts.Log, draining: d.draining, agent: d.opts.Agent,
				pauses: connectors.Backoff{Min: minPause, Max: maxPause}, wake: make(chan struct{}, 1),
			})
		}
	}
	added, err := d.opts.Store.SetRowSinks(names)
	for _, o := range out {
		o.sinks, o.attempts, o.rules = names, &d.attempts, d.opts.Rules
		o.stale.Store(true)
		for _, name := range added {
			o.isNew = o.isNew || o.name == name
		}
	}
	return out, err
}

// WantsRows reports whether any of the sinks wants rows of the inventory.
func WantsRows(sinks []connectors.Sink) bool {
	for _, s := range sinks {
		if s.Profile().Rows != nil {
			return true
		}
	}
	return false
}

func (o *rowOutlet) notify() {
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

// run delivers until ctx ends, or, while the deliverer drains, until nothing is left or a write fails.
func (o *rowOutlet) run(ctx context.Context) {
	for ctx.Err() == nil {
		more, err := o.deliver(ctx)
		switch {
		case errors.Is(err, store.ErrClosed):
			return
		case err != nil:
			if o.isDraining() {
				return
			}
			o.fail(err)
			o.sleep(ctx, o.pauses.Next())
		case more:
			o.succeed()
		case o.isDraining():
			return
		default:
			o.succeed()
			o.sleep(ctx, healthEvery)
		}
	}
}

// deliver delivers the rows of one checkpoint, or what else waits; more is false if there is nothing.
func (o *rowOutlet) deliver(ctx context.Context) (more bool, err error) {
	if o.isNew {
		if err := o.deliverAll(ctx); err != nil {
			return false, err
		}
		o.isNew = false
	}
	if o.stale.Swap(false) {
		if err := o.deliverRules(ctx); err != nil {
			o.stale.Store(true)
			return false, err
		}
	}
	if more, err = o.deliverCheckpoint(ctx); more || err != nil {
		return more, err
	}
	return o.deliverFailures(ctx)
}

// deliverRules delivers the rules as they run.
func (o *rowOutlet) deliverRules(ctx context.Context) error {
	w := rowWriter{o: o, ctx: ctx}
	for _, r := range o.rules() {
		w.block.Rules = append(w.block.Rules, r)
		if err := w.flushFull(); err != nil {
			return err
		}
	}
	return w.flush()
}

// maxFailures is the number of dead letters, and of attempts, that one block holds: a dead letter may be 64 KiB.
const maxFailures = 500

// deliverFailures delivers the dead letters and the attempts of deliveries that the sink does not have; more is false if there are
// none.
func (o *rowOutlet) deliverFailures(ctx context.Context) (more bool, err error) {
	if err := o.attempts.save(o.store); err != nil {
		return false, err
	}
	c, err := o.store.RowCursor(o.name)
	if err != nil {
		return false, err
	}
	w := rowWriter{o: o, ctx: ctx}
	next := c
	err = o.store.DeadLetters(store.DeadFilter{After: c.Dead, Limit: maxFailures}, func(l *store.DeadLetter) bool {
		next.Dead = l.Seq
		w.block.Dead = append(w.block.Dead, deadRow(l))
		return true
	})
	if err != nil {
		return false, err
	}
	err = o.store.Attempts(c.Attempt, maxFailures, func(n uint64, a *schema.Attempt) {
		next.Attempt = n
		w.block.Attempts = append(w.block.Attempts, a)
	})
	if err != nil || next == c {
		return false, err
	}
	if err := w.flush(); err != nil {
		return false, err
	}
	return true, o.store.SetRowCursor(o.name, next, o.sinks)
}

func deadRow(l *store.DeadLetter) *schema.DeadLetterRow {
	return &schema.DeadLetterRow{
		Seq: l.Seq, Time: l.Time, Kind: l.Kind, Reason: l.Reason, Detail: l.Detail, Source: l.Source, Topic: l.Topic, Partition: l.Partition,
		Offset: l.Offset, Index: l.Index, Sink: l.Sink, Type: string(l.Type), Attempts: l.Attempts, Omitted: l.Omitted, Body: l.Body,
	}
}

// deliverCheckpoint delivers the rows of one checkpoint; more is false if there are none.
func (o *rowOutlet) deliverCheckpoint(ctx context.Context) (more bool, err error) {
	pos, rows, ok, err := o.store.NextRows(o.name)
	if !ok || err != nil {
		return false, err
	}
	w := rowWriter{o: o, ctx: ctx, block: connectors.RowBlock{Pos: pos}}
	if err := inventory.ReadRows(rows, w.add, w.addOther); err != nil {
		return false, err
	}
	if err := w.flush(); err != nil {
		return false, err
	}
	return true, o.store.RowsDelivered(o.name, pos)
}

// deliverAll delivers every entity of the store to a sink that is new. A crash may leave it out: then the sink learns of an
// entity with its next change.
func (o *rowOutlet) deliverAll(ctx context.Context) error {
	pos, _, ok, err := o.store.Last()
	if err != nil || !ok {
		return err
	}
	w := rowWriter{o: o, ctx: ctx, block: connectors.RowBlock{Pos: pos}}
	var failed error
	err = o.store.Entities(nil, nil, func(key, value []byte) bool {
		var e *inventory.Entity
		if e, failed = inventory.ReadBase(key, value); failed == nil {
			failed = w.add(&inventory.Row{Entity: e})
		}
		return failed == nil
	})
	return errors.Join(err, failed, w.flush())
}

// rowWriter collects rows to blocks.
type rowWriter struct {
	o     *rowOutlet
	ctx   context.Context
	block connectors.RowBlock
}

func (w *rowWriter) add(r *inventory.Row) error {
	b := &w.block
	for i := range r.Activity {
		r.Activity[i].Pos = b.Pos
		b.Activity = append(b.Activity, &r.Activity[i])
	}
	if r.Entity != nil {
		switch l := inventory.LineOf(r.Entity); {
		case l.Agent != nil:
			l.Agent.Pos = b.Pos
			w.o.agent(l.Agent)
			b.Agents = append(b.Agents, l.Agent)
		case l.Credential != nil:
			l.Credential.Pos = b.Pos
			b.Credentials = append(b.Credentials, l.Credential)
		default:
			l.Tool.Pos = b.Pos
			b.Tools = append(b.Tools, l.Tool)
		}
	}
	return w.flushFull()
}

// addOther adds a row of rules, sources or events, which follows its head.
func (w *rowWriter) addOther(head, rows string) (rest string, err error) {
	if !tally.IsRow(head) {
		return "", errors.New("read rows: the store is damaged")
	}
	r, rest, err := tally.ReadRow(rows, w.block.Pos)
	if err != nil {
		return "", err
	}
	b := &w.block
	switch {
	case r.Rule != nil:
		b.Stats = append(b.Stats, r.Rule)
	case r.Source != nil:
		b.Quality = append(b.Quality, r.Source)
	case r.Event != nil:
		b.Events = append(b.Events, r.Event)
	}
	return rest, w.flushFull()
}

// flushFull writes the block if it is full.
func (w *rowWriter) flushFull() error {
	if w.block.Len() >= maxBlockRows {
		return w.flush()
	}
	return nil
}

func (w *rowWriter) flush() error {
	if w.block.Len() == 0 {
		return nil
	}
	err := w.o.write(w.ctx, &w.block)
	w.block = connectors.RowBlock{Pos: w.block.Pos, Part: w.block.Part + 1}
	if err != nil {
		return fmt.Errorf("write rows of the inventory: %w", err)
	}
	return nil
}

func (o *rowOutlet) isDraining() bool {
	select {
	case <-o.draining:
		return true
	default:
		return false
	}
}

// sleep waits for d, until there are new rows, until ctx ends or until Drain is called.
func (o *rowOutlet) sleep(ctx context.Context, d time.Duration) {
	tick, stop := o.clock.Tick(d)
	defer stop()
	select {
	case <-ctx.Done():
	case <-o.draining:
	case <-o.wake:
	case <-tick:
	}
}

func (o *rowOutlet) fail(err error) {
	o.mu.Lock()
	o.reason = err.Error()
	o.mu.Unlock()
	if !o.failing {
		o.log.Warn("rows of the inventory are not delivered, retrying", "sink", o.name, "error", err)
	}
	o.failing = true
}

func (o *rowOutlet) succeed() {
	o.mu.Lock()
	o.reason = ""
	o.mu.Unlock()
	if o.failing {
		o.log.Info("rows of the inventory are delivered again", "sink", o.name)
	}
	o.failing = false
	o.pauses.Reset()
}
