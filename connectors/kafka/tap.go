package kafka

import (
	"context"
	"fmt"
	"sync"

	"github.com/aidr-engine/aidr/connectors"
)

// Tap reads every partition of the chosen topics from the configured start without joining the group: it does not take
// partitions from a member and does not commit. It ends when ctx ends, and with the first error of r.
func (s *Source) Tap(ctx context.Context, r connectors.Reader) error {
	defer s.transport.CloseIdleConnections()
	tapCtx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var all sync.WaitGroup
	running := map[connectors.Partition]bool{}
	for tapCtx.Err() == nil {
		found := s.awaitTopics(tapCtx)
		for topic, partitions := range found {
			for n := range partitions {
				p := s.partitionOf(topic, n)
				if !running[p] {
					running[p] = true
					all.Go(func() { s.tap(tapCtx, stop, p, r) })
				}
			}
		}
		s.watch(tapCtx, found)
	}
	all.Wait()
	if ctx.Err() != nil {
		return nil
	}
	return context.Cause(tapCtx)
}

// tap reads one partition.
func (s *Source) tap(ctx context.Context, stop context.CancelCauseFunc, p connectors.Partition, r connectors.Reader) {
	f := newFetcher(s, p, unknown)
	if !s.resolvePosition(ctx, f) {
		return
	}
	if err := f.run(ctx, r); err != nil {
		stop(fmt.Errorf("read %s/%d: %w", p.Topic, p.Number, err))
	}
}
