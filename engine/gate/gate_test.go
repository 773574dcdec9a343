package gate

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/schema"
)

func partition(n int32) connectors.Partition {
	return connectors.Partition{Source: "s", Topic: "t", Number: n}
}

// waiting starts Pass and returns its result; it must be called in a synctest bubble.
func waiting(ctx context.Context, g *Gate, p connectors.Partition) (done func() (error, bool)) {
	result := make(chan error, 1)
	go func() { result <- g.Pass(ctx, p) }()
	return func() (error, bool) {
		synctest.Wait()
		select {
		case err := <-result:
			return err, true
		default:
			return nil, false
		}
	}
}

// TestPass checks which partitions wait: a partition that is too far ahead of another one with a backlog, and all
// partitions while the gate is closed.
func TestPass(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := New(time.Minute)
		at := func(d time.Duration) schema.Instant { return schema.Instant(time.Hour + d) }
		g.Move(partition(0), at(0), true)
		g.Move(partition(1), at(2*time.Minute), true)
		if err := g.Pass(t.Context(), partition(0)); err != nil || !g.Holds(partition(1)) || g.Holds(partition(0)) {
			t.Errorf("the slowest: %v", err)
		}
		ahead := waiting(t.Context(), g, partition(1))
		if _, done := ahead(); done {
			t.Error("the partition ahead passed")
		}
		g.Move(partition(0), at(time.Minute), true)
		if err, done := ahead(); !done || err != nil {
			t.Errorf("after the slowest moved: %v, %v", err, done)
		}

		g.Set("no room")
		closed := waiting(t.Context(), g, partition(0))
		if _, done := closed(); done || g.Why() != "no room" {
			t.Errorf("a closed gate let a partition pass: %q", g.Why())
		}
		g.Set("")
		if err, done := closed(); !done || err != nil {
			t.Errorf("after the gate opened: %v, %v", err, done)
		}
	})
}

// TestEnd checks that waiting ends with the gate and with the context.
func TestEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := New(time.Minute)
		g.Set("no room")
		ctx, cancel := context.WithCancel(t.Context())
		canceled, ended := waiting(ctx, g, partition(0)), waiting(t.Context(), g, partition(1))
		cancel()
		if err, done := canceled(); !done || !errors.Is(err, context.Canceled) {
			t.Errorf("canceled: %v, %v", err, done)
		}
		if _, done := ended(); done {
			t.Error("another context ended the wait")
		}
		g.End()
		if err, done := ended(); !done || !errors.Is(err, ErrEnded) {
			t.Errorf("ended: %v, %v", err, done)
		}
	})
}

// TestIdlePartitionsHoldNobody checks that a partition without a backlog, or without a first record, holds none back.
func TestIdlePartitionsHoldNobody(t *testing.T) {
	g := New(time.Minute)
	g.Move(partition(0), schema.Instant(time.Second), true)
	g.Move(partition(1), schema.Instant(time.Hour), true)
	g.Move(partition(2), schema.MinInstant, true)
	if !g.Holds(partition(1)) || g.Holds(partition(2)) {
		t.Error("the partition ahead is not held, or one without a record is")
	}
	g.Move(partition(0), 0, false)
	if g.Holds(partition(1)) {
		t.Error("a partition that is read to its end holds another one back")
	}
}
