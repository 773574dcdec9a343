// Package budget bounds the memory of an engine. The parts of the engine report estimates of the bytes that they hold; the
// estimates follow from the input alone and are not measured. Nothing is dropped because of the budget: changes are made
// durable sooner, cells are paged out, and lanes and readers wait.
//
// Each part has a share of the limit. Parts that a checkpoint empties (Pressed) make the lanes wait; the batches on their
// way through the lanes make the readers wait; cells in memory are paged out by their shards. The shares leave half of the
// limit for everything that has no estimate: rules, decoders, Pebble's tables, and garbage that is not collected yet.
package budget

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// Default is the limit in bytes if neither the configuration nor GOMEMLIMIT sets one.
const Default = 2 << 30

// Part is a part of the engine that holds memory.
type Part int

// The parts, in the order of the way of a record.
const (
	Lanes      Part = iota // batches that were read and are not routed yet, with their items and dead letters
	Queued                 // changes that items in the queues of shards are expected to make
	Dead                   // dead letters that wait for a checkpoint
	Dirty                  // changes of cells that wait for a checkpoint, with the findings that they will give
	Checkpoint             // the checkpoint that is being written
	Hot                    // cells with pending items or with changes that no checkpoint holds
	Cold                   // other cells in memory
	Timers                 // of all cells
	Inventory              // minutes of agents, credentials and tools that are not in the store
	parts
)

var names = [parts]string{"lanes", "queued", "dead_letters", "dirty", "checkpoint", "hot_cells", "cold_cells", "timers", "inventory"}

// String returns the part's name, a value of the label `part`.
func (p Part) String() string { return names[p] }

// The shares of the limit, as divisors. They were chosen with a flood of 100,000 agents, each with a few findings: with
// twice the share for changes its checkpoints took twice as long and nothing became faster.
const (
	lanesShare = 16
	dirtyShare = 16 // a checkpoint is taken as soon as changes hold this much
	waitShare  = 8  // the lanes wait while changes and the checkpoint under way hold this much
	cacheShare = 8  // the store's cache of blocks
	cellsShare = 8  // hot and cold cells each
)

// Cache returns the size in bytes of the store's cache of blocks for a limit. It is part of the half without estimates.
func Cache(limit int64) int64 { return limit / cacheShare }

// LongWait is how long a lane or a reader waits before the wait counts as a degradation: many checkpoints.
const LongWait = 5 * time.Second

// quiet is how long nothing waits before the pressure counts as over.
const quiet = 10 * time.Second

// Budget holds the limit and the estimates. Its methods may be called concurrently.
type Budget struct {
	limit int64 // 0: unlimited
	used  [parts]atomic.Int64
	now   func() time.Time
	urge  func() // asks for a checkpoint

	mu       sync.Mutex
	changed  *sync.Cond
	ended    bool                // the engine stops
	failing  bool                // checkpoints cannot be written
	waits    map[*time.Time]bool // the starts of the waits under way
	lastWait time.Time           // the last moment at which something waited
	pressed  bool                // something waited and less than quiet has passed since
}

// New returns a budget of limit bytes, 0 for no limit. urge asks for a checkpoint; it must not block.
func New(limit int64, now func() time.Time, urge func()) *Budget {
	b := &Budget{limit: limit, now: now, urge: urge, waits: map[*time.Time]bool{}}
	b.changed = sync.NewCond(&b.mu)
	return b
}

// Limit returns the limit in bytes, 0 for no limit.
func (b *Budget) Limit() int64 { return b.limit }

// Used returns the estimate of a part in bytes.
func (b *Budget) Used(p Part) int64 { return b.used[p].Load() }

// Each calls yield with the estimate of every part.
func (b *Budget) Each(yield func(p Part, bytes int64)) {
	for p := range parts {
		yield(p, b.Used(p))
	}
}

// Cells returns how many bytes of hot cells, and how many of cold ones, each of n shards may hold. If the budget has no
// limit, ok is false.
func (b *Budget) Cells(shards int) (bytes int64, ok bool) {
	return b.limit / cellsShare / int64(shards), b.limit > 0
}

// Changes returns how many bytes of changes each of n shards may add to a checkpoint on its own account. If the budget
// has no limit, ok is false.
func (b *Budget) Changes(shards int) (bytes int64, ok bool) {
	return b.limit / dirtyShare / int64(shards), b.limit > 0
}

// Add changes a part's estimate. It asks for a checkpoint if that is due.
func (b *Budget) Add(p Part, bytes int64) {
	if bytes == 0 {
		return
	}
	b.used[p].Add(bytes)
	if b.limit == 0 || p > Checkpoint {
		return
	}
	if bytes < 0 {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.changed.Broadcast()
	} else if b.Pressed() {
		b.urge()
	}
}

// Pressed reports whether a checkpoint should be taken to free memory.
func (b *Budget) Pressed() bool {
	return b.limit > 0 && b.Used(Dirty)+b.Used(Dead) > b.limit/dirtyShare
}

// full reports whether a lane must not route another batch.
func (b *Budget) full() bool {
	return b.Used(Queued)+b.Used(Dirty)+b.Used(Dead)+b.Used(Checkpoint) > b.limit/waitShare
}

// crowded reports whether a reader must not hand in another batch.
func (b *Budget) crowded() bool { return b.Used(Lanes) > b.limit/lanesShare }

// AwaitRoute waits until a lane may route its next batch. A checkpoint always ends the wait. If the engine stops while
// checkpoints cannot be written, nothing waits, because the lanes have to end before the last attempt.
func (b *Budget) AwaitRoute() {
	b.await(context.Background(), func() bool { return b.full() && !(b.ended && b.failing) })
}

// AwaitRead waits until a reader may hand in its next batch, or until ctx ends.
func (b *Budget) AwaitRead(ctx context.Context) error {
	b.await(ctx, func() bool { return b.crowded() && !b.ended })
	return ctx.Err()
}

func (b *Budget) await(ctx context.Context, blocked func() bool) {
	if b.limit == 0 {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if !blocked() {
		return
	}
	stop := context.AfterFunc(ctx, func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.changed.Broadcast()
	})
	defer stop()
	start := b.now()
	b.waits[&start] = true
	for ctx.Err() == nil && blocked() {
		b.urge()
		b.changed.Wait()
	}
	delete(b.waits, &start)
	b.lastWait = b.now()
}

// Failing records whether checkpoints cannot be written.
func (b *Budget) Failing(failing bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.failing != failing {
		b.failing = failing
		b.changed.Broadcast()
	}
}

// End ends the waits of readers, because the engine stops.
func (b *Budget) End() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ended = true
	b.changed.Broadcast()
}

// Pressure returns whether memory holds reading back, and whether that changed since the last call.
func (b *Budget) Pressure() (pressed, changed bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	pressed = len(b.waits) > 0 || !b.lastWait.IsZero() && b.now().Sub(b.lastWait) < quiet
	changed = pressed != b.pressed
	b.pressed = pressed
	return pressed, changed
}

// Why returns why reading has waited for long, "" if it has not.
func (b *Budget) Why() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	for start := range b.waits {
		if b.now().Sub(*start) >= LongWait {
			return fmt.Sprintf("reading waits for memory: the budget of %d MiB is used up until the next checkpoint is durable "+
				"(see memory in the configuration)", b.limit>>20)
		}
	}
	return ""
}
