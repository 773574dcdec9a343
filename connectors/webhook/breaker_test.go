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
	var b breaker
	now := time.Unix(1767225600, 0)
	fail, ok := answer{verdict: verdictRetry, reason: "http_500"}, answer{}
	closed := func(want time.Duration) {
		t.Helper()
		until, _ := b.closedUntil(now)
		if got := max(0, until.Sub(now)); got != want {
			t.Errorf("got closed for %v, want %v", got, want)
		}
	}
	for range breakAfter - 1 {
		b.note(now, fail)
	}
	closed(0)
	b.note(now, ok)
	for range breakAfter - 1 {
		b.note(now, fail)
	}
	closed(0) // not in a row
	b.note(now, fail)
	closed(minBreak)
	b.note(now, fail) // on its way when it closed
	closed(minBreak)
	want := minBreak
	for range 10 {
		now = now.Add(want)
		closed(0) // one may try
		b.note(now, fail)
		want = min(2*want, maxBreak)
		closed(want)
	}
	now = now.Add(want)
	b.note(now, answer{verdict: verdictDead}) // it answers: it is there
	closed(0)
	b.note(now, fail)
	closed(0)
	b.note(now, answer{verdict: verdictRetry, after: time.Minute})
	closed(time.Minute)
	b.note(now, answer{verdict: verdictRetry, after: time.Second}) // never shortens
	closed(time.Minute)
}

// TestBucket: 20 attempts at 10 a second, of which 5 may come at once, take 1.5 s, whoever waits.
func TestBucket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		b := newBucket(10, 5, start)
		var all sync.WaitGroup
		for range 20 {
			all.Go(func() {
				if err := b.wait(t.Context(), time.Now()); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if got, want := time.Since(start), 1500*time.Millisecond; got < want || got > want+time.Millisecond {
			t.Errorf("got %v, want %v", got, want)
		}
	})
}

func TestBucketCanceled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBucket(1, 1, time.Now())
		if err := b.wait(t.Context(), time.Now()); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		for range 3 { // what is not used is given back
			if err := b.wait(ctx, time.Now()); !errors.Is(err, context.DeadlineExceeded) {
				t.Fatalf("got %v, want %v", err, context.DeadlineExceeded)
			}
		}
		time.Sleep(time.Second)
		if d := b.take(time.Now()); d != 0 {
			t.Errorf("got a wait of %v, want none", d)
		}
	})
}

func TestNoRate(t *testing.T) {
	b := newBucket(0, 1, time.Now())
	for range 1000 {
		if d := b.take(time.Now()); d != 0 {
			t.Fatalf("got a wait of %v, want none", d)
		}
	}
}
