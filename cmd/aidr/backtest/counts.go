package backtest

import (
	"time"

	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/engine"
	"github.com/aidr-engine/aidr/schema"
)

// counts are the numbers of a run that no finding holds. Their JSON form is that of a line of the journal.
type counts struct {
	Records     int64               `json:"records,omitempty"`
	Tombstones  int64               `json:"tombstones,omitempty"`
	Events      int64               `json:"events,omitempty"`
	Late        int64               `json:"late,omitempty"`
	Dead        int64               `json:"dead,omitempty"`
	Skipped     int64               `json:"skipped,omitempty"`
	FieldErrors int64               `json:"field_errors,omitempty"`
	Rules       map[int]*ruleCounts `json:"rules,omitempty"` // by index into Set.Rules
	Days        map[int64]int64     `json:"days,omitempty"`  // events by day from the epoch
	positions   map[connectors.Partition]position
}

// ruleCounts are the numbers of one rule.
type ruleCounts struct {
	Hits     int64 `json:"hits,omitempty"`
	Excepted int64 `json:"excepted,omitempty"`
	Failed   int64 `json:"failed,omitempty"`
	Missing  int64 `json:"missing,omitempty"`
}

// position is how far a partition was read.
type position struct {
	next, end int64 // end is -1 if unknown
	final     bool
}

func newCounts() counts {
	return counts{Rules: map[int]*ruleCounts{}, Days: map[int64]int64{}, positions: map[connectors.Partition]position{}}
}

// countsOf returns the counts of one batch.
func countsOf(r *engine.Routed) counts {
	c := counts{
		Records: int64(r.Records), Tombstones: int64(r.Tombstones), Events: int64(r.Events), Late: int64(r.Late), Dead: int64(r.Dead),
		Skipped: int64(r.Skipped), FieldErrors: int64(r.FieldErrors), Rules: make(map[int]*ruleCounts, len(r.Rules)),
		Days: make(map[int64]int64, len(r.Days)),
	}
	for _, x := range r.Rules {
		c.rule(x.Rule).add(&ruleCounts{x.Hits, x.Excepted, x.Failed, x.Missing})
	}
	for day, n := range r.Days {
		c.Days[day] = int64(n)
	}
	return c
}

// rule returns the counts of a rule, to be changed.
func (c *counts) rule(n int) *ruleCounts {
	x := c.Rules[n]
	if x == nil {
		x = new(ruleCounts)
		c.Rules[n] = x
	}
	return x
}

// add adds the counts of a batch.
func (c *counts) add(b *counts) {
	c.Records += b.Records
	c.Tombstones += b.Tombstones
	c.Events += b.Events
	c.Late += b.Late
	c.Dead += b.Dead
	c.Skipped += b.Skipped
	c.FieldErrors += b.FieldErrors
	for n, x := range b.Rules {
		c.rule(n).add(x)
	}
	for day, n := range b.Days {
		c.Days[day] += n
	}
}

// move records the position after a batch.
func (c *counts) move(p connectors.Partition, next, end int64, final bool) {
	at := c.positions[p]
	if end < 0 && at.next > 0 {
		end = at.end
	}
	c.positions[p] = position{next, end, at.final || final}
}

func (r *ruleCounts) add(x *ruleCounts) {
	r.Hits += x.Hits
	r.Excepted += x.Excepted
	r.Failed += x.Failed
	r.Missing += x.Missing
}

// secondsPerDay is the length of a day of event time.
const secondsPerDay = int64(24 * time.Hour / time.Second)

// dayOf returns the day of an instant, counted from the epoch, in UTC.
func dayOf(t schema.Instant) int64 {
	s := int64(t) / int64(time.Second)
	if s < 0 {
		s -= secondsPerDay - 1
	}
	return s / secondsPerDay
}

// dateOf returns the date of a day.
func dateOf(day int64) string { return time.Unix(day*secondsPerDay, 0).UTC().Format(time.DateOnly) }
