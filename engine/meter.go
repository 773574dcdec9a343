package engine

import (
	"sync/atomic"
	"time"
)

// sampleEvery is the number of events, and of items of a shard, of which one is timed. Two readings of the clock take about
// 100 ns, so that timing costs 2 ns an event.
const sampleEvery = 64

// maxTimed is the number of conditions of a timed event that are timed one by one.
const maxTimed = 32

// meter measures the time that rules take and how often their conditions fail. Workers and shards add to it, and the
// checkpointer and the control API read it. Times are in nanoseconds.
//
// The time of a rule is an estimate. In the shards one item of sampleEvery is timed, and every call that moves the rule's
// cells with the watermark. In the workers one event of sampleEvery is timed as a whole, and after it the conditions that the
// index left to evaluate, one by one; each counts sampleEvery times. The rest of the whole is the index, which belongs to no
// rule.
type meter struct {
	rules  []ruleMeter  // by rule
	events atomic.Int64 // matched by the workers
	match  atomic.Int64 // the time of matching them, from samples
	busy   atomic.Int64 // the time of workers and shards
}

// ruleMeter is the meter of one rule.
type ruleMeter struct {
	candidates atomic.Int64 // events for which a condition was evaluated, from samples
	hits       atomic.Int64 // events on which a condition held
	failed     atomic.Int64 // events on which a condition could not be evaluated
	match      atomic.Int64 // time of its conditions, from samples
	fold       atomic.Int64 // time in the shards
}

func newMeter(rules int) *meter { return &meter{rules: make([]ruleMeter, rules)} }

// reading is what the meter shows at one moment.
type reading struct {
	events, busy int64
	rules        []ruleReading
}

// ruleReading is a reading of one rule.
type ruleReading struct{ hits, failed, nanos int64 }

// read returns a reading.
func (m *meter) read() reading {
	r := reading{events: m.events.Load(), busy: m.busy.Load(), rules: make([]ruleReading, len(m.rules))}
	for i := range m.rules {
		x := &m.rules[i]
		r.rules[i] = ruleReading{hits: x.hits.Load(), failed: x.failed.Load(), nanos: x.fold.Load() + x.match.Load()}
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
