//go:build unix

package benchmarks

import (
	"fmt"
	"testing"

	"github.com/aidr-engine/aidr/rules"
	"github.com/aidr-engine/aidr/schema"
	"github.com/aidr-engine/aidr/schema/decode"
)

var (
	ruleSizes = []int{10, 100, 1000, 10_000, 50_000}
	ruleForms = []string{"fields", "raw"}
)

// matchRecords decodes records and matches each event, and returns the number of events and hits.
func matchRecords(tb testing.TB, set *rules.Set, records []string) (run func() (events, hits int), sc *rules.Scratch) {
	d, err := decode.New(decode.Options{Format: "auto", Wanted: set.Wanted()})
	if err != nil {
		tb.Fatal(err)
	}
	sc = set.NewScratch()
	var out []rules.Hit
	events, hits := 0, 0
	h := decode.Handler{Event: func(e *schema.Event) {
		out = set.Match(e, sc, out[:0])
		events++
		hits += len(out)
	}}
	return func() (int, int) {
		events, hits = 0, 0
		for i, text := range records {
			d.Decode(text, decode.Meta{Pos: schema.Position{Topic: "corpus", Offset: int64(i)}}, &h)
		}
		return events, hits
	}, sc
}

// BenchmarkRules decodes real CloudTrail records and matches each event with generated rules of several sizes, on fields
// and on raw paths. All sizes have the same hits, so events/s should not depend on the size. Compare the sizes of one run.
//
//	go test ./benchmarks -run xxx -bench 'Rules$' -cpu 1 -benchtime 3s
func BenchmarkRules(b *testing.B) {
	records, _ := cloudTrailRecords(b, true)
	for _, form := range ruleForms {
		for _, n := range ruleSizes {
			b.Run(fmt.Sprintf("%s/%d", form, n), func(b *testing.B) {
				set := loadRules(b, cloudTrailRules(b, n, form == "raw"))
				benchmarkMatch(b, set, records)
			})
		}
	}
}

func benchmarkMatch(b *testing.B, set *rules.Set, records []string) {
	run, sc := matchRecords(b, set, records)
	run()
	candidates := sc.Candidates()
	b.ReportAllocs()
	events, hits := 0, 0
	before := cpuTime(b)
	for b.Loop() {
		e, h := run()
		events, hits = events+e, hits+h
	}
	b.ReportMetric(float64(events)/(cpuTime(b)-before).Seconds(), "events/cpu-s")
	b.ReportMetric(float64(hits)/float64(events), "hits/event")
	b.ReportMetric(float64(sc.Candidates()-candidates)/float64(events), "candidates/event")
	b.ReportMetric(0, "ns/op")
}
