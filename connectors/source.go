// Package connectors is the contract between the engine and the outside: a Source yields Batches of records per
// partition, in order; a Sink takes what the outbox holds. One folder each stands beside it; conntest holds the suites
// that all of them pass.
package connectors

import (
	"context"
	"time"
)

// Partition is one ordered stream of records. It is comparable and its text form is stable.
type Partition struct {
	Source string // the source's name in the configuration
	Topic  string // Kafka topic, or the file's name
	Number int32
}

// Record is one record of a Batch: Raw[Start:End].
type Record struct {
	Start, End int
	Offset     int64 // Kafka offset; in a file the byte offset of the record
	Time       int64 // the broker's timestamp in ns, 0 where there is none (files)
	Tombstone  bool  // a Kafka record without a value
	TooLarge   bool  // the element was over the cap and Raw holds only its beginning
}

// Batch is consecutive records of one partition. It is immutable and never pooled: text in events, items and dead
// letters may point into Raw for as long as it likes.
type Batch struct {
	Partition Partition
	Raw       string   // all records' bytes, once
	Records   []Record // in order of offset
	Next      int64    // the position to go on from after this batch
	HighWater int64    // the partition's end as the connection last said; -1 where it is unknown
	AtEnd     bool     // nothing more to read now: a live connection says that the partition is read to its end
	Final     bool     // nothing more will ever come (a file that is not followed)
}

// Reader is the engine as a Source sees it. Its methods may be called from several goroutines, for different partitions.
type Reader interface {
	// Assigned announces a partition and returns the position to read from. ok is false where the engine has none:
	// then the source starts where its configuration says. A source announces all partitions that it has before its
	// first Read, and reads them in goroutines of their own: Read of one may block until another has come as far.
	Assigned(p Partition) (from int64, ok bool)
	// Read takes ownership of b. It blocks while the engine is full: that is the back-pressure. A batch without
	// records is allowed: it tells AtEnd.
	Read(ctx context.Context, b *Batch) error
	// Revoked says that p is no longer read. It returns when what was read of it is durable.
	Revoked(ctx context.Context, p Partition) error
	// Standby tells that the source has joined and is not the one that reads; why is for /readyz. "" ends it.
	Standby(source, why string)
}

// StateLost is what a Reader may implement to be told, behind Assigned and before the first Read, that a partition is
// read from a position that the source remembers although the engine has none: the engine's State is lost.
type StateLost interface {
	StateLost(p Partition)
}

// Source is one outside system.
type Source interface {
	Name() string
	// Run reads until ctx ends or, for a bounded source, until everything is read. It retries what can be retried and
	// reports it through Health; an error that it returns is final.
	Run(ctx context.Context, r Reader) error
	// Commit tells the outside how far a checkpoint has come: a hint for lag tools, never the truth.
	Commit(ctx context.Context, positions map[Partition]int64) error
	// Health says how the connection is; the zero Health is good.
	Health() Health
}

// Health is what /readyz shows of one connector.
type Health struct {
	Degraded bool
	Reason   string
	Since    time.Time
}
