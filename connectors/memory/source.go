// Package memory is a bounded source of records in memory, for the tests in rule files and for tests of the engine.
package memory

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/schema"
)

const (
	// defaultBatchSize is the number of records in a batch if Source.BatchSize is 0.
	defaultBatchSize = 1000
	// revokeTimeout bounds how long Run waits at its end for the Reader to make its records durable.
	revokeTimeout = 30 * time.Second
)

// Source reads Partitions, all at the same time or in the order that Turn gives. It implements connectors.Source.
type Source struct {
	Named      string // the source's name, returned by Name
	Partitions []Partition
	BatchSize  int // records in a batch; 0 means 1,000
	// Turn, if not nil, returns which of the open partitions, those with records left, is read next. All partitions are
	// then read in one goroutine, so the Reader must not hold a partition back until another one catches up
	// (engine.Options.MaxAhead). If Turn is nil, each partition is read in a goroutine of its own.
	Turn func(open []int) (partition int)
}

// Partition is one partition of a Source and all of its records. The offset of a record is its index in Records.
type Partition struct {
	Partition connectors.Partition
	Records   []string
	Times     []schema.Instant // the broker's timestamp of each record; nil if there are none, as in a file
	Live      bool             // more records may follow those in Records: no batch of the partition is Final
}

// Name implements connectors.Source.
func (s *Source) Name() string { return s.Named }

// Run implements connectors.Source. It returns after the last record was read.
func (s *Source) Run(ctx context.Context, r connectors.Reader) error {
	next := make([]int, len(s.Partitions))
	open := make([]int, 0, len(s.Partitions))
	for i, p := range s.Partitions {
		if from, ok := r.Assigned(p.Partition); ok {
			next[i] = int(from)
		}
		open = append(open, i)
	}
	final := make([]bool, len(s.Partitions))
	read := func(i int) (done bool, err error) {
		b := s.batch(i, next[i])
		n, isFinal := int(b.Next), b.Final // b belongs to the Reader after the call
		if err := r.Read(ctx, b); err != nil {
			return false, err
		}
		next[i], final[i] = n, isFinal
		return n >= len(s.Partitions[i].Records), nil
	}
	var err error
	if s.Turn != nil {
		err = s.inTurns(read, open)
	} else {
		err = atOnce(read, open)
	}
	if ctx.Err() != nil {
		err = nil // Run was asked to end
	}
	return errors.Join(err, s.revoke(ctx, r, final))
}

// atOnce reads each partition in a goroutine of its own until it is done or fails.
func atOnce(read func(i int) (done bool, err error), open []int) error {
	errs := make([]error, len(open))
	var wg sync.WaitGroup
	for _, i := range open {
		wg.Go(func() {
			for done := false; !done && errs[i] == nil; {
				done, errs[i] = read(i)
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// inTurns reads one batch after another, each from the partition that Turn returns.
func (s *Source) inTurns(read func(i int) (done bool, err error), open []int) error {
	for len(open) > 0 {
		i := s.Turn(open)
		done, err := read(i)
		if err != nil {
			return err
		}
		if done {
			open = slices.DeleteFunc(open, func(o int) bool { return o == i })
		}
	}
	return nil
}

// revoke revokes the partitions without a final batch. It does so even if ctx has ended, because the Reader has to make
// the records durable that it was given.
func (s *Source) revoke(ctx context.Context, r connectors.Reader, final []bool) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), revokeTimeout)
	defer cancel()
	var errs []error
	for i, p := range s.Partitions {
		if !final[i] {
			errs = append(errs, r.Revoked(ctx, p.Partition))
		}
	}
	return errors.Join(errs...)
}

// batch returns the batch of partition i that begins at record from.
func (s *Source) batch(i, from int) *connectors.Batch {
	size := s.BatchSize
	if size <= 0 {
		size = defaultBatchSize
	}
	p := &s.Partitions[i]
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

// Commit implements connectors.Source. It does nothing: nothing outside the process shows the positions.
func (s *Source) Commit(context.Context, map[connectors.Partition]int64) error { return nil }

// Health implements connectors.Source. It is always good.
func (s *Source) Health() connectors.Health { return connectors.Health{} }
