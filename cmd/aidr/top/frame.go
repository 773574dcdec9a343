// Package top is the live view of a running aidr: its sources, rules, shards and sinks, with rates between two samples.
package top

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/aidr-engine/aidr/cmd/aidr/api"
	"github.com/aidr-engine/aidr/engine"
)

// Sample is the state of the process at one time.
type Sample struct {
	At      time.Time
	Status  api.Status
	Ledger  engine.Ledger
	Metrics map[string]*dto.MetricFamily
}

// Take asks the running process.
func Take(ctx context.Context, c *api.Client, now time.Time) (*Sample, error) {
	s := &Sample{At: now}
	if err := c.Do(ctx, "GET", "/v1/status", nil, &s.Status); err != nil {
		return nil, err
	}
	if !s.Status.Running {
		return nil, api.ErrNoProcess
	}
	if err := c.Do(ctx, "GET", "/v1/rules/top", url.Values{"limit": {"0"}}, &s.Ledger); err != nil {
		return nil, err
	}
	var text bytes.Buffer
	err := c.Lines(ctx, "/v1/metrics", nil, func(line []byte) bool {
		text.Write(line)
		text.WriteByte('\n')
		return true
	})
	if err != nil {
		return nil, err
	}
	p := expfmt.NewTextParser(model.UTF8Validation)
	if s.Metrics, err = p.TextToMetricFamilies(&text); err != nil {
		return nil, fmt.Errorf("read the metrics: %w", err)
	}
	return s, nil
}

// sum returns the sum of a metric over its labels, restricted to one value of a label unless label is "".
func (s *Sample) sum(name, label, value string) (sum float64) {
	for _, m := range s.Metrics[name].GetMetric() {
		if label != "" && !slices.ContainsFunc(m.GetLabel(), func(l *dto.LabelPair) bool { return l.GetName() == label && l.GetValue() == value }) {
			continue
		}
		sum += m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
	}
	return sum
}

// Frame is the view at one time. Rates are per second since the sample before. Its JSON names are a contract.
type Frame struct {
	Time       time.Time `json:"time"`
	Status     string    `json:"status"`
	Version    string    `json:"version"`
	Since      time.Time `json:"since"`
	Events     float64   `json:"events_per_second"`
	Findings   float64   `json:"finding_changes_per_second"`
	Late       float64   `json:"late_events_per_second"`
	Dead       uint64    `json:"dead_letters"`
	Memory     int64     `json:"memory_bytes"`
	Budget     int64     `json:"memory_budget_bytes"`
	Checkpoint float64   `json:"checkpoint_seconds"` // the last one
	DiskFree   float64   `json:"state_disk_free_bytes"`
	Busy       float64   `json:"busy_cores"`
	Sources    []Source  `json:"sources"`
	Rules      []Rule    `json:"rules"` // the most expensive first
	Shards     []Shard   `json:"shards"`
	Sinks      []Sink    `json:"sinks"`
	Problems   []Problem `json:"problems,omitempty"`
}

// Source is a source of a Frame.
type Source struct {
	Name       string  `json:"name"`
	Status     string  `json:"status"`
	Partitions int     `json:"partitions"`
	Records    float64 `json:"records_per_second"`
	Lag        int64   `json:"lag"`                     // -1: unknown
	Behind     float64 `json:"watermark_delay_seconds"` // of the partition that is furthest behind; -1: unknown
}

// Rule is a rule of a Frame.
type Rule struct {
	Rule       string  `json:"rule"`
	Cores      float64 `json:"busy_cores"`
	Candidates float64 `json:"candidates_per_second"`
	Hits       float64 `json:"hits_per_second"`
	Errors     float64 `json:"errors_per_second"`
}

// Shard is a shard of a Frame.
type Shard struct {
	Shard  int     `json:"shard"`
	Busy   float64 `json:"busy"` // share of the time, from 0 to 1
	Items  float64 `json:"items_per_second"`
	Cells  int64   `json:"cells"`
	Bytes  int64   `json:"bytes"`
	Queued int     `json:"queued_messages"`
}

// Sink is a sink of a Frame.
type Sink struct {
	Name      string  `json:"name"`
	State     string  `json:"state"`
	Delivered float64 `json:"delivered_per_second"`
	Waiting   uint64  `json:"waiting"`
	Oldest    float64 `json:"oldest_seconds"`
	Error     string  `json:"error,omitempty"`
}

// Problem is a component that is not ok, or an open finding about the process.
type Problem struct {
	Name string `json:"name"`
	Text string `json:"text"`
}

// Between returns the Frame of a sample, with the rates since the one before.
func Between(before, s *Sample) *Frame {
	f := &Frame{
		Time: s.At, Status: s.Status.Status, Version: s.Status.Version, Since: s.Status.Since, Dead: s.Status.DeadLetters,
		Memory: s.Status.Memory, Budget: s.Status.Budget, Checkpoint: s.sum("aidr_checkpoint_last_duration_seconds", "", ""),
		DiskFree: s.sum("aidr_state_disk_free_bytes", "", ""),
	}
	seconds := s.At.Sub(before.At).Seconds()
	rate := func(now, then float64) float64 {
		if seconds <= 0 || now < then { // a reload begins the ledger again
			return 0
		}
		return (now - then) / seconds
	}
	counted := func(name, label, value string) float64 {
		return rate(s.sum(name, label, value), before.sum(name, label, value))
	}
	f.Events, f.Findings = counted("aidr_events_total", "", ""), counted("aidr_findings_total", "", "")
	f.Late, f.Busy = counted("aidr_late_events_total", "", ""), rate(s.Ledger.Busy, before.Ledger.Busy)
	f.sources(s, counted)
	f.rules(before, s, rate)
	f.shards(before, s, rate)
	for _, k := range s.Status.Sinks {
		f.Sinks = append(f.Sinks, Sink{k.Name, k.State, counted("aidr_deliveries_total", "sink", k.Name), k.Entries, k.Oldest, k.Error})
	}
	for _, name := range slices.Sorted(maps.Keys(s.Status.Components)) {
		if c := s.Status.Components[name]; c.Status != api.OK {
			f.Problems = append(f.Problems, Problem{name, c.Status + ": " + c.Reason})
		}
	}
	for _, o := range s.Status.Operational {
		f.Problems = append(f.Problems, Problem{o.Rule, o.Summary})
	}
	return f
}

func (f *Frame) sources(s *Sample, counted func(name, label, value string) float64) {
	at := map[string]int{}
	for _, name := range slices.Sorted(maps.Keys(s.Status.Components)) {
		if source, ok := strings.CutPrefix(name, "source."); ok {
			at[source] = len(f.Sources)
			f.Sources = append(f.Sources, Source{Name: source, Status: s.Status.Components[name].Status, Behind: -1,
				Records: counted("aidr_source_records_total", "source", source)})
		}
	}
	for _, p := range s.Status.Partitions {
		i, ok := at[p.Source]
		if !ok {
			continue // an internal source
		}
		x := &f.Sources[i]
		x.Partitions++
		switch {
		case p.Lag < 0:
			x.Lag = -1
		case x.Lag >= 0:
			x.Lag += p.Lag
		}
		if p.Watermark != nil {
			x.Behind = max(x.Behind, s.At.Sub(time.Unix(0, int64(*p.Watermark))).Seconds(), 0)
		}
	}
}

func (f *Frame) rules(before, s *Sample, rate func(now, then float64) float64) {
	then := map[string]*engine.RuleCost{}
	for i := range before.Ledger.Rules {
		then[before.Ledger.Rules[i].Rule] = &before.Ledger.Rules[i]
	}
	for i := range s.Ledger.Rules {
		r := &s.Ledger.Rules[i]
		t := cmp.Or(then[r.Rule], &engine.RuleCost{})
		f.Rules = append(f.Rules, Rule{
			Rule: r.Rule, Cores: rate(r.CPU(), t.CPU()), Candidates: rate(float64(r.Candidates), float64(t.Candidates)),
			Hits: rate(float64(r.Hits), float64(t.Hits)), Errors: rate(float64(r.Errors), float64(t.Errors)),
		})
	}
	slices.SortStableFunc(f.Rules, func(a, b Rule) int {
		return cmp.Or(cmp.Compare(b.Cores, a.Cores), cmp.Compare(b.Hits, a.Hits), cmp.Compare(a.Rule, b.Rule))
	})
}

func (f *Frame) shards(before, s *Sample, rate func(now, then float64) float64) {
	for i, x := range s.Ledger.Shards {
		var then engine.ShardCost
		if i < len(before.Ledger.Shards) {
			then = before.Ledger.Shards[i]
		}
		f.Shards = append(f.Shards, Shard{x.Shard, rate(x.Busy, then.Busy), rate(float64(x.Items), float64(then.Items)), x.Cells, x.Bytes, x.Queued})
	}
}
