package connectors

import "time"

// The names of spans.
const (
	SpanBatch      = "batch"      // decoding and matching records that were read together; Subject is the source, Size in records
	SpanCheckpoint = "checkpoint" // Size in bytes
	SpanDelivery   = "delivery"   // handing entries to a sink; Subject is the sink, Size in entries
	SpanDecision   = "decision"   // answering a gateway; Subject is the point
)

// Span is a piece of work of this process that has ended.
type Span struct {
	Name    string
	Subject string // "" for the process
	Start   time.Time
	Took    time.Duration
	Size    int64
	Err     error // why it failed; nil: it did not
}

// Trace gets spans as they end. It is called on hot paths by many goroutines, so it must not block, and it chooses a sample.
type Trace func(Span)
