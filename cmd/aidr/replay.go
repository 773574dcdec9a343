package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"runtime"
	"slices"
	"sort"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"

	"github.com/aidr-engine/aidr/cmd/aidr/output"
	"github.com/aidr-engine/aidr/cmd/aidr/pipeline"
	"github.com/aidr-engine/aidr/connectors/file"
	"github.com/aidr-engine/aidr/engine"
	"github.com/aidr-engine/aidr/engine/inventory"
	"github.com/aidr-engine/aidr/rules/doc"
	"github.com/aidr-engine/aidr/schema"
	"github.com/aidr-engine/aidr/schema/content"
)

func replayCommand() *cobra.Command {
	var rulesDirs, delays []string
	var lists, agents, until, findings, inventoryFile string
	var shards int
	var from reading
	c := &cobra.Command{
		Use:   "replay [flags] FILE...",
		Short: "Run the whole pipeline over files and print the findings",
		Long: `replay runs files through the code path of aidr run and prints the findings that are open or settled at the end, one JSON
object per line, sorted by (group_start, id). The output is byte-identical from run to run for any number of shards. Each
file is a partition. "-" is standard input. gzip and zstd files and directories are read too.

After the last record, time is at the highest event time of the input, and groups that end later stay open. --until
advances time to a later instant.

replay keeps everything in memory: it has no state directory to page to, so the memory budget of aidr run does not apply.

` + readingHelp + `
replay then uses the rules of the configuration, and redacts findings according to it.`,
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
			opts := engine.Options{
				Set: set, Inputs: []engine.Input{in}, Shards: shards,
				Redact: content.Redact, Redaction: from.cfg.Redact, Metrics: counts.metrics, Inventory: inventoryFile != "",
			}
			began := time.Now()
			fs, inv, err := engine.ReplayInventory(cmd.Context(), opts, end)
			if err != nil {
				return err
			}
			if inv != nil {
				if err := writeInventory(inventoryFile, cmd.OutOrStdout(), inv); err != nil {
					return err
				}
			}
			if err := writeFindings(cmd.OutOrStdout(), findings, fs); err != nil {
				return err
			}
			counts.summary(cmd.ErrOrStderr(), fs, time.Since(began))
			return nil
		},
	}
	f := c.Flags()
	f.StringArrayVar(&rulesDirs, "rules", nil, "folder or file of rules; may be repeated (default: the shipped rules)")
	f.StringVar(&lists, "lists", "", "folder of lists (default: lists/ in the folder of rules)")
	f.StringVar(&agents, "agents", "", "registry of agents (default: agents.yaml in the folder of rules)")
	from.flags(c)
	f.IntVar(&shards, "shards", 0, "number of shards (default: one per core)")
	f.StringVar(&until, "until", "", "instant to which time advances at the end, such as 2026-01-31T12:00:00Z")
	f.StringArrayVar(&delays, "delay", nil, "DATASET=DURATION: how long after its event a record may arrive; may be repeated")
	f.StringVar(&inventoryFile, "inventory", "", "output file of the inventory of agents, credentials and tools as JSON lines, - for standard output")
	f.StringVar(&findings, "findings", "-", "output file of the findings, - for standard output")
	return c
}

// writeInventory writes an inventory as JSON lines to a file, or to w if the name is "-".
func writeInventory(name string, w io.Writer, inv *engine.Inventory) error {
	if name == "-" {
		return inventory.Export(inv, jsonTo(w))
	}
	f, err := output.Create(name)
	if err != nil {
		return err
	}
	defer f.Discard()
	b := bufio.NewWriter(f)
	if err := errors.Join(inventory.Export(inv, b), b.Flush()); err != nil {
		return err
	}
	return f.Commit()
}

// loadSet loads rules and prints all problems. It fails if a problem is more than a warning.
func loadSet(cmd *cobra.Command, files pipeline.RuleFiles) (*pipeline.Set, error) {
	set, problems := pipeline.LoadRules(files)
	printProblems(cmd.ErrOrStderr(), problems)
	if set == nil {
		return nil, &exit{exitFailed, fmt.Errorf("cannot load the rules: see above")}
	}
	return set, nil
}

// addDelays returns the delays by dataset with those of the flags added or replaced.
func addDelays(delays map[string]time.Duration, flags []string) (map[string]time.Duration, error) {
	out := map[string]time.Duration{}
	maps.Copy(out, delays)
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

// findingsChunk is the number of findings that are encoded together: a hundred kilobytes and more, so that passing a chunk
// on and writing it cost next to nothing in comparison.
const findingsChunk = 16

// writeFindings writes one JSON object per line to the file, or to w if name is "-". Chunks are encoded concurrently while
// earlier ones are written, because with many findings encoding is a large part of a replay.
func writeFindings(w io.Writer, name string, fs []*schema.Finding) (err error) {
	if name != "-" {
		f, failed := output.Create(name)
		if failed != nil {
			return failed
		}
		defer f.Discard()
		defer func() {
			if err == nil {
				err = f.Commit()
			}
		}()
		w = f
	}
	w = jsonTo(w)
	done := make(chan struct{})
	defer close(done)
	buffers := &sync.Pool{New: func() any { return new(bytes.Buffer) }}
	for result := range encodeFindings(fs, buffers, done) {
		chunk := <-result
		if chunk.err == nil {
			_, chunk.err = chunk.lines.WriteTo(w)
		}
		if chunk.err != nil {
			return fmt.Errorf("write findings: %w", chunk.err)
		}
		buffers.Put(chunk.lines)
	}
	return nil
}

// encodedFindings is an encoded chunk of findings, one JSON object per line.
type encodedFindings struct {
	lines *bytes.Buffer
	err   error
}

// encodeFindings encodes the findings on all cores until done is closed. Each channel that it sends yields one chunk; the
// channels come in the order of the findings, and encoding is at most GOMAXPROCS chunks ahead of the receiver. The caller
// returns the buffers to the pool.
func encodeFindings(fs []*schema.Finding, buffers *sync.Pool, done <-chan struct{}) <-chan chan encodedFindings {
	results := make(chan chan encodedFindings, runtime.GOMAXPROCS(0))
	go func() {
		defer close(results)
		for chunk := range slices.Chunk(fs, findingsChunk) {
			result := make(chan encodedFindings, 1)
			select {
			case results <- result:
			case <-done:
				return
			}
			go func() {
				lines := buffers.Get().(*bytes.Buffer)
				result <- encodedFindings{lines, encodeLines(lines, chunk)}
			}()
		}
	}()
	return results
}

// encodeLines writes one JSON object per line.
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

// replayCounts collects the engine's metrics for the summary.
type replayCounts struct {
	metrics  *engine.Metrics
	registry *prometheus.Registry
}

func newReplayCounts() *replayCounts {
	r := prometheus.NewRegistry()
	return &replayCounts{metrics: engine.NewMetrics(r), registry: r}
}

// skipped returns the number of skipped elements, by dataset and reason.
func (c *replayCounts) skipped() map[string]int {
	families, err := c.registry.Gather()
	if err != nil {
		return nil
	}
	counts := map[string]int{}
	for _, f := range families {
		if f.GetName() != "aidr_skipped_elements_total" {
			continue
		}
		for _, m := range f.GetMetric() {
			labels := map[string]string{}
			for _, l := range m.GetLabel() {
				labels[l.GetName()] = l.GetValue()
			}
			counts[labels["dataset"]+" "+labels["reason"]] = int(m.GetCounter().GetValue())
		}
	}
	return counts
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

// summary prints the counts of the run, and the number of findings of each rule.
func (c *replayCounts) summary(w io.Writer, fs []*schema.Finding, took time.Duration) {
	totals := c.totals()
	events := totals["aidr_events_total"]
	fmt.Fprintf(w, "aidr: %.0f records, %.0f events in %s (%.0f events/s), %d findings",
		totals["aidr_source_records_total"], events, took.Round(time.Millisecond), events/took.Seconds(), len(fs))
	for _, name := range []string{"aidr_dead_letters_total", "aidr_late_events_total", "aidr_field_errors_total"} {
		if n := totals[name]; n > 0 {
			fmt.Fprintf(w, ", %.0f %s", n, map[string]string{
				"aidr_dead_letters_total": "records not decoded (see aidr decode)",
				"aidr_late_events_total":  "late events (see --delay)",
				"aidr_field_errors_total": "field errors",
			}[name])
		}
	}
	fmt.Fprintln(w)
	if skipped := c.skipped(); len(skipped) > 0 {
		total, list := countsByName(skipped)
		fmt.Fprintf(w, "aidr: %d elements were passed over on purpose: %s\n", total, list)
	}
	if events == 0 {
		fmt.Fprintln(w, "aidr: no record gave an event, so no rule was tried: aidr decode --explain shows how each record is read")
	}
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
