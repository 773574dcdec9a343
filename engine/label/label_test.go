package label

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// TestLimit checks that values beyond the limit become Other and are counted, and that known values are always admitted.
func TestLimit(t *testing.T) {
	exceeded := 0
	l := NewLimit(2, func() { exceeded++ })
	l.Know("known")
	f := func(v, want string) {
		t.Helper()
		if got := l.Value(v); got != want {
			t.Errorf("%q: got %q, want %q", v, got, want)
		}
	}
	f("a", "a")
	f("b", "b")
	f("c", Other)
	f("a", "a")
	f("known", "known")
	f(Other, Other)
	l.Know("late", "a") // a no longer counts
	f("late", "late")
	f("d", "d")
	f("e", Other)
	l = NewLimit(2, func() { exceeded++ })
	f("\xff", Other)
	f(strings.Repeat("x", 5*MaxLength), Other)
	if exceeded != 4 {
		t.Errorf("got %d values counted, want 4", exceeded)
	}
	if got := l.Values("a", "b"); !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("got %q", got)
	}
	if got := l.Values("a", strings.Repeat("x", MaxLength+1)); !slices.Equal(got, []string{Other, Other}) {
		t.Errorf("a long value of several: got %q", got)
	}
}

// TestConcurrent checks that concurrent calls do not admit more than the limit.
func TestConcurrent(t *testing.T) {
	var exceeded atomic.Int64
	l := NewLimit(100, func() { exceeded.Add(1) })
	var all sync.WaitGroup
	var mu sync.Mutex
	admitted := map[string]bool{}
	for g := range 4 {
		all.Go(func() {
			for i := range 1000 {
				v := l.Value(fmt.Sprint(g%2, "-", i))
				mu.Lock()
				admitted[v] = true
				mu.Unlock()
			}
		})
	}
	all.Wait()
	if len(admitted) != 101 || !admitted[Other] || exceeded.Load() == 0 {
		t.Errorf("got %d values, want 100 and Other; %d exceeded", len(admitted), exceeded.Load())
	}
}

// TestAllocs checks that an admitted value and a refused one cost no allocation.
func TestAllocs(t *testing.T) {
	l := NewLimit(1, nil)
	l.Value("a")
	if n := testing.AllocsPerRun(100, func() { l.Value("a"); l.Value("b") }); n != 0 {
		t.Errorf("got %v allocations", n)
	}
}
