package main

import (
	"encoding/xml"
	"errors"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/aidr-engine/aidr/cmd/aidr/output"
	"github.com/aidr-engine/aidr/cmd/aidr/pipeline"
	"github.com/aidr-engine/aidr/engine/cases"
	"github.com/aidr-engine/aidr/rules"
)

func rulesTestCommand() *cobra.Command {
	var files pipeline.RuleFiles
	var folders []string
	var junit string
	var run testRun
	var from findingOrigin
	c := &cobra.Command{
		Use:   "test [flags] [DIR...]",
		Short: "Run the tests inside rule files through the real engine, in event time",
		Long: `test plays the events of each test in event time from 2026-01-01T00:00:00Z and compares the findings with the expected ones.
Each expectation must match one finding in the keys that it lists, and no finding may be left over. Without DIR, test tests
the shipped rules. Exit code 0: all tests pass, 1: a test fails or a rule does not load.

--update changes the expectations of failing tests in the files to the actual findings. An expectation gets the values of the
finding with its key, or else of the next unmatched finding. Surplus expectations are removed, and surplus findings are added
with their key and count. Comments and layout are kept. Read the differences that are printed: an updated test only shows
that the rule does what it does. Exit code 0: every test passes or was updated.

--run selects tests by a regular expression over rule/test, as llm.tool-call-burst/101 calls.

--from-finding prints a test that is made of a finding: the events of its evidence, with the values that the rule reads. The
finding is read from the state directory, from the output of aidr replay (--findings), or from ClickHouse (--clickhouse, --dsn).
Evidence has the first 3 and the last 5 events, redacted: those between are repeated, a history that the rule compares with is
made up, and comments in the test report both. The test is printed only if the rule finds the same key in it; with --update it
is added to the file of the rule.`,
		Example: `  aidr rules test rules --run 'burst/' -v
  aidr rules test --from-finding 0a861760-9b7a-7f02-7a01-da526537898c --state state
  aidr rules test rules --from-finding 0a861760-9b7a-7f02-7a01-da526537898c --findings out.jsonl --update`,
		RunE: func(cmd *cobra.Command, paths []string) error {
			only, err := regexp.Compile(run.only)
			if err != nil {
				return usage("--run: %v", err)
			}
			if run.update && (len(paths) == 0 || slices.Contains(paths, pipeline.Library)) {
				return usage("--update cannot change the shipped rules: give the folder of your rules")
			}
			files.Paths, files.Drafts, files.Maps = paths, true, folders
			set, problems := pipeline.LoadRules(files)
			printProblems(cmd.ErrOrStderr(), problems)
			if set == nil {
				return &exit{code: exitFailed}
			}
			if from.id != "" {
				return testFromFinding(cmd, &from, set, run.update)
			}
			selected := selectTests(set.Rules, only)
			if len(selected) == 0 && run.only != "" {
				return fmt.Errorf("no test matches --run %q: a name is rule/test", run.only)
			}
			mapped, err := loadMaps(cmd, folders)
			if err != nil {
				return err
			}
			run.cmd = cmd
			if err := cases.RunOf(cmd.Context(), set, selected, run.result, mapped.Maps()...); err != nil {
				return err
			}
			if junit != "" {
				if err := writeJUnit(junit, run.results); err != nil {
					return err
				}
			}
			return run.end(len(selected))
		},
	}
	ruleFlags(c, &files)
	from.flags(c)
	c.Flags().StringVar(&run.only, "run", "", "only the tests whose rule/test matches this regular expression")
	c.Flags().StringArrayVar(&folders, "maps", nil, "folder of field maps for raw records, in addition to the shipped ones; may be repeated")
	c.Flags().StringVar(&junit, "junit", "", "output file for the results as JUnit XML")
	c.Flags().BoolVarP(&run.verbose, "verbose", "v", false, "print passing tests too")
	c.Flags().BoolVar(&run.update, "update", false, "change failing tests to expect the actual findings")
	return c
}

// testRun is one run of the tests in rule files.
type testRun struct {
	cmd             *cobra.Command
	only            string // a regular expression, or "" for all tests
	verbose, update bool
	results         []cases.Result
	failed          []cases.Result
}

// selectTests returns the rules with those of their tests that match rule/test, without the rules that none matches. An empty
// expression matches all rules, even one without tests.
func selectTests(all []*rules.Rule, only *regexp.Regexp) (out []*rules.Rule) {
	if only.String() == "" {
		return all
	}
	for _, r := range all {
		some := *r
		some.Tests = slices.DeleteFunc(slices.Clone(r.Tests), func(t rules.Test) bool { return !only.MatchString(r.ID + "/" + t.Name) })
		if len(some.Tests) > 0 {
			out = append(out, &some)
		}
	}
	return out
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
