package engine

import "time"

// Clock is the wall clock: the only one in the engine. It moves idle watermarks, paces checkpoints and stamps
// detected_at; nothing else that the engine does depends on it.
type Clock struct {
	Now  func() time.Time
	Tick func(d time.Duration) (c <-chan time.Time, stop func())
}

// WallClock returns the machine's clock.
func WallClock() Clock {
	return Clock{
		Now: time.Now,
		Tick: func(d time.Duration) (<-chan time.Time, func()) {
			t := time.NewTicker(d)
			return t.C, t.Stop
		},
	}
}
