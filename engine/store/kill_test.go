package store

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"pgregory.net/rapid"

	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/schema"
)

// script is a random sequence of writes to a store: each step is one write.
type script struct {
	clock testClock
	seq   uint64 // of the last checkpoint
	steps []func(s *Store) error
	sinks map[string]uint64 // number of the last Advance
}

// newScript draws a script of checkpoints, Advances, requeues and drops of dead letters.
func newScript(rt *rapid.T) *script {
	sc := &script{clock: testClock{start}, sinks: map[string]uint64{}}
	sc.steps = append(sc.steps, func(s *Store) error {
		_, err := s.SetSinks([]SinkSpec{{Name: "a"}, {Name: "b", Capped: true}})
		return err
	})
	for range rapid.IntRange(3, 25).Draw(rt, "steps") {
		switch kind := rapid.IntRange(0, 9).Draw(rt, "kind"); {
		case kind < 5:
			sc.steps = append(sc.steps, sc.drawCheckpoint(rt))
		case kind < 8:
			sc.steps = append(sc.steps, sc.drawAdvance(rt))
		case kind == 8:
			sc.steps = append(sc.steps, func(s *Store) error { return requeueFirst(s) })
		default:
			sc.steps = append(sc.steps, func(s *Store) error { return dropFirst(s) })
		}
	}
	return sc
}

func (sc *script) drawCheckpoint(rt *rapid.T) func(s *Store) error {
	sc.seq++
	c := &Checkpoint{Seq: sc.seq, State: fmt.Appendf(nil, "state %d", sc.seq)}
	for range rapid.IntRange(0, 4).Draw(rt, "cells") {
		kv := KV{Key: fmt.Appendf(nil, "cell %d", rapid.IntRange(0, 6).Draw(rt, "cell"))}
		if rapid.Bool().Draw(rt, "put") {
			kv.Value = []byte(strings.Repeat("x", rapid.IntRange(0, 3000).Draw(rt, "size")))
		}
		c.Cells = append(c.Cells, kv)
	}
	for range rapid.IntRange(0, 4).Draw(rt, "entries") {
		n := rapid.IntRange(0, 5).Draw(rt, "finding")
		c.Outbox = append(c.Outbox, entryOf(testFinding(n, sc.seq, rapid.SampledFrom([]schema.Status{"open", "settled"}).Draw(rt, "status"))))
	}
	if rapid.Bool().Draw(rt, "items") {
		c.Items = [][]byte{fmt.Appendf(nil, "items %d", sc.seq)}
	}
	if sc.seq > 2 {
		c.Drop = []uint64{sc.seq - 2}
	}
	if rapid.Bool().Draw(rt, "dead") {
		body := strings.Repeat("y", rapid.IntRange(0, 2000).Draw(rt, "body"))
		c.Dead = []DeadLetter{{Kind: schema.DeadRecord, Reason: "json", Topic: "t", Body: body}}
	}
	return func(s *Store) error { return s.Commit(c) }
}

// drawAdvance draws an Advance over a few entries, each of which is delivered, becomes a retry or becomes a dead letter. The
// sink's first retry ends.
func (sc *script) drawAdvance(rt *rapid.T) func(s *Store) error {
	sink := rapid.SampledFrom([]string{"a", "b"}).Draw(rt, "sink")
	by := rapid.Uint64Range(0, 5).Draw(rt, "by")
	fates := rapid.SliceOfN(rapid.IntRange(0, 2), 5, 5).Draw(rt, "fates")
	sc.sinks[sink]++
	number := sc.sinks[sink]
	var a *Advance // planned at the first attempt and repeated as it is
	return func(s *Store) error {
		if a == nil {
			a = planAdvance(s, sink, number, by, fates)
		}
		return s.Advance(sink, a)
	}
}

func planAdvance(s *Store, sink string, number, by uint64, fates []int) *Advance {
	k, _ := s.Sink(sink)
	a := &Advance{Number: number, Cursor: min(k.Cursor+by, s.End()), Block: k.Cursor + by}
	for seq := k.Cursor; seq < a.Cursor; seq++ {
		e, _, _ := s.Entry(seq)
		switch fates[seq-k.Cursor] {
		case 1:
			a.Retry = append(a.Retry, Retry{Seq: seq, Finding: e.Finding.ID, Attempts: 1, Size: e.Size})
		case 2:
			a.Dead = append(a.Dead, DeadLetter{
				Kind: schema.DeadDelivery, Reason: "http_400", Sink: sink, Entry: seq, Type: e.Type, Body: mustJSON(e.Finding),
			})
		}
	}
	if len(k.Retries) > 0 {
		a.Done = []uint64{k.Retries[0].Seq}
	}
	return a
}

func requeueFirst(s *Store) error {
	seq, err := firstDead(s, DeadFilter{Kind: schema.DeadDelivery})
	if err != nil || seq == 0 {
		return err
	}
	_, _, err = s.Requeue(seq)
	return err
}

func dropFirst(s *Store) error {
	seq, err := firstDead(s, DeadFilter{})
	if err != nil || seq == 0 {
		return err
	}
	_, err = s.DropDeadLetters(seq)
	return err
}

// firstDead returns the Seq of the first matching dead letter, or 0.
func firstDead(s *Store, f DeadFilter) (seq uint64, err error) {
	err = s.DeadLetters(f, func(l *DeadLetter) bool { seq = l.Seq; return false })
	return seq, err
}

// dump renders all keys and values of the database.
func dump(s *Store) (string, error) {
	var b strings.Builder
	err := s.scan([]byte{0}, nil, false, func(k, v []byte) bool {
		fmt.Fprintf(&b, "%q=%q\n", k, v)
		return true
	})
	return b.String(), err
}

// memory renders the values that the Store keeps in memory. They must equal those that Open would load.
func memory(s *Store) string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var b strings.Builder
	d := s.dead
	for i := range d.shares {
		d.shares[i].oldest = 0 // a lower bound, which Open resets
	}
	fmt.Fprintf(&b, "last %d %q\nout %+v\ndead %+v\npins %v\n", s.last.seq, s.last.state, s.out, d, s.pins)
	for _, name := range []string{"a", "b"} {
		if st := s.sinks[name]; st != nil {
			fmt.Fprintf(&b, "%s %d %d %d %d %d %v %v\n", name, st.number, st.cursor, st.block, st.bytesBefore, st.retryBytes, st.retries, st.disabled)
		}
	}
	return b.String()
}

// TestKill simulates a power cut at any operation of the file system, with the loss of any part of the unsynced data. The
// store that is opened afterwards must be in the complete state before or after the interrupted write.
func TestKill(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		sc := newScript(rt)
		mem := vfs.NewCrashableMem()
		at := rapid.IntRange(1, 400).Draw(rt, "operation")
		survives := rapid.SampledFrom([]int{0, 30, 70, 100}).Draw(rt, "percent of unsynced data that survives")
		seed := rapid.Uint64().Draw(rt, "seed")
		var after *vfs.MemFS
		acked, n := 0, 0
		// Pebble makes a manifest and the marker that names it durable with one sync of the directory. That is safe on file
		// systems that keep the order of new names, but not if any one of two new names may survive. Until the store is
		// created, the power cut therefore happens only if all or none of the unsynced data survives.
		opened := survives == 0 || survives == 100
		var mu sync.Mutex // Pebble also works in the background
		hook := errorfs.InjectorFunc(func(op errorfs.Op) error {
			mu.Lock()
			defer mu.Unlock()
			if n++; opened && n >= at && after == nil && op.Kind.ReadOrWrite() == errorfs.OpIsWrite {
				after = mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: survives, RNG: rand.New(rand.NewPCG(seed, 1))})
			}
			return nil
		})
		o := Options{Memory: true, Now: sc.clock.now, DeadCap: 6000, FS: &syncedFS{FS: errorfs.Wrap(mem, hook)}}
		s, err := Open("", o)
		if err != nil {
			rt.Fatalf("open: %v", err)
		}
		died := func() bool {
			mu.Lock()
			defer mu.Unlock()
			opened = true
			return after != nil
		}
		died()
		states := []string{}
		for i, step := range append([]func(*Store) error{func(*Store) error { return nil }}, sc.steps...) {
			if err := step(s); err != nil && !harmless(err) {
				rt.Fatalf("step %d: %v", i, err)
			}
			d, err := dump(s)
			if err != nil {
				rt.Fatalf("dump: %v", err)
			}
			states = append(states, d)
			if !died() {
				acked = len(states)
			}
		}
		if err := s.Close(); err != nil {
			rt.Fatalf("close: %v", err)
		}
		if !died() {
			return
		}
		checkReopened(rt, after, o, states, acked)
	})
}

// checkReopened opens the store after the power cut. Its state must be one that the script produced, not older than the last
// acknowledged step.
func checkReopened(rt *rapid.T, after *vfs.MemFS, o Options, states []string, acked int) {
	o.FS = after
	s, err := Open("", o)
	if err != nil {
		rt.Fatalf("open after the power cut: %v", err)
	}
	defer s.Close()
	got, err := dump(s)
	if err != nil {
		rt.Fatalf("dump after the power cut: %v", err)
	}
	from := max(acked-1, 0)
	if !slices.Contains(states[from:], got) {
		rt.Fatalf("the state after the power cut is not one of the states since step %d:\n%s\nwant for example\n%s", from, got, states[from])
	}
}

// harmless reports whether a step failed because the script drew it at a moment when it is not possible.
func harmless(err error) bool {
	return strings.Contains(err.Error(), "is not before the cursor")
}

// syncedFS hides the type of the file system, so that the Store does not treat it as a MemFS.
type syncedFS struct{ vfs.FS }

// TestDiskErrors lets the disk fail for a number of operations. Calls then return errors and can be repeated. In the end
// the memory must equal the disk, and reopening the store must not change it.
func TestDiskErrors(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		sc := newScript(rt)
		from := rapid.IntRange(1, 200).Draw(rt, "operation")
		count := rapid.IntRange(1, 30).Draw(rt, "operations")
		cause := rapid.SampledFrom([]error{syscall.EIO, syscall.ENOSPC}).Draw(rt, "error")
		var n atomic.Int64 // Pebble also works in the background
		var armed atomic.Bool
		mem := vfs.NewCrashableMem()
		hook := errorfs.InjectorFunc(func(op errorfs.Op) error {
			if !armed.Load() || op.Kind.ReadOrWrite() != errorfs.OpIsWrite {
				return nil
			}
			if k := n.Add(1); k >= int64(from) && k < int64(from+count) {
				return cause
			}
			return nil
		})
		o := Options{Memory: true, Now: sc.clock.now, FS: &syncedFS{errorfs.Wrap(mem, hook)}}
		s, err := Open("", o)
		if err != nil {
			rt.Fatalf("open: %v", err)
		}
		armed.Store(true)
		for i, step := range sc.steps {
			s = repeat(rt, s, o, i, step)
		}
		got, err := dump(s)
		if err != nil {
			rt.Fatalf("dump: %v", err)
		}
		before := memory(s)
		armed.Store(false)
		_ = s.Close()
		if s, err = Open("", o); err != nil {
			rt.Fatalf("open again: %v", err)
		}
		defer s.Close()
		again, err := dump(s)
		if err != nil || again != got {
			rt.Fatalf("the store differs after reopening (%v):\n%s\n%s", err, got, again)
		}
		if after := memory(s); after != before {
			rt.Fatalf("memory differs from the disk:\n%s\n%s", before, after)
		}
	})
}

// repeat repeats a step until it succeeds, as the engine does. If the error demands a restart, the store is reopened.
func repeat(rt *rapid.T, s *Store, o Options, i int, step func(*Store) error) *Store {
	var last error
	for try := range 100 {
		err := step(s)
		last = err
		if err == nil || harmless(err) || try > 0 && strings.Contains(err.Error(), "no dead letter has this number") {
			return s
		}
		if strings.Contains(err.Error(), "BUG") {
			rt.Fatalf("step %d, try %d: %v", i, try, err)
		}
		if !strings.Contains(err.Error(), "restart the process") {
			continue
		}
		_ = s.Close()
		for range 100 {
			if s, err = Open("", o); err == nil {
				break
			}
		}
		if err != nil {
			rt.Fatalf("step %d: restart: %v", i, err)
		}
	}
	rt.Fatalf("step %d does not succeed: %v", i, last)
	return nil
}

// TestOpenOnFullDisk checks that a store on a disk without any room does not open: Pebble would wait for room forever, and so
// would `aidr run` and `aidr status`, without a word.
func TestOpenOnFullDisk(t *testing.T) {
	mem := vfs.NewCrashableMem()
	mem.TestingSetDiskUsage(vfs.DiskUsage{AvailBytes: openReserve - 1, TotalBytes: 1 << 40, UsedBytes: 1})
	if s, err := Open("", Options{FS: mem}); !errors.Is(err, ErrDiskFull) {
		t.Errorf("open on a full disk: got %v, want ErrDiskFull", err)
		if err == nil {
			s.Close()
		}
	}
	mem.TestingSetDiskUsage(vfs.DiskUsage{AvailBytes: openReserve, TotalBytes: 1 << 40, UsedBytes: 1})
	s, err := Open("", Options{FS: mem})
	if err != nil {
		t.Fatalf("open with room: %v", err)
	}
	s.Close()
}

func TestDiskFull(t *testing.T) {
	mem := vfs.NewCrashableMem()
	s := openMemory(t, Options{FS: mem})
	mustCommit(t, s, &Checkpoint{Seq: 1, State: []byte("1")})
	mem.TestingSetDiskUsage(vfs.DiskUsage{AvailBytes: diskReserve - 1, TotalBytes: 1 << 40, UsedBytes: 1})
	c := &Checkpoint{Seq: 2, State: []byte("2"), Outbox: []connectors.Entry{entryOf(testFinding(1, 1, "open"))}}
	if err := s.Commit(c); !errors.Is(err, ErrDiskFull) {
		t.Errorf("commit on a full disk: got %v, want ErrDiskFull", err)
	}
	if err := s.Err(); !errors.Is(err, ErrDiskFull) {
		t.Errorf("Err on a full disk: got %v, want ErrDiskFull", err)
	}
	if seq, _, _, _ := s.Last(); seq != 1 {
		t.Errorf("last checkpoint: got %d, want 1", seq)
	}
	mem.TestingSetDiskUsage(vfs.DiskUsage{AvailBytes: 1 << 40, TotalBytes: 1 << 40, UsedBytes: 1})
	mustCommit(t, s, c)
	if err := s.Err(); err != nil {
		t.Errorf("Err when there is room: %v", err)
	}
	mustCommit(t, s, c) // repeating the checkpoint changes nothing
	if got := s.End(); got != 2 || c.Outbox[0].Seq != 1 {
		t.Errorf("after a repeated commit: end %d, Seq %d; want 2, 1", got, c.Outbox[0].Seq)
	}
	if err := s.Commit(&Checkpoint{Seq: 4}); err == nil || !strings.Contains(err.Error(), "BUG") {
		t.Errorf("commit of a checkpoint out of order: got %v, want a BUG", err)
	}
}
