package main

import (
	"cmp"
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
	"github.com/aidr-engine/aidr/schema"
)

func responsesCommand() *cobra.Command {
	var w stateFlags
	c := &cobra.Command{Use: "responses", Short: "Read the ledger of responses", Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	w.flags(c)
	c.AddCommand(responsesListCommand(&w), responsesShowCommand(&w))
	return c
}

func responsesListCommand(w *stateFlags) *cobra.Command {
	filters := map[string]*string{}
	var limit int
	c := &cobra.Command{
		Use: "ls", Short: "List responses, the latest first", Args: args(cobra.NoArgs),
		Long: `ls lists the containments and proposals of the ledger, those that have ended included, as long as response.keep keeps them. All
flags must match.`,
		Example: `  aidr responses ls --stage failed
  aidr responses ls --agent invoice-bot --since 7d --json`,
	}
	for _, x := range [...][2]string{
		{"status", "proposed, active, released, expired or rejected"}, {"stage", "asked, enforced, verified or failed"},
		{"agent", "uid of the agent"}, {"rule", "id of the rule"}, {"since", "an instant, or a time back from now such as 2h"},
		{"until", "as --since, exclusive"},
	} {
		filters[x[0]] = c.Flags().String(x[0], "", x[1])
	}
	c.Flags().IntVar(&limit, "limit", 0, "maximum number (0: no limit)")
	c.RunE = w.with(func(ctx context.Context, cmd *cobra.Command, cl *api.Client, _ []string) error {
		v := url.Values{"limit": {strconv.Itoa(limit)}}
		for name, value := range filters {
			v.Set(name, *value)
		}
		out := cmd.OutOrStdout()
		if w.json {
			return printLines(ctx, out, cl, "/v1/responses", v)
		}
		t := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
		fmt.Fprintln(t, "ID\tSINCE\tSCOPE\tTARGET\tSTATE\tSTATUS\tPROOF\tDENIALS\tSUCCESSES\tBY")
		err := cl.Lines(ctx, "/v1/responses", v, func(line []byte) bool {
			var r schema.ResponseRecord
			if json.Unmarshal(line, &r) != nil {
				return false
			}
			fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s %s\t%s\t%s\t%d\t%d\t%s\n", r.ID, r.Since, r.Scope, plain(targetText(r.Target)), r.Mode, r.State,
				r.Status, r.Stage, r.Proof.Denials, r.Proof.Successes, plain(r.By))
			return true
		})
		if err != nil {
			return err
		}
		return t.Flush()
	})
	return c
}

func responsesShowCommand(w *stateFlags) *cobra.Command {
	c := &cobra.Command{
		Use: "show ID", Short: "Show one response: what it covers, its receipts, proof and history", Args: args(cobra.ExactArgs(1)),
	}
	c.RunE = w.with(func(ctx context.Context, cmd *cobra.Command, cl *api.Client, argv []string) error {
		var r schema.ResponseRecord
		if err := cl.Do(ctx, http.MethodGet, "/v1/responses/"+url.PathEscape(argv[0]), nil, &r); err != nil {
			return err
		}
		if w.json {
			return printJSON(cmd.OutOrStdout(), r, true)
		}
		return printResponse(cmd.OutOrStdout(), &r)
	})
	return c
}

// printResponse prints one entry of the ledger for people.
func printResponse(out io.Writer, r *schema.ResponseRecord) error {
	t := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	line := func(name, format string, values ...any) { fmt.Fprintf(t, name+"\t"+format+"\n", values...) }
	line("id", "%s", r.ID)
	line("target", "%s %s", r.Scope, plain(targetText(r.Target)))
	listLine(t, "aliases", r.Aliases)
	listLine(t, "credentials", r.Credentials)
	for _, s := range r.Spared {
		line("spares", "%s, which %d other agents use", plain(s.Credential), len(s.Agents))
	}
	state := string(r.State)
	if r.PerMinute > 0 {
		state += fmt.Sprintf(" at %d calls a minute", r.PerMinute)
	}
	line("state", "%s, %s, %s", r.Status, r.Mode, state)
	line("time", "%s to %s", r.Since, r.Until)
	line("by", "%s: %s", plain(r.By), plain(r.Reason))
	if r.Why != "" {
		line("because", "%s", plain(r.Why))
	}
	if !r.FindingID.IsZero() {
		line("finding", "%s of %s", r.FindingID, plain(cmp.Or(r.RuleID, "-")))
	}
	line("proof", "%s: %d denials, %d successes", r.Stage, r.Proof.Denials, r.Proof.Successes)
	for _, s := range r.Proof.Sources {
		line("", "%s %s %s: %d denials, %d successes", plain(s.Source), plain(s.Dataset), plain(s.Route), s.Denials, s.Successes)
	}
	for _, x := range r.Receipts {
		line("receipt", "%s: %d refused, %d allowed, last at %s", plain(cmp.Or(x.Point, "(unnamed)")), x.Refused, x.Allowed, x.Last)
	}
	for _, h := range r.History {
		line("history", "%s %s by %s: %s", h.Time, h.Action, plain(h.By), plain(h.Reason))
	}
	if !r.Status.Ended() {
		line("undo", "%s", r.Rollback)
	}
	return t.Flush()
}
