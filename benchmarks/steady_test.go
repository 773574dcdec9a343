//go:build linux

package benchmarks

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/engine"
	"github.com/aidr-engine/aidr/rules"
	"github.com/aidr-engine/aidr/schema/content"
	"github.com/aidr-engine/aidr/schema/decode"
)

var steadyFlag = flag.Int("steady", 1_000_000, "the number of events of BenchmarkSteady; the claim is about 30 million")

// quietKinds keep State for each agent and never make a finding.
var quietKinds = []string{
	"threshold: {count: 200, within: 10s, by: [ai_agent.uid]}\n",
	"threshold: {count: 100000, within: 1h, by: [ai_agent.uid]}\n",
	"new_value: {of: [source.ip], by: [ai_agent.uid], learn: 365d, forget: 30d}\n",
}

// steadyRules returns 1,000 rules of which 10 keep State, for 2 events in 100, and none makes a finding: a replay has all of its
// findings in memory, so they would be counted, too.
func steadyRules(tb testing.TB) *rules.Set {
	files := ruleFiles(cloudTrailRules(tb, 1000, false))
	for i, when := range cloudTrailRules(tb, seededHits, false) {
		id := fmt.Sprintf("gen.r%05d", i)
		files[id+".yaml"] = ruleFile(id, when) + quietKinds[i%len(quietKinds)]
	}
	return loadRuleFiles(tb, files)
}

// BenchmarkSteady reads CloudTrail records, each with a time and an id of its own, and logs the resident memory after each tenth
// of the events. It fails if the memory grows in the second half by more than a tenth. The records are made while it runs, and
// their cost, which is logged, is part of it.
//
//	go test ./benchmarks -run xxx -bench Steady -cpu 2 -benchtime 1x -timeout 0 -v -steady 30000000
func BenchmarkSteady(b *testing.B) {
	records, _ := cloudTrailRecords(b, true)
	set := steadyRules(b)
	for b.Loop() {
		src := newSteadySource(b, records, *steadyFlag)
		before := cpuTime(b)
		src.run(b, func(context.Context, *connectors.Batch) error { return nil })
		making := cpuTime(b) - before
		src = newSteadySource(b, records, *steadyFlag)
		var sizes []int64
		src.tenth = func() {
			sizes = append(sizes, resident(b, "VmRSS"))
			b.Logf("%d0 %%: resident %d MiB", len(sizes), sizes[len(sizes)-1]>>20)
		}
		before = cpuTime(b)
		found := src.replay(b, set)
		cpu := cpuTime(b) - before
		b.Logf("%d events, %d findings, %.2f us of CPU an event, of which the records are %.2f us", *steadyFlag, found,
			cpu.Seconds()*1e6/float64(*steadyFlag), making.Seconds()*1e6/float64(*steadyFlag))
		half, last := sizes[len(sizes)/2-1], sizes[len(sizes)-1]
		if last > half+half/10 {
			b.Errorf("the resident memory grew from %d MiB after half of the events to %d MiB", half>>20, last>>20)
		}
	}
}

// steadyHead begins each record. Its time and id have a fixed length and place, so that a record is changed in place.
const (
	steadyHead   = `{"eventTime":"2006-01-02T15:04:05Z","eventID":"e-000000000000",`
	steadyTimeAt = len(`{"eventTime":"`)
	steadyIDAt   = len(steadyHead) - len(`000000000000",`)
	steadyDigits = 12
)

// steadySource is a source of one partition that repeats records, each time with other times and ids.
type steadySource struct {
	templates [][]byte
	events    int
	tenth     func() // called after each tenth of the events; nil: nothing is called
}

func newSteadySource(tb testing.TB, records []string, events int) *steadySource {
	s := &steadySource{events: events}
	for _, r := range records {
		var e map[string]json.RawMessage
		if err := json.Unmarshal([]byte(r), &e); err != nil {
			tb.Fatal(err)
		}
		delete(e, "eventTime")
		delete(e, "eventID")
		text, err := json.Marshal(e)
		if err != nil {
			tb.Fatal(err)
		}
		s.templates = append(s.templates, append([]byte(steadyHead), text[1:]...))
	}
	return s
}

// record returns record n. It is valid until the next call.
func (s *steadySource) record(n int) []byte {
	text := s.templates[n%len(s.templates)]
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(n) * 50 * time.Millisecond)
	at.AppendFormat(text[steadyTimeAt:steadyTimeAt], "2006-01-02T15:04:05Z")
	for i, rest := steadyDigits-1, n; i >= 0; i, rest = i-1, rest/10 {
		text[steadyIDAt+i] = byte('0' + rest%10)
	}
	return text
}

const steadyBatch = 1000

var steadyPartition = connectors.Partition{Source: "bench", Topic: "cloudtrail"}

// Name implements connectors.Source.
func (s *steadySource) Name() string { return "bench" }

// Health implements connectors.Source.
func (s *steadySource) Health() connectors.Health { return connectors.Health{} }

// Commit implements connectors.Source.
func (s *steadySource) Commit(context.Context, map[connectors.Partition]int64) error { return nil }

// Run implements connectors.Source.
func (s *steadySource) Run(ctx context.Context, r connectors.Reader) error {
	r.Assigned(steadyPartition)
	if err := s.each(ctx, r.Read); err != nil {
		return err
	}
	return r.Revoked(ctx, steadyPartition)
}

// run calls read with all batches.
func (s *steadySource) run(tb testing.TB, read func(context.Context, *connectors.Batch) error) {
	if err := s.each(tb.Context(), read); err != nil {
		tb.Fatal(err)
	}
}

func (s *steadySource) each(ctx context.Context, read func(context.Context, *connectors.Batch) error) error {
	for n := 0; n < s.events; n += steadyBatch {
		next := min(n+steadyBatch, s.events)
		b := &connectors.Batch{
			Partition: steadyPartition, Next: int64(next), HighWater: -1,
			Final: next == s.events, AtEnd: next == s.events,
		}
		var raw strings.Builder
		for i := n; i < next; i++ {
			begin, text := raw.Len(), s.record(i)
			if i == n {
				raw.Grow((next - n) * 2 * len(text))
			}
			raw.Write(text)
			b.Records = append(b.Records, connectors.Record{Start: begin, End: raw.Len(), Offset: int64(i)})
		}
		b.Raw = raw.String()
		if err := read(ctx, b); err != nil {
			return err
		}
		if s.tenth != nil && next*10/s.events != n*10/s.events {
			s.tenth()
		}
	}
	return nil
}

// replay runs the engine over the source and returns the number of findings.
func (s *steadySource) replay(tb testing.TB, set *rules.Set) int {
	found, err := engine.Replay(tb.Context(), engine.Options{
		Set: set, Redact: content.Redact, Inputs: []engine.Input{{Source: s, Decode: decode.Options{Format: "auto"}}},
	}, 0)
	if err != nil {
		tb.Fatal(err)
	}
	return len(found)
}

// The source yields valid records, of which no two are equal.
func TestSteadySource(t *testing.T) {
	records, _ := cloudTrailRecords(t, true)
	known := map[string]bool{}
	s := newSteadySource(t, records, 2*len(records)+1)
	s.run(t, func(_ context.Context, b *connectors.Batch) error {
		for _, r := range b.Records {
			var e struct {
				ID   string    `json:"eventID"`
				Time time.Time `json:"eventTime"`
			}
			if err := json.NewDecoder(bytes.NewReader([]byte(b.Raw[r.Start:r.End]))).Decode(&e); err != nil {
				t.Fatal(err)
			}
			if want := fmt.Sprintf("e-%012d", r.Offset); e.ID != want || known[e.ID] {
				t.Fatalf("record %d has the id %q, want %q", r.Offset, e.ID, want)
			}
			known[e.ID] = true
			if want := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(r.Offset) * 50 * time.Millisecond).Truncate(time.Second); !e.Time.Equal(want) {
				t.Fatalf("record %d has the time %v, want %v", r.Offset, e.Time, want)
			}
		}
		return nil
	})
	if len(known) != s.events {
		t.Errorf("%d records, want %d", len(known), s.events)
	}
}

// replayShapes are events that are bad for the engine, and an even load to compare them with. Each has a number of an agent and
// a time by the number of the event.
var replayShapes = []struct {
	name  string
	agent func(n int) int
	at    func(n int) time.Duration
}{
	{"even", func(n int) int { return n % 1000 }, func(n int) time.Duration { return time.Duration(n) * time.Millisecond }},
	{"one-agent", func(int) int { return 0 }, func(n int) time.Duration { return time.Duration(n) * time.Millisecond }},
	{"all-late", func(n int) int { return n % 1000 }, func(n int) time.Duration {
		if n < 100 { // these move the watermark
			return 48 * time.Hour
		}
		return time.Duration(n) * time.Millisecond
	}},
}

// BenchmarkWorstReplay replays events each of which is a hit of a stateful rule, and of one that is stateless: spread over 1,000
// agents, all of one agent, and all later than the dataset's delay.
//
//	go test ./benchmarks -run xxx -bench WorstReplay -cpu 1 -benchtime 3x
func BenchmarkWorstReplay(b *testing.B) {
	const events = 100_000
	set := loadRuleFiles(b, map[string]string{
		"count.yaml": ruleFile("gen.count", `event.action == "call"`) + "threshold: {count: 250, within: 1m, by: [ai_agent.uid]}\n",
		"each.yaml":  ruleFile("gen.each", `event.action == "call"`),
	})
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, shape := range replayShapes {
		b.Run(shape.name, func(b *testing.B) {
			c := &corpus{name: shape.name}
			for n := range events {
				c.add(fmt.Sprintf(`{"event.dataset":"litellm","event.class":"tool","time":%q,"event.action":"call","ai_agent.uid":"agent-%d","http.request.id":"%d"}`,
					start.Add(shape.at(n)).Format(time.RFC3339Nano), shape.agent(n), n))
			}
			found, before := 0, cpuTime(b)
			for b.Loop() {
				found = replayAs(b, set, c, "aidr")
			}
			reportRecords(b, len(c.records), cpuTime(b)-before)
			b.ReportMetric(float64(found), "findings")
		})
	}
}

// BenchmarkReplayRules replays CloudTrail records with generated rules, of which every tenth is stateful; 2 events in 100
// are hits. The share of the limit is in peers/.
//
//	go test ./benchmarks -run xxx -bench ReplayRules -cpu 1 -benchtime 3x
func BenchmarkReplayRules(b *testing.B) {
	c := cloudTrailCorpus(b, cloudTrailRepeats)
	for _, n := range ruleSizes[:4] {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			set := loadRuleFiles(b, mixedRuleFiles(cloudTrailRules(b, n, false)))
			found, before := 0, cpuTime(b)
			for b.Loop() {
				found = replay(b, set, c)
			}
			reportRecords(b, len(c.records), cpuTime(b)-before)
			b.ReportMetric(float64(found), "findings")
		})
	}
}
