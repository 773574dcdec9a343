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
	c := &cobra.Command{Use: "maps", Short: "Check and test field maps, which read logs of other formats", Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	c.AddCommand(mapsCheckCommand(), mapsTestCommand())
	return c
}

// loadMaps loads field maps and prints what is wrong with them; it fails where that is more than a warning.
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

// chosen says which files a command is about: those of the folders that were named, else the shipped ones.
func chosen(folders []string) func(*maps.File) bool {
	return func(f *maps.File) bool { return f.Shipped == (len(folders) == 0) }
}

func mapsCheckCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "check [DIR...]",
		Short: "Check field maps; print every problem, and what each map reads",
		Long: `check loads field maps as a running aidr would and prints all problems of all files at once, as file:line:col: key: cause.
Without DIR it checks the maps that aidr ships.

Exit code 0: all well, 1: errors, 3: warnings only.`,
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
		Long: `test decodes the record of each test, with every map and every built-in format taking part in recognising it, and compares
the events, the dead letters and the faults with what the test expects. Without DIR it tests the maps that aidr ships.

Exit code 0: all pass, 1: a test fails or a map does not load.`,
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
						strings.ReplaceAll(strings.TrimSpace(r.Diff), "\n", "\n  "))
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
	c.Flags().BoolVarP(&verbose, "verbose", "v", false, "print the tests that pass too")
	return c
}

func formatsCommand() *cobra.Command {
	var folders []string
	c := &cobra.Command{
		Use: "formats", Short: "List the formats that aidr reads: their datasets, and the keys that tell them", Args: args(cobra.NoArgs),
		Long: `formats lists what a source's "format" may be. With format auto a record is of the format all of whose keys stand at its
top; of several the one with the most keys, and of equals a built-in one before a field map.`,
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
			fmt.Fprintln(w, "FORMAT\tALSO\tDATASETS\tREAD BY\tKEYS")
			for _, f := range decode.Formats(set.Maps()...) {
				datasets := strings.Join(f.Datasets, ",")
				if f.Datasets == nil {
					datasets = "(the record's own)"
				}
				by := from[f.Name]
				if by == "" {
					by = "built in"
				}
				fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", f.Name, strings.Join(f.Aliases, ","), datasets, by, f.Keys)
			}
			return w.Flush()
		},
	}
	c.Flags().StringArrayVar(&folders, "maps", nil, "folder of field maps, beside those that aidr ships; may be given again")
	return c
}
