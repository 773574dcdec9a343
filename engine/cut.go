package engine

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"sort"
	"sync"
	"time"

	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/engine/store"
	"github.com/aidr-engine/aidr/schema"
)

// cutter makes the checkpoints: one at a time, on a ticker, on request, and soon after a critical match.
type cutter struct {
	e        *Engine
	requests chan chan error
	urgent   chan struct{}
	stopping chan stopRequest
	stopped  chan struct{}

	seq       uint64
	restored  bool                           // the engine started from a checkpoint
	watermark []int64                        // by rule; what the last cut advanced to
	warming   []int64                        // by rule; until when its State does not know its whole window, 0: it does
	positions map[connectors.Partition]int64 // committed with the last cut
	pending   []pendingItems
	last      time.Time
	write     func(*store.Checkpoint) error // the store's Commit
	broken    error                         // a cut was given up: what it held is nowhere else, and nothing may be committed behind it

	mu   sync.Mutex // guards what Status shows
	took time.Duration
	err  error // why the last cut is not durable yet
}

// pendingItems are the items of one cut that are still above a watermark.
type pendingItems struct {
	seq    uint64
	newest map[int]int64 // rule -> highest time
}

type stopRequest struct {
	ctx   context.Context
	until *schema.Instant // of a replay
	done  chan error
}

func newCutter(e *Engine) *cutter {
	c := &cutter{
		e: e, requests: make(chan chan error), urgent: make(chan struct{}, 1), stopping: make(chan stopRequest, 1), stopped: make(chan struct{}),
		positions: map[connectors.Partition]int64{}, watermark: make([]int64, len(e.programs)),
		warming: make([]int64, len(e.programs)),
	}
	for i := range c.watermark {
		c.watermark[i] = never
	}
	if e.o.Store != nil {
		c.write = e.o.Store.Commit
	}
	return c
}

// idleStep is how far an idle partition's watermark follows the clock at a time: a checkpoint each.
const idleStep = time.Second

// slowest is the longest pace of cuts: where a cut takes long, cuts are rarer, so that they take at most half the time.
const slowest = 2 * time.Second

func (c *cutter) run() {
	defer close(c.stopped)
	tick, stop := c.e.o.Clock.Tick(c.e.o.CutEvery)
	defer stop()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	for {
		select {
		case now := <-tick:
			if now.Sub(c.last) >= min(2*c.took, slowest) {
				c.cut(ctx, nil, false)
			}
			c.hold()
		case <-c.urgent:
			if c.e.o.Clock.Now().Sub(c.last) >= UrgentAfter {
				c.cut(ctx, nil, false)
			}
		case done := <-c.requests:
			done <- c.cut(ctx, nil, true)
		case r := <-c.stopping:
			r.done <- c.cut(r.ctx, r.until, true)
			return
		}
	}
}

// urge asks for a cut soon. It never blocks.
func (c *cutter) urge() {
	select {
	case c.urgent <- struct{}{}:
	default:
	}
}

func (c *cutter) now(ctx context.Context) error {
	done := make(chan error, 1)
	select {
	case c.requests <- done:
	case <-c.stopped:
		return errors.New("the engine has stopped")
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (c *cutter) stop(ctx context.Context, until *schema.Instant) error {
	r := stopRequest{ctx: ctx, until: until, done: make(chan error, 1)}
	c.stopping <- r
	err := <-r.done
	<-c.stopped
	return err
}

// cut makes one checkpoint. Without force it does nothing where nothing has moved.
func (c *cutter) cut(ctx context.Context, until *schema.Instant, force bool) error {
	if c.broken != nil {
		return c.broken
	}
	start := c.e.o.Clock.Now()
	c.last = start
	reply := make(chan shardCut, len(c.e.shards))
	state, dead, moved := c.snapshot(start, until, force, reply)
	if !moved {
		return nil
	}
	cut := &store.Checkpoint{Seq: c.seq + 1, Dead: dead}
	newest := map[int]int64{}
	for range c.e.shards {
		part := <-reply
		cut.Cells = append(cut.Cells, part.cells...)
		cut.Items = append(cut.Items, part.items...)
		cut.Outbox = append(cut.Outbox, part.entries...)
		for rule, t := range part.newest {
			if old, ok := newest[rule]; !ok || t > old {
				newest[rule] = t
			}
		}
	}
	if c.e.o.Store != nil {
		cut.State = state.encode()
		cut.Drop = c.dropped()
		if err := c.commit(ctx, cut); err != nil {
			return err
		}
	}
	c.seq++
	if len(newest) > 0 {
		c.pending = append(c.pending, pendingItems{c.seq, newest})
	}
	c.tell(ctx, cut, state)
	c.mu.Lock()
	c.took = c.e.o.Clock.Now().Sub(start)
	c.mu.Unlock()
	c.e.o.Metrics.cut(c.took)
	return nil
}

// snapshot stops the lanes for a moment: positions, watermarks and dead letters of one instant, and a barrier in every
// shard's queue at that instant.
func (c *cutter) snapshot(now time.Time, until *schema.Instant, force bool, reply chan<- shardCut) (*cutState, []store.DeadLetter, bool) {
	e := c.e
	e.cutMu.Lock()
	defer e.cutMu.Unlock()
	var dead []store.DeadLetter
	moved := force
	for _, l := range e.lanes {
		if l.idle(now) && before(now.UnixNano(), idleStep) >= l.progress.floor {
			l.progress.floor = now.UnixNano()
			moved = true
		}
		if l.lost && l.progress.event != never {
			l.lost = false
			c.warm(l.progress.event)
		}
		moved = moved || l.known && l.next != c.positions[l.p]
		for i := range l.dead {
			l.dead[i].Time = schema.Instant(now.UnixNano())
		}
		dead = append(dead, l.dead...)
		l.dead = nil
	}
	if !moved {
		return nil, nil, false
	}
	c.raise(until)
	b := &barrier{now: schema.Instant(now.UnixNano()), watermark: append([]int64(nil), c.watermark...), all: force, reply: reply}
	for _, s := range e.shards {
		s.in <- message{barrier: b}
	}
	return c.state(), dead, true
}

// warm says that no rule knows what was before t, an event time. Shards read it in a cut only, which comes after.
func (c *cutter) warm(t int64) {
	for rule, r := range c.e.o.Set.Rules {
		if m := r.Memory(); m > 0 {
			c.warming[rule] = max(c.warming[rule], t+int64(m))
		}
	}
}

// idle says that the partition is read to its end on a live connection and has been silent for long.
func (l *lane) idle(now time.Time) bool {
	return l.atEnd && !l.final && !l.revoked && now.Sub(l.heard) >= l.in.Idle
}

// raise brings each rule's watermark up to date: the minimum over all partitions that may carry one of its datasets.
// At the end of a replay it is the highest event time of the whole input, or until. cutMu is held.
func (c *cutter) raise(until *schema.Instant) {
	if until != nil {
		end := int64(*until)
		if end == 0 {
			end = never
		}
		for _, l := range c.e.lanes {
			end = max(end, l.progress.event)
		}
		for rule := range c.watermark {
			c.watermark[rule] = max(c.watermark[rule], end)
		}
		return
	}
	lows := make(map[*input]int64, len(c.e.inputs)) // the lowest high of each input that still has something to say
	for _, in := range c.e.inputs {
		if !in.announced {
			lows[in] = never
		}
	}
	for _, l := range c.e.lanes {
		if l.final || l.gone(c.e) {
			continue
		}
		if low, ok := lows[l.in]; !ok || l.progress.high() < low {
			lows[l.in] = l.progress.high()
		}
	}
	for rule := range c.watermark {
		low, any := int64(0), false
		for in, h := range lows {
			if d := in.ruleDelay[rule]; d >= 0 {
				if w := before(h, d); !any || w < low {
					low, any = w, true
				}
			}
		}
		if any {
			c.watermark[rule] = max(c.watermark[rule], low)
		}
	}
}

// gone says that the partition was revoked and did not come back although others of its source did: it was deleted.
func (l *lane) gone(e *Engine) bool {
	if !l.revoked || e.o.Clock.Now().Sub(l.heard) < l.in.Idle {
		return false
	}
	for _, o := range e.lanes {
		if o.in == l.in && !o.revoked {
			return true
		}
	}
	return false
}

// hold closes the gate while the outbox is full, and opens it when there is room again, whether or not anything moves.
func (c *cutter) hold() {
	if c.e.o.Store == nil {
		return
	}
	why := ""
	if c.e.o.Store.OutboxFull() {
		why = "the outbox is full: a sink that may not lose findings is away; reading goes on when it drains"
	}
	c.e.gate.set(why)
}

// commit writes the cut, and tries again until it can: meanwhile nobody reads, nothing is lost. Where it has to give up,
// because the engine stops, the positions of the cut before stand, and what came behind them is read again.
func (c *cutter) commit(ctx context.Context, cut *store.Checkpoint) error {
	for pause := 100 * time.Millisecond; ; pause = min(2*pause, 5*time.Second) {
		err := c.try(cut)
		if err == nil {
			c.hold()
			return nil
		}
		c.e.gate.set(fmt.Sprintf("the state directory can not be written: %v", err))
		c.e.o.Log.Error("a checkpoint could not be written and is tried again", "error", err, "pause", pause)
		if !c.pause(ctx, pause, err) {
			if err = c.try(cut); err != nil { // the last chance
				c.broken = err
			}
			return err
		}
	}
}

// try writes the cut once and remembers for Status how it went.
func (c *cutter) try(cut *store.Checkpoint) error {
	err := c.write(cut)
	c.mu.Lock()
	c.err = err
	c.mu.Unlock()
	return err
}

// pause waits until a cut that failed is tried again, and tells those who ask for one meanwhile. It returns false where
// the engine stops.
func (c *cutter) pause(ctx context.Context, d time.Duration, failed error) bool {
	tick, stop := c.e.o.Clock.Tick(d)
	defer stop()
	for {
		select {
		case <-ctx.Done():
			return false
		case done := <-c.requests:
			done <- failed
		case r := <-c.stopping:
			c.stopping <- r // for run, which answers it
			return false
		case <-tick:
			return true
		}
	}
}

// dropped forgets the cuts whose pending items have all moved into base, and returns them.
func (c *cutter) dropped() (drop []uint64) {
	kept := c.pending[:0]
	for _, p := range c.pending {
		over := true
		for rule, t := range p.newest {
			over = over && t < c.watermark[rule]
		}
		if over {
			drop = append(drop, p.seq)
		} else {
			kept = append(kept, p)
		}
	}
	c.pending = kept
	return drop
}

// tell passes on what is durable now: findings to the deliverer, positions to the sources.
func (c *cutter) tell(ctx context.Context, cut *store.Checkpoint, state *cutState) {
	for _, en := range cut.Outbox {
		c.e.o.Metrics.finding(en.Finding)
	}
	if len(cut.Outbox) > 0 {
		c.e.o.Committed(cut.Outbox)
	}
	by := map[string]map[connectors.Partition]int64{}
	for _, p := range state.Partitions {
		key := connectors.Partition{Source: p.Source, Topic: p.Topic, Number: p.Number}
		c.e.o.Metrics.watermark(key, p.watermark)
		if p.Known && c.positions[key] != p.Next {
			c.positions[key] = p.Next
			if by[p.Source] == nil {
				by[p.Source] = map[connectors.Partition]int64{}
			}
			by[p.Source][key] = p.Next
		}
	}
	for rule, w := range c.watermark {
		c.e.o.Metrics.ruleWatermark(c.e.o.Set.Rules[rule].ID, w)
	}
	if c.e.o.Store == nil {
		return
	}
	for name, positions := range by {
		if in := c.e.inputs[name]; in != nil {
			if err := in.Source.Commit(ctx, positions); err != nil {
				c.e.o.Log.Debug("positions were not committed at the source; the checkpoint holds them", "source", name, "error", err)
			}
		}
	}
}

// cutState is the engine's part of a cut, as JSON: small, and readable when something is wrong.
type cutState struct {
	Version    int              `json:"version"`
	Partitions []partitionState `json:"partitions"`
	Rules      []ruleState      `json:"rules"`
}

// stateVersion of cutState; a newer one is refused.
const stateVersion = 1

type partitionState struct {
	Source string `json:"source"`
	Topic  string `json:"topic"`
	Number int32  `json:"partition"`
	Next   int64  `json:"next"`
	Known  bool   `json:"known"`
	Event  int64  `json:"event_ns"`
	Record int64  `json:"record_ns"`
	Floor  int64  `json:"floor_ns"`
	Final  bool   `json:"final,omitempty"`

	watermark int64
}

type ruleState struct {
	ID        string `json:"id"`
	Shape     string `json:"shape"`
	Watermark int64  `json:"watermark_ns"`
	Warming   int64  `json:"warming_until_ns,omitempty"`
}

func (s *cutState) encode() []byte {
	b, err := json.Marshal(s)
	if err != nil {
		panic("BUG: " + err.Error())
	}
	return b
}

// state returns the engine's part of the cut. cutMu is held.
func (c *cutter) state() *cutState {
	s := &cutState{Version: stateVersion}
	for _, l := range c.e.lanes {
		s.Partitions = append(s.Partitions, partitionState{
			Source: l.p.Source, Topic: l.p.Topic, Number: l.p.Number, Next: l.next, Known: l.known,
			Event: l.progress.event, Record: l.progress.record, Floor: l.progress.floor, Final: l.final,
			watermark: l.watermark(),
		})
	}
	sort.Slice(s.Partitions, func(i, j int) bool {
		a, b := s.Partitions[i], s.Partitions[j]
		if a.Source != b.Source {
			return a.Source < b.Source
		}
		if a.Topic != b.Topic {
			return a.Topic < b.Topic
		}
		return a.Number < b.Number
	})
	for i, r := range c.e.o.Set.Rules {
		s.Rules = append(s.Rules, ruleState{ID: r.ID, Shape: hex.EncodeToString(r.Shape[:]), Watermark: c.watermark[i], Warming: c.warming[i]})
	}
	return s
}

// watermark returns the partition's watermark for its slowest dataset, for people to look at.
func (l *lane) watermark() int64 {
	slow := time.Duration(0)
	if l.in.datasets() == nil {
		slow = schema.DelayAudit
	}
	for _, ds := range l.in.datasets() {
		slow = max(slow, l.in.delays.of(ds))
	}
	return before(l.progress.high(), slow)
}

func (in *input) datasets() []string { return in.delays.datasets }
