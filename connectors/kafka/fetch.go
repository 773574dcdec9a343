package kafka

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/segmentio/kafka-go"

	"github.com/aidr-engine/aidr/connectors"
)

const (
	// requestTimeout is how long a broker may take to answer, in addition to the wait that a request asks for, before the
	// connection counts as dead.
	requestTimeout = 10 * time.Second
	// minPause and maxPause bound the pauses between the attempts of a fetch that fails.
	minPause = 100 * time.Millisecond
	maxPause = 5 * time.Second
	// retryPause is the pause after a failed request for topics or for the start of a partition.
	retryPause = 500 * time.Millisecond
)

// fetcher reads one partition in one generation.
type fetcher struct {
	*Source
	copier
	position int64
	pauses   connectors.Backoff // between failed fetches
	atEnd    bool               // AtEnd of the last batch that next returned
	lost     bool               // records before the next batch were lost

	// Read by checkProgress: the position after the last batch that the reader has taken, the end of the partition as last
	// seen, and whether the reader is being handed a batch.
	taken, highWater atomic.Int64
	handing          atomic.Bool
}

// newFetcher returns a fetcher that begins at position, which may be unknown.
func newFetcher(s *Source, p connectors.Partition, position int64) *fetcher {
	return &fetcher{
		Source: s, copier: copier{partition: p}, position: position,
		pauses: connectors.Backoff{Min: minPause, Max: maxPause},
	}
}

// subject is the name of the partition in health.
func (f *fetcher) subject() string {
	return fmt.Sprintf("partition %s/%d", f.partition.Topic, f.partition.Number)
}

// run passes the partition's records to r until ctx ends. One fetch is under way while r takes the previous batch. An
// error of run comes from r.
func (f *fetcher) run(ctx context.Context, r connectors.Reader) error {
	fetchCtx, stop := context.WithCancel(ctx)
	batches := make(chan fetched)
	f.taken.Store(f.position)
	go f.feed(fetchCtx, batches)
	var err error
	for b := range batches {
		if b.lost {
			stateLost(r, f.partition)
		}
		if err != nil {
			continue
		}
		f.handing.Store(true)
		err = r.Read(ctx, b.batch)
		f.handing.Store(false)
		if err != nil {
			stop()
			continue
		}
		f.taken.Store(b.batch.Next)
	}
	stop()
	if ctx.Err() != nil {
		return nil // an error of Read is then only the end of ctx
	}
	return err
}

// fetched is a batch on its way to the engine.
type fetched struct {
	batch *connectors.Batch
	lost  bool // records before the batch were lost
}

// feed sends batches until ctx ends, and then closes the channel.
func (f *fetcher) feed(ctx context.Context, batches chan<- fetched) {
	defer close(batches)
	for b := f.next(ctx); b != nil; b = f.next(ctx) {
		select {
		case batches <- fetched{b, f.lost}:
			f.lost = false
		case <-ctx.Done():
			return
		}
	}
}

// next returns the next batch, or nil once ctx has ended. It retries until then. A batch without records reports that the
// partition has reached its end, or that the end is no longer known.
func (f *fetcher) next(ctx context.Context) *connectors.Batch {
	for ctx.Err() == nil {
		b, err := f.fetch(ctx)
		if err == nil {
			f.pauses.Reset()
			if f.health.set(f.subject(), "") {
				f.cfg.Log.Info("partition is readable again", "source", f.cfg.Name, "topic", f.partition.Topic, "partition", f.partition.Number)
			}
			if b != nil {
				return b
			}
			continue
		}
		if ctx.Err() != nil {
			return nil
		}
		f.failed(f.subject(), err)
		if f.atEnd { // without a connection, silence must not be taken for the end
			f.atEnd = false
			return &connectors.Batch{Partition: f.partition, Next: f.position, HighWater: -1}
		}
		sleep(ctx, f.pauses.Next())
	}
	return nil
}

// fetch makes one attempt. It returns nil if there is nothing to report.
func (f *fetcher) fetch(ctx context.Context) (*connectors.Batch, error) {
	asked := f.now()
	res, err := f.request(ctx, f.position, f.cfg.FetchBytes)
	if errors.Is(err, kafka.OffsetOutOfRange) {
		return nil, f.reposition(ctx)
	}
	if err != nil {
		return nil, err
	}
	f.highWater.Store(res.HighWatermark)
	a, err := f.copy(res, f.position)
	if err != nil {
		return nil, err
	}
	if a.stuck && res.HighWatermark > f.position {
		return nil, f.skipGap(ctx, a.base, res.HighWatermark)
	}
	a.batch.Seen = asked
	wasAtEnd := f.atEnd
	f.position, f.atEnd = a.batch.Next, a.batch.AtEnd
	if len(a.batch.Records) == 0 && !f.atEnd && !wasAtEnd {
		return nil, nil
	}
	return a.batch, nil
}

// request fetches from an offset. It returns the error in the response as an error of its own.
func (f *fetcher) request(ctx context.Context, offset int64, bytes int) (*kafka.FetchResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, f.cfg.FetchWait+requestTimeout)
	defer cancel()
	res, err := f.client.Fetch(ctx, &kafka.FetchRequest{
		Topic: f.partition.Topic, Partition: int(f.partition.Number), Offset: offset,
		MinBytes: 1, MaxBytes: int64(bytes), MaxWait: f.cfg.FetchWait,
	})
	if err == nil {
		err = res.Error
	}
	if err != nil {
		return nil, fmt.Errorf("fetch from offset %d: %w", offset, err)
	}
	return res, nil
}

// reposition moves the position to the configured start, because the partition does not hold it: retention has deleted
// the records there, or the topic was deleted and created again.
func (f *fetcher) reposition(ctx context.Context) error {
	to, err := f.begin.resolve(ctx, f.client, f.partition.Topic, int(f.partition.Number))
	if err != nil {
		return err
	}
	f.health.count(func(c *Counts) { c.OutOfRange++ })
	f.cfg.Log.Error("position is out of range, records are lost", "source", f.cfg.Name,
		"topic", f.partition.Topic, "partition", f.partition.Number, "position", f.position, "resumed_at", to)
	f.position, f.lost = to, true
	return nil
}

// skipGap moves the position past the batch with this base offset, all of whose remaining records lie before the
// position. The client does not expose the end of a batch, so skipGap searches for it with growing steps and then by
// bisection: the end is the first offset for which the broker does not send this batch.
func (f *fetcher) skipGap(ctx context.Context, base, end int64) error {
	low, step := f.position, int64(1) // the batch always covers low
	high := min(low+step, end)
	for high < end {
		covered, err := f.covers(ctx, base, high)
		if err != nil {
			return err
		}
		if !covered {
			break
		}
		low, step = high, 2*step
		high = min(low+step, end)
	}
	for high-low > 1 {
		middle := low + (high-low)/2
		covered, err := f.covers(ctx, base, middle)
		if err != nil {
			return err
		}
		if covered {
			low = middle
		} else {
			high = middle
		}
	}
	f.health.count(func(c *Counts) { c.Gaps++ })
	f.position = high
	return nil
}

// covers reports whether the broker sends the batch with this base offset for a fetch at offset.
func (f *fetcher) covers(ctx context.Context, base, offset int64) (bool, error) {
	res, err := f.request(ctx, offset, 1) // a broker sends at least one whole batch
	if err != nil {
		return false, err
	}
	probe := copier{partition: f.partition}
	a, err := probe.copy(res, offset)
	return a.base == base, err
}

// sleep waits for d or until ctx ends.
func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
