package clickhouse

import (
	"context"
	"embed"
	"fmt"
	"path"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
)

// queryFiles holds the shipped queries: the questions that analysts ask first. Each begins with a comment that
// names its question, and then one for each parameter: -- days (7): how many days back. A parameter without a default is required.
//
//go:embed queries/*.sql
var queryFiles embed.FS

// Query is a shipped query.
type Query struct {
	Name       string
	About      string // the question that it answers
	Parameters []QueryParameter
	SQL        string
}

// QueryParameter is a parameter of a shipped query, {name:Type} in its text.
type QueryParameter struct {
	Name     string
	Default  string
	Required bool
	About    string
}

// parameterLine is the comment that describes a parameter.
var parameterLine = regexp.MustCompile(`^-- (\w+) \(([^)]*)\): (.+)$`)

// Queries returns the shipped queries, sorted by name.
func Queries() []Query {
	entries, err := queryFiles.ReadDir("queries")
	if err != nil {
		panic("BUG: the queries are embedded: " + err.Error())
	}
	var out []Query
	for _, e := range entries {
		text, err := queryFiles.ReadFile(path.Join("queries", e.Name()))
		if err != nil {
			panic("BUG: the queries are embedded: " + err.Error())
		}
		out = append(out, readQuery(strings.TrimSuffix(e.Name(), ".sql"), string(text)))
	}
	return out
}

func readQuery(name, text string) Query {
	about, rest, _ := strings.Cut(strings.TrimPrefix(text, "-- "), "\n")
	q := Query{Name: name, About: about, SQL: text}
	for line := range strings.SplitSeq(rest, "\n") {
		m := parameterLine.FindStringSubmatch(line)
		if m == nil {
			return q
		}
		p := QueryParameter{Name: m[1], Default: m[2], About: m[3]}
		if p.Default == "required" {
			p.Default, p.Required = "", true
		}
		q.Parameters = append(q.Parameters, p)
	}
	return q
}

// QueryNamed returns the shipped query with the name.
func QueryNamed(name string) (Query, error) {
	all := Queries()
	i := slices.IndexFunc(all, func(q Query) bool { return q.Name == name })
	if i < 0 {
		var names []string
		for _, q := range all {
			names = append(names, q.Name)
		}
		return Query{}, fmt.Errorf("query %q: no shipped query has this name: they are %s", name, strings.Join(names, ", "))
	}
	return all[i], nil
}

// Result is the answer to a query.
type Result struct {
	Columns []string
	Rows    [][]string // texts, as they are shown
	Values  [][]any    // for JSON
}

// maxResultRows is the largest number of rows of a Result.
const maxResultRows = 100_000

// Ask runs a query, which can change nothing, on the destination's database. parameters are those of ClickHouse, {name:Type} in the query.
func (s *Sink) Ask(ctx context.Context, sql string, parameters map[string]string) (*Result, error) {
	options := *s.options
	options.Auth.Database = s.dialect.database
	conn, err := clickhouse.Open(&options)
	if err != nil {
		return nil, fmt.Errorf("open %v: %w", s, err)
	}
	defer conn.Close()
	ctx = clickhouse.Context(ctx, clickhouse.WithParameters(parameters))
	var level uint64 // 1: the user is read-only and may change no settings
	if err := conn.QueryRow(ctx, "SELECT toUInt64(getSetting('readonly'))").Scan(&level); err != nil {
		return nil, fmt.Errorf("ask %v: %w", s, err)
	}
	if level != 1 {
		ctx = clickhouse.Context(ctx, clickhouse.WithSettings(clickhouse.Settings{
			"readonly": 2, "max_result_rows": maxResultRows, "result_overflow_mode": "throw",
		}))
	}
	found, err := conn.Query(ctx, sql)
	if err != nil {
		return nil, fmt.Errorf("ask %v: %w", s, err)
	}
	defer found.Close()
	out := &Result{Columns: found.Columns()}
	for found.Next() {
		values := make([]any, len(out.Columns))
		for i, c := range found.ColumnTypes() {
			values[i] = reflect.New(c.ScanType()).Interface()
		}
		if err := found.Scan(values...); err != nil {
			return nil, fmt.Errorf("read the answer of %v: %w", s, err)
		}
		row := make([]string, len(values))
		for i, v := range values {
			values[i] = reflect.ValueOf(v).Elem().Interface()
			row[i] = shown(values[i])
		}
		out.Rows, out.Values = append(out.Rows, row), append(out.Values, values)
	}
	if err := found.Err(); err != nil {
		return nil, fmt.Errorf("read the answer of %v: %w", s, err)
	}
	return out, nil
}

// shown returns a value as text: lists separated by commas, times in RFC 3339, NULL as "".
func shown(v any) string {
	if p := reflect.ValueOf(v); p.Kind() == reflect.Pointer {
		if p.IsNil() {
			return ""
		}
		v = p.Elem().Interface()
	}
	switch v := v.(type) {
	case time.Time:
		return v.UTC().Format(time.RFC3339Nano)
	case []string:
		return strings.Join(v, ", ")
	}
	return fmt.Sprint(v)
}
