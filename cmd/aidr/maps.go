package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/aidr-engine/aidr/cmd/aidr/maps"
	"github.com/aidr-engine/aidr/rules/doc"
	"github.com/aidr-engine/aidr/schema/decode"
)

func mapsCommand() *cobra.Command {
	c := &cobra.Command{Use: "maps", Short: "Check and test field maps, which describe further log formats", Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	c.AddCommand(mapsCheckCommand(), mapsTestCommand())
	return c
}

// loadMaps loads field maps and prints all problems. It fails if a problem is more than a warning.
func loadMaps(cmd *cobra.Command, folders []string) (*maps.Set, error) {
	set, problems := maps.Load(folders...)
	printMapProblems(cmd.ErrOrStderr(), problems)
	if set == nil {
		return nil, &exit{code: exitFailed}
	}
	return set, nil
}

func printMapProblems(w io.Writer, problems []doc.Problem) {
	for _, p := range problems {
		printProblem(w, p.Warning, p.String(), p.Snippet)
	}
}

// chosen returns the filter of a command's files: those in the given folders or, without folders, the shipped ones.
func chosen(folders []string) func(*maps.File) bool {
	return func(f *maps.File) bool { return f.Shipped == (len(folders) == 0) }
}

func mapsCheckCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "check [DIR...]",
		Short: "Check field maps; print every problem, and a summary of each map",
		Long: `check loads field maps as a running aidr would and prints all problems of all files at once, as file:line:col: key: cause.
Without DIR, check checks the shipped maps.

Exit code 0: ok, 1: errors, 3: only warnings.`,
		RunE: func(cmd *cobra.Command, folders []string) error {
			set, problems := maps.Load(folders...)
			printMapProblems(cmd.ErrOrStderr(), problems)
			if set == nil {
				return &exit{code: exitFailed}
			}
			w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 4, 2, ' ', 0)
			fmt.Fprintln(w, "MAP\tDATASET\tCLASS\tFIELDS\tTESTS\tIDENTITY")
			for _, f := range set.Files {
				if !chosen(folders)(f) {
					continue
				}
				var rungs []string
				for i := range f.Identity {
					rungs = append(rungs, f.Identity[i].Rung())
				}
				fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%d\t%s\n", f.Map.Name, f.Dataset, f.Class, len(f.Fields), len(f.Tests), strings.Join(rungs, " > "))
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
}

func mapsTestCommand() *cobra.Command {
	var verbose bool
	c := &cobra.Command{
		Use:   "test [flags] [DIR...]",
		Short: "Run the tests inside field maps",
		Long: `test decodes the record of each test and compares the events, dead letters and faults with the expected ones. All maps and
all built-in formats take part in recognising the record. Without DIR, test tests the shipped maps.

Exit code 0: all tests pass, 1: a test fails or a map does not load.`,
		RunE: func(cmd *cobra.Command, folders []string) error {
			set, err := loadMaps(cmd, folders)
			if err != nil {
				return err
			}
			tests, failed, files := 0, 0, map[*maps.File]bool{}
			err = set.Run(chosen(folders), func(r maps.Result) {
				tests++
				files[r.File] = true
				if r.Diff != "" {
					failed++
					cmd.Printf("FAIL %s:%d: map %q: test %q\n  %s\n", r.File.Path, r.Test.Line, r.File.Map.Name, r.Test.Name,
						indent(strings.TrimSpace(r.Diff)))
				} else if verbose {
					cmd.Printf("ok   %s:%d: map %q: test %q\n", r.File.Path, r.Test.Line, r.File.Map.Name, r.Test.Name)
				}
			})
			if err != nil {
				return err
			}
			cmd.Printf("%d tests of %d maps, %d failed\n", tests, len(files), failed)
			if failed > 0 {
				return &exit{code: exitFailed}
			}
			return nil
		},
	}
	c.Flags().BoolVarP(&verbose, "verbose", "v", false, "print passing tests too")
	return c
}

func formatsCommand() *cobra.Command {
	var folders []string
	c := &cobra.Command{
		Use: "formats", Short: "List the formats that aidr reads, with their datasets, families and identifying keys", Args: args(cobra.NoArgs),
		Long: `formats lists the values of a source's "format". With format auto, the format of a record is the one whose keys are all at
the top of the record. Of several formats, the one with the most keys is used; of equals, a built-in one before a field map.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			set, err := loadMaps(cmd, folders)
			if err != nil {
				return err
			}
			from := map[string]string{}
			for _, f := range set.Files {
				from[f.Map.Name] = "map " + f.Path
			}
			w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 4, 2, ' ', 0)
			fmt.Fprintln(w, "FORMAT\tALSO\tDATASETS\tFAMILIES\tREAD BY\tKEYS")
			for _, f := range decode.Formats(set.Maps()...) {
				datasets := strings.Join(f.Datasets, ",")
				if f.Datasets == nil {
					datasets = "(the record's own)"
				}
				by := from[f.Name]
				if by == "" {
					by = "built in"
				}
				fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", f.Name, strings.Join(f.Aliases, ","), datasets, strings.Join(f.Families, ","), by, f.Keys)
			}
			return w.Flush()
		},
	}
	c.Flags().StringArrayVar(&folders, "maps", nil, "folder of field maps, in addition to the shipped ones; may be repeated")
	c.AddCommand(coverageCommand())
	return c
}
