package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/aidr-engine/aidr/cmd/aidr/api"
	"github.com/aidr-engine/aidr/engine/store"
)

func dlqCommand() *cobra.Command {
	var w stateFlags
	c := &cobra.Command{Use: "dlq", Short: "List, show, replay and drop dead letters", Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	w.flags(c)
	c.AddCommand(dlqListCommand(&w),
		&cobra.Command{Use: "show NUMBER", Short: "Show one dead letter with its body", Args: args(cobra.ExactArgs(1)),
			RunE: w.with(func(ctx context.Context, cmd *cobra.Command, c *api.Client, argv []string) error {
				var l store.DeadLetter
				if err := c.Do(ctx, http.MethodGet, "/v1/dead-letters/"+url.PathEscape(argv[0]), nil, &l); err != nil {
					return err
				}
				return printJSON(cmd.OutOrStdout(), &l, w.json)
			})},
		dlqActCommand(&w, dlqAction{
			name: "replay", done: "replayed", method: http.MethodPost, one: "/replay", all: "/replay",
			short: "Submit dead letters again: records to the engine, rows and deliveries to their sinks",
		}),
		dlqActCommand(&w, dlqAction{name: "drop", done: "dropped", method: http.MethodDelete, short: "Delete dead letters"}))
	return c
}

// deadQuery holds the flags that select dead letters.
type deadQuery struct{ kind, reason, sink, since, until string }

func (q *deadQuery) flags(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&q.kind, "kind", "", "only record, row or delivery")
	f.StringVar(&q.reason, "reason", "", "only this reason")
	f.StringVar(&q.sink, "sink", "", "only this sink")
	f.StringVar(&q.since, "since", "", "only those made at or after this instant, or this long ago (2h, 7d)")
	f.StringVar(&q.until, "until", "", "only those made before this instant, or more than this long ago")
}

// values returns the query of the control API; it has only the flags that were given.
func (q *deadQuery) values() url.Values {
	v := url.Values{}
	for name, s := range map[string]string{"kind": q.kind, "reason": q.reason, "sink": q.sink, "since": q.since, "until": q.until} {
		if s != "" {
			v.Set(name, s)
		}
	}
	return v
}

func dlqListCommand(w *stateFlags) *cobra.Command {
	var q deadQuery
	var limit int
	var body bool
	c := &cobra.Command{Use: "ls", Short: "List dead letters, the oldest first", Args: args(cobra.NoArgs)}
	q.flags(c)
	c.Flags().IntVar(&limit, "limit", 0, "maximum number of dead letters (0: no limit)")
	c.Flags().BoolVar(&body, "body", false, "with --json: the bodies too")
	c.RunE = w.with(func(ctx context.Context, cmd *cobra.Command, cl *api.Client, _ []string) error {
		v := q.values()
		v.Set("limit", strconv.Itoa(limit))
		if body {
			v.Set("body", "1")
		}
		out := cmd.OutOrStdout()
		if w.json {
			return printLines(ctx, out, cl, "/v1/dead-letters", v)
		}
		t := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
		fmt.Fprintln(t, "NUMBER\tTIME\tKIND\tREASON\tWHERE\tDETAIL")
		err := cl.Lines(ctx, "/v1/dead-letters", v, func(line []byte) bool {
			var l store.DeadLetter
			if json.Unmarshal(line, &l) != nil {
				return false
			}
			place := fmt.Sprintf("%s/%d/%d", l.Topic, l.Partition, l.Offset)
			if l.Sink != "" {
				place = l.Sink
			}
			fmt.Fprintf(t, "%d\t%s\t%s\t%s\t%s\t%s\n", l.Seq, l.Time, l.Kind, l.Reason, plain(place), plain(l.Detail))
			return true
		})
		if err != nil {
			return err
		}
		return t.Flush()
	})
	return c
}

// dlqAction is something that is done to dead letters.
type dlqAction struct {
	name, done, short string
	method            string
	one, all          string // ends of the paths of the API: for one dead letter, for a selection
}

func dlqActCommand(w *stateFlags, a dlqAction) *cobra.Command {
	var q deadQuery
	var all, dryRun bool
	c := &cobra.Command{
		Use: a.name + " NUMBER... | --kind K --sink S --reason R --since T --until T | --all", Short: a.short,
		Long: a.short + `.

Name dead letters by their numbers, or select them with flags, all of which must match. --dry-run prints what would be
selected, counted by kind, sink and reason, and changes nothing.`,
	}
	q.flags(c)
	c.Flags().BoolVar(&all, "all", false, "select all dead letters")
	c.Flags().BoolVar(&dryRun, "dry-run", false, "count only")
	c.RunE = func(cmd *cobra.Command, argv []string) error {
		v := q.values()
		if all {
			v.Set("all", "1")
		}
		switch {
		case len(argv) == 0 && len(v) == 0:
			return usage("name dead letters by number, or select them with --kind, --sink, --reason, --since, --until or --all")
		case len(argv) > 0 && (len(v) > 0 || dryRun):
			return usage("give either numbers or flags that select dead letters")
		case len(argv) > 0:
			return w.with(a.onNumbers(w))(cmd, argv)
		}
		if dryRun {
			v.Set("dry_run", "1")
		}
		return w.with(func(ctx context.Context, cmd *cobra.Command, cl *api.Client, _ []string) error {
			var s api.Selected
			if err := cl.Do(ctx, a.method, "/v1/dead-letters"+a.all, v, &s); err != nil {
				return err
			}
			var err error
			if w.json {
				err = printJSON(cmd.OutOrStdout(), s, true)
			} else {
				err = a.print(cmd.OutOrStdout(), s)
			}
			if err == nil && s.Failed > 0 {
				return &exit{code: exitFailed}
			}
			return err
		})(cmd, argv)
	}
	return c
}

// onNumbers returns a request that acts on each of the given numbers.
func (a dlqAction) onNumbers(w *stateFlags) request {
	return func(ctx context.Context, cmd *cobra.Command, c *api.Client, argv []string) error {
		for _, n := range argv {
			var r api.Replayed
			if err := c.Do(ctx, a.method, "/v1/dead-letters/"+url.PathEscape(n)+a.one, nil, &r); err != nil {
				return err
			}
			if !w.json {
				cmd.Printf("%d: %s\n", r.Seq, r.Result)
			} else if err := printJSON(cmd.OutOrStdout(), r, true); err != nil {
				return err
			}
		}
		return nil
	}
}

// print prints the counts of a selection.
func (a dlqAction) print(out io.Writer, s api.Selected) error {
	if s.DryRun {
		fmt.Fprintf(out, "%d dead letters would be %s\n", s.Matched, a.done)
	} else {
		fmt.Fprintf(out, "%d of %d dead letters %s, %d failed\n", s.Done, s.Matched, a.done, s.Failed)
	}
	for _, text := range s.Errors {
		fmt.Fprintf(out, "  %s\n", plain(text))
	}
	if len(s.Groups) == 0 {
		return nil
	}
	t := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	fmt.Fprintln(t, "KIND\tSINK\tREASON\tSELECTED")
	for _, g := range s.Groups {
		sink := g.Sink
		if sink == "" {
			sink = "-"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%d\n", g.Kind, plain(sink), plain(g.Reason), g.Count)
	}
	return t.Flush()
}
