package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"runtime"
	"time"

	"github.com/spf13/cobra"

	"github.com/aidr-engine/aidr/cmd/aidr/pipeline"
	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/connectors/file"
	"github.com/aidr-engine/aidr/rules"
	"github.com/aidr-engine/aidr/schema"
	"github.com/aidr-engine/aidr/schema/decode"
)

func benchCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "bench",
		Short: "Measure how fast this machine matches your rules against your logs",
		Args:  knownCommand,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	c.AddCommand(benchMatchCommand(), benchRunCommand())
	return c
}

// benchResult is the output of `aidr bench match`. Its JSON names are a contract.
type benchResult struct {
	Events     int     `json:"events"`
	Bytes      int64   `json:"bytes"`
	Matches    int     `json:"matches"`
	Seconds    float64 `json:"seconds"`
	CPU        float64 `json:"cpu_seconds"`
	Cores      int     `json:"cores"`
	Candidates float64 `json:"candidates_per_event"`
}

func benchMatchCommand() *cobra.Command {
	var rulesDirs []string
	var lists, agents string
	var seconds time.Duration
	var from reading
	c := &cobra.Command{
		Use:   "match [flags] FILE...",
		Short: "Measure decoding and matching, without state and output",
		Long: `match reads the records of the files into memory, decodes each of them on one core and matches its events with the rules,
again and again for --time. It prints one JSON object:

  events                number of events decoded and matched
  bytes                 number of bytes of their records
  matches               number of pairs of an event and a rule that matches it
  seconds               duration, without the reading of files and rules and without the first pass
  cpu_seconds           time on the core, collecting garbage included; 0 if the system does not report it
  cores                 number of cores used
  candidates_per_event  number of conditions evaluated for an event; the index excludes the others

events / seconds is the speed of one core, events / cpu_seconds that of a core without other work. gzip and zstd files and directories are read too; "-" is standard input.

` + readingHelp,
		Args: args(cobra.MinimumNArgs(1)),
		RunE: func(cmd *cobra.Command, paths []string) error {
			if err := from.load(cmd); err != nil {
				return err
			}
			set, problems := pipeline.LoadRules(from.ruleFiles(rulesDirs, lists, agents))
			if set == nil { // warnings do not matter here
				printProblems(cmd.ErrOrStderr(), problems)
				return &exit{exitFailed, fmt.Errorf("cannot load the rules: see above")}
			}
			in, err := from.input(cmd)
			if err != nil {
				return err
			}
			in.Decode.Wanted, in.Decode.Aliases = set.Wanted(), set.Aliases()
			records, err := readRecords(cmd.Context(), paths, cmd.InOrStdin())
			if err != nil {
				return err
			}
			result, err := benchMatch(cmd.Context(), set, in.Decode, records, seconds)
			if err != nil {
				return err
			}
			return json.NewEncoder(cmd.OutOrStdout()).Encode(result)
		},
	}
	f := c.Flags()
	f.StringArrayVar(&rulesDirs, "rules", nil, "folder or file of rules; may be repeated (default: the shipped rules)")
	f.StringVar(&lists, "lists", "", "folder of lists (default: lists/ in the folder of rules)")
	f.StringVar(&agents, "agents", "", "registry of agents (default: agents.yaml in the folder of rules)")
	f.DurationVar(&seconds, "time", 3*time.Second, "least duration of the measurement; 0 measures a single pass, the first")
	from.flags(c)
	return c
}

// benchMatch decodes and matches the records until the duration is over. If there is a duration, it makes an unmeasured pass
// before, which fills the caches.
func benchMatch(ctx context.Context, set *pipeline.Set, o decode.Options, records []string, least time.Duration) (r benchResult, err error) {
	runtime.GOMAXPROCS(1)
	d, err := decode.New(o)
	if err != nil {
		return r, err
	}
	sc := set.NewScratch()
	var hits []rules.Hit
	h := decode.Handler{Event: func(e *schema.Event) {
		hits = set.Match(e, sc, hits[:0])
		r.Events++
		r.Matches += len(hits)
	}}
	pass := func() {
		for i, raw := range records {
			d.Decode(raw, decode.Meta{Pos: schema.Position{Topic: "bench", Offset: int64(i)}}, &h)
			r.Bytes += int64(len(raw))
		}
	}
	if least > 0 {
		pass()
	}
	r = benchResult{Cores: 1}
	before, began := sc.Candidates(), time.Now()
	cpu, _ := processUsage()
	for first := true; first || time.Since(began) < least; first = false {
		pass()
		if ctx.Err() != nil {
			return r, ctx.Err()
		}
	}
	r.Seconds = time.Since(began).Seconds()
	used, _ := processUsage()
	r.CPU = (used - cpu).Seconds()
	if r.Events == 0 {
		return r, errors.New("the files hold no events: `aidr decode --explain` shows how their records are read")
	}
	r.Candidates = float64(sc.Candidates()-before) / float64(r.Events)
	return r, nil
}

// recordReader keeps the records that a source reads.
type recordReader struct{ records []string }

// readRecords returns the records of the files.
func readRecords(ctx context.Context, paths []string, stdin io.Reader) ([]string, error) {
	files, err := file.List(paths, nil)
	if err != nil {
		return nil, err
	}
	var all recordReader
	for _, path := range files { // one after another: a source reads its files concurrently
		src, err := file.New(file.Config{Name: "bench", Paths: []string{path}, Stdin: stdin})
		if err != nil {
			return nil, err
		}
		if err := src.Run(ctx, &all); err != nil {
			return nil, err
		}
	}
	return all.records, nil
}

// Assigned implements connectors.Reader.
func (*recordReader) Assigned(connectors.Partition) (int64, bool) { return 0, false }

// Read implements connectors.Reader.
func (a *recordReader) Read(_ context.Context, b *connectors.Batch) error {
	for _, r := range b.Records {
		if !r.TooLarge {
			a.records = append(a.records, string([]byte(b.Raw[r.Start:r.End])))
		}
	}
	return nil
}

// Revoked implements connectors.Reader.
func (*recordReader) Revoked(context.Context, connectors.Partition) error { return nil }

// Standby implements connectors.Reader.
func (*recordReader) Standby(string, string) {}
