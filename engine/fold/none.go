package fold

import (
	"time"

	"github.com/aidr-engine/aidr/engine/item"
	"github.com/aidr-engine/aidr/schema"
)

// none is the kind of a rule without a stateful clause: every item triggers. It has no State; only groups remember.
type none struct{}

func (none) fold(s *scratch, _ []byte, it *item.Item) {
	tr := &s.trigger
	tr.fired, tr.time, tr.first, tr.item = true, it.Time, it.Time, it
	tr.count, tr.added = 1, 1
}

func (none) span() time.Duration                 { return 1 }
func (none) expired([]byte, schema.Instant) bool { return true }
func (none) check(st []byte) bool                { return len(st) == 0 }
