package deliver

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/schema"
)

// testSink is a sink in memory. answer returns the result of Write; if answer is nil, every Write succeeds.
type testSink struct {
	name   string
	answer func(entries []connectors.Entry) error

	mu     sync.Mutex
	writes [][]connectors.Entry
	got    []string // "seq type" of each delivered entry, in order
	bodies map[string]string
	clash  string // id/revision of a finding that came with two different bodies
	health connectors.Health
}

func (s *testSink) Name() string { return s.name }
func (s *testSink) Close() error { return nil }

// Health implements connectors.Sink.
func (s *testSink) Health() connectors.Health {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.health
}

func (s *testSink) setHealth(h connectors.Health) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.health = h
}

// Profile implements connectors.Sink with the defaults of an endpoint that wants findings.
func (s *testSink) Profile() connectors.Profile {
	return connectors.Profile{Wants: func(e connectors.Entry) bool { return e.Finding != nil }}
}

func (s *testSink) Write(ctx context.Context, entries []connectors.Entry) error {
	s.mu.Lock()
	s.writes = append(s.writes, slices.Clone(entries))
	answer := s.answer
	s.mu.Unlock()
	var err error
	if answer != nil {
		err = answer(entries)
	}
	var p *connectors.Partial
	if err != nil && !errors.As(err, &p) {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range entries {
		if p == nil || !slices.ContainsFunc(p.Entries, func(u connectors.Undelivered) bool { return u.Seq == e.Seq }) {
			s.take(e)
		}
	}
	return err
}

// take records a delivered entry. The caller holds mu.
func (s *testSink) take(e connectors.Entry) {
	s.got = append(s.got, fmt.Sprintf("%d %s", e.Seq, strings.TrimPrefix(string(e.Type), "finding.")))
	key := fmt.Sprintf("%s/%d", e.Finding.ID, e.Finding.Revision)
	body, err := json.Marshal(e.Finding)
	if err != nil {
		s.clash = err.Error()
	}
	if s.bodies == nil {
		s.bodies = map[string]string{}
	}
	if old, ok := s.bodies[key]; ok && old != string(body) {
		s.clash = key
	}
	s.bodies[key] = string(body)
}

// taken returns the delivered entries as "seq type", in order.
func (s *testSink) taken() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.got, ", ")
}

func (s *testSink) setAnswer(answer func([]connectors.Entry) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answer = answer
}

// attempts returns the entries of each Write as "seq", or as "seq#attempt" after failed attempts.
func (s *testSink) attempts() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []string
	for _, w := range s.writes {
		var one []string
		for _, e := range w {
			if t := fmt.Sprint(e.Seq); e.Attempt > 0 {
				one = append(one, fmt.Sprintf("%s#%d", t, e.Attempt))
			} else {
				one = append(one, t)
			}
		}
		all = append(all, strings.Join(one, " "))
	}
	return all
}

// tableSink is a sink of rows.
type tableSink struct {
	testSink
	most   int
	linger time.Duration
}

// Profile implements connectors.Sink.
func (s *tableSink) Profile() connectors.Profile {
	return connectors.Profile{Dead: schema.DeadRow, MaxEntries: s.most, MaxBytes: 1 << 20, Linger: s.linger}
}

// endpointSink is a sink of deliveries, like a webhook, that does not want shadow findings.
type endpointSink struct {
	testSink
	cap   int64
	every time.Duration
}

// Profile implements connectors.Sink.
func (s *endpointSink) Profile() connectors.Profile {
	return connectors.Profile{OutboxCap: s.cap, UpdateEvery: s.every, Wants: func(e connectors.Entry) bool {
		return e.Type != "" && !e.Finding.Shadow
	}}
}
