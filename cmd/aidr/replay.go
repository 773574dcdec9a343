package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"runtime"
	"slices"
	"sort"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"

	"github.com/aidr-engine/aidr/cmd/aidr/pipeline"
	"github.com/aidr-engine/aidr/connectors/file"
	"github.com/aidr-engine/aidr/engine"
	"github.com/aidr-engine/aidr/rules/doc"
	"github.com/aidr-engine/aidr/schema"
	"github.com/aidr-engine/aidr/schema/content"
)

func replayCommand() *cobra.Command {
	var rulesDirs, delays []string
	var lists, agents, until, findings string
	var shards int
	var from reading
	c := &cobra.Command{
		Use:   "replay [flags] FILE...",
		Short: "Run the whole pipeline over files and print the findings",
		Long: `replay runs files through the live code path and prints the findings that are open or settled at the end, one JSON object
a line, sorted by (group_start, id). The output is byte-identical from run to run, whatever the number of shards. Each
file is a partition; "-" is standard input; gzip, zstd and directories are read too.

At the end time stands at the highest event time of the input: groups that are not over by then stay open. --until moves
on to a later instant.

` + readingHelp + `
The rules are those of the configuration then; findings are redacted as it says.`,
		Args: args(cobra.MinimumNArgs(1)),
		RunE: func(cmd *cobra.Command, paths []string) error {
			growth(replayGrowth)
			if err := from.load(cmd); err != nil {
				return err
			}
			set, err := loadSet(cmd, from.ruleFiles(rulesDirs, lists, agents))
			if err != nil {
				return err
			}
			in, err := from.input(cmd)
			if err != nil {
				return err
			}
			if in.Delays, err = addDelays(in.Delays, delays); err != nil {
				return err
			}
			end, err := parseUntil(until)
			if err != nil {
				return err
			}
			if in.Source, err = file.New(file.Config{Name: "replay", Paths: paths, Stdin: cmd.InOrStdin()}); err != nil {
				return &exit{exitUsage, err}
			}
			counts := newReplayCounts()
			o := engine.Options{Set: set, Inputs: []engine.Input{in}, Shards: shards, Redact: content.Redact, Redaction: from.cfg.Redact, Metrics: counts.metrics}
			began := time.Now()
			fs, err := engine.Replay(cmd.Context(), o, end)
			if err != nil {
				return err
			}
			if err := writeFindings(cmd.OutOrStdout(), findings, fs); err != nil {
				return err
			}
			counts.summary(cmd.ErrOrStderr(), fs, time.Since(began))
			return nil
		},
	}
	f := c.Flags()
	f.StringArrayVar(&rulesDirs, "rules", nil, "folder or file of rules; may be repeated (default: the rules that aidr ships)")
	f.StringVar(&lists, "lists", "", "folder of lists (default: lists/ in the folder of rules)")
	f.StringVar(&agents, "agents", "", "registry of agents (default: agents.yaml in the folder of rules)")
	from.flags(c)
	f.IntVar(&shards, "shards", 0, "number of shards (default: one per core)")
	f.StringVar(&until, "until", "", "instant that time moves on to at the end, such as 2026-01-31T12:00:00Z")
	f.StringArrayVar(&delays, "delay", nil, "DATASET=DURATION: how late its records may be; may be repeated")
	f.StringVar(&findings, "findings", "-", "file for the findings, - for standard output")
	return c
}

// loadSet loads rules and prints every problem; warnings go on.
func loadSet(cmd *cobra.Command, files pipeline.RuleFiles) (*pipeline.Set, error) {
	set, problems := pipeline.LoadRules(files)
	printProblems(cmd.ErrOrStderr(), problems)
	if set == nil {
		return nil, &exit{exitFailed, fmt.Errorf("the rules do not load: see above")}
	}
	return set, nil
}

// addDelays returns delays by dataset, some of which flags replace.
func addDelays(by map[string]time.Duration, flags []string) (map[string]time.Duration, error) {
	out := map[string]time.Duration{}
	maps.Copy(out, by)
	for _, f := range flags {
		name, text, ok := strings.Cut(f, "=")
		d, valid := doc.ParseDuration(text)
		if !ok || name == "" || !valid {
			return nil, usage("--delay %q: write DATASET=DURATION, such as aws.cloudtrail=20m", f)
		}
		out[name] = d
	}
	return out, nil
}

func parseUntil(s string) (schema.Instant, error) {
	if s == "" {
		return 0, nil
	}
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		return 0, usage("--until %q: write an instant such as 2026-01-31T12:00:00Z", s)
	}
	return schema.Instant(t.UnixNano()), nil
}

// findingsPiece is how many findings are encoded at a time: a hundred kilobytes and more, beside which handing them over and
// writing them cost nothing.
const findingsPiece = 16

// writeFindings writes one JSON object a line to the file, or to w for "-". It writes some while others are encoded: where
// there are many, this is a good part of a replay.
func writeFindings(w io.Writer, name string, fs []*schema.Finding) (err error) {
	if name != "-" {
		f, failed := os.Create(name)
		if failed != nil {
			return failed
		}
		defer func() { err = errors.Join(err, f.Close()) }()
		w = f
	}
	w = jsonTo(w)
	done := make(chan struct{})
	defer close(done)
	buffers := &sync.Pool{New: func() any { return new(bytes.Buffer) }}
	for piece := range encodeFindings(fs, buffers, done) {
		text := <-piece
		if text.err == nil {
			_, text.err = text.lines.WriteTo(w)
		}
		if text.err != nil {
			return fmt.Errorf("write findings: %w", text.err)
		}
		buffers.Put(text.lines)
	}
	return nil
}

// encodedFindings are some findings, one JSON object a line.
type encodedFindings struct {
	lines *bytes.Buffer
	err   error
}

// encodeFindings encodes the findings on all cores, piece by piece in their order, a few pieces ahead of who takes them,
// until done. The pieces are in buffers of the pool.
func encodeFindings(fs []*schema.Finding, buffers *sync.Pool, done <-chan struct{}) <-chan chan encodedFindings {
	pieces := make(chan chan encodedFindings, runtime.GOMAXPROCS(0))
	go func() {
		defer close(pieces)
		for some := range slices.Chunk(fs, findingsPiece) {
			piece := make(chan encodedFindings, 1)
			select {
			case pieces <- piece:
			case <-done:
				return
			}
			go func() {
				lines := buffers.Get().(*bytes.Buffer)
				piece <- encodedFindings{lines, encodeLines(lines, some)}
			}()
		}
	}()
	return pieces
}

// encodeLines writes one JSON object a line.
func encodeLines(w io.Writer, fs []*schema.Finding) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	for _, f := range fs {
		if err := enc.Encode(f); err != nil {
			return err
		}
	}
	return nil
}

// replayCounts reads the engine's own metrics back for the summary.
type replayCounts struct {
	metrics  *engine.Metrics
	registry *prometheus.Registry
}

func newReplayCounts() *replayCounts {
	r := prometheus.NewRegistry()
	return &replayCounts{metrics: engine.NewMetrics(r), registry: r}
}

// totals returns each metric's sum over its labels.
func (c *replayCounts) totals() map[string]float64 {
	families, err := c.registry.Gather()
	if err != nil {
		return nil
	}
	out := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			out[f.GetName()] += m.GetCounter().GetValue()
		}
	}
	return out
}

func (c *replayCounts) summary(w io.Writer, fs []*schema.Finding, took time.Duration) {
	totals := c.totals()
	events := totals["aidr_events_total"]
	fmt.Fprintf(w, "aidr: %.0f records, %.0f events in %s (%.0f events/s), %d findings",
		totals["aidr_source_records_total"], events, took.Round(time.Millisecond), events/took.Seconds(), len(fs))
	for _, name := range []string{"aidr_dead_letters_total", "aidr_late_events_total", "aidr_field_errors_total"} {
		if n := totals[name]; n > 0 {
			fmt.Fprintf(w, ", %.0f %s", n, map[string]string{
				"aidr_dead_letters_total": "records not decoded (see aidr decode)", "aidr_late_events_total": "late events (see --delay)",
				"aidr_field_errors_total": "field errors"}[name])
		}
	}
	fmt.Fprintln(w)
	rules := map[string]int{}
	for _, f := range fs {
		rules[f.RuleID]++
	}
	var lines []string
	for id, n := range rules {
		lines = append(lines, fmt.Sprintf("%6d  %s", n, id))
	}
	sort.Strings(lines)
	for _, l := range lines {
		fmt.Fprintln(w, l)
	}
}
