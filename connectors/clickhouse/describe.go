package clickhouse

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/ClickHouse/clickhouse-go/v2"
)

// describeViews gives the columns of the views the comments of the columns that they show: a view takes none over, and
// it is what an analyst opens first.
func (s *Sink) describeViews(ctx context.Context, conn clickhouse.Conn) error {
	table, err := s.comments(ctx, conn, "findings")
	if err != nil {
		return err
	}
	table["finding_id"] = table["id"]
	table["number"] = "The place of the event among those of the finding, from 1"
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
	return nil
}

// describe is the statement that gives a view's columns their comments, "" where nothing is to be said. In the view of
// events a column of evidence has the short name; where a column of the finding has the same one, the events' is meant.
func (d dialect) describe(view string, columns, table map[string]string) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(columns)) {
		comment := table[name]
		if of, ok := table["evidence."+name]; ok {
			comment = of
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

// comments returns the columns of a table or view with their comments.
func (s *Sink) comments(ctx context.Context, conn clickhouse.Conn, table string) (out map[string]string, err error) {
	err = conn.QueryRow(ctx, "SELECT CAST((groupArray(name), groupArray(comment)), 'Map(String, String)') FROM system.columns WHERE database = {database:String} AND table = {table:String}",
		clickhouse.Named("database", s.dialect.database), clickhouse.Named("table", table)).Scan(&out)
	return out, err
}
