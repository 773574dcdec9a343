package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/aidr-engine/aidr/cmd/aidr/api"
	"github.com/aidr-engine/aidr/engine"
)

func rulesTopCommand() *cobra.Command {
	var w stateFlags
	by, most := api.TopCPU, 20
	c := &cobra.Command{
		Use: "top", Short: "List the rules of a running aidr that cost the most", Args: args(cobra.NoArgs),
		Long: `top lists the rules of a running aidr by their cost since its start or its last reload:

  CPU         time of their conditions and of their memory, and its share of the time of all stages
  CANDIDATES  events for which the index left their conditions to be evaluated
  HITS        events on which the conditions held
  ERRORS      events on which they could not be evaluated
  STATE       bytes of State at the last checkpoint; only with --by state, which reads all of it

CPU and CANDIDATES are estimates: one event in 64 is measured. A rule with far more candidates than hits lacks a selective
condition: see its witness in aidr rules check.`,
	}
	c.RunE = w.with(func(ctx context.Context, cmd *cobra.Command, cl *api.Client, _ []string) error {
		out := cmd.OutOrStdout()
		var l engine.Ledger
		query := url.Values{"by": {by}, "limit": {strconv.Itoa(most)}}
		if err := cl.Do(ctx, http.MethodGet, "/v1/rules/top", query, &l); err != nil {
			return err
		}
		if w.json {
			return json.NewEncoder(out).Encode(l)
		}
		fmt.Fprintf(out, "%d events in %v; %v of CPU, %v of it for finding the rules that match\n", l.Events, shortTime(l.Seconds),
			shortTime(l.Busy), shortTime(l.Match))
		t := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
		fmt.Fprintln(t, "RULE\tKIND\tCPU\tSHARE\tCANDIDATES\tHITS\tERRORS\tSTATE")
		for i := range l.Rules {
			r := &l.Rules[i]
			state := "-"
			if by == api.TopState {
				state = strconv.FormatInt(r.StateBytes, 10)
			}
			share := 0.0
			if l.Busy > 0 {
				share = 100 * r.CPU() / l.Busy
			}
			fmt.Fprintf(t, "%s\t%s\t%v\t%.1f %%\t%d\t%d\t%d\t%s\n", r.Rule, r.Kind, shortTime(r.CPU()), share, r.Candidates, r.Hits, r.Errors, state)
		}
		return t.Flush()
	})
	w.flags(c)
	c.Flags().StringVar(&by, "by", by, "order: "+strings.Join(api.TopOrders(), ", "))
	c.Flags().IntVarP(&most, "limit", "n", most, "number of rules; 0: all")
	return c
}

// shortTime returns a time in seconds with at most three digits after the point of its unit.
func shortTime(seconds float64) time.Duration {
	d := time.Duration(seconds * float64(time.Second))
	switch {
	case d > time.Minute:
		return d.Round(time.Second)
	case d > time.Second:
		return d.Round(time.Millisecond)
	}
	return d.Round(time.Microsecond)
}
