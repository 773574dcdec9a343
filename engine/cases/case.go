// Package cases runs the tests of rule files. Each test is a replay of its events through the real engine, in event time
// and therefore without waiting.
package cases

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/connectors/memory"
	"github.com/aidr-engine/aidr/engine"
	"github.com/aidr-engine/aidr/rules"
	"github.com/aidr-engine/aidr/schema"
	"github.com/aidr-engine/aidr/schema/decode"
	"github.com/aidr-engine/aidr/schema/formats"
)

// start is the instant to which the times of a test's events are relative.
var start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// testDelay is so long that no event of a test is late: a test describes events, not when their records arrive.
const testDelay = 100 * 365 * 24 * time.Hour

// settleTime is the event time between a test's last event and its end. It is longer than any window, deadline and group.
const settleTime = rules.MaxSpan + rules.MaxSpan

// Result is the outcome of one test.
type Result struct {
	File string
	Line int
	Rule string
	Test string
	Diff string // difference between expected and actual findings; "" if the test passes
	Took time.Duration

	Found []*schema.Finding // the actual findings
}

// Run runs every test of every rule of the set and calls report with each result, in the order of the set. maps adds
// formats in which the tests may give raw records.
func Run(ctx context.Context, set *rules.Set, report func(Result), maps ...*decode.Map) error {
	return RunOf(ctx, set, set.Rules, report, maps...)
}

// RunOf is Run for some rules of the set.
func RunOf(ctx context.Context, set *rules.Set, some []*rules.Rule, report func(Result), maps ...*decode.Map) error {
	for _, r := range some {
		if len(r.Tests) == 0 {
			continue
		}
		only := set.Only(r)
		for i := range r.Tests {
			t := &r.Tests[i]
			began := time.Now()
			got, err := Findings(ctx, only, r, t, maps...)
			if err != nil {
				return fmt.Errorf("%s:%d: rule %q: test %q: %w", r.File, t.Line, r.ID, t.Name, err)
			}
			report(Result{
				File: r.File, Line: t.Line, Rule: r.ID, Test: t.Name,
				Diff: Diff(t.Findings, got), Took: time.Since(began), Found: got,
			})
		}
	}
	return nil
}

// Findings replays the events of a test and returns the findings of the rule. only is a Set of this rule and the rules that
// feed it.
func Findings(ctx context.Context, only *rules.Set, r *rules.Rule, t *rules.Test, maps ...*decode.Map) ([]*schema.Finding, error) {
	records, last := events(r, t)
	var inputs []engine.Input
	for _, rec := range records {
		src := &memory.Source{Named: rec.format, Partitions: []memory.Partition{{
			Partition: connectors.Partition{Source: rec.format, Topic: rec.format}, Records: rec.lines, Times: rec.times,
		}}}
		delays := map[string]time.Duration{}
		for _, f := range decode.Formats(maps...) {
			for _, ds := range f.Datasets {
				delays[ds] = testDelay
			}
		}
		inputs = append(inputs, engine.Input{Source: src, Decode: decode.Options{Format: rec.format, Maps: maps}, Delays: delays})
	}
	if t.Agents != nil {
		only = only.WithAgents(t.Agents)
	}
	opts := engine.Options{Set: only, Inputs: inputs, Shards: 1, Workers: 1}
	found, err := engine.Replay(ctx, opts, schema.InstantOf(last.Add(settleTime)))
	if err := errors.Join(err, ctx.Err()); err != nil { // a source that ends because of ctx returns no error
		return nil, err
	}
	return slices.DeleteFunc(found, func(f *schema.Finding) bool { return f.RuleID != r.ID }), nil
}

// stream holds the records of one format.
type stream struct {
	format string
	lines  []string
	times  []schema.Instant // of each record
}

// events renders a test's events as records, one stream for each format. Events that the test gives as fields are rendered
// in the format aidr; raw records stay as they are.
func events(r *rules.Rule, t *rules.Test) (streams []*stream, last time.Time) {
	byFormat := map[string]*stream{}
	add := func(format, line string, at time.Time) {
		s := byFormat[format]
		if s == nil {
			s = &stream{format: format}
			byFormat[format] = s
			streams = append(streams, s)
		}
		s.lines = append(s.lines, line)
		s.times = append(s.times, schema.InstantOf(at))
		if at.After(last) {
			last = at
		}
	}
	at := start
	for _, entry := range t.Events {
		if entry.HasAt {
			at = start.Add(entry.At)
		}
		for n := range max(entry.Repeat, 1) {
			if n > 0 {
				at = at.Add(entry.Every)
			}
			if entry.Raw != "" {
				add(entry.Format, entry.Raw, at)
				continue
			}
			add("aidr", line(r, &entry, at), at)
		}
		at = at.Add(entry.Every)
	}
	return streams, last
}

// dataset returns the dataset of an event for which a test gives none: the first of the rule's, or of the rules that feed it.
func dataset(r *rules.Rule) string {
	if r.TestDataset != "" {
		return r.TestDataset
	}
	if r.Over != nil {
		for _, f := range r.Over.Feeding {
			if name := dataset(f); name != unnamed {
				return name
			}
		}
	}
	return unnamed
}

// unnamed is the dataset of events of rules that name none.
const unnamed = "test"

// line renders an event that a test gives as fields.
func line(r *rules.Rule, entry *rules.TestEvents, at time.Time) string {
	var e schema.Event
	e.SetTime(schema.Time, at.UnixNano())
	e.SetText(schema.EventDataset, dataset(r))
	e.SetText(schema.EventClass, "api")
	for f, v := range entry.Set {
		e.Set(f, v)
	}
	text := formats.AppendEvent(nil, &e, false)
	if len(entry.SetRaw) == 0 {
		return string(text)
	}
	return withRaws(text, entry.SetRaw)
}

// withRaws adds values at raw paths to the line of an event.
func withRaws(line []byte, raws []rules.RawValue) string {
	d := json.NewDecoder(bytes.NewReader(line))
	d.UseNumber()
	record := map[string]any{}
	if err := d.Decode(&record); err != nil {
		panic("BUG: " + err.Error())
	}
	for _, raw := range raws {
		at, last := record, len(raw.Path)-1
		for _, key := range raw.Path[:last] {
			next, ok := at[key].(map[string]any)
			if !ok {
				next = map[string]any{}
				at[key] = next
			}
			at = next
		}
		at[raw.Path[last]] = raw.Value
	}
	out, err := json.Marshal(record)
	if err != nil {
		panic("BUG: " + err.Error())
	}
	return string(out)
}

// Diff describes how the findings of a test differ from the expected ones. It returns "" if each expectation can be assigned
// a finding of its own that has all of its values, and no finding is left over. An expectation without one is compared with the
// nearest finding that is left over, value by value.
func Diff(want []map[string]any, got []*schema.Finding) string {
	found := flatten(got)
	var b strings.Builder
	taken, missing := assignAll(want, found)
	for _, i := range missing {
		fmt.Fprintf(&b, "missing: %s\n", brief(want[i]))
		j, lines := nearest(want[i], found, taken)
		if j < 0 {
			continue
		}
		taken[j] = i + 1
		fmt.Fprintf(&b, "  nearest: %s\n", brief(found[j]))
		for _, line := range lines {
			fmt.Fprintf(&b, "    %s\n", line)
		}
	}
	for i, f := range found {
		if taken[i] == 0 {
			fmt.Fprintf(&b, "unexpected: %s\n", brief(f))
		}
	}
	return b.String()
}

// assignAll assigns a finding to as many expectations as possible. taken holds for each finding the number of its
// expectation, from 1, or 0; missing lists the indexes of the expectations without a finding.
func assignAll(want, got []map[string]any) (taken, missing []int) {
	taken = make([]int, len(got))
	for i, w := range want {
		if !assign(w, i, want, got, taken, make([]bool, len(got))) {
			missing = append(missing, i)
		}
	}
	return taken, missing
}

// assign assigns a finding to expectation i, and to that end moves other expectations to other findings. seen marks the
// findings tried so far. It is the augmenting step of a maximum bipartite matching.
func assign(w map[string]any, i int, want, got []map[string]any, taken []int, seen []bool) bool {
	for j, f := range got {
		if seen[j] || !matches(w, f) {
			continue
		}
		seen[j] = true
		if taken[j] == 0 || assign(want[taken[j]-1], taken[j]-1, want, got, taken, seen) {
			taken[j] = i + 1
			return true
		}
	}
	return false
}

// matches reports whether a finding has every expected value.
func matches(want, got map[string]any) bool {
	for k, w := range want {
		if k == "by" {
			k = "key"
		}
		if !contains(w, got[k]) {
			return false
		}
	}
	return true
}

// contains reports whether two JSON values are equal. Of a map, only the expected keys are compared.
func contains(want, got any) bool {
	if w, ok := want.(map[string]any); ok {
		g, ok := got.(map[string]any)
		if !ok {
			return false
		}
		for k, v := range w {
			if !contains(v, g[k]) {
				return false
			}
		}
		return true
	}
	return text(want) == text(got)
}

// text renders a value as JSON, so that a number from YAML equals the same number in a finding.
func text(v any) string {
	if v == nil {
		return ""
	}
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return strings.Trim(string(b), `"`)
}

// flatten returns the findings as JSON objects.
func flatten(fs []*schema.Finding) []map[string]any {
	maps := make([]map[string]any, len(fs))
	for i, f := range fs {
		maps[i] = asMap(f)
	}
	return maps
}

func asMap(f *schema.Finding) map[string]any {
	b, err := json.Marshal(f)
	if err != nil {
		panic("BUG: " + err.Error())
	}
	d := json.NewDecoder(strings.NewReader(string(b)))
	d.UseNumber()
	var m map[string]any
	if err := d.Decode(&m); err != nil {
		panic("BUG: " + err.Error())
	}
	return m
}

// briefKeys are the most telling keys of a finding or an expectation, in the order in which Diff shows them.
var briefKeys = []string{
	"by", "key", "count", "value", "group_start", "first_seen", "last_seen", "summary", "explanation", "severity", "status",
}

// brief renders the briefKeys of a finding or an expectation.
func brief(f map[string]any) string {
	var parts []string
	for _, k := range briefKeys {
		if v, ok := f[k]; ok {
			parts = append(parts, k+"="+text(v))
		}
	}
	return strings.Join(parts, " ")
}

// nearest returns the finding without an expectation that differs in the fewest values from one, the first of several, and how it
// differs; -1 if no finding is left.
func nearest(want map[string]any, got []map[string]any, taken []int) (best int, lines []string) {
	best = -1
	for j, f := range got {
		if taken[j] != 0 {
			continue
		}
		var differs []string
		for _, k := range slices.Sorted(maps.Keys(want)) {
			differs = differences(differs, k, want[k], f[jsonName(k)])
		}
		if best < 0 || len(differs) < len(lines) {
			best, lines = j, differs
		}
	}
	return best, lines
}

// differences appends a line for each value that differs. Of a map, only the expected keys are compared.
func differences(lines []string, name string, want, got any) []string {
	if contains(want, got) {
		return lines
	}
	if w, ok := want.(map[string]any); ok {
		if g, ok := got.(map[string]any); ok {
			for _, k := range slices.Sorted(maps.Keys(w)) {
				lines = differences(lines, name+"."+k, w[k], g[k])
			}
			return lines
		}
	}
	return append(lines, fmt.Sprintf("%s: expected %s, actual %s", name, orNone(want), orNone(got)))
}

// orNone renders a value, or that there is none.
func orNone(v any) string {
	if t := text(v); t != "" {
		return t
	}
	return "none"
}
