package deliver

import (
	"strings"
	"time"

	"github.com/aidr-engine/aidr/engine/store"
)

const (
	// repeatAfter is how long the same condition of a sink is not logged again. A sink that refuses every second entry
	// changes its condition all the time.
	repeatAfter = time.Minute
	// maxReported bounds the conditions that are remembered for repeatAfter.
	maxReported = 100
)

// condition is the state of a sink as it is shown to people.
type condition struct {
	state  string // as in SinkStatus
	reason string
	since  time.Time
	health string // reason of the sink's Health, "" if that is good
}

// condition combines the outcome of the last steps with the sink's Health.
func (o *outlet) condition() condition {
	o.mu.Lock()
	c := condition{state: o.state, reason: o.reason, since: o.since}
	refused, disabled := o.refused, o.disabled
	o.mu.Unlock()
	h := o.sink.Health()
	if h.Degraded {
		c.health = h.Reason
	}
	switch {
	case c.state == SinkStopped:
	case disabled != (store.Disabled{}):
		c.state, c.since = SinkDisabled, time.Unix(0, int64(disabled.Since)).UTC()
		c.reason = disabled.Reason + ": `aidr webhook enable " + o.name + "` enables it"
	case c.state != SinkOK:
	case h.Degraded:
		c.state, c.reason, c.since = SinkDegraded, h.Reason, h.Since
	case refused != "":
		c.reason = "the last delivery was refused: " + refused
	}
	return c
}

// report remembers the log lines about a sink, so that a condition is logged once.
type report struct {
	shown  string               // key of the present condition; "" if there is nothing to report
	logged bool                 // the present condition was logged
	since  time.Time            // of the first condition since the sink last worked
	last   map[string]time.Time // when a condition was last logged, by key
}

// key identifies a condition; it is "" if there is nothing to report. While the sink's Health is bad, its reason is the
// condition, and not whether the last Write failed as a whole or for some entries: both alternate while a destination is
// away.
func (c *condition) key() string {
	switch {
	case c.state == SinkDisabled, c.reason == "":
		return c.state + c.reason
	case c.health != "":
		return withoutNumbers(c.health)
	}
	return c.state + " " + withoutNumbers(c.reason)
}

// observe logs the condition of the sink if it has changed, and updates the time of the next attempt: that of the first
// retry that is due, or an earlier one that the caller knows.
func (o *outlet) observe(next time.Time) {
	c, now := o.condition(), o.clock.Now()
	if due, ok := o.queue.nextDue(); ok && next.IsZero() {
		next = time.Unix(0, int64(due)).UTC()
	}
	o.mu.Lock()
	o.next = next
	o.mu.Unlock()
	r := &o.report
	key := c.key()
	if key == SinkOK || key == SinkStopped {
		key = ""
	}
	if key == r.shown {
		return
	}
	before := r.shown
	r.shown = key
	if key == "" {
		if r.logged {
			o.log.Info("sink works again", "sink", o.name, "after", now.Sub(r.since).Round(time.Millisecond))
		}
		r.logged = false
		return
	}
	if before == "" {
		r.since = now
	}
	if t, ok := r.last[key]; ok && now.Sub(t) < repeatAfter {
		return
	}
	if r.last == nil || len(r.last) >= maxReported {
		r.last = map[string]time.Time{}
	}
	r.last[key], r.logged = now, true
	o.logCondition(c, next)
}

func (o *outlet) logCondition(c condition, next time.Time) {
	args := []any{"sink", o.name, "state", c.state, "error", c.reason}
	if !next.IsZero() {
		args = append(args, "next_attempt", next.Format(time.RFC3339))
	}
	switch c.state {
	case SinkDisabled:
		o.log.Error("sink disabled; its entries become dead letters", args...)
	case SinkOK:
		o.log.Warn("sink refuses entries; they become dead letters", args...)
	default:
		o.log.Warn("sink failed, retrying", args...)
	}
}

// withoutNumbers returns the text with each number replaced by #, because texts of errors have ports, times and counts in
// them, which make no difference. Numbers of three digits are kept: they are statuses of HTTP and codes of ClickHouse.
func withoutNumbers(text string) string {
	var b strings.Builder
	for text != "" {
		digits := len(text) - len(strings.TrimLeft(text, "0123456789"))
		switch digits {
		case 0:
			b.WriteByte(text[0])
			digits = 1
		case 3:
			b.WriteString(text[:3])
		default:
			b.WriteByte('#')
		}
		text = text[digits:]
	}
	return b.String()
}

// setRefused records why the last Write refused an entry for good, or "" if it delivered.
func (o *outlet) setRefused(reason string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.refused = reason
}

// isDisabled returns why the sink is disabled; it is zero if the sink is enabled.
func (o *outlet) isDisabled() store.Disabled {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.disabled
}

// enable ends the disabled state. It is called by other goroutines.
func (o *outlet) enable() {
	if o.profile.Enable != nil {
		o.profile.Enable()
	}
	o.mu.Lock()
	o.disabled, o.refused = store.Disabled{}, ""
	o.mu.Unlock()
	o.notify()
}
