package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/aidr-engine/aidr/cmd/aidr/pipeline"
	"github.com/aidr-engine/aidr/connectors/clickhouse"
)

// sqlFlags are the flags of all queries.
type sqlFlags struct {
	config, dsn   string
	asJSON, asCSV bool
}

// sink returns the ClickHouse of the flags. The caller closes it.
func (s *sqlFlags) sink(cmd *cobra.Command) (*clickhouse.Sink, error) {
	c := clickhouse.Config{DSN: s.dsn}
	if s.dsn == "" {
		if s.config == "" {
			return nil, usage("name the ClickHouse with --dsn, or the configuration that has it with --config")
		}
		cfg, err := loadConfig(cmd, s.config)
		if err != nil {
			return nil, err
		}
		if cfg.Sinks.ClickHouse == nil {
			return nil, usage("%s has no sinks.clickhouse: give the server with --dsn", s.config)
		}
		c = pipeline.ClickHouseConfig(cfg.Sinks.ClickHouse)
	}
	return clickhouse.New(c)
}

func sqlCommand() *cobra.Command {
	var s sqlFlags
	c := &cobra.Command{
		Use:   "sql",
		Short: "Ask ClickHouse the questions that analysts ask first, or any other",
		Long: `sql runs a shipped query on the ClickHouse of a configuration and prints the answer as a table, CSV or JSON lines. Each query
is a command with its parameters as flags; aidr sql ls lists them. aidr sql show NAME prints the text, as a start for queries of
your own, which aidr sql run runs. Queries run read-only, so a user with SELECT on the database is enough: aidr migrate --grants
prints one.`,
		Example: "  aidr sql open_findings --config aidr.yaml --severity high\n  aidr sql timeline --config aidr.yaml --agent billing-bot --csv > timeline.csv",
		Args:    knownCommand,
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	f := c.PersistentFlags()
	f.StringVar(&s.config, "config", "", "configuration file with the server in sinks.clickhouse")
	f.StringVar(&s.dsn, "dsn", "", "server, as clickhouse://user:password@host:9000/database; overrides --config")
	f.BoolVar(&s.asJSON, "json", false, "print JSON, one object per row")
	f.BoolVar(&s.asCSV, "csv", false, "print CSV; no cell begins a formula")
	c.MarkFlagsMutuallyExclusive("json", "csv")
	c.AddGroup(&cobra.Group{ID: "queries", Title: "Queries:"})
	for _, q := range clickhouse.Queries() {
		c.AddCommand(queryCommand(&s, q))
	}
	c.AddCommand(sqlListCommand(&s), sqlShowCommand(), sqlRunCommand(&s))
	return c
}

// queryCommand returns the command of a shipped query.
func queryCommand(s *sqlFlags, q clickhouse.Query) *cobra.Command {
	values := map[string]*string{}
	c := &cobra.Command{
		Use: q.Name, Short: q.About, GroupID: "queries", Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			parameters := map[string]string{}
			for _, p := range q.Parameters {
				if parameters[p.Name] = *values[p.Name]; p.Required && parameters[p.Name] == "" {
					return usage("--%s is missing: give the %s", p.Name, p.About)
				}
			}
			return s.ask(cmd, q.SQL, parameters)
		},
	}
	for _, p := range q.Parameters {
		about := p.About
		if p.Required {
			about += " (required)"
		}
		values[p.Name] = c.Flags().String(p.Name, p.Default, about)
	}
	return c
}

func sqlListCommand(s *sqlFlags) *cobra.Command {
	return &cobra.Command{
		Use: "ls", Short: "List the shipped queries with their parameters", Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			answer := &clickhouse.Result{Columns: []string{"query", "parameters", "question"}}
			for _, q := range clickhouse.Queries() {
				var parameters []string
				for _, p := range q.Parameters {
					text := "--" + p.Name
					if !p.Required {
						text = "[" + text + " " + p.Default + "]"
					}
					parameters = append(parameters, text)
				}
				row := []string{q.Name, strings.Join(parameters, " "), q.About}
				answer.Rows = append(answer.Rows, row)
				answer.Values = append(answer.Values, []any{q.Name, parameters, q.About})
			}
			return s.print(cmd.OutOrStdout(), answer)
		},
	}
}

func sqlShowCommand() *cobra.Command {
	return &cobra.Command{
		Use: "show NAME", Short: "Print the text of a shipped query", Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, given []string) error {
			q, err := clickhouse.QueryNamed(given[0])
			if err != nil {
				return &exit{exitUsage, err}
			}
			_, err = io.WriteString(cmd.OutOrStdout(), q.SQL)
			return err
		},
	}
}

// maxQuery is the size in bytes of the longest query that run reads: ClickHouse takes 256 KiB.
const maxQuery = 256 << 10

func sqlRunCommand(s *sqlFlags) *cobra.Command {
	var set []string
	c := &cobra.Command{
		Use: "run [SQL|-]", Short: "Run a query of your own, read-only; - reads it from the standard input", Args: args(cobra.ExactArgs(1)),
		Example: "  aidr sql run --config aidr.yaml 'SELECT count() FROM v_findings'\n  aidr sql show agents | aidr sql run --config aidr.yaml --set days=1 --set limit=5 -",
		RunE: func(cmd *cobra.Command, given []string) error {
			text := given[0]
			if text == "-" {
				b, err := io.ReadAll(io.LimitReader(cmd.InOrStdin(), maxQuery+1))
				if err != nil {
					return fmt.Errorf("read the query: %w", err)
				}
				text = string(b)
			}
			if len(text) > maxQuery {
				return usage("the query has more than %d KiB", maxQuery>>10)
			}
			parameters := map[string]string{}
			for _, p := range set {
				name, value, ok := strings.Cut(p, "=")
				if !ok {
					return usage("--set %q: write NAME=VALUE", p)
				}
				parameters[name] = value
			}
			return s.ask(cmd, text, parameters)
		},
	}
	c.Flags().StringArrayVar(&set, "set", nil, "parameter of the query, as NAME=VALUE; may be given several times")
	return c
}

// ask runs a query and prints the answer.
func (s *sqlFlags) ask(cmd *cobra.Command, text string, parameters map[string]string) (err error) {
	sink, err := s.sink(cmd)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, sink.Close()) }()
	answer, err := sink.Ask(cmd.Context(), text, parameters)
	if err != nil {
		return err
	}
	return s.print(cmd.OutOrStdout(), answer)
}

// print prints an answer in the form of the flags. Cells hold text of logs, so a table shows no control characters and CSV no
// formulas.
func (s *sqlFlags) print(out io.Writer, r *clickhouse.Result) error {
	switch {
	case s.asJSON:
		return printRows(jsonTo(out), r)
	case s.asCSV:
		return writeCSV(out, r.Columns, r.Rows)
	}
	t := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	header := make([]string, len(r.Columns))
	for i, name := range r.Columns {
		header[i] = strings.ToUpper(plainLine(name))
	}
	fmt.Fprintln(t, strings.Join(header, "\t"))
	for _, row := range r.Rows {
		cells := make([]string, len(row))
		for i, cell := range row {
			cells[i] = orDash(plainLine(strings.ReplaceAll(cell, "\t", " ")))
		}
		fmt.Fprintln(t, strings.Join(cells, "\t"))
	}
	return t.Flush()
}

// printRows prints the rows as JSON objects, with their columns in the order of the query.
func printRows(out io.Writer, r *clickhouse.Result) error {
	for _, row := range r.Values {
		var b strings.Builder
		for i, v := range row {
			name, err := json.Marshal(r.Columns[i])
			if err != nil {
				return err
			}
			value, err := json.Marshal(v)
			if err != nil { // NaN and infinities
				value = []byte("null")
			}
			separator := ","
			if i == 0 {
				separator = "{"
			}
			fmt.Fprintf(&b, "%s%s:%s", separator, name, value)
		}
		b.WriteString("}\n")
		if _, err := io.WriteString(out, b.String()); err != nil {
			return err
		}
	}
	return nil
}
