package engine

import (
	"context"
	"errors"
	"testing"

	"github.com/aidr-engine/aidr/engine/store"
)

// A cut that could not be written holds findings and State that are nowhere else: no later cut may move the positions
// past them, or they are lost. Stopping with such a cut is an error, and what it covered is read again.
func TestNothingIsCommittedBehindACutThatFailed(t *testing.T) {
	st, err := store.Open("", store.Options{Memory: true})
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	b := newBench(t, st, 1, lateRules)
	b.read(0, false, event{"litellm", 0, 0, "y"})
	b.cut()
	seq, before, _, err := st.Last()
	if err != nil {
		t.Fatal(err)
	}
	full := errors.New("the disk is full")
	calls := make(chan int, 8)
	n := 0
	b.e.cuts.write = func(c *store.Checkpoint) error {
		if n++; n <= 2 { // at the cut, and at its last chance
			calls <- n
			return full
		}
		calls <- n
		return st.Commit(c)
	}
	b.read(0, false, event{"litellm", 1, 1, "x"})
	cut := make(chan error, 1)
	go func() { cut <- b.e.Cut(context.Background()) }()
	<-calls // it failed once, and waits
	if err := b.e.Stop(context.Background()); !errors.Is(err, full) {
		t.Errorf("stop: %v, want %v", err, full)
	}
	if err := <-cut; !errors.Is(err, full) {
		t.Errorf("cut: %v, want %v", err, full)
	}
	if again, after, _, err := st.Last(); err != nil || again != seq || string(after) != string(before) {
		t.Errorf("the store is at cut %d (%v), want %d as it was: %s", again, err, seq, after)
	}
}
