package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/aidr-engine/aidr/connectors/conntest"
	"github.com/aidr-engine/aidr/schema"
)

var latencyFlag = flag.Bool("latency", false, "measure the time from producing a record to its webhook; takes 30 s")

const (
	latencyRate  = 2000             // records a second
	latencyTime  = 20 * time.Second // duration of the test
	latencyEvery = 20               // one in this many records matches
)

// TestLatency measures p50 and p99 of the time from producing a record to its webhook, at 2,000 records/s. A rule without
// State matches one record in 20, and every match is a finding:
//
//	go test ./cmd/aidr -run TestLatency -latency -v
func TestLatency(t *testing.T) {
	if !*latencyFlag {
		t.Skip("a measurement: ask for it with -latency")
	}
	broker := conntest.StartKafka(t)
	conntest.CreateTopic(t, broker.Addr, "timed", 2)
	rules := t.TempDir()
	rule := "id: test.leak\ntitle: A leak\nseverity: high\nconfidence: 50\nwhen: event.action == \"leak\"\ngroup: {for: 0s, by: [event.id]}\n"
	if err := os.WriteFile(filepath.Join(rules, "leak.yaml"), []byte(rule), 0o600); err != nil {
		t.Fatal(err)
	}
	u := newSetup(t, settings{broker: broker.Addr, topics: []string{"timed"}, idle: time.Minute, session: 10 * time.Second, rules: []string{rules}})
	a := newArrivals()
	u.receiver.arrived = a.arrived
	p := u.start()
	await(t, 30*time.Second, "ready", func() error { p.alive(); return isReady(u.listen) })
	n := a.produce(t, newProducer(t, broker.Addr))
	await(t, 30*time.Second, "all findings arrive", func() error {
		p.alive()
		a.mu.Lock()
		defer a.mu.Unlock()
		if len(a.took) < n {
			return fmt.Errorf("%d of %d", len(a.took), n)
		}
		return nil
	})
	if code := p.terminate(); code != exitOK {
		t.Errorf("exit code after SIGTERM: got %d, want 0", code)
	}
	u.receiver.check(t)
	slices.Sort(a.took)
	at := func(share float64) time.Duration {
		return a.took[int(share*float64(len(a.took)-1))].Round(100 * time.Microsecond)
	}
	t.Logf("%d records/s for %v, %d findings: p50 %v, p90 %v, p99 %v, most %v", latencyRate, latencyTime, n, at(.5), at(.9), at(.99), at(1))
}

// arrivals holds the time that each finding took from its record to the receiver.
type arrivals struct {
	mu   sync.Mutex
	seen map[schema.ID]bool
	took []time.Duration
}

func newArrivals() *arrivals { return &arrivals{seen: map[schema.ID]bool{}} }

// arrived records the first delivery of each finding. The time of the event is that of producing the record.
func (a *arrivals) arrived(d *delivery, at time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if f := &d.Data.Finding; !a.seen[f.ID] {
		a.seen[f.ID] = true
		a.took = append(a.took, at.Sub(time.Unix(0, int64(f.GroupStart))))
	}
}

// produce writes records at a constant rate and returns the number of matching records.
func (a *arrivals) produce(t *testing.T, p *producer) (matches int) {
	t.Helper()
	began := time.Now()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	var failed error
	var mu sync.Mutex
	for n := 0; ; {
		due := int(time.Since(began).Seconds() * latencyRate)
		if due > int(latencyTime.Seconds())*latencyRate {
			break
		}
		for ; n < due; n++ {
			action := "look"
			if n%latencyEvery == 0 {
				action, matches = "leak", matches+1
			}
			body, err := json.Marshal(map[string]any{
				"time": time.Now().UTC().Format(time.RFC3339Nano), "event.dataset": "x.test", "event.class": "api", "event.id": fmt.Sprintf("e%d", n),
				"event.action": action, "ai_agent.uid": fmt.Sprintf("agent-%d", n%50), "http.request.method": "GET", "url.path": "/v1/orders/17",
				"source.ip": "203.0.113.9", "user_agent.original": "agent/1.0 (a client with a long description)",
				"http.response.status_code": 200,
			})
			if err != nil {
				t.Fatal(err)
			}
			p.client.Produce(t.Context(), &kgo.Record{Topic: "timed", Partition: int32(n % 2), Value: body}, func(_ *kgo.Record, err error) {
				mu.Lock()
				defer mu.Unlock()
				if err != nil {
					failed = err
				}
			})
		}
		<-tick.C
	}
	if err := p.client.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	mu.Lock()
	defer mu.Unlock()
	if failed != nil {
		t.Fatal(failed)
	}
	return matches
}
