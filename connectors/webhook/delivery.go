package webhook

import (
	"context"
	"fmt"
	"hash/fnv"
	"sync"
	"time"

	"github.com/aidr-engine/aidr/connectors"
)

// delivery is one Write in progress. The entries of one finding are delivered in order, by one goroutine; the findings
// are shared out among at most Config.Concurrency goroutines.
type delivery struct {
	sink *Sink

	mu      sync.Mutex
	failed  []connectors.Undelivered
	tried   int // number of attempts
	untried int // number of entries that were not tried
}

// run delivers the entries, grouped by finding, and returns when all goroutines are done.
func (d *delivery) run(ctx context.Context, groups [][]*connectors.Entry) {
	queue := make(chan []*connectors.Entry)
	var all sync.WaitGroup
	for range min(d.sink.config.Concurrency, len(groups)) {
		all.Go(func() {
			for entries := range queue {
				d.deliver(ctx, entries)
			}
		})
	}
	for _, entries := range groups {
		queue <- entries
	}
	close(queue)
	all.Wait()
}

// deliver sends the entries of one finding, one after the other. If an entry is to be tried again, the later ones are
// postponed, which keeps them in order.
func (d *delivery) deliver(ctx context.Context, entries []*connectors.Entry) {
	for i, e := range entries {
		s := d.sink
		if s.isGone() {
			d.fail(connectors.Undelivered{
				Seq: e.Seq, Poison: true, Reason: connectors.ReasonEndpointGone, Detail: "the endpoint answered 410 Gone to an earlier entry",
			})
			continue
		}
		if pause, err := d.awaitTurn(ctx); err != nil {
			d.postpone(entries[i:], pause, err.Error())
			return
		}
		a := s.attempt(ctx, e, nil)
		if ctx.Err() != nil && a.verdict == verdictRetry { // the caller ended the attempt, the endpoint did not fail
			d.postpone(entries[i:], 0, ctx.Err().Error())
			return
		}
		s.updateHealth(a)
		s.breaker.record(time.Now(), a)
		u, retry := s.undelivered(e, a)
		d.count(u)
		if retry {
			d.postpone(entries[i+1:], u.After, "waits for an earlier change of the same finding")
			return
		}
	}
}

// awaitTurn waits until the rate limit lets an attempt start. An error means that no attempt may be made in this Write;
// pause is the time after which one may, if it is known.
func (d *delivery) awaitTurn(ctx context.Context) (pause time.Duration, err error) {
	s := d.sink
	now := time.Now()
	if until, reason := s.breaker.openUntil(now); !until.IsZero() {
		return until.Sub(now), fmt.Errorf("the endpoint is unavailable: %s", reason)
	}
	return 0, reserve(ctx, s.limiter, now)
}

// undelivered converts the outcome of an attempt into the report for the engine; retry reports whether the entry is to
// be tried again. The zero Undelivered means delivered.
func (s *Sink) undelivered(e *connectors.Entry, a answer) (u connectors.Undelivered, retry bool) {
	u = connectors.Undelivered{Seq: e.Seq, Reason: a.reason, Detail: a.detail}
	switch a.verdict {
	case verdictDelivered:
		return connectors.Undelivered{}, false
	case verdictDead, verdictGone:
		u.Poison = true
		return u, false
	}
	if e.Attempt >= len(s.config.Retries) {
		u.Poison, u.Reason = true, connectors.ReasonExhausted
		u.Detail = fmt.Sprintf("%d attempts failed, the last with %s: %s", e.Attempt+1, a.reason, a.detail)
		return u, false
	}
	u.After = a.after
	if u.After == 0 {
		u.After = jitter(s.config.Retries[max(0, e.Attempt)], ID(e, s.config.Name), e.Attempt)
	}
	return u, true
}

// jitter returns a duration of 80 to 120 % of d, so that entries that failed together are not all retried at the same
// moment. It depends only on the webhook-id and the attempt, so the schedule of an entry is the same after a restart.
func jitter(d time.Duration, id string, attempt int) time.Duration {
	const steps = 1 << 16
	h := fnv.New64a()
	fmt.Fprintf(h, "%s %d", id, attempt)
	share := time.Duration(h.Sum64() >> 48) // 16 bits
	return d - d/5 + time.Duration(float64(d)*0.4*float64(share)/steps)
}

// count adds the outcome of one attempt.
func (d *delivery) count(u connectors.Undelivered) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.tried++
	if u != (connectors.Undelivered{}) {
		d.failed = append(d.failed, u)
	}
}

// fail adds an entry that was not delivered, without an attempt.
func (d *delivery) fail(u connectors.Undelivered) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.failed = append(d.failed, u)
}

// postpone adds entries that were not tried and may be tried after the given time.
func (d *delivery) postpone(entries []*connectors.Entry, after time.Duration, detail string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.untried += len(entries)
	for _, e := range entries {
		d.failed = append(d.failed, connectors.Undelivered{Seq: e.Seq, Held: true, Reason: connectors.ReasonHeld, Detail: detail, After: after})
	}
}
