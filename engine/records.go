package engine

import (
	"context"
	"strings"

	"github.com/aidr-engine/aidr/connectors"
)

// Records is a bounded source of records in memory: tests in rule files, and tests of the engine. Its partitions are
// read one batch of each in turn, or in the order that Turn gives.
type Records struct {
	Named      string
	Partitions []RecordsPartition
	BatchSize  int                              // records in a batch; 0: 1,000
	Turn       func(open []int) (partition int) // which of the partitions with something left is next; nil: in turn
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
	size := r.BatchSize
	if size <= 0 {
		size = 1000
	}
	next := make([]int, len(r.Partitions))
	open := make([]int, 0, len(r.Partitions))
	for i, p := range r.Partitions {
		if from, ok := to.Assigned(p.Partition); ok {
			next[i] = int(from)
		}
		open = append(open, i)
	}
	for turn := 0; len(open) > 0; turn++ {
		i := open[turn%len(open)]
		if r.Turn != nil {
			i = r.Turn(open)
		}
		b := r.batch(i, next[i], size)
		if err := to.Read(ctx, b); err != nil {
			return err
		}
		next[i] = int(b.Next)
		if next[i] >= len(r.Partitions[i].Records) {
			open = remove(open, i)
		}
	}
	return nil
}

func (r *Records) batch(i, from, size int) *connectors.Batch {
	p := &r.Partitions[i]
	to := min(from+size, len(p.Records))
	b := &connectors.Batch{Partition: p.Partition, Next: int64(to), HighWater: int64(len(p.Records))}
	var raw strings.Builder
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

func remove(open []int, i int) []int {
	kept := make([]int, 0, len(open))
	for _, o := range open {
		if o != i {
			kept = append(kept, o)
		}
	}
	return kept
}

// Commit implements connectors.Source.
func (r *Records) Commit(context.Context, map[connectors.Partition]int64) error { return nil }

// Health implements connectors.Source.
func (r *Records) Health() connectors.Health { return connectors.Health{} }
