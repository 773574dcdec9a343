package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/aidr-engine/aidr/cmd/aidr/api"
)

func findingsReportCommand(w *stateFlags) *cobra.Command {
	var q findingQuery
	c := &cobra.Command{
		Use: "report", Short: "Report a shift: what fired, what was done, precision per rule", Args: args(cobra.NoArgs),
		Long: `report counts the findings whose group begins within a time, by default the last 12 hours, by rule and by group key, with the
verdicts of people and the entries of the audit of that time. PRECISION is the share of true positives among the findings that
people closed as true_positive, false_positive or benign. The console shows the same.`,
		Example: "  aidr findings report --since 8h\n  aidr findings report --since 2026-01-31T06:00:00Z --until 2026-01-31T14:00:00Z",
	}
	q.flags(c)
	c.RunE = w.with(func(ctx context.Context, cmd *cobra.Command, cl *api.Client, _ []string) error {
		var r api.Report
		if err := cl.Do(ctx, http.MethodGet, "/v1/findings/report", q.values(), &r); err != nil {
			return err
		}
		if w.json {
			return printJSON(cmd.OutOrStdout(), r, true)
		}
		return printReport(cmd.OutOrStdout(), &r)
	})
	return c
}

func printReport(out io.Writer, r *api.Report) error {
	fmt.Fprintf(out, "%d findings from %s to %s: %d unseen, %d acknowledged, %d true positives, %d false positives, %d benign, %d tests, %d withdrawn\n",
		r.Findings, r.Since, r.Until, r.Unseen, r.Acknowledged, r.TruePositives, r.FalsePositives, r.Benign, r.Tests, r.Withdrawn)
	if r.Truncated {
		fmt.Fprintln(out, "there are more than this report counts: shorten its time")
	}
	t := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	fmt.Fprintln(t, "\nRULE\tSEVERITY\tFINDINGS\tAGENTS\tEVENTS\tUNSEEN\tTRUE\tFALSE\tBENIGN\tPRECISION")
	for i := range r.Rules {
		x := &r.Rules[i]
		precision := "-"
		if x.Share != nil {
			precision = fmt.Sprintf("%.0f %%", 100**x.Share)
		}
		fmt.Fprintf(t, "%s\t%s\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%s\n", plain(x.RuleID), x.Severity, x.Findings, x.Agents, x.Events, x.Unseen, x.TruePositives, x.FalsePositives,
			x.Benign, precision)
	}
	fmt.Fprintln(t, "\nKEY\tRULE\tFINDINGS\tEVENTS")
	for _, x := range r.Keys {
		fmt.Fprintf(t, "%s\t%s\t%d\t%d\n", plain(keyText(x.Key)), plain(x.RuleID), x.Findings, x.Events)
	}
	fmt.Fprintln(t, "\nCLASS\tACTION\tWHO\tTIMES\tLAST")
	for _, x := range r.Actions {
		fmt.Fprintf(t, "%s\t%s\t%s\t%d\t%s\n", x.Class, plain(x.Action), plain(x.Who), x.Count, x.Last)
	}
	return t.Flush()
}
