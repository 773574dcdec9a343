package clickhouse

import (
	"context"
	"embed"
	"fmt"
	"path"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
)

// queryFiles holds the shipped queries: the questions that analysts ask first. Each begins with a comment that
// names its question. Their parameters are days, limit, agent and credential.
//
//go:embed queries/*.sql
var queryFiles embed.FS

// Query is a shipped query.
type Query struct {
	Name  string
	About string // the question that it answers
	SQL   string
}

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
		about, _, _ := strings.Cut(strings.TrimPrefix(string(text), "-- "), "\n")
		out = append(out, Query{strings.TrimSuffix(e.Name(), ".sql"), about, string(text)})
	}
	return out
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
		return Query{}, fmt.Errorf("query %q: no query has this name: they are %s", name, strings.Join(names, ", "))
	}
	return all[i], nil
}

// Result is the answer to a query: texts, as they are shown.
type Result struct {
	Columns []string
	Rows    [][]string
}

// maxResultRows is the largest number of rows of a Result.
const maxResultRows = 100_000

// Ask runs a query on the destination's database. parameters are those of ClickHouse, {name:Type} in the query.
func (s *Sink) Ask(ctx context.Context, sql string, parameters map[string]string) (*Result, error) {
	options := *s.options
	options.Auth.Database = s.dialect.database
	conn, err := clickhouse.Open(&options)
	if err != nil {
		return nil, fmt.Errorf("open %v: %w", s, err)
	}
	defer conn.Close()
	ctx = clickhouse.Context(ctx, clickhouse.WithParameters(parameters), clickhouse.WithSettings(clickhouse.Settings{
		"readonly": 2, "max_result_rows": maxResultRows, "result_overflow_mode": "throw",
	}))
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
			row[i] = shown(reflect.ValueOf(v).Elem().Interface())
		}
		out.Rows = append(out.Rows, row)
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
