package demo

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kfake"
)

// partitions is the number of partitions of each topic.
const partitions = 2

// startBroker starts a Kafka broker in this process. Any Kafka client on this machine can reach it.
func startBroker() (addr string, stop func(), err error) {
	c, err := kfake.NewCluster(
		kfake.NumBrokers(1), kfake.SeedTopics(partitions, topicLLM, topicGateway, topicCloud),
		kfake.ListenFn(func(network, _ string) (net.Listener, error) { return net.Listen(network, "127.0.0.1:0") }),
	)
	if err != nil {
		return "", nil, fmt.Errorf("start the in-process broker: %w", err)
	}
	return c.ListenAddrs()[0], c.Close, nil
}

// createTopics creates the topics of the story on a real broker, unless they exist.
func createTopics(ctx context.Context, addr string) error {
	client := &kafka.Client{Addr: kafka.TCP(addr), Timeout: 30 * time.Second}
	var topics []kafka.TopicConfig
	for _, t := range []string{topicLLM, topicGateway, topicCloud} {
		topics = append(topics, kafka.TopicConfig{Topic: t, NumPartitions: partitions, ReplicationFactor: 1})
	}
	r, err := client.CreateTopics(ctx, &kafka.CreateTopicsRequest{Topics: topics})
	if err != nil {
		return fmt.Errorf("create the topics of the story at %s: %w", addr, err)
	}
	for topic, err := range r.Errors {
		if err != nil && !errors.Is(err, kafka.TopicAlreadyExists) {
			return fmt.Errorf("create topic %q at %s: %w", topic, addr, err)
		}
	}
	return nil
}

// produce sends the records of the story to the broker: each at its time, or all as fast as possible.
func produce(ctx context.Context, addr string, lines []line, start time.Time, fast bool) error {
	w := &kafka.Writer{
		Addr: kafka.TCP(addr), Balancer: &kafka.Hash{}, RequiredAcks: kafka.RequireAll,
		BatchTimeout: 10 * time.Millisecond, BatchSize: 200,
	}
	defer w.Close()
	for len(lines) > 0 {
		n := len(lines)
		if !fast {
			if wait := time.Until(start.Add(lines[0].at)); wait > 0 {
				select {
				case <-ctx.Done():
					return nil
				case <-time.After(wait):
				}
			}
			n = 1
			for n < len(lines) && time.Since(start) >= lines[n].at {
				n++
			}
		}
		msgs := make([]kafka.Message, n)
		for i, l := range lines[:n] {
			msgs[i] = kafka.Message{Topic: l.topic, Key: []byte(l.key), Value: []byte(l.body), Time: start.Add(max(l.at, 0))}
		}
		if err := w.WriteMessages(ctx, msgs...); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return fmt.Errorf("produce the story: %w", err)
		}
		lines = lines[n:]
	}
	return nil
}

// hash returns the form in which LiteLLM logs a key.
func hash(key string) string {
	sum := sha256.Sum256([]byte(key))
	return hex.EncodeToString(sum[:])
}
