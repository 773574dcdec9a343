package tally

import "github.com/aidr-engine/aidr/schema"

// minute and hour are the units of event time of rules and sources.
const (
	minute = schema.Instant(60 * 1e9)
	hour   = 60 * minute
)

// floor returns the beginning of the period that an instant is in.
func floor(t, period schema.Instant) schema.Instant {
	n := t / period
	if t%period < 0 {
		n--
	}
	return n * period
}

// Batch counts the events of one batch of records. It belongs to one goroutine at a time, and its storage is used again.
type Batch struct {
	rules   []ruleCount
	byRule  map[ruleMinute]int32 // indexes in rules
	recent  []recent             // by rule
	epoch   uint32               // of recent
	quality []sourceCount
	last    int // index in quality of the last event's
}

type ruleMinute struct {
	rule   int32
	minute schema.Instant
}

// ruleCount holds the counts of one rule and minute.
type ruleCount struct {
	ruleMinute
	matched, excepted, late, unkeyed, errors int64
}

// recent is the index in rules of the last minute of a rule. It is valid in its epoch.
type recent struct {
	epoch, index uint32
	minute       schema.Instant
}

// sourceCount holds the counts of one dataset and hour.
type sourceCount struct {
	dataset int32
	hour    schema.Instant
	events  int64
	should  [schema.NumNeeds]int64
	lacks   [schema.NumNeeds]int64
}

// NewBatch returns a Batch for a number of rules.
func NewBatch(rules int) *Batch {
	return &Batch{byRule: map[ruleMinute]int32{}, recent: make([]recent, rules), epoch: 1}
}

// Reset makes the batch empty.
func (b *Batch) Reset() {
	b.rules, b.quality, b.last = b.rules[:0], b.quality[:0], 0
	clear(b.byRule)
	if b.epoch++; b.epoch == 0 {
		clear(b.recent)
		b.epoch = 1
	}
}

// Event counts an event that ended at an instant, by the facts that it lacks. dataset is a number that Ledger.Add has the name of.
func (b *Batch) Event(e *schema.Event, dataset int32, end schema.Instant) {
	c := b.source(dataset, floor(end, hour))
	c.events++
	should, lacks := schema.NeedsOf(e)
	for n := range schema.NumNeeds {
		c.should[n] += int64(should >> n & 1)
		c.lacks[n] += int64(lacks >> n & 1)
	}
}

func (b *Batch) source(dataset int32, hour schema.Instant) *sourceCount {
	if b.last < len(b.quality) {
		if c := &b.quality[b.last]; c.dataset == dataset && c.hour == hour {
			return c
		}
	}
	for i := range b.quality {
		if c := &b.quality[i]; c.dataset == dataset && c.hour == hour {
			b.last = i
			return c
		}
	}
	b.last = len(b.quality)
	b.quality = append(b.quality, sourceCount{dataset: dataset, hour: hour})
	return &b.quality[b.last]
}

// rule returns the counts of a rule for an event that ended at an instant.
func (b *Batch) rule(rule int, end schema.Instant) *ruleCount {
	at := floor(end, minute)
	r := &b.recent[rule]
	if r.epoch == b.epoch && r.minute == at {
		return &b.rules[r.index]
	}
	key := ruleMinute{int32(rule), at}
	i, ok := b.byRule[key]
	if !ok {
		i = int32(len(b.rules))
		b.byRule[key] = i
		b.rules = append(b.rules, ruleCount{ruleMinute: key})
	}
	*r = recent{b.epoch, uint32(i), at}
	return &b.rules[i]
}

// Matched counts an event that matched a rule, and of that the roles without a key.
func (b *Batch) Matched(rule int, end schema.Instant, unkeyed int) {
	c := b.rule(rule, end)
	c.matched++
	c.unkeyed += int64(unkeyed)
}

// Refused counts an event that a rule did not count: exceptions that matched it, and conditions that failed.
func (b *Batch) Refused(rule int, end schema.Instant, excepted, errors int64) {
	c := b.rule(rule, end)
	c.excepted += excepted
	c.errors += errors
}

// Late counts a matched event that came late.
func (b *Batch) Late(rule int, end schema.Instant) { b.rule(rule, end).late++ }
