package benchmarks

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"testing"

	kafkago "github.com/segmentio/kafka-go"

	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/connectors/conntest"
	"github.com/aidr-engine/aidr/connectors/kafka"
	"github.com/aidr-engine/aidr/engine"
	"github.com/aidr-engine/aidr/engine/store"
	"github.com/aidr-engine/aidr/schema/content"
	"github.com/aidr-engine/aidr/schema/decode"
)

// partitions is the number of partitions of the topic, fetchSize the size of a fetch on both sides, in bytes.
const (
	partitions = 4
	fetchSize  = 1 << 20
	// kafkaRepeats makes a corpus of about 250 MB, so that joining the group and opening the store, which happen once per
	// process, do not show in the cost of a record.
	kafkaRepeats = 250
)

// BenchmarkKafka measures the whole way from a real broker through the engine, with checkpoints on disk. It also measures
// the two parts: a bare loop of Client.Fetch over the same partitions, and a replay of the same records from memory. The
// cost of a record end to end should be about the sum of the two:
//
//	go test ./benchmarks -run xxx -bench Kafka -benchtime 3x -count 5
func BenchmarkKafka(b *testing.B) {
	broker := conntest.StartKafka(b)
	c := cloudTrailCorpus(b, kafkaRepeats)
	const topic = "cloudtrail"
	conntest.CreateTopic(b, broker.Addr, topic, partitions)
	var parts [partitions][]string // each in order of time, and all with the same times
	for i, r := range c.records {
		parts[i%partitions] = append(parts[i%partitions], r)
	}
	for p, records := range parts {
		conntest.Produce(b, broker.Addr, topic, p, conntest.Messages(records...), nil)
	}
	set := shippedRules(b)
	b.Run("fetch", func(b *testing.B) {
		start := cpuTime(b)
		for b.Loop() {
			var wg sync.WaitGroup
			for p := range partitions {
				wg.Go(func() {
					if err := fetchAll(b.Context(), broker.Addr, topic, p, len(parts[p])); err != nil {
						b.Error(err)
					}
				})
			}
			wg.Wait()
		}
		reportRecords(b, len(c.records), cpuTime(b)-start)
	})
	b.Run("replay", func(b *testing.B) {
		start := cpuTime(b)
		for b.Loop() {
			replay(b, set, c)
		}
		reportRecords(b, len(c.records), cpuTime(b)-start)
	})
	b.Run("end-to-end", func(b *testing.B) {
		start, n := cpuTime(b), 0
		for b.Loop() {
			n++
			src, err := kafka.New(kafka.Config{
				Name: "k", Brokers: []string{broker.Addr}, Topics: []string{topic},
				Group: fmt.Sprintf("bench-%d-%p", n, b), Start: "first", FetchBytes: fetchSize,
			})
			if err != nil {
				b.Fatal(err)
			}
			st, err := store.Open(b.TempDir(), store.Options{})
			if err != nil {
				b.Fatal(err)
			}
			in := engine.Input{Source: src, Decode: decode.Options{Format: "auto"}}
			e, err := engine.New(engine.Options{Set: set, Store: st, Redact: content.Redact, Inputs: []engine.Input{in}})
			if err != nil {
				b.Fatal(err)
			}
			ctx, cancel := context.WithCancel(b.Context())
			r := &untilRead{Reader: e, want: int64(len(c.records)), done: cancel}
			if err := src.Run(ctx, r); err != nil {
				b.Fatal(err)
			}
			cancel()
			if err := errors.Join(e.Stop(context.Background()), st.Close()); err != nil {
				b.Fatal(err)
			}
		}
		reportRecords(b, len(c.records), cpuTime(b)-start)
	})
}

// untilRead is a reader that ends the source after a number of records.
type untilRead struct {
	connectors.Reader
	n    atomic.Int64
	want int64
	done func()
}

func (r *untilRead) Read(ctx context.Context, batch *connectors.Batch) error {
	err := r.Reader.Read(ctx, batch)
	if n := int64(len(batch.Records)); err == nil && n > 0 && r.n.Add(n) == r.want {
		r.done()
	}
	return err
}

// fetchAll fetches a partition with the client alone, without looking at the records.
func fetchAll(ctx context.Context, addr, topic string, partition, records int) error {
	client := &kafkago.Client{Addr: kafkago.TCP(addr), Transport: &kafkago.Transport{}}
	for offset := int64(0); offset < int64(records); {
		res, err := client.Fetch(ctx, &kafkago.FetchRequest{Topic: topic, Partition: partition, Offset: offset, MinBytes: 1, MaxBytes: fetchSize})
		if err == nil {
			err = res.Error
		}
		if err != nil {
			return err
		}
		for {
			r, err := res.Records.ReadRecord()
			if err == io.EOF {
				break
			}
			if err != nil {
				return err
			}
			offset = r.Offset + 1
			r.Value.Close()
		}
	}
	return nil
}
