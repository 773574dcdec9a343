package engine

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/engine/store"
	"github.com/aidr-engine/aidr/schema"
)

// Routed counts the content of one batch of a partition. It is valid during the call of Options.Routed only.
type Routed struct {
	Partition connectors.Partition
	Next      int64 // position after the batch
	HighWater int64 // as in connectors.Batch
	Final     bool  // no batch follows

	Records, Tombstones, Events, Late, Dead, Skipped, FieldErrors int

	Rules []RuleCount   // of the rules that had an effect, in no order; those of one rule are to be added up
	Days  map[int64]int // events by the day of their end, counted from the epoch, in UTC
}

// RuleCount counts events of a batch by what a rule made of them.
type RuleCount struct {
	Rule     int   // index into Set.Rules
	Hits     int64 // a condition held, and no exception removed the event
	Excepted int64 // an exception removed the event
	Failed   int64 // a condition could not be evaluated
	Missing  int64 // hits that lack a field of the key
}

// routedCounts are the parts of a Routed that a worker counts. They belong to a result.
type routedCounts struct {
	rules []RuleCount
	days  map[int64]int
}

// secondsPerDay is the length of a day of event time.
const secondsPerDay = int64(24 * time.Hour / time.Second)

// dayOf returns the day of an instant, counted from the epoch.
func dayOf(t schema.Instant) int64 {
	s := int64(t) / int64(time.Second)
	if s < 0 {
		s -= secondsPerDay - 1
	}
	return s / secondsPerDay
}

// count fills in the counts of the batch under way, before its scratch is emptied.
func (w *worker) count() {
	c := &w.out.counts
	if c.days == nil {
		c.days = map[int64]int{}
	}
	day, n := int64(0), 0 // consecutive events are mostly of one day
	for _, ref := range w.out.events {
		if d := dayOf(ref.time); d != day {
			if n > 0 {
				c.days[day] += n
			}
			day, n = d, 0
		}
		n++
	}
	if n > 0 {
		c.days[day] += n
	}
	for _, rule := range w.hit {
		c.rules = append(c.rules, RuleCount{Rule: rule, Hits: w.hitsOf[rule]})
	}
	for _, rule := range w.refused.rules {
		c.rules = append(c.rules, RuleCount{Rule: rule, Excepted: int64(w.refused.excepted[rule]), Failed: int64(w.refused.errors[rule])})
	}
	for rule, n := range w.out.missing {
		c.rules = append(c.rules, RuleCount{Rule: rule, Missing: int64(n)})
	}
}

// reset empties the counts.
func (c *routedCounts) reset() {
	c.rules = c.rules[:0]
	clear(c.days)
}

// report calls Options.Routed for a batch. late is by event. No checkpoint can hold the batch's position before.
func (l *lane) report(b *connectors.Batch, r *result, late []bool) {
	if l.routed == nil {
		return
	}
	x := Routed{
		Partition: l.partition, Next: b.Next, HighWater: b.HighWater, Final: b.Final,
		Records: len(b.Records), Tombstones: r.tombstones, Events: len(r.events), Dead: len(r.dead),
		Rules: r.counts.rules, Days: r.counts.days,
	}
	for _, is := range late {
		if is {
			x.Late++
		}
	}
	for _, n := range r.skipped {
		x.Skipped += n
	}
	for _, n := range r.fieldErrors {
		x.FieldErrors += n
	}
	l.routed(&x)
}

// Positions returns the position of each partition in the last checkpoint of a store that no engine has open.
func Positions(st *store.Store) (map[connectors.Partition]int64, error) {
	_, raw, ok, err := st.Last()
	if err != nil || !ok {
		return nil, err
	}
	var s engineState
	if err := json.Unmarshal(raw, &s); err != nil {
		return nil, fmt.Errorf("read the checkpoint's positions: %w", err)
	}
	out := map[connectors.Partition]int64{}
	for i := range s.Partitions {
		if p := &s.Partitions[i]; p.Known {
			out[p.key()] = p.Next
		}
	}
	return out, nil
}
