package backtest

import (
	"context"
	"sync"

	"github.com/aidr-engine/aidr/connectors"
)

// reader hands each batch to all engines. After a resumption the engines may be at different positions: each gets the records
// from its own on.
type reader struct {
	sides    []*side
	progress func(Progress)

	mu   sync.Mutex
	from map[connectors.Partition][]int64 // by side: the position from which it reads
	last Progress
}

func newReader(sides []*side, progress func(Progress)) reader {
	return reader{
		sides: sides, progress: progress, from: map[connectors.Partition][]int64{}, last: Progress{Records: sides[0].counts.Records},
	}
}

// Assigned implements connectors.Reader. The partition is read from the lowest position of the engines on.
func (r *reader) Assigned(p connectors.Partition) (from int64, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	ok = true
	positions := make([]int64, len(r.sides))
	for i, s := range r.sides {
		at, known := s.engine.Assigned(p)
		if !known {
			at, ok = 0, false // read from the beginning, or as the source is configured
		}
		positions[i] = at
		if i == 0 || at < from {
			from = at
		}
	}
	if r.from[p] == nil {
		r.last.Partitions++
	}
	r.from[p] = positions
	return from, ok
}

// Read implements connectors.Reader.
func (r *reader) Read(ctx context.Context, b *connectors.Batch) error {
	r.mu.Lock()
	from := r.from[b.Partition]
	r.mu.Unlock()
	for i, s := range r.sides {
		part, ok := after(b, from[i])
		if !ok {
			continue
		}
		if err := s.engine.Read(ctx, part); err != nil {
			return err
		}
	}
	r.report(b)
	return nil
}

// after returns a copy of the batch with the records at and after a position. ok is false if the engine at that position has
// read everything of the batch.
func after(b *connectors.Batch, from int64) (part *connectors.Batch, ok bool) {
	x := *b
	n := 0
	for n < len(x.Records) && x.Records[n].Offset < from {
		n++
	}
	x.Records = x.Records[n:]
	return &x, len(x.Records) > 0 || b.Next >= from
}

// report calls Options.Progress after a batch that all engines have taken.
func (r *reader) report(b *connectors.Batch) {
	if r.progress == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if b.Final || b.AtEnd && b.HighWater >= 0 && b.Next >= b.HighWater {
		r.last.Ended++
	}
	r.last.Records += int64(len(b.Records))
	r.last.Findings = 0
	for _, s := range r.sides {
		r.last.Findings += s.soFar()
	}
	p := r.last
	p.Partition, p.Position, p.End, p.Final = b.Partition, b.Next, b.HighWater, b.Final
	r.progress(p)
}

// Revoked implements connectors.Reader.
func (r *reader) Revoked(ctx context.Context, p connectors.Partition) error {
	for _, s := range r.sides {
		if err := s.engine.Revoked(ctx, p); err != nil {
			return err
		}
	}
	return nil
}

// Standby implements connectors.Reader.
func (r *reader) Standby(source, reason string) {
	for _, s := range r.sides {
		s.engine.Standby(source, reason)
	}
}

// StateLost implements connectors.StateLost.
func (r *reader) StateLost(p connectors.Partition) {
	for _, s := range r.sides {
		s.engine.StateLost(p)
	}
}
