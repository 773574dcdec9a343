package main

import (
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"
)

func root() *cobra.Command {
	c := &cobra.Command{
		Use:   "aidr",
		Short: "AI Detection and Response over logs",
		Long: `aidr reads the logs that AI agents leave behind - API gateways, cloud audit trails, LLM and MCP gateways - from Kafka
or files, evaluates detection rules over them in event time, and gives findings to ClickHouse and to signed webhooks.

First steps:
  aidr demo                                   a story in one process: nothing to install, no question asked
  aidr decode FILE...                         what the engine sees of your logs
  aidr replay --rules DIR FILE...             the whole pipeline over files
  aidr rules check DIR, aidr rules test DIR   for authors of rules
  aidr config init > aidr.yaml                then: aidr run --config aidr.yaml

Exit codes: 0 ok, 1 failed or a check found errors, 2 wrong use, 3 a check found warnings only.`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          knownCommand,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	c.SuggestionsMinimumDistance = 2 // letters; cobra's own for its message
	c.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return &exit{exitUsage, err} })
	c.AddGroup(
		&cobra.Group{ID: "start", Title: "Try it:"},
		&cobra.Group{ID: "run", Title: "Run it:"},
		&cobra.Group{ID: "look", Title: "Look into a running (or stopped) one:"},
		&cobra.Group{ID: "author", Title: "Write rules:"},
	)
	add := func(group string, cmds ...*cobra.Command) {
		for _, cmd := range cmds {
			cmd.GroupID = group
			c.AddCommand(cmd)
		}
	}
	add("start", demoCommand(), decodeCommand(), replayCommand())
	add("run", runCommand(), configCommand(), migrateCommand(), clickhouseCommand(), webhookCommand())
	add("look", statusCommand(), tapCommand(), findingsCommand(), dlqCommand(), stateCommand())
	add("author", rulesCommand(), mapsCommand(), formatsCommand())
	c.AddCommand(versionCommand())
	return c
}

// args turns cobra's complaint about arguments into one of wrong use.
func args(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, given []string) error {
		if err := check(cmd, given); err != nil {
			return &exit{exitUsage, err}
		}
		return nil
	}
}

// knownCommand refuses what is no command, with those that are spelled alike.
func knownCommand(cmd *cobra.Command, given []string) error {
	if len(given) == 0 {
		return nil
	}
	hint := ""
	if alike := cmd.SuggestionsFor(given[0]); len(alike) > 0 {
		hint = ": did you mean " + strings.Join(alike, " or ") + "?"
	}
	return usage("unknown command %q%s", given[0], hint)
}

func versionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version", Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			cmd.Printf("aidr %s %s %s/%s\n", version(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
			return nil
		},
	}
}

// version returns the module's version, or the commit that it was built from.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "(unknown)"
	}
	v := info.Main.Version
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && (v == "" || v == "(devel)") {
			return s.Value
		}
	}
	return v
}
