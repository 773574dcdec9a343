package engine

import (
	"fmt"
	"slices"
	"testing"

	"github.com/aidr-engine/aidr/engine/item"
	"github.com/aidr-engine/aidr/engine/store"
	"github.com/aidr-engine/aidr/schema"
)

// A checkpoint that has too little room for all cells leaves some shards behind others. A process that is killed immediately
// after it does not fold the items again that the other shards had folded into cells that are gone since.
func TestKillWhileShardsAreApart(t *testing.T) {
	rules := map[string]string{
		"r": "datasets: [litellm]\nwhen: event.action != \"clock\"\nthreshold: {count: 1, within: 1s, by: [event.action]}\ngroup: {for: 0}\n",
		"o": "over: [r]\nthreshold: {count: 9, within: 1h, by: [rule.id]}\n",
	}
	for slow := range 2 {
		h := newHistory(t, rules)
		var disk *store.Store
		write := h.e.checkpoints.write
		h.e.checkpoints.write = func(c *store.Checkpoint) error {
			err := write(c)
			if reached := h.e.checkpoints.reached; disk == nil && h.e.checkpoints.behind && err == nil {
				if disk, err = h.st.Snapshot(); err == nil {
					t.Logf("shard %d is slow: the rules have reached %v", slow, reached)
				}
			}
			return err
		}
		for i, action := range []string{"a", "b", "c", "d", "e", "f", "g", "h"} {
			h.read(0, false, event{"litellm", 1 + i, 1 + i, action})
		}
		h.checkpoint() // their items are in the store
		h.e.shards[slow].change = 1
		clock := slices.Repeat([]event{{"litellm", 600, 600, "clock"}}, 2*minRank)
		h.read(0, false, clock...)
		h.checkpoint()
		if disk == nil {
			t.Fatalf("shard %d has room for all of its cells", slow)
		}
		h.stop()
		h.st.Close()
		h.resume(disk, rules)
		h.read(0, false, event{"litellm", 1200, 1200, "clock"})
		h.checkpoint()
		if got := h.counted("o"); got != "" {
			t.Errorf("shard %d slow: 8 triggers give a finding that counts %s", slow, got)
		}
		if got := h.counted("r"); got != "1 1 1 1 1 1 1 1" {
			t.Errorf("shard %d slow: findings count %s", slow, got)
		}
	}
}

// What is ahead is forgotten when all shards have reached it, and stays when the number of shards changes before.
func TestApart(t *testing.T) {
	var a apart
	a = a.next([]int64{5, 9}, 5)
	a = a.next([]int64{7, 6}, 5)
	a = a.next([]int64{5, 5, 6}, 5)
	if got, want := fmt.Sprint(a), "[[7 9] [5 5 6]]"; got != want {
		t.Fatalf("got %s, want %s", got, want)
	}
	for _, c := range []struct {
		at   schema.Instant
		hash uint64
		done bool
	}{{6, 0, true}, {7, 0, false}, {8, 1, true}, {5, 2, true}, {9, 5, false}} {
		it := item.Item{Time: c.at}
		if got := a.done(&it, func(string) uint64 { return c.hash }); got != c.done {
			t.Errorf("item at %d of hash %d: %t", int64(c.at), c.hash, got)
		}
	}
	if a = a.next([]int64{8, 8, 8}, 8); fmt.Sprint(a) != "[[7 9]]" {
		t.Errorf("got %v", a)
	}
	if a = a.next([]int64{9, 9, 9}, 9); a != nil {
		t.Errorf("got %v", a)
	}
}
