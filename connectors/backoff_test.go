package connectors

import (
	"slices"
	"testing"
	"time"
)

func TestBackoff(t *testing.T) {
	f := func(least, most time.Duration, want ...time.Duration) {
		t.Helper()
		b := Backoff{Min: least, Max: most}
		for range 2 {
			var got []time.Duration
			for range want {
				got = append(got, b.Next())
			}
			if !slices.Equal(got, want) {
				t.Errorf("pauses from %v to %v: got %v, want %v", least, most, got, want)
			}
			b.Reset()
		}
	}
	f(1, 30, 1, 2, 4, 8, 16, 30, 30)
	f(100*time.Millisecond, 200*time.Millisecond, 100*time.Millisecond, 200*time.Millisecond, 200*time.Millisecond)
	f(5, 3, 3, 3)
	f(0, 0, 0, 0)
}
