// Package clock is the wall clock of the engine: the only place where it reads the time of the machine.
package clock

import "time"

// Clock is a wall clock. It moves idle watermarks, paces checkpoints and deliveries, and stamps detected_at; nothing else
// that the engine does depends on it.
type Clock struct {
	Now  func() time.Time
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
