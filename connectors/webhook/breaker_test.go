package webhook

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestBreaker(t *testing.T) {
	b := newBreaker()
	now := time.Unix(1767225600, 0)
	fail, ok := answer{verdict: verdictRetry, reason: "http_500"}, answer{}
	checkOpen := func(want time.Duration) {
		t.Helper()
		until, _ := b.openUntil(now)
		if got := max(0, until.Sub(now)); got != want {
			t.Errorf("the breaker is open for %v, want %v", got, want)
		}
	}
	for range breakAfter - 1 {
		b.record(now, fail)
	}
	checkOpen(0)
	b.record(now, ok)
	for range breakAfter - 1 {
		b.record(now, fail)
	}
	checkOpen(0) // the failures are not consecutive
	b.record(now, fail)
	checkOpen(minBreak)
	b.record(now, fail) // this attempt was already running when the breaker opened
	checkOpen(minBreak)
	want := minBreak
	for range 10 {
		now = now.Add(want)
		checkOpen(0) // one attempt is let through
		b.record(now, fail)
		want = min(2*want, maxBreak)
		checkOpen(want)
	}
	now = now.Add(want)
	b.record(now, answer{verdict: verdictDead}) // the entry is refused, so the endpoint is available
	checkOpen(0)
	b.record(now, fail)
	checkOpen(0)
	b.record(now, answer{verdict: verdictRetry, after: time.Minute})
	checkOpen(time.Minute)
	b.record(now, answer{verdict: verdictRetry, after: time.Second}) // a shorter Retry-After does not shorten the pause
	checkOpen(time.Minute)
}

// TestBreakerStartsAgainFromMinBreak checks that the pause does not stay long after a success.
func TestBreakerStartsAgainFromMinBreak(t *testing.T) {
	b := newBreaker()
	now := time.Unix(1767225600, 0)
	for range 2 {
		for range breakAfter {
			b.record(now, answer{verdict: verdictRetry})
		}
		if until, _ := b.openUntil(now); until != now.Add(minBreak) {
			t.Errorf("the breaker is open until %v, want %v", until, now.Add(minBreak))
		}
		now = now.Add(minBreak)
		b.record(now, answer{})
	}
}

// TestLimiter runs 20 attempts at 10 a second, of which 5 may start at once: that takes 1.5 s.
func TestLimiter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		limiter := newLimiter(10, 5)
		var all sync.WaitGroup
		for range 20 {
			all.Go(func() {
				if err := reserve(t.Context(), limiter, time.Now()); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if got, want := time.Since(start), 1500*time.Millisecond; got < want || got > want+time.Millisecond {
			t.Errorf("20 attempts took %v, want %v", got, want)
		}
	})
}

func TestLimiterCanceled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limiter := newLimiter(1, 1)
		if err := reserve(t.Context(), limiter, time.Now()); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		for range 3 { // a reservation that was not used is given back
			if err := reserve(ctx, limiter, time.Now()); !errors.Is(err, context.DeadlineExceeded) {
				t.Fatalf("error is %v, want %v", err, context.DeadlineExceeded)
			}
		}
		time.Sleep(time.Second)
		for range 3 { // also if the attempt could have started at once
			if err := reserve(ctx, limiter, time.Now()); !errors.Is(err, context.DeadlineExceeded) {
				t.Fatalf("error is %v, want %v", err, context.DeadlineExceeded)
			}
		}
		if d := limiter.ReserveN(time.Now(), 1).Delay(); d != 0 {
			t.Errorf("the next attempt has to wait %v, want no wait", d)
		}
	})
}

func TestNoRateIsNoLimit(t *testing.T) {
	limiter := newLimiter(0, 1)
	for range 1000 {
		if d := limiter.ReserveN(time.Now(), 1).Delay(); d != 0 {
			t.Fatalf("an attempt has to wait %v, want no wait", d)
		}
	}
}
