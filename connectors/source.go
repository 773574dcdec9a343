package connectors

import (
	"context"
	"time"

	"github.com/aidr-engine/aidr/schema"
)

// Partition is one ordered stream of records. It is comparable and its text form is stable.
type Partition struct {
	Source string // the source's name in the configuration
	Topic  string // Kafka topic, or path of the file
	Number int32
}

// Record is one record of a Batch: Raw[Start:End].
type Record struct {
	Start, End int
	Offset     int64          // Kafka offset; in a file the byte offset of the record
	Time       schema.Instant // the broker's timestamp; 0 if unknown, as in a file
	Tombstone  bool           // a Kafka record without a value
	TooLarge   bool           // the record is over the source's cap, and Raw holds only its beginning
}

// Batch holds consecutive records of one partition. It is immutable and never pooled: text in events, items and dead
// letters may point into Raw for any length of time.
type Batch struct {
	Partition Partition
	Raw       string    // the bytes of all records
	Records   []Record  // in order of offset
	Next      int64     // the position at which reading goes on after this batch
	HighWater int64     // the end of the partition as last seen by the connection; -1 if unknown
	AtEnd     bool      // a live connection has confirmed that every record was read
	Seen      time.Time // when the connection asked for HighWater and AtEnd; zero: they hold until the next batch
	Final     bool      // no record will ever follow, as in a file that is not followed
}

// Reader is the engine as seen by a Source. Its methods may be called from several goroutines at the same time for
// different partitions.
type Reader interface {
	// Assigned announces a partition and returns the position to read from. If the engine does not know the partition,
	// ok is false and the source begins as configured. A source announces all partitions that it has before its first
	// Read, and reads each in a goroutine of its own, because Read of one may block until another has caught up.
	Assigned(p Partition) (from int64, ok bool)
	// Read takes ownership of b. It blocks while the engine is full, which is the back-pressure. A batch without records
	// is allowed and updates HighWater and AtEnd.
	Read(ctx context.Context, b *Batch) error
	// Revoked reports that p is not read until it is assigned again. It returns once all records that were read of p are
	// part of a durable checkpoint, or once that has failed: then their offsets are not committed, and the next reader of p
	// reads them again.
	Revoked(ctx context.Context, p Partition) error
	// Standby reports that the source is connected but another process reads in its place. reason is shown by /readyz;
	// "" ends the standby.
	Standby(source, reason string)
}

// StateLost is an optional interface of a Reader. A source calls it if the State of the partition's earlier records is lost,
// so that findings from here on report that they do not know them:
//
//   - after Assigned, before the first Read, if the outside system remembers a position that is beyond the engine's, or if
//     the engine knows none. Another process has read the records in between with a state directory of its own;
//   - between two Reads, if the records that were to be read next no longer exist.
type StateLost interface {
	StateLost(p Partition)
}

// Source is one outside system from which records are read.
type Source interface {
	Name() string
	// Run reads until ctx ends or, for a bounded source, until everything was read; then it returns nil. It retries
	// failures that may pass and reports them through Health. An error that it returns is final.
	Run(ctx context.Context, r Reader) error
	// Commit reports the positions of a checkpoint to the outside system. They are a hint for tools that show lag; the
	// engine's own positions are authoritative.
	Commit(ctx context.Context, positions map[Partition]int64) error
	// Health returns the state of the connection; the zero Health is good. It may be called at any time.
	Health() Health
}

// Health is the state of one connector as shown by /readyz.
type Health struct {
	Degraded bool
	Reason   string
	Since    time.Time
}
