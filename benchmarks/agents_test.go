//go:build linux

package benchmarks

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/engine"
	"github.com/aidr-engine/aidr/engine/budget"
	"github.com/aidr-engine/aidr/engine/store"
	"github.com/aidr-engine/aidr/rules"
	"github.com/aidr-engine/aidr/schema"
	"github.com/aidr-engine/aidr/schema/content"
	"github.com/aidr-engine/aidr/schema/decode"
)

var (
	agentsFlag = flag.Int("agents", 100_000, "the number of agents of BenchmarkAgents")
	eventsFlag = flag.Int("events", 300_000, "the number of events of each part of BenchmarkAgents")
	memoryFlag = flag.Int64("memory", 1024, "the memory budget of BenchmarkAgents, MiB")
	rateFlag   = flag.Int("rate", 2000, "events per second of event time")
	dirFlag    = flag.String("dir", "", "the state directory of BenchmarkAgents, which stays and is used again; empty: a temporary one")
	kindsFlag  = flag.String("kinds", "threshold,new_value,baseline", "the kinds of the rules of BenchmarkAgents")
)

// agentRules is one rule of each kind, with a cell for each agent.
var agentRules = map[string]string{
	"threshold": "threshold: {count: 20, within: 24h, by: [ai_agent.uid]}\n",
	"new_value": "new_value: {of: [gen_ai.tool.name], by: [ai_agent.uid], learn: 7d, forget: 30d}\n",
	"rarity":    "rarity: {of: [gen_ai.tool.name], by: [ai_agent.uid], share: 0.05, min_samples: 20, history: 7d}\n",
	"baseline":  "baseline: {of: count, by: [ai_agent.uid], bucket: 1h}\n",
}

func writeFile(tb testing.TB, path, text string) {
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		tb.Fatal(err)
	}
}

func loadAgentRules(tb testing.TB, kinds string) *rules.Set {
	dir := tb.TempDir()
	for _, kind := range strings.Split(kinds, ",") {
		text := fmt.Sprintf("id: b.%s\ntitle: t\nseverity: low\nconfidence: 50\nwhen: event.class == \"tool\"\n%s",
			strings.ReplaceAll(kind, "_", "-"), agentRules[kind])
		if err := os.WriteFile(filepath.Join(dir, kind+".yaml"), []byte(text), 0o600); err != nil {
			tb.Fatal(err)
		}
	}
	set, problems := rules.Load(rules.Options{}, dir)
	if set == nil {
		tb.Fatal(problems)
	}
	return set
}

// agentSource yields events of agents that draw returns, at a rate of event time.
type agentSource struct {
	draw   func(n int) (agent int)
	start  schema.Instant
	events int
	read   atomic.Int64
}

const agentBatch = 1000

func (s *agentSource) Name() string { return "bench" }

// Health implements connectors.Source.
func (s *agentSource) Health() connectors.Health { return connectors.Health{} }

func (s *agentSource) Commit(context.Context, map[connectors.Partition]int64) error { return nil }

func (s *agentSource) Run(ctx context.Context, r connectors.Reader) error {
	p := connectors.Partition{Source: "bench", Topic: "t"}
	from, _ := r.Assigned(p)
	step := time.Second / time.Duration(*rateFlag)
	for n := 0; n < s.events && ctx.Err() == nil; n += agentBatch {
		b := &connectors.Batch{Partition: p, Next: from + int64(n+agentBatch), HighWater: -1}
		var raw strings.Builder
		for i := n; i < n+agentBatch; i++ {
			at := s.start.Add(time.Duration(i) * step)
			begin := raw.Len()
			agent := s.draw(i)
			fmt.Fprintf(&raw, `{"event.dataset":"litellm","event.class":"tool","time":"%s","event.action":"call","ai_agent.uid":"agent-%d",`+
				`"gen_ai.tool.name":"tool-%d","http.request.id":"%d"}`, time.Unix(0, int64(at)).UTC().Format(time.RFC3339Nano), agent, (agent+i/7)%5, i)
			b.Records = append(b.Records, connectors.Record{Start: begin, End: raw.Len(), Offset: from + int64(i), Time: at})
		}
		b.Raw = raw.String()
		if err := r.Read(ctx, b); err != nil {
			return err
		}
		s.read.Store(int64(n + agentBatch))
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	return r.Revoked(ctx, p)
}

// resident returns a figure in bytes of /proc/self/status.
func resident(tb testing.TB, name string) int64 {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		tb.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), name+":")
	var kb int64
	if _, err := fmt.Sscan(rest, &kb); err != nil {
		tb.Fatal(err)
	}
	return kb << 10
}

func sizeOf(dir string) (n int64) {
	err := filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err == nil && !d.IsDir() {
			n += info.Size()
		}
		return err
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return -1
	}
	return n
}

// agentState is the store of a run of BenchmarkAgents, and how far it has come.
type agentState struct {
	dir  string
	next schema.Instant
	set  *rules.Set
}

// run reads events and logs their cost.
func (a *agentState) run(b *testing.B, name string, events int, draw func(int) int) (cpuPerEvent float64) {
	st, err := store.Open(a.dir, store.Options{Cache: budget.Cache(*memoryFlag << 20)})
	if err != nil {
		b.Fatal(err)
	}
	src := &agentSource{draw: draw, start: a.next, events: events}
	begin := time.Now()
	metrics := engine.NewMetrics(nil)
	e, err := engine.New(engine.Options{
		Set: a.set, Store: st, Memory: *memoryFlag << 20, Redact: content.Redact, Metrics: metrics,
		Inputs: []engine.Input{{Source: src, Decode: decode.Options{Format: "aidr"}, Datasets: []string{"litellm"}}},
	})
	if err != nil {
		b.Fatal(err)
	}
	ready := time.Since(begin)
	peak, done := int64(0), make(chan bool)
	go func() {
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				peak = max(peak, resident(b, "VmRSS"))
			case <-done:
				done <- true
				return
			}
		}
	}()
	before, begin := cpuTime(b), time.Now()
	if err := src.Run(b.Context(), e); err != nil {
		b.Fatal(err)
	}
	wall, cpu := time.Since(begin), cpuTime(b)-before
	done <- true
	<-done
	if err := e.Stop(context.Background()); err != nil {
		b.Fatal(err)
	}
	if err := st.Close(); err != nil {
		b.Fatal(err)
	}
	a.next = src.start.Add(time.Duration(events) * time.Second / time.Duration(*rateFlag))
	cpuPerEvent = float64(cpu.Microseconds()) / float64(events)
	b.Logf("%-16s ready in %v; %d events: %.0f/s, %.1f us of CPU each; resident peak %d MiB, at the end %d MiB; disk %d MiB",
		name, ready.Round(time.Millisecond), events, float64(events)/wall.Seconds(), cpuPerEvent,
		peak>>20, resident(b, "VmRSS")>>20, sizeOf(a.dir)>>20)
	return cpuPerEvent
}

// zipf returns draws of n agents whose ranks are distributed with the exponent 1.1, spread over the agents.
func zipf(n int) func(int) int {
	r := rand.New(rand.NewPCG(1, 2))
	z := rand.NewZipf(r, 1.1, 1, uint64(n-1))
	return func(int) int { return int(z.Uint64()*2654435761%uint64(n)+uint64(n)) % n }
}

func uniform(n int) func(int) int {
	r := rand.New(rand.NewPCG(3, 4))
	return func(int) int { return r.IntN(n) }
}

// BenchmarkAgents measures memory and cost with many agents, each with a cell of each of three rules: first an event of
// every agent, then, after a restart, events of agents that are drawn by Zipf's law, then evenly. The same number of events
// of 10,000 agents is the yardstick:
//
//	GOMEMLIMIT=1400MiB go test ./benchmarks -run xxx -bench Agents -benchtime 1x -agents 1000000 -events 500000 -memory 512
func BenchmarkAgents(b *testing.B) {
	set := loadAgentRules(b, *kindsFlag)
	for b.Loop() {
		cost := map[string]float64{}
		for _, n := range []int{10_000, *agentsFlag} {
			start := schema.InstantOf(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))
			a := &agentState{dir: b.TempDir(), next: start, set: set}
			if *dirFlag != "" && n == *agentsFlag {
				a.dir = *dirFlag
			}
			a.run(b, fmt.Sprintf("%d once", n), n, func(i int) int { return i % n })
			cost[fmt.Sprint("zipf", n)] = a.run(b, fmt.Sprintf("%d zipf", n), *eventsFlag, zipf(n))
			cost[fmt.Sprint("even", n)] = a.run(b, fmt.Sprintf("%d even", n), *eventsFlag, uniform(n))
		}
		b.ReportMetric(cost["zipf10000"]/cost[fmt.Sprint("zipf", *agentsFlag)], "zipf-speed")
		b.ReportMetric(cost["even10000"]/cost[fmt.Sprint("even", *agentsFlag)], "even-speed")
	}
}
