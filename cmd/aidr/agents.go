package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/url"

	"github.com/spf13/cobra"

	"github.com/aidr-engine/aidr/cmd/aidr/api"
	"github.com/aidr-engine/aidr/schema"
)

func agentsCommand() *cobra.Command {
	l := &inventoryList{
		name: "agents", one: "agent", short: "List, show and follow the agents that events have shown; learn and check their registry",
		lines: func() entityLine { return &agentLine{} },
		header: []string{"AGENT", "UID", "TENANT", "OWNER", "FINDINGS", "NEW", "SOURCES", "TOOLS", "MODELS", "CREDENTIALS", "EVENTS", "COST USD",
			"LAST SEEN", "CONTAINMENT"},
		filter: map[string]schema.UseKind{
			"tool": schema.UseTool, "model": schema.UseModel, "mcp-server": schema.UseServer, "credential": schema.UseCredential,
			"destination": schema.UseDestination, "dataset": schema.UseDataset,
		},
	}
	c := l.command()
	c.AddCommand(registryCommands()...)
	return c
}

func credentialsCommand() *cobra.Command {
	l := &inventoryList{
		name: "credentials", one: "credential", short: "List, show and follow credentials, with the agents behind them and what they reach",
		lines:  func() entityLine { return &credentialLine{} },
		header: []string{"CREDENTIAL", "TYPE", "TENANT", "AGENTS", "ON BEHALF OF", "NEW", "REACH", "SOURCES", "EVENTS", "FIRST SEEN", "LAST SEEN"},
		filter: map[string]schema.UseKind{
			"agent": schema.UseAgent, "on-behalf-of": schema.UseOnBehalfOf, "destination": schema.UseDestination, "dataset": schema.UseDataset,
		},
	}
	return l.command()
}

func toolsCommand() *cobra.Command {
	l := &inventoryList{
		name: "tools", one: "tool", short: "List, show and follow tools, MCP servers and models, with the agents behind them",
		lines:  func() entityLine { return &toolLine{} },
		header: []string{"TYPE", "NAME", "TENANT", "AGENTS", "CREDENTIALS", "NEW", "SOURCES", "EVENTS", "FAILED", "FIRST SEEN", "LAST SEEN"},
		filter: map[string]schema.UseKind{"agent": schema.UseAgent, "credential": schema.UseCredential, "dataset": schema.UseDataset},
	}
	return l.command()
}

// agentLine, credentialLine and toolLine are the lines of the lists.
type (
	agentLine      struct{ api.AgentLine }
	credentialLine struct{ api.CredentialLine }
	toolLine       struct{ api.ToolLine }
)

func (l *agentLine) body() *entityBody {
	return &entityBody{"agent", l.Tenant, l.AgentUID, l.AgentName, l.FirstSeen, l.LastSeen, l.NewestUse, l.Totals, l.Uses, l.Omitted, l.Risk}
}

func (l *agentLine) cells() []string {
	b := l.body()
	name := l.AgentName
	if name == "" {
		name = l.AgentUID
	}
	return []string{
		name, l.AgentUID, l.Tenant, orDash(l.Owner), b.findings(), b.fresh(), b.names(schema.UseDataset), b.count(schema.UseTool),
		b.count(schema.UseModel), b.count(schema.UseCredential), fmt.Sprint(l.Events), l.Cost.String(), l.LastSeen.String(), orDash(l.Containment),
	}
}

func (l *agentLine) show(out io.Writer) {
	b := l.body()
	b.showHead(out, "agent")
	fmt.Fprintf(out, "identity     %s, from the field %s\n", plainLine(l.AgentUID), orDash(plainLine(l.AgentSource)))
	fmt.Fprintf(out, "owner        %s\n", orDash(plainLine(l.Owner)))
	fmt.Fprintf(out, "sources      %s\n", plainLine(b.names(schema.UseDataset)))
	fmt.Fprintf(out, "containment  %s\n", orNone(plainLine(l.Containment)))
	fmt.Fprintf(out, "new          %s values within a week\n\n", b.fresh())
	b.showUses(out)
}

// maxShownFindings is the number of findings that show prints.
const maxShownFindings = "20"

// showFindings prints the agent's findings of the last week that were not withdrawn.
func (l *agentLine) showFindings(ctx context.Context, out io.Writer, cl *api.Client) error {
	n := 0
	err := cl.Lines(ctx, "/v1/findings", url.Values{"agent": {l.AgentUID}, "since": {"7d"}, "limit": {maxShownFindings}}, func(line []byte) bool {
		var f schema.Finding
		if json.Unmarshal(line, &f) != nil {
			return false
		}
		if f.Status == schema.StatusWithdrawn || f.Tenant != l.Tenant {
			return true
		}
		if n++; n == 1 {
			fmt.Fprintln(out, "findings of the last week:")
		}
		fmt.Fprintf(out, "   %s  %-8s  %s: %s  %s\n", f.LastSeen, f.Severity, f.RuleID, shorten(plainLine(f.Summary), 2*maxCell), f.ID)
		return true
	})
	if err == nil && n == 0 {
		fmt.Fprintln(out, "findings of the last week: none")
	}
	return err
}

func (l *credentialLine) body() *entityBody {
	return &entityBody{"credential", l.Tenant, l.CredentialUID, "", l.FirstSeen, l.LastSeen, l.NewestUse, l.Totals, l.Uses, l.Omitted, l.Risk}
}

func (l *credentialLine) cells() []string {
	b := l.body()
	return []string{
		l.CredentialUID, orDash(l.CredentialType), l.Tenant, b.count(schema.UseAgent), b.count(schema.UseOnBehalfOf), b.fresh(), fmt.Sprint(l.Risk.Reach),
		b.names(schema.UseDataset), fmt.Sprint(l.Events), l.FirstSeen.String(), l.LastSeen.String(),
	}
}

func (l *credentialLine) show(out io.Writer) {
	b := l.body()
	b.showHead(out, "credential")
	fmt.Fprintf(out, "type         %s\n", orDash(plainLine(l.CredentialType)))
	fmt.Fprintf(out, "reach        %d tools, servers, destinations, actions, kinds of resources, accounts and agents\n\n", l.Risk.Reach)
	b.showUses(out)
}

func (l *toolLine) body() *entityBody {
	return &entityBody{string(l.Type), l.Tenant, l.Name, "", l.FirstSeen, l.LastSeen, l.NewestUse, l.Totals, l.Uses, l.Omitted, l.Risk}
}

func (l *toolLine) cells() []string {
	b := l.body()
	return []string{
		string(l.Type), l.Name, l.Tenant, b.count(schema.UseAgent), b.count(schema.UseCredential), b.fresh(), b.names(schema.UseDataset),
		fmt.Sprint(l.Events), fmt.Sprint(l.Failure), l.FirstSeen.String(), l.LastSeen.String(),
	}
}

func (l *toolLine) show(out io.Writer) {
	b := l.body()
	b.showHead(out, string(l.Type))
	fmt.Fprintln(out)
	b.showUses(out)
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}
