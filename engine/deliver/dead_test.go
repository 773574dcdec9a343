package deliver

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/engine/store"
	"github.com/aidr-engine/aidr/schema"
)

// deadSink is a sink of dead letters.
type deadSink struct {
	testSink
	mu     sync.Mutex
	down   bool
	copied []uint64
}

func (s *deadSink) Profile() connectors.Profile {
	return connectors.Profile{DeadLetters: func(_ context.Context, list []connectors.DeadLetter) error {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.down {
			return errors.New("the brokers are away")
		}
		for _, d := range list {
			if d.Kind != schema.DeadRecord || d.Origin != "logs" || !strings.Contains(string(d.JSON), `"reason":"syntax"`) {
				return errors.New("not the dead letter: " + string(d.JSON))
			}
			s.copied = append(s.copied, d.Seq)
		}
		return nil
	}}
}

func (s *deadSink) take() (out []uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	out, s.copied = s.copied, nil
	return out
}

func (s *deadSink) set(down bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.down = down
}

// TestDeadLettersAreCopied: a new sink gets the dead letters from then on, in order, through an outage and a restart.
func TestDeadLettersAreCopied(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &deadSink{testSink: testSink{name: "kafka"}}
		v := deliver(t) // without the sink
		dead := func(n int) {
			t.Helper()
			v.seq++
			list := make([]store.DeadLetter, n)
			for i := range list {
				list[i] = store.DeadLetter{Kind: schema.DeadRecord, Reason: "syntax", Source: "logs", Body: "{"}
			}
			if err := v.store.Commit(&store.Checkpoint{Seq: v.seq, Dead: list}); err != nil {
				t.Fatal(err)
			}
		}
		restart := func(sinks ...connectors.Sink) {
			t.Helper()
			ctx, cancel := context.WithTimeout(context.Background(), DrainTime)
			defer cancel()
			if err := v.d.Drain(ctx); err != nil {
				t.Fatal(err)
			}
			v.start(sinks...)
		}
		want := func(name string, from, to uint64) {
			t.Helper()
			time.Sleep(time.Minute)
			var all []uint64
			for n := from; n <= to; n++ {
				all = append(all, n)
			}
			if got := s.take(); !slices.Equal(got, all) {
				t.Errorf("%s: got %v, want %d to %d", name, got, from, to)
			}
		}
		dead(3)
		restart(s)
		want("from before the sink was added", 1, 0)
		dead(250)
		want("more than one call", 4, 253)
		s.set(true)
		dead(2)
		want("an outage", 1, 0)
		restart(s)
		s.set(false)
		want("after the outage and a restart", 254, 255)
		if err := v.stop(); err != nil {
			t.Error(err)
		}
	})
}
