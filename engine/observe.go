package engine

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/rules"
	"github.com/aidr-engine/aidr/schema"
)

const (
	// observeEvery is the least time between two looks at the conditions of operational findings.
	observeEvery = time.Second
	// unreadableAfter is how long the connection of a source fails before that is a finding: longer than the restart of a
	// broker.
	unreadableAfter = 5 * time.Minute
	// checkpointFailingAfter is how long checkpoints fail before that is a finding.
	checkpointFailingAfter = time.Minute
)

// Silence is when a source counts as silent.
type Silence struct {
	After   time.Duration // 0: never
	ByTopic bool          // each topic is judged alone, not only the source as a whole; for files a topic is a path
}

// observer looks at the conditions of the operational findings by the wall clock. The checkpointer's goroutine owns it.
type observer struct {
	findings *operational
	inputs   map[string]*input
	lanes    *lanes
	rules    *ruleSet
	meter    *meter
	metrics  *Metrics
	full     func() bool // whether the outbox is
	paused   func() bool // whether the engine takes no records

	responses *responder // nil: nothing is contained
	canary    func(now time.Time) (missing bool, since time.Time, why string)

	last      time.Time
	degraded  map[string]time.Time // by source: since when its connection fails
	fullSince time.Time
	failed    *checkpointFailure // since the last look

	counted  []int64 // by rule: nanoseconds that the metric has
	judged   time.Time
	baseline reading     // at judged
	verdicts []condition // of the rules, since judged
}

// checkpointFailure is a time in which no checkpoint could be written.
type checkpointFailure struct {
	since, until time.Time
	err          error
}

// observe looks at all conditions, unless the last look was a moment ago.
func (o *observer) observe(now time.Time) {
	if passed := now.Sub(o.last); !o.last.IsZero() && passed >= 0 && passed < observeEvery {
		return
	}
	o.last = now
	conditions := []condition{o.checkpoints(), o.outbox(now)}
	silent := o.lastRecords()
	for _, name := range slices.Sorted(maps.Keys(o.inputs)) {
		health := o.inputs[name].Source.Health()
		conditions = append(conditions, o.unreadable(now, name, health))
		conditions = append(conditions, o.silent(now, o.inputs[name], health, silent[name])...)
	}
	conditions = append(conditions, o.judgeRules(now)...)
	conditions = append(conditions, o.observeResponses()...)
	conditions = append(conditions, o.observeCanary(now))
	o.findings.update(now, conditions)
}

// observeCanary judges whether the canary is missing. Without a canary, a finding of an earlier one settles.
func (o *observer) observeCanary(now time.Time) condition {
	c := condition{rule: rules.CanaryMissing, key: map[string]string{}, verdict: over}
	if o.canary == nil {
		return c
	}
	if missing, since, why := o.canary(now); missing {
		c.verdict, c.since, c.text = holding, since, why
	}
	return c
}

// observe looks at the conditions of the operational findings.
func (c *checkpointer) observe(now time.Time) {
	if c.observer == nil {
		return
	}
	c.observer.observe(now)
	open := c.observer.findings.list()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.openOps = open
}

// noteFailure keeps a failure that is over now for the next look at the process, if it was long.
func (c *checkpointer) noteFailure(f *checkpointFailure) {
	if f == nil || c.observer == nil {
		return
	}
	if f.until = c.clock.Now(); f.until.Sub(f.since) >= checkpointFailingAfter {
		c.observer.failed = f
	}
}

// checkpoints judges the failure of checkpoints. It is called before one, and after the failure of one is over.
func (o *observer) checkpoints() condition {
	c := condition{rule: rules.CheckpointFailing, key: map[string]string{}, verdict: over}
	if f := o.failed; f != nil {
		c.verdict, c.since = holding, f.since
		c.text = fmt.Sprintf("no checkpoint could be written for %v, until %s: %s", f.until.Sub(f.since).Round(time.Second),
			f.until.UTC().Format(time.RFC3339), schema.Truncate(f.err.Error(), maxOperationalText))
		o.failed = nil
	}
	return c
}

func (o *observer) outbox(now time.Time) condition {
	c := condition{rule: rules.OutboxFull, key: map[string]string{}, verdict: over}
	if !o.full() {
		o.fullSince = time.Time{}
		return c
	}
	if o.fullSince.IsZero() {
		o.fullSince = now
	}
	c.verdict, c.since, c.text = holding, o.fullSince, "reading is paused, because the outbox is full"
	return c
}

// unreadable judges the connection of a source. While reading is paused, sources report that nobody takes their records,
// which is another finding.
func (o *observer) unreadable(now time.Time, source string, health connectors.Health) condition {
	c := condition{rule: rules.SourceUnreadable, key: map[string]string{"source": source}}
	if !health.Degraded {
		delete(o.degraded, source)
		o.lanes.mu.RLock()
		in := o.inputs[source]
		if in.announced || in.standby != "" {
			c.verdict = over
		}
		o.lanes.mu.RUnlock()
		return c
	}
	if _, ok := o.degraded[source]; !ok {
		o.degraded[source] = now
	}
	c.since = o.degraded[source]
	if open := o.findings.isOpen(&c); open || now.Sub(c.since) >= unreadableAfter && !o.paused() {
		c.verdict = holding
		c.text = fmt.Sprintf("source %q cannot be read: %s", source, schema.Truncate(health.Reason, maxOperationalText))
	}
	return c
}

// topicRecords is how the partitions of one topic, or of a whole source, are read.
type topicRecords struct {
	live  bool      // some partition is read here
	atEnd bool      // all of those are read to their end
	last  time.Time // of the last record, zero if there was none
}

// lastRecords returns how the topics of each source are read. The topic of a source that is judged as a whole is "".
func (o *observer) lastRecords() map[string]map[string]topicRecords {
	o.lanes.mu.Lock()
	defer o.lanes.mu.Unlock()
	out := map[string]map[string]topicRecords{}
	for _, l := range o.lanes.all {
		name, topic := l.partition.Source, ""
		if l.in.Silence.ByTopic {
			topic = l.partition.Topic
		}
		if out[name] == nil {
			out[name] = map[string]topicRecords{}
		}
		t, ok := out[name][topic]
		if !ok {
			t.atEnd = true
		}
		if l.lastRecord.After(t.last) {
			t.last = l.lastRecord
		}
		if !l.final && !l.revoked {
			t.live, t.atEnd = true, t.atEnd && l.atEnd
		}
		out[name][topic] = t
	}
	return out
}

// silent judges the silence of a source, or of each of its topics: it is connected and read to its end, and there is no
// record. After a restart the records of the time in between are read first.
func (o *observer) silent(now time.Time, in *input, health connectors.Health, topics map[string]topicRecords) (out []condition) {
	if in.Silence.After <= 0 {
		return nil
	}
	for _, topic := range slices.Sorted(maps.Keys(topics)) {
		t := topics[topic]
		c := condition{rule: rules.SourceSilent, key: map[string]string{"source": in.Source.Name()}, since: t.last}
		what := fmt.Sprintf("source %q", in.Source.Name())
		if topic != "" {
			c.key["topic"] = topic
			what = fmt.Sprintf("topic %q of %s", topic, what)
		}
		silence := now.Sub(t.last)
		switch {
		case t.last.IsZero():
		case silence < in.Silence.After:
			c.verdict = over
		case t.live && t.atEnd && !health.Degraded:
			c.verdict = holding
			c.text = fmt.Sprintf("%s has no record since %s", what, t.last.UTC().Format(time.RFC3339))
		}
		out = append(out, c)
	}
	return out
}

// judgeRules counts the time of rules, and judges it and the failures of their conditions every judgeRulesEvery. In between,
// the last judgement counts.
func (o *observer) judgeRules(now time.Time) []condition {
	r := o.meter.read()
	if o.counted == nil {
		o.counted, o.baseline, o.judged = make([]int64, len(r.rules)), r, now
	}
	for i, x := range r.rules {
		if n := x.nanos - o.counted[i]; n > 0 {
			o.metrics.ruleSeconds(o.rules.id(i), time.Duration(n))
			o.counted[i] = x.nanos
		}
	}
	if passed := now.Sub(o.judged); passed >= 0 && passed < judgeRulesEvery {
		return o.verdicts
	}
	before, since := o.baseline, o.judged
	o.baseline, o.judged, o.verdicts = r, now, nil
	for i := range r.rules {
		for _, c := range [...]condition{o.failing(i, since, before, r), o.slow(i, since, before, r)} {
			if c.verdict == holding || o.findings.isOpen(&c) { // the others change nothing
				o.verdicts = append(o.verdicts, c)
			}
		}
	}
	return o.verdicts
}

func (o *observer) failing(rule int, since time.Time, before, r reading) condition {
	c := condition{rule: rules.RuleFailing, key: map[string]string{"rule_id": o.rules.id(rule)}, verdict: over, since: since}
	a, b := before.rules[rule], r.rules[rule]
	if b.failing(a) {
		c.verdict = holding
		c.text = fmt.Sprintf("the conditions of %s failed on %d events within %v, and held on %d",
			o.rules.id(rule), b.failed-a.failed, o.judged.Sub(since).Round(time.Second), b.hits-a.hits)
	}
	return c
}

func (o *observer) slow(rule int, since time.Time, before, r reading) condition {
	c := condition{rule: rules.RuleSlow, key: map[string]string{"rule_id": o.rules.id(rule)}, verdict: over, since: since}
	if r.slow(before, rule) {
		c.verdict = holding
		nanos, busy := r.rules[rule].nanos-before.rules[rule].nanos, r.busy-before.busy
		perEvent := time.Duration(nanos / max(1, r.events-before.events))
		c.text = fmt.Sprintf("%s takes about %d %% of the engine's time, %v for each event that is read",
			o.rules.id(rule), 100*nanos/cmp.Or(busy, 1), perEvent.Round(time.Microsecond))
	}
	return c
}
