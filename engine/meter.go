package engine

import (
	"sync/atomic"
	"time"
)

// sampleEvery is the number of events, and of items of a shard, of which one is timed. Two readings of the clock take about
// 100 ns, so that timing costs 2 ns an event.
const sampleEvery = 64

// meter measures the time that rules take and how often their conditions fail. Workers and shards add to it, and the
// checkpointer reads it. Times are in nanoseconds.
//
// The time of a rule is an estimate. In the shards one item of sampleEvery is timed, and every call that moves the rule's
// cells with the watermark. In the workers the index evaluates the conditions of all rules together: one event of
// sampleEvery is timed as a whole, and after it the conditions of one rule alone, of each rule in turn. The time of
// the whole is then divided in proportion to the times of the rules alone.
type meter struct {
	rules   []ruleMeter  // by rule
	events  atomic.Int64 // matched by the workers
	sampled atomic.Int64 // the timed ones of them
	match   atomic.Int64 // the time of these
	busy    atomic.Int64 // the time of workers and shards
}

// ruleMeter is the meter of one rule.
type ruleMeter struct {
	hits   atomic.Int64 // events on which a condition held
	failed atomic.Int64 // events on which a condition could not be evaluated
	fold   atomic.Int64 // time in the shards
	alone  atomic.Int64 // time of the samples of its conditions alone
	tries  atomic.Int64 // number of these samples
}

func newMeter(rules int) *meter { return &meter{rules: make([]ruleMeter, rules)} }

// reading is what the meter shows at one moment.
type reading struct {
	events, busy int64
	rules        []ruleReading
}

// ruleReading is a reading of one rule.
type ruleReading struct{ hits, failed, nanos int64 }

// ruleTimes turns the samples into the time that each rule took so far.
type ruleTimes struct {
	events int64     // of the last reading
	match  []float64 // by rule: time of its conditions so far
}

// read returns a reading. The estimates of the conditions grow with the events since the last one.
func (t *ruleTimes) read(m *meter) reading {
	r := reading{events: m.events.Load(), busy: m.busy.Load(), rules: make([]ruleReading, len(m.rules))}
	if t.match == nil {
		t.match = make([]float64, len(m.rules))
	}
	mean, sum := make([]float64, len(m.rules)), 0.0
	for i := range m.rules {
		if n := m.rules[i].tries.Load(); n > 0 {
			mean[i] = float64(m.rules[i].alone.Load()) / float64(n)
			sum += mean[i]
		}
	}
	if n := m.sampled.Load(); n > 0 && sum > 0 {
		whole := float64(r.events-t.events) * float64(m.match.Load()) / float64(n)
		for i := range mean {
			t.match[i] += whole * mean[i] / sum
		}
		t.events = r.events
	}
	for i := range m.rules {
		x := &m.rules[i]
		r.rules[i] = ruleReading{hits: x.hits.Load(), failed: x.failed.Load(), nanos: x.fold.Load() + int64(t.match[i])}
	}
	return r
}

const (
	// judgeRulesEvery is the time over which the failures and the time of rules are judged.
	judgeRulesEvery = 5 * time.Minute
	// maxFailures is the number of events in that time on which the conditions of a rule may fail.
	maxFailures = 50
	// maxFailedShare is the percentage of failures among the events on which a condition held or failed.
	maxFailedShare = 10
	// slowShare is the percentage of the time of workers and shards from which a rule is slow.
	slowShare = 25
	// slowEvent is the time per event from which a rule is slow: as much as decoding and all of the shipped rules together
	// take. Without it, the only rule of a site would be slow.
	slowEvent = 10 * time.Microsecond
	// slowBusy is the time of workers and shards in judgeRulesEvery below which no rule is slow: a tenth of a core.
	slowBusy = judgeRulesEvery / 10
)

// failing reports whether the conditions of a rule failed for too many of its events between two readings.
func (r ruleReading) failing(before ruleReading) bool {
	failed, hits := r.failed-before.failed, r.hits-before.hits
	return failed > maxFailures && failed*100 > maxFailedShare*(failed+hits)
}

// slow reports whether rule i took too much of the time between two readings.
func (r reading) slow(before reading, i int) bool {
	busy, nanos := r.busy-before.busy, r.rules[i].nanos-before.rules[i].nanos
	return busy >= int64(slowBusy) && nanos*100 >= slowShare*busy && nanos >= int64(slowEvent)*(r.events-before.events)
}
