package top

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"golang.org/x/text/width"
)

// mostShards is the number of shards that a screen lists; the others are like them.
const mostShards = 8

// Screen returns the lines of a frame for a terminal of some columns and rows; 0 means no limit. Every text in it, such as the error
// of a sink, passes through plain, which must leave no character that controls a terminal.
func Screen(f *Frame, columns, rows int, plain func(string) string) []string {
	var out bytes.Buffer
	fmt.Fprintf(&out, "aidr %s  %s  up %v  %s\n", f.Version, f.Status, f.Time.Sub(f.Since).Round(time.Second), f.Time.UTC().Format(time.RFC3339))
	fmt.Fprintf(&out, "%s events/s  %s finding changes/s  %s late/s  %d dead letters  %.2f cores\n", number(f.Events), number(f.Findings), number(f.Late), f.Dead, f.Busy)
	fmt.Fprintf(&out, "memory %s of %s  checkpoint %v  disk free %s\n", size(float64(f.Memory)), size(float64(f.Budget)),
		time.Duration(f.Checkpoint*float64(time.Second)).Round(100*time.Microsecond), size(f.DiskFree))
	for _, p := range f.Problems {
		fmt.Fprintf(&out, "! %s: %s\n", plain(p.Name), plain(strings.ReplaceAll(p.Text, "\n", "; ")))
	}
	t := tabwriter.NewWriter(&out, 0, 4, 2, ' ', 0)
	fmt.Fprintln(t, "\nSOURCE\tSTATE\tPARTITIONS\tRECORDS/S\tLAG\tBEHIND")
	for _, s := range f.Sources {
		lag, behind := "-", "-"
		if s.Lag >= 0 {
			lag = strconv.FormatInt(s.Lag, 10)
		}
		if s.Behind >= 0 {
			behind = time.Duration(s.Behind * float64(time.Second)).Round(100 * time.Millisecond).String()
		}
		fmt.Fprintf(t, "%s\t%s\t%d\t%s\t%s\t%s\n", plain(s.Name), s.Status, s.Partitions, number(s.Records), lag, behind)
	}
	t.Flush()
	t = tabwriter.NewWriter(&out, 0, 4, 2, ' ', 0)
	fmt.Fprintln(t, "\nSINK\tSTATE\tDELIVERED/S\tWAITING\tOLDEST\tERROR")
	for _, s := range f.Sinks {
		fmt.Fprintf(t, "%s\t%s\t%s\t%d\t%.0f s\t%s\n", plain(s.Name), s.State, number(s.Delivered), s.Waiting, s.Oldest, plain(strings.ReplaceAll(s.Error, "\n", "; ")))
	}
	t.Flush()
	t = tabwriter.NewWriter(&out, 0, 4, 2, ' ', 0)
	fmt.Fprintln(t, "\nSHARD\tBUSY\tITEMS/S\tCELLS\tMEMORY\tQUEUED")
	for i, s := range f.Shards {
		if i == mostShards {
			fmt.Fprintf(t, "and %d more\n", len(f.Shards)-i)
			break
		}
		fmt.Fprintf(t, "%d\t%.0f %%\t%s\t%d\t%s\t%d\n", s.Shard, 100*s.Busy, number(s.Items), s.Cells, size(float64(s.Bytes)), s.Queued)
	}
	t.Flush()
	t = tabwriter.NewWriter(&out, 0, 4, 2, ' ', 0)
	fmt.Fprintln(t, "\nRULE\tCORES\tCANDIDATES/S\tHITS/S\tERRORS/S")
	for _, r := range f.Rules {
		fmt.Fprintf(t, "%s\t%.3f\t%s\t%s\t%s\n", plain(r.Rule), r.Cores, number(r.Candidates), number(r.Hits), number(r.Errors))
	}
	t.Flush()
	lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
	if rows > 0 && len(lines) > rows {
		lines = lines[:rows]
	}
	for i := range lines {
		lines[i] = cut(lines[i], columns)
	}
	return lines
}

// number returns a rate with three significant digits.
func number(x float64) string {
	switch {
	case x == 0:
		return "0"
	case x < 10:
		return strconv.FormatFloat(x, 'f', 2, 64)
	}
	return strconv.FormatFloat(x, 'f', 0, 64)
}

// size returns a number of bytes with a unit.
func size(x float64) string {
	for _, unit := range []string{"B", "KiB", "MiB"} {
		if x < 1024 {
			return fmt.Sprintf("%.0f %s", x, unit)
		}
		x /= 1024
	}
	return fmt.Sprintf("%.1f GiB", x)
}

// cut returns the beginning of a line that fits into some columns; 0 means no limit.
func cut(line string, columns int) string {
	if columns <= 0 {
		return line
	}
	used := 0
	for i, r := range line {
		w := 1
		if k := width.LookupRune(r).Kind(); k == width.EastAsianWide || k == width.EastAsianFullwidth {
			w = 2
		}
		if used += w; used > columns {
			return line[:i]
		}
	}
	return line
}
