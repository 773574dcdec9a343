package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/aidr-engine/aidr/cmd/aidr/config"
	"github.com/aidr-engine/aidr/cmd/aidr/output"
	"github.com/aidr-engine/aidr/cmd/aidr/pipeline"
	"github.com/aidr-engine/aidr/rules"
)

func configCommand() *cobra.Command {
	c := &cobra.Command{Use: "config", Short: "Write, check or explain a configuration", Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	var force bool
	init := &cobra.Command{
		Use: "init [FILE]", Short: "Write a commented first configuration to FILE or standard output", Args: args(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, argv []string) error {
			return writeFirst(cmd, argv, config.First(time.Now()), force, "configuration")
		},
	}
	init.Flags().BoolVar(&force, "force", false, "overwrite FILE")
	c.AddCommand(init, configCheckCommand(), configMigrateCommand(), configKeysCommand())
	return c
}

func configMigrateCommand() *cobra.Command {
	var save bool
	c := &cobra.Command{
		Use: "migrate FILE", Short: "Bring a configuration of an earlier version up to date (exit code 3: changes are not written)", Args: args(cobra.ExactArgs(1)),
		Long: `migrate prints the values of a configuration that this version needs in another form, as a diff with the reasons. With --write it
changes them in the file; comments, blanks and ${...} stay as they are.`,
		RunE: func(cmd *cobra.Command, argv []string) error {
			src, err := os.ReadFile(argv[0])
			if err != nil {
				return err
			}
			out, changes, err := config.Migrate(src)
			for _, c := range changes {
				cmd.Printf("@@ line %d: %s\n-%s\n+%s\n", c.Line, c.Why, plain(c.Old), plain(c.New))
			}
			switch {
			case err != nil:
				return err
			case len(changes) == 0:
				cmd.Println("up to date")
			case !save:
				return &exit{code: exitWarnings}
			default:
				return output.Edit(argv[0], out)
			}
			return nil
		},
	}
	c.Flags().BoolVar(&save, "write", false, "change the file")
	return c
}

func configKeysCommand() *cobra.Command {
	return &cobra.Command{
		Use: "keys", Short: "Print every key of the configuration with its type, default, unit and meaning", Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := io.WriteString(cmd.OutOrStdout(), config.Keys)
			return err
		},
	}
}

func configCheckCommand() *cobra.Command {
	var file string
	var connect bool
	c := &cobra.Command{
		Use: "check [FILE]", Args: args(cobra.MaximumNArgs(1)),
		Short: "Check a configuration, its rules and filters (exit code 0: ok, 1: errors, 3: only warnings)",
		Long: `check prints all problems of a configuration at once: of the file itself, and of the rules, lists, maps and registry that it
names, its sources and sinks, and the state directory. It connects to nothing.

With --connect it then tries each broker, topic, consumer group, database and endpoint, for at most 30 s, and prints a line
for each answer. It joins no consumer group, commits no offset and delivers nothing: endpoints get a HEAD request.

Exit code 0: ok, 1: errors, 3: only warnings.`,
		RunE: func(cmd *cobra.Command, argv []string) error {
			if len(argv) == 1 {
				file = argv[0]
			}
			if file == "" {
				return errNoConfig()
			}
			failed, warned := checkConfig(cmd, file, connect)
			switch {
			case failed:
				return &exit{code: exitFailed}
			case warned:
				return &exit{code: exitWarnings}
			}
			cmd.Println("ok")
			return nil
		},
	}
	c.Flags().StringVar(&file, "config", "", "configuration file")
	c.Flags().BoolVar(&connect, "connect", false, "also try the brokers, topics, grants, databases and endpoints")
	return c
}

// checkConfig prints the problems of a configuration.
func checkConfig(cmd *cobra.Command, file string, connect bool) (failed, warned bool) {
	w := cmd.ErrOrStderr()
	cfg, problems, failed := config.Examine(file)
	printConfigProblems(w, problems)
	warned = len(problems) > 0
	if cfg != nil {
		more, err := pipeline.Check(cfg)
		printProblems(w, more)
		if idle, err := pipeline.IdleRules(cfg); err == nil { // otherwise Check has returned the reason
			printIdle(w, idle)
		}
		for _, note := range pipeline.CheckNotes(cfg) {
			fmt.Fprintf(w, "note: %s\n", note)
		}
		for _, line := range pipeline.Lines(err) {
			fmt.Fprintf(w, "error: %s\n", line)
		}
		failed = failed || err != nil || rules.Failed(more)
		warned = warned || len(more) > 0
	}
	if names := config.UnsetVariables(problems); len(names) > 0 {
		fmt.Fprintf(w, "environment variables that are not set: %s\n", strings.Join(names, ", "))
	}
	switch {
	case !connect:
	case failed:
		fmt.Fprintln(w, "nothing was connected to: mend the errors first")
	default:
		return connectConfig(cmd.Context(), cmd, cfg, warned)
	}
	return failed, warned
}

// connectConfig prints the answers of the outside systems of a configuration.
func connectConfig(ctx context.Context, cmd *cobra.Command, cfg *config.Config, warnedBefore bool) (failed, warned bool) {
	warned = warnedBefore
	answers, err := pipeline.Connect(ctx, cfg)
	for _, line := range pipeline.Lines(err) {
		fmt.Fprintf(cmd.ErrOrStderr(), "error: %s\n", line)
	}
	for _, a := range answers {
		subject := a.Component
		if a.Subject != "" {
			subject += ": " + a.Subject
		}
		kind := "ok"
		switch {
		case a.Failed:
			kind, failed = "error", true
		case a.Warning:
			kind, warned = "warning", true
		}
		cmd.Printf("%s: %s: %s\n", kind, subject, plainLines(a.Text)) // the text may be the other side's
	}
	return failed || err != nil, warned
}
