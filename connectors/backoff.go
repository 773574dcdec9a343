package connectors

import "time"

// Backoff computes the pauses between attempts of something that keeps failing: Min first, then twice the previous pause,
// up to Max. It neither sleeps nor adds jitter. It is not safe for concurrent use.
type Backoff struct {
	Min, Max time.Duration

	last time.Duration // the pause last returned; 0 before the first one
}

// Next returns the pause before the next attempt.
func (b *Backoff) Next() time.Duration {
	b.last = min(max(2*b.last, b.Min), b.Max)
	return b.last
}

// Reset makes Next start from Min again. It is called after an attempt that succeeded.
func (b *Backoff) Reset() { b.last = 0 }
