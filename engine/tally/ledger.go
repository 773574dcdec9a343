package tally

import (
	"sync"

	"github.com/aidr-engine/aidr/schema"
)

// ruleKey names the counts of a rule in a minute.
type ruleKey struct {
	rule   string
	minute schema.Instant
}

// sourceKey names the counts of a dataset of a source in an hour.
type sourceKey struct {
	source, dataset string
	hour            schema.Instant
}

// Counts are the counts of some time. The zero Counts is empty.
type Counts struct {
	rules   map[ruleKey]*schema.RuleStats
	sources map[sourceKey]*schema.SourceQuality
}

func (c *Counts) rule(id string, at schema.Instant) *schema.RuleStats {
	k := ruleKey{id, floor(at, minute)}
	s := c.rules[k]
	if s == nil {
		if c.rules == nil {
			c.rules = map[ruleKey]*schema.RuleStats{}
		}
		s = &schema.RuleStats{RuleID: id, Minute: k.minute}
		c.rules[k] = s
	}
	return s
}

func (c *Counts) source(source, dataset string, hour schema.Instant) *schema.SourceQuality {
	k := sourceKey{source, dataset, hour}
	q := c.sources[k]
	if q == nil {
		if c.sources == nil {
			c.sources = map[sourceKey]*schema.SourceQuality{}
		}
		q = &schema.SourceQuality{Source: source, Dataset: dataset, Hour: hour}
		c.sources[k] = q
	}
	return q
}

// Settled counts triggers of a rule that can no longer be taken back, and changes of findings that were held back.
func (c *Counts) Settled(rule string, at schema.Instant, triggers, held int64) {
	s := c.rule(rule, at)
	s.Triggers += triggers
	s.Held += held
}

// Opened counts a finding that was opened.
func (c *Counts) Opened(rule string, at schema.Instant) { c.rule(rule, at).Findings++ }

// Withdrawn counts a finding that was withdrawn.
func (c *Counts) Withdrawn(rule string, at schema.Instant) { c.rule(rule, at).Withdrawn++ }

// Ledger collects the counts of the batches that were routed since the last checkpoint. It is safe for concurrent use.
type Ledger struct {
	mu     sync.Mutex
	counts Counts
}

// Add adds the counts of a batch. rule returns the id of a rule, and datasets are the names of the batch's datasets.
func (l *Ledger) Add(b *Batch, source string, datasets []string, rule func(int) string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range b.rules {
		c := &b.rules[i]
		s := l.counts.rule(rule(int(c.rule)), c.minute)
		s.Matched += c.matched
		s.Excepted += c.excepted
		s.Late += c.late
		s.Unkeyed += c.unkeyed
		s.Errors += c.errors
	}
	for i := range b.quality {
		c := &b.quality[i]
		q := l.counts.source(source, datasets[c.dataset], c.hour)
		q.Events += c.events
		for n := range schema.NumNeeds {
			q.Should[n] += c.should[n]
			q.Lacks[n] += c.lacks[n]
		}
	}
}

// Take returns the counts and empties the ledger. The caller owns them.
func (l *Ledger) Take() Counts {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := l.counts
	l.counts = Counts{}
	return c
}
