package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/aidr-engine/aidr/cmd/aidr/api"
	"github.com/aidr-engine/aidr/engine/triage"
	"github.com/aidr-engine/aidr/schema"
)

// triageCommands returns the commands that record the work of people on findings.
func triageCommands(w *stateFlags) []*cobra.Command {
	var out []*cobra.Command
	for _, x := range []struct {
		action     triage.Action
		use, short string
	}{
		{triage.Acknowledge, "ack ID...", "Acknowledge findings: somebody works on them"},
		{triage.Close, "close ID... --verdict V", "Close findings with a verdict"},
		{triage.Assign, "assign ID... --owner NAME", "Assign findings to an owner"},
		{triage.Reopen, "reopen ID...", "Make findings new again"},
		{triage.Note, "note ID... --note TEXT", "Add a note to findings"},
	} {
		out = append(out, triageCommand(w, x.action, x.use, x.short))
	}
	return append(out, snoozeCommand(w), snoozesCommand(w), wakeCommand(w))
}

const triageHelp = `Triage is apart from detection: it never changes what is detected. It is kept with its history, later revisions of a finding do not
lose it, and the audit has each change. A closed finding that goes on counting is shown as such (aidr findings ls --triage open).
`

func triageCommand(w *stateFlags, action triage.Action, use, short string) *cobra.Command {
	r := triage.Request{Action: action}
	var verdict string
	c := &cobra.Command{Use: use, Short: short, Long: short + ".\n\n" + triageHelp, Args: args(cobra.MinimumNArgs(1))}
	c.Flags().StringVar(&r.Note, "note", "", "a note")
	switch action {
	case triage.Close:
		c.Flags().StringVar(&verdict, "verdict", "", verdicts())
		c.PreRunE = func(*cobra.Command, []string) error {
			for _, v := range schema.TriageVerdicts() {
				if v == schema.TriageVerdict(verdict) {
					r.Verdict = v
					return nil
				}
			}
			return usage("--verdict %q: use %s", verdict, verdicts())
		}
	case triage.Assign:
		c.Flags().StringVar(&r.Owner, "owner", "", "a person or team; '' for nobody")
		c.PreRunE = func(cmd *cobra.Command, _ []string) error {
			if !cmd.Flags().Changed("owner") {
				return usage("--owner is missing: name a person or team")
			}
			return nil
		}
	case triage.Note:
		c.PreRunE = func(*cobra.Command, []string) error {
			if strings.TrimSpace(r.Note) == "" {
				return usage("--note is missing")
			}
			return nil
		}
	}
	c.RunE = w.with(func(ctx context.Context, cmd *cobra.Command, cl *api.Client, argv []string) error {
		for _, id := range argv {
			var t schema.Triage
			if err := post(ctx, cl, "/v1/findings/"+url.PathEscape(id)+"/triage", r, &t); err != nil {
				return err
			}
			if w.json {
				if err := printJSON(cmd.OutOrStdout(), t, true); err != nil {
					return err
				}
				continue
			}
			cmd.Printf("%s: %s\n", t.FindingID, triageText(&t))
		}
		return nil
	})
	return c
}

func verdicts() string {
	var names []string
	for _, v := range schema.TriageVerdicts() {
		names = append(names, string(v))
	}
	return strings.Join(names, ", ")
}

// triageText returns the state of a triage on one line.
func triageText(t *schema.Triage) string {
	if t == nil {
		return string(schema.TriageNew)
	}
	text := string(t.Status)
	if t.Verdict != "" {
		text += " " + string(t.Verdict)
	}
	if t.Again > 0 {
		text += fmt.Sprintf(" (+%d since)", t.Again)
	}
	if t.Owner != "" {
		text += ", " + plain(t.Owner)
	}
	return text
}

func snoozeCommand(w *stateFlags) *cobra.Command {
	var b api.SnoozeRequest
	var keys []string
	var tenant, finding string
	c := &cobra.Command{
		Use: "snooze --rule ID|--agent UID|--finding ID --for TIME --reason TEXT", Short: "Hold back the deliveries of findings for a time",
		Args: args(cobra.NoArgs),
		Long: `snooze holds back the deliveries to endpoints and topics of the findings that have all the values given. The findings are made as before,
and are in the store and in the tables; only an exception of a rule changes what is found. Held deliveries are counted (aidr findings snoozes), and
are not made up for later; a finding that changes after the end is delivered with that change. A snooze always has an end, at most 30 days
later. Findings about aidr itself are never held back.`,
		Example: `  aidr findings snooze --rule llm.new-tool --agent research-bot --for 4h --reason 'rollout of the new search tool'`,
		PreRunE: func(cmd *cobra.Command, _ []string) error {
			if b.For == "" {
				return usage("--for is missing: a snooze has an end, such as 4h")
			}
			if cmd.Flags().Changed("tenant") {
				b.Tenant = &tenant
			}
			if finding != "" {
				id, err := schema.ParseID(finding)
				if err != nil {
					return usage("--finding: %v", err)
				}
				b.Finding = id
			}
			return needReason(b.Reason)
		},
	}
	f := c.Flags()
	f.StringVar(&b.Rule, "rule", "", "id of the rule")
	f.StringVar(&b.Agent, "agent", "", "uid of the agent")
	f.StringVar(&tenant, "tenant", "", "tenant (default: any)")
	f.StringVar(&finding, "finding", "", "id of one finding")
	f.StringArrayVar(&keys, "key", nil, "FIELD=VALUE of the group key; may be repeated")
	f.StringVar(&b.For, "for", "", "how long, such as 4h or 2d")
	f.StringVar(&b.Reason, "reason", "", "why, for the audit")
	c.RunE = w.with(func(ctx context.Context, cmd *cobra.Command, cl *api.Client, _ []string) error {
		text, err := keyJSON(keys)
		if err != nil {
			return err
		}
		if err := json.Unmarshal([]byte(text), &b.Key); err != nil {
			return err
		}
		var s triage.Snooze
		if err := post(ctx, cl, "/v1/snoozes", b, &s); err != nil {
			return err
		}
		if w.json {
			return printJSON(cmd.OutOrStdout(), s, true)
		}
		cmd.Printf("%s: deliveries of %s are held back until %s\n", s.ID, plain(snoozeText(&s)), s.Until)
		return nil
	})
	return c
}

// snoozeText returns what a snooze selects.
func snoozeText(s *triage.Snooze) string {
	var parts []string
	for _, x := range [...][2]string{{"rule ", s.Rule}, {"agent ", s.Agent}} {
		if x[1] != "" {
			parts = append(parts, x[0]+x[1])
		}
	}
	if !s.Finding.IsZero() {
		parts = append(parts, "finding "+s.Finding.String())
	}
	if s.Tenant != nil {
		parts = append(parts, "tenant "+cmp.Or(*s.Tenant, "(none)"))
	}
	for _, k := range sortedKeys(s.Key) {
		parts = append(parts, k+"="+s.Key[k])
	}
	return strings.Join(parts, ", ")
}

func snoozesCommand(w *stateFlags) *cobra.Command {
	c := &cobra.Command{Use: "snoozes", Short: "List snoozes, and how many deliveries each held back", Args: args(cobra.NoArgs)}
	c.RunE = w.with(func(ctx context.Context, cmd *cobra.Command, cl *api.Client, _ []string) error {
		out := cmd.OutOrStdout()
		if w.json {
			return printLines(ctx, out, cl, "/v1/snoozes", nil)
		}
		t := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
		fmt.Fprintln(t, "ID\tFINDINGS\tUNTIL\tHELD\tBY\tREASON")
		err := cl.Lines(ctx, "/v1/snoozes", nil, func(line []byte) bool {
			var s triage.Snooze
			if json.Unmarshal(line, &s) != nil {
				return false
			}
			until := s.Until.String()
			if s.Ended != 0 {
				until = "ended " + s.Ended.String()
			}
			fmt.Fprintf(t, "%s\t%s\t%s\t%d\t%s\t%s\n", s.ID, plain(snoozeText(&s)), until, s.Held, plain(s.By), plain(s.Reason))
			return true
		})
		if err != nil {
			return err
		}
		return t.Flush()
	})
	return c
}

func wakeCommand(w *stateFlags) *cobra.Command {
	var reason string
	c := &cobra.Command{
		Use: "wake SNOOZE --reason TEXT", Short: "End a snooze before its time", Args: args(cobra.ExactArgs(1)),
		PreRunE: func(*cobra.Command, []string) error { return needReason(reason) },
	}
	c.Flags().StringVar(&reason, "reason", "", "why, for the audit")
	c.RunE = w.with(func(ctx context.Context, cmd *cobra.Command, cl *api.Client, argv []string) error {
		var s triage.Snooze
		if err := post(ctx, cl, "/v1/snoozes/"+url.PathEscape(argv[0])+"/wake", map[string]string{"reason": reason}, &s); err != nil {
			return err
		}
		cmd.Printf("%s: ended, %d deliveries were held back\n", s.ID, s.Held)
		return nil
	})
	return c
}
