package main

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/aidr-engine/aidr/cmd/aidr/api"
	"github.com/aidr-engine/aidr/cmd/aidr/output"
	"github.com/aidr-engine/aidr/schema"
)

// inventoryList is the group of commands of one list of the inventory: agents, credentials or tools.
type inventoryList struct {
	name   string // of the list in the control API
	one    string // the name of one element, and of the argument of show
	short  string
	lines  func() entityLine
	header []string
	filter map[string]schema.UseKind // flags that select by a value
}

// entityLine is a line of a list.
type entityLine interface {
	cells() []string
	show(out io.Writer)
}

func (l *inventoryList) command() *cobra.Command {
	var w stateFlags
	c := &cobra.Command{Use: l.name, Short: l.short, Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	w.flags(c)
	c.AddCommand(l.ls(&w), l.showCommand(&w), l.tail(&w))
	return c
}

// entityFlags are the flags that select elements of a list.
type entityFlags struct {
	tenant, name, since, kind string
	fresh                     bool
	uses                      map[schema.UseKind]*string
}

func (q *entityFlags) flags(c *cobra.Command, l *inventoryList) {
	f := c.Flags()
	f.StringVar(&q.tenant, "tenant", "", "only this tenant")
	f.StringVar(&q.name, "name", "", "only those with this text in their name or id")
	f.StringVar(&q.since, "since", "", "only those seen since this instant, or this long ago (2h, 7d)")
	f.BoolVar(&q.fresh, "new", false, "only those with new behaviour within a week")
	q.uses = map[schema.UseKind]*string{}
	for _, flag := range sortedKeys(l.filter) {
		text := new(string)
		f.StringVar(text, flag, "", "only those seen with this "+strings.ReplaceAll(flag, "-", " "))
		q.uses[l.filter[flag]] = text
	}
	if l.name == "tools" {
		f.StringVar(&q.kind, "type", "", "only tool, mcp_server or model")
	}
}

func (q *entityFlags) values(cmd *cobra.Command) url.Values {
	v := url.Values{}
	for name, text := range map[string]string{"name": q.name, "since": q.since, "type": q.kind} {
		if text != "" {
			v.Set(name, text)
		}
	}
	if cmd.Flags().Changed("tenant") {
		v.Set("tenant", q.tenant)
	}
	if q.fresh {
		v.Set("new", "true")
	}
	for kind, text := range q.uses {
		if *text != "" {
			v.Add("use", kind.String()+"="+*text)
		}
	}
	return v
}

func (l *inventoryList) ls(w *stateFlags) *cobra.Command {
	var q entityFlags
	var limit int
	var asCSV bool
	c := &cobra.Command{Use: "ls", Short: "List " + l.name + ", those with the highest risk first", Args: args(cobra.NoArgs),
		Long: "ls lists the " + l.name + ` that events have shown, sorted by risk: by the findings of the last week, the most severe first, then by
the day of the newest behaviour, then by how much they reach. It works without a registry.`,
		Example: "  aidr " + l.name + " ls --new --since 24h\n  aidr " + l.name + " ls --csv --limit 0 > " + l.name + ".csv"}
	q.flags(c, l)
	c.Flags().IntVar(&limit, "limit", 50, "maximum number (0: no limit)")
	c.Flags().BoolVar(&asCSV, "csv", false, "print CSV; no cell begins a formula")
	c.RunE = w.with(func(ctx context.Context, cmd *cobra.Command, cl *api.Client, _ []string) error {
		v := q.values(cmd)
		v.Set("limit", strconv.Itoa(limit))
		out := cmd.OutOrStdout()
		if w.json {
			return printLines(ctx, out, cl, "/v1/inventory/"+l.name, v)
		}
		var rows [][]string
		err := cl.Lines(ctx, "/v1/inventory/"+l.name, v, func(line []byte) bool {
			e := l.lines()
			if json.Unmarshal(line, e) != nil {
				return false
			}
			rows = append(rows, e.cells())
			return true
		})
		switch {
		case err != nil:
			return err
		case asCSV:
			return writeCSV(out, l.header, rows)
		case len(rows) == 0:
			fmt.Fprintln(cmd.ErrOrStderr(), "no event has shown any that match")
			return nil
		}
		return writeTable(out, l.header, rows)
	})
	return c
}

// maxCell is the number of characters of a cell in a table for people.
const maxCell = 60

// writeTable prints rows in columns.
func writeTable(out io.Writer, header []string, rows [][]string) error {
	t := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	fmt.Fprintln(t, strings.Join(header, "\t"))
	for _, row := range rows {
		cells := make([]string, len(row))
		for i, text := range row {
			cells[i] = shorten(plainLine(text), maxCell)
		}
		fmt.Fprintln(t, strings.Join(cells, "\t"))
	}
	return t.Flush()
}

// shorten cuts a text to n characters.
func shorten(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return string(r[:n-1]) + "…"
	}
	return s
}

// writeCSV writes rows as CSV that is safe to open with a spreadsheet.
func writeCSV(out io.Writer, header []string, rows [][]string) error {
	w := csv.NewWriter(out)
	err := w.Write(header)
	for _, row := range rows {
		cells := make([]string, len(row))
		for i, text := range row {
			cells[i] = output.Cell(plainLine(text))
		}
		if err == nil {
			err = w.Write(cells)
		}
	}
	w.Flush()
	if err == nil {
		err = w.Error()
	}
	return err
}

func (l *inventoryList) showCommand(w *stateFlags) *cobra.Command {
	var tenant, kind string
	c := &cobra.Command{Use: "show " + strings.ToUpper(l.one), Args: args(cobra.ExactArgs(1)),
		Short: "Show one " + strings.ReplaceAll(l.one, "_", " ") + ": with what it was seen, what is new, open findings",
		Long: `show takes the id, or a part of the name that only one has. It prints each value with the number of events and the first and
last time; a star marks the values that are new within a week.`}
	c.Flags().StringVar(&tenant, "tenant", "", "the tenant, if several have the same name")
	if l.name == "tools" {
		c.Flags().StringVar(&kind, "type", "", "tool, mcp_server or model, if several have the same name")
	}
	c.RunE = w.with(func(ctx context.Context, cmd *cobra.Command, cl *api.Client, argv []string) error {
		v := url.Values{"name": {argv[0]}}
		if cmd.Flags().Changed("tenant") {
			v.Set("tenant", tenant)
		}
		if kind != "" {
			v.Set("type", kind)
		}
		e := l.lines()
		if err := cl.Do(ctx, http.MethodGet, "/v1/inventory/"+l.name+"/one", v, e); err != nil {
			return err
		}
		out := cmd.OutOrStdout()
		if w.json {
			return printJSON(out, e, true)
		}
		e.show(out)
		if a, ok := e.(*agentLine); ok {
			return a.showFindings(ctx, out, cl)
		}
		return nil
	})
	return c
}

func (l *inventoryList) tail(w *stateFlags) *cobra.Command {
	var q entityFlags
	c := &cobra.Command{Use: "tail", Short: "Follow " + l.name + " as events show them", Args: args(cobra.NoArgs)}
	q.flags(c, l)
	c.RunE = w.with(func(ctx context.Context, cmd *cobra.Command, cl *api.Client, _ []string) error {
		out := cmd.OutOrStdout()
		if w.json {
			return printLines(ctx, out, cl, "/v1/inventory/"+l.name+"/tail", q.values(cmd))
		}
		seen := map[string]schema.Instant{} // the newest value that was printed, by name
		return cl.Lines(ctx, "/v1/inventory/"+l.name+"/tail", q.values(cmd), func(line []byte) bool {
			e := l.lines()
			if json.Unmarshal(line, e) != nil {
				return false
			}
			return tailLine(out, e, seen) == nil
		})
	})
	return c
}

// tailLine prints one change: the name, its events, and the values that are new since the last line about it.
func tailLine(out io.Writer, e entityLine, seen map[string]schema.Instant) error {
	b := e.(interface{ body() *entityBody }).body()
	key := b.tenant + "\x00" + b.kind + "\x00" + b.name
	since, known := seen[key]
	seen[key] = b.newest
	var fresh []string
	for kind, list := range b.uses {
		for _, u := range list {
			if u.FirstSeen > since && (known || u.FirstSeen >= b.last.Sub(tailWindow)) {
				fresh = append(fresh, plainLine(schema.UseKind(kind).String()+": "+u.Name))
			}
		}
	}
	news := ""
	if len(fresh) > 0 {
		news = "  new " + shorten(strings.Join(fresh, ", "), 4*maxCell)
	}
	_, err := fmt.Fprintf(out, "%s  %s  %d events%s\n", b.last, plainLine(b.title()), b.totals.Events, news)
	return err
}

// tailWindow is how far back values count as new in the first line about an entity.
const tailWindow = 60 * 1e9

// entityBody is what the lines of all lists have in common.
type entityBody struct {
	kind, tenant, name, label string // label is the name for people, "" if it has none
	first, last, newest       schema.Instant
	totals                    schema.Totals
	uses                      schema.Uses
	omitted                   schema.Omitted
	risk                      api.Risk
}

// title returns the name for people with the id.
func (b *entityBody) title() string {
	if b.label != "" && b.label != b.name {
		return b.label + " (" + b.name + ")"
	}
	return b.name
}

// count returns how many values of a kind there are, with a plus if the list is full.
func (b *entityBody) count(kind schema.UseKind) string {
	n := strconv.Itoa(len(b.uses[kind]))
	if b.omitted[kind] > 0 {
		n += "+"
	}
	return n
}

// names returns the names of a kind, the most used first.
func (b *entityBody) names(kind schema.UseKind) string {
	list := slices.Clone(b.uses[kind])
	slices.SortStableFunc(list, func(a, b schema.Use) int { return int(min(1, max(-1, b.Count-a.Count))) })
	var out []string
	for _, u := range list {
		out = append(out, u.Name)
	}
	return strings.Join(out, ", ")
}

// findings returns the findings of the last week, the most severe first.
func (b *entityBody) findings() string {
	var out []string
	severities := schema.Severities()
	for i := len(severities) - 1; i >= 0; i-- {
		if n := b.risk.Findings[severities[i]]; n > 0 {
			out = append(out, fmt.Sprintf("%d %s", n, severities[i]))
		}
	}
	if len(out) == 0 {
		return "-"
	}
	return strings.Join(out, ", ")
}

// fresh returns the number of new values.
func (b *entityBody) fresh() string {
	n := 0
	for _, names := range b.risk.New {
		n += len(names)
	}
	return strconv.Itoa(n)
}

// showUses prints every value with the number of events and its times.
func (b *entityBody) showUses(out io.Writer) {
	t := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	for kind, list := range b.uses {
		if len(list) == 0 {
			continue
		}
		fmt.Fprintf(t, "%s:\t\t\t\n", strings.ReplaceAll(schema.UseKind(kind).String(), "_", " "))
		fresh := b.risk.New[schema.UseKind(kind).String()]
		for _, u := range list {
			mark := " "
			if slices.Contains(fresh, u.Name) {
				mark = "*"
			}
			fmt.Fprintf(t, " %s %s\t%d\t%s\t%s\n", mark, shorten(plainLine(u.Name), 2*maxCell), u.Count, u.FirstSeen, u.LastSeen)
		}
		if n := b.omitted[kind]; n > 0 {
			fmt.Fprintf(t, "   and others, not listed\t%d\t\t\n", n)
		}
	}
	t.Flush()
}

// showHead prints the name, the times and the totals.
func (b *entityBody) showHead(out io.Writer, what string) {
	fmt.Fprintf(out, "%s %s\n", what, plainLine(b.title()))
	if b.tenant != "" {
		fmt.Fprintf(out, "tenant       %s\n", plainLine(b.tenant))
	}
	fmt.Fprintf(out, "seen         %s to %s\n", b.first, b.last)
	fmt.Fprintf(out, "events       %d: %d succeeded, %d failed, %d blocked\n", b.totals.Events, b.totals.Success, b.totals.Failure, b.totals.Blocked)
	if b.totals.InputTokens+b.totals.OutputTokens > 0 || b.totals.Cost > 0 {
		fmt.Fprintf(out, "tokens       %d in, %d out, %s USD\n", b.totals.InputTokens, b.totals.OutputTokens, b.totals.Cost)
	}
}
