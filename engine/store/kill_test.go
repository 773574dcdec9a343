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

// script drives a store by numbers that a test draws: every step is one write.
type script struct {
	clock testClock
	cut   uint64
	steps []func(s *Store) error
	sinks map[string]uint64 // number of the last Advance
}

// newScript draws a script of cuts, Advances and what else writes.
func newScript(rt *rapid.T) *script {
	sc := &script{clock: testClock{start}, sinks: map[string]uint64{}}
	sc.steps = append(sc.steps, func(s *Store) error {
		_, err := s.SetSinks([]SinkSpec{{Name: "a"}, {Name: "b", Capped: true}})
		return err
	})
	for range rapid.IntRange(3, 25).Draw(rt, "steps") {
		switch kind := rapid.IntRange(0, 9).Draw(rt, "kind"); {
		case kind < 5:
			sc.steps = append(sc.steps, sc.drawCut(rt))
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

func (sc *script) drawCut(rt *rapid.T) func(s *Store) error {
	sc.cut++
	c := &Checkpoint{Seq: sc.cut, State: fmt.Appendf(nil, "state %d", sc.cut)}
	for range rapid.IntRange(0, 4).Draw(rt, "cells") {
		kv := KV{Key: fmt.Appendf(nil, "cell %d", rapid.IntRange(0, 6).Draw(rt, "cell"))}
		if rapid.Bool().Draw(rt, "put") {
			kv.Value = []byte(strings.Repeat("x", rapid.IntRange(0, 3000).Draw(rt, "size")))
		}
		c.Cells = append(c.Cells, kv)
	}
	for range rapid.IntRange(0, 4).Draw(rt, "entries") {
		n := rapid.IntRange(0, 5).Draw(rt, "finding")
		c.Outbox = append(c.Outbox, entryOf(testFinding(n, sc.cut, rapid.SampledFrom([]schema.Status{"open", "settled"}).Draw(rt, "status"))))
	}
	if rapid.Bool().Draw(rt, "items") {
		c.Items = [][]byte{fmt.Appendf(nil, "items %d", sc.cut)}
	}
	if sc.cut > 2 {
		c.Drop = []uint64{sc.cut - 2}
	}
	if rapid.Bool().Draw(rt, "dead") {
		c.Dead = []DeadLetter{{Kind: schema.DeadRecord, Reason: "json", Topic: "t", Body: strings.Repeat("y", rapid.IntRange(0, 2000).Draw(rt, "body"))}}
	}
	return func(s *Store) error { return s.Commit(c) }
}

// drawAdvance moves a sink on by some entries; each is taken, tried again, or poison, and one retry is over.
func (sc *script) drawAdvance(rt *rapid.T) func(s *Store) error {
	sink := rapid.SampledFrom([]string{"a", "b"}).Draw(rt, "sink")
	by := rapid.Uint64Range(0, 5).Draw(rt, "by")
	fates := rapid.SliceOfN(rapid.IntRange(0, 2), 5, 5).Draw(rt, "fates")
	sc.sinks[sink]++
	number := sc.sinks[sink]
	var a *Advance // of the first try; the next one is the same
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
			f := e.Finding
			a.Dead = append(a.Dead, DeadLetter{Kind: schema.DeadDelivery, Reason: "http_400", Sink: sink, Entry: seq, Type: e.Type, Body: mustJSON(f)})
		}
	}
	if len(k.Retries) > 0 {
		a.Done = []uint64{k.Retries[0].Seq}
	}
	return a
}

func requeueFirst(s *Store) error {
	var seq uint64
	if err := s.DeadLetters(DeadFilter{Kind: schema.DeadDelivery}, func(l *DeadLetter) bool { seq = l.Seq; return false }); err != nil || seq == 0 {
		return err
	}
	_, _, err := s.Requeue(seq)
	return err
}

func dropFirst(s *Store) error {
	var seq uint64
	if err := s.DeadLetters(DeadFilter{}, func(l *DeadLetter) bool { seq = l.Seq; return false }); err != nil || seq == 0 {
		return err
	}
	_, err := s.DropDeadLetters(seq)
	return err
}

// dump renders everything in the database.
func dump(s *Store) (string, error) {
	var b strings.Builder
	err := s.scan([]byte{0}, nil, false, func(k, v []byte) bool {
		fmt.Fprintf(&b, "%q=%q\n", k, v)
		return true
	})
	return b.String(), err
}

// memory renders what the store keeps in memory of the database: it has to be what Open would load.
func memory(s *Store) string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var b strings.Builder
	d := s.dead
	d.oldest = 0 // a hint
	fmt.Fprintf(&b, "last %d %q\nout %+v\ndead %+v\npins %v\n", s.last.seq, s.last.state, s.out, d, s.pins)
	for _, name := range []string{"a", "b"} {
		if k := s.sinks[name]; k != nil {
			fmt.Fprintf(&b, "%s %d %d %d %d %d %v\n", name, k.number, k.cursor, k.block, k.passed, k.retryBytes, k.retries)
		}
	}
	return b.String()
}

// TestKill cuts the power at any operation of the file system, with any part of what was not synced lost: what comes up
// again is the state before or after the write that was under way, as a whole.
func TestKill(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		sc := newScript(rt)
		mem := vfs.NewCrashableMem()
		at := rapid.IntRange(1, 400).Draw(rt, "operation")
		lost := rapid.SampledFrom([]int{0, 30, 70, 100}).Draw(rt, "percent of unsynced data that survives")
		seed := rapid.Uint64().Draw(rt, "seed")
		var after *vfs.MemFS
		acked, n := 0, 0
		// Pebble makes a manifest and the marker that names it durable with one sync of the directory. That is as good as
		// file systems are that keep names in order, but not where any one of two new names may survive: so while the
		// store is being created, all or nothing of what was not synced does.
		opened := lost == 0 || lost == 100
		var mu sync.Mutex // Pebble works in the background too
		hook := errorfs.InjectorFunc(func(op errorfs.Op) error {
			mu.Lock()
			defer mu.Unlock()
			if n++; opened && n >= at && after == nil && op.Kind.ReadOrWrite() == errorfs.OpIsWrite {
				after = mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: lost, RNG: rand.New(rand.NewPCG(seed, 1))})
			}
			return nil
		})
		o := Options{Memory: true, Now: sc.clock.now, DeadCap: 6000, fs: &syncedFS{FS: errorfs.Wrap(mem, hook)}}
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
		checkRevived(rt, after, o, states, acked)
	})
}

// checkRevived opens what a power cut left and compares it with the states that there were.
func checkRevived(rt *rapid.T, after *vfs.MemFS, o Options, states []string, acked int) {
	o.fs = after
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
		rt.Fatalf("the power cut left a state that is none of those from step %d on:\n%s\nwant for example\n%s", from, got, states[from])
	}
}

// harmless says that a script's step could not be done for a reason of its own.
func harmless(err error) bool {
	return strings.Contains(err.Error(), "is not behind the cursor")
}

// syncedFS hides the file system's own type.
type syncedFS struct{ vfs.FS }

// TestDiskErrors lets the disk fail for a while at any operation: calls return errors and can be repeated, and in the end
// the store holds what it would hold without the failure.
func TestDiskErrors(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		sc := newScript(rt)
		from := rapid.IntRange(1, 200).Draw(rt, "operation")
		long := rapid.IntRange(1, 30).Draw(rt, "operations")
		cause := rapid.SampledFrom([]error{syscall.EIO, syscall.ENOSPC}).Draw(rt, "error")
		var n atomic.Int64 // Pebble works in the background too
		var armed atomic.Bool
		mem := vfs.NewCrashableMem()
		hook := errorfs.InjectorFunc(func(op errorfs.Op) error {
			if !armed.Load() || op.Kind.ReadOrWrite() != errorfs.OpIsWrite {
				return nil
			}
			if k := n.Add(1); k >= int64(from) && k < int64(from+long) {
				return cause
			}
			return nil
		})
		o := Options{Memory: true, Now: sc.clock.now, fs: &syncedFS{errorfs.Wrap(mem, hook)}}
		s, err := Open("", o)
		if err != nil {
			rt.Fatalf("open: %v", err)
		}
		armed.Store(true)
		for i, step := range sc.steps {
			s = insist(rt, s, o, i, step)
		}
		got, err := dump(s)
		if err != nil {
			rt.Fatalf("dump: %v", err)
		}
		kept := memory(s)
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
		if m := memory(s); m != kept {
			rt.Fatalf("memory differs from the disk:\n%s\n%s", kept, m)
		}
	})
}

// insist repeats a step until it succeeds, as the engine does; a store that asks for a restart gets one.
func insist(rt *rapid.T, s *Store, o Options, i int, step func(*Store) error) *Store {
	var last error
	for try := range 100 {
		err := step(s)
		last = err
		if err == nil || harmless(err) || try > 0 && strings.Contains(err.Error(), "there is none of that number") {
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

func TestDiskFull(t *testing.T) {
	mem := vfs.NewCrashableMem()
	s := openMemory(t, Options{fs: mem})
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
		t.Errorf("last cut: got %d, want 1", seq)
	}
	mem.TestingSetDiskUsage(vfs.DiskUsage{AvailBytes: 1 << 40, TotalBytes: 1 << 40, UsedBytes: 1})
	mustCommit(t, s, c)
	if err := s.Err(); err != nil {
		t.Errorf("Err when there is room: %v", err)
	}
	mustCommit(t, s, c) // the same cut again does nothing
	if got := s.End(); got != 2 || c.Outbox[0].Seq != 1 {
		t.Errorf("after a repeated commit: end %d, Seq %d; want 2, 1", got, c.Outbox[0].Seq)
	}
	if err := s.Commit(&Checkpoint{Seq: 4}); err == nil || !strings.Contains(err.Error(), "BUG") {
		t.Errorf("commit of a cut out of order: got %v, want a BUG", err)
	}
}
