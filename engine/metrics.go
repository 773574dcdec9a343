package engine

import (
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/engine/fold"
	"github.com/aidr-engine/aidr/rules"
	"github.com/aidr-engine/aidr/schema"
)

// Metrics holds the engine's metrics, for Prometheus. Their names are a contract.
//
// Counters are never removed. Gauges describe the present, so those of revoked partitions, of removed rules and, while
// nothing is read, of all rules are deleted: a frozen gauge looks like a stalled partition.
type Metrics struct {
	records, tombstones                         *prometheus.CounterVec // by partition
	eventsTotal, lateEvents                     *prometheus.CounterVec // by dataset
	skippedTotal, fieldErrorsTotal, deadLetters *prometheus.CounterVec
	findings, missingKeys, ruleLateItems        *prometheus.CounterVec // by rule
	conditions, limitsTotal, lost               *prometheus.CounterVec // by rule
	lagRecords, watermarkSeconds                *prometheus.GaugeVec   // by partition
	ruleWatermarkSeconds                        *prometheus.GaugeVec
	checkpoint                                  prometheus.Histogram

	mu         sync.Mutex // guards the two below; gauges are set and deleted while it is held
	partitions map[connectors.Partition]bool
	rules      map[string]bool
}

// NewMetrics registers the engine's metrics with r. If r is nil, the metrics are not exposed.
func NewMetrics(r prometheus.Registerer) *Metrics {
	if r == nil {
		r = prometheus.NewRegistry()
	}
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
		r.MustRegister(c)
		return c
	}
	gauge := func(name, help string, labels ...string) *prometheus.GaugeVec {
		g := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, labels)
		r.MustRegister(g)
		return g
	}
	m := &Metrics{
		partitions: map[connectors.Partition]bool{}, rules: map[string]bool{},
		records:    counter("aidr_source_records_total", "Records read.", "source", "topic", "partition"),
		tombstones: counter("aidr_source_tombstones_total", "Records without a value, which are skipped.", "source", "topic", "partition"),
		lagRecords: gauge("aidr_source_lag_records",
			"Records in the partition that have not been read yet.",
			"source", "topic", "partition"),
		eventsTotal: counter("aidr_events_total", "Events decoded.", "dataset"),
		deadLetters: counter("aidr_dead_letters_total", "Dead letters written, by kind and reason.", "kind", "reason"),
		lateEvents: counter("aidr_late_events_total",
			"Events below their partition's watermark (late), or dated more than 5 min past their record (future).",
			"dataset", "why"),
		ruleLateItems: counter("aidr_rule_late_items_total", "Late events that a stateful rule could not take.", "rule", "dataset"),
		findings:      counter("aidr_findings_total", "Changes of findings.", "rule", "severity", "status"),
		skippedTotal: counter("aidr_skipped_elements_total",
			"Elements of known formats that are skipped on purpose, such as spans that do not concern an agent, by reason.",
			"dataset", "reason"),
		fieldErrorsTotal: counter("aidr_field_errors_total", "Fields of an impossible type, and keys that occur twice.", "dataset", "field"),
		missingKeys:      counter("aidr_rule_missing_key_total", "Matched events that lack a field of `by` or `of`.", "rule"),
		lost:             counter("aidr_rule_evidence_lost_total", "Damaged State entries, which start empty.", "rule"),
		limitsTotal: counter("aidr_rule_limits_total",
			"Times that a limit of a kind was reached; limits are part of the meaning of a rule.",
			"rule", "limit"),
		conditions: counter("aidr_rule_events_total",
			"Events that a rule did not count: its condition failed (error), or an exception matched (excepted).",
			"rule", "why"),
		watermarkSeconds: gauge("aidr_watermark_seconds",
			"Event time up to which the partition is complete, for its slowest dataset.",
			"source", "topic", "partition"),
		ruleWatermarkSeconds: gauge("aidr_rule_watermark_seconds",
			"Event time up to which the rule's findings are settled.",
			"rule"),
		checkpoint: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "aidr_checkpoint_seconds", Help: "Duration of a checkpoint, from the barrier to the disk.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5},
		}),
	}
	r.MustRegister(m.checkpoint)
	return m
}

func partitionLabels(p connectors.Partition) []string {
	return []string{p.Source, p.Topic, strconv.Itoa(int(p.Number))}
}

func (m *Metrics) read(p connectors.Partition, n, tombstones int) {
	m.records.WithLabelValues(partitionLabels(p)...).Add(float64(n))
	if tombstones > 0 {
		m.tombstones.WithLabelValues(partitionLabels(p)...).Add(float64(tombstones))
	}
}

// assigned records that the partition is read here from now on.
func (m *Metrics) assigned(p connectors.Partition) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.partitions[p] = true
}

// revoked records that another process reads the partition from now on, and deletes its gauges.
func (m *Metrics) revoked(p connectors.Partition) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.partitions, p)
	m.lagRecords.DeleteLabelValues(partitionLabels(p)...)
	m.watermarkSeconds.DeleteLabelValues(partitionLabels(p)...)
	if len(m.partitions) == 0 {
		m.ruleWatermarkSeconds.Reset()
	}
}

// evaluates records the rules of the Set, and deletes the gauges of all others.
func (m *Metrics) evaluates(set *rules.Set) {
	m.mu.Lock()
	defer m.mu.Unlock()
	next := make(map[string]bool, len(set.Rules))
	for _, r := range set.Rules {
		next[r.ID] = true
	}
	for id := range m.rules {
		if !next[id] {
			m.ruleWatermarkSeconds.DeleteLabelValues(id)
		}
	}
	m.rules = next
}

func (m *Metrics) lag(p connectors.Partition, n int64) { m.set(m.lagRecords, p, float64(n)) }

// set sets a gauge of a partition, unless it is not read here.
func (m *Metrics) set(g *prometheus.GaugeVec, p connectors.Partition, v float64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.partitions[p] {
		g.WithLabelValues(partitionLabels(p)...).Set(v)
	}
}

// decoded adds the counts of a decoded batch.
func (m *Metrics) decoded(rs *ruleSet, r *result) {
	events := make([]int, len(r.datasets))
	for _, ref := range r.events {
		events[ref.dataset]++
	}
	for i, n := range events {
		m.eventsTotal.WithLabelValues(r.datasets[i]).Add(float64(n))
	}
	for f, n := range r.fieldErrors {
		m.fieldErrorsTotal.WithLabelValues(f.dataset, f.field).Add(float64(n))
	}
	for s, n := range r.skipped {
		m.skippedTotal.WithLabelValues(s.dataset, s.reason).Add(float64(n))
	}
	for rule, n := range r.missing {
		m.missingKeys.WithLabelValues(rs.id(rule)).Add(float64(n))
	}
	for _, d := range r.dead {
		m.Dead(d.Kind, d.Reason)
	}
}

// Dead counts a dead letter.
func (m *Metrics) Dead(kind schema.DeadKind, reason string) {
	m.deadLetters.WithLabelValues(string(kind), reason).Inc()
}

func (m *Metrics) late(dataset string, why lateness) {
	m.lateEvents.WithLabelValues(dataset, string(why)).Inc()
}

func (m *Metrics) ruleLate(rule, dataset string) {
	m.ruleLateItems.WithLabelValues(rule, dataset).Inc()
}

// limits counts the limits that the State of a cell has reached.
func (m *Metrics) limits(rule string, l fold.Limits) {
	if l == (fold.Limits{}) {
		return
	}
	for _, x := range []struct {
		name string
		n    int64
	}{
		{"times", l.Times}, {"values", l.Values}, {"partials", l.Partials}, {"where_errors", l.Where},
		{"copies", l.Copies}, {"below_watermark", l.BelowWatermark}, {"held", l.Held},
	} {
		if x.n > 0 {
			m.limitsTotal.WithLabelValues(rule, x.name).Add(float64(x.n))
		}
	}
}

// matched adds the counts of a worker's scratch, and resets them.
func (m *Metrics) matched(set *rules.Set, sc *rules.Scratch) {
	for i, r := range set.Rules {
		if n := sc.Errors[i]; n > 0 {
			m.conditions.WithLabelValues(r.ID, "error").Add(float64(n))
			sc.Errors[i] = 0
		}
		if n := sc.Excepted[i]; n > 0 {
			m.conditions.WithLabelValues(r.ID, "excepted").Add(float64(n))
			sc.Excepted[i] = 0
		}
	}
}

func (m *Metrics) evidenceLost(rule string) { m.lost.WithLabelValues(rule).Inc() }
func (m *Metrics) finding(f *schema.Finding) {
	m.findings.WithLabelValues(f.RuleID, string(f.Severity), string(f.Status)).Inc()
}
func (m *Metrics) checkpointed(d time.Duration) { m.checkpoint.Observe(d.Seconds()) }

// seconds returns an instant as Prometheus counts time.
func seconds(t schema.Instant) float64 { return float64(t) / 1e9 }

func (m *Metrics) watermark(p connectors.Partition, w schema.Instant) {
	if w != never {
		m.set(m.watermarkSeconds, p, seconds(w))
	}
}

func (m *Metrics) ruleWatermark(rule string, w schema.Instant) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if w != never && m.rules[rule] && len(m.partitions) > 0 {
		m.ruleWatermarkSeconds.WithLabelValues(rule).Set(seconds(w))
	}
}
