package main

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/aidr-engine/aidr/cmd/aidr/api"
	"github.com/aidr-engine/aidr/cmd/aidr/config"
	"github.com/aidr-engine/aidr/cmd/aidr/pipeline"
	"github.com/aidr-engine/aidr/rules"
)

func rulesCommand() *cobra.Command {
	c := &cobra.Command{Use: "rules", Short: "Begin, import, check, test, list and explain rules", Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	c.AddCommand(rulesNewCommand(), rulesCheckCommand(), rulesTestCommand(), rulesListCommand(), rulesCoverageCommand(), rulesExplainCommand(), rulesTopCommand(),
		rulesBacktestCommand(), rulesImportCommand(), rulesDocsCommand())
	return c
}

// ruleFlags adds the flags for the files that rules refer to.
func ruleFlags(c *cobra.Command, files *pipeline.RuleFiles) {
	c.Flags().StringVar(&files.Lists, "lists", "", "folder of lists (default: lists/ in the folder of rules)")
	c.Flags().StringVar(&files.Agents, "agents", "", "registry of agents (default: agents.yaml in the folder of rules)")
}

func printProblems(w io.Writer, problems []rules.Problem) {
	for _, p := range problems {
		printProblem(w, p.Warning, p.String(), p.Snippet)
	}
}

// printProblem prints a problem, and the lines of the file that it quotes, if any.
func printProblem(w io.Writer, warning bool, text, snippet string) {
	kind := "error"
	if warning {
		kind = "warning"
	}
	fmt.Fprintf(w, "%s: %s\n", kind, text)
	if snippet != "" {
		fmt.Fprintf(w, "  %s\n", indent(snippet))
	}
}

// indent indents the lines after the first.
func indent(text string) string { return strings.ReplaceAll(text, "\n", "\n  ") }

func rulesCheckCommand() *cobra.Command {
	var files pipeline.RuleFiles
	var configFile string
	c := &cobra.Command{
		Use:   "check [flags] [DIR...]",
		Short: "Check rule files; print every problem, and the cost and witness of each rule",
		Long: `check loads rule files as a running aidr would and prints all problems of all files at once, as file:line:col: rule: key:
cause. For each rule it prints the estimated cost of its condition, and its witness: the facts by which the index finds the
rule. A rule without a witness is evaluated for every event, and one over other rules for each of their triggers. Without DIR,
check checks the shipped rules.

With --config, check loads the rules, the lists and the registry of that configuration, unless they are given, and also prints
the rules that are idle there, because no source carries one of their datasets, or a list or the registry that they need is
empty or missing, and what to do about it. Idle rules do not change the exit code.

Exit code 0: ok, 1: errors, 3: only warnings.`,
		RunE: func(cmd *cobra.Command, paths []string) error {
			files.Paths = paths
			files.Drafts, files.Warn = true, true
			var cfg *config.Config
			if configFile != "" {
				var err error
				if cfg, err = loadConfig(cmd, configFile); err != nil {
					return err
				}
				files.UseConfig(cfg)
			}
			set, problems := pipeline.LoadRules(files)
			printProblems(cmd.ErrOrStderr(), problems)
			if set == nil {
				return &exit{code: exitFailed}
			}
			if err := printChecked(cmd.OutOrStdout(), set, cfg); err != nil {
				return err
			}
			if len(problems) > 0 {
				return &exit{code: exitWarnings}
			}
			return nil
		},
	}
	ruleFlags(c, &files)
	c.Flags().StringVar(&configFile, "config", "", "configuration for whose site the rules are checked")
	return c
}

// printChecked prints a table of the rules and, if there is a configuration, the rules that are idle with it.
func printChecked(out io.Writer, set *pipeline.Set, cfg *config.Config) error {
	stage := map[string]string{} // by rule
	var idle []api.IdleRules
	if cfg != nil {
		all, err := pipeline.Activities(cfg, set)
		if err != nil {
			return err
		}
		idle = pipeline.GroupIdle(all)
		for _, a := range all {
			if a.Activity == rules.Idle {
				stage[a.Rule.ID] = string(a.Activity)
			}
		}
	}
	w := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	fmt.Fprintln(w, "RULE\tKIND\tSEVERITY\tSTATUS\tCOST\tWITNESS")
	for n, r := range set.Rules {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", r.ID, r.Kind, r.Severity, cmp.Or(stage[r.ID], string(r.Stage)), cost(r), witness(set, n))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	printIdle(out, idle)
	return nil
}

// printIdle prints the rules that can find nothing at a site, with the reasons and the remedies.
func printIdle(out io.Writer, idle []api.IdleRules) {
	n := 0
	for _, g := range idle {
		n += len(g.Rules)
	}
	if n > 0 {
		fmt.Fprintf(out, "%d rules are idle: they find nothing at this site\n", n)
	}
	for _, g := range idle {
		fmt.Fprintf(out, "  %s\n    %s: %s\n", plain(strings.Join(g.Rules, " ")), plain(g.Reason), plain(g.Remedy))
	}
}

// cost returns the estimated cost of a rule.
func cost(r *rules.Rule) string {
	least, most := r.Cost()
	return fmt.Sprintf("%d..%d", least, most)
}

// over describes the items of a rule over others.
func over(r *rules.Rule) string {
	n := 0
	for _, f := range r.Over.Feeding {
		if f.Feeds(r) {
			n++
		}
	}
	if n == 1 {
		return "over: 1 rule"
	}
	return fmt.Sprintf("over: %d rules", n)
}

// witness describes the facts by which the index finds a rule. One over other rules is not in the index.
func witness(set *rules.Set, n int) string {
	if r := set.Rules[n]; r.Over != nil {
		return over(r)
	}
	var parts []string
	for i, role := range set.Rules[n].Roles {
		text := set.Witness(n, i)
		if role.Name != "" {
			text = role.Name + ": " + text
		}
		parts = append(parts, text)
	}
	return strings.Join(parts, "; ")
}

func rulesListCommand() *cobra.Command {
	var files pipeline.RuleFiles
	c := &cobra.Command{
		Use: "ls [flags] [DIR...]", Short: "List rules (without DIR: the shipped rules)",
		RunE: func(cmd *cobra.Command, paths []string) error {
			files.Paths, files.Drafts = paths, true
			set, err := loadSet(cmd, files)
			if err != nil {
				return err
			}
			w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 4, 2, ' ', 0)
			fmt.Fprintln(w, "RULE\tKIND\tSEVERITY\tSTATUS\tDATASETS\tTITLE")
			for _, r := range set.Rules {
				datasets := strings.Join(r.DatasetsAsWritten, ",")
				switch {
				case r.Over != nil:
					datasets = over(r)
				case datasets == "":
					datasets = "any"
				}
				fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", r.ID, r.Kind, r.Severity, r.Stage, datasets, r.Title)
			}
			return w.Flush()
		},
	}
	ruleFlags(c, &files)
	return c
}
