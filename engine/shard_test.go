package engine

import (
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/aidr-engine/aidr/engine/budget"
	"github.com/aidr-engine/aidr/engine/gate"
	"github.com/aidr-engine/aidr/engine/item"
	"github.com/aidr-engine/aidr/engine/store"
	"github.com/aidr-engine/aidr/schema"
)

// loneShard is a shard without an engine: the test gives it items and takes its checkpoints. All its rules are of level 0.
type loneShard struct {
	*shard
	t    *testing.T
	seq  uint64
	kept [][]byte // items that were pending when a checkpoint was made, as checkpoints hold them
}

// newLoneShard returns a shard that has the whole memory limit to itself.
func newLoneShard(t *testing.T, rules map[string]string, st *store.Store, limit int64) *loneShard {
	t.Helper()
	opts := Options{Set: loadRules(t, rules), Store: st, Shards: 1, Clock: stillClock(), Memory: limit}.withDefaults()
	retry := &retrier{clock: opts.Clock, log: slog.New(slog.DiscardHandler), gate: gate.New(time.Hour), fail: func(err error) { t.Error(err) }}
	bud := budget.New(limit, opts.Clock.Now, func() {})
	return &loneShard{shard: newShard(0, newRuleSet(opts.Set, nil), opts, retry, bud, newMeter(len(opts.Set.Rules))), t: t}
}

// give adds one event of an agent, at a second, to rule 0. Its number is its identity.
func (l *loneShard) give(agent string, second, number int) {
	l.add([]item.Item{loneItem(agent, second, number)})
}

func loneItem(agent string, second, number int) item.Item {
	key := agent + "\x00\x01"
	return item.Item{Group: key, Key: key, Time: schema.Instant(second) * schema.Instant(time.Second), ID: schema.ID{14: byte(number >> 8), 15: byte(number)}}
}

// checkpoint makes one checkpoint at a second, as the checkpointer does, and returns the changes of findings. behind reports
// whether another one has to follow.
func (l *loneShard) checkpoint(second int) (changes []string, behind bool) {
	l.t.Helper()
	w := schema.Instant(second) * schema.Instant(time.Second)
	n := len(l.rules.programs)
	part := l.shard.checkpoint(&barrier{watermark: slices.Repeat([]schema.Instant{w}, n), warming: make([]schema.Instant, n)})
	for _, en := range part.entries {
		f := en.Finding
		changes = append(changes, fmt.Sprintf("%s %d %s %d", f.Key["ai_agent.uid"], int64(f.GroupStart)/int64(time.Second), f.Status, f.Count))
	}
	slices.Sort(changes)
	l.seq++
	err := l.store.Commit(&store.Checkpoint{
		Seq: l.seq, State: []byte("{}"), Cells: part.cells, Timers: part.timers, Paged: part.paged, Outbox: part.entries,
	})
	if err != nil {
		l.t.Fatal(err)
	}
	l.kept = append(l.kept, slices.Concat(part.items...))
	l.budget.Add(budget.Checkpoint, -part.size)
	return changes, part.deferred || part.reached[0] < w
}

// settle makes checkpoints at a second until nothing is behind.
func (l *loneShard) settle(second int) (changes []string) {
	l.t.Helper()
	for range 1000 {
		more, behind := l.checkpoint(second)
		changes = append(changes, more...)
		if !behind {
			slices.Sort(changes)
			return changes
		}
	}
	l.t.Fatal("checkpoints are behind for ever")
	return nil
}

func (l *loneShard) want(what string, got, want []string) {
	l.t.Helper()
	if !slices.Equal(got, want) {
		l.t.Errorf("%s: got %q, want %q", what, got, want)
	}
}

func memoryStore(t *testing.T) *store.Store {
	t.Helper()
	st, err := store.Open("", store.Options{Memory: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	return st
}

// eachRules find each event, and have a cell for each agent.
var eachRules = map[string]string{"r.each": "confidence: 50\nwhen: event.action == \"a\"\ngroup: {for: 10s, by: [ai_agent.uid]}\n"}

// findingsRoom is a limit with which a checkpoint has room for two findings and for the changes of a few cells.
const findingsRoom = 16 * (findingSize + 3*changeSize)

// TestHeldCellsMoveWithTheWatermark checks that a cell whose changes wait for room in the next checkpoint moves there too: its
// timers lead to no such move, because it is dirty in any case.
func TestHeldCellsMoveWithTheWatermark(t *testing.T) {
	l := newLoneShard(t, eachRules, memoryStore(t), findingsRoom)
	l.give("b", 2, 1)
	got, _ := l.checkpoint(0)
	l.want("the first event", got, []string{"b 2 open 1"})
	l.give("x", 6, 2)
	l.give("y", 6, 3)
	got, behind := l.checkpoint(5)
	l.want("its move to base finds no room", got, []string{"x 6 open 1", "y 6 open 1"})
	if !behind {
		t.Error("the change that found no room is not waited for")
	}
	l.want("the end of its group", l.settle(14), []string{"b 2 settled 1"})
}

// TestRestartAfterPartOfACheckpoint checks that an item is not folded again after a restart if its cell has moved beyond it
// and became empty, while the watermark of the rule waits for cells that found no room in the checkpoint.
func TestRestartAfterPartOfACheckpoint(t *testing.T) {
	for name, limit := range map[string]int64{
		"restored items stay in memory":       16 << 20,
		"restored items wait for their cells": 16 << 20,
		"restored items are paged out":        16 * cellSize,
	} {
		t.Run(name, func(t *testing.T) {
			st := memoryStore(t)
			l := newLoneShard(t, eachRules, st, 16*(changeSize+cellSize))
			l.give("a", 1, 1)
			l.give("b", 5, 2)
			l.give("a", 8, 3)
			before := l.settle(0)
			l.want("before the restart", before, []string{"a 1 open 2", "b 5 open 1"})
			changes, behind := l.checkpoint(100)
			l.want("before the restart, in one checkpoint", changes, []string{"a 1 settled 2"})
			if !behind {
				t.Fatal("the checkpoint has room for both cells, so the test shows nothing")
			}
			next := newLoneShard(t, eachRules, st, limit)
			next.seq, next.lazy = l.seq, name == "restored items wait for their cells"
			next.watermark[0] = l.watermark[0]
			if err := st.DropPaged(); err != nil {
				t.Fatal(err)
			}
			for _, items := range l.kept {
				err := readItems(items, func(_ string, it item.Item) {
					if it.Time >= next.watermark[0] {
						if err := next.restoreItem(&it); err != nil {
							t.Error(err)
						}
					}
				})
				if err != nil {
					t.Fatal(err)
				}
			}
			if err := next.endRestore(); err != nil {
				t.Fatal(err)
			}
			if next.lazy && (len(next.hot) > 0 || next.packed.len() == 0) {
				t.Errorf("%d cells were read, and %d have items that wait", len(next.hot), next.packed.len())
			}
			next.give("a", 101, 4)
			next.want("after the restart", next.settle(100), []string{"a 101 open 1", "b 5 settled 1"})
			next.want("at the end", next.settle(120), []string{"a 101 settled 1"})
		})
	}
}
