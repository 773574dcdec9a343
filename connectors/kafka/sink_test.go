package kafka

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"

	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/connectors/conntest"
	"github.com/aidr-engine/aidr/schema"
)

func newSink(t testing.TB, addr string, change func(*SinkConfig)) *Sink {
	t.Helper()
	c := SinkConfig{Brokers: []string{addr}, Topic: "findings"}
	if change != nil {
		change(&c)
	}
	s, err := NewSink(c)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// stored returns all messages of a topic.
func stored(t testing.TB, addr, topic string, partitions int) (out []kafka.Message) {
	t.Helper()
	transport := &kafka.Transport{} // the default one may hold a connection that an outage has broken
	defer transport.CloseIdleConnections()
	client := &kafka.Client{Addr: kafka.TCP(addr), Transport: transport}
	for p := range partitions {
		end, err := begin{offset: kafka.LastOffset}.resolve(t.Context(), client, topic, p)
		if err != nil {
			t.Fatal(err)
		}
		r := kafka.NewReader(kafka.ReaderConfig{Brokers: []string{addr}, Topic: topic, Partition: p, MaxWait: 50 * time.Millisecond})
		for at := int64(0); at < end; {
			m, err := r.ReadMessage(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			at = m.Offset + 1
			out = append(out, m)
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

func header(m *kafka.Message, key string) string {
	for _, h := range m.Headers {
		if h.Key == key {
			return string(h.Value)
		}
	}
	return ""
}

// latest returns the highest revision of each finding, as a consumer of the topic computes it from the headers. Messages with one
// id and revision must have one value, and the changes of one agent must be in one partition.
func latest(t testing.TB, messages []kafka.Message) map[schema.ID]uint64 {
	t.Helper()
	out, values, place := map[schema.ID]uint64{}, map[string][]byte{}, map[string]int{}
	for i := range messages {
		m := &messages[i]
		id, err := schema.ParseID(header(m, HeaderID))
		if err != nil {
			t.Fatal(err)
		}
		revision, err := strconv.ParseUint(header(m, HeaderRevision), 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		var f schema.Finding
		if err := json.Unmarshal(m.Value, &f); err != nil || f.ID != id || f.Revision != revision || string(m.Key) != f.AgentUID {
			t.Errorf("message with the key %s and the headers %v holds %s: %v", m.Key, m.Headers, m.Value, err)
		}
		key := fmt.Sprint(id, revision)
		if old := values[key]; old != nil && !bytes.Equal(old, m.Value) {
			t.Errorf("two values of %s", key)
		}
		if p, ok := place[string(m.Key)]; ok && p != m.Partition {
			t.Errorf("agent %s is in the partitions %d and %d", m.Key, p, m.Partition)
		}
		values[key], place[string(m.Key)] = m.Value, m.Partition
		out[id] = max(out[id], revision)
	}
	return out
}

// sinkContract runs the suite with topics of their own.
func sinkContract(t *testing.T, addr string, takeDown func(*testing.T) func()) {
	var n atomic.Int32
	conntest.TestSink(t, func(t *testing.T) conntest.SinkTarget {
		topic := fmt.Sprintf("findings-%d", n.Add(1))
		conntest.CreateTopic(t, addr, topic, 3)
		return conntest.SinkTarget{
			New:      func(t *testing.T) connectors.Sink { return newSink(t, addr, func(c *SinkConfig) { c.Topic = topic }) },
			Stored:   func(t *testing.T) map[schema.ID]uint64 { return latest(t, stored(t, addr, topic, 3)) },
			Poison:   func(f *schema.Finding) { f.Summary = strings.Repeat("x", maxSinkMessage) },
			TakeDown: takeDown,
		}
	})
}

func TestSinkContract(t *testing.T) {
	broker := conntest.StartFakeKafka(t)
	sinkContract(t, broker.Addr, func(*testing.T) func() { return broker.Away() })
}

// apacheSink checks the sink against a real broker: the contract, the broker's own limit of a message, and a broker that is killed.
func apacheSink(t *testing.T, broker *conntest.Kafka) {
	t.Run("contract", func(t *testing.T) { sinkContract(t, broker.Addr, nil) })
	t.Run("limit of the topic", func(t *testing.T) {
		conntest.CreateTopic(t, broker.Addr, "small", 1, "max.message.bytes", "20000")
		s := newSink(t, broker.Addr, func(c *SinkConfig) { c.Topic, c.Compression = "small", "none" })
		defer s.Close()
		entries := conntest.Entries(1, 100) // together more than the limit
		entries[7].Finding.Summary = strings.Repeat("x", 30_000)
		err := s.Write(t.Context(), entries)
		var p *connectors.Partial
		if !errors.As(err, &p) || len(p.Entries) != 1 || p.Entries[0].Seq != 8 || !p.Entries[0].Poison || p.Entries[0].Reason != connectors.ReasonRefused {
			t.Fatalf("got %v, want the entry 8 as poison", err)
		}
		if got := latest(t, stored(t, broker.Addr, "small", 1)); len(got) != 99 {
			t.Errorf("%d findings are stored, want 99", len(got))
		}
	})
	t.Run("dead letters", func(t *testing.T) {
		conntest.CreateTopic(t, broker.Addr, "dead", 2)
		s := newSink(t, broker.Addr, func(c *SinkConfig) { c.Topic, c.DeadLetters = "", "dead" })
		defer s.Close()
		if s.Profile().Wants(conntest.Entries(1, 1)[0]) {
			t.Error("a sink without a topic for findings wants findings")
		}
		list := []connectors.DeadLetter{
			{Seq: 1, Kind: schema.DeadRecord, Reason: "syntax", Origin: "logs", JSON: []byte(`{"seq":1}`)},
			{Seq: 2, Kind: schema.DeadDelivery, Reason: "http_400", Origin: "soc", JSON: []byte(strings.Repeat("x", maxSinkMessage))},
			{Seq: 3, Kind: schema.DeadDelivery, Reason: "http_400", Origin: "soc", JSON: []byte(`{"seq":3}`)},
		}
		if err := s.Profile().DeadLetters(t.Context(), list); err != nil {
			t.Fatal(err)
		}
		got := map[string]string{}
		for _, m := range stored(t, broker.Addr, "dead", 2) {
			got[header(&m, "seq")] = fmt.Sprint(string(m.Key), header(&m, "kind"), header(&m, "reason"), string(m.Value))
		}
		if len(got) != 2 || got["1"] != `logsrecordsyntax{"seq":1}` || got["3"] != `socdeliveryhttp_400{"seq":3}` {
			t.Errorf("got %v", got)
		}
	})
	t.Run("a missing topic", func(t *testing.T) {
		s := newSink(t, broker.Addr, func(c *SinkConfig) { c.Topic = "absent" })
		defer s.Close()
		if err := s.Write(t.Context(), conntest.Entries(1, 1)); err == nil || errors.As(err, new(*connectors.Partial)) || !s.Health().Degraded {
			t.Errorf("write to a missing topic: %v, health %+v; want an error of the whole", err, s.Health())
		}
		if a := s.Probe(t.Context()); len(a) != 1 || !a[0].Failed {
			t.Errorf("probe: %+v", a)
		}
	})
	t.Run("a broker that is killed", func(t *testing.T) {
		conntest.CreateTopic(t, broker.Addr, "sink-killed", 3)
		s := newSink(t, broker.Addr, func(c *SinkConfig) { c.Topic = "sink-killed" })
		defer s.Close()
		const n, block = 2000, 100
		down := make(chan struct{})
		for from := 1; from <= n; from += block {
			if from == n/2+1 {
				broker.Kill()
				go func() { broker.Restart(); close(down) }()
			}
			entries := conntest.Entries(uint64(from), block)
			for deadline := time.Now().Add(2 * time.Minute); ; {
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
				err := s.Write(ctx, entries)
				cancel()
				if err == nil {
					break
				}
				if errors.As(err, new(*connectors.Partial)) || time.Now().After(deadline) {
					t.Fatalf("write: %v", err)
				}
				<-time.After(200 * time.Millisecond)
			}
		}
		<-down
		messages := stored(t, broker.Addr, "sink-killed", 3)
		if got := latest(t, messages); len(got) != n {
			t.Errorf("%d findings are stored, want %d", len(got), n)
		}
		t.Logf("%d messages of %d findings", len(messages), n)
	})
}

func TestSinkConfig(t *testing.T) {
	f := func(c SinkConfig, want string) {
		t.Helper()
		if _, err := NewSink(c); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", c, err, want)
		}
	}
	b := []string{"127.0.0.1:9092"}
	f(SinkConfig{Topic: "t"}, "no brokers")
	f(SinkConfig{Brokers: []string{"x"}, Topic: "t"}, "not host:port")
	f(SinkConfig{Brokers: b}, "no topic")
	f(SinkConfig{Brokers: b, Topic: "a b"}, "not a topic name")
	f(SinkConfig{Brokers: b, Topic: "t", DeadLetters: "t"}, "could not tell them apart")
	f(SinkConfig{Brokers: b, Topic: "t", Compression: "zip"}, "use zstd")
	f(SinkConfig{Brokers: b, Topic: "t", SASL: &SASL{Mechanism: "PLAIN"}}, "no username")
	shadow := conntest.Entries(1, 1)[0]
	shadow.Finding.Shadow = true
	if s := newSink(t, b[0], nil); s.Profile().Wants(shadow) || !s.Profile().Wants(connectors.Entry{Type: connectors.AgentContained, Response: &schema.ResponseRecord{}}) ||
		s.Profile().Wants(connectors.Entry{Type: connectors.ResponseChanged, Response: &schema.ResponseRecord{}}) {
		t.Error("the sink wants shadow findings or proofs, or no containments")
	}
}
