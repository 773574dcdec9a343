package kafka

import (
	"context"
	"fmt"
	"time"

	"github.com/segmentio/kafka-go"
)

// begin is the configured start of a partition without a position.
type begin struct {
	offset int64     // kafka.FirstOffset, kafka.LastOffset, or 0 if at applies
	at     time.Time // the partition begins at the first record that is not older
}

// parseStart parses Config.Start; "" means "first".
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

// resolve returns the offset at the broker that b refers to. If every record is older than b.at, that is the end of the
// partition.
func (b begin) resolve(ctx context.Context, client *kafka.Client, topic string, partition int) (int64, error) {
	request := []kafka.OffsetRequest{{Partition: partition, Timestamp: b.offset}}
	if b.offset == 0 {
		request = []kafka.OffsetRequest{kafka.TimeOffsetOf(partition, b.at)}
	}
	got, err := listOffset(ctx, client, topic, request)
	if err != nil {
		return 0, err
	}
	switch b.offset {
	case kafka.FirstOffset:
		return got.FirstOffset, nil
	case kafka.LastOffset:
		return got.LastOffset, nil
	}
	for offset := range got.Offsets { // the request was for one offset
		if offset >= 0 {
			return offset, nil
		}
	}
	end, err := listOffset(ctx, client, topic, []kafka.OffsetRequest{kafka.LastOffsetOf(partition)})
	return end.LastOffset, err
}

// listOffset requests one offset of one partition.
func listOffset(ctx context.Context, client *kafka.Client, topic string, requests []kafka.OffsetRequest) (kafka.PartitionOffsets, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	res, err := client.ListOffsets(ctx, &kafka.ListOffsetsRequest{Topics: map[string][]kafka.OffsetRequest{topic: requests}})
	if err != nil {
		return kafka.PartitionOffsets{}, fmt.Errorf("list offsets of %s/%d: %w", topic, requests[0].Partition, err)
	}
	answers := res.Topics[topic]
	if len(answers) != 1 {
		return kafka.PartitionOffsets{}, fmt.Errorf("list offsets of %s/%d: %d answers", topic, requests[0].Partition, len(answers))
	}
	if err := answers[0].Error; err != nil {
		return kafka.PartitionOffsets{}, fmt.Errorf("list offsets of %s/%d: %w", topic, requests[0].Partition, err)
	}
	return answers[0], nil
}
