package store

import (
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"pgregory.net/rapid"
)

// TestOpenOnABadDisk lets the disk fail while the store is opened, several times in a row. Open then fails, and may be
// repeated. Nothing that was durable is lost.
func TestOpenOnABadDisk(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		sc := newScript(rt)
		mem := vfs.NewCrashableMem()
		var n, from, to atomic.Int64 // Pebble also works in the background
		reads := rapid.Bool().Draw(rt, "reads fail too")
		cause := rapid.SampledFrom([]error{syscall.EIO, syscall.ENOSPC}).Draw(rt, "error")
		hook := errorfs.InjectorFunc(func(op errorfs.Op) error {
			if op.Kind == errorfs.OpFileClose || op.Kind == errorfs.OpGetDiskUsage || !reads && op.Kind.ReadOrWrite() == errorfs.OpIsRead {
				return nil
			}
			if k := n.Add(1); k >= from.Load() && k < to.Load() {
				return cause
			}
			return nil
		})
		o := Options{Memory: true, Now: sc.clock.now, FS: &syncedFS{FS: errorfs.Wrap(mem, hook)}}
		s, err := Open("", o)
		if err != nil {
			rt.Fatalf("open: %v", err)
		}
		for i, step := range sc.steps {
			if err := step(s); err != nil && !harmless(err) {
				rt.Fatalf("step %d: %v", i, err)
			}
		}
		want, err := dump(s)
		if err != nil {
			rt.Fatalf("dump: %v", err)
		}
		if err := s.Close(); err != nil {
			rt.Fatalf("close: %v", err)
		}
		for range rapid.IntRange(1, 6).Draw(rt, "openings") {
			first := n.Load() + int64(rapid.IntRange(1, 120).Draw(rt, "operation"))
			from.Store(first)
			to.Store(first + int64(rapid.IntRange(1, 30).Draw(rt, "operations")))
			if s, err := Open("", o); err == nil {
				_ = s.Close()
			}
		}
		to.Store(0)
		s, err = Open("", o)
		if err != nil {
			rt.Fatalf("open on a good disk: %v", err)
		}
		defer s.Close()
		if got, err := dump(s); err != nil || got != want {
			rt.Fatalf("the store differs after it was opened on a bad disk (%v):\n%s\nwant\n%s", err, got, want)
		}
	})
}
