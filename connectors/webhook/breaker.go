package webhook

import (
	"context"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/aidr-engine/aidr/connectors"
)

const (
	// breakAfter is the number of consecutive failed attempts after which the endpoint counts as unavailable.
	breakAfter = 10

	// minBreak and maxBreak bound the pause before the endpoint is tried again; the pause doubles from one to the other.
	minBreak = time.Second
	maxBreak = 30 * time.Second
)

// breaker stops attempts while an endpoint as a whole is unavailable or asks for a pause with Retry-After. Entries then
// wait without using up their attempts. An open breaker lets no attempt through.
type breaker struct {
	mu       sync.Mutex
	failures int // consecutive ones
	pauses   connectors.Backoff
	until    time.Time // the breaker is open before this time
	reason   string    // why it is open
}

func newBreaker() *breaker {
	return &breaker{pauses: connectors.Backoff{Min: minBreak, Max: maxBreak}}
}

// openUntil returns the time at which an open breaker closes, and why it is open. If attempts are let through, it
// returns the zero time.
func (b *breaker) openUntil(now time.Time) (until time.Time, reason string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if now.Before(b.until) {
		return b.until, b.reason
	}
	return time.Time{}, ""
}

// record takes the outcome of an attempt. An attempt that fails after a pause starts the next, longer pause. Attempts
// that were already running when the breaker opened do not lengthen the pause.
func (b *breaker) record(now time.Time, a answer) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if a.verdict != verdictRetry {
		b.failures = 0
		b.pauses.Reset()
		return
	}
	b.failures++
	if until := now.Add(a.after); a.after > 0 && until.After(b.until) {
		b.until, b.reason = until, a.reason+": the endpoint asked for a pause with Retry-After"
	}
	if b.failures >= breakAfter && !now.Before(b.until) {
		b.until, b.reason = now.Add(b.pauses.Next()), a.reason+": "+a.detail
	}
}

// newLimiter returns a limiter of perSecond attempts a second, of which burst may start at once after a pause. If
// perSecond is 0, the rate is unlimited.
func newLimiter(perSecond float64, burst int) *rate.Limiter {
	if perSecond == 0 {
		return rate.NewLimiter(rate.Inf, burst)
	}
	return rate.NewLimiter(rate.Limit(perSecond), burst)
}

// reserve waits until limiter lets one more attempt start. If ctx ends first, reserve returns its error and gives the
// reservation back, as far as later reservations allow. rate.Limiter.Wait would not do: if the deadline of ctx is before
// the start of the attempt, it fails at once with an error of its own.
func reserve(ctx context.Context, limiter *rate.Limiter, now time.Time) error {
	r := limiter.ReserveN(now, 1)
	delay := r.DelayFrom(now)
	if delay == 0 {
		if err := ctx.Err(); err != nil {
			r.CancelAt(now)
			return err
		}
		return nil
	}
	timer := time.NewTimer(delay)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		r.CancelAt(time.Now())
		return ctx.Err()
	}
}
