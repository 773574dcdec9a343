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
	"runtime/pprof"
	"strings"
	"testing"
	"time"

	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/engine"
	"github.com/aidr-engine/aidr/engine/budget"
	"github.com/aidr-engine/aidr/engine/clock"
	"github.com/aidr-engine/aidr/engine/store"
	"github.com/aidr-engine/aidr/rules"
	"github.com/aidr-engine/aidr/schema"
	"github.com/aidr-engine/aidr/schema/content"
	"github.com/aidr-engine/aidr/schema/decode"
)

var (
	agentsFlag   = flag.Int("agents", 100_000, "the number of agents of BenchmarkAgents")
	eventsFlag   = flag.Int("events", 200_000, "the number of measured events of each part of BenchmarkAgents")
	warmFlag     = flag.Int("warm", 150_000, "the number of events before them, which are not measured")
	memoryFlag   = flag.Int64("memory", 1024, "the memory budget of BenchmarkAgents, MiB")
	rateFlag     = flag.Int("rate", 2000, "events per second of event time")
	dirFlag      = flag.String("dir", "", "the state directory of BenchmarkAgents, which stays; if it has all agents, they are not made again; empty: a temporary one")
	profilesFlag = flag.String("profiles", "", "a folder for CPU profiles of the measured events of BenchmarkAgents")
	kindsFlag    = flag.String("kinds", "threshold,new_value,baseline", "the kinds of the rules of BenchmarkAgents")
)

// agentRules is one rule of each kind, with a cell for each agent. The count of the threshold is one that few agents reach:
// findings cost the more the fewer agents share the events.
var agentRules = map[string]string{
	"threshold": "threshold: {count: 250, within: 24h, by: [ai_agent.uid]}\n",
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
	warm   int    // number of events before those that are measured
	events int    // that are measured
	warmed func() // called before the first of them
	ticks  chan time.Time
}

// clock returns a clock whose ticks come with the events. The time between checkpoints costs the more CPU for each event the
// slower a run is, so on a busy machine runs with ticks of the wall clock do not compare.
func (s *agentSource) clock() clock.Clock {
	s.ticks = make(chan time.Time)
	return clock.Clock{Now: time.Now, Tick: func(d time.Duration) (<-chan time.Time, func()) {
		if d == engine.DefaultCheckpointEvery {
			return s.ticks, func() {}
		}
		return clock.Wall().Tick(d)
	}}
}

// tickEvents is the number of events from a checkpoint to the next: 20,000 events a second at the default pace.
const tickEvents = 5000

// tick asks for a checkpoint. The time is late enough for the engine to make one, however long the last one took.
func (s *agentSource) tick(ctx context.Context) {
	select {
	case s.ticks <- time.Now().Add(time.Minute):
	case <-ctx.Done():
	}
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
	for n := 0; n < s.warm+s.events && ctx.Err() == nil; n += agentBatch {
		if n == s.warm {
			s.warmed()
		}
		if n%tickEvents == 0 {
			s.tick(ctx)
		}
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
	made int // number of agents
	set  *rules.Set
}

// part is the cost of the measured events of a part of BenchmarkAgents.
type part struct {
	cpu   float64 // microseconds an event, of all threads
	ready time.Duration
}

// run starts an engine on the store, reads events that are not measured and events that are, and logs their cost. Between the
// two nothing waits, so the queues are as full at the end as at the beginning.
func (a *agentState) run(b *testing.B, name string, warm, events int, draw func(int) int) (p part) {
	begin := time.Now()
	st, err := store.Open(a.dir, store.Options{Cache: budget.Cache(*memoryFlag << 20)})
	if err != nil {
		b.Fatal(err)
	}
	src := &agentSource{draw: draw, start: a.next, warm: warm, events: events}
	metrics := engine.NewMetrics(nil)
	e, err := engine.New(engine.Options{
		Set: a.set, Store: st, Memory: *memoryFlag << 20, Redact: content.Redact, Metrics: metrics, Clock: src.clock(),
		Inputs: []engine.Input{{Source: src, Decode: decode.Options{Format: "aidr"}, Datasets: []string{"litellm"}}},
	})
	if err != nil {
		b.Fatal(err)
	}
	p.ready = time.Since(begin)
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
	var before time.Duration
	profile := profileOf(b, strings.ReplaceAll(name, " ", "-"))
	src.warmed = func() {
		profile.start()
		before, begin = cpuTime(b), time.Now()
	}
	if err := src.Run(b.Context(), e); err != nil {
		b.Fatal(err)
	}
	wall, cpu := time.Since(begin), cpuTime(b)-before
	profile.stop()
	done <- true
	<-done
	if err := e.Stop(context.Background()); err != nil {
		b.Fatal(err)
	}
	if err := st.Close(); err != nil {
		b.Fatal(err)
	}
	a.next = src.start.Add(time.Duration(warm+events) * time.Second / time.Duration(*rateFlag))
	p.cpu = float64(cpu.Microseconds()) / float64(events)
	fmt.Fprintf(os.Stderr, "%s %s\n", time.Now().Format(time.TimeOnly), name) // a run may take an hour
	b.Logf("%-16s ready in %v; %d events: %.0f/s, %.1f us of CPU each; resident peak %d MiB, at the end %d MiB; disk %d MiB",
		name, p.ready.Round(time.Millisecond), events, float64(events)/wall.Seconds(), p.cpu,
		peak>>20, resident(b, "VmRSS")>>20, sizeOf(a.dir)>>20)
	return p
}

// cpuProfile is a profile of a part of BenchmarkAgents; nil for none.
type cpuProfile struct {
	tb   testing.TB
	file *os.File
}

// profileOf returns the profile of a part, nil without -profiles.
func profileOf(tb testing.TB, name string) *cpuProfile {
	if *profilesFlag == "" {
		return nil
	}
	file, err := os.Create(filepath.Join(*profilesFlag, name+".prof"))
	if err != nil {
		tb.Fatal(err)
	}
	return &cpuProfile{tb, file}
}

func (p *cpuProfile) start() {
	if p == nil {
		return
	}
	if err := pprof.StartCPUProfile(p.file); err != nil {
		p.tb.Fatal(err)
	}
}

func (p *cpuProfile) stop() {
	if p == nil {
		return
	}
	pprof.StopCPUProfile()
	if err := p.file.Close(); err != nil {
		p.tb.Fatal(err)
	}
}

// createStep is the number of agents that create makes with one engine. The folder records them, so that with -dir a run that
// was stopped is continued by the next one.
const createStep = 500_000

// create makes a store in which every agent has State of every rule, by one event of each, unless the folder has it from an
// earlier run. It returns the state after it.
func create(b *testing.B, dir string, set *rules.Set, agents int) *agentState {
	start := schema.InstantOf(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))
	a := &agentState{dir: dir, next: start, set: set}
	if text, err := os.ReadFile(filepath.Join(dir, "agents")); err == nil {
		if _, err := fmt.Sscan(string(text), &a.made, &a.next); err != nil {
			b.Fatalf("the folder %q was not made by this benchmark: %q", dir, text)
		}
	}
	for a.made < agents {
		n := min(createStep, agents-a.made)
		a.run(b, fmt.Sprintf("%d new", n), 0, n, func(i int) int { return a.made + i })
		a.made += n
		a.mark(b)
	}
	return a
}

// mark records in the folder how many agents it has, and the time of the next event.
func (a *agentState) mark(b *testing.B) {
	writeFile(b, filepath.Join(a.dir, "agents"), fmt.Sprint(a.made, int64(a.next)))
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

// drawNames are the names of draws in the order of measuring.
var drawNames = []string{"zipf", "even"}

var draws = map[string]func(agents int) func(int) int{"zipf": zipf, "even": uniform}

// BenchmarkAgents measures memory and cost with many agents, each with a cell of each of three rules, and compares them with
// those of 10,000 agents. First every agent gets one event, so that all cells exist. Then, each time after a restart, come
// events of agents that are drawn by Zipf's law, and such that are drawn evenly: for both numbers of agents the same number of
// events that warm the engine up and are not measured, and of events that are. The former have to be more than those of the
// dataset's delay, 30 s at -rate, so that as many cells settle while it is measured as come into use:
//
//	GOMEMLIMIT=1400MiB go test ./benchmarks -run xxx -bench Agents -benchtime 1x -agents 1000000 -memory 1280
func BenchmarkAgents(b *testing.B) {
	set := loadAgentRules(b, *kindsFlag)
	for b.Loop() {
		cost := map[string]part{}
		for _, n := range []int{10_000, *agentsFlag} {
			dir := b.TempDir()
			if *dirFlag != "" && n == *agentsFlag {
				dir = *dirFlag
			}
			a := create(b, dir, set, n)
			for _, name := range drawNames {
				part := fmt.Sprintf("%d %s", n, name)
				cost[part] = a.run(b, part, *warmFlag, *eventsFlag, draws[name](n))
				a.mark(b)
			}
		}
		for _, name := range drawNames {
			many := cost[fmt.Sprintf("%d %s", *agentsFlag, name)]
			b.ReportMetric(cost["10000 "+name].cpu/many.cpu, name+"-speed")
			b.ReportMetric(many.ready.Seconds(), name+"-ready-s")
		}
	}
}
