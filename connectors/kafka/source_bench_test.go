//go:build unix

package kafka

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"

	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/connectors/conntest"
)

const (
	benchPartitions = 4
	benchRecords    = 200_000
)

// BenchmarkSource compares the source with a minimal loop over the same client, as records/s of both from one real broker
// in one run. The source copies every byte once; the loop copies nothing.
func BenchmarkSource(b *testing.B) {
	broker := conntest.StartKafka(b)
	for _, codec := range []kafka.Compression{0, kafka.Zstd} {
		topic := fmt.Sprintf("bench-%d", codec)
		conntest.CreateTopic(b, broker.Addr, topic, benchPartitions)
		text := `{"n":%d,"pad":"` + strings.Repeat("records of a kilobyte ", 45) + `"}`
		for p := range benchPartitions {
			texts := make([]string, benchRecords/benchPartitions)
			for i := range texts {
				texts[i] = fmt.Sprintf(text, i)
			}
			conntest.Produce(b, broker.Addr, topic, p, conntest.Messages(texts...), func(w *kafka.Writer) { w.Compression = codec })
		}
		for _, size := range []int{1 << 20, 8 << 20} {
			name := fmt.Sprintf("codec=%d/bytes=%dM/", codec, size>>20)
			b.Run(name+"fetch", func(b *testing.B) { benchFetch(b, broker.Addr, topic, size) })
			b.Run(name+"source", func(b *testing.B) { benchSource(b, broker.Addr, topic, size) })
		}
	}
}

// report reports the rate and the processor time of this process, which is steadier than the rate on a loaded machine.
func report(b *testing.B, spent time.Duration) {
	records := float64(b.N) * benchRecords
	b.ReportMetric(records/b.Elapsed().Seconds(), "records/s")
	b.ReportMetric(float64(spent.Nanoseconds())/records, "cpu-ns/record")
}

// processorTime returns the processor time that this process has used so far.
func processorTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// benchFetch reads each partition in its own loop of Client.Fetch.
func benchFetch(b *testing.B, addr, topic string, size int) {
	begun := processorTime(b)
	for b.Loop() {
		client := &kafka.Client{Addr: kafka.TCP(addr), Transport: &kafka.Transport{}}
		var wg sync.WaitGroup
		for p := range benchPartitions {
			wg.Go(func() {
				if err := drain(b.Context(), client, topic, p, size); err != nil {
					b.Error(err)
				}
			})
		}
		wg.Wait()
	}
	report(b, processorTime(b)-begun)
}

func drain(ctx context.Context, client *kafka.Client, topic string, partition, size int) error {
	for offset := int64(0); offset < benchRecords/benchPartitions; {
		res, err := client.Fetch(ctx, &kafka.FetchRequest{Topic: topic, Partition: partition, Offset: offset, MinBytes: 1, MaxBytes: int64(size)})
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

// counter is a Reader that counts records and closes full after the last one.
type counter struct {
	n    atomic.Int64
	full chan struct{}
}

func (c *counter) Assigned(connectors.Partition) (int64, bool) { return 0, true }
func (c *counter) Read(_ context.Context, batch *connectors.Batch) error {
	if n := len(batch.Records); n > 0 && c.n.Add(int64(n)) == benchRecords {
		close(c.full)
	}
	return nil
}
func (c *counter) Revoked(context.Context, connectors.Partition) error { return nil }
func (c *counter) Standby(string, string)                              {}

func benchSource(b *testing.B, addr, topic string, size int) {
	var spent time.Duration
	for b.Loop() {
		b.StopTimer() // joining and leaving the group is not measured
		s := newSource(b, addr, func(c *Config) { c.Topics, c.Group, c.FetchBytes = []string{topic}, topic, size })
		c := &counter{full: make(chan struct{})}
		started := &startGate{counter: c, ready: make(chan struct{}), begin: make(chan struct{})}
		stop := run(b, s, started)
		<-started.ready
		begun := processorTime(b)
		b.StartTimer()
		close(started.begin)
		<-c.full
		b.StopTimer()
		spent += processorTime(b) - begun
		stop()
		b.StartTimer()
	}
	report(b, spent)
}

// startGate is a counter that blocks the first Assigned until begin is closed, so that the group is joined before the
// clock starts.
type startGate struct {
	*counter
	once         sync.Once
	ready, begin chan struct{}
}

func (g *startGate) Assigned(p connectors.Partition) (int64, bool) {
	g.once.Do(func() { close(g.ready); <-g.begin })
	return g.counter.Assigned(p)
}
