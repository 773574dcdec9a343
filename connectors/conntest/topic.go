package conntest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kfake"
)

// CreateTopic creates a topic and waits until all of its partitions can be written. config lists names and values of
// topic settings in turn.
func CreateTopic(tb testing.TB, addr, topic string, partitions int, config ...string) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), outage)
	defer cancel()
	client, done := newClient(addr)
	defer done()
	spec := kafka.TopicConfig{Topic: topic, NumPartitions: partitions, ReplicationFactor: 1}
	for i := 0; i+1 < len(config); i += 2 {
		spec.ConfigEntries = append(spec.ConfigEntries, kafka.ConfigEntry{ConfigName: config[i], ConfigValue: config[i+1]})
	}
	for {
		err := create(ctx, client, spec)
		if err == nil {
			err = writable(ctx, client, topic, partitions)
		}
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			tb.Fatalf("create topic %q: %v", topic, err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// create creates a topic. If an earlier attempt has already created it, that is not an error. An attempt can fail because
// a broker that has just started lacks a controller for a moment, or longer on a busy machine.
func create(ctx context.Context, client *kafka.Client, spec kafka.TopicConfig) error {
	res, err := client.CreateTopics(ctx, &kafka.CreateTopicsRequest{Topics: []kafka.TopicConfig{spec}})
	if err != nil {
		return err
	}
	if err = res.Errors[spec.Topic]; errors.Is(err, kafka.TopicAlreadyExists) {
		return nil
	}
	return err
}

// writable returns nil if every partition reports its end, because only a leader can do so.
func writable(ctx context.Context, client *kafka.Client, topic string, partitions int) error {
	var requests []kafka.OffsetRequest
	for p := range partitions {
		requests = append(requests, kafka.LastOffsetOf(p))
	}
	res, err := client.ListOffsets(ctx, &kafka.ListOffsetsRequest{Topics: map[string][]kafka.OffsetRequest{topic: requests}})
	if err != nil {
		return err
	}
	if n := len(res.Topics[topic]); n != partitions {
		return fmt.Errorf("%d of %d partitions answer", n, partitions)
	}
	for _, p := range res.Topics[topic] {
		if p.Error != nil {
			return p.Error
		}
	}
	return nil
}

func newClient(addr string) (client *kafka.Client, done func()) {
	transport := &kafka.Transport{MetadataTTL: 200 * time.Millisecond}
	return &kafka.Client{Addr: kafka.TCP(addr), Transport: transport}, transport.CloseIdleConnections
}

// Produce writes messages to one partition, in order, and returns once the broker has stored them. change, if not nil,
// adjusts the writer, for example its codec.
func Produce(tb testing.TB, addr, topic string, partition int, messages []kafka.Message, change func(*kafka.Writer)) {
	tb.Helper()
	transport := &kafka.Transport{}
	defer transport.CloseIdleConnections()
	w := &kafka.Writer{
		Addr: kafka.TCP(addr), Topic: topic, RequiredAcks: kafka.RequireAll, BatchSize: 500, BatchTimeout: time.Millisecond,
		Balancer:  kafka.BalancerFunc(func(kafka.Message, ...int) int { return partition }),
		Transport: transport,
	}
	if change != nil {
		change(w)
	}
	defer w.Close()
	ctx, cancel := context.WithTimeout(tb.Context(), outage)
	defer cancel()
	if err := w.WriteMessages(ctx, messages...); err != nil {
		tb.Fatalf("produce %d messages to %s/%d: %v", len(messages), topic, partition, err)
	}
}

// Messages returns one message without a key for each text.
func Messages(texts ...string) []kafka.Message {
	messages := make([]kafka.Message, len(texts))
	for i, text := range texts {
		messages[i].Value = []byte(text)
	}
	return messages
}

// FakeKafka is a broker in the test process. It is fast, but it does not prove how a real broker treats groups.
type FakeKafka struct {
	Addr string
	*kfake.Cluster
	gate *gate
}

// StartFakeKafka starts a fake broker that runs as long as the test.
func StartFakeKafka(tb testing.TB, opts ...kfake.Opt) *FakeKafka {
	tb.Helper()
	f := &FakeKafka{gate: &gate{conns: map[net.Conn]bool{}}}
	opts = append([]kfake.Opt{
		kfake.NumBrokers(1), kfake.ListenFn(f.gate.listen), kfake.GroupMinSessionTimeout(time.Second),
	}, opts...)
	cluster, err := kfake.NewCluster(opts...)
	if err != nil {
		tb.Fatalf("start fake Kafka: %v", err)
	}
	tb.Cleanup(cluster.Close)
	f.Cluster, f.Addr = cluster, cluster.ListenAddrs()[0]
	return f
}

// Away closes all connections and refuses new ones until back is called.
func (f *FakeKafka) Away() (back func()) {
	f.gate.set(true)
	return func() { f.gate.set(false) }
}

// gate closes the connections of a listener and refuses new ones while it is shut.
type gate struct {
	mu    sync.Mutex
	shut  bool
	conns map[net.Conn]bool
}

func (g *gate) listen(network, address string) (net.Listener, error) {
	l, err := net.Listen(network, address)
	if err != nil {
		return nil, err
	}
	return gatedListener{l, g}, nil
}

func (g *gate) set(shut bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.shut = shut; shut {
		for c := range g.conns {
			c.Close()
		}
		clear(g.conns)
	}
}

// admit registers the connection, or returns an error if the gate is shut.
func (g *gate) admit(c net.Conn) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.shut {
		return errors.New("the gate is shut")
	}
	g.conns[c] = true
	return nil
}

type gatedListener struct {
	net.Listener
	gate *gate
}

func (l gatedListener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if l.gate.admit(c) == nil {
			return gatedConn{c, l.gate}, nil
		}
		c.Close()
	}
}

// gatedConn is a connection that leaves its gate when it is closed.
type gatedConn struct {
	net.Conn
	gate *gate
}

func (c gatedConn) Close() error {
	c.gate.mu.Lock()
	delete(c.gate.conns, c.Conn)
	c.gate.mu.Unlock()
	return c.Conn.Close()
}
