package engine

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/schema"
)

// simSink is a destination that survives the processes.
type simSink struct {
	name  string
	rows  bool          // a table; else an endpoint
	every time.Duration // the least time between two updates of one finding

	mu       sync.Mutex
	mood     simMood
	latest   map[schema.ID]*schema.Finding
	bodies   map[string]string
	conflict error
}

// simMood is how a sink fails.
type simMood struct {
	unreachable bool
	lies        int // each n-th Write delivers everything and reports an error
	refuses     int // each n-th entry is refused for now
	slow        time.Duration
}

func (s *simSink) set(m simMood) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mood = m
}

// of returns the sink as a process sees it.
func (s *simSink) of(l *simLife) connectors.Sink { return &simWriter{simSink: s, life: l} }

type simWriter struct {
	*simSink
	life   *simLife
	writes int
}

func (s *simWriter) Name() string              { return s.name }
func (s *simWriter) Health() connectors.Health { return connectors.Health{} }
func (s *simWriter) Close() error              { return nil }

func (s *simWriter) Profile() connectors.Profile {
	if s.rows {
		return connectors.Profile{Dead: schema.DeadRow, MaxEntries: 3, Linger: 500 * time.Millisecond}
	}
	return connectors.Profile{Wants: func(e connectors.Entry) bool { return e.Type != "" }, UpdateEvery: s.every}
}

func (s *simWriter) Write(ctx context.Context, entries []connectors.Entry) error {
	s.mu.Lock()
	mood := s.mood
	s.mu.Unlock()
	if mood.slow > 0 {
		select {
		case <-time.After(mood.slow):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if mood.unreachable || s.life.dead.Load() {
		return errors.New("connection refused")
	}
	s.writes++
	var p connectors.Partial
	refused := map[schema.ID]bool{}
	for _, e := range entries {
		switch {
		case refused[e.ID()]:
			p.Entries = append(p.Entries, connectors.Undelivered{Seq: e.Seq, Held: true, Reason: connectors.ReasonHeld})
		case mood.refuses > 0 && (int(e.Seq)+e.Attempt)%mood.refuses == 0:
			refused[e.ID()] = true
			p.Entries = append(p.Entries, connectors.Undelivered{Seq: e.Seq, Reason: "http_503", After: 5 * time.Second})
		default:
			s.take(e)
		}
	}
	if mood.lies > 0 && s.writes%mood.lies == 0 {
		return errors.New("connection reset by peer")
	}
	if len(p.Entries) > 0 {
		return &p
	}
	return nil
}

// take stores the highest revision of each finding, as ReplacingMergeTree does.
func (s *simSink) take(e connectors.Entry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e.Finding == nil {
		return
	}
	if s.latest == nil {
		s.latest, s.bodies = map[schema.ID]*schema.Finding{}, map[string]string{}
	}
	key, body := fmt.Sprintf("%s/%d", e.Finding.ID, e.Finding.Revision), simBody(e.Finding)
	if old, ok := s.bodies[key]; ok && old != body {
		s.conflict = fmt.Errorf("two bodies of %s:\n%s\n%s", key, old, body)
	}
	s.bodies[key] = body
	if old := s.latest[e.Finding.ID]; old == nil || old.Revision <= e.Finding.Revision {
		s.latest[e.Finding.ID] = e.Finding
	}
}

// check compares the findings that were not withdrawn with those of the reference.
func (s *simSink) check(want string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conflict != nil {
		return s.conflict
	}
	var list []*schema.Finding
	for _, f := range s.latest {
		if f.Status != schema.StatusWithdrawn && !f.Operational {
			list = append(list, f)
		}
	}
	got, _ := splitLosses(render(list))
	if got != want {
		return fmt.Errorf("want:\n%sgot:\n%s", want, got)
	}
	return nil
}
