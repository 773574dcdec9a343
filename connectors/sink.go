package connectors

import (
	"context"
	"fmt"
	"time"

	"github.com/aidr-engine/aidr/schema"
)

// Entry is one change in the outbox. Entries have consecutive numbers and are immutable: an entry with one Seq has one
// content for ever, whatever is killed when.
type Entry struct {
	Seq     uint64
	Type    string // finding.opened, finding.updated, finding.settled, finding.withdrawn
	Finding *schema.Finding
	Attempt int // how often this sink has failed to deliver it; 0 the first time
}

// Sink is one destination with its own cursor in the outbox. Calls to Write do not overlap.
type Sink interface {
	Name() string
	// Write makes the entries durable at the destination. nil: all of them are. A *Partial names those that are not,
	// the others are. Any other error: none is known to be; the same entries come again after a pause, because the
	// destination as a whole is away. Entries of one finding are in order, and stay so: an entry whose predecessor
	// waits for its next try is not handed in.
	Write(ctx context.Context, entries []Entry) error
	Health() Health
	Close() error
}

// Partial names the entries of a Write that are not delivered.
type Partial struct {
	Entries []Undelivered
}

// Undelivered is one of them: to be tried again After a while, or Poison, which can never be delivered and goes to the
// dead letters.
type Undelivered struct {
	Seq    uint64
	Poison bool
	Reason string // short and stable, for metrics: http_400, exhausted, type_mismatch
	Detail string
	After  time.Duration
	Held   bool // it was not tried, because its turn had not come: the attempt does not count
}

func (p *Partial) Error() string {
	if len(p.Entries) == 0 {
		return "no entries"
	}
	return fmt.Sprintf("%d entries are not delivered, the first because of %s: %s", len(p.Entries), p.Entries[0].Reason, p.Entries[0].Detail)
}
