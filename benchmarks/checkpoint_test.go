//go:build linux

package benchmarks

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/connectors/webhook"
	"github.com/aidr-engine/aidr/engine"
	"github.com/aidr-engine/aidr/engine/deliver"
	"github.com/aidr-engine/aidr/engine/store"
	"github.com/aidr-engine/aidr/rules"
	"github.com/aidr-engine/aidr/schema"
	"github.com/aidr-engine/aidr/schema/content"
	"github.com/aidr-engine/aidr/schema/decode"
)

// feed hands batches of events of a number of agents to an engine, between two calls of a function.
type feed struct {
	agentSource
	between func(n int) // called before event n is read
	size    int         // of a batch
	record  func(n int) string
}

func (s *feed) Run(ctx context.Context, r connectors.Reader) error {
	p := connectors.Partition{Source: "bench", Topic: "t"}
	r.Assigned(p)
	for n := 0; n < s.events; n += s.size {
		s.between(n)
		b := &connectors.Batch{Partition: p, Next: int64(n + s.size), HighWater: -1}
		var raw strings.Builder
		for i := n; i < n+s.size; i++ {
			begin := raw.Len()
			raw.WriteString(s.record(i))
			b.Records = append(b.Records, connectors.Record{Start: begin, End: raw.Len(), Offset: int64(i)})
		}
		b.Raw = raw.String()
		if err := r.Read(ctx, b); err != nil {
			return err
		}
	}
	return r.Revoked(context.WithoutCancel(ctx), p)
}

// BenchmarkCheckpoint measures the cost of checkpoints at 30,000 dirty keys a second: the same events, each of another key,
// with a checkpoint for 7,500 dirty keys, which are 250 ms, and with the last one alone. Each event makes its key dirty
// twice, when it comes and when the watermark passes it. The cost is the CPU time, in user and in kernel space: of a
// second of one core at that rate, and of all CPU time:
//
//	go test ./benchmarks -run xxx -bench Checkpoint -benchtime 3x
func BenchmarkCheckpoint(b *testing.B) {
	const events, keys, perCheckpoint, batch = 150_000, 100_000, 3_750, 750
	set := loadAgentRules(b, "threshold")
	run := func(every bool) (cpu time.Duration) {
		st, err := store.Open(b.TempDir(), store.Options{})
		if err != nil {
			b.Fatal(err)
		}
		defer st.Close()
		var e *engine.Engine
		start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
		src := &feed{agentSource: agentSource{events: events}, size: batch}
		src.record = func(n int) string {
			return fmt.Sprintf(`{"event.dataset":"litellm","event.class":"tool","time":"%s","event.action":"call","ai_agent.uid":"agent-%d",`+
				`"http.request.id":"%d"}`, start.Add(time.Duration(n)*time.Second/15_000).Format(time.RFC3339Nano), n%keys, n)
		}
		src.between = func(n int) {
			if every && n > 0 && n%perCheckpoint == 0 {
				if err := e.Checkpoint(b.Context()); err != nil {
					b.Fatal(err)
				}
			}
		}
		e, err = engine.New(engine.Options{
			Set: set, Store: st, Memory: 16 << 30, CheckpointEvery: time.Hour, Redact: content.Redact,
			Inputs: []engine.Input{{Source: src, Decode: decode.Options{Format: "aidr"}, Datasets: []string{"litellm"},
				Delays: map[string]time.Duration{"litellm": time.Second}}},
		})
		if err != nil {
			b.Fatal(err)
		}
		before := cpuTime(b)
		if err := src.Run(b.Context(), e); err != nil {
			b.Fatal(err)
		}
		if err := e.Stop(context.Background()); err != nil {
			b.Fatal(err)
		}
		return cpuTime(b) - before
	}
	var with, without []time.Duration
	for b.Loop() {
		with, without = append(with, run(true)), append(without, run(false))
	}
	slices.Sort(with)
	slices.Sort(without)
	m := len(with) / 2
	b.ReportMetric(float64(with[m].Nanoseconds())/events, "cpu-ns/event")
	b.ReportMetric(100*(float64(with[m])/float64(without[m])-1), "%cpu-of-checkpoints")
	b.ReportMetric(100*(with[m]-without[m]).Seconds()/(events/15_000), "%of-a-core")
}

// BenchmarkFindingLatency measures the time from reading an event to the receipt of its finding by a webhook over loopback,
// with the real engine, store and deliverer: first the highest rate of events, then the 99th percentiles at half of it. The
// highest rate is one that lasts: over 2 million events the garbage collector and the store's flushes and compactions take
// their part, which the first half second does not show. Half of it lasts longer than the delay of the dataset, so that the
// number of pending items reaches its steady state. Critical findings are rare, so most other findings wait for a regular
// checkpoint.
//
//	go test ./benchmarks -run xxx -bench FindingLatency -benchtime 1x
func BenchmarkFindingLatency(b *testing.B) {
	dir := b.TempDir()
	writeRule := func(name, text string) {
		writeFile(b, dir+"/"+name+".yaml", text)
	}
	writeRule("critical", "id: b.critical\ntitle: t\nseverity: critical\nconfidence: 50\nwhen: event.action == \"critical\"\n")
	writeRule("low", "id: b.low\ntitle: t\nseverity: low\nconfidence: 50\nwhen: event.action == \"low\"\n")
	writeRule("many", "id: b.many\ntitle: t\nseverity: low\nconfidence: 50\nwhen: event.class == \"tool\"\n"+
		"threshold: {count: 1000, within: 1h, by: [ai_agent.uid]}\n")
	set, problems := rules.Load(rules.Options{}, dir)
	if set == nil {
		b.Fatal(problems)
	}
	for b.Loop() {
		most := measureLatency(b, set, 2_000_000, 0, nil)
		runtime.GC() // what the first engine held is no part of the second one's memory
		took := map[string][]time.Duration{}
		half := measureLatency(b, set, int(most/2)*40, most/2, took)
		b.Logf("highest rate %.0f events/s; then %.0f events/s", most, half)
		for _, severity := range []string{"critical", "low"} {
			d := took[severity]
			slices.Sort(d)
			if len(d) < 100 {
				b.Fatalf("%d findings of severity %s", len(d), severity)
			}
			b.ReportMetric(float64(d[len(d)-1].Milliseconds()), severity+"-max-ms")
			b.ReportMetric(float64(d[len(d)*99/100].Milliseconds()), severity+"-p99-ms")
			b.ReportMetric(float64(d[len(d)/2].Milliseconds()), severity+"-p50-ms")
		}
	}
}

// One of criticalEvery events is found by the critical rule, and one of lowEvery by the other one.
const (
	criticalEvery = 8_000
	lowEvery      = 400
)

// measureLatency reads events at a rate, 0 for the highest, and adds the latencies of findings by severity.
func measureLatency(b *testing.B, set *rules.Set, events int, rate float64, took map[string][]time.Duration) (reached float64) {
	var mu sync.Mutex
	sent := map[string]time.Time{} // by agent
	hook := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		now := time.Now()
		var body struct {
			Type connectors.EntryType
			Data schema.Finding
		}
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil || body.Type != connectors.FindingOpened {
			return
		}
		mu.Lock()
		defer mu.Unlock()
		if at, ok := sent[body.Data.AgentUID]; ok && took != nil {
			severity := string(body.Data.Severity)
			took[severity] = append(took[severity], now.Sub(at))
		}
	}))
	defer hook.Close()
	sink, err := webhook.New(webhook.Config{
		Name: "loop", URL: hook.URL, Secrets: []string{"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"},
		AllowNetworks: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
	})
	if err != nil {
		b.Fatal(err)
	}
	st, err := store.Open(b.TempDir(), store.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer st.Close()
	d, err := deliver.New(deliver.Options{Store: st, Sinks: []connectors.Sink{sink}})
	if err != nil {
		b.Fatal(err)
	}
	d.Start()
	size := 1000
	if rate > 0 {
		size = max(1, int(rate/100)) // a fetch every 10 ms
	}
	src := &feed{agentSource: agentSource{events: events / size * size}, size: size}
	begin := time.Now()
	src.between = func(n int) {
		if rate > 0 {
			<-time.After(time.Until(begin.Add(time.Duration(float64(n) / rate * float64(time.Second)))))
		}
	}
	src.record = func(n int) string {
		action, agent := "call", fmt.Sprint("agent-", n%10_000)
		switch {
		case n%criticalEvery == 1:
			action = "critical"
		case n%lowEvery == 0:
			action = "low"
		}
		if action != "call" {
			agent = fmt.Sprint("found-", n)
			mu.Lock()
			sent[agent] = time.Now()
			mu.Unlock()
		}
		return fmt.Sprintf(`{"event.dataset":"litellm","event.class":"tool","time":"%s","event.action":%q,"ai_agent.uid":%q,"http.request.id":"%d"}`,
			time.Now().UTC().Format(time.RFC3339Nano), action, agent, n)
	}
	e, err := engine.New(engine.Options{
		Set: set, Store: st, Redact: content.Redact, Committed: func([]connectors.Entry) { d.Notify() },
		Inputs: []engine.Input{{Source: src, Decode: decode.Options{Format: "aidr"}, Datasets: []string{"litellm"}}},
	})
	if err != nil {
		b.Fatal(err)
	}
	begin = time.Now()
	if err := src.Run(b.Context(), e); err != nil {
		b.Fatal(err)
	}
	reached = float64(src.events) / time.Since(begin).Seconds()
	if err := e.Stop(context.Background()); err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := d.Drain(ctx); err != nil {
		b.Logf("drain: %v", err)
	}
	return reached
}
