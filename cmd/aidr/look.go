package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/aidr-engine/aidr/cmd/aidr/api"
	"github.com/aidr-engine/aidr/cmd/aidr/config"
	"github.com/aidr-engine/aidr/schema"
)

// stateFlags are the flags of the commands that inspect a state directory.
type stateFlags struct {
	config, state string
	json          bool
}

func (w *stateFlags) flags(c *cobra.Command) {
	c.PersistentFlags().StringVar(&w.config, "config", "", "configuration file that names the state directory")
	c.PersistentFlags().StringVar(&w.state, "state", "", "state directory (default: ./state)")
	c.PersistentFlags().BoolVar(&w.json, "json", false, "print JSON, one object per line")
}

// client returns a client for the state directory.
func (w *stateFlags) client(cmd *cobra.Command) (*api.Client, error) {
	dir, err := w.dir(cmd)
	if err != nil {
		return nil, err
	}
	return api.Dial(dir, api.Runtime{Export: w.export(cmd)})
}

// dir returns the state directory.
func (w *stateFlags) dir(cmd *cobra.Command) (string, error) {
	if w.state != "" {
		return w.state, nil
	}
	if w.config == "" {
		return "state", nil
	}
	named, problems := config.StateDir(w.config)
	if named == "" {
		printConfigProblems(cmd.ErrOrStderr(), problems)
		return "", fmt.Errorf("cannot read the state directory from the configuration: see above")
	}
	return named, nil
}

// request is the RunE of a command that needs a client.
type request func(ctx context.Context, cmd *cobra.Command, c *api.Client, argv []string) error

// with returns a RunE that opens a client, runs f and closes the client. A loss of checkpoints is an error even if f
// succeeds, because the output of f is then incomplete.
func (w *stateFlags) with(f request) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, argv []string) error {
		c, err := w.client(cmd)
		if err != nil {
			return err
		}
		defer c.Close()
		return errors.Join(f(cmd.Context(), cmd, c, argv), c.Loss())
	}
}

func findingsCommand() *cobra.Command {
	var w stateFlags
	c := &cobra.Command{Use: "findings", Short: "List, show and follow findings of the local store", Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	w.flags(c)
	c.AddCommand(triageCommands(&w)...)
	c.AddCommand(findingsListCommand(&w), findingsQueueCommand(&w), findingsReportCommand(&w), findingsTailCommand(&w), &cobra.Command{
		Use: "show ID", Short: "Show one finding with its evidence", Args: args(cobra.ExactArgs(1)),
		RunE: w.with(func(ctx context.Context, cmd *cobra.Command, c *api.Client, argv []string) error {
			var f api.FindingLine
			if err := c.Do(ctx, http.MethodGet, "/v1/findings/"+url.PathEscape(argv[0]), nil, &f); err != nil {
				return err
			}
			return printJSON(cmd.OutOrStdout(), &f, w.json)
		}),
	})
	return c
}

// findingQuery holds the flags that select findings.
type findingQuery struct{ rule, agent, severity, status, triage, since, until, filter string }

func (q *findingQuery) flags(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&q.rule, "rule", "", "only this rule")
	f.StringVar(&q.agent, "agent", "", "only this agent: its name or its uid")
	f.StringVar(&q.severity, "severity", "", "only this severity and higher ones: "+severities())
	f.StringVar(&q.status, "status", "", "only this status: open, settled or withdrawn")
	f.StringVar(&q.triage, "triage", "", "only findings that are new, acknowledged or closed, or open: those that need a look")
	f.StringVar(&q.since, "since", "", "only findings with group_start at or after this instant, or this long ago (2h, 7d)")
	f.StringVar(&q.until, "until", "", "only findings with group_start before this instant, or this long ago")
	f.StringVar(&q.filter, "filter", "", `only findings for which this condition holds, such as 'severity >= "high" && tenant == "acme"'`)
}

// severities returns the names of all severities, the lowest first.
func severities() string {
	var names []string
	for _, s := range schema.Severities() {
		names = append(names, string(s))
	}
	return strings.Join(names, ", ")
}

func (q *findingQuery) values() url.Values {
	v := url.Values{}
	for name, s := range map[string]string{
		"rule": q.rule, "agent": q.agent, "severity": q.severity, "status": q.status, "triage": q.triage, "since": q.since, "until": q.until, "filter": q.filter,
	} {
		if s != "" {
			v.Set(name, s)
		}
	}
	return v
}

func findingsListCommand(w *stateFlags) *cobra.Command {
	var q findingQuery
	var limit int
	c := &cobra.Command{Use: "ls", Short: "List findings, the latest first", Args: args(cobra.NoArgs),
		Example: `  aidr findings ls --since 2h --severity high
  aidr findings ls --agent research-bot --rule llm.new-tool
  aidr findings ls --filter 'severity >= "medium" && tenant == "acme" && !late'`}
	q.flags(c)
	c.Flags().IntVar(&limit, "limit", 50, "maximum number of findings (0: no limit)")
	c.RunE = w.with(func(ctx context.Context, cmd *cobra.Command, cl *api.Client, _ []string) error {
		v := q.values()
		v.Set("limit", strconv.Itoa(limit))
		out := cmd.OutOrStdout()
		if w.json {
			return printLines(ctx, out, cl, "/v1/findings", v)
		}
		t := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
		fmt.Fprintln(t, "GROUP START\tSEVERITY\tSTATUS\tTRIAGE\tRULE\tAGENT\tCOUNT\tID")
		n := 0
		err := cl.Lines(ctx, "/v1/findings", v, func(line []byte) bool {
			var f api.FindingLine
			if json.Unmarshal(line, &f) != nil {
				return false
			}
			n++
			fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%d\t%s\n", f.GroupStart, f.Severity, f.Status, triageText(f.Triage), f.RuleID,
				plain(agentOf(f.Finding)), f.Count, f.ID)
			return true
		})
		if err != nil {
			return err
		}
		if n == 0 {
			fmt.Fprintln(cmd.ErrOrStderr(), "no finding matches")
			return nil
		}
		return t.Flush()
	})
	return c
}

// agentOf returns the name of the finding's agent, or else its uid, which is often a hash.
func agentOf(f *schema.Finding) string {
	if f.AgentName != "" {
		return f.AgentName
	}
	return f.AgentUID
}

func findingsTailCommand(w *stateFlags) *cobra.Command {
	var q findingQuery
	c := &cobra.Command{Use: "tail", Short: "Follow findings as they change", Args: args(cobra.NoArgs)}
	q.flags(c)
	c.RunE = w.with(func(ctx context.Context, cmd *cobra.Command, cl *api.Client, _ []string) error {
		out := cmd.OutOrStdout()
		if w.json {
			return printLines(ctx, out, cl, "/v1/findings/tail", q.values())
		}
		return cl.Lines(ctx, "/v1/findings/tail", q.values(), func(line []byte) bool {
			var f schema.Finding
			if json.Unmarshal(line, &f) != nil {
				return false
			}
			_, err := fmt.Fprintf(out, "%s %-8s %-9s %s: %s\n", f.LastSeen, f.Severity, f.Status, f.RuleID, plain(f.Explanation))
			return err == nil
		})
	})
	return c
}

func statusCommand() *cobra.Command {
	var w stateFlags
	var check bool
	c := &cobra.Command{Use: "status", Short: "Show the health and progress of a running aidr", Args: args(cobra.NoArgs)}
	w.flags(c)
	c.Flags().BoolVar(&check, "check", false, "print only the health, and exit with 1 if aidr is down or does not run (for health checks)")
	show := w.with(func(ctx context.Context, cmd *cobra.Command, cl *api.Client, _ []string) error {
		var s api.Status
		if err := cl.Do(ctx, http.MethodGet, "/v1/status", nil, &s); err != nil {
			return err
		}
		if w.json {
			return printJSON(cmd.OutOrStdout(), s, true)
		}
		return printStatus(cmd.OutOrStdout(), s)
	})
	c.RunE = func(cmd *cobra.Command, argv []string) error {
		if check {
			return w.check(cmd.Context(), cmd)
		}
		return show(cmd, argv)
	}
	return c
}

func printStatus(out io.Writer, s api.Status) error {
	if !s.Running {
		fmt.Fprintf(out, "no aidr has this state directory open; %d changes of findings, %d dead letters\n"+
			"(a standby, and a process that still waits for its brokers, show their state on /readyz of http.listen)\n",
			s.Entries, s.DeadLetters)
		return nil
	}
	fmt.Fprintf(out, "%s, running since %s, %d rules, %d changes of findings, %d dead letters\n",
		s.Status, s.Since.Format(time.RFC3339), s.Rules, s.Entries, s.DeadLetters)
	printIdle(out, s.Idle)
	if s.Budget > 0 {
		fmt.Fprintf(out, "memory: %d of %d MiB in batches, cells and checkpoints\n", s.Memory>>20, s.Budget>>20)
	}
	t := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	for _, name := range sortedKeys(s.Components) {
		c := s.Components[name]
		fmt.Fprintf(t, "  %s\t%s\t%s\n", name, c.Status, plainLine(c.Reason))
	}
	if len(s.Operational) > 0 {
		fmt.Fprintln(t, "operational findings:")
	}
	for _, f := range s.Operational {
		fmt.Fprintf(t, "  %s\t%s\tsince %s\t%s\n", f.Rule, f.Severity, f.FirstSeen, plainLine(f.Summary))
	}
	if len(s.Partitions) > 0 {
		fmt.Fprintln(t, "PARTITION\tNEXT\tLAG\tWATERMARK")
	}
	for _, p := range s.Partitions {
		watermark := "-"
		if p.Watermark != nil {
			watermark = p.Watermark.String()
		}
		lag := "-" // unknown
		if p.Lag >= 0 {
			lag = strconv.FormatInt(p.Lag, 10)
		}
		fmt.Fprintf(t, "%s/%s/%d\t%d\t%s\t%s\n", p.Source, plain(p.Topic), p.Number, p.Next, lag, watermark)
	}
	if len(s.Sinks) > 0 {
		fmt.Fprintln(t, "SINK\tSTATE\tWAITING\tOLDEST\tNEXT ATTEMPT\tERROR")
	}
	for _, k := range s.Sinks {
		next := "-"
		if !k.Next.IsZero() {
			next = k.Next.Format(time.RFC3339)
		}
		fmt.Fprintf(t, "%s\t%s\t%d\t%.0f s\t%s\t%s\n", k.Name, k.State, k.Entries, k.Oldest, next, plainLine(k.Error))
	}
	return t.Flush()
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// printLines prints the lines of a response, each a JSON object.
func printLines(ctx context.Context, w io.Writer, cl *api.Client, path string, query url.Values) error {
	out := &plainJSON{w: w}
	return cl.Lines(ctx, path, query, func(line []byte) bool {
		_, err := out.Write(append(line, '\n'))
		return err == nil
	})
}

// printJSON prints a value as JSON, on one line or indented.
func printJSON(w io.Writer, v any, line bool) error {
	enc := json.NewEncoder(&plainJSON{w: w})
	enc.SetEscapeHTML(false)
	if !line {
		enc.SetIndent("", "  ")
	}
	return enc.Encode(v)
}
