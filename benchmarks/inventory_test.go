//go:build unix

package benchmarks

import (
	"context"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/connectors/memory"
	"github.com/aidr-engine/aidr/engine"
	"github.com/aidr-engine/aidr/engine/inventory"
	"github.com/aidr-engine/aidr/engine/store"
	"github.com/aidr-engine/aidr/rules"
	"github.com/aidr-engine/aidr/schema/content"
	"github.com/aidr-engine/aidr/schema/decode"
)

// BenchmarkInventory runs one corpus without the inventory and with it, in turn, on a store on disk, and reports the share of the
// CPU time that the inventory costs, by the fastest run of each:
//
//	go test ./benchmarks -run xxx -bench Inventory -benchtime 3x
func BenchmarkInventory(b *testing.B) {
	set := shippedRules(b)
	for _, c := range []*corpus{cloudTrailCorpus(b, cloudTrailRepeats), liteLLMCorpus(b), {name: "fleet", records: fleetRecords(0, 2000, 60)}} {
		b.Run(c.name, func(b *testing.B) {
			var least [2]time.Duration // of CPU
			for b.Loop() {
				for i, on := range []bool{false, true} {
					if took := ingest(b, set, c, on); least[i] == 0 || took < least[i] {
						least[i] = took
					}
				}
			}
			b.ReportMetric(100*(1-least[0].Seconds()/least[1].Seconds()), "%lost")
			b.ReportMetric(float64(least[1].Microseconds())/float64(len(c.records)), "us/record")
		})
	}
}

// inventoryInput is a source of records of a corpus.
func inventoryInput(src connectors.Source, corpus string) engine.Input {
	format := "auto"
	if corpus == "fleet" {
		format = "aidr"
	}
	return engine.Input{Source: src, Decode: decode.Options{Format: format}, Datasets: []string{"litellm", "aws.cloudtrail"}}
}

// ingest runs records through an engine with a store on disk and returns the CPU time from the first record to the last checkpoint.
func ingest(b *testing.B, set *rules.Set, c *corpus, on bool) time.Duration {
	b.Helper()
	st, err := store.Open(b.TempDir(), store.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer st.Close()
	src := &memory.Source{Named: "bench", Partitions: []memory.Partition{
		{Partition: connectors.Partition{Source: "bench", Topic: "t"}, Records: c.records},
	}}
	e, err := engine.New(engine.Options{
		Set: set, Store: st, Redact: content.Redact, Inventory: on, Rows: on, Inputs: []engine.Input{inventoryInput(src, c.name)},
	})
	if err != nil {
		b.Fatal(err)
	}
	start := cpuTime(b)
	if err := src.Run(context.Background(), e); err != nil {
		b.Fatal(err)
	}
	if err := e.Stop(context.Background()); err != nil {
		b.Fatal(err)
	}
	return cpuTime(b) - start
}

// fleetRecords returns records of format aidr: each agent of a fleet has a session of the given number of calls within a minute,
// with 20 tools and 3 credentials, while a thousand others have theirs.
func fleetRecords(from, agents, calls int) []string {
	const together = 1000 // agents that are active at a time
	start := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	out := make([]string, 0, agents*calls)
	for group := 0; group < agents; group += together {
		for call := range calls {
			for a := group; a < min(group+together, agents); a++ {
				n := from + a
				at := start.Add(time.Duration(n/together)*time.Minute + time.Duration(call)*time.Minute/time.Duration(calls))
				id := strconv.Itoa(n) + "-" + strconv.Itoa(call)
				out = append(out, `{"time":"`+at.Format(time.RFC3339Nano)+`","event.dataset":"litellm","event.class":"tool","event.action":"execute_tool",`+
					`"event.id":"e-`+id+`","event.outcome":"success","ai_agent.uid":"agent-`+strconv.Itoa(n)+
					`","ai_agent.uid_source":"metadata.user_api_key_hash","credential.uid":"key-`+strconv.Itoa(n)+"-"+strconv.Itoa(call%20%3)+
					`","credential.type":"api_key","gen_ai.tool.name":"tool-`+strconv.Itoa(call%20)+`","gen_ai.tool.called":true,"gen_ai.request.model":"gpt-4o",`+
					`"url.domain":"api.openai.com","source.ip":"10.`+strconv.Itoa(n%200)+`.0.7","session.id":"s-`+strconv.Itoa(n)+`",`+
					`"gen_ai.tool.call.arguments":{"path":"/data/`+strconv.Itoa(n)+`/`+strconv.Itoa(call)+`","mode":"read"}}`)
			}
		}
	}
	return out
}

// TestMillionAgents keeps an inventory of AIDR_AGENTS agents with 20 tools and 3 credentials each, and prints the throughput with
// growing numbers of agents, the memory, the time of a list and that of a restart:
//
//	AIDR_AGENTS=1000000 go test ./benchmarks -run TestMillionAgents -v -timeout 1h
func TestMillionAgents(t *testing.T) {
	agents, _ := strconv.Atoi(os.Getenv("AIDR_AGENTS"))
	if agents == 0 {
		t.Skip("set AIDR_AGENTS to the number of agents")
	}
	set := &rules.Set{}
	if os.Getenv("AIDR_RULES") != "" {
		set = shippedRules(t)
	}
	const chunk, calls = 20_000, 20
	dir := t.TempDir()
	st, err := store.Open(dir, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	src := &fleet{chunks: (agents + chunk - 1) / chunk, records: func(i int) []string { return fleetRecords(i*chunk, chunk, calls) }}
	open := func() *engine.Engine {
		e, err := engine.New(engine.Options{Set: set, Store: st, Redact: content.Redact, Inventory: true, Inputs: []engine.Input{inventoryInput(src, "fleet")}})
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	e := open()
	src.after = func(i int, took time.Duration) {
		t.Logf("%d agents: %.0f events/s, resident %d MiB", (i+1)*chunk, chunk*calls/took.Seconds(), resident(t, "VmRSS")>>20)
	}
	if err := src.Run(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		start := time.Now()
		top, err := e.Inventory().Top(inventory.Agent, 50)
		if err != nil || len(top) != 50 {
			t.Fatalf("got %d agents, %v", len(top), err)
		}
		t.Logf("the 50 agents with the highest rank: %v", time.Since(start))
	}
	if err := e.Stop(context.Background()); err != nil {
		t.Fatal(err)
	}
	st.Close()
	if st, err = store.Open(dir, store.Options{}); err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	start := time.Now()
	e = open()
	t.Logf("restart: %v", time.Since(start))
	if err := e.Stop(context.Background()); err != nil {
		t.Fatal(err)
	}
}

// fleet is a source that makes its records while it runs.
type fleet struct {
	chunks  int
	records func(i int) []string
	after   func(i int, took time.Duration)
}

func (*fleet) Name() string { return "fleet" }

func (*fleet) Commit(context.Context, map[connectors.Partition]int64) error { return nil }

func (*fleet) Health() connectors.Health { return connectors.Health{} }

func (s *fleet) Run(ctx context.Context, r connectors.Reader) error {
	p := connectors.Partition{Source: "fleet", Topic: "t"}
	r.Assigned(p)
	offset := int64(0)
	for i := range s.chunks {
		records := s.records(i)
		start := time.Now()
		for from := 0; from < len(records); from += 1000 {
			part := records[from:min(from+1000, len(records))]
			b := &connectors.Batch{Partition: p, Raw: strings.Join(part, ""), HighWater: -1}
			at := 0
			for _, rec := range part {
				b.Records = append(b.Records, connectors.Record{Start: at, End: at + len(rec), Offset: offset})
				at, offset = at+len(rec), offset+1
			}
			b.Next = offset
			if err := r.Read(ctx, b); err != nil {
				return err
			}
		}
		s.after(i, time.Since(start))
	}
	return nil
}
