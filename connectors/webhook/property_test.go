package webhook

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/aidr-engine/aidr/connectors"
)

// moods is a round tripper in place of a receiver: it answers with the next of its statuses, 0 meaning no answer.
type moods struct {
	mu       sync.Mutex
	statuses []int
	got      []string          // webhook-ids that were accepted, in order
	bodies   map[string]string // of every request
	twice    string
}

func (m *moods) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	id, status := r.Header.Get(HeaderID), http.StatusOK
	if len(m.statuses) > 0 {
		status, m.statuses = m.statuses[0], m.statuses[1:]
	}
	if before, ok := m.bodies[id]; ok && before != string(body) {
		m.twice = id
	}
	m.bodies[id] = string(body)
	if status == 0 {
		return nil, io.ErrUnexpectedEOF
	}
	if status <= 299 {
		m.got = append(m.got, id)
	}
	return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader("")), Request: r}, nil
}

// TestAnyReceiver plays a deliverer against a receiver of any mood: every entry is accepted or dead in the end, those of
// one finding in order, and no webhook-id has two bodies.
func TestAnyReceiver(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		m := &moods{
			statuses: rapid.SliceOfN(rapid.SampledFrom([]int{200, 204, 0, 0, 500, 503, 429, 302, 400, 422}), 0, 60).Draw(r, "statuses"),
			bodies:   map[string]string{},
		}
		c := Config{Name: "soc", URL: "https://example.com/", Secrets: []string{secretA}}
		c.Concurrency = rapid.IntRange(1, 4).Draw(r, "concurrency")
		c.Retries = make([]time.Duration, rapid.IntRange(0, 3).Draw(r, "retries"))
		for i := range c.Retries {
			c.Retries[i] = time.Second
		}
		s, err := New(c)
		if err != nil {
			r.Fatal(err)
		}
		s.client.Transport = m
		var waiting []connectors.Entry
		revisions := map[int]uint64{}
		for seq := range rapid.IntRange(1, 30).Draw(r, "entries") {
			n := rapid.IntRange(0, 4).Draw(r, "finding")
			revisions[n]++
			waiting = append(waiting, connectors.Entry{Seq: uint64(seq + 1), Type: connectors.FindingUpdated, Finding: finding(n, revisions[n])})
		}
		want := len(waiting)
		dead := playDeliverer(r, s, waiting)
		checkMoods(r, m, want, dead)
	})
}

// playDeliverer writes until nothing waits, with no pauses, and returns how many entries are dead.
func playDeliverer(r *rapid.T, s *Sink, waiting []connectors.Entry) (dead int) {
	for range 1000 {
		if len(waiting) == 0 {
			return dead
		}
		s.breaker.mu.Lock()
		s.breaker.until = time.Time{} // every pause is over
		s.breaker.mu.Unlock()
		err := s.Write(context.Background(), waiting)
		if err == nil {
			return dead
		}
		p, ok := err.(*connectors.Partial)
		if !ok {
			r.Fatalf("got %v, want a Partial", err)
		}
		failed := map[uint64]connectors.Undelivered{}
		for _, u := range p.Entries {
			failed[u.Seq] = u
		}
		var again []connectors.Entry
		for _, e := range waiting {
			u, bad := failed[e.Seq]
			delete(failed, e.Seq)
			switch {
			case bad && u.Poison:
				dead++
			case bad:
				if !u.Held {
					e.Attempt++
				}
				again = append(again, e)
			}
		}
		if len(failed) > 0 {
			r.Fatalf("entries are named that were not handed in: %v", failed)
		}
		waiting = again
	}
	r.Fatal("it never comes to an end")
	return 0
}

func checkMoods(r *rapid.T, m *moods, want, dead int) {
	if m.twice != "" {
		r.Fatalf("%s has two bodies", m.twice)
	}
	if len(m.got)+dead != want {
		r.Fatalf("got %d accepted and %d dead of %d", len(m.got), dead, want)
	}
	last := map[string]uint64{}
	for _, id := range m.got {
		var revision uint64
		parts := strings.Split(id, "_")
		if _, err := fmt.Sscan(parts[2], &revision); err != nil {
			r.Fatal(err)
		}
		if revision <= last[parts[1]] {
			r.Fatalf("revision %d of %s after %d", revision, parts[1], last[parts[1]])
		}
		last[parts[1]] = revision
	}
}
