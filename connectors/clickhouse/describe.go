package clickhouse

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/ClickHouse/clickhouse-go/v2"
)

// describeViews copies the comments of the table's columns to the columns of the views. ClickHouse does not do this when
// it creates a view, and the views are the first thing that an analyst opens.
func (s *Sink) describeViews(ctx context.Context, conn clickhouse.Conn) error {
	table, err := s.comments(ctx, conn, "findings")
	if err != nil {
		return err
	}
	table["finding_id"] = table["id"]
	table["number"] = "Number of the event within the finding, from 1"
	for _, view := range []string{"v_findings", "v_finding_events"} {
		columns, err := s.comments(ctx, conn, view)
		if err != nil {
			return err
		}
		if q := s.dialect.describe(view, columns, table); q != "" {
			if err := conn.Exec(ctx, q); err != nil {
				return fmt.Errorf("describe view %q: %w", view, err)
			}
		}
	}
	return s.describeResponses(ctx, conn)
}

// describe returns the statement that sets the comments of a view's columns, or "" if all of them are set already. columns
// holds the comments of the view's columns by name, table those of the table's. In the view of events a column such as
// evidence.action is named action, and that name means the evidence even if the finding has such a column too.
func (d dialect) describe(view string, columns, table map[string]string) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(columns)) {
		comment := table[name]
		if c, ok := table["evidence."+name]; ok {
			comment = c
		}
		if comment != "" && comment != columns[name] {
			parts = append(parts, "COMMENT COLUMN "+quoteName(name)+" '"+strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(comment)+"'")
		}
	}
	if len(parts) == 0 {
		return ""
	}
	return "ALTER TABLE " + d.Table(view) + " " + d.OnCluster() + " " + strings.Join(parts, ", ")
}

// comments returns the comments of the columns of a table or view by the columns' names.
func (s *Sink) comments(ctx context.Context, conn clickhouse.Conn, table string) (out map[string]string, err error) {
	const q = "SELECT CAST((groupArray(name), groupArray(comment)), 'Map(String, String)') FROM system.columns " +
		"WHERE database = {database:String} AND table = {table:String}"
	err = conn.QueryRow(ctx, q,
		clickhouse.Named("database", s.dialect.database), clickhouse.Named("table", table)).Scan(&out)
	return out, err
}
