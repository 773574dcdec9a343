package deliver

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/schema"
)

const (
	endpointFindings = 10_000 // for each of ten endpoints: 100,000 deliveries
	endpointBatch    = 50     // findings of one checkpoint
	endpointDead     = 3      // endpoints that are dead
)

// farSink is an endpoint that answers within milliseconds, or is dead: then each Write hangs until the timeout of a webhook.
type farSink struct {
	testSink
	mu      sync.Mutex
	dead    bool
	arrived map[schema.ID][]time.Time
}

func (s *farSink) Write(ctx context.Context, entries []connectors.Entry) error {
	s.mu.Lock()
	dead := s.dead
	s.mu.Unlock()
	if dead {
		select {
		case <-time.After(15 * time.Second):
		case <-ctx.Done():
		}
		return errors.New("no answer")
	}
	time.Sleep(2 * time.Millisecond)
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range entries {
		s.take(e)
		s.arrived[e.Finding.ID] = append(s.arrived[e.Finding.ID], time.Now())
	}
	return nil
}

// runEndpoints delivers all findings to ten endpoints, of which some are dead until the end, and returns the 99th percentile of the
// time from the checkpoint to the arrival at the others.
func runEndpoints(t *testing.T, dead int) (p99 time.Duration) {
	synctest.Test(t, func(t *testing.T) {
		var sinks []connectors.Sink
		var all []*farSink
		for i := range 10 {
			s := &farSink{testSink: testSink{name: fmt.Sprintf("e%d", i)}, dead: i < dead, arrived: map[schema.ID][]time.Time{}}
			all, sinks = append(all, s), append(sinks, s)
		}
		v := deliver(t, sinks...)
		committed := map[schema.ID]time.Time{}
		for n := 0; n < endpointFindings; n += endpointBatch {
			var changes []string
			for i := range endpointBatch {
				changes = append(changes, fmt.Sprintf("%d opened", n+i))
			}
			now := time.Now()
			for _, e := range v.commit(changes...) {
				committed[e.Finding.ID] = now
			}
			v.after(250 * time.Millisecond)
		}
		var took []time.Duration
		for _, s := range all[dead:] {
			if len(s.arrived) != endpointFindings {
				t.Errorf("%s has %d findings while %d endpoints are dead, want %d", s.name, len(s.arrived), dead, endpointFindings)
			}
			for id, at := range s.arrived {
				took = append(took, at[0].Sub(committed[id]))
			}
		}
		slices.Sort(took)
		p99 = took[len(took)*99/100]
		for _, s := range all[:dead] {
			if len(s.arrived) > 0 {
				t.Errorf("the dead endpoint %s has %d findings", s.name, len(s.arrived))
			}
			s.mu.Lock()
			s.dead = false
			s.mu.Unlock()
		}
		v.after(10 * time.Minute)
		for _, s := range all {
			if len(s.arrived) != endpointFindings || s.clash != "" {
				t.Errorf("%s has %d findings, want %d; id and revision with two bodies: %q", s.name, len(s.arrived), endpointFindings, s.clash)
			}
		}
		if err := v.stop(); err != nil {
			t.Error(err)
		}
	})
	return p99
}

// TestDeadEndpointsSlowNobody: of 100,000 deliveries to ten endpoints, three of which are dead, nothing is lost, and the others get
// theirs within twice the time, by the clock of the test.
func TestDeadEndpointsSlowNobody(t *testing.T) {
	healthy, beside := runEndpoints(t, 0), runEndpoints(t, endpointDead)
	t.Logf("p99 from the checkpoint to the arrival: %v without dead endpoints, %v beside %d", healthy, beside, endpointDead)
	if beside > 2*healthy {
		t.Errorf("p99 %v beside dead endpoints, want at most twice %v", beside, healthy)
	}
}
