package engine

import (
	"fmt"
	"slices"
	"testing"

	"github.com/aidr-engine/aidr/engine/budget"
)

// packRules find the third event of an agent within an hour.
var packRules = map[string]string{
	"r.three": "confidence: 50\nwhen: event.action == \"a\"\nthreshold: {count: 3, within: 1h, by: [ai_agent.uid]}\n",
}

const packAgents = 500

// packRun gives each agent an event that moves to base, one that waits, and a third one that triggers for half of them, and
// returns the changes of findings. mid is called while the second events wait.
func packRun(t *testing.T, limit int64, mid func(l *loneShard)) (changes []string) {
	t.Helper()
	l := newLoneShard(t, packRules, memoryStore(t), limit)
	number := 0
	give := func(second, agents int) {
		for i := range agents {
			number++
			l.give(fmt.Sprintf("agent-%03d", i), second, number)
		}
	}
	give(1, packAgents)
	changes = append(changes, l.settle(5)...)
	give(10, packAgents)
	changes = append(changes, l.settle(5)...)
	changes = append(changes, l.settle(6)...)
	mid(l)
	give(12, packAgents/2)
	changes = append(changes, l.settle(7)...)
	changes = append(changes, l.settle(20)...)
	changes = append(changes, l.settle(8000)...)
	if n := l.size[budget.Hot]; n != 0 || len(l.hot) > 0 || l.packed.len() > 0 || len(l.paged) > 0 {
		t.Errorf("nothing waits, but %d cells are hot, %d packed and %d paged out; they take %d bytes", len(l.hot), l.packed.len(), len(l.paged), n)
	}
	return changes
}

// TestCellsArePackedBeforeTheyArePagedOut checks that hot cells over their share of memory are packed, that only those that do
// not fit all the same are paged out, and that findings do not depend on either.
func TestCellsArePackedBeforeTheyArePagedOut(t *testing.T) {
	var free int64 // memory of all cells if none is packed
	want := packRun(t, 0, func(l *loneShard) { free = l.size[budget.Hot] })
	if !slices.Contains(want, "agent-000 12 settled 3") || len(want) != packAgents {
		t.Fatalf("without a limit: %d changes of findings, want %d: %q", len(want), packAgents, want)
	}
	// A shard without company has an eighth of the limit, and hot cells leave memory above 7/4 of it.
	got := packRun(t, 8*free*3/4, func(l *loneShard) {
		if n := l.packed.len(); n < packAgents/3 || len(l.paged) > 0 {
			t.Errorf("with memory for three quarters: %d cells are packed and %d paged out, want hundreds and none", n, len(l.paged))
		}
		if n := l.size[budget.Hot]; n > l.cellShare {
			t.Errorf("with memory for three quarters: hot cells take %d bytes, want at most %d", n, l.cellShare)
		}
	})
	if !slices.Equal(got, want) {
		t.Errorf("packed cells change findings: got %q", got)
	}
	got = packRun(t, 8*free/20, func(l *loneShard) {
		if len(l.paged) < packAgents/3 {
			t.Errorf("with memory for a twentieth: %d cells are paged out, want hundreds", len(l.paged))
		}
		if n := l.size[budget.Hot]; n > l.mostHot() {
			t.Errorf("with memory for a twentieth: hot cells take %d bytes, want at most %d", n, l.mostHot())
		}
	})
	if !slices.Equal(got, want) {
		t.Errorf("cells that were paged out change findings: got %q", got)
	}
}

// TestPackedCellsOfOneHash checks that no cell is lost if two have the same hash.
func TestPackedCellsOfOneHash(t *testing.T) {
	l := newLoneShard(t, packRules, memoryStore(t), 0)
	a, b := loneItem("a", 1, 1), loneItem("b", 1, 2)
	if first, ok := l.packItem(7, cellKey{0, a.Group}, &a); !first || !ok {
		t.Error("the first item of a cell is not packed")
	}
	if _, ok := l.packItem(7, cellKey{0, b.Group}, &b); ok {
		t.Error("the item of a cell is packed with those of another one")
	}
	more := loneItem("a", 2, 3)
	if first, ok := l.packItem(7, cellKey{0, a.Group}, &more); first || !ok {
		t.Error("the second item of a cell is not packed with the first")
	}
	if _, _, ok := l.takePacked(7, cellKey{0, b.Group}); ok {
		t.Error("a cell is taken for another one")
	}
	_, items, ok := l.takePacked(7, cellKey{0, a.Group})
	c := l.read(cellKey{0, a.Group}, 7)
	if !ok || l.unpack(c, items).cell.Pending() != 2 {
		t.Errorf("got %d items, want 2", c.cell.Pending())
	}
}
