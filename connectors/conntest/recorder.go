package conntest

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/schema"
)

// Got is one record that a Recorder has read, with its text copied out of the batch.
type Got struct {
	Text      string
	Offset    int64
	Time      schema.Instant
	Tombstone bool
	TooLarge  bool
}

// Recorder is a connectors.Reader that stores every record and checks the rules that every source must follow. Its
// methods may be called from several goroutines.
type Recorder struct {
	// From holds the positions that Assigned returns at first. It is set before the source runs.
	From map[connectors.Partition]int64
	// Block, if not nil, is called by Read before it takes the batch. A Block that waits simulates a full engine.
	Block func(ctx context.Context, b *connectors.Batch) error

	mu       sync.Mutex
	changed  chan struct{} // closed and replaced at each change
	records  map[connectors.Partition][]Got
	state    map[connectors.Partition]*partitionState
	standby  map[string]string
	losses   map[connectors.Partition]int // calls of StateLost
	problems []string
}

// partitionState is the state of one partition as seen by a Recorder.
type partitionState struct {
	assigned, reading, atEnd, final bool
	next, highWater                 int64
	assignments, revocations        int
}

// NewRecorder returns a Recorder without positions.
func NewRecorder() *Recorder {
	return &Recorder{
		changed: make(chan struct{}), records: map[connectors.Partition][]Got{},
		state: map[connectors.Partition]*partitionState{}, standby: map[string]string{}, losses: map[connectors.Partition]int{},
	}
}

// update changes the recorder's state and wakes the calls of Wait.
func (r *Recorder) update(change func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	change()
	close(r.changed)
	r.changed = make(chan struct{})
}

func (r *Recorder) problem(format string, args ...any) {
	r.problems = append(r.problems, fmt.Sprintf(format, args...))
}

// Assigned implements connectors.Reader.
func (r *Recorder) Assigned(p connectors.Partition) (from int64, ok bool) {
	r.update(func() {
		s := r.state[p]
		if s == nil {
			s = &partitionState{}
			r.state[p] = s
			s.next, ok = r.From[p]
		} else {
			ok = true // go on after the last batch, as after a checkpoint
		}
		if s.assigned {
			r.problem("%v is assigned twice", p)
		}
		s.assigned, s.atEnd = true, false
		s.assignments++
		from = s.next
		if !ok {
			s.next = -1
		}
	})
	return from, ok
}

// Read implements connectors.Reader.
func (r *Recorder) Read(ctx context.Context, b *connectors.Batch) error {
	p := b.Partition
	r.update(func() {
		s := r.state[p]
		switch {
		case s == nil || !s.assigned:
			r.problem("%v is read but not assigned", p)
			r.state[p] = &partitionState{assigned: true}
		case s.reading:
			r.problem("%v: two calls of Read at the same time", p)
		case s.final:
			r.problem("%v is read after its final batch", p)
		}
		r.state[p].reading = true
	})
	var err error
	if r.Block != nil {
		err = r.Block(ctx, b)
	}
	if err == nil {
		err = ctx.Err()
	}
	r.update(func() {
		r.state[p].reading = false
		if err == nil {
			r.take(b)
		}
	})
	return err
}

// take checks the batch and stores its records.
func (r *Recorder) take(b *connectors.Batch) {
	p, s := b.Partition, r.state[b.Partition]
	last := s.next - 1
	for i, rec := range b.Records {
		if rec.Start < 0 || rec.Start > rec.End || rec.End > len(b.Raw) {
			r.problem("%v: record %d is at %d..%d of %d bytes", p, i, rec.Start, rec.End, len(b.Raw))
			return
		}
		if rec.Offset <= last {
			r.problem("%v: offset %d after position %d", p, rec.Offset, last+1)
		}
		last = rec.Offset
		r.records[p] = append(r.records[p], Got{b.Raw[rec.Start:rec.End], rec.Offset, rec.Time, rec.Tombstone, rec.TooLarge})
	}
	if b.Next <= last {
		r.problem("%v: next %d is not after offset %d", p, b.Next, last)
	}
	if b.HighWater >= 0 && b.AtEnd && b.HighWater > b.Next {
		r.problem("%v: reported at its end at position %d of %d", p, b.Next, b.HighWater)
	}
	s.next, s.highWater, s.atEnd, s.final = b.Next, b.HighWater, b.AtEnd, b.Final
}

// Revoked implements connectors.Reader.
func (r *Recorder) Revoked(_ context.Context, p connectors.Partition) error {
	r.update(func() {
		s := r.state[p]
		if s == nil || !s.assigned {
			r.problem("%v is revoked but not assigned", p)
			return
		}
		if s.reading {
			r.problem("%v is revoked during a call of Read", p)
		}
		s.assigned = false
		s.revocations++
	})
	return nil
}

// Standby implements connectors.Reader.
func (r *Recorder) Standby(source, reason string) {
	r.update(func() { r.standby[source] = reason })
}

// StateLost implements connectors.StateLost.
func (r *Recorder) StateLost(p connectors.Partition) {
	r.update(func() { r.losses[p]++ })
}

// Losses returns how often the source reported that the State of p is lost.
func (r *Recorder) Losses(p connectors.Partition) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.losses[p]
}

// Records returns the records read from p so far.
func (r *Recorder) Records(p connectors.Partition) []Got {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]Got(nil), r.records[p]...)
}

// Texts returns the texts of the records read from p so far.
func (r *Recorder) Texts(p connectors.Partition) []string {
	var texts []string
	for _, g := range r.Records(p) {
		texts = append(texts, g.Text)
	}
	return texts
}

// Count returns the number of records read from all partitions.
func (r *Recorder) Count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := 0
	for _, rs := range r.records {
		n += len(rs)
	}
	return n
}

// Next returns the position after the last batch of p, and the end of p that this batch reported. Both are -1 if p is
// unknown.
func (r *Recorder) Next(p connectors.Partition) (next, highWater int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if s := r.state[p]; s != nil {
		return s.next, s.highWater
	}
	return -1, -1
}

// Assignments returns how many times p was assigned and revoked.
func (r *Recorder) Assignments(p connectors.Partition) (assigned, revoked int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if s := r.state[p]; s != nil {
		return s.assignments, s.revocations
	}
	return 0, 0
}

// Partitions returns the partitions that are assigned and not revoked.
func (r *Recorder) Partitions() map[connectors.Partition]bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	open := map[connectors.Partition]bool{}
	for p, s := range r.state {
		if s.assigned {
			open[p] = true
		}
	}
	return open
}

// AtEnd reports whether the last batch of p reached its end.
func (r *Recorder) AtEnd(p connectors.Partition) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.state[p] != nil && r.state[p].atEnd
}

// StandbyReason returns why the source is on standby, or "" if it is not.
func (r *Recorder) StandbyReason(source string) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.standby[source]
}

// Wait waits until ok returns true, and fails the test if that takes longer than limit. ok may call the other methods of
// the recorder. condition names the awaited state for the failure.
func (r *Recorder) Wait(t testing.TB, limit time.Duration, condition string, ok func() bool) {
	t.Helper()
	deadline := time.NewTimer(limit)
	defer deadline.Stop()
	for {
		r.mu.Lock()
		changed := r.changed
		r.mu.Unlock()
		if ok() {
			return
		}
		select {
		case <-changed:
		case <-deadline.C:
			t.Fatalf("%s: not true after %v; %d records read, assigned: %v", condition, limit, r.Count(), r.Partitions())
		}
	}
}

// Check fails the test if the source broke the contract, or if a partition is neither final nor revoked.
func (r *Recorder) Check(t testing.TB) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, p := range r.problems {
		t.Error(p)
	}
	for p, s := range r.state {
		if s.assigned && !s.final {
			t.Errorf("%v is neither final nor revoked", p)
		}
	}
}
