package file

import (
	"cmp"
	"context"
	"strings"
	"unicode/utf8"

	"github.com/aidr-engine/aidr/connectors"
)

const (
	// batchBytes is the size at which a batch is complete. Each hand-over to the engine costs goroutine switches and cold
	// caches: a replay of 1 GB takes 4 % longer with 512 KiB and 10 % longer with 256 KiB, but no less time with 4 MiB.
	batchBytes = 1 << 20
	// batchRecords is the number of records at which a batch is complete.
	batchRecords = 4000
	// firstCapacity is the capacity in bytes for the first batch of a file that does not fit into the window. It is small
	// because most files are.
	firstCapacity = 256 << 10
	// headBytes is how much of an oversized record is kept, in bytes: enough for a person to recognise it.
	headBytes = 4 << 10
)

// batcher collects consecutive records of a stream and passes them to the Reader as one Batch. It copies their bytes out
// of the window once and early, while they are still in the CPU's caches.
type batcher struct {
	ctx       context.Context
	to        connectors.Reader
	partition connectors.Partition
	from      int64 // records before this position are skipped: an earlier run has read them
	highWater int64 // the end of the file in bytes; -1 if unknown

	start, end int64 // the extent of the collected records in the stream
	records    []connectors.Record
	raw        strings.Builder // their bytes up to copied; empty while all of their bytes are in the window
	copied     int64           // the offset in the stream up to which bytes are in raw
	lastSize   int             // bytes of the last batch that did not fit into the window; 0 if all have
	last       int64           // the offset of the last record
	next       int64           // the position after the last record
}

// add adds the record at [start, end) of the stream.
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

// addText adds a record whose text differs from the stream: the beginning of a record that is too large, or the record
// unclosed. next is the position after the record.
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

// retainFrom returns the offset from which the window has to retain its bytes if the splitter needs those from keep on.
// If the window is full, it first copies the collected records out of it, unless they are only a few bytes, as in a file
// that grows slowly: these move with the window.
func (b *batcher) retainFrom(w *window, keep int64) int64 {
	if len(b.records) == 0 {
		return keep
	}
	if w.full() && b.end-b.copied >= readSize/2 {
		b.copyOut(w)
	}
	return min(keep, b.copied)
}

// copyOut copies the bytes of the records added since its last call.
func (b *batcher) copyOut(w *window) {
	if b.raw.Cap() == 0 {
		b.raw.Grow(cmp.Or(b.lastSize, firstCapacity) + readSize)
	}
	b.raw.Write(w.bytes(b.copied)[:b.end-b.copied])
	b.copied = b.end
}

// flush passes the collected records on. If atEnd is set, because no more bytes can be read now, it sends a batch even
// without records.
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
			b.raw, b.lastSize = strings.Builder{}, len(out.Raw)
		}
		out.Records = b.records
		b.records = make([]connectors.Record, 0, min(n+n/4, batchRecords))
	}
	return b.send(out)
}

// finish passes the collected records on and ends the partition.
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

// head returns the first n bytes of b, or fewer so as not to split a rune.
func head(b []byte, n int) string {
	if len(b) <= n {
		return string(b)
	}
	for low := n - utf8.UTFMax; n > low && !utf8.RuneStart(b[n]); n-- {
	}
	return string(b[:n])
}
