package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/aidr-engine/aidr/cmd/aidr/api"
	"github.com/aidr-engine/aidr/cmd/aidr/pipeline"
	"github.com/aidr-engine/aidr/connectors/clickhouse"
	"github.com/aidr-engine/aidr/engine/store"
)

func privacyCommand() *cobra.Command {
	c := &cobra.Command{Use: "privacy", Short: "Delete what is kept about an agent, or a text", Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	c.AddCommand(privacyDeleteCommand())
	return c
}

// deleted is the output of `aidr privacy delete --json`.
type deleted struct {
	store.Erased
	ClickHouse []clickhouse.ErasedRows `json:"clickhouse,omitempty"`
	DryRun     bool                    `json:"dry_run"`
}

func privacyDeleteCommand() *cobra.Command {
	var w stateFlags
	var e api.EraseRequest
	c := &cobra.Command{
		Use: "delete (--agent UID | --text-sha256 HEX) --reason TEXT", Short: "Delete the findings and rows of an agent, or with a text", Args: args(cobra.NoArgs),
		Long: `delete removes what AIDR keeps about a subject: with --agent the settled and withdrawn findings of an agent with their evidence,
their triage, and the dead letters of rows and deliveries about it; with --text-sha256 the findings whose evidence holds a text, by
the SHA-256 of the whole text, so that nobody has to write the text itself. With --config it also deletes from the ClickHouse of the
configuration: the findings, and of an agent its inventory and activity. The text is found as it was kept, that is redacted and cut
at 16 KiB.

Open findings still change and are not deleted: the output counts them; run delete again after they have settled. The ledger of
responses and the audit stay, as the record of what was done; so do topics, webhooks and SIEMs that have got the findings.
Who deleted what, when and why is in the audit (aidr state audit), without the text.`,
		Example: `  aidr privacy delete --agent invoice-bot --dry-run --config aidr.yaml
  aidr privacy delete --text-sha256 "$(printf %s "$TEXT" | sha256sum | cut -c1-64)" --reason 'request 4711' --config aidr.yaml`,
		PreRunE: func(*cobra.Command, []string) error {
			if err := e.Check(); err != nil {
				return usage("%v", err)
			}
			return nil
		},
	}
	w.flags(c)
	c.Flags().StringVar(&e.Agent, "agent", "", "uid of the agent (ai_agent.uid)")
	c.Flags().StringVar(&e.Tenant, "tenant", "", "tenant of the agent")
	c.Flags().StringVar(&e.TextHash, "text-sha256", "", "SHA-256 of a text, 64 hex digits")
	c.Flags().StringVar(&e.Reason, "reason", "", "why, for the audit")
	c.Flags().BoolVar(&e.DryRun, "dry-run", false, "count, and delete nothing")
	c.RunE = w.with(func(ctx context.Context, cmd *cobra.Command, cl *api.Client, _ []string) error {
		out := deleted{DryRun: e.DryRun}
		if err := post(ctx, cl, "/v1/privacy/erase", e, &out.Erased); err != nil {
			return err
		}
		err := eraseRows(ctx, cmd, w.config, e, &out)
		if w.json {
			return errors.Join(printJSON(cmd.OutOrStdout(), out, true), err)
		}
		verb := "deleted"
		if e.DryRun {
			verb = "would delete"
		}
		cmd.Printf("%s %d findings and %d dead letters in the state directory\n", verb, out.Findings, out.DeadLetters)
		if out.Open > 0 {
			cmd.Printf("%d findings are open and stay: run it again after they have settled\n", out.Open)
		}
		for _, t := range out.ClickHouse {
			cmd.Printf("%s %d rows of %s in ClickHouse\n", verb, t.Rows, t.Table)
		}
		return err
	})
	return c
}

// eraseRows deletes the rows of the subject in the ClickHouse of a configuration, if there is one.
func eraseRows(ctx context.Context, cmd *cobra.Command, file string, e api.EraseRequest, out *deleted) error {
	if file == "" {
		return nil
	}
	cfg, err := loadConfig(cmd, file)
	if err != nil || cfg.Sinks.ClickHouse == nil {
		return err
	}
	sink, err := clickhouse.New(pipeline.ClickHouseConfig(cfg.Sinks.ClickHouse))
	if err != nil {
		return err
	}
	defer sink.Close()
	out.ClickHouse, err = sink.Erase(ctx, clickhouse.Erasure{Tenant: e.Tenant, Agent: e.Agent, TextHash: e.TextHash}, e.DryRun)
	return err
}
