package engine

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"

	"github.com/aidr-engine/aidr/connectors"
)

// Records is a bounded source of records in memory: tests in rule files, and tests of the engine. Its partitions are
// read at the same time, or in turns that a test gives.
type Records struct {
	Named      string
	Partitions []RecordsPartition
	BatchSize  int // records in a batch; 0: 1,000
	// Turn says which of the partitions with something left is next, all in one goroutine: then no partition may be
	// held back (Options.MaxAhead). nil: each is read by a goroutine of its own.
	Turn func(open []int) (partition int)
}

// RecordsPartition is one of its partitions.
type RecordsPartition struct {
	Partition connectors.Partition
	Records   []string
	Times     []int64 // the broker's timestamps in ns; nil: there are none, as in a file
	Live      bool    // more may come after the records: the partition never says Final
}

// Name implements connectors.Source.
func (r *Records) Name() string { return r.Named }

// Run implements connectors.Source. It ends when everything is read.
func (r *Records) Run(ctx context.Context, to connectors.Reader) error {
	next := make([]int, len(r.Partitions))
	open := make([]int, 0, len(r.Partitions))
	for i, p := range r.Partitions {
		if from, ok := to.Assigned(p.Partition); ok {
			next[i] = int(from)
		}
		open = append(open, i)
	}
	if r.Turn != nil {
		return r.inTurns(ctx, to, next, open)
	}
	errs := make([]error, len(r.Partitions))
	var wg sync.WaitGroup
	for _, i := range open {
		wg.Go(func() {
			for done := false; !done && errs[i] == nil; {
				done, errs[i] = r.read(ctx, to, next, i)
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

func (r *Records) inTurns(ctx context.Context, to connectors.Reader, next, open []int) error {
	for len(open) > 0 {
		i := r.Turn(open)
		done, err := r.read(ctx, to, next, i)
		if err != nil {
			return err
		}
		if done {
			open = slices.DeleteFunc(open, func(o int) bool { return o == i })
		}
	}
	return nil
}

// read hands in the next batch of one partition; done says that it was the last.
func (r *Records) read(ctx context.Context, to connectors.Reader, next []int, i int) (done bool, err error) {
	size := r.BatchSize
	if size <= 0 {
		size = 1000
	}
	b := r.batch(i, next[i], size)
	if err := to.Read(ctx, b); err != nil {
		return false, err
	}
	next[i] = int(b.Next)
	return next[i] >= len(r.Partitions[i].Records), nil
}

func (r *Records) batch(i, from, size int) *connectors.Batch {
	p := &r.Partitions[i]
	to := min(from+size, len(p.Records))
	b := &connectors.Batch{Partition: p.Partition, Next: int64(to), HighWater: int64(len(p.Records))}
	bytes := 0
	for _, text := range p.Records[from:to] {
		bytes += len(text)
	}
	var raw strings.Builder
	raw.Grow(bytes)
	b.Records = make([]connectors.Record, 0, to-from)
	for n := from; n < to; n++ {
		rec := connectors.Record{Start: raw.Len(), Offset: int64(n)}
		raw.WriteString(p.Records[n])
		rec.End = raw.Len()
		if p.Times != nil {
			rec.Time = p.Times[n]
		}
		b.Records = append(b.Records, rec)
	}
	b.Raw = raw.String()
	done := to == len(p.Records)
	b.AtEnd, b.Final = done, done && !p.Live
	return b
}

// Commit implements connectors.Source.
func (r *Records) Commit(context.Context, map[connectors.Partition]int64) error { return nil }

// Health implements connectors.Source.
func (r *Records) Health() connectors.Health { return connectors.Health{} }
