package webhook

import (
	"context"
	"fmt"
	"hash/fnv"
	"sync"
	"time"

	"github.com/aidr-engine/aidr/connectors"
)

// delivery is one Write on its way: lines of entries, one finding each, in as many goroutines as the endpoint may have
// requests.
type delivery struct {
	sink *Sink

	mu     sync.Mutex
	failed []connectors.Undelivered
	tried  int // attempts
	held   int // entries that were not tried
}

// run delivers what it can and returns when all goroutines are done.
func (d *delivery) run(ctx context.Context, lines [][]*connectors.Entry) {
	work := make(chan []*connectors.Entry)
	var all sync.WaitGroup
	for range min(d.sink.config.Concurrency, len(lines)) {
		all.Go(func() {
			for line := range work {
				d.deliver(ctx, line)
			}
		})
	}
	for _, line := range lines {
		work <- line
	}
	close(work)
	all.Wait()
}

// deliver sends the entries of one finding, one after the other. After one that is to be tried again the others wait.
func (d *delivery) deliver(ctx context.Context, line []*connectors.Entry) {
	for i, e := range line {
		s := d.sink
		if s.isGone() {
			d.fail(connectors.Undelivered{Seq: e.Seq, Poison: true, Reason: "endpoint_gone", Detail: "the endpoint has answered 410 Gone"})
			continue
		}
		if wait, err := d.turn(ctx); err != nil {
			d.hold(line[i:], wait, err.Error())
			return
		}
		a := s.attempt(ctx, e)
		if ctx.Err() != nil && a.verdict == verdictRetry { // it was us who ended it
			d.hold(line[i:], 0, ctx.Err().Error())
			return
		}
		s.note(a)
		s.breaker.note(time.Now(), a)
		u, again := s.undelivered(e, a)
		d.count(u)
		if again {
			d.hold(line[i+1:], u.After, "an earlier change of the finding comes first")
			return
		}
	}
}

// turn waits for the next attempt's turn. An error says that there is none now.
func (d *delivery) turn(ctx context.Context) (wait time.Duration, err error) {
	s := d.sink
	now := time.Now()
	if until, why := s.breaker.closedUntil(now); !until.IsZero() {
		return until.Sub(now), fmt.Errorf("the endpoint is away: %s", why)
	}
	return 0, s.bucket.wait(ctx, now)
}

// undelivered turns an answer into what the engine is told; again says that the entry comes again. The zero value means
// that it is delivered.
func (s *Sink) undelivered(e *connectors.Entry, a answer) (u connectors.Undelivered, again bool) {
	u = connectors.Undelivered{Seq: e.Seq, Reason: a.reason, Detail: a.detail}
	switch a.verdict {
	case verdictDelivered:
		return connectors.Undelivered{}, false
	case verdictDead, verdictGone:
		u.Poison = true
		return u, false
	}
	if e.Attempt >= len(s.config.Retries) {
		u.Poison, u.Reason = true, "exhausted"
		u.Detail = fmt.Sprintf("%d attempts, the last: %s: %s", e.Attempt+1, a.reason, a.detail)
		return u, false
	}
	u.After = a.after
	if u.After == 0 {
		u.After = jitter(s.config.Retries[max(0, e.Attempt)], ID(e, s.config.Name), e.Attempt)
	}
	return u, true
}

// jitter spreads d over 80 to 120 % of it, so that entries that failed together do not come together again. It follows
// from the entry: nothing here is random.
func jitter(d time.Duration, id string, attempt int) time.Duration {
	const steps = 1 << 16
	h := fnv.New64a()
	fmt.Fprintf(h, "%s %d", id, attempt)
	share := time.Duration(h.Sum64() >> 48) // 16 bits
	return d - d/5 + time.Duration(float64(d)*0.4*float64(share)/steps)
}

// count keeps the outcome of one attempt.
func (d *delivery) count(u connectors.Undelivered) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.tried++
	if u != (connectors.Undelivered{}) {
		d.failed = append(d.failed, u)
	}
}

func (d *delivery) fail(u connectors.Undelivered) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.failed = append(d.failed, u)
}

// hold names entries that were not tried.
func (d *delivery) hold(line []*connectors.Entry, after time.Duration, why string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.held += len(line)
	for _, e := range line {
		d.failed = append(d.failed, connectors.Undelivered{Seq: e.Seq, Held: true, Reason: "held", Detail: why, After: after})
	}
}
