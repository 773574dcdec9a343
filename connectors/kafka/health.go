package kafka

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/aidr-engine/aidr/connectors"
)

// health gathers what is wrong, by what it is about. The zero health is good.
type health struct {
	mu     sync.Mutex
	wrong  map[string]string
	since  time.Time
	counts Counts
}

// Counts are totals since the source was made, for metrics.
type Counts struct {
	Generations uint64 // how often the group began anew
	OutOfRange  uint64 // how often a position was no longer in the partition
	Failures    uint64 // requests that failed and were tried again
	Gaps        uint64 // how often a position was moved over offsets that hold no records (compaction, transactions)
}

// set notes that something is wrong with what; "" takes it back. It says whether that is news.
func (h *health) set(what, why string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.wrong[what] == why {
		return false
	}
	if why == "" {
		delete(h.wrong, what)
		return true
	}
	if len(h.wrong) == 0 {
		h.since = time.Now()
		h.wrong = map[string]string{}
	}
	h.wrong[what] = why
	return true
}

func (h *health) count(change func(c *Counts)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	change(&h.counts)
}

func (h *health) report() connectors.Health {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.wrong) == 0 {
		return connectors.Health{}
	}
	whats := make([]string, 0, len(h.wrong))
	for what := range h.wrong {
		whats = append(whats, what)
	}
	slices.Sort(whats)
	reason := fmt.Sprintf("%s: %s", whats[0], h.wrong[whats[0]])
	if n := len(whats) - 1; n > 0 {
		reason += fmt.Sprintf(" (and %d more)", n)
	}
	return connectors.Health{Degraded: true, Reason: reason, Since: h.since}
}
