package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/aidr-engine/aidr/connectors/conntest"
)

// sample is one record of the samples: its end time, and its bytes on one line.
type sample struct {
	at   time.Time
	body string
}

// partition is one partition of the corpus, with its records in event-time order.
type partition struct {
	topic   string
	number  int32
	records []sample
}

// corpus returns the samples in six partitions of three topics: CloudTrail elements, alone and in envelopes, and LiteLLM
// records. The names of the topics start with prefix.
func corpus(t testing.TB, prefix string) []partition {
	t.Helper()
	trail := cloudTrail(t)
	llm := liteLLM(t)
	var alone, wrapped [2][]sample
	for i, s := range trail {
		if i%2 == 0 {
			alone[i/2%2] = append(alone[i/2%2], s)
		} else {
			wrapped[i/2%2] = append(wrapped[i/2%2], s)
		}
	}
	var calls [2][]sample
	for i, s := range llm {
		calls[i%2] = append(calls[i%2], s)
	}
	return []partition{
		{prefix + "cloudtrail", 0, alone[0]}, {prefix + "cloudtrail", 1, alone[1]},
		{prefix + "audit", 0, recordsOf(wrapped[0])}, {prefix + "audit", 1, eventBridge(wrapped[1])},
		{prefix + "litellm", 0, calls[0]}, {prefix + "litellm", 1, calls[1]},
	}
}

// cloudTrail reads the elements of the recorded attacks, in order of time.
func cloudTrail(t testing.TB) (out []sample) {
	t.Helper()
	for _, pattern := range []string{"invictus", "stratus"} {
		files, err := filepath.Glob(filepath.Join(sampleDir(t, "aws_cloudtrail", pattern), "*.json"))
		if err != nil || len(files) == 0 {
			t.Fatalf("no CloudTrail samples in %s: %v", pattern, err)
		}
		for _, file := range files {
			for _, element := range elementsOf(t, file) {
				var e struct{ EventTime time.Time }
				if err := json.Unmarshal(element, &e); err != nil {
					t.Fatalf("%s: %v", file, err)
				}
				out = append(out, sample{e.EventTime, compact(t, element)})
			}
		}
	}
	return sorted(out)
}

// elementsOf reads the elements of an array, or of the array at the key Records.
func elementsOf(t testing.TB, file string) (elements []json.RawMessage) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var records struct{ Records []json.RawMessage }
	if json.Unmarshal(text, &elements) == nil {
		return elements
	}
	if err := json.Unmarshal(text, &records); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	return records.Records
}

// liteLLM reads the calls of recorded agents, in order of their end.
func liteLLM(t testing.TB) (out []sample) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(sampleDir(t, "replay_litellm_from_agentdojo"), "*.jsonl"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no LiteLLM samples: %v", err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			var l struct{ Raw json.RawMessage }
			var r struct{ EndTime float64 }
			if err := json.Unmarshal([]byte(line), &l); err != nil {
				t.Fatalf("%s: %v", file, err)
			}
			if err := json.Unmarshal(l.Raw, &r); err != nil {
				t.Fatalf("%s: %v", file, err)
			}
			out = append(out, sample{time.UnixMicro(int64(r.EndTime * 1e6)), compact(t, l.Raw)})
		}
	}
	return sorted(out)
}

func compact(t testing.TB, raw json.RawMessage) string {
	t.Helper()
	var b bytes.Buffer
	if err := json.Compact(&b, raw); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func sorted(s []sample) []sample {
	slices.SortStableFunc(s, func(a, b sample) int { return cmp.Or(a.at.Compare(b.at), strings.Compare(a.body, b.body)) })
	return s
}

// recordsOf groups up to 7 elements into one record, as in CloudTrail's files.
func recordsOf(elements []sample) (out []sample) {
	const most = 7
	for some := range slices.Chunk(elements, most) {
		var bodies []string
		for _, s := range some {
			bodies = append(bodies, s.body)
		}
		out = append(out, sample{some[len(some)-1].at, `{"Records":[` + strings.Join(bodies, ",") + `]}`})
	}
	return out
}

// eventBridge wraps each element in the envelope of EventBridge.
func eventBridge(elements []sample) (out []sample) {
	for i, s := range elements {
		out = append(out, sample{s.at, fmt.Sprintf(
			`{"version":"0","id":"bridge-%d","detail-type":"AWS API Call via CloudTrail","source":"aws.health",`+
				`"account":"123456789012","time":%q,"region":"us-east-1","resources":[],"detail":%s}`,
			i, s.at.UTC().Format(time.RFC3339), s.body)})
	}
	return out
}

// writeCorpus writes each partition to a file of its own and returns their names.
func writeCorpus(t testing.TB, parts []partition) (files []string) {
	t.Helper()
	dir := t.TempDir()
	for _, p := range parts {
		var b strings.Builder
		for _, r := range p.records {
			b.WriteString(r.body + "\n")
		}
		name := filepath.Join(dir, fmt.Sprintf("%s-%d.jsonl", p.topic, p.number))
		if err := os.WriteFile(name, []byte(b.String()), 0o600); err != nil {
			t.Fatal(err)
		}
		files = append(files, name)
	}
	return files
}

// createTopics creates the topics of the corpus and returns their names.
func createTopics(t testing.TB, addr string, parts []partition) (topics []string) {
	t.Helper()
	numbers := map[string]int{}
	for _, p := range parts {
		if numbers[p.topic] == 0 {
			topics = append(topics, p.topic)
		}
		numbers[p.topic]++
	}
	for _, topic := range topics {
		conntest.CreateTopic(t, addr, topic, numbers[topic])
	}
	return topics
}

// producer is a Kafka client other than the engine's.
type producer struct {
	t      testing.TB
	client *kgo.Client
}

func newProducer(t testing.TB, addr string) *producer {
	t.Helper()
	c, err := kgo.NewClient(kgo.SeedBrokers(addr), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerBatchCompression(kgo.Lz4Compression()),
		kgo.ProducerBatchMaxBytes(16<<20), kgo.MaxBufferedRecords(1<<20), kgo.RecordDeliveryTimeout(2*time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return &producer{t, c}
}

// produce writes records to one partition in order, and returns when the broker has acknowledged them.
func (p *producer) produce(topic string, number int32, bodies ...[]byte) error {
	var records []*kgo.Record
	for _, b := range bodies {
		records = append(records, &kgo.Record{Topic: topic, Partition: number, Value: b})
	}
	return p.client.ProduceSync(p.t.Context(), records...).FirstErr()
}

// share writes the step-th of steps shares of every partition.
func (p *producer) share(parts []partition, step, steps int) error {
	for _, part := range parts {
		n := len(part.records)
		var bodies [][]byte
		for _, r := range part.records[n*step/steps : n*(step+1)/steps] {
			bodies = append(bodies, []byte(r.body))
		}
		if err := p.produce(part.topic, part.number, bodies...); err != nil {
			return err
		}
	}
	return nil
}
