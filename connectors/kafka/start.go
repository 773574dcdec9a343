package kafka

import (
	"context"
	"fmt"
	"time"

	"github.com/segmentio/kafka-go"
)

// begin is where a partition without a position begins: kafka.FirstOffset, kafka.LastOffset, or the first record at or
// after an instant.
type begin struct {
	offset int64 // 0: at counts
	at     time.Time
}

// parseStart reads the configuration's text; "" is "first".
func parseStart(text string) (begin, error) {
	switch text {
	case "", "first":
		return begin{offset: kafka.FirstOffset}, nil
	case "last":
		return begin{offset: kafka.LastOffset}, nil
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return begin{}, fmt.Errorf("start %q: neither first, last nor a time like 2026-01-31T12:00:00Z", text)
	}
	return begin{at: at}, nil
}

// resolve asks the broker which offset that is. Where no record is as new as the instant, it is the partition's end.
func (b begin) resolve(ctx context.Context, client *kafka.Client, topic string, partition int) (int64, error) {
	ask := []kafka.OffsetRequest{{Partition: partition, Timestamp: b.offset}}
	if b.offset == 0 {
		ask = []kafka.OffsetRequest{kafka.TimeOffsetOf(partition, b.at)}
	}
	got, err := listOffset(ctx, client, topic, ask)
	if err != nil {
		return 0, err
	}
	switch b.offset {
	case kafka.FirstOffset:
		return got.FirstOffset, nil
	case kafka.LastOffset:
		return got.LastOffset, nil
	}
	for offset := range got.Offsets { // one was asked for
		if offset >= 0 {
			return offset, nil
		}
	}
	end, err := listOffset(ctx, client, topic, []kafka.OffsetRequest{kafka.LastOffsetOf(partition)})
	return end.LastOffset, err
}

// listOffset asks for one offset of one partition.
func listOffset(ctx context.Context, client *kafka.Client, topic string, ask []kafka.OffsetRequest) (kafka.PartitionOffsets, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	res, err := client.ListOffsets(ctx, &kafka.ListOffsetsRequest{Topics: map[string][]kafka.OffsetRequest{topic: ask}})
	if err != nil {
		return kafka.PartitionOffsets{}, fmt.Errorf("list offsets of %s/%d: %w", topic, ask[0].Partition, err)
	}
	answers := res.Topics[topic]
	if len(answers) != 1 {
		return kafka.PartitionOffsets{}, fmt.Errorf("list offsets of %s/%d: %d answers", topic, ask[0].Partition, len(answers))
	}
	if err := answers[0].Error; err != nil {
		return kafka.PartitionOffsets{}, fmt.Errorf("list offsets of %s/%d: %w", topic, ask[0].Partition, err)
	}
	return answers[0], nil
}
