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

// scriptedReceiver is a round tripper that answers requests with given statuses, and with 200 after the last of them.
type scriptedReceiver struct {
	mu       sync.Mutex
	statuses []int             // of the next requests; 0 means no answer
	accepted []string          // webhook-ids, in order
	bodies   map[string]string // of every request, by webhook-id
	changed  string            // a webhook-id that came with two bodies; "" if none did
}

func (receiver *scriptedReceiver) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	receiver.mu.Lock()
	defer receiver.mu.Unlock()
	id, status := r.Header.Get(HeaderID), http.StatusOK
	if len(receiver.statuses) > 0 {
		status, receiver.statuses = receiver.statuses[0], receiver.statuses[1:]
	}
	if before, ok := receiver.bodies[id]; ok && before != string(body) {
		receiver.changed = id
	}
	receiver.bodies[id] = string(body)
	if status == 0 {
		return nil, io.ErrUnexpectedEOF
	}
	if status <= 299 {
		receiver.accepted = append(receiver.accepted, id)
	}
	return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader("")), Request: r}, nil
}

// TestAnyReceiver plays a deliverer against a receiver with random statuses. In the end every entry is accepted or a dead
// letter, the entries of one finding were accepted in order, and no webhook-id came with two bodies.
func TestAnyReceiver(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		receiver := &scriptedReceiver{
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
		s.client.Transport = receiver
		var waiting []connectors.Entry
		revisions := map[int]uint64{}
		for seq := range rapid.IntRange(1, 30).Draw(r, "entries") {
			n := rapid.IntRange(0, 4).Draw(r, "finding")
			revisions[n]++
			waiting = append(waiting, connectors.Entry{Seq: uint64(seq + 1), Type: connectors.FindingUpdated, Finding: finding(n, revisions[n])})
		}
		want := len(waiting)
		dead := playDeliverer(r, s, waiting)
		checkReceiver(r, receiver, want, dead)
	})
}

// playDeliverer writes until no entry waits, without pauses, and returns the number of dead letters.
func playDeliverer(r *rapid.T, s *Sink, waiting []connectors.Entry) (dead int) {
	for range 1000 {
		if len(waiting) == 0 {
			return dead
		}
		s.breaker.mu.Lock()
		s.breaker.until = time.Time{} // as if the pause had passed
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
		var retry []connectors.Entry
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
				retry = append(retry, e)
			}
		}
		if len(failed) > 0 {
			r.Fatalf("the Partial names entries that were not written: %v", failed)
		}
		waiting = retry
	}
	r.Fatal("entries still wait after 1,000 writes")
	return 0
}

func checkReceiver(r *rapid.T, receiver *scriptedReceiver, want, dead int) {
	if receiver.changed != "" {
		r.Fatalf("%s came with two bodies", receiver.changed)
	}
	if len(receiver.accepted)+dead != want {
		r.Fatalf("%d entries were accepted and %d are dead letters, want %d together", len(receiver.accepted), dead, want)
	}
	last := map[string]uint64{}
	for _, id := range receiver.accepted {
		var revision uint64
		parts := strings.Split(id, "_")
		if _, err := fmt.Sscan(parts[2], &revision); err != nil {
			r.Fatal(err)
		}
		if revision <= last[parts[1]] {
			r.Fatalf("revision %d of %s was accepted after revision %d", revision, parts[1], last[parts[1]])
		}
		last[parts[1]] = revision
	}
}
