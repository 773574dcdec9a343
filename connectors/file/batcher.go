package file

import (
	"cmp"
	"context"
	"strings"
	"unicode/utf8"

	"github.com/aidr-engine/aidr/connectors"
)

const (
	// batchBytes ends a batch, in bytes: handing one over ends with goroutines that wait for one another, and with caches
	// that are cold. A replay of 1 GB takes 4 % longer with 512 KiB, a tenth with 256 KiB, and no less with 4 MiB.
	batchBytes = 1 << 20
	// batchRecords ends a batch of short records.
	batchRecords = 4000
	// firstRoom is the room in bytes for the first batch of a file that does not fit in the window: most files are small.
	firstRoom = 256 << 10
	// headBytes is how much of an oversized record is kept, in bytes: enough to tell a person what it was.
	headBytes = 4 << 10
)

// batcher gathers records that stand one after the other in a stream, and hands them on as one Batch. Their bytes are
// copied out of the window once, and soon: while what was read is still near the CPU.
type batcher struct {
	ctx       context.Context
	to        connectors.Reader
	partition connectors.Partition
	from      int64 // records before this position were read by an earlier run
	highWater int64 // the end of the file in bytes, -1 where it is not known

	start, end int64 // the gathered records' place in the stream
	records    []connectors.Record
	raw        strings.Builder // their bytes up to copied, empty while all of them are in the window
	copied     int64           // a place in the stream
	room       int             // bytes of the last batch that did not fit in the window, 0 for none
	last       int64           // the position of the last record that was cut
	next       int64           // the position behind everything that was cut so far
}

// add takes the record at [start, end) of the stream.
func (b *batcher) add(w *window, start, end int64) error {
	if b.last, b.next = start, max(b.next, end); start < b.from {
		return nil
	}
	if len(b.records) == 0 {
		b.start, b.copied = start, start
	}
	b.end = end
	b.records = append(b.records, connectors.Record{Start: int(start - b.start), End: int(end - b.start), Offset: start})
	if len(b.records) < batchRecords && end-b.start < batchBytes {
		return nil
	}
	return b.flush(w, false)
}

// addText takes a record whose text is not in the window as it stands: the head of one that is too large, or the mark
// of a document that is broken off. next is the position behind it.
func (b *batcher) addText(w *window, text string, offset, next int64, tooLarge bool) error {
	if err := b.flush(w, false); err != nil {
		return err
	}
	if b.last, b.next = offset, max(b.next, next); offset < b.from {
		return nil
	}
	return b.send(&connectors.Batch{
		Raw:     text,
		Records: []connectors.Record{{End: len(text), Offset: offset, TooLarge: tooLarge}},
	})
}

// leave returns from where on the window has to keep its bytes where the cutter needs those from keep on. Out of a full
// window it copies what was gathered, but for a few bytes, of a file that grows slowly: they move with the window.
func (b *batcher) leave(w *window, keep int64) int64 {
	if len(b.records) == 0 {
		return keep
	}
	if w.full() && b.end-b.copied >= readSize/2 {
		b.copyOut(w)
	}
	return min(keep, b.copied)
}

// copyOut copies what was gathered since the last time.
func (b *batcher) copyOut(w *window) {
	if b.raw.Cap() == 0 {
		b.raw.Grow(cmp.Or(b.room, firstRoom) + readSize)
	}
	b.raw.Write(w.bytes(b.copied)[:b.end-b.copied])
	b.copied = b.end
}

// flush hands on what was gathered. atEnd says that nothing more can be read now; then a batch goes out even if it is
// empty.
func (b *batcher) flush(w *window, atEnd bool) error {
	if len(b.records) == 0 && !atEnd {
		return nil
	}
	out := &connectors.Batch{AtEnd: atEnd}
	if n := len(b.records); n > 0 {
		if b.raw.Len() == 0 {
			out.Raw = string(w.bytes(b.start)[:b.end-b.start])
		} else {
			b.copyOut(w)
			out.Raw = b.raw.String()
			b.raw, b.room = strings.Builder{}, len(out.Raw)
		}
		out.Records = b.records
		b.records = make([]connectors.Record, 0, min(n+n/4, batchRecords))
	}
	return b.send(out)
}

// finish hands on what was gathered and says that the partition is over.
func (b *batcher) finish(w *window) error {
	if err := b.flush(w, false); err != nil {
		return err
	}
	b.next = max(b.next, w.end())
	return b.send(&connectors.Batch{AtEnd: true, Final: true})
}

func (b *batcher) send(out *connectors.Batch) error {
	out.Partition = b.partition
	out.Next = max(b.next, b.from)
	out.HighWater = b.highWater
	return b.to.Read(b.ctx, out)
}

// head returns the first n bytes of b, cut between runes.
func head(b []byte, n int) string {
	if len(b) <= n {
		return string(b)
	}
	for low := n - utf8.UTFMax; n > low && !utf8.RuneStart(b[n]); n-- {
	}
	return string(b[:n])
}
