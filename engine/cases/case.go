// Package cases runs the tests inside rule files through the real engine: in event time, without a sleep.
package cases

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
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

// Start is when tests begin: 2026-01-01T00:00:00Z.
var start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// never late: a test says what happened, not when it arrived.
const testDelay = 100 * 365 * 24 * time.Hour

// after is how far behind its last event a test is judged: every window, deadline and group is over by then.
const after = rules.MaxSpan + rules.MaxSpan

// Result is the outcome of one test.
type Result struct {
	File string
	Line int
	Rule string
	Test string
	Diff string // what is wrong, "" where the test passes
	Took time.Duration

	Found []*schema.Finding
}

// Run runs every test of every rule of the set and calls report with each result, in order of file and place. Raw
// records of tests may be of the formats that the maps describe, too.
func Run(ctx context.Context, set *rules.Set, report func(Result), maps ...*decode.Map) error {
	for _, r := range set.Rules {
		only := set.Only(r)
		for i := range r.Tests {
			t := &r.Tests[i]
			began := time.Now()
			got, err := Findings(ctx, only, r, t, maps...)
			if err != nil {
				return fmt.Errorf("%s:%d: rule %q: test %q: %w", r.File, t.Line, r.ID, t.Name, err)
			}
			report(Result{File: r.File, Line: t.Line, Rule: r.ID, Test: t.Name, Diff: Diff(t.Findings, got), Took: time.Since(began), Found: got})
		}
	}
	return nil
}

// Findings plays a test's events and returns what the rule finds in them.
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
	found, err := engine.Replay(ctx, engine.Options{Set: only, Inputs: inputs, Shards: 1, Workers: 1}, schema.Instant(last.Add(after).UnixNano()))
	if err := errors.Join(err, ctx.Err()); err != nil { // a source that was asked to end returns no error
		return nil, err
	}
	return found, nil
}

// stream is the records of one format.
type stream struct {
	format string
	lines  []string
	times  []schema.Instant
}

// events renders a test's events as records: fields in the format aidr, others as they are.
func events(r *rules.Rule, t *rules.Test) (streams []*stream, last time.Time) {
	by := map[string]*stream{}
	add := func(format, line string, at time.Time) {
		s := by[format]
		if s == nil {
			s = &stream{format: format}
			by[format] = s
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
			add("aidr", line(r, entry.Set, at), at)
		}
		at = at.Add(entry.Every)
	}
	return streams, last
}

// line renders one event that a test gives as fields.
func line(r *rules.Rule, set map[schema.Field]schema.Value, at time.Time) string {
	var e schema.Event
	e.SetTime(schema.Time, at.UnixNano())
	if len(r.Datasets) > 0 {
		e.SetText(schema.EventDataset, r.Datasets[0])
	} else {
		e.SetText(schema.EventDataset, "test")
	}
	e.SetText(schema.EventClass, "api")
	for f, v := range set {
		e.Set(f, v)
	}
	return string(formats.AppendEvent(nil, &e, false))
}

// Diff says how the findings differ from what a test expects, "" where they do not: each expected finding must match
// one of its own, on the keys that it gives, and none may be left.
func Diff(want []map[string]any, got []*schema.Finding) string {
	flat := flatten(got)
	var b strings.Builder
	taken, missing := assignAll(want, flat)
	for _, i := range missing {
		fmt.Fprintf(&b, "missing: %s\n", brief(want[i]))
		for _, f := range nearest(want[i], flat) {
			fmt.Fprintf(&b, "  nearest: %s\n", f)
		}
	}
	for i, f := range flat {
		if taken[i] == 0 {
			fmt.Fprintf(&b, "unexpected: %s\n", brief(f))
		}
	}
	return b.String()
}

// assignAll gives as many expectations as it can a finding each: taken says by finding whose it is, from 1, missing which
// expectations have none.
func assignAll(want, got []map[string]any) (taken, missing []int) {
	taken = make([]int, len(got))
	for i, w := range want {
		if !assign(w, i, want, got, taken, make([]bool, len(got))) {
			missing = append(missing, i)
		}
	}
	return taken, missing
}

// assign finds a finding for expectation i, moving others to another finding where that helps.
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

// matches says whether a finding has every value that is expected.
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

// contains compares two JSON values: of a map, the expected keys only.
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

// text renders a value as JSON, so that 1 of YAML and 1 of a finding compare.
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

func flatten(fs []*schema.Finding) []map[string]any {
	flat := make([]map[string]any, len(fs))
	for i, f := range fs {
		flat[i] = asMap(f)
	}
	return flat
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

// shown are the keys of a finding that a person looks at first.
var shown = []string{"by", "key", "count", "value", "group_start", "first_seen", "last_seen", "explanation", "severity", "status"}

func brief(f map[string]any) string {
	var parts []string
	for _, k := range shown {
		if v, ok := f[k]; ok {
			parts = append(parts, k+"="+text(v))
		}
	}
	return strings.Join(parts, " ")
}

// nearest says, of the findings with the expected key, what differs.
func nearest(want map[string]any, got []map[string]any) (out []string) {
	for _, f := range got {
		if by, ok := want["by"]; ok && !contains(by, f["key"]) {
			continue
		}
		var diffs []string
		for k, w := range want {
			if k != "by" && !contains(w, f[k]) {
				diffs = append(diffs, fmt.Sprintf("%s is %s, want %s", k, text(f[k]), text(w)))
			}
		}
		if len(diffs) > 0 {
			out = append(out, strings.Join(diffs, "; "))
		}
	}
	return out
}
