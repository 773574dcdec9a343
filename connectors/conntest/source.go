package conntest

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aidr-engine/aidr/connectors"
)

// SourceTarget is an outside system that holds records, and how to read it.
type SourceTarget struct {
	// New returns a source of the target's partitions. Called again, it returns another one.
	New func(t *testing.T) connectors.Source
	// Partitions are what New's sources read. Each holds what Texts gives for it, in that order.
	Partitions []connectors.Partition
	// Append adds a record to a partition. nil: the source is bounded, its Run ends when everything is read.
	Append func(t *testing.T, p connectors.Partition, text string)
}

// sourceRecords is how many records the suite wants in each partition: more than fit in one batch of anything.
const sourceRecords = 2500

// Texts returns the records that the suite wants in the place-th partition.
func Texts(place int) []string {
	texts := make([]string, sourceRecords)
	for i := range texts {
		texts[i] = fmt.Sprintf(`{"partition":%d,"n":%d,"pad":%q}`, place, i, strings.Repeat("x", i%97*10))
	}
	return texts
}

// TestSource runs the contract of connectors.Source. open is called once for each case.
func TestSource(t *testing.T, open func(t *testing.T) SourceTarget) {
	cases := []struct {
		name string
		run  func(t *testing.T, target SourceTarget)
	}{
		{"every record is read once, in order, and the end is told", sourceReadsAll},
		{"reading goes on from any record", sourceResumes},
		{"reading goes on behind the last record", sourceResumesAtEnd},
		{"what comes later is read too", sourceLater},
		{"a full engine holds the source back", sourceBackPressure},
		{"cancel ends a blocked Run promptly, and leaves nothing running", sourceCancel},
		{"an error of the engine ends Run", sourceError},
		{"batches never change after they were handed over", sourceOwnership},
		{"Commit is harmless at any time", sourceCommit},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) { c.run(t, open(t)) })
	}
}

// running is a source whose Run was started.
type running struct {
	source connectors.Source
	cancel context.CancelFunc
	done   chan error
}

func start(t *testing.T, target SourceTarget, r connectors.Reader) *running {
	ctx, cancel := context.WithCancel(t.Context())
	s := &running{source: target.New(t), cancel: cancel, done: make(chan error, 1)}
	for _, p := range target.Partitions {
		if p.Source != s.source.Name() {
			t.Errorf("partition %v of a source that is named %q", p, s.source.Name())
		}
	}
	go func() { s.done <- s.source.Run(ctx, r) }()
	t.Cleanup(cancel)
	return s
}

// end cancels Run and returns what it returned.
func (s *running) end(t *testing.T) error {
	t.Helper()
	s.cancel()
	return s.wait(t)
}

func (s *running) wait(t *testing.T) error {
	t.Helper()
	select {
	case err := <-s.done:
		return err
	case <-time.After(promptly):
		buf := make([]byte, 1<<16)
		t.Fatalf("Run did not end within %v\n%s", promptly, buf[:runtime.Stack(buf, true)])
		return nil
	}
}

// finish lets a bounded source end by itself and cancels another one once all is read.
func (s *running) finish(t *testing.T, target SourceTarget, r *Recorder) {
	t.Helper()
	r.Wait(t, outage, "every partition is read to its end", func() bool {
		for _, p := range target.Partitions {
			if !r.AtEnd(p) {
				return false
			}
		}
		return true
	})
	if h := s.source.Health(); h.Degraded {
		t.Errorf("health is degraded while all is well: %s", h.Reason)
	}
	var err error
	if target.Append == nil {
		err = s.wait(t)
	} else {
		err = s.end(t)
	}
	if err != nil {
		t.Errorf("run: %v", err)
	}
	r.Check(t)
}

func sourceReadsAll(t *testing.T, target SourceTarget) {
	r := NewRecorder()
	start(t, target, r).finish(t, target, r)
	for place, p := range target.Partitions {
		if got, want := r.Texts(p), Texts(place); !slices.Equal(got, want) {
			t.Errorf("%v: got %d records, want %d; %s", p, len(got), len(want), firstDifference(got, want))
		}
	}
}

func firstDifference(got, want []string) string {
	for i := range min(len(got), len(want)) {
		if got[i] != want[i] {
			return fmt.Sprintf("record %d is %.80q, want %.80q", i, got[i], want[i])
		}
	}
	return "one is the beginning of the other"
}

func sourceResumes(t *testing.T, target SourceTarget) {
	whole := NewRecorder()
	start(t, target, whole).finish(t, target, whole)
	for _, at := range []int{0, 1, sourceRecords / 3, sourceRecords - 1} {
		r := NewRecorder()
		r.From = map[connectors.Partition]int64{}
		for i, p := range target.Partitions {
			r.From[p] = whole.Records(p)[(at+i)%sourceRecords].Offset
		}
		start(t, target, r).finish(t, target, r)
		for i, p := range target.Partitions {
			if got, want := r.Records(p), whole.Records(p)[(at+i)%sourceRecords:]; !slices.Equal(got, want) {
				t.Errorf("%v from record %d: got %d records, want %d", p, (at+i)%sourceRecords, len(got), len(want))
			}
		}
	}
}

func sourceResumesAtEnd(t *testing.T, target SourceTarget) {
	whole := NewRecorder()
	start(t, target, whole).finish(t, target, whole)
	r := NewRecorder()
	r.From = map[connectors.Partition]int64{}
	for _, p := range target.Partitions {
		r.From[p], _ = whole.Next(p)
	}
	start(t, target, r).finish(t, target, r)
	if n := r.Count(); n != 0 {
		t.Errorf("%d records are read behind the last one", n)
	}
}

func sourceLater(t *testing.T, target SourceTarget) {
	if target.Append == nil {
		t.Skip("a bounded source: what comes later is not its business")
	}
	r := NewRecorder()
	s := start(t, target, r)
	for i, p := range target.Partitions {
		r.Wait(t, outage, "the partition is read to its end", func() bool { return r.AtEnd(p) })
		target.Append(t, p, fmt.Sprintf(`{"later":%d}`, i))
		r.Wait(t, outage, "what came later is read", func() bool { return len(r.Records(p)) == sourceRecords+1 })
	}
	s.finish(t, target, r)
	for i, p := range target.Partitions {
		if got, want := r.Texts(p)[sourceRecords], fmt.Sprintf(`{"later":%d}`, i); got != want {
			t.Errorf("%v: got %q, want %q", p, got, want)
		}
	}
}

func sourceBackPressure(t *testing.T, target SourceTarget) {
	r := NewRecorder()
	free := make(chan struct{})
	var blocked atomic.Int64
	r.Block = func(ctx context.Context, _ *connectors.Batch) error {
		r.update(func() { blocked.Add(1) }) // so that whoever waits for it looks again
		defer blocked.Add(-1)
		select {
		case <-free:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	s := start(t, target, r)
	r.Wait(t, outage, "the source hands something over", func() bool { return blocked.Load() > 0 })
	if n := r.Count(); n != 0 {
		t.Errorf("%d records are read by an engine that takes none", n)
	}
	close(free)
	s.finish(t, target, r)
	for place, p := range target.Partitions {
		if got, want := r.Texts(p), Texts(place); !slices.Equal(got, want) {
			t.Errorf("%v: got %d records, want %d; %s", p, len(got), len(want), firstDifference(got, want))
		}
	}
}

func sourceCancel(t *testing.T, target SourceTarget) {
	before := runtime.NumGoroutine()
	r := NewRecorder()
	var blocked atomic.Int64
	r.Block = func(ctx context.Context, _ *connectors.Batch) error {
		r.update(func() { blocked.Add(1) }) // so that whoever waits for it looks again
		<-ctx.Done()
		return ctx.Err()
	}
	s := start(t, target, r)
	r.Wait(t, outage, "the source hands something over", func() bool { return blocked.Load() > 0 })
	if err := s.end(t); err != nil {
		t.Errorf("run: %v, want nil where it was asked to end", err)
	}
	r.Check(t)
	for deadline := time.Now().Add(promptly); runtime.NumGoroutine() > before; {
		if time.Now().After(deadline) {
			buf := make([]byte, 1<<16)
			t.Fatalf("%d goroutines before, %d after\n%s", before, runtime.NumGoroutine(), buf[:runtime.Stack(buf, true)])
		}
		time.Sleep(10 * time.Millisecond) // nothing tells when a goroutine of a library is gone
	}
}

func sourceError(t *testing.T, target SourceTarget) {
	want := errors.New("the engine is broken")
	r := NewRecorder()
	r.Block = func(context.Context, *connectors.Batch) error { return want }
	s := start(t, target, r)
	if err := s.wait(t); !errors.Is(err, want) {
		t.Errorf("run: error %v, want %v", err, want)
	}
	r.Check(t)
}

func sourceOwnership(t *testing.T, target SourceTarget) {
	type copied struct {
		batch *connectors.Batch
		raw   string
		recs  []connectors.Record
	}
	taken := make(chan copied, 2*sourceRecords*len(target.Partitions))
	r := NewRecorder()
	r.Block = func(_ context.Context, b *connectors.Batch) error {
		if len(b.Records) > 0 {
			taken <- copied{b, strings.Clone(b.Raw), slices.Clone(b.Records)}
		}
		return nil
	}
	start(t, target, r).finish(t, target, r)
	close(taken)
	seen := map[*connectors.Batch]bool{}
	for c := range taken {
		if seen[c.batch] {
			t.Fatal("one Batch is handed over twice")
		}
		seen[c.batch] = true
		if c.batch.Raw != c.raw || !slices.Equal(c.batch.Records, c.recs) {
			t.Fatalf("a Batch of %v changed after it was handed over", c.batch.Partition)
		}
	}
}

func sourceCommit(t *testing.T, target SourceTarget) {
	r := NewRecorder()
	s := start(t, target, r)
	positions := map[connectors.Partition]int64{{Source: "other", Topic: "other", Number: 9}: 1}
	commit := func() {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), promptly)
		defer cancel()
		if err := s.source.Commit(ctx, positions); err != nil {
			t.Errorf("commit: %v", err)
		}
	}
	commit()
	for _, p := range target.Partitions {
		r.Wait(t, outage, "the partition is read", func() bool { return r.AtEnd(p) })
		positions[p], _ = r.Next(p)
	}
	commit()
	s.finish(t, target, r)
	commit()
}
