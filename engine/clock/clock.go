// Package clock is the engine's wall clock. No other package of the engine reads the machine's time.
package clock

import "time"

// Clock is a wall clock. It advances the watermarks of idle partitions, paces checkpoints and deliveries, and stamps
// detected_at. Nothing else in the engine depends on it.
type Clock struct {
	// Now returns the current time.
	Now func() time.Time
	// Tick returns a channel that receives the time every d, and a function that stops it. Ticks that the receiver
	// misses are dropped.
	Tick func(d time.Duration) (c <-chan time.Time, stop func())
}

// Wall returns the machine's clock.
func Wall() Clock {
	return Clock{
		Now: time.Now,
		Tick: func(d time.Duration) (<-chan time.Time, func()) {
			t := time.NewTicker(d)
			return t.C, t.Stop
		},
	}
}
