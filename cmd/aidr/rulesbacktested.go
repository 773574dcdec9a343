package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/aidr-engine/aidr/cmd/aidr/backtest"
)

// maxShown is the number of findings that differ, of days and of agents that the tables of a backtest show. JSON has more.
const maxShown = 50

// printBacktest prints a report as tables. Its texts come from logs.
func printBacktest(w io.Writer, r *backtest.Report) error {
	if !r.Complete {
		printHowFar(w, r)
	}
	in := r.Input
	fmt.Fprintf(w, "%d records, %d events on %d days", in.Records, in.Events, in.Days)
	for _, x := range []struct {
		n    int64
		name string
	}{{in.Dead, "dead letters"}, {in.Late, "late events"}, {in.Skipped, "skipped elements"}, {in.FieldErrors, "field errors"}} {
		if x.n > 0 {
			fmt.Fprintf(w, ", %d %s", x.n, x.name)
		}
	}
	fmt.Fprint(w, "\n\n")
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	printBacktestRules(t, r.Rules)
	if len(r.Days) > 0 {
		fmt.Fprint(t, "\nDAY\tEVENTS\tFINDINGS\n")
		for _, d := range r.Days[:min(len(r.Days), maxShown)] {
			fmt.Fprintf(t, "%s\t%d\t%d\n", d.Date, d.Events, d.Findings)
		}
		printMore(t, len(r.Days))
	}
	if len(r.Agents) > 0 {
		fmt.Fprint(t, "\nAGENT\tTENANT\tFINDINGS\n")
		for _, a := range r.Agents {
			fmt.Fprintf(t, "%s\t%s\t%d\n", orDash(plain(a.UID)), orDash(plain(a.Tenant)), a.Findings)
		}
	}
	if err := t.Flush(); err != nil {
		return err
	}
	if r.Difference != nil {
		return printDifference(w, r.Difference)
	}
	return nil
}

// printHowFar prints the positions of a partial report.
func printHowFar(w io.Writer, r *backtest.Report) {
	ended := 0
	for _, p := range r.Partitions {
		if p.Final || p.End >= 0 && p.Position >= p.End {
			ended++
		}
	}
	fmt.Fprintf(w, "PARTIAL: the run ended early; %d of %d partitions were read to their end\n", ended, len(r.Partitions))
	for _, p := range r.Partitions[:min(len(r.Partitions), maxShown)] {
		of := ""
		if p.End >= 0 {
			of = fmt.Sprintf(" of %d", p.End)
		}
		fmt.Fprintf(w, "  %s/%d up to %d%s\n", plain(p.Topic), p.Number, p.Position, of)
	}
	fmt.Fprintln(w)
}

// printBacktestRules prints the rules that had an effect.
func printBacktestRules(t io.Writer, all []backtest.Rule) {
	fmt.Fprintln(t, "RULE\tSEVERITY\tHITS\tSUPPRESSED\tERRORS\tFINDINGS\tOPEN\tPER DAY\tAGENTS\tEXPECTED\t")
	quiet := 0
	for _, r := range all {
		if r.Hits+r.Excepted+r.Failed+r.Findings == 0 {
			quiet++
			continue
		}
		verdict := ""
		if r.Verdict == backtest.Above {
			verdict = "ABOVE"
		}
		fmt.Fprintf(t, "%s\t%s\t%d\t%d\t%d\t%d\t%d\t%.2f\t%d\t%s\t%s\n", r.ID, r.Severity, r.Hits, r.Excepted, r.Failed, r.Findings, r.Open,
			r.PerDay, r.NumAgents, orDash(plain(r.Expected)), verdict)
	}
	if quiet > 0 {
		fmt.Fprintf(t, "%d more rules matched nothing\n", quiet)
	}
}

// printDifference prints how the findings of two sets differ.
func printDifference(w io.Writer, d *backtest.Difference) error {
	fmt.Fprintf(w, "\nDIFFERENCE: %d findings are the same, %d are only left, %d only right, %d changed\n", d.Same, d.OnlyLeft, d.OnlyRight, d.Changed)
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	if len(d.Rules) > 0 {
		fmt.Fprint(t, "\nRULE\tSAME\tONLY LEFT\tONLY RIGHT\tCHANGED\tWHY\n")
	}
	for _, r := range d.Rules {
		fmt.Fprintf(t, "%s\t%d\t%d\t%d\t%d\t%s\n", r.ID, r.Same, r.OnlyLeft, r.OnlyRight, r.Changed, plain(strings.Join(r.Why, "; ")))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for i, c := range d.Findings[:min(len(d.Findings), maxShown)] {
		if i == 0 {
			fmt.Fprintln(w)
		}
		fmt.Fprintf(w, "%s: %s %s %s: %s\n  key %s, count %d\n", c.Change, c.Start, c.Rule, c.Severity, plainLine(c.Summary), plain(c.Key), c.Count)
		for _, why := range c.Why {
			fmt.Fprintf(w, "  %s\n", plainLine(why))
		}
	}
	printMore(w, len(d.Findings)+int(d.Omitted))
	return nil
}

// printMore prints how many rows a table leaves out.
func printMore(w io.Writer, rows int) {
	if rows > maxShown {
		fmt.Fprintf(w, "and %d more: --json has them\n", rows-maxShown)
	}
}
