package main

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/aidr-engine/aidr/cmd/aidr/pipeline"
	"github.com/aidr-engine/aidr/schema"
)

// coverage counts the events that lack facts, by source and dataset.
type coverage struct {
	rows  map[[2]string]*coverageRow
	limit int // of events, 0: no limit
	total int
	dead  int // records that could not be decoded
}

// coverageRow counts the events of one dataset of a source.
type coverageRow struct {
	events          int
	should, without [schema.NumNeeds]int
}

func newCoverage(limit int) *coverage {
	return &coverage{rows: map[[2]string]*coverageRow{}, limit: limit}
}

// add counts an event. It returns errLimit after the last one that is wanted.
func (c *coverage) add(source string, e *schema.Event) error {
	key := [2]string{source, e.Text(schema.EventDataset)}
	row := c.rows[key]
	if row == nil {
		row = &coverageRow{}
		c.rows[key] = row
	}
	row.events++
	should, lacks := schema.NeedsOf(e)
	for _, n := range schema.Needs() {
		if should.Has(n) {
			row.should[n]++
		}
		if lacks.Has(n) {
			row.without[n]++
		}
	}
	if c.total++; c.total == c.limit {
		return errLimit
	}
	return nil
}

// keys returns the sources and datasets, sorted.
func (c *coverage) keys() [][2]string {
	return slices.SortedFunc(maps.Keys(c.rows), func(a, b [2]string) int { return cmp.Or(cmp.Compare(a[0], b[0]), cmp.Compare(a[1], b[1])) })
}

// table prints the shares in percent. A share over 0 is at least 1.
func (c *coverage) table(out io.Writer) error {
	t := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	fmt.Fprint(t, "SOURCE\tDATASET\tEVENTS")
	for _, n := range schema.Needs() {
		fmt.Fprintf(t, "\tNO %s", upper(n.String()))
	}
	fmt.Fprintln(t)
	for _, key := range c.keys() {
		row := c.rows[key]
		fmt.Fprintf(t, "%s\t%s\t%d", plain(key[0]), plain(key[1]), row.events)
		for i := range row.should {
			if row.should[i] == 0 {
				fmt.Fprint(t, "\t-")
			} else {
				fmt.Fprintf(t, "\t%.0f %%", math.Ceil(100*float64(row.without[i])/float64(row.should[i])))
			}
		}
		fmt.Fprintln(t)
	}
	return t.Flush()
}

// upper returns an ASCII word in upper case.
func upper(word string) string {
	b := []byte(word)
	for i := range b {
		b[i] -= 'a' - 'A'
	}
	return string(b)
}

// coverageLine is a line of --json. Its JSON names are a contract.
type coverageLine struct {
	Source  string              `json:"source"`
	Dataset string              `json:"dataset"`
	Events  int                 `json:"events"`
	Without map[string]*float64 `json:"without"` // share from 0 to 1 by need; null if no event should carry it
}

func (c *coverage) lines(out io.Writer) error {
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	for _, key := range c.keys() {
		row := c.rows[key]
		line := coverageLine{key[0], key[1], row.events, map[string]*float64{}}
		for _, n := range schema.Needs() {
			line.Without[n.String()] = nil
			if row.should[n] > 0 {
				share := float64(row.without[n]) / float64(row.should[n])
				line.Without[n.String()] = &share
			}
		}
		if err := enc.Encode(line); err != nil {
			return err
		}
	}
	return nil
}

func coverageCommand() *cobra.Command {
	var from reading
	var asJSON bool
	var limit int
	var most time.Duration
	c := &cobra.Command{
		Use:   "coverage [flags] [FILE...]",
		Short: "Report which facts the events of each source lack, so that producers see what to switch on",
		Long: `coverage prints, for each source and dataset, the share of the events without an agent, a session, a tool, arguments, a
result and an outcome. Arguments are counted for events that a call was made in, results for those that one came back in, and
"-" means that there were none. The page of each format has what its producer has to switch on.

With --config alone it reads the configuration's sources as aidr tap does, Kafka from the first record on, until --limit events
or for --for; it joins no consumer group and commits nothing. With files it reads these.

` + readingHelp,
		RunE: func(cmd *cobra.Command, paths []string) error {
			cov := newCoverage(limit)
			var err error
			switch {
			case len(paths) > 0:
				err = cov.files(cmd, &from, paths)
			case from.config == "":
				return usage("name files to read, or a configuration with --config")
			default:
				err = cov.sources(cmd, &from, most)
			}
			if err != nil && !errors.Is(err, errLimit) {
				return err
			}
			if cov.total == 0 {
				fmt.Fprintln(cmd.ErrOrStderr(), "aidr: 0 events: nothing was read that is an activity")
			}
			if cov.dead > 0 {
				fmt.Fprintf(cmd.ErrOrStderr(), "aidr: %d records could not be decoded: aidr decode --explain shows why\n", cov.dead)
			}
			if asJSON {
				return cov.lines(jsonTo(cmd.OutOrStdout()))
			}
			return cov.table(cmd.OutOrStdout())
		},
	}
	from.flags(c)
	f := c.Flags()
	f.BoolVar(&asJSON, "json", false, "print JSON, one object per source and dataset")
	f.IntVar(&limit, "limit", 100_000, "maximum number of events (0: no limit)")
	f.DurationVar(&most, "for", 30*time.Second, "how long the sources of --config are read")
	return c
}

// files counts the events of files.
func (c *coverage) files(cmd *cobra.Command, from *reading, paths []string) (err error) {
	c.dead, err = readEvents(cmd, from, paths, c.add)
	return err
}

// sources counts the events of the sources of a configuration.
func (c *coverage) sources(cmd *cobra.Command, from *reading, most time.Duration) (err error) {
	c.dead, err = tapEvents(cmd, from, most, c.add)
	return err
}

// readEvents calls yield with each event of files, with the source as which they are read, until it returns an error. dead is the
// number of records that could not be decoded.
func readEvents(cmd *cobra.Command, from *reading, paths []string, yield func(source string, e *schema.Event) error) (dead int, err error) {
	opts, err := decodeOptions(cmd, from)
	if err != nil {
		return 0, err
	}
	d, err := newDecodePrinter(bufio.NewWriter(io.Discard), opts, false)
	if err != nil {
		return 0, err
	}
	source := cmp.Or(from.from.Name, "files")
	d.handler.Event = func(e *schema.Event) {
		if d.err == nil {
			d.err = yield(source, e)
		}
	}
	err = d.files(cmd.Context(), paths, cmd.InOrStdin())
	for _, n := range d.reasons {
		dead += n
	}
	return dead, err
}

// tapEvents is readEvents for the sources of a configuration, which it reads for a time.
func tapEvents(cmd *cobra.Command, from *reading, most time.Duration, yield func(source string, e *schema.Event) error) (dead int, err error) {
	cfg, err := loadConfig(cmd, from.config)
	if err != nil {
		return 0, err
	}
	log, err := newLogger(cmd.ErrOrStderr(), cfg.Log)
	if err != nil {
		return 0, err
	}
	cfg.Redact = nil // no event is printed, and a field that is dropped from findings is not one that the producer lacks
	opts := pipeline.TapOptions{From: "first", Log: log, Event: yield, Dead: func(string, string) { dead++ }}
	if from.source != "" {
		opts.Sources = []string{from.source}
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), most)
	defer cancel()
	err = pipeline.Tap(ctx, cfg, opts)
	if errors.Is(err, context.DeadlineExceeded) {
		return dead, nil
	}
	return dead, err
}
