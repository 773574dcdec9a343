package kafka

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"

	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/connectors/conntest"
)

// TestApacheKafka tests behaviour that a fake broker cannot prove.
func TestApacheKafka(t *testing.T) {
	if testing.Short() {
		t.Skip("a real broker is slow")
	}
	broker := conntest.StartKafka(t)
	t.Run("contract", func(t *testing.T) { apacheContract(t, broker) })
	t.Run("codecs", func(t *testing.T) { checkCodecs(t, broker.Addr) })
	t.Run("transactions", func(t *testing.T) { checkTransactions(t, broker.Addr) })
	t.Run("compaction", func(t *testing.T) { apacheCompaction(t, broker) })
	t.Run("standby", func(t *testing.T) { apacheStandby(t, broker) })
	t.Run("shared group", func(t *testing.T) { checkSharedGroup(t, broker.Addr) })
	t.Run("probe", func(t *testing.T) { checkProbe(t, broker.Addr) })
	t.Run("more partitions", func(t *testing.T) { apacheMorePartitions(t, broker) })
	t.Run("sink", func(t *testing.T) { apacheSink(t, broker) })
	t.Run("broker killed", func(t *testing.T) { apacheKilled(t, broker) })
}

func apacheContract(t *testing.T, broker *conntest.Kafka) {
	var n atomic.Int32
	conntest.TestSource(t, func(t *testing.T) conntest.SourceTarget {
		topic := fmt.Sprintf("contract-%d", n.Add(1))
		conntest.CreateTopic(t, broker.Addr, topic, 2)
		ps := []connectors.Partition{part(topic, 0), part(topic, 1)}
		for i, p := range ps {
			conntest.Produce(t, broker.Addr, topic, int(p.Number), conntest.Messages(conntest.Texts(i)...), nil)
		}
		return conntest.SourceTarget{
			New: func(t *testing.T) connectors.Source {
				return newSource(t, broker.Addr, func(c *Config) { c.Topics, c.Group = []string{topic}, topic })
			},
			Partitions: ps,
			Append: func(t *testing.T, p connectors.Partition, text string) {
				conntest.Produce(t, broker.Addr, topic, int(p.Number), conntest.Messages(text), nil)
			},
		}
	})
}

// A compacted batch keeps its range of offsets but loses records, possibly its last ones, and brokers send it for every
// offset in the range. Reading gets past such a batch, whatever offset it begins at.
func apacheCompaction(t *testing.T, broker *conntest.Kafka) {
	conntest.CreateTopic(t, broker.Addr, "compact", 1, "cleanup.policy", "compact", "min.cleanable.dirty.ratio", "0.001",
		"segment.ms", "100", "max.compaction.lag.ms", "100")
	supersede(t, broker.Addr)
	compacted := func() bool {
		all, _ := readFrom(t, broker.Addr, 0)
		return len(all) < 250
	}
	for n := 0; !compacted(); n++ {
		if n == 500 {
			t.Fatal("the broker did not compact")
		}
		// A new record closes the previous segment, which can then be compacted.
		filler := kafka.Message{Key: fmt.Append(nil, "filler ", n), Value: []byte("x")}
		conntest.Produce(t, broker.Addr, "compact", 0, []kafka.Message{filler}, nil)
	}
	if gaps := checkCompacted(t, broker.Addr); gaps == 0 {
		t.Error("no gap was found: the test proves nothing")
	}
}

// The first member reads everything and keeps reading when a second member joins. The second is on standby, and takes
// over at the position of the first once the first leaves.
func apacheStandby(t *testing.T, broker *conntest.Kafka) {
	conntest.CreateTopic(t, broker.Addr, "standby", 3)
	ps := []connectors.Partition{part("standby", 0), part("standby", 1), part("standby", 2)}
	config := func(c *Config) { c.Topics, c.Group = []string{"standby"}, "standby" }
	produce := func(from, to int) {
		for i := range ps {
			conntest.Produce(t, broker.Addr, "standby", i, conntest.Messages(numbered("r", from, to)...), nil)
		}
	}
	first, second := conntest.NewRecorder(), conntest.NewRecorder()
	stopFirst := run(t, newSource(t, broker.Addr, config), first)
	produce(0, 10)
	first.Wait(t, patience, "the first member reads everything", func() bool { return first.Count() == 30 })

	stopSecond := run(t, newSource(t, broker.Addr, config), second)
	second.Wait(t, patience, "the second member is on standby", func() bool { return second.StandbyReason("kafka") != "" })
	produce(10, 20)
	first.Wait(t, patience, "the first member goes on reading", func() bool { return first.Count() == 60 })
	if n := second.Count(); n != 0 {
		t.Errorf("the standby read %d records", n)
	}
	if reason := first.StandbyReason("kafka"); reason != "" {
		t.Errorf("the reading member is on standby: %s", reason)
	}

	second.From = map[connectors.Partition]int64{} // as from a checkpoint on a shared disk
	for _, p := range ps {
		second.From[p], _ = first.Next(p)
	}
	stopFirst()
	first.Check(t)
	produce(20, 30)
	second.Wait(t, patience, "the second member takes over", func() bool { return second.Count() == 30 })
	if reason := second.StandbyReason("kafka"); reason != "" {
		t.Errorf("the reading member is still on standby: %s", reason)
	}
	stopSecond()
	second.Check(t)
	for _, p := range ps {
		if got, want := append(first.Texts(p), second.Texts(p)...), numbered("r", 0, 30); !slices.Equal(got, want) {
			t.Errorf("%v: got %q, want %q", p, got, want)
		}
	}
}

func apacheMorePartitions(t *testing.T, broker *conntest.Kafka) {
	conntest.CreateTopic(t, broker.Addr, "grows", 1)
	r := conntest.NewRecorder()
	stop := run(t, newSource(t, broker.Addr, func(c *Config) { c.Topics, c.Group = []string{"grows"}, "grows" }), r)
	conntest.Produce(t, broker.Addr, "grows", 0, conntest.Messages("a"), nil)
	r.Wait(t, patience, "the first partition is read", func() bool { return r.Count() == 1 })
	client := &kafka.Client{Addr: kafka.TCP(broker.Addr)}
	res, err := client.CreatePartitions(t.Context(), &kafka.CreatePartitionsRequest{
		Topics: []kafka.TopicPartitionsConfig{{Name: "grows", Count: 2}},
	})
	if err == nil {
		err = res.Errors["grows"]
	}
	if err != nil {
		t.Fatalf("create partitions: %v", err)
	}
	r.Wait(t, patience, "the new partition is assigned", func() bool { return r.Partitions()[part("grows", 1)] })
	conntest.Produce(t, broker.Addr, "grows", 1, conntest.Messages("b"), nil)
	r.Wait(t, patience, "the new partition is read", func() bool { return r.Count() == 2 })
	stop()
	r.Check(t)
}

// A broker is killed and comes back. No record is lost or read twice, and health shows the outage.
func apacheKilled(t *testing.T, broker *conntest.Kafka) {
	conntest.CreateTopic(t, broker.Addr, "killed", 2)
	r := conntest.NewRecorder()
	s := newSource(t, broker.Addr, func(c *Config) { c.Topics, c.Group = []string{"killed"}, "killed" })
	stop := run(t, s, r)
	want := numbered("r", 0, 400)
	conntest.Produce(t, broker.Addr, "killed", 1, conntest.Messages(want[:200]...), nil)
	r.Wait(t, patience, "the first half is read", func() bool { return r.Count() == 200 })
	positions := map[connectors.Partition]int64{}
	positions[part("killed", 1)], _ = r.Next(part("killed", 1))
	broker.Kill()
	waitHealth(t, s, "join group")
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := s.Commit(ctx, positions); err != nil {
		t.Errorf("commit while the broker is unreachable: %v", err)
	}
	sleep(ctx, 5*time.Second) // the outage lasts longer than the session
	if !s.Health().Degraded {
		t.Error("health is good while the broker is unreachable")
	}
	broker.Restart()
	conntest.Produce(t, broker.Addr, "killed", 1, conntest.Messages(want[200:]...), nil)
	r.Wait(t, patience, "the second half is read", func() bool { return r.Count() == 400 })
	waitHealth(t, s, "")
	stop()
	if got := r.Texts(part("killed", 1)); !slices.Equal(got, want) {
		t.Errorf("got %d records, want %d in order", len(got), len(want))
	}
	r.Check(t)
}
