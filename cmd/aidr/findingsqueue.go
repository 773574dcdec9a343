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

func findingsQueueCommand(w *stateFlags) *cobra.Command {
	var q findingQuery
	c := &cobra.Command{
		Use: "queue", Short: "Show what waits, grouped by agent, then by rule", Args: args(cobra.NoArgs),
		Long: `queue groups the latest 5,000 findings that match, of the last 7 days unless --since is given: by agent, then by rule, the highest
severity first. Closed findings are left out unless they go on, or --triage names them. UNSEEN counts those that nobody has
acknowledged. The console shows the same.`,
		Example: "  aidr findings queue --severity high --since 24h",
	}
	q.flags(c)
	c.RunE = w.with(func(ctx context.Context, cmd *cobra.Command, cl *api.Client, _ []string) error {
		var queue api.Queue
		if err := cl.Do(ctx, http.MethodGet, "/v1/findings/queue", q.values(), &queue); err != nil {
			return err
		}
		if w.json {
			return printJSON(cmd.OutOrStdout(), queue, true)
		}
		return printQueue(cmd.OutOrStdout(), &queue)
	})
	return c
}

func printQueue(out io.Writer, q *api.Queue) error {
	fmt.Fprintf(out, "%d findings from %s to %s\n", q.Findings, q.Since, q.Until)
	if q.Truncated {
		fmt.Fprintln(out, "older findings match too: narrow the filter to see them")
	}
	t := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	fmt.Fprintln(t, "AGENT\tSEVERITY\tRULE\tFINDINGS\tUNSEEN\tOPEN\tEVENTS\tLAST SEEN\tLATEST")
	for i := range q.Agents {
		a := &q.Agents[i]
		name := a.AgentName
		if name == "" {
			name = a.AgentUID
		}
		for _, r := range a.Rules {
			fmt.Fprintf(t, "%s\t%s\t%s\t%d\t%d\t%d\t%d\t%s\t%s\n", plain(name), r.Severity, plain(r.RuleID), r.Findings, r.Unseen, r.Open, r.Events, r.LastSeen, r.IDs[0])
		}
	}
	return t.Flush()
}
