//go:build unix

package benchmarks

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/connectors/memory"
	"github.com/aidr-engine/aidr/engine"
	"github.com/aidr-engine/aidr/rules"
	"github.com/aidr-engine/aidr/rules/library"
	"github.com/aidr-engine/aidr/schema/content"
	"github.com/aidr-engine/aidr/schema/decode"
)

// corpus is a log of one format: real records, repeated with advancing times, so that no record is a copy.
type corpus struct {
	name    string
	records []string
	bytes   int
}

func (c *corpus) add(record string) {
	c.records = append(c.records, record)
	c.bytes += len(record)
}

// The samples are repeated until a corpus has about 50 MB: seconds of work, and larger than the caches of the CPU.
const (
	cloudTrailRepeats = 50
	liteLLMRepeats    = 40
)

// cloudTrailCorpus returns the CloudTrail samples, repeated, with one event every 200 ms.
func cloudTrailCorpus(tb testing.TB, repeats int) *corpus {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	c := &corpus{name: "cloudtrail"}
	elements, _ := cloudTrailRecords(tb, true)
	for n := range repeats * len(elements) {
		var e map[string]json.RawMessage
		if err := json.Unmarshal([]byte(elements[n%len(elements)]), &e); err != nil {
			tb.Fatal(err)
		}
		e["eventTime"] = json.RawMessage(start.Add(time.Duration(n) * 200 * time.Millisecond).Format(`"2006-01-02T15:04:05Z"`))
		e["eventID"] = json.RawMessage(fmt.Sprintf(`"e-%d"`, n))
		b, err := json.Marshal(e)
		if err != nil {
			tb.Fatal(err)
		}
		c.add(string(b))
	}
	return c
}

// liteLLMCorpus returns the AgentDojo sessions as LiteLLM records, with one call every 2 s.
func liteLLMCorpus(tb testing.TB) *corpus {
	files, err := filepath.Glob(filepath.Join(samplesDir(), "replay_litellm_from_agentdojo", "*.jsonl"))
	if err != nil || len(files) == 0 {
		tb.Skip("no sample of LiteLLM records")
	}
	f, err := os.Open(files[0])
	if err != nil {
		tb.Fatal(err)
	}
	defer f.Close()
	var raws []map[string]json.RawMessage
	s := bufio.NewScanner(f)
	s.Buffer(nil, 16<<20)
	for s.Scan() {
		var l struct{ Raw map[string]json.RawMessage }
		if err := json.Unmarshal(s.Bytes(), &l); err != nil {
			tb.Fatal(err)
		}
		raws = append(raws, l.Raw)
	}
	c := &corpus{name: "litellm"}
	for n := range liteLLMRepeats * len(raws) {
		e := raws[n%len(raws)]
		at := 1767261600 + 2*n
		e["startTime"], e["endTime"] = json.RawMessage(fmt.Sprint(at)), json.RawMessage(fmt.Sprint(at+1))
		e["id"] = json.RawMessage(fmt.Sprintf(`"c-%d"`, n))
		e["trace_id"] = json.RawMessage(fmt.Sprintf(`"s-%d-%d"`, n/len(raws), n%len(raws)/5))
		b, err := json.Marshal(e)
		if err != nil {
			tb.Fatal(err)
		}
		c.add(string(b))
	}
	return c
}

func shippedRules(tb testing.TB) *rules.Set {
	set, problems := rules.LoadFS(rules.Options{}, library.FS, "library")
	if set == nil {
		tb.Fatal(problems)
	}
	return set
}

// replay runs a corpus through the whole pipeline with the shipped rules and returns the number of findings.
func replay(tb testing.TB, set *rules.Set, c *corpus) int { return replayAs(tb, set, c, "auto") }

// replayAs is replay for a format that is known.
func replayAs(tb testing.TB, set *rules.Set, c *corpus, format string) int {
	src := &memory.Source{Named: "bench", Partitions: []memory.Partition{
		{Partition: connectors.Partition{Source: "bench", Topic: c.name}, Records: c.records},
	}}
	fs, err := engine.Replay(context.Background(), engine.Options{
		Set: set, Redact: content.Redact, Inputs: []engine.Input{{Source: src, Decode: decode.Options{Format: format}}},
	}, 0)
	if err != nil {
		tb.Fatal(err)
	}
	return len(fs)
}

// BenchmarkReplay measures the whole pipeline with the shipped rules. For comparison, in the same run, encoding/json decodes
// the same bytes into map[string]any on one thread, with its garbage collection included:
//
//	go test ./benchmarks -run xxx -bench Replay -cpu 2 -count 5
//	go test ./benchmarks -run xxx -bench EncodingJSON -cpu 1 -count 5
func BenchmarkReplay(b *testing.B) {
	set := shippedRules(b)
	for _, c := range []*corpus{cloudTrailCorpus(b, cloudTrailRepeats), liteLLMCorpus(b)} {
		b.Run(c.name, func(b *testing.B) {
			b.SetBytes(int64(c.bytes))
			found := 0
			before := cpuTime(b)
			for b.Loop() {
				found = replay(b, set, c)
			}
			reportRecords(b, len(c.records), cpuTime(b)-before)
			b.ReportMetric(float64(found), "findings")
		})
	}
}

func BenchmarkEncodingJSON(b *testing.B) {
	for _, c := range []*corpus{cloudTrailCorpus(b, cloudTrailRepeats), liteLLMCorpus(b)} {
		b.Run(c.name, func(b *testing.B) {
			b.SetBytes(int64(c.bytes))
			records := make([][]byte, len(c.records)) // Unmarshal is the fastest function of encoding/json, and takes bytes
			for i, r := range c.records {
				records[i] = []byte(r)
			}
			before := cpuTime(b)
			for b.Loop() {
				for _, r := range records {
					var m map[string]any
					if err := json.Unmarshal(r, &m); err != nil {
						b.Fatal(err)
					}
				}
			}
			reportRecords(b, len(c.records), cpuTime(b)-before)
		})
	}
}

// cpuTime returns the time that all threads of this process have spent on a CPU. Unlike wall-clock time, it does not depend
// on other load.
func cpuTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func reportRecords(b *testing.B, records int, cpu time.Duration) {
	n := float64(records) * float64(b.N)
	b.ReportMetric(n/b.Elapsed().Seconds(), "records/s")
	b.ReportMetric(float64(cpu.Nanoseconds())/n, "cpu-ns/record")
}
