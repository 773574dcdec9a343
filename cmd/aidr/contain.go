package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/aidr-engine/aidr/cmd/aidr/api"
	"github.com/aidr-engine/aidr/engine/contain"
	"github.com/aidr-engine/aidr/schema"
)

// containFlags are the flags of aidr contain.
type containFlags struct {
	request                api.ContainRequest
	scope, state, mode     string
	finding                string
	dryRun                 bool
	pause, resume, confirm bool
}

func containCommand() *cobra.Command {
	var w stateFlags
	var f containFlags
	c := &cobra.Command{
		Use:   "contain --agent UID [--tool T | --route R | --session S | --mcp-server M] --reason TEXT",
		Short: "Stop, hold or throttle an agent, session, credential, tool, route or MCP server",
		Args:  args(cobra.NoArgs),
		Long: `contain adds a containment to the table that gateways ask. It counts at once, always has an end (--ttl), and survives a restart.
The scope follows from the flags: --agent alone is the agent with all aliases and credentials that are known of it and that no other
agent uses; with --tool or --route only that; --session, --credential, --mcp-server and --scope tenant are scopes of their own.

  --restrain deny      no calls (the default)
  --restrain hold      each call waits for aidr approve
  --restrain throttle  at most --per-minute calls a minute
  --restrain observe   calls pass; answers and the proof name the containment

--mode monitor restrains nothing: answers name the verdict that they would give. --dry-run shows what a containment would cover, the
calls an hour that it would restrain, and who shares the credential, and changes nothing.

--pause-automation suspends all containments that rules decided, and lets rules add none, until --resume-automation. Those that people
made or approved stay. --confirm-complete ends the answers "unknown" of a new or lost state directory: it says that there is nothing
else to contain. On the day of decisions.first_start a new directory needs it not.

The user, the time and the reason are kept in the audit (aidr audit ls) and in the ledger (aidr responses). Without a running aidr
the change is made in the state directory.`,
		Example: `  aidr contain --agent invoice-bot --ttl 1h --reason 'exfiltration, case 4711'
  aidr contain --agent invoice-bot --tool send_mail --restrain hold --reason 'mails to unknown domains'
  aidr contain --credential 5e88...1542 --dry-run
  aidr contain --pause-automation --reason 'false alarms of llm.new-tool'`,
	}
	w.flags(c)
	t := &f.request.Target
	for _, x := range []struct {
		to          *string
		name, usage string
	}{
		{&t.Agent, "agent", "uid of the agent (ai_agent.uid)"},
		{&t.Tool, "tool", "name of a tool of the agent"},
		{&t.Route, "route", "route of the agent: a path, optionally after a method and a blank; a final * means any continuation"},
		{&t.Session, "session", "id of a session (session.id)"},
		{&t.Credential, "credential", "id of a credential (credential.uid: a key id, or the SHA-256 of the secret in hex)"},
		{&t.Server, "mcp-server", "name of an MCP server; with --tool, the server of the tool"},
		{&t.Tenant, "tenant", "tenant of the target"},
		{&f.scope, "scope", "scope, if it does not follow from the flags: tool, route, session, credential, mcp_server, agent, tenant"},
		{&f.mode, "mode", "enforce or monitor (default enforce)"},
		{&f.request.TTL, "ttl", "how long it lasts, such as 30m, 12h, 7d (default 1h)"},
		{&f.request.Reason, "reason", "why: shown to those that are refused, and kept in the audit"},
		{&f.finding, "finding", "id of the finding behind it"},
		{&f.request.Key, "key", "idempotency key: a second request with it changes nothing"},
	} {
		c.Flags().StringVar(x.to, x.name, "", x.usage)
	}
	c.Flags().StringVar(&f.state, "restrain", "", "deny, hold, throttle or observe (default deny)")
	c.Flags().IntVar(&f.request.PerMinute, "per-minute", 0, "calls a minute of --restrain throttle")
	c.Flags().BoolVar(&f.request.Force, "force", false, "also if response.never lists the target")
	c.Flags().BoolVar(&f.dryRun, "dry-run", false, "show what it would do, and change nothing")
	c.Flags().BoolVar(&f.pause, "pause-automation", false, "suspend all containments that rules decided")
	c.Flags().BoolVar(&f.resume, "resume-automation", false, "end --pause-automation")
	c.Flags().BoolVar(&f.confirm, "confirm-complete", false, "confirm that a new state directory lacks no containment")
	c.PreRunE = func(*cobra.Command, []string) error { return f.complete() }
	c.RunE = w.with(func(ctx context.Context, cmd *cobra.Command, cl *api.Client, _ []string) error {
		return f.run(ctx, cmd.OutOrStdout(), cl, w.json)
	})
	return c
}

// complete checks the flags and finds the scope.
func (f *containFlags) complete() error {
	r := &f.request
	actions := 0
	for _, on := range []bool{f.pause, f.resume, f.confirm} {
		if on {
			actions++
		}
	}
	t := r.Target
	switch {
	case actions > 1:
		return usage("give one of --pause-automation, --resume-automation and --confirm-complete")
	case actions == 1 && (t != schema.Target{} || f.scope != "" || f.dryRun):
		return usage("--pause-automation, --resume-automation and --confirm-complete have no target")
	case strings.TrimSpace(r.Reason) == "" && !f.dryRun:
		return usage("--reason is missing: say why, for those that are refused and for the audit")
	case actions == 1:
		return nil
	}
	if f.finding != "" {
		id, err := schema.ParseID(f.finding)
		if err != nil {
			return usage("--finding %q: %v", f.finding, err)
		}
		r.FindingID = id
	}
	r.Scope, r.State, r.Mode = schema.ContainmentScope(f.scope), schema.ContainmentState(f.state), schema.ContainmentMode(f.mode)
	if r.Scope == "" {
		r.Scope = scopeOf(t)
	}
	if r.Scope == "" {
		return usage("name the target: --agent, --session, --credential or --mcp-server; or --scope tenant")
	}
	if err := t.Check(r.Scope); err != nil {
		return usage("%v", err)
	}
	return nil
}

// scopeOf returns the scope that follows from the fields of a target, or "".
func scopeOf(t schema.Target) schema.ContainmentScope {
	switch {
	case t.Tool != "":
		return schema.ScopeTool
	case t.Route != "":
		return schema.ScopeRoute
	case t.Session != "":
		return schema.ScopeSession
	case t.Credential != "":
		return schema.ScopeCredential
	case t.Server != "":
		return schema.ScopeServer
	case t.Agent != "":
		return schema.ScopeAgent
	}
	return ""
}

func (f *containFlags) run(ctx context.Context, out io.Writer, cl *api.Client, asJSON bool) error {
	switch {
	case f.pause, f.resume:
		var p contain.Pause
		if err := post(ctx, cl, "/v1/automation", map[string]any{"paused": f.pause, "reason": f.request.Reason}, &p); err != nil {
			return err
		}
		if asJSON {
			return printJSON(out, p, true)
		}
		if p.Paused {
			fmt.Fprintf(out, "automation is paused since %s by %s: %s\n", p.Since, plain(p.By), plain(p.Reason))
		} else {
			fmt.Fprintln(out, "automation contains again")
		}
		return nil
	case f.confirm:
		var l contain.Contained
		if err := post(ctx, cl, "/v1/containments/confirm", map[string]any{"reason": f.request.Reason}, &l); err != nil {
			return err
		}
		fmt.Fprintf(out, "the table is complete: %d containments and proposals; answers are no longer unknown\n", len(l.Responses))
		return nil
	case f.dryRun:
		var b contain.Blast
		if err := post(ctx, cl, "/v1/containments/dry-run", f.request, &b); err != nil {
			return err
		}
		if asJSON {
			return printJSON(out, b, true)
		}
		return printBlast(out, &b)
	}
	var r schema.ResponseRecord
	if err := post(ctx, cl, "/v1/containments", f.request, &r); err != nil {
		return err
	}
	if asJSON {
		return printJSON(out, r, true)
	}
	return printResponse(out, &r)
}

// post sends a body as JSON and decodes the response.
func post(ctx context.Context, cl *api.Client, path string, body, out any) error {
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	return cl.Send(ctx, http.MethodPost, path, nil, text, out)
}

// printBlast prints the blast radius of a containment.
func printBlast(out io.Writer, b *contain.Blast) error {
	t := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	fmt.Fprintf(t, "would contain\t%s %s\n", b.Scope, plain(targetText(b.Target)))
	calls := "unknown: no inventory knows the target"
	if b.CallsKnown {
		calls = fmt.Sprint(b.CallsPerHour)
	}
	fmt.Fprintf(t, "calls an hour\t%s\n", calls)
	listLine(t, "aliases", b.Aliases)
	listLine(t, "credentials", b.Credentials)
	for _, s := range b.Spared {
		by := "it is not known who else uses it"
		if len(s.Agents) > 0 {
			by = "also used by " + plain(strings.Join(s.Agents, ", "))
		}
		fmt.Fprintf(t, "spares\t%s: %s\n", plain(s.Credential), by)
	}
	if b.Target.Credential != "" {
		users := "unknown"
		if b.AgentsKnown {
			users = plain(strings.Join(b.Agents, ", "))
		}
		fmt.Fprintf(t, "used by\t%s\n", users)
	}
	for _, id := range b.Existing {
		fmt.Fprintf(t, "contained already\t%s\n", id)
	}
	if b.Never != "" {
		fmt.Fprintf(t, "never contained\tresponse.never has %s: --force is needed\n", plain(b.Never))
	}
	if b.NeedsPerson != "" {
		fmt.Fprintf(t, "automation would ask\t%s\n", plain(b.NeedsPerson))
	}
	return t.Flush()
}

func listLine(w io.Writer, name string, list []string) {
	if len(list) > 0 {
		fmt.Fprintf(w, "%s\t%s\n", name, plain(strings.Join(list, ", ")))
	}
}

// targetText returns a target on one line.
func targetText(t schema.Target) string {
	var parts []string
	for _, x := range [...][2]string{
		{"", t.Agent}, {"session ", t.Session}, {"credential ", t.Credential}, {"tool ", t.Tool}, {"server ", t.Server}, {"route ", t.Route},
		{"tenant ", t.Tenant},
	} {
		if x[1] != "" {
			parts = append(parts, x[0]+x[1])
		}
	}
	return cmp.Or(strings.Join(parts, ", "), "-")
}

func releaseCommand() *cobra.Command {
	var w stateFlags
	var reason string
	c := &cobra.Command{
		Use: "release ID... --reason TEXT", Short: "End containments", Args: args(cobra.MinimumNArgs(1)),
		Long: `release ends containments before their time, or rejects proposals of automation. Gateways get other answers at once. The rule that
contained the target leaves it alone for response.cooldown. A credential of the contained agent itself is refused.`,
		Example: `  aidr release 1f0c6a1e-8f0e-4c8f-9d8b-0b1f8d5c2a11 --reason 'false alarm'`,
		PreRunE: func(*cobra.Command, []string) error { return needReason(reason) },
	}
	w.flags(c)
	c.Flags().StringVar(&reason, "reason", "", "why, for the audit")
	c.RunE = w.with(func(ctx context.Context, cmd *cobra.Command, cl *api.Client, argv []string) error {
		for _, id := range argv {
			var r schema.ResponseRecord
			if err := post(ctx, cl, "/v1/containments/"+url.PathEscape(id)+"/release", map[string]string{"reason": reason}, &r); err != nil {
				return err
			}
			if w.json {
				if err := printJSON(cmd.OutOrStdout(), r, true); err != nil {
					return err
				}
			} else {
				cmd.Printf("%s: %s %s %s\n", r.ID, r.Status, r.Scope, plain(targetText(r.Target)))
			}
		}
		return nil
	})
	return c
}

func needReason(reason string) error {
	if strings.TrimSpace(reason) == "" {
		return usage("--reason is missing: say why, for the audit")
	}
	return nil
}

func approveCommand() *cobra.Command {
	var w stateFlags
	var reason string
	var decline bool
	c := &cobra.Command{
		Use: "approve ID --reason TEXT", Short: "Answer a proposal of automation, or a held call", Args: args(cobra.ExactArgs(1)),
		Long: `approve answers what waits for a person (aidr contained): a proposal, which becomes a containment of this person, or the approval of
a held call, which lets that one call pass, once, with the same tool, route and arguments, until the approval expires. --decline
rejects the proposal, or denies the call.`,
		PreRunE: func(*cobra.Command, []string) error { return needReason(reason) },
	}
	w.flags(c)
	c.Flags().StringVar(&reason, "reason", "", "why, for the audit")
	c.Flags().BoolVar(&decline, "decline", false, "answer no")
	c.RunE = w.with(func(ctx context.Context, cmd *cobra.Command, cl *api.Client, argv []string) error {
		var a api.Answered
		body := map[string]any{"approve": !decline, "reason": reason}
		if err := post(ctx, cl, "/v1/approvals/"+url.PathEscape(argv[0]), body, &a); err != nil {
			return err
		}
		switch {
		case w.json:
			return printJSON(cmd.OutOrStdout(), a, true)
		case a.Response != nil:
			return printResponse(cmd.OutOrStdout(), a.Response)
		}
		cmd.Printf("%s: %s until %s: %s\n", a.Approval.ID, a.Approval.Status, a.Approval.Until, plain(callText(&a.Approval.Call)))
		return nil
	})
	return c
}

// callText returns a held call on one line.
func callText(q *schema.Question) string {
	t := schema.Target{Tenant: q.Tenant, Agent: q.Agent, Session: q.Session, Tool: q.Tool, Server: q.Server, Route: q.Route}
	if q.Agent == "" {
		t.Credential = q.Credential
	}
	return targetText(t)
}

func containedCommand() *cobra.Command {
	var w stateFlags
	c := &cobra.Command{
		Use: "contained", Short: "Show what is contained, with proof, and what waits for a person", Args: args(cobra.NoArgs),
		Long: `contained shows the containments in force with their end and the stage of their proof (asked: no gateway has asked yet; enforced: a
gateway got an answer; verified: the logs show denials and no further success; failed: calls went on), the proposals of automation, and
the held calls that wait for aidr approve.`,
	}
	w.flags(c)
	c.RunE = w.with(func(ctx context.Context, cmd *cobra.Command, cl *api.Client, _ []string) error {
		var l contain.Contained
		if err := cl.Do(ctx, http.MethodGet, "/v1/containments", nil, &l); err != nil {
			return err
		}
		if w.json {
			return printJSON(cmd.OutOrStdout(), l, true)
		}
		return printContained(cmd.OutOrStdout(), &l)
	})
	return c
}

func printContained(out io.Writer, l *contain.Contained) error {
	if !l.Known {
		fmt.Fprintf(out, "Answers are unknown instead of allow: %s\n", plain(l.Lost))
	}
	if l.Pause.Paused {
		fmt.Fprintf(out, "Automation is paused since %s by %s: %s\n", l.Pause.Since, plain(l.Pause.By), plain(l.Pause.Reason))
	}
	fmt.Fprintf(out, "%d contained or proposed, %d agents by automation (at most %d), %d held calls wait\n", len(l.Responses), l.Automatic,
		l.MaxAuto, len(l.Approvals))
	t := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	if len(l.Responses) > 0 {
		fmt.Fprintln(t, "\nID\tSCOPE\tTARGET\tSTATE\tPROOF\tUNTIL\tBY\tREASON")
	}
	for i := range l.Responses {
		r := &l.Responses[i]
		state := string(r.State)
		switch {
		case r.Status == schema.ContainmentProposed:
			state = "proposed " + state
		case r.Mode == schema.ModeMonitor:
			state += " (monitor)"
		case r.Automatic && l.Pause.Paused:
			state += " (paused)"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", r.ID, r.Scope, plain(targetText(r.Target)), state, r.Stage, r.Until, plain(r.By),
			plain(cmp.Or(r.Why, r.Reason)))
	}
	if len(l.Approvals) > 0 {
		fmt.Fprintln(t, "\nAPPROVAL\tSTATUS\tCALL\tARGUMENTS\tASKED\tUNTIL")
	}
	for i := range l.Approvals {
		a := &l.Approvals[i]
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\n", a.ID, a.Status, plain(callText(&a.Call)), plain(cmp.Or(a.Call.Arguments, "any")), a.Asked, a.Until)
	}
	return t.Flush()
}
