package kafka

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/segmentio/kafka-go"

	"github.com/aidr-engine/aidr/connectors"
)

const (
	// requestTimeout is how long a broker may take for an answer, its own waiting not counted, before the connection is
	// taken for dead.
	requestTimeout = 10 * time.Second
	// minPause and maxPause bound the back-off between two attempts of a request that failed.
	minPause = 100 * time.Millisecond
	maxPause = 5 * time.Second
)

// fetcher reads one partition in one generation.
type fetcher struct {
	*Source
	copier
	position int64
	pause    time.Duration // before the next attempt; 0 while all is well
	atEnd    bool          // what the last batch told
}

// what is how health names the partition.
func (f *fetcher) what() string {
	return fmt.Sprintf("partition %s/%d", f.partition.Topic, f.partition.Number)
}

// run hands the partition's records to r until ctx ends: one fetch is under way while r works on the one before. An
// error is the Reader's.
func (f *fetcher) run(ctx context.Context, r connectors.Reader) error {
	fetchCtx, stop := context.WithCancel(ctx)
	batches := make(chan *connectors.Batch)
	go f.feed(fetchCtx, batches)
	var err error
	for b := range batches {
		if err == nil {
			if err = r.Read(ctx, b); err != nil {
				stop()
			}
		}
	}
	stop()
	if ctx.Err() != nil {
		return nil // what Read says then is only that
	}
	return err
}

// feed sends batches until ctx ends, and closes the channel.
func (f *fetcher) feed(ctx context.Context, batches chan<- *connectors.Batch) {
	defer close(batches)
	for b := f.next(ctx); b != nil; b = f.next(ctx) {
		select {
		case batches <- b:
		case <-ctx.Done():
			return
		}
	}
}

// next returns the next batch, which may be empty where it tells that the partition is at its end; nil once ctx ended.
// It retries until then.
func (f *fetcher) next(ctx context.Context) *connectors.Batch {
	for ctx.Err() == nil {
		b, err := f.fetch(ctx)
		if err == nil {
			if f.pause = 0; f.health.set(f.what(), "") {
				f.cfg.Log.Info("reading again", "source", f.cfg.Name, "topic", f.partition.Topic, "partition", f.partition.Number)
			}
			if b != nil {
				return b
			}
			continue
		}
		if ctx.Err() != nil {
			return nil
		}
		f.failed(f.what(), err)
		if f.atEnd { // nobody knows any more: silence must not be taken for the end
			f.atEnd = false
			return &connectors.Batch{Partition: f.partition, Next: f.position, HighWater: -1}
		}
		f.pause = min(max(2*f.pause, minPause), maxPause)
		sleep(ctx, f.pause)
	}
	return nil
}

// fetch asks once. It returns nil where there is nothing to tell.
func (f *fetcher) fetch(ctx context.Context) (*connectors.Batch, error) {
	res, err := f.ask(ctx, f.position, f.cfg.FetchBytes)
	if errors.Is(err, kafka.OffsetOutOfRange) {
		return nil, f.reposition(ctx)
	}
	if err != nil {
		return nil, err
	}
	a, err := f.copy(res, f.position)
	if err != nil {
		return nil, err
	}
	if a.stuck && res.HighWatermark > f.position {
		return nil, f.skipGap(ctx, a.base, res.HighWatermark)
	}
	told := f.atEnd
	f.position, f.atEnd = a.batch.Next, a.batch.AtEnd
	if len(a.batch.Records) == 0 && !f.atEnd && !told {
		return nil, nil
	}
	return a.batch, nil
}

// ask fetches from an offset. An error that the response carries is returned as such.
func (f *fetcher) ask(ctx context.Context, offset int64, bytes int) (*kafka.FetchResponse, error) {
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

// reposition moves a position that the partition no longer holds, or does not hold any more after it was made anew, to
// where the configuration begins.
func (f *fetcher) reposition(ctx context.Context) error {
	to, err := f.begin.resolve(ctx, f.client, f.partition.Topic, int(f.partition.Number))
	if err != nil {
		return err
	}
	f.health.count(func(c *Counts) { c.OutOfRange++ })
	f.cfg.Log.Error("records are lost: the position is not in the partition any more", "source", f.cfg.Name,
		"topic", f.partition.Topic, "partition", f.partition.Number, "position", f.position, "goes_on_from", to)
	f.position = to
	return nil
}

// skipGap moves the position behind the batch with this base offset, none of whose records lies at or behind it. The
// client does not tell where a batch ends, so the end is searched: the first offset for which the broker no longer
// sends that batch.
func (f *fetcher) skipGap(ctx context.Context, base, end int64) error {
	low, step := f.position, int64(1) // the batch covers low
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

// covers says whether the batch with this base offset is what the broker sends for an offset.
func (f *fetcher) covers(ctx context.Context, base, offset int64) (bool, error) {
	res, err := f.ask(ctx, offset, 1) // a broker sends one whole batch at least
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
