package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/aidr-engine/aidr/cmd/aidr/pipeline"
	"github.com/aidr-engine/aidr/rules/site"
)

func capabilitiesCommand() *cobra.Command {
	c := &cobra.Command{Use: "capabilities", Short: "Show what tools, hosts and cloud actions can do", Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	c.AddCommand(capabilitiesExplainCommand())
	return c
}

func capabilitiesExplainCommand() *cobra.Command {
	var files pipeline.RuleFiles
	var server, arguments string
	var asJSON bool
	c := &cobra.Command{
		Use:   "explain {TOOL | ACTION | METHOD URL}",
		Short: "Show the capabilities of a tool, a cloud action or a request, and why it has them",
		Long: `explain shows which of cap.untrusted, cap.private, cap.egress, cap.change and cap.destructive rules see of a call of the tool
TOOL, of a cloud action such as s3:GetObject, or of a request such as POST https://api.example.com/v1/orders, and why: the entry of
the site's capabilities.yaml, a shipped entry, the words of its name, or the shape of its arguments.`,
		Example: "  aidr capabilities explain mcp__github__create_issue\n  aidr capabilities explain Bash --arguments '{\"command\": \"rm -rf /srv\"}'",
		Args:    args(cobra.RangeArgs(1, 2)),
		RunE: func(cmd *cobra.Command, given []string) error {
			if arguments != "" && !json.Valid([]byte(arguments)) {
				return &exit{exitUsage, errors.New("--arguments is not JSON: write the arguments of the call, such as '{\"url\": \"...\"}'")}
			}
			set, err := loadSet(cmd, files)
			if err != nil {
				return err
			}
			e := explainCapability(set.Capabilities(), given, server, arguments)
			if asJSON {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(e)
			}
			labels := strings.Join(e.Labels, ", ")
			if labels == "" {
				labels = "none"
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s: %s\n  %s\n", strings.Join(given, " "), labels, strings.Join(e.Why, "\n  "))
			return err
		},
	}
	c.Flags().StringArrayVar(&files.Paths, "rules", nil, "folder of rules, whose capabilities.yaml counts (default: the shipped entries)")
	c.Flags().StringVar(&server, "server", "", "MCP server of the tool")
	c.Flags().StringVar(&arguments, "arguments", "", "arguments of the call, in JSON")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

// explainCapability explains a tool, an action, which has a colon but no namespace of a tool, or a method and a URL.
func explainCapability(c *site.Capabilities, given []string, server, arguments string) site.Explanation {
	if len(given) == 2 {
		host, path := given[1], "/"
		if _, after, ok := strings.Cut(host, "://"); ok {
			host = after
		}
		if at := strings.IndexByte(host, '/'); at >= 0 {
			host, path = host[:at], host[at:]
		}
		return c.ExplainRequest(host, path, strings.ToUpper(given[0]))
	}
	if name := given[0]; strings.Contains(name, ":") && server == "" && arguments == "" {
		return c.ExplainAction(name)
	}
	return c.ExplainTool(server, given[0], arguments)
}
