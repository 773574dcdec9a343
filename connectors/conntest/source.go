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

// SourceTarget is an outside system that holds records, together with the means to read it.
type SourceTarget struct {
	// New returns a source that reads the target's partitions. Each call returns a new source.
	New func(t *testing.T) connectors.Source
	// Partitions are the partitions that the sources read. Partition i holds the records Texts(i), in that order.
	Partitions []connectors.Partition
	// Append adds a record to a partition. It is nil for a bounded source, whose Run ends when everything was read.
	Append func(t *testing.T, p connectors.Partition, text string)
}

// sourceRecords is the number of records in each partition: more than fit into one batch of any source.
const sourceRecords = 2500

// Texts returns the records that the suite expects in the partition with this index.
func Texts(partition int) []string {
	texts := make([]string, sourceRecords)
	for i := range texts {
		texts[i] = fmt.Sprintf(`{"partition":%d,"n":%d,"pad":%q}`, partition, i, strings.Repeat("x", i%97*10))
	}
	return texts
}

// TestSource tests a source against the contract of connectors.Source. It calls open once for each case.
func TestSource(t *testing.T, open func(t *testing.T) SourceTarget) {
	cases := []struct {
		name string
		run  func(t *testing.T, target SourceTarget)
	}{
		{"every record is read once, in order, and the end is reported", sourceReadsAll},
		{"reading resumes at any record", sourceResumes},
		{"reading resumes after the last record", sourceResumesAtEnd},
		{"appended records are read", sourceAppended},
		{"a full engine blocks the source", sourceBackPressure},
		{"cancel ends a blocked Run promptly and leaves no goroutine", sourceCancel},
		{"an error of the engine ends Run", sourceError},
		{"batches do not change after Read", sourceOwnership},
		{"Commit is harmless at any time", sourceCommit},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) { c.run(t, open(t)) })
	}
}

// running is a source whose Run has been started.
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
			t.Errorf("partition %v of a source named %q", p, s.source.Name())
		}
	}
	go func() { s.done <- s.source.Run(ctx, r) }()
	t.Cleanup(cancel)
	return s
}

// end cancels Run and returns its error.
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

// finish waits until every partition was read to its end and until Run has ended: by itself if the source is bounded,
// otherwise because finish cancels it.
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
		t.Errorf("health is degraded without a failure: %s", h.Reason)
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
	for i, p := range target.Partitions {
		if got, want := r.Texts(p), Texts(i); !slices.Equal(got, want) {
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
	return "one is a prefix of the other"
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
		t.Errorf("%d records are read after the last one", n)
	}
}

func sourceAppended(t *testing.T, target SourceTarget) {
	if target.Append == nil {
		t.Skip("a bounded source reads nothing that is appended later")
	}
	r := NewRecorder()
	s := start(t, target, r)
	for i, p := range target.Partitions {
		r.Wait(t, outage, "the partition is read to its end", func() bool { return r.AtEnd(p) })
		target.Append(t, p, fmt.Sprintf(`{"appended":%d}`, i))
		r.Wait(t, outage, "the appended record is read", func() bool { return len(r.Records(p)) == sourceRecords+1 })
	}
	s.finish(t, target, r)
	for i, p := range target.Partitions {
		if got, want := r.Texts(p)[sourceRecords], fmt.Sprintf(`{"appended":%d}`, i); got != want {
			t.Errorf("%v: got %q, want %q", p, got, want)
		}
	}
}

func sourceBackPressure(t *testing.T, target SourceTarget) {
	r := NewRecorder()
	free := make(chan struct{})
	var blocked atomic.Int64
	r.Block = func(ctx context.Context, _ *connectors.Batch) error {
		r.update(func() { blocked.Add(1) }) // update wakes the Wait below
		defer blocked.Add(-1)
		select {
		case <-free:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	s := start(t, target, r)
	r.Wait(t, outage, "the source calls Read", func() bool { return blocked.Load() > 0 })
	if n := r.Count(); n != 0 {
		t.Errorf("%d records are read by an engine that is full", n)
	}
	close(free)
	s.finish(t, target, r)
	for i, p := range target.Partitions {
		if got, want := r.Texts(p), Texts(i); !slices.Equal(got, want) {
			t.Errorf("%v: got %d records, want %d; %s", p, len(got), len(want), firstDifference(got, want))
		}
	}
}

func sourceCancel(t *testing.T, target SourceTarget) {
	before := runtime.NumGoroutine()
	r := NewRecorder()
	var blocked atomic.Int64
	r.Block = func(ctx context.Context, _ *connectors.Batch) error {
		r.update(func() { blocked.Add(1) }) // update wakes the Wait below
		<-ctx.Done()
		return ctx.Err()
	}
	s := start(t, target, r)
	r.Wait(t, outage, "the source calls Read", func() bool { return blocked.Load() > 0 })
	if err := s.end(t); err != nil {
		t.Errorf("run: %v, want nil because its context ended", err)
	}
	r.Check(t)
	for deadline := time.Now().Add(promptly); runtime.NumGoroutine() > before; {
		if time.Now().After(deadline) {
			buf := make([]byte, 1<<16)
			t.Fatalf("%d goroutines before, %d after\n%s", before, runtime.NumGoroutine(), buf[:runtime.Stack(buf, true)])
		}
		time.Sleep(10 * time.Millisecond) // a library gives no signal when its goroutine has ended
	}
}

func sourceError(t *testing.T, target SourceTarget) {
	want := errors.New("engine failed")
	r := NewRecorder()
	r.Block = func(context.Context, *connectors.Batch) error { return want }
	s := start(t, target, r)
	if err := s.wait(t); !errors.Is(err, want) {
		t.Errorf("run: error %v, want %v", err, want)
	}
	r.Check(t)
}

func sourceOwnership(t *testing.T, target SourceTarget) {
	type taken struct {
		batch *connectors.Batch
		raw   string
		recs  []connectors.Record
	}
	batches := make(chan taken, 2*sourceRecords*len(target.Partitions))
	r := NewRecorder()
	r.Block = func(_ context.Context, b *connectors.Batch) error {
		if len(b.Records) > 0 {
			batches <- taken{b, strings.Clone(b.Raw), slices.Clone(b.Records)}
		}
		return nil
	}
	start(t, target, r).finish(t, target, r)
	close(batches)
	seen := map[*connectors.Batch]bool{}
	for c := range batches {
		if seen[c.batch] {
			t.Fatal("a Batch is passed to Read twice")
		}
		seen[c.batch] = true
		if c.batch.Raw != c.raw || !slices.Equal(c.batch.Records, c.recs) {
			t.Fatalf("a Batch of %v changed after Read", c.batch.Partition)
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
