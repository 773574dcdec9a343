package webhook

import (
	"context"
	"sync"
	"time"
)

const (
	// breakAfter is how many attempts in a row must fail until the endpoint counts as away.
	breakAfter = 10

	// minBreak and maxBreak bound the pause until it is tried again; it doubles from the one to the other.
	minBreak = time.Second
	maxBreak = 30 * time.Second
)

// breaker stops attempts while an endpoint is away as a whole, or asks for time: entries then wait without using up
// their attempts. The zero breaker lets through.
type breaker struct {
	mu       sync.Mutex
	failures int           // in a row
	pause    time.Duration // the last one, 0 after a success
	until    time.Time     // no attempt before it
	why      string
}

// closedUntil returns the instant before which there must be no attempt, zero where there may be one now.
func (b *breaker) closedUntil(now time.Time) (until time.Time, why string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if now.Before(b.until) {
		return b.until, b.why
	}
	return time.Time{}, ""
}

// note takes the outcome of an attempt. One that fails after a pause starts the next, longer one; those that were on
// their way at the same time change nothing.
func (b *breaker) note(now time.Time, a answer) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if a.verdict != verdictRetry {
		b.failures, b.pause = 0, 0
		return
	}
	b.failures++
	if until := now.Add(a.after); a.after > 0 && until.After(b.until) {
		b.until, b.why = until, a.reason+": it asks for time"
	}
	if b.failures >= breakAfter && !now.Before(b.until) {
		b.pause = min(max(2*b.pause, minBreak), maxBreak)
		b.until, b.why = now.Add(b.pause), a.reason+": "+a.detail
	}
}

// bucket lets rate attempts a second through, and burst at once after a pause. The zero rate lets all through.
type bucket struct {
	mu    sync.Mutex
	rate  float64
	burst float64
	have  float64 // below 0: promised to those who wait
	at    time.Time
}

func newBucket(rate float64, burst int, now time.Time) bucket {
	return bucket{rate: rate, burst: float64(burst), have: float64(burst), at: now}
}

// take takes one and returns how long to wait until it is there.
func (b *bucket) take(now time.Time) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.rate == 0 {
		return 0
	}
	if d := now.Sub(b.at); d > 0 {
		b.have = min(b.burst, b.have+d.Seconds()*b.rate)
		b.at = now
	}
	b.have--
	if b.have >= 0 {
		return 0
	}
	return time.Duration(-b.have / b.rate * float64(time.Second))
}

// back returns one that was taken and not used.
func (b *bucket) back() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.have++
}

// wait takes one and waits for it, or until ctx ends.
func (b *bucket) wait(ctx context.Context, now time.Time) error {
	d := b.take(now)
	if d == 0 {
		if err := ctx.Err(); err != nil {
			b.back()
			return err
		}
		return nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		b.back()
		return ctx.Err()
	}
}
