package main

import (
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

	"github.com/aidr-engine/aidr/cmd/aidr/pipeline"
	"github.com/aidr-engine/aidr/engine/cases"
	"github.com/aidr-engine/aidr/rules"
)

func rulesCommand() *cobra.Command {
	c := &cobra.Command{Use: "rules", Short: "Check, test and list rules", Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	c.AddCommand(rulesCheckCommand(), rulesTestCommand(), rulesListCommand())
	return c
}

// ruleFlags are the flags that say where rules and what they ask are.
func ruleFlags(c *cobra.Command, files *pipeline.RuleFiles) {
	c.Flags().StringVar(&files.Lists, "lists", "", "folder of lists (default: lists/ in the folder of rules)")
	c.Flags().StringVar(&files.Agents, "agents", "", "registry of agents (default: agents.yaml in the folder of rules)")
}

func printProblems(w io.Writer, problems []rules.Problem) {
	for _, p := range problems {
		kind := "error: "
		if p.Warning {
			kind = "warning: "
		}
		fmt.Fprintf(w, "%s%s\n", kind, p)
		if p.Snippet != "" {
			fmt.Fprintf(w, "  %s\n", strings.ReplaceAll(p.Snippet, "\n", "\n  "))
		}
	}
}

func rulesCheckCommand() *cobra.Command {
	var files pipeline.RuleFiles
	c := &cobra.Command{
		Use:   "check [flags] [DIR...]",
		Short: "Check rule files; print every problem, each rule's cost and how it is found",
		Long: `check loads rule files as a running aidr would and prints all problems of all files at once, as file:line:col: rule: key:
cause. For each rule it prints the estimated cost of its condition and its witness: what the index looks up. A rule
without one is tried on every event. Without DIR it checks the rules that aidr ships.

Exit code 0: all well, 1: errors, 3: warnings only.`,
		RunE: func(cmd *cobra.Command, paths []string) error {
			files.Paths = paths
			files.Drafts, files.Warn = true, true
			set, problems := pipeline.LoadRules(files)
			printProblems(cmd.ErrOrStderr(), problems)
			if set == nil {
				return &exit{code: exitFailed}
			}
			w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 4, 2, ' ', 0)
			fmt.Fprintln(w, "RULE\tKIND\tSEVERITY\tSTATUS\tCOST\tWITNESS")
			for _, r := range set.Rules {
				fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", r.ID, r.Kind, r.Severity, r.Stage, cost(r), witness(r))
			}
			if err := w.Flush(); err != nil {
				return err
			}
			if len(problems) > 0 {
				return &exit{code: exitWarnings}
			}
			return nil
		},
	}
	ruleFlags(c, &files)
	return c
}

// cost returns the estimated cost of a rule's conditions together.
func cost(r *rules.Rule) string {
	var least, most uint64
	for _, role := range r.Roles {
		lo, hi := role.Cond.Cost()
		least, most = least+lo, most+hi
	}
	return fmt.Sprintf("%d..%d", least, most)
}

// witness says what the index looks up for a rule.
func witness(r *rules.Rule) string {
	var parts []string
	for _, role := range r.Roles {
		ws := role.Cond.Witnesses()
		text := "none: tried on every event"
		switch {
		case len(ws) > 0 && ws[0].List != nil:
			text = fmt.Sprintf("%s in a list of %d", ws[0].Field, ws[0].List.Size())
		case len(ws) > 0 && len(ws[0].Values) > 0:
			text = fmt.Sprintf("%s in %q", ws[0].Field, ws[0].Values)
			if len(ws[0].Values) == 1 {
				text = fmt.Sprintf("%s == %q", ws[0].Field, ws[0].Values[0])
			} else if len(ws[0].Values) > 4 {
				text = fmt.Sprintf("%s in %d values", ws[0].Field, len(ws[0].Values))
			}
		case len(ws) > 0 && ws[0].Why != "":
			text += ": " + ws[0].Why
		}
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
		Long: `test plays the events of each test in event time from 2026-01-01T00:00:00Z and compares the findings with those that the
test expects: each must match one finding on the keys that it gives, and none may be left over. Without DIR it tests the
rules that aidr ships. Exit code 0: all pass, 1: a test fails or a rule does not load.

--update writes into the files, for each test that fails, what it found: values that an expectation gives become those of
the finding of its key, else of the next that no other expectation has; expectations too many go; findings too many come
with their key and count. Comments and layout stay. It says what was wrong: read it, because a test that is updated shows
no more than that the rule does what it does. Exit code 0 then: every test passes, or was updated.`,
		RunE: func(cmd *cobra.Command, paths []string) error {
			if run.update && len(paths) == 0 {
				return usage("--update: the rules that aidr ships can not be changed: name the folder of your own")
			}
			files.Paths, files.Drafts = paths, true
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
	c.Flags().StringArrayVar(&folders, "maps", nil, "folder of field maps for raw records, beside those that aidr ships; may be given again")
	c.Flags().StringVar(&junit, "junit", "", "write the results to this file as JUnit XML")
	c.Flags().BoolVarP(&run.verbose, "verbose", "v", false, "print the tests that pass too")
	c.Flags().BoolVar(&run.update, "update", false, "have the tests that fail expect what they found")
	return c
}

// testRun is one run of the tests in rule files.
type testRun struct {
	cmd             *cobra.Command
	verbose, update bool
	results         []cases.Result
	failed          []cases.Result
}

// result prints the outcome of a test.
func (t *testRun) result(r cases.Result) {
	t.results = append(t.results, r)
	if r.Diff != "" {
		t.failed = append(t.failed, r)
		t.cmd.Printf("FAIL %s:%d: rule %q: test %q\n  %s\n", r.File, r.Line, r.Rule, r.Test, strings.ReplaceAll(strings.TrimSpace(r.Diff), "\n", "\n  "))
	} else if t.verbose {
		t.cmd.Printf("ok   %s:%d: rule %q: test %q (%s)\n", r.File, r.Line, r.Rule, r.Test, r.Took.Round(time.Millisecond))
	}
}

// end updates what failed, where that is asked for, and says how it all went.
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

// updateTests has tests that failed expect what they found, file by file, and returns how many could be changed.
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
			if err := os.WriteFile(file, text, 0o644); err != nil { // the mode of a file that is there stays
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
	return os.WriteFile(file, append([]byte(xml.Header), b...), 0o644)
}

func rulesListCommand() *cobra.Command {
	var files pipeline.RuleFiles
	c := &cobra.Command{
		Use: "ls [flags] [DIR...]", Short: "List rules (without DIR: those that aidr ships)",
		RunE: func(cmd *cobra.Command, paths []string) error {
			files.Paths, files.Drafts = paths, true
			set, err := loadSet(cmd, files)
			if err != nil {
				return err
			}
			w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 4, 2, ' ', 0)
			fmt.Fprintln(w, "RULE\tKIND\tSEVERITY\tSTATUS\tDATASETS\tTITLE")
			for _, r := range set.Rules {
				datasets := strings.Join(r.Datasets, ",")
				if datasets == "" {
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
