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
or files, evaluates detection rules over them in event time, and sends findings to ClickHouse and to signed webhooks.

First steps:
  aidr demo                                   play a story in one process; nothing to install or configure
  aidr decode FILE...                         print the events in your logs
  aidr replay --rules DIR FILE...             run the whole pipeline over files
  aidr rules new KIND FILE                    begin a rule of a kind, with comments and tests
  aidr rules check DIR, aidr rules test DIR   check and test your rules
  aidr rules explain RULE --event FILE        see what a rule makes of an event
  aidr config init > aidr.yaml                then: aidr run --config aidr.yaml

Exit codes: 0 ok, 1 failed or a check found errors, 2 wrong command line, 3 a check found only warnings.`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          knownCommand,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	c.SuggestionsMinimumDistance = 2 // letters; cobra's own default
	c.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return &exit{exitUsage, err} })
	c.AddGroup(
		&cobra.Group{ID: "start", Title: "Try it:"},
		&cobra.Group{ID: "run", Title: "Run it:"},
		&cobra.Group{ID: "look", Title: "Inspect a running or stopped aidr:"},
		&cobra.Group{ID: "respond", Title: "Contain agents:"},
		&cobra.Group{ID: "author", Title: "Write rules:"},
	)
	add := func(group string, cmds ...*cobra.Command) {
		for _, cmd := range cmds {
			cmd.GroupID = group
			c.AddCommand(cmd)
		}
	}
	add("start", demoCommand(), decodeCommand(), replayCommand())
	add("run", runCommand(), decideCommand(), configCommand(), tokenCommand(), migrateCommand(), clickhouseCommand(), webhookCommand())
	add("look", statusCommand(), topCommand(), doctorCommand(), consoleCommand(), tapCommand(), findingsCommand(), agentsCommand(), credentialsCommand(), toolsCommand(), dlqCommand(),
		stateCommand(), auditCommand(), canaryCommand(), sqlCommand(), privacyCommand())
	add("respond", containCommand(), releaseCommand(), approveCommand(), containedCommand(), responsesCommand())
	add("author", rulesCommand(), capabilitiesCommand(), mapsCommand(), formatsCommand(), benchCommand())
	c.AddCommand(versionCommand())
	return c
}

// args makes an error of check a usage error.
func args(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, given []string) error {
		if err := check(cmd, given); err != nil {
			return &exit{exitUsage, err}
		}
		return nil
	}
}

// knownCommand returns an error for an unknown command, with suggestions of similar ones.
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

// versionCommand returns `aidr version`.
func versionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version", Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			cmd.Printf("aidr %s%s %s %s/%s\n", version(), commit(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
			return nil
		},
	}
}

// commit returns " (commit HASH, TIME)" of the commit that the program was built from, or "" if Go did not record it.
func commit() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	var hash, at, changed string
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			hash = s.Value
		case "vcs.time":
			at = ", " + s.Value
		case "vcs.modified":
			if s.Value == "true" {
				changed = ", with changes"
			}
		}
	}
	if hash == "" {
		return ""
	}
	return " (commit " + hash + at + changed + ")"
}

// version returns the version of the module, or the commit of a development build.
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
