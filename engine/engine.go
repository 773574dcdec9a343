// Package engine runs it: workers decode and match, lanes put each partition's results in order, shards fold, and a
// checkpoint writes State, positions and findings as one cut.
//
//	Source -> lane: Read -> worker pool: decode, match, capture   (any order, parallel)
//	                 |
//	                 +---- in the partition's order: late? -> shard of hash(rule, group key) -> Cell.Add
//	ticker -> cut: stop the lanes for a moment, take positions and watermarks, send a barrier to every shard;
//	          each shard advances, cuts and hands over its dirty cells; one Commit; deliverer and sources are told
//
// A cut is consistent because lanes send to shards under a read lock that the cut takes for writing: what a shard
// receives before its barrier is exactly what the positions in the cut cover. (Barriers that travel with the data and
// are aligned in the shards would need a stash per lane; the lock is held for microseconds.)
package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/engine/capture"
	"github.com/aidr-engine/aidr/engine/clock"
	"github.com/aidr-engine/aidr/engine/fold"
	"github.com/aidr-engine/aidr/engine/store"
	"github.com/aidr-engine/aidr/rules"
	"github.com/aidr-engine/aidr/schema"
	"github.com/aidr-engine/aidr/schema/decode"
)

const (
	// DefaultCutEvery is the pace of checkpoints: what a finding waits for at most before it is delivered.
	DefaultCutEvery = 250 * time.Millisecond
	// UrgentAfter is the least time between two cuts when a critical rule matches: an fsync each.
	UrgentAfter = 25 * time.Millisecond
	// DefaultIdle is how long a partition that is read to its end stays silent before its watermark follows the clock.
	DefaultIdle = 30 * time.Second
	// DefaultCacheCells is how many cells without pending items a shard keeps in memory.
	DefaultCacheCells = 100_000
	// shardQueue is how many sub-batches wait for a shard before the lanes block: that is the back-pressure.
	shardQueue = 64
	// laneQueue is how many batches of one partition are decoded ahead of the one that is being routed.
	laneQueue = 4
)

// Input is what the engine knows of one source.
type Input struct {
	Source   connectors.Source
	Decode   decode.Options           // Wanted and Aliases are filled in by the engine
	Delays   map[string]time.Duration // by dataset; others have schema.DefaultDelay
	Datasets []string                 // what it may carry; nil: anything
	Idle     time.Duration            // 0: DefaultIdle
}

// Options of an engine.
type Options struct {
	Set        *rules.Set
	Inputs     []Input
	Store      *store.Store // nil: nothing outlives the engine (replay)
	Shards     int          // 0: one per core
	Workers    int          // 0: one per core
	CutEvery   time.Duration
	CacheCells int           // per shard
	MaxAhead   time.Duration // 0: DefaultMaxAhead
	Clock      clock.Clock
	Log        *slog.Logger
	Metrics    *Metrics
	Redact     func(string) string // of what leaves the worker
	Redaction  *schema.Redaction   // of which fields more or less than that leaves it; nil: of none
	// Committed is told, after each cut that holds any, of the changes of findings in it. It must not block for long.
	Committed func(entries []connectors.Entry)
}

// Engine is a running engine. It implements connectors.Reader for its sources.
type Engine struct {
	o        Options
	plans    []*capture.Plan // by rule: for the workers
	programs []*fold.Program // by rule: for the shards
	critical []bool          // by rule: asks for a cut at once
	inputs   map[string]*input
	shards   []*shard
	jobs     chan *job
	gate     *gate

	// cutMu: lanes hold it for reading while they route one batch, a cut for writing while it takes its snapshot.
	cutMu sync.RWMutex
	lanes map[connectors.Partition]*lane // guarded by cutMu

	// intake: held for reading while a batch is handed over, for writing when the engine ends.
	intake sync.RWMutex
	ended  bool

	cuts   *cutter
	failed atomic.Pointer[error]

	results sync.Pool // of *result

	workers, laneGroup, shardGroup sync.WaitGroup
}

// input is one source's side of the engine.
type input struct {
	Input
	delays    delays
	ruleDelay []time.Duration // by rule; -1: it never carries what the rule wants
	announced bool            // it has said which partitions it has; guarded by cutMu
	standby   string          // why it only waits; guarded by cutMu
}

// New builds an engine, restores it from its store, and starts its goroutines. It must be stopped with Stop or Finish.
func New(o Options) (*Engine, error) {
	if o.Shards <= 0 {
		o.Shards = runtime.GOMAXPROCS(0)
	}
	if o.Workers <= 0 {
		o.Workers = runtime.GOMAXPROCS(0)
	}
	if o.CutEvery <= 0 {
		o.CutEvery = DefaultCutEvery
	}
	if o.MaxAhead <= 0 {
		o.MaxAhead = DefaultMaxAhead
	}
	if o.CacheCells <= 0 {
		o.CacheCells = DefaultCacheCells
	}
	if o.Clock.Now == nil {
		o.Clock = clock.Wall()
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Metrics == nil {
		o.Metrics = NewMetrics(nil)
	}
	if o.Redact == nil {
		o.Redact = func(s string) string { return s }
	}
	if o.Committed == nil {
		o.Committed = func([]connectors.Entry) {}
	}
	e := &Engine{
		o: o, inputs: map[string]*input{}, lanes: map[connectors.Partition]*lane{},
		jobs: make(chan *job, o.Workers), gate: newGate(o.MaxAhead),
	}
	for i, r := range o.Set.Rules {
		e.plans = append(e.plans, capture.NewPlan(r))
		e.programs = append(e.programs, fold.NewProgram(r))
		e.critical = append(e.critical, r.Severity == "critical" && o.Set.Rules[i].Stage == rules.StageStable)
	}
	for _, in := range o.Inputs {
		if err := e.addInput(in); err != nil {
			return nil, err
		}
	}
	for i := range o.Shards {
		e.shards = append(e.shards, newShard(e, i))
	}
	e.cuts = newCutter(e)
	o.Metrics.evaluates(o.Set)
	if o.Store != nil {
		if err := e.restore(); err != nil {
			return nil, fmt.Errorf("restore the checkpoint: %w", err)
		}
	}
	for range o.Workers {
		w := newWorker(e)
		e.workers.Add(1)
		go func() {
			defer e.workers.Done()
			w.run()
		}()
	}
	for _, s := range e.shards {
		e.shardGroup.Add(1)
		go func() {
			defer e.shardGroup.Done()
			s.run()
		}()
	}
	go e.cuts.run()
	return e, nil
}

func (e *Engine) addInput(in Input) error {
	name := in.Source.Name()
	if _, ok := e.inputs[name]; ok {
		return fmt.Errorf("source %q: two sources have this name", name)
	}
	if in.Idle <= 0 {
		in.Idle = DefaultIdle
	}
	in.Decode.Wanted, in.Decode.Aliases = e.o.Set.Wanted(), e.o.Set.Aliases()
	if _, err := decode.New(in.Decode); err != nil {
		return fmt.Errorf("source %q: %w", name, err)
	}
	i := &input{Input: in, delays: delays{own: in.Delays, datasets: in.Datasets}}
	for _, r := range e.o.Set.Rules {
		d, ok := i.delays.forRule(r)
		if !ok {
			d = -1
		}
		i.ruleDelay = append(i.ruleDelay, d)
	}
	e.inputs[name] = i
	return nil
}

// ErrStopped says that the engine has ended. A batch that Read refuses with it was not taken: its positions are in no
// checkpoint.
var ErrStopped = errors.New("the engine has stopped")

// Stop ends the engine: what was read is routed, a last cut makes it durable.
func (e *Engine) Stop(ctx context.Context) error { return e.end(ctx, nil) }

// Finish ends a replay: every watermark becomes the highest event time of the whole input, or until where that is
// later. Groups that are over by then settle, the others stay open. until is 0 where it does not matter.
func (e *Engine) Finish(ctx context.Context, until schema.Instant) error {
	return e.end(ctx, &until)
}

func (e *Engine) end(ctx context.Context, until *schema.Instant) error {
	e.gate.end()
	e.intake.Lock()
	e.ended = true
	e.intake.Unlock()
	e.cutMu.RLock()
	lanes := make([]*lane, 0, len(e.lanes))
	for _, l := range e.lanes {
		lanes = append(lanes, l)
	}
	e.cutMu.RUnlock()
	for _, l := range lanes {
		close(l.queue)
	}
	e.laneGroup.Wait()
	close(e.jobs)
	e.workers.Wait()
	err := e.cuts.stop(ctx, until)
	for _, s := range e.shards {
		close(s.in)
	}
	e.shardGroup.Wait()
	return errors.Join(err, e.Err())
}

// Err returns the error that stopped the engine for good, nil while it works.
func (e *Engine) Err() error {
	if p := e.failed.Load(); p != nil {
		return *p
	}
	return nil
}

func (e *Engine) fail(err error) {
	if e.failed.CompareAndSwap(nil, &err) {
		e.o.Log.Error("the engine stops", "error", err)
	}
}

// persist repeats f, which reads the store, until it succeeds: a disk that fails for a while must not end the engine, and
// State that could not be read must not be taken for State that is not there. Meanwhile nobody reads.
func (e *Engine) persist(what string, f func() error) {
	for pause := 100 * time.Millisecond; ; pause = min(2*pause, 5*time.Second) {
		err := f()
		if err == nil {
			return
		}
		if errors.Is(err, store.ErrClosed) {
			e.fail(fmt.Errorf("%s: %w", what, err))
			return
		}
		e.o.Log.Error("the state directory can not be read and is tried again", "doing", what, "error", err, "pause", pause)
		e.gate.set(fmt.Sprintf("the state directory can not be read: %v", err))
		tick, stop := e.o.Clock.Tick(pause)
		<-tick
		stop()
	}
}

// Cut makes everything that has been routed so far durable and returns when it is.
func (e *Engine) Cut(ctx context.Context) error { return e.cuts.now(ctx) }
