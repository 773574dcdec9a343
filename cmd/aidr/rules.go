package main

import (
	"cmp"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/aidr-engine/aidr/cmd/aidr/api"
	"github.com/aidr-engine/aidr/cmd/aidr/config"
	"github.com/aidr-engine/aidr/cmd/aidr/output"
	"github.com/aidr-engine/aidr/cmd/aidr/pipeline"
	"github.com/aidr-engine/aidr/engine/cases"
	"github.com/aidr-engine/aidr/rules"
)

func rulesCommand() *cobra.Command {
	c := &cobra.Command{Use: "rules", Short: "Begin, import, check, test, list and explain rules", Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	c.AddCommand(rulesNewCommand(), rulesCheckCommand(), rulesTestCommand(), rulesListCommand(), rulesExplainCommand(), rulesTopCommand(),
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

func rulesTestCommand() *cobra.Command {
	var files pipeline.RuleFiles
	var folders []string
	var junit string
	var run testRun
	c := &cobra.Command{
		Use:   "test [flags] [DIR...]",
		Short: "Run the tests inside rule files through the real engine, in event time",
		Long: `test plays the events of each test in event time from 2026-01-01T00:00:00Z and compares the findings with the expected ones.
Each expectation must match one finding in the keys that it lists, and no finding may be left over. Without DIR, test tests
the shipped rules. Exit code 0: all tests pass, 1: a test fails or a rule does not load.

--update changes the expectations of failing tests in the files to the actual findings. An expectation gets the values of the
finding with its key, or else of the next unmatched finding. Surplus expectations are removed, and surplus findings are added
with their key and count. Comments and layout are kept. Read the differences that are printed: an updated test only shows
that the rule does what it does. Exit code 0: every test passes or was updated.`,
		RunE: func(cmd *cobra.Command, paths []string) error {
			if run.update && (len(paths) == 0 || slices.Contains(paths, pipeline.Library)) {
				return usage("--update cannot change the shipped rules: give the folder of your rules")
			}
			files.Paths, files.Drafts, files.Maps = paths, true, folders
			set, problems := pipeline.LoadRules(files)
			printProblems(cmd.ErrOrStderr(), problems)
			if set == nil {
				return &exit{code: exitFailed}
			}
			mapped, err := loadMaps(cmd, folders)
			if err != nil {
				return err
			}
			run.cmd = cmd
			if err := cases.Run(cmd.Context(), set, run.result, mapped.Maps()...); err != nil {
				return err
			}
			if junit != "" {
				if err := writeJUnit(junit, run.results); err != nil {
					return err
				}
			}
			return run.end(len(set.Rules))
		},
	}
	ruleFlags(c, &files)
	c.Flags().StringArrayVar(&folders, "maps", nil, "folder of field maps for raw records, in addition to the shipped ones; may be repeated")
	c.Flags().StringVar(&junit, "junit", "", "output file for the results as JUnit XML")
	c.Flags().BoolVarP(&run.verbose, "verbose", "v", false, "print passing tests too")
	c.Flags().BoolVar(&run.update, "update", false, "change failing tests to expect the actual findings")
	return c
}

// testRun is one run of the tests in rule files.
type testRun struct {
	cmd             *cobra.Command
	verbose, update bool
	results         []cases.Result
	failed          []cases.Result
}

// result records and prints the outcome of a test.
func (t *testRun) result(r cases.Result) {
	t.results = append(t.results, r)
	if r.Diff != "" {
		t.failed = append(t.failed, r)
		t.cmd.Printf("FAIL %s:%d: rule %q: test %q\n  %s\n", r.File, r.Line, r.Rule, r.Test, indent(strings.TrimSpace(r.Diff)))
	} else if t.verbose {
		t.cmd.Printf("ok   %s:%d: rule %q: test %q (%s)\n", r.File, r.Line, r.Rule, r.Test, r.Took.Round(time.Millisecond))
	}
}

// end updates the failing tests if --update is given, and prints the totals.
func (t *testRun) end(rules int) error {
	if !t.update {
		t.cmd.Printf("%d tests of %d rules, %d failed\n", len(t.results), rules, len(t.failed))
		if len(t.failed) > 0 {
			return &exit{code: exitFailed}
		}
		return nil
	}
	updated, err := updateTests(t.failed)
	t.cmd.Printf("%d tests of %d rules, %d failed, %d of them updated\n", len(t.results), rules, len(t.failed), updated)
	return err
}

// updateTests changes failing tests to expect the actual findings, file by file, and returns the number of changed tests.
func updateTests(failed []cases.Result) (updated int, err error) {
	byFile := map[string][]cases.Result{}
	for _, r := range failed {
		byFile[r.File] = append(byFile[r.File], r)
	}
	var errs []error
	for _, file := range slices.Sorted(maps.Keys(byFile)) {
		src, err := os.ReadFile(file)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		text, refused := cases.Update(file, src, byFile[file])
		errs = append(errs, refused...)
		if n := len(byFile[file]) - len(refused); n > 0 {
			if err := output.Edit(file, text); err != nil {
				errs = append(errs, err)
				continue
			}
			updated += n
		}
	}
	return updated, errors.Join(errs...)
}

type junitSuite struct {
	XMLName  xml.Name    `xml:"testsuite"`
	Name     string      `xml:"name,attr"`
	Tests    int         `xml:"tests,attr"`
	Failures int         `xml:"failures,attr"`
	Cases    []junitCase `xml:"testcase"`
}

type junitCase struct {
	Class   string  `xml:"classname,attr"`
	Name    string  `xml:"name,attr"`
	File    string  `xml:"file,attr"`
	Line    int     `xml:"line,attr"`
	Time    float64 `xml:"time,attr"`
	Failure string  `xml:"failure,omitempty"`
}

func writeJUnit(file string, results []cases.Result) error {
	s := junitSuite{Name: "aidr rules test", Tests: len(results)}
	for _, r := range results {
		if r.Diff != "" {
			s.Failures++
		}
		s.Cases = append(s.Cases, junitCase{r.Rule, r.Test, r.File, r.Line, r.Took.Seconds(), r.Diff})
	}
	b, err := xml.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	return output.Write(file, append([]byte(xml.Header), b...))
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
