package engine

import (
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/engine/budget"
	"github.com/aidr-engine/aidr/engine/contain"
	"github.com/aidr-engine/aidr/engine/fold"
	"github.com/aidr-engine/aidr/engine/label"
	"github.com/aidr-engine/aidr/rules"
	"github.com/aidr-engine/aidr/schema"
	"github.com/aidr-engine/aidr/schema/decode"
)

// Metrics holds the engine's metrics, for Prometheus. Their names are a contract.
//
// Values of labels that come from the input are bounded (see the limits below); the rest is counted under the value other.
//
// Counters are never removed. Gauges describe the present, so those of revoked partitions, of removed rules and, while
// nothing is read, of all rules are deleted: a frozen gauge looks like a stalled partition.
type Metrics struct {
	records, tombstones                         *prometheus.CounterVec // by partition
	eventsTotal, lateEvents                     *prometheus.CounterVec // by dataset
	skippedTotal, fieldErrorsTotal, deadLetters *prometheus.CounterVec
	findings, missingKeys, ruleLateItems        *prometheus.CounterVec  // by rule
	conditions, limitsTotal, lost, ruleTime     *prometheus.CounterVec  // by rule
	lagRecords                                  *prometheus.GaugeVec    // by partition
	watermarks                                  [2]*prometheus.GaugeVec // by partition; the second has the deprecated name
	ruleWatermarks                              [2]*prometheus.GaugeVec // by rule; the second has the deprecated name
	warmingRules                                prometheus.Gauge
	memoryBytes                                 *prometheus.GaugeVec // by part
	memoryBudget                                prometheus.Gauge
	bodiesOmitted                               prometheus.Counter
	responses                                   *prometheus.CounterVec // by rule and outcome
	containments                                *prometheus.GaugeVec   // by status and stage
	checkpoint                                  prometheus.Histogram
	lastCheckpoint                              lastCheckpoint

	datasets, fields, ruleDatasets, positions *label.Limit
	ruleTimes                                 *label.Limit
	reasons                                   map[schema.DeadKind]*label.Limit

	mu         sync.Mutex // guards the two below; gauges are set and deleted while it is held
	partitions map[connectors.Partition]bool
	rules      map[string]bool
}

// Limits of the series that input can create, besides those of the datasets that the formats and the configuration name.
// At about 1 KB of memory each, all of them together take less than 10 MB.
const (
	// maxDatasets is the maximum number of further datasets. Only the format aidr and field maps take datasets from records.
	maxDatasets = 100
	// maxFieldErrors is the maximum number of pairs of dataset and field.
	maxFieldErrors = 1000
	// maxRuleDatasets is the maximum number of pairs of rule and dataset.
	maxRuleDatasets = 2000
	// maxReasons is the maximum number of reasons of one kind of dead letters. Some hold a status of an endpoint's choice.
	maxReasons = 100
	// maxPartitions is the maximum number of partitions. A followed file is a new one after each rotation.
	maxPartitions = 4096
	// maxRuleTimes is the maximum number of rules whose time is a series of its own. `aidr rules top` has all of them.
	maxRuleTimes = 1000
)

// lastCheckpoint holds the gauges of the last checkpoint.
type lastCheckpoint struct{ at, duration, bytes prometheus.Gauge }

// NewMetrics registers the engine's metrics with r. If r is nil, the metrics are not exposed.
func NewMetrics(r prometheus.Registerer) *Metrics {
	if r == nil {
		r = prometheus.NewRegistry()
	}
	to := registry{r}
	m := &Metrics{partitions: map[connectors.Partition]bool{}, rules: map[string]bool{}}
	m.registerLimits(to)
	m.registerInput(to)
	m.registerRules(to)
	m.registerProcess(to)
	return m
}

// registry makes metrics and registers them.
type registry struct{ prometheus.Registerer }

func (r registry) counter(name, help string, labels ...string) *prometheus.CounterVec {
	c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	r.MustRegister(c)
	return c
}

func (r registry) gauge(name, help string, labels ...string) *prometheus.GaugeVec {
	g := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, labels)
	r.MustRegister(g)
	return g
}

// single makes a gauge without labels.
func (r registry) single(name, help string) prometheus.Gauge {
	g := prometheus.NewGauge(prometheus.GaugeOpts{Name: name, Help: help})
	r.MustRegister(g)
	return g
}

// instants makes two gauges of an instant: the second has the deprecated name.
func (r registry) instants(name, oldName, help string, labels ...string) [2]*prometheus.GaugeVec {
	const deprecated = "Deprecated, use %s: the name lacks the unit of an instant. It goes with the next release."
	return [2]*prometheus.GaugeVec{r.gauge(name, help, labels...), r.gauge(oldName, fmt.Sprintf(deprecated, name), labels...)}
}

// registerLimits makes the limits of the labels whose values come from the input.
func (m *Metrics) registerLimits(to registry) {
	exceeded := to.counter("aidr_metric_label_overflow_total",
		"Samples counted under the label value other because the label has too many values, by label.", "label")
	limit := func(name string, most int) *label.Limit {
		return label.NewLimit(most, exceeded.WithLabelValues(name).Inc)
	}
	m.datasets, m.fields = limit("dataset", maxDatasets), limit("field", maxFieldErrors)
	m.ruleDatasets, m.positions = limit("rule_dataset", maxRuleDatasets), limit("partition", maxPartitions)
	m.ruleTimes = limit("rule", maxRuleTimes)
	m.reasons = map[schema.DeadKind]*label.Limit{}
	for _, kind := range schema.DeadKinds() {
		m.reasons[kind] = limit("reason", maxReasons)
	}
	for _, f := range decode.Formats() {
		m.datasets.Know(f.Datasets...)
	}
}

// registerInput makes the metrics of partitions and datasets.
func (m *Metrics) registerInput(to registry) {
	m.records = to.counter("aidr_source_records_total",
		"Records read from the source, decodable or not.",
		"source", "topic", "partition")
	m.tombstones = to.counter("aidr_source_tombstones_total",
		"Records without a value, which are skipped.",
		"source", "topic", "partition")
	m.lagRecords = to.gauge("aidr_source_lag_records",
		"Records in the partition that have not been read yet.",
		"source", "topic", "partition")
	m.watermarks = to.instants("aidr_watermark_timestamp_seconds", "aidr_watermark_seconds",
		"Event time up to which the partition is complete, for its slowest dataset, as a Unix time.",
		"source", "topic", "partition")
	m.eventsTotal = to.counter("aidr_events_total",
		"Events decoded from records; a record can hold several.",
		"dataset")
	m.lateEvents = to.counter("aidr_late_events_total",
		"Events below their partition's watermark (late), or dated more than 5 min past their record (future).",
		"dataset", "why")
	m.skippedTotal = to.counter("aidr_skipped_elements_total",
		"Elements of known formats that are skipped on purpose, such as spans that do not concern an agent, by reason.",
		"dataset", "reason")
	m.fieldErrorsTotal = to.counter("aidr_field_errors_total",
		"Fields of an impossible type, and keys that occur twice.",
		"dataset", "field")
	m.deadLetters = to.counter("aidr_dead_letters_total",
		"Dead letters written: records that cannot be decoded (record), rows and deliveries that a sink refused or that waited too long.",
		"kind", "reason")
	m.bodiesOmitted = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "aidr_dead_letter_bodies_omitted_total",
		Help: "Dead letters without their body, because their record had too many.",
	})
	to.MustRegister(m.bodiesOmitted)
}

// registerRules makes the metrics of rules.
func (m *Metrics) registerRules(to registry) {
	m.findings = to.counter("aidr_findings_total",
		"Changes of findings: each opening, update, settling and withdrawal, with the severity and status after it.",
		"rule", "severity", "status")
	m.conditions = to.counter("aidr_rule_events_total",
		"Events that a rule did not count: its condition failed (error), or an exception matched (excepted).",
		"rule", "why")
	m.ruleLateItems = to.counter("aidr_rule_late_items_total", "Late events that a stateful rule could not take.", "rule", "dataset")
	m.missingKeys = to.counter("aidr_rule_missing_key_total", "Matched events that lack a field of `by` or `of`.", "rule")
	m.ruleTime = to.counter("aidr_rule_seconds_total",
		"Estimated time of workers and shards that a rule took, from samples: its conditions and its memory.", "rule")
	m.lost = to.counter("aidr_rule_evidence_lost_total", "State entries of a rule that were damaged and start empty.", "rule")
	m.limitsTotal = to.counter("aidr_rule_limits_total",
		"Times that a limit of a kind was reached; limits are part of the meaning of a rule.",
		"rule", "limit")
	m.ruleWatermarks = to.instants("aidr_rule_watermark_timestamp_seconds", "aidr_rule_watermark_seconds",
		"Event time up to which the rule's findings are settled, as a Unix time.",
		"rule")
	m.warmingRules = to.single("aidr_rules_warming",
		"Rules whose State started empty and does not know all of its window yet: their findings carry warming_until.")
}

// registerProcess makes the metrics of checkpoints and memory.
func (m *Metrics) registerProcess(to registry) {
	m.checkpoint = prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: "aidr_checkpoint_seconds", Help: "Duration of a checkpoint, from the barrier to the disk.",
		Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5},
	})
	to.MustRegister(m.checkpoint)
	m.lastCheckpoint = lastCheckpoint{
		at: to.single("aidr_checkpoint_last_timestamp_seconds",
			"When the last checkpoint became durable, as a Unix time of the wall clock. An idle engine makes none."),
		duration: to.single("aidr_checkpoint_last_duration_seconds", "Duration of the last checkpoint, from the barrier to the disk."),
		bytes: to.single("aidr_checkpoint_last_bytes",
			"Size of the last checkpoint before compression: State, pending items, findings, positions."),
	}
	m.memoryBytes = to.gauge("aidr_memory_bytes", "Estimated memory of the parts that the memory budget bounds.", "part")
	m.responses = to.counter("aidr_responses_total",
		"Containments that rules requested, by rule and outcome: contained, monitored, proposed, and the reasons for which nothing was done.",
		"rule", "outcome")
	m.containments = to.gauge("aidr_containments", "Containments and proposals, by status (active, proposed) and proof (asked, enforced, verified, failed).",
		"status", "stage")
	m.memoryBudget = to.single("aidr_memory_budget_bytes", "Memory budget: the limit of all parts of aidr_memory_bytes together.")
}

// responded counts what a request of a rule for a containment led to.
func (m *Metrics) responded(rule, outcome string) { m.responses.WithLabelValues(rule, outcome).Inc() }

// contained sets the gauges of the containment table.
func (m *Metrics) contained(t *contain.Table) {
	m.containments.Reset()
	for k, n := range t.Counts() {
		m.containments.WithLabelValues(string(k.Status), string(k.Stage)).Set(float64(n))
	}
}

// reads admits the datasets that the inputs' configurations name.
func (m *Metrics) reads(inputs []Input) {
	for _, in := range inputs {
		m.datasets.Know(in.Datasets...)
		for _, f := range decode.Formats(in.Decode.Maps...) {
			m.datasets.Know(f.Datasets...)
		}
	}
}

// partitionLabels returns the labels of a partition. shared reports that the partition is beyond the limit and shares its
// series with others.
func (m *Metrics) partitionLabels(p connectors.Partition) (labels []string, shared bool) {
	v := m.positions.Values(p.Source, p.Topic, strconv.Itoa(int(p.Number)))
	if v[0] != p.Source {
		return []string{p.Source, label.Other, label.Other}, true
	}
	return v, false
}

func (m *Metrics) read(p connectors.Partition, n, tombstones int) {
	labels, _ := m.partitionLabels(p)
	m.records.WithLabelValues(labels...).Add(float64(n))
	if tombstones > 0 {
		m.tombstones.WithLabelValues(labels...).Add(float64(tombstones))
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
	labels := []string{p.Source, p.Topic, strconv.Itoa(int(p.Number))}
	for _, g := range []*prometheus.GaugeVec{m.lagRecords, m.watermarks[0], m.watermarks[1]} {
		g.DeleteLabelValues(labels...)
	}
	if len(m.partitions) == 0 {
		m.ruleWatermarks[0].Reset()
		m.ruleWatermarks[1].Reset()
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
			m.ruleWatermarks[0].DeleteLabelValues(id)
			m.ruleWatermarks[1].DeleteLabelValues(id)
		}
	}
	m.rules = next
}

func (m *Metrics) lag(p connectors.Partition, n int64) { m.set(m.lagRecords, p, float64(n)) }

// set sets a gauge of a partition, unless the partition is not read here or is beyond the limit of partitions: a gauge that
// several of them share would show the value of any of them.
func (m *Metrics) set(g *prometheus.GaugeVec, p connectors.Partition, v float64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.partitions[p] {
		return
	}
	if labels, shared := m.partitionLabels(p); !shared {
		g.WithLabelValues(labels...).Set(v)
	}
}

// decoded adds the counts of a decoded batch.
func (m *Metrics) decoded(rs *ruleSet, r *result) {
	events := make([]int, len(r.datasets))
	for _, ref := range r.events {
		events[ref.dataset]++
	}
	for i, n := range events {
		m.eventsTotal.WithLabelValues(m.datasets.Value(r.datasets[i])).Add(float64(n))
	}
	for f, n := range r.fieldErrors {
		m.fieldErrorsTotal.WithLabelValues(m.fields.Values(m.datasets.Value(f.dataset), f.field)...).Add(float64(n))
	}
	for s, n := range r.skipped {
		m.skippedTotal.WithLabelValues(m.datasets.Value(s.dataset), s.reason).Add(float64(n))
	}
	for rule, n := range r.missing {
		m.missingKeys.WithLabelValues(rs.id(rule)).Add(float64(n))
	}
	for _, d := range r.dead {
		m.Dead(d.Kind, d.Reason)
	}
}

// ruleSeconds adds to the time of a rule.
func (m *Metrics) ruleSeconds(rule string, d time.Duration) {
	m.ruleTime.WithLabelValues(m.ruleTimes.Value(rule)).Add(d.Seconds())
}

// triggered counts the roles of a trigger that lack a value of the key, and the conditions that could not be evaluated.
func (m *Metrics) triggered(rule string, missing, failed int) {
	m.missingKeys.WithLabelValues(rule).Add(float64(missing))
	m.conditions.WithLabelValues(rule, "error").Add(float64(failed))
}

// Dead counts a dead letter.
func (m *Metrics) Dead(kind schema.DeadKind, reason string) {
	if limit := m.reasons[kind]; limit != nil {
		reason = limit.Value(reason)
	}
	m.deadLetters.WithLabelValues(string(kind), reason).Inc()
}

func (m *Metrics) late(dataset string, why lateness) {
	m.lateEvents.WithLabelValues(m.datasets.Value(dataset), string(why)).Inc()
}

func (m *Metrics) ruleLate(rule, dataset string) {
	v := m.ruleDatasets.Values(rule, m.datasets.Value(dataset))
	m.ruleLateItems.WithLabelValues(rule, v[1]).Inc()
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
		{"times", l.Times}, {"values", l.Values}, {"partials", l.Partials}, {"deadlines", l.Deadlines},
		{"brought", l.Brought}, {"unjudged", l.Unjudged}, {"where_errors", l.Where},
		{"copies", l.Copies}, {"below_watermark", l.BelowWatermark}, {"held", l.Held},
	} {
		if x.n > 0 {
			m.limitsTotal.WithLabelValues(rule, x.name).Add(float64(x.n))
		}
	}
}

// matched adds the events of a batch that rules did not count, and resets them.
func (m *Metrics) matched(set *rules.Set, refused *refusals) {
	for _, i := range refused.rules {
		r := set.Rules[i]
		if n := refused.errors[i]; n > 0 {
			m.conditions.WithLabelValues(r.ID, "error").Add(float64(n))
			refused.errors[i] = 0
		}
		if n := refused.excepted[i]; n > 0 {
			m.conditions.WithLabelValues(r.ID, "excepted").Add(float64(n))
			refused.excepted[i] = 0
		}
	}
	refused.rules = refused.rules[:0]
}

func (m *Metrics) deadBodyOmitted() { m.bodiesOmitted.Inc() }

// memory sets the gauges of the memory budget.
func (m *Metrics) memory(b *budget.Budget) {
	m.memoryBudget.Set(float64(b.Limit()))
	b.Each(func(p budget.Part, bytes int64) { m.memoryBytes.WithLabelValues(p.String()).Set(float64(bytes)) })
}

func (m *Metrics) evidenceLost(rule string) { m.lost.WithLabelValues(rule).Inc() }
func (m *Metrics) finding(f *schema.Finding) {
	m.findings.WithLabelValues(f.RuleID, string(f.Severity), string(f.Status)).Inc()
}

// checkpointed records a checkpoint that became durable at the instant at.
func (m *Metrics) checkpointed(at time.Time, took time.Duration, bytes int) {
	m.checkpoint.Observe(took.Seconds())
	m.lastCheckpoint.at.Set(float64(at.UnixNano()) / 1e9)
	m.lastCheckpoint.duration.Set(took.Seconds())
	m.lastCheckpoint.bytes.Set(float64(bytes))
}

func (m *Metrics) warming(n int) { m.warmingRules.Set(float64(n)) }

// seconds returns an instant as Prometheus counts time.
func seconds(t schema.Instant) float64 { return float64(t) / 1e9 }

func (m *Metrics) watermark(p connectors.Partition, w schema.Instant) {
	if w != never {
		m.set(m.watermarks[0], p, seconds(w))
		m.set(m.watermarks[1], p, seconds(w))
	}
}

func (m *Metrics) ruleWatermark(rule string, w schema.Instant) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if w != never && m.rules[rule] && len(m.partitions) > 0 {
		m.ruleWatermarks[0].WithLabelValues(rule).Set(seconds(w))
		m.ruleWatermarks[1].WithLabelValues(rule).Set(seconds(w))
	}
}
