//go:build unix

package benchmarks

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
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

// Events that no rule matches allocate nothing between their bytes and the verdict, once the worker knows their values.
func TestMissAllocatesNothing(t *testing.T) {
	records, _ := cloudTrailRecords(t, true)
	var misses []string
	for _, c := range newRuleSeed(cloudTrailRows(t, records)).conjunctions(1000)[seededHits:] {
		misses = append(misses, c.text(false))
	}
	set := loadRules(t, misses)
	run, _ := matchRecords(t, set, records)
	run()
	events, hits := run()
	if events == 0 || hits != 0 {
		t.Fatalf("%d events and %d hits, want events without hits", events, hits)
	}
	if n := testing.AllocsPerRun(5, func() { run() }) / float64(events); n >= 0.01 { // of 1,148 values, some still replace each other
		t.Errorf("%v allocations for an event, want none", n)
	}
}

func benchmarkMatch(b *testing.B, set *rules.Set, records []string) {
	run, sc := matchRecords(b, set, records)
	run()
	candidates := sc.Candidates()
	b.ReportAllocs()
	events, hits := 0, 0
	runtime.GC() // loading left a collection to do, which is not part of the measurement
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

// textRules returns n conditions over prompts: phrases of words that occur in the prompts. The first two occur, the others
// do not, although each of their words does.
func textRules(tb testing.TB, c *corpus, n int) []string {
	var prompts []string
	var w schema.Wanted
	w.Fields.Add(schema.MessageContextPromptText)
	d, err := decode.New(decode.Options{Format: "auto", Wanted: w})
	if err != nil {
		tb.Fatal(err)
	}
	known := map[string]bool{}
	h := decode.Handler{Event: func(e *schema.Event) {
		if text := e.Text(schema.MessageContextPromptText); text != "" && !known[text] {
			known[strings.Clone(text)] = true
			prompts = append(prompts, strings.ToLower(text))
		}
	}}
	for i, text := range c.records {
		d.Decode(text, decode.Meta{Pos: schema.Position{Topic: c.name, Offset: int64(i)}}, &h)
	}
	var words []string
	isWord := regexp.MustCompile(`^[a-z]{4,12}$`)
	for _, p := range prompts {
		for _, word := range strings.Fields(p) {
			if isWord.MatchString(word) && !known[word] {
				known[word] = true
				words = append(words, word)
			}
		}
	}
	r := rand.New(rand.NewPCG(3, 4))
	absent := func() (first, second string) {
		for {
			first, second = words[r.IntN(len(words))], words[r.IntN(len(words))]
			if !slices.ContainsFunc(prompts, func(p string) bool { return strings.Contains(p, first+" "+second) }) {
				return first, second
			}
		}
	}
	const field = "message_context.prompt_text"
	out := []string{
		fmt.Sprintf("%s.icontains(%q)", field, words[0]), fmt.Sprintf("%s.matches(%q)", field, "(?i)"+words[1]+" .{0,9}"+words[2]),
	}
	for len(out) < n {
		a, b := absent()
		c, d := absent()
		switch len(out) % 4 {
		case 0:
			out = append(out, fmt.Sprintf("%s.contains(%q)", field, a+" "+b))
		case 1:
			out = append(out, fmt.Sprintf("%s.icontains(%q)", field, a+" "+b))
		case 2:
			out = append(out, fmt.Sprintf("event.class == \"llm\" && %s.matches(%q)", field, "(?i)"+a+" "+b+" ?("+c+"|"+d+")"))
		case 3:
			out = append(out, fmt.Sprintf("%s.icontains(%q) || %s.matches(%q)", field, a+" "+b, field, c+" "+d+"s*"))
		}
	}
	return out
}

// BenchmarkTextRules matches text rules over the long prompts of LiteLLM records. Compare the sizes of one run.
//
//	go test ./benchmarks -run xxx -bench TextRules -cpu 1 -benchtime 3s
func BenchmarkTextRules(b *testing.B) {
	c := liteLLMCorpus(b)
	c.records = c.records[:len(c.records)/liteLLMRepeats]
	for _, n := range []int{10, 100, 1000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) { benchmarkMatch(b, loadRules(b, textRules(b, c, n)), c.records) })
	}
}

// BenchmarkLongTexts is BenchmarkTextRules with prompts of 100 KB, each put together of the prompts of other records.
//
//	go test ./benchmarks -run xxx -bench LongTexts -cpu 1 -benchtime 1s
func BenchmarkLongTexts(b *testing.B) {
	c := liteLLMCorpus(b)
	c.records = c.records[:len(c.records)/liteLLMRepeats]
	long := longPrompts(b, c, 100<<10)
	for _, n := range []int{10, 100, 1000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) { benchmarkMatch(b, loadRules(b, textRules(b, c, n)), long) })
	}
}

// longPrompts returns records of which each has a prompt of at least size bytes.
func longPrompts(tb testing.TB, c *corpus, size int) (records []string) {
	prompt := ""
	for _, text := range c.records {
		var e struct {
			Messages []struct{ Content any } `json:"messages"`
		}
		if err := json.Unmarshal([]byte(text), &e); err != nil {
			tb.Fatal(err)
		}
		for _, m := range e.Messages {
			if s, ok := m.Content.(string); ok {
				prompt += s + "\n"
			}
		}
		if len(prompt) < size {
			continue
		}
		at := 1767261600 + len(records)
		record, err := json.Marshal(map[string]any{
			"id": fmt.Sprint("c-", len(records)), "call_type": "acompletion", "model": "gpt-4o", "startTime": at, "endTime": at + 1,
			"status": "success", "messages": []any{map[string]any{"role": "user", "content": prompt}}, "response": map[string]any{}, "metadata": map[string]any{},
		})
		if err != nil {
			tb.Fatal(err)
		}
		records, prompt = append(records, string(record)), ""
	}
	return records
}

// BenchmarkWorstRules matches 1,000 rules of shapes that defeat an index: rules without a fact to look up, rules that all
// match, and macros over lists. One list has 256 elements.
//
//	go test ./benchmarks -run xxx -bench WorstRules -cpu 1 -benchtime 1s
func BenchmarkWorstRules(b *testing.B) {
	records, _ := cloudTrailRecords(b, true)
	items := strings.Repeat(`{"k":"v","n":1},`, 255) + `{"k":"w","n":2}`
	wide := []string{`{"eventVersion":"1","eventSource":"s","eventName":"n","awsRegion":"r","eventTime":"2026-01-01T00:00:00Z","list":[` + items + `]}`}
	for _, shape := range []struct {
		name, format string
		n            int
		records      []string
	}{
		{"no-fact", `size(raw.eventName) > %d && raw.eventName != raw.eventSource`, 1000, records},
		{"negations", `event.action != "a%d" && raw.eventName == "none"`, 1000, records},
		{"all-match", `event.action != "a%d"`, 1000, records},
		{"exists-256", `raw.list.exists(x, x.k == "k%d")`, 10, wide},
	} {
		b.Run(shape.name, func(b *testing.B) {
			var conditions []string
			for i := range shape.n {
				conditions = append(conditions, fmt.Sprintf(shape.format, 100+i))
			}
			benchmarkMatch(b, loadRules(b, conditions), shape.records)
		})
	}
}

// BenchmarkUniqueValues matches events in which no value of a text column recurs, as with request ids, sessions and made-up
// names. An index that keeps results by value gains nothing from them. unknown values occur in no rule; those that are known
// are real ones with a number at the end, so they begin with and contain texts of many rules. The rules are those of
// BenchmarkRules.
//
//	go test ./benchmarks -run xxx -bench UniqueValues -cpu 1 -benchtime 3s
func BenchmarkUniqueValues(b *testing.B) {
	records, _ := cloudTrailRecords(b, true)
	for _, n := range ruleSizes {
		set := loadRules(b, cloudTrailRules(b, n, false))
		events := decodedEvents(b, set, records)
		for _, kind := range []string{"known", "unknown"} {
			b.Run(fmt.Sprintf("%s/%d", kind, n), func(b *testing.B) { benchmarkUnique(b, set, events, kind == "known") })
		}
	}
}

// benchmarkUnique matches events after it made each of their texts one that no other event has.
func benchmarkUnique(b *testing.B, set *rules.Set, events []schema.Event, known bool) {
	sc := set.NewScratch()
	var out []rules.Hit
	var text []byte
	hits, matched := 0, 0
	runtime.GC() // loading left a collection to do, which is not part of the measurement
	before := cpuTime(b)
	for b.Loop() {
		e := events[matched%len(events)]
		matched++
		for _, c := range cloudTrailColumns {
			if v := e.Text(c.field); v != "" {
				text = text[:0]
				if known {
					text = append(text, v...)
				}
				text = strconv.AppendInt(append(text, '~'), int64(matched), 10)
				e.SetText(c.field, string(text))
			}
		}
		out = set.Match(&e, sc, out[:0])
		hits += len(out)
	}
	b.ReportMetric(float64((cpuTime(b)-before).Nanoseconds())/float64(matched), "cpu-ns/event")
	b.ReportMetric(float64(hits)/float64(matched), "hits/event")
	b.ReportMetric(float64(sc.Candidates())/float64(matched), "candidates/event")
	b.ReportMetric(0, "ns/op")
}

// decodedEvents returns the events of records, each with its own memory.
func decodedEvents(tb testing.TB, set *rules.Set, records []string) (events []schema.Event) {
	d, err := decode.New(decode.Options{Format: "auto", Wanted: set.Wanted()})
	if err != nil {
		tb.Fatal(err)
	}
	h := decode.Handler{Event: func(e *schema.Event) {
		var own schema.Event
		for _, c := range cloudTrailColumns {
			if v := e.Text(c.field); v != "" {
				own.SetText(c.field, strings.Clone(v))
			}
		}
		events = append(events, own)
	}}
	for i, text := range records {
		d.Decode(text, decode.Meta{Pos: schema.Position{Topic: "corpus", Offset: int64(i)}}, &h)
	}
	return events
}
