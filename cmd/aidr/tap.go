package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/aidr-engine/aidr/cmd/aidr/pipeline"
	"github.com/aidr-engine/aidr/schema"
	"github.com/aidr-engine/aidr/schema/formats"
)

// errLimit ends a tap that has printed --limit events.
var errLimit = errors.New("limit reached")

func tapCommand() *cobra.Command {
	var file, from string
	var sources []string
	var limit int
	c := &cobra.Command{
		Use:   "tap --config FILE",
		Short: "Print the events of a configuration's sources, live",
		Long: `tap prints the events of the sources of a configuration, one JSON object per line, as aidr run would read them: with its
field maps, identities, aliases and enrichment, and redacted as in findings. It joins no consumer group, commits nothing and
needs no state directory, so it may run beside a running aidr. It ends after --limit events, or on an interrupt.

Kafka partitions are read from --from on: last (only new records), first, or a time. Files are read from their beginning.`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if from != "first" && from != "last" {
				if _, err := time.Parse(time.RFC3339, from); err != nil {
					return usage("--from %q: use first, last or a time like 2026-01-31T12:00:00Z", from)
				}
			}
			cfg, err := loadConfig(cmd, file)
			if err != nil {
				return err
			}
			log, err := newLogger(cmd.ErrOrStderr(), cfg.Log)
			if err != nil {
				return err
			}
			t := &tap{out: bufio.NewWriter(jsonTo(cmd.OutOrStdout())), limit: limit, reasons: map[string]int{}}
			opts := pipeline.TapOptions{Sources: sources, From: from, Log: log, Event: t.event, Dead: t.dead}
			err = pipeline.Tap(cmd.Context(), cfg, opts)
			t.summary(cmd.ErrOrStderr())
			if errors.Is(err, errLimit) {
				return nil
			}
			return err
		},
	}
	f := c.Flags()
	f.StringVar(&file, "config", "", "configuration file")
	f.StringArrayVar(&sources, "source", nil, "name of a source; may be repeated (default: all)")
	f.StringVar(&from, "from", "last", "start in Kafka partitions: first, last, or a time like 2026-01-31T12:00:00Z")
	f.IntVar(&limit, "limit", 0, "maximum number of events (default: no limit)")
	return c
}

// tap prints the events of pipeline.Tap.
type tap struct {
	out     *bufio.Writer
	line    []byte
	limit   int // 0: no limit
	events  int
	reasons map[string]int // dead letters by reason
}

// event prints one event. It flushes each event, because a user may be watching.
func (t *tap) event(_ string, e *schema.Event) error {
	t.line = append(formats.AppendEvent(t.line[:0], e, false), '\n')
	if _, err := t.out.Write(t.line); err != nil {
		return err
	}
	if err := t.out.Flush(); err != nil {
		return err
	}
	if t.events++; t.events == t.limit {
		return errLimit
	}
	return nil
}

func (t *tap) dead(_, reason string) { t.reasons[reason]++ }

// summary prints the number of dead letters by reason.
func (t *tap) summary(w io.Writer) {
	if len(t.reasons) == 0 {
		return
	}
	var parts []string
	for _, reason := range slices.Sorted(maps.Keys(t.reasons)) {
		parts = append(parts, fmt.Sprintf("%s %d", reason, t.reasons[reason]))
	}
	fmt.Fprintf(w, "aidr: %d events; records that could not be decoded: %s\n", t.events, strings.Join(parts, ", "))
}
