package pipeline

import (
	"context"
	"errors"
	"testing"

	"github.com/aidr-engine/aidr/connectors"
)

// TestStopBeforeOpen checks that a source which was assigned nothing because aidr stops gets the error of its context,
// however late that is cancelled, and not errNotOpen.
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
