package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/engine/budget"
	"github.com/aidr-engine/aidr/engine/capture"
	"github.com/aidr-engine/aidr/engine/clock"
	"github.com/aidr-engine/aidr/engine/contain"
	"github.com/aidr-engine/aidr/engine/fold"
	"github.com/aidr-engine/aidr/engine/gate"
	"github.com/aidr-engine/aidr/engine/inventory"
	"github.com/aidr-engine/aidr/engine/item"
	"github.com/aidr-engine/aidr/engine/store"
	"github.com/aidr-engine/aidr/rules"
	"github.com/aidr-engine/aidr/schema"
	"github.com/aidr-engine/aidr/schema/decode"
)

const (
	// DefaultCheckpointEvery is the pace of checkpoints: the longest that a finding waits before it is delivered.
	DefaultCheckpointEvery = 250 * time.Millisecond
	// UrgentAfter is the least time between two checkpoints when critical rules match, because each costs an fsync.
	UrgentAfter = 25 * time.Millisecond
	// DefaultIdle is how long a partition that is read to its end stays silent before its watermark follows the clock.
	DefaultIdle = 30 * time.Second
	// DefaultCacheCells is the number of cells without pending items that a shard keeps in memory, if the memory budget has
	// room for them: one takes about 250 bytes.
	DefaultCacheCells = 1_000_000
	// shardQueue is the number of sub-batches that wait for a shard before the lanes block: this is the back-pressure.
	shardQueue = 64
	// laneQueue is the number of batches of one partition that are decoded ahead of the one that is being routed.
	laneQueue = 4
)

// Input is one source with its settings.
type Input struct {
	Source   connectors.Source
	Decode   decode.Options           // the engine fills in Wanted and Aliases
	Delays   map[string]time.Duration // by dataset; the others have schema.DefaultDelay
	Datasets []string                 // the datasets that the source may carry; nil: any
	Idle     time.Duration            // 0: DefaultIdle
	Silence  Silence                  // when it counts as silent
	// Internal is set for a source of the process itself, such as its audit. Its events match only rules that name their
	// dataset, do not hold back the watermark of other rules, and are not in the inventory.
	Internal bool
}

// Options of an engine.
type Options struct {
	Set             *rules.Set
	Replaces        *Engine // an engine that has ended: its forms of rules that are also in Set serve again; nil: none
	Inputs          []Input
	Store           *store.Store // nil: nothing outlives the engine (replay)
	Cores           int          // the number of workers and shards that are busy at the same time; 0: GOMAXPROCS
	Shards          int          // 0: one per core
	Workers         int          // 0: one per core
	CheckpointEvery time.Duration
	Unhurried       bool          // a match of a critical rule asks for no checkpoint before its time
	CacheCells      int           // per shard
	Memory          int64         // bytes: see package budget; 0: budget.Default. Without a Store there is no limit
	MaxAhead        time.Duration // 0: gate.DefaultAhead
	Clock           clock.Clock
	Log             *slog.Logger
	Metrics         *Metrics
	Redact          func(string) string // replaces secrets in texts that leave the worker
	Redaction       *schema.Redaction   // the fields that are shown more or less than that; nil: none
	// Committed is called after each checkpoint that holds changes of findings, with these changes. It must not block
	// for long.
	Committed func(entries []connectors.Entry)
	// Guide returns the guide of a finding. It is called once for each revision, before the checkpoint that holds it, and must not
	// block. nil: findings have none.
	Guide func(*schema.Finding) *schema.Guide
	// RowsCommitted is called after each checkpoint that holds rows of the inventory. It must not block for long.
	RowsCommitted func()
	// Routed is called for each batch once its items are on their way, before a checkpoint can hold its position. Calls for one
	// partition come in its order, those for several at the same time. It must not block, as checkpoints wait for it. nil:
	// nothing is counted for it.
	Routed func(*Routed)
	// Inventory makes the engine keep an inventory of agents, credentials and tools: see Engine.Inventory.
	Inventory bool
	// Rows makes checkpoints hold rows of the inventory, and of how rules and sources fare, for the sinks that want them
	// (connectors.Profile.Rows).
	Rows bool
	// Canary reports since when the canary is missing, and why; missing is false if it is not. It is called at least every
	// second. nil: there is no canary.
	Canary func(now time.Time) (missing bool, since time.Time, why string)
	// Archive are the events of which checkpoints hold rows too; "" means none. It has no effect without Rows.
	Archive schema.Archive
	// Trace gets batches and checkpoints as they end; nil: nothing does.
	Trace connectors.Trace
	// Look gets a sample of the events; nil: nothing does.
	Look *Look
	// Contain is the containment table, which outlives the engine; it belongs to Store. nil: rules contain nothing, as in a
	// replay.
	Contain *contain.Table

	timerPage int // tests only; 0: defaultTimerPage
}

// withDefaults returns the options with the default of every option that is not set.
func (o Options) withDefaults() Options {
	if o.Cores <= 0 {
		o.Cores = runtime.GOMAXPROCS(0)
	}
	if o.Shards <= 0 {
		o.Shards = o.Cores
	}
	if o.Workers <= 0 {
		o.Workers = o.Cores
	}
	if o.CheckpointEvery <= 0 {
		o.CheckpointEvery = DefaultCheckpointEvery
	}
	if o.MaxAhead <= 0 {
		o.MaxAhead = gate.DefaultAhead
	}
	if o.CacheCells <= 0 {
		o.CacheCells = DefaultCacheCells
	}
	if o.timerPage <= 0 {
		o.timerPage = defaultTimerPage
	}
	switch {
	case o.Store == nil:
		o.Memory = 0 // there is nowhere to page to
	case o.Memory <= 0:
		o.Memory = budget.Default
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
	if o.RowsCommitted == nil {
		o.RowsCommitted = func() {}
	}
	return o
}

// Engine is a running engine. It implements connectors.Reader for its sources.
type Engine struct {
	opts   Options
	rules  *ruleSet
	inputs map[string]*input // by the source's name
	lanes  *lanes
	shards []*shard
	jobs   chan *job
	gate   *gate.Gate
	budget *budget.Budget
	meter  *meter

	responses *responder // nil: nothing is contained
	started   time.Time

	// intake is held for reading while a batch is handed over, and for writing when the engine ends.
	intake sync.RWMutex
	ended  bool

	checkpoints *checkpointer
	failed      atomic.Pointer[error]

	workers, shardGroup sync.WaitGroup

	calls       sync.RWMutex // held for reading while a caller waits for a shard, and for writing when the shards end
	shardsEnded bool
}

// ruleSet is the engine's Set with each stage's form of a rule; the slices are indexed by the rule's place in the
// Set. It is immutable.
type ruleSet struct {
	set      *rules.Set
	plans    []*capture.Plan
	programs []*fold.Program
	contains map[string]*rules.Rule // the rules that contain, by id
	critical []bool                 // a match of the rule asks for a checkpoint at once: it is critical, or it contains
	sources  []*capture.Source
	over     [][]int // by rule: the rules that have its triggers as items
	feeding  [][]int // by rule: the rules whose triggers are its items, and that can trigger
	limit    int     // the place of rules.LimitReached, -1 if it is not active
	levels   int     // the number of levels: 1 if no rule is over others
}

// newRuleSet returns the forms of the rules of a set. old is that of an earlier set, or nil.
func newRuleSet(set *rules.Set, old *ruleSet) *ruleSet {
	n := len(set.Rules)
	rs := &ruleSet{
		set: set, contains: map[string]*rules.Rule{}, over: make([][]int, n), feeding: make([][]int, n), limit: -1, levels: 1,
		plans: make([]*capture.Plan, n), programs: make([]*fold.Program, n), sources: make([]*capture.Source, n),
	}
	before := 0 // the place in old: both are sorted by id, except for the built-in rules at the end
	for i, r := range set.Rules {
		if r.ID == rules.LimitReached {
			rs.limit = i
		}
		if r.Contain != nil && r.Stage == rules.StageStable {
			rs.contains[r.ID] = r
		}
		for old != nil && before < len(old.set.Rules) && old.set.Rules[before].ID < r.ID {
			before++
		}
		if old != nil && before < len(old.set.Rules) && old.set.Rules[before] == r { // a Rule is immutable
			rs.plans[i], rs.programs[i], rs.sources[i] = old.plans[before], old.programs[before], old.sources[before]
		} else {
			rs.plans[i], rs.programs[i], rs.sources[i] = capture.NewPlan(r), fold.NewProgram(r), capture.NewSource(r)
		}
		rs.critical = append(rs.critical, r.Severity == schema.SeverityCritical && r.Stage == rules.StageStable || contains(r))
		rs.levels = max(rs.levels, r.Level+1)
	}
	rs.connect()
	return rs
}

// connect finds the active rules that feed others. A match of a rule asks for a checkpoint at once if that of a rule over
// it does.
func (rs *ruleSet) connect() {
	places := map[string]int{}
	for i, r := range rs.set.Rules {
		places[r.ID] = i
	}
	for level := rs.levels - 1; level > 0; level-- {
		for o, r := range rs.set.Rules {
			if r.Level != level {
				continue
			}
			for _, named := range r.Over.Feeding {
				f, active := places[named.ID]
				if !active || !rs.set.Rules[f].Feeds(r) {
					continue
				}
				rs.over[f], rs.feeding[o] = append(rs.over[f], o), append(rs.feeding[o], f)
				rs.critical[f] = rs.critical[f] || rs.critical[o]
			}
		}
	}
	// A rule over others that no rule feeds never triggers and has no watermark, so no rule waits for it.
	for level := 1; level < rs.levels; level++ {
		for o, r := range rs.set.Rules {
			if r.Level == level {
				rs.feeding[o] = slices.DeleteFunc(rs.feeding[o], rs.isSilent)
			}
		}
	}
	for f, p := range rs.programs {
		if rs.limit >= 0 && p.Forgets() && !rs.isSilent(f) {
			rs.feeding[rs.limit] = append(rs.feeding[rs.limit], f)
		}
	}
}

// isSilent reports whether the rule at a place is over others of which none is active: it has no items, and no watermark.
func (rs *ruleSet) isSilent(rule int) bool { return rs.level(rule) > 0 && len(rs.feeding[rule]) == 0 }

// level returns the level of the rule at a place.
func (rs *ruleSet) level(rule int) int { return rs.set.Rules[rule].Level }

// id returns the id of the rule at a place.
func (rs *ruleSet) id(rule int) string { return rs.set.Rules[rule].ID }

// shardOf returns the number of the shard, of n, that owns the item's cell.
func (rs *ruleSet) shardOf(it *item.Item, n int) int {
	return int(rs.programs[it.Rule].Hash(it.Group) % uint64(n))
}

// New builds an engine, restores it from its store, and starts its goroutines. It must be stopped with Stop or Finish.
func New(opts Options) (*Engine, error) {
	opts = opts.withDefaults()
	var old *ruleSet
	if opts.Replaces != nil {
		old, opts.Replaces = opts.Replaces.rules, nil // so that the old engine can be collected
	}
	e := &Engine{
		opts: opts, rules: newRuleSet(opts.Set, old), inputs: map[string]*input{},
		jobs: make(chan *job, opts.Workers), gate: gate.New(opts.MaxAhead), meter: newMeter(len(opts.Set.Rules)), started: opts.Clock.Now(),
	}
	for _, in := range opts.Inputs {
		if err := e.addInput(in); err != nil {
			return nil, err
		}
	}
	if opts.Contain != nil {
		e.responses = &responder{opts.Contain, opts.Metrics, e.rules.contains}
	}
	e.budget = budget.New(opts.Memory, opts.Clock.Now, func() { e.checkpoints.press() })
	retry := &retrier{clock: opts.Clock, log: opts.Log, gate: e.gate, fail: e.fail}
	for i := range opts.Shards {
		e.shards = append(e.shards, newShard(i, e.rules, opts, retry, e.budget, e.meter))
	}
	e.lanes = newLanes(e)
	e.checkpoints = newCheckpointer(e)
	var err error
	if e.checkpoints.tallied, err = newTallied(opts); err != nil {
		return nil, fmt.Errorf("restore the checkpoint: %w", err)
	}
	e.lanes.urge = func() {}
	if !opts.Unhurried {
		e.lanes.urge = e.checkpoints.urge
	}
	opts.Metrics.evaluates(opts.Set)
	opts.Metrics.reads(opts.Inputs)
	if opts.Store != nil {
		if err := e.restore(); err != nil {
			return nil, fmt.Errorf("restore the checkpoint: %w", err)
		}
	}
	seats := newSeats(opts.Cores)
	for range opts.Workers {
		w := newWorker(e.rules, opts, &e.lanes.results, e.budget, e.meter)
		w.responses, w.seats = e.responses, seats
		e.workers.Go(func() { w.run(e.jobs) })
	}
	for _, s := range e.shards {
		s.seats = seats
		e.shardGroup.Go(s.run)
	}
	go e.checkpoints.run()
	if opts.Contain != nil {
		opts.Contain.SetCommit(e.Checkpoint)
	}
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
	in.Decode.Wanted, in.Decode.Aliases = e.opts.Set.Wanted(), e.opts.Set.Aliases()
	if e.opts.Inventory {
		in.Decode.Wanted.Fields.Union(inventory.Fields())
	}
	in.Decode.Wanted.Fields.Union(e.opts.tallyFields())
	if _, err := decode.New(in.Decode); err != nil {
		return fmt.Errorf("source %q: %w", name, err)
	}
	e.inputs[name] = newInput(in, e.opts.Set)
	return nil
}

// ErrStopped is returned by Read after the engine has ended. The batch was not taken: its positions are in no
// checkpoint.
var ErrStopped = errors.New("the engine has stopped")

// Stop ends the engine: it routes the batches that were read and makes the result durable with a last checkpoint.
func (e *Engine) Stop(ctx context.Context) error { return e.end(ctx, nil) }

// Finish ends a replay: every watermark becomes the highest event time of the whole input, forged dates left out, or until
// if that is later.
// Groups that are over by then settle, the others stay open. An until of 0 has no effect.
func (e *Engine) Finish(ctx context.Context, until schema.Instant) error {
	return e.end(ctx, &until)
}

func (e *Engine) end(ctx context.Context, until *schema.Instant) error {
	if e.opts.Contain != nil {
		e.opts.Contain.SetCommit(nil)
	}
	e.gate.End()
	e.budget.End()
	e.intake.Lock()
	e.ended = true
	e.intake.Unlock()
	e.lanes.end()
	close(e.jobs)
	e.workers.Wait()
	err := e.checkpoints.stop(ctx, until)
	e.calls.Lock()
	e.shardsEnded = true
	e.calls.Unlock()
	for _, s := range e.shards {
		close(s.in)
	}
	e.shardGroup.Wait()
	return errors.Join(err, e.Err())
}

// Err returns the error that stopped the engine for good, or nil while it works.
func (e *Engine) Err() error {
	if p := e.failed.Load(); p != nil {
		return *p
	}
	return nil
}

func (e *Engine) fail(err error) {
	if e.failed.CompareAndSwap(nil, &err) {
		e.opts.Log.Error("engine stopped", "error", err)
	}
}

// Checkpoint makes everything that has been routed so far durable, and returns when it is.
func (e *Engine) Checkpoint(ctx context.Context) error { return e.checkpoints.now(ctx) }

// retrier repeats reads of the state directory until they succeed: a disk that fails for a while must not end the
// engine, and State that could not be read must not be taken for State that does not exist. Until then reading is paused.
type retrier struct {
	clock clock.Clock
	log   *slog.Logger
	gate  *gate.Gate
	fail  func(error)
}

func (r *retrier) do(doing string, f func() error) {
	pauses := storePauses()
	for {
		err := f()
		if err == nil {
			return
		}
		if errors.Is(err, store.ErrClosed) {
			r.fail(fmt.Errorf("%s: %w", doing, err))
			return
		}
		pause := pauses.Next()
		r.log.Error("state directory unreadable, retrying", "doing", doing, "error", err, "pause", pause)
		r.gate.Set(fmt.Sprintf("the state directory cannot be read: %v", err))
		tick, stop := r.clock.Tick(pause)
		<-tick
		stop()
	}
}

// storePauses returns the pauses between attempts to read or write the state directory.
func storePauses() connectors.Backoff {
	return connectors.Backoff{Min: 100 * time.Millisecond, Max: 5 * time.Second}
}

// Replay runs bounded sources through an engine and returns the findings that are open or settled when everything is
// read, without revision and detected_at, sorted by (group_start, id). It is the live code path; only the end differs.
// until moves all watermarks on to that instant; 0 leaves them at the highest event time of the input.
func Replay(ctx context.Context, opts Options, until schema.Instant) ([]*schema.Finding, error) {
	found, _, err := ReplayInventory(ctx, opts, until)
	return found, err
}

// ReplayInventory is Replay that also returns the inventory; nil if Options.Inventory is not set.
func ReplayInventory(ctx context.Context, opts Options, until schema.Instant) ([]*schema.Finding, *Inventory, error) {
	latest := map[schema.ID]*schema.Finding{}
	committed := opts.Committed
	opts.Committed = func(entries []connectors.Entry) {
		for _, en := range entries {
			if en.Finding != nil && !en.Finding.Operational { // both are of an engine with a store
				latest[en.Finding.ID] = en.Finding
			}
		}
		if committed != nil {
			committed(entries)
		}
	}
	e, err := New(opts)
	if err != nil {
		return nil, nil, err
	}
	err = RunSources(ctx, e, opts.Inputs)
	if err := errors.Join(err, e.Finish(ctx, until)); err != nil {
		return nil, nil, err
	}
	var out []*schema.Finding
	for _, f := range latest {
		if f.Status != schema.StatusWithdrawn {
			f.Revision, f.DetectedAt = 0, nil
			out = append(out, f)
		}
	}
	SortFindings(out)
	return out, e.Inventory(), nil
}

// RunSources runs every input's source against r until all have ended, and returns their errors. A source that fails
// ends the others.
func RunSources(ctx context.Context, r connectors.Reader, inputs []Input) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	errs := make([]error, len(inputs))
	var all sync.WaitGroup
	for i, in := range inputs {
		all.Go(func() {
			if errs[i] = in.Source.Run(ctx, r); errs[i] != nil {
				cancel()
			}
		})
	}
	all.Wait()
	return errors.Join(errs...)
}

// SortFindings sorts by (group_start, id): the order of everything that is printed.
func SortFindings(fs []*schema.Finding) {
	slices.SortFunc(fs, func(a, b *schema.Finding) int {
		if a.GroupStart != b.GroupStart {
			if a.GroupStart < b.GroupStart {
				return -1
			}
			return 1
		}
		return bytes.Compare(a.ID[:], b.ID[:])
	})
}
