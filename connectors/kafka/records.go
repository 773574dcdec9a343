package kafka

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"

	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/schema"
)

const (
	// maxMessage is the largest message that is passed on whole, in bytes.
	maxMessage = 16 << 20
	// headBytes is how much of an oversized message is kept, in bytes: enough for a person to recognise it.
	headBytes = 4 << 10
)

// copier makes Batches from fetch responses. It belongs to one goroutine.
//
// The Time of a record is the timestamp that its producer set. If a topic has message.timestamp.type=LogAppendTime, the
// broker's own time is in the header of a batch, which the client does not expose.
type copier struct {
	partition connectors.Partition
	values    []protocol.Bytes // scratch: the values of the response that is being copied
	records   []connectors.Record
}

// answer is the result of one fetch.
type answer struct {
	batch *connectors.Batch
	// stuck reports that the broker sent batches, but none with a record at or after the position. The position is then
	// in a gap left by compaction or by a transaction. base is the base offset of the last batch.
	stuck bool
	base  int64
}

// copy makes a Batch of the records of res from position on. It copies every byte once, from the client's pages to Raw.
func (c *copier) copy(res *kafka.FetchResponse, position int64) (answer, error) {
	c.values, c.records = c.values[:0], make([]connectors.Record, 0, cap(c.records))
	defer c.release()
	batches := []protocol.RecordReader{res.Records}
	if stream, ok := res.Records.(*protocol.RecordStream); ok {
		batches = stream.Records
	}
	a := answer{base: -1}
	next, size := position, 0
	for _, b := range batches {
		if o, ok := b.(interface{ Offset() int64 }); ok {
			a.base = o.Offset()
		}
		_, control := b.(*protocol.ControlBatch)
		for {
			r, err := b.ReadRecord()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				return a, fmt.Errorf("read record of %s/%d after offset %d: %w", c.partition.Topic, c.partition.Number, next, err)
			}
			if r.Key != nil {
				r.Key.Close()
			}
			if control || r.Offset < next { // a marker, or a record before the position in the same batch
				if r.Value != nil {
					r.Value.Close()
				}
				if control {
					next = max(next, r.Offset+1)
				}
				continue
			}
			next = r.Offset + 1
			size += c.add(r, size)
		}
	}
	a.stuck = a.base >= 0 && next == position
	a.batch = &connectors.Batch{
		Partition: c.partition, Next: next, HighWater: res.HighWatermark, AtEnd: next == res.HighWatermark,
	}
	var err error
	if a.batch.Raw, err = c.text(size); err != nil {
		return a, err
	}
	if len(c.records) > 0 {
		a.batch.Records = c.records
	}
	return a, nil
}

// add appends r to the records. Its value, which begins at Raw[at], is copied later, by text. add returns the number of
// bytes that the value takes in Raw.
func (c *copier) add(r *protocol.Record, at int) int {
	rec := connectors.Record{Start: at, End: at, Offset: r.Offset, Time: schema.InstantOf(r.Time)}
	if r.Time.IsZero() {
		rec.Time = 0
	}
	if r.Value == nil {
		rec.Tombstone = true
	} else {
		rec.End += r.Value.Len()
		if r.Value.Len() > maxMessage {
			rec.TooLarge, rec.End = true, at+headBytes
		}
		c.values = append(c.values, r.Value)
	}
	c.records = append(c.records, rec)
	return rec.End - rec.Start
}

// text joins the values of the added records.
func (c *copier) text(size int) (string, error) {
	var raw strings.Builder
	raw.Grow(size)
	v := 0
	for i := range c.records {
		rec := &c.records[i]
		if rec.Tombstone {
			continue
		}
		value := io.Reader(c.values[v])
		v++
		var n int64
		var err error
		if from, ok := value.(io.WriterTo); ok && !rec.TooLarge {
			n, err = from.WriteTo(&raw)
		} else {
			n, err = io.CopyN(&raw, value, int64(rec.End-rec.Start))
		}
		if err != nil || n != int64(rec.End-rec.Start) {
			return "", fmt.Errorf("copy record of %s/%d at offset %d: %d of %d bytes: %w",
				c.partition.Topic, c.partition.Number, rec.Offset, n, rec.End-rec.Start, errors.Join(err, io.ErrUnexpectedEOF))
		}
	}
	text := raw.String()
	for i := range c.records {
		if rec := &c.records[i]; rec.TooLarge {
			rec.End = rec.Start + wholeRunes(text[rec.Start:rec.End])
		}
	}
	return text, nil
}

// wholeRunes returns the length of s without an incomplete rune at its end.
func wholeRunes(s string) int {
	for i := len(s) - 1; i >= 0 && i >= len(s)-utf8.UTFMax; i-- {
		if utf8.RuneStart(s[i]) {
			if utf8.FullRuneInString(s[i:]) {
				return len(s)
			}
			return i
		}
	}
	return len(s)
}

// release returns the client's pages.
func (c *copier) release() {
	for _, v := range c.values {
		v.Close()
	}
}
