package pipeline

import (
	"context"
	"errors"
	"testing"

	"github.com/aidr-engine/aidr/connectors"
)

// TestStopBeforeOpen: a source to which nothing was assigned because aidr stops learns that it stops, however long that
// takes to reach it, and not that the engine is not open.
func TestStopBeforeOpen(t *testing.T) {
	run, stop := context.WithCancel(t.Context())
	stop()
	source, end := context.WithCancel(t.Context())
	r := &reader{new(Pipeline), run}
	done := make(chan error)
	go func() { done <- r.Read(source, &connectors.Batch{}) }()
	go end()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("read: got %v, want %v", err, context.Canceled)
	}
}
