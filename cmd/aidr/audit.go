package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/aidr-engine/aidr/cmd/aidr/api"
	"github.com/aidr-engine/aidr/engine/store"
)

func auditCommand() *cobra.Command {
	var w stateFlags
	c := &cobra.Command{
		Use: "audit", Short: "List and verify the audit: every change by people, programs and automation", Args: args(cobra.NoArgs),
		Long: `audit shows who changed what, when and why: rules, exceptions and configuration, containments, tokens, triage, State, dead letters; and
requests to the control API that were refused. Each entry holds the SHA-256 of the one before, so that an entry that is changed, removed
or inserted breaks the chain.`,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	w.flags(c)
	c.AddCommand(auditListCommand(&w), auditVerifyCommand(&w))
	return c
}

func auditListCommand(w *stateFlags) *cobra.Command {
	var class, who, action, object, since, until string
	var limit int
	c := &cobra.Command{
		Use: "ls", Short: "List entries, the oldest first", Args: args(cobra.NoArgs),
		Example: `  aidr audit ls --since 7d --class containment
  aidr audit ls --who token:soar --json`,
	}
	f := c.Flags()
	f.StringVar(&class, "class", "", "only this class: state, containment, token, triage, rules, exception, configuration, delivery, access")
	f.StringVar(&who, "who", "", "only changes by this person, token or rule")
	f.StringVar(&action, "action", "", "only this action")
	f.StringVar(&object, "object", "", "only changes of the thing with this id")
	f.StringVar(&since, "since", "", "only changes at or after this instant, or this long ago (2h, 7d)")
	f.StringVar(&until, "until", "", "only changes before this instant, or this long ago")
	f.IntVar(&limit, "limit", 100, "the latest entries, at most so many (0: no limit)")
	c.RunE = w.with(func(ctx context.Context, cmd *cobra.Command, cl *api.Client, _ []string) error {
		q := url.Values{"limit": {strconv.Itoa(limit)}}
		for name, value := range map[string]string{"class": class, "who": who, "action": action, "object": object, "since": since, "until": until} {
			if value != "" {
				q.Set(name, value)
			}
		}
		out := cmd.OutOrStdout()
		if w.json {
			return printLines(ctx, out, cl, "/v1/audit", q)
		}
		t := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
		fmt.Fprintln(t, "SEQ\tTIME\tWHO\tACTION\tOBJECT\tREASON")
		err := cl.Lines(ctx, "/v1/audit", q, func(line []byte) bool {
			var a store.AuditEntry
			if json.Unmarshal(line, &a) != nil {
				return false
			}
			fmt.Fprintf(t, "%d\t%s\t%s\t%s\t%s\t%s\n", a.Seq, a.Time, plain(a.Who), plain(a.Action), plain(cmp.Or(a.Object, a.Rule, "-")), plainLine(a.Reason))
			return true
		})
		if err != nil {
			return err
		}
		return t.Flush()
	})
	return c
}

func auditVerifyCommand(w *stateFlags) *cobra.Command {
	var known []string
	c := &cobra.Command{
		Use: "verify", Short: "Check the chain, and name the first broken entry", Args: args(cobra.NoArgs),
		Long: `verify checks every entry of the audit, and prints the head: the number and the hash of the last entry. Note the head elsewhere, and give it
with --known later: somebody who can write the state directory can compute a new chain, but not one with the same head. The table
v_audit in ClickHouse has the hashes too (prev). The exit code is 1 if the chain is broken.`,
		Example: `  aidr audit verify
  aidr audit verify --known 4711:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef`,
		PreRunE: func(*cobra.Command, []string) error {
			for _, k := range known {
				if _, err := api.ParseHead(k); err != nil {
					return usage("--%v", err)
				}
			}
			return nil
		},
	}
	c.Flags().StringSliceVar(&known, "known", nil, "SEQ:HASH of an entry that was noted earlier")
	c.RunE = w.with(func(ctx context.Context, cmd *cobra.Command, cl *api.Client, _ []string) error {
		var r store.AuditReport
		if err := cl.Do(ctx, http.MethodGet, "/v1/audit/verify", url.Values{"known": known}, &r); err != nil {
			return err
		}
		if w.json {
			if err := printJSON(cmd.OutOrStdout(), r, true); err != nil {
				return err
			}
			return api.Broken(&r)
		}
		if err := api.Broken(&r); err != nil {
			return err
		}
		cmd.Printf("%d entries, the chain is whole; head %d:%s\n", r.Entries, r.Head.Seq, cmp.Or(r.Head.Hash, "-"))
		return nil
	})
	return c
}
