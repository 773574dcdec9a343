package budget

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

const mib = 1 << 20

// TestNoLimit checks that a budget without a limit only counts.
func TestNoLimit(t *testing.T) {
	b := New(0, time.Now, func() { t.Error("asked for a checkpoint") })
	b.Add(Dirty, 1<<50)
	b.AwaitRoute()
	if b.Used(Dirty) != 1<<50 || b.Pressed() {
		t.Errorf("got %d bytes, pressed %t", b.Used(Dirty), b.Pressed())
	}
	if _, ok := b.Cells(2); ok {
		t.Error("cells have a share of no limit")
	}
}

// TestLanesWaitForACheckpoint checks that a lane waits while changes and the checkpoint under way fill their share, that
// the wait asks for a checkpoint, and that a long wait is reported and ends when the checkpoint is durable.
func TestLanesWaitForACheckpoint(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		urged := 0
		b := New(64*mib, time.Now, func() { urged++ })
		b.Add(Dirty, 3*mib)
		b.AwaitRoute()
		if urged != 0 {
			t.Error("asked for a checkpoint too soon")
		}
		b.Add(Dirty, 6*mib)
		if urged == 0 || !b.Pressed() {
			t.Error("asked for no checkpoint")
		}
		passed := make(chan bool)
		go func() { b.AwaitRoute(); close(passed) }()
		synctest.Wait()
		b.Add(Checkpoint, 9*mib)
		b.Add(Dirty, -9*mib)
		time.Sleep(LongWait)
		synctest.Wait()
		select {
		case <-passed:
			t.Fatal("the lane did not wait for the checkpoint under way")
		default:
		}
		if why := b.Why(); !strings.Contains(why, "64 MiB") {
			t.Errorf("after a long wait: got reason %q", why)
		}
		if pressed, changed := b.Pressure(); !pressed || !changed {
			t.Errorf("pressure: got %t, changed %t", pressed, changed)
		}
		b.Add(Checkpoint, -9*mib)
		<-passed
		if why := b.Why(); why != "" {
			t.Errorf("after the wait: got reason %q", why)
		}
		time.Sleep(quiet)
		if pressed, changed := b.Pressure(); pressed || !changed {
			t.Errorf("pressure when it is over: got %t, changed %t", pressed, changed)
		}
	})
}

// TestWaitsEnd checks that the end of a context and of the engine ends waits.
func TestWaitsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := New(64*mib, time.Now, func() {})
		b.Add(Lanes, 5*mib)
		ctx, cancel := context.WithCancel(t.Context())
		got := make(chan error, 1)
		go func() { got <- b.AwaitRead(ctx) }()
		synctest.Wait()
		cancel()
		if err := <-got; !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
		go func() { got <- b.AwaitRead(t.Context()) }()
		synctest.Wait()
		b.End()
		if err := <-got; err != nil {
			t.Errorf("got %v", err)
		}
	})
}
