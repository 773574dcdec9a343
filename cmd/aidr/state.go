package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/aidr-engine/aidr/cmd/aidr/api"
	"github.com/aidr-engine/aidr/cmd/aidr/pipeline"
	"github.com/aidr-engine/aidr/engine"
	"github.com/aidr-engine/aidr/engine/store"
)

func stateCommand() *cobra.Command {
	var w stateFlags
	c := &cobra.Command{Use: "state", Short: "Inspect, export and clear the State of rules; back up and restore the state directory", Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	w.flags(c)
	c.AddCommand(stateListCommand(&w), stateGetCommand(&w), stateExportCommand(&w), stateClearCommand(&w), stateAuditCommand(&w),
		stateBackupCommand(&w), stateBackupsCommand(), stateVerifyCommand(), stateRestoreCommand())
	return c
}

// export returns the function that exports the State of a store that no process has open, with the rules of --config.
func (w *stateFlags) export(cmd *cobra.Command) func(*store.Store, string, func(*engine.KeyLine) bool) error {
	if w.config == "" {
		return nil
	}
	return func(s *store.Store, rule string, yield func(*engine.KeyLine) bool) error {
		cfg, err := loadConfig(cmd, w.config)
		if err != nil {
			return err
		}
		files := pipeline.RuleFiles{}
		files.UseConfig(cfg)
		set, err := loadSet(cmd, files)
		if err != nil {
			return err
		}
		return engine.ExportState(s, set, rule, yield)
	}
}

// stateKey holds the flags that name one group key of a rule.
type stateKey struct {
	rule string
	keys []string
}

func (k *stateKey) flags(c *cobra.Command) {
	c.Flags().StringVar(&k.rule, "rule", "", "id of the rule")
	c.Flags().StringArrayVar(&k.keys, "key", nil, "FIELD=VALUE of the group key; may be repeated")
}

// query returns the rule and the key as the API takes them.
func (k *stateKey) query() (url.Values, error) {
	text, err := keyJSON(k.keys)
	return url.Values{"rule": {k.rule}, "key": {text}}, err
}

// check is the PreRunE of a command that needs a rule.
func (k *stateKey) check(*cobra.Command, []string) error {
	if k.rule == "" {
		return usage("--rule is missing: use an id of aidr rules ls")
	}
	return nil
}

func stateListCommand(w *stateFlags) *cobra.Command {
	c := &cobra.Command{
		Use: "ls", Short: "List the rules that have State, with the number of keys and bytes", Args: args(cobra.NoArgs),
		Long: `ls lists the rules that have State in the state directory: the number of group keys (cells), of keys, and the bytes of their
State. It shows the last checkpoint of a running aidr, and the State directory of one that is stopped. Events above the
watermark are not part of it. Rules that were removed stay in the list until their State is deleted, an hour of event time later.`,
	}
	c.RunE = w.with(func(ctx context.Context, cmd *cobra.Command, cl *api.Client, _ []string) error {
		out := cmd.OutOrStdout()
		if w.json {
			return printLines(ctx, out, cl, "/v1/state/rules", nil)
		}
		t := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
		fmt.Fprintln(t, "RULE\tCELLS\tKEYS\tBYTES")
		err := cl.Lines(ctx, "/v1/state/rules", nil, func(line []byte) bool {
			var r engine.RuleState
			if json.Unmarshal(line, &r) != nil {
				return false
			}
			fmt.Fprintf(t, "%s\t%d\t%d\t%d\n", plain(r.Rule), r.Cells, r.Keys, r.Bytes)
			return true
		})
		if err != nil {
			return err
		}
		return t.Flush()
	})
	return c
}

func stateGetCommand(w *stateFlags) *cobra.Command {
	var k stateKey
	c := &cobra.Command{
		Use: "get --rule ID --key FIELD=VALUE...", Short: "Show the State of one rule and group key", Args: args(cobra.NoArgs), PreRunE: k.check,
		Long: `get shows the State that a rule of a running aidr keeps for one group: its watermark, the number of pending events (earlier
events may still arrive before them), its open findings, and for each key the number of counted events or values and the
start of the count. Give --key for each field of the rule's group.by, such as --key ai_agent.uid=billing, and for tenant if
the source has one.`,
		RunE: w.with(func(ctx context.Context, cmd *cobra.Command, c *api.Client, _ []string) error {
			query, err := k.query()
			if err != nil {
				return err
			}
			var v json.RawMessage
			if err := c.Do(ctx, http.MethodGet, "/v1/state", query, &v); err != nil {
				return err
			}
			return printJSON(cmd.OutOrStdout(), v, w.json)
		}),
	}
	k.flags(c)
	return c
}

func stateExportCommand(w *stateFlags) *cobra.Command {
	var rule string
	c := &cobra.Command{
		Use: "export [--rule ID]", Short: "Print the State of every key as JSON lines", Args: args(cobra.NoArgs),
		Example: `  aidr state export --rule llm.new-tool
  aidr state export | clickhouse-client --date_time_input_format=best_effort -q 'INSERT INTO state FORMAT JSONEachRow'`,
		Long: `export prints one JSON object a line for each key of each rule: the rule and its kind, the tenant, the key as an object of
field names and values, the watermark up to which the State was folded, its bytes, and the numbers that aidr state get shows,
such as since, last, events, values, learns, and learning. Numbers that a kind does not have are left out. ClickHouse loads the
lines as JSONEachRow.

The State is that of the last checkpoint, without the events above the watermark. If no aidr runs on the state directory, the
rules are those of --config. Memory holds one group at a time.`,
	}
	c.Flags().StringVar(&rule, "rule", "", "only this rule")
	c.RunE = w.with(func(ctx context.Context, cmd *cobra.Command, cl *api.Client, _ []string) error {
		return printLines(ctx, cmd.OutOrStdout(), cl, "/v1/state/keys", url.Values{"rule": {rule}})
	})
	return c
}

func stateClearCommand(w *stateFlags) *cobra.Command {
	var k stateKey
	var reason string
	c := &cobra.Command{
		Use: "clear --rule ID --key FIELD=VALUE... --reason TEXT", Short: "Make a rule forget one group key", Args: args(cobra.NoArgs),
		Long: `clear makes a rule of a running aidr forget everything about one group: its State, and the events above the watermark. The
group's open findings settle as they are. Events that are not after the last one that was forgotten are not counted again.
Give --key as for aidr state get.

The user, the time, the rule, the key, the reason and the number of forgotten events are recorded in the state directory, and
logged: see aidr state audit. Findings depend on this change as on a change of the rules, so a replay of the same records
without it may find more.`,
		Example: `  aidr state clear --rule llm.new-tool --key ai_agent.uid=billing --reason 'learnt during a load test, ticket 4711'`,
		PreRunE: func(cmd *cobra.Command, argv []string) error {
			if strings.TrimSpace(reason) == "" {
				return usage("--reason is missing: say for the audit why the State is cleared")
			}
			return k.check(cmd, argv)
		},
		RunE: w.with(func(ctx context.Context, cmd *cobra.Command, c *api.Client, _ []string) error {
			query, err := k.query()
			if err != nil {
				return err
			}
			query.Set("reason", reason)
			var entry store.AuditEntry
			if err := c.Do(ctx, http.MethodPost, "/v1/state/clear", query, &entry); err != nil {
				return err
			}
			return printJSON(cmd.OutOrStdout(), &entry, w.json)
		}),
	}
	k.flags(c)
	c.Flags().StringVar(&reason, "reason", "", "why, for the audit")
	return c
}

func stateAuditCommand(w *stateFlags) *cobra.Command {
	c := &cobra.Command{Use: "audit", Short: "Print the changes of State by people as JSON lines, the oldest first", Args: args(cobra.NoArgs)}
	c.RunE = w.with(func(ctx context.Context, cmd *cobra.Command, cl *api.Client, _ []string) error {
		return printLines(ctx, cmd.OutOrStdout(), cl, "/v1/state/audit", nil)
	})
	return c
}

// keyJSON converts FIELD=VALUE flags to the JSON object that the API takes.
func keyJSON(flags []string) (string, error) {
	key := map[string]string{}
	for _, f := range flags {
		name, value, ok := strings.Cut(f, "=")
		if !ok {
			return "", usage("--key %q: write FIELD=VALUE, such as ai_agent.uid=billing", f)
		}
		key[name] = value
	}
	text, err := json.Marshal(key)
	return string(text), err
}
