package kafka

import (
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/aidr-engine/aidr/connectors"
)

// health collects the present problems. The zero health is good.
type health struct {
	mu       sync.Mutex
	problems map[string]string    // reason by subject: the brokers, the topics, the records that wait, or a partition
	logged   map[string]time.Time // when a subject's failure was last logged; empty after its end
	since    time.Time
	counts   Counts
}

// logPause is the least time between two log lines of one subject that fails. A broker that goes away gives three different
// errors for each partition within half a second; a later error of another kind, such as a refused login, is worth a line.
const logPause = 10 * time.Second

// Counts are totals since New, for metrics.
type Counts struct {
	Generations uint64 // generations of the group that this member has taken part in
	OutOfRange  uint64 // positions that the partition did not hold
	Failures    uint64 // requests that failed and were retried
	Stalls      uint64 // times that records waited and were not read for Config.Stall
	Gaps        uint64 // gaps without records that a position was moved past (compaction, transactions)
}

// set records the problem of a subject, or with reason "" its end. It reports whether that is a change.
func (h *health) set(subject, reason string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.problems[subject] == reason {
		return false
	}
	if reason == "" {
		delete(h.problems, subject)
		delete(h.logged, subject)
		return true
	}
	if len(h.problems) == 0 {
		h.since = time.Now()
		h.problems = map[string]string{}
	}
	h.problems[subject] = reason
	return true
}

// fail records a failure of a subject at the time now. It reports whether the failure is to be logged: it is the first one
// since the subject worked, or differs from the one before and the last line is older than logPause.
func (h *health) fail(subject, reason string, now time.Time) bool {
	changed := h.set(subject, reason)
	h.mu.Lock()
	defer h.mu.Unlock()
	last, failing := h.logged[subject]
	if failing && (!changed || now.Sub(last) < logPause) {
		return false
	}
	if h.logged == nil {
		h.logged = map[string]time.Time{}
	}
	h.logged[subject] = now
	return true
}

// problem returns the reason of a subject's problem, or "".
func (h *health) problem(subject string) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.problems[subject]
}

func (h *health) count(change func(c *Counts)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	change(&h.counts)
}

func (h *health) report() connectors.Health {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.problems) == 0 {
		return connectors.Health{}
	}
	subjects := slices.Sorted(maps.Keys(h.problems))
	reason := fmt.Sprintf("%s: %s", subjects[0], h.problems[subjects[0]])
	if n := len(subjects) - 1; n > 0 {
		reason += fmt.Sprintf(" (and %d more)", n)
	}
	return connectors.Health{Degraded: true, Reason: reason, Since: h.since}
}
