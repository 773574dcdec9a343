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
		if err := s.describeView(ctx, conn, view, table); err != nil {
			return err
		}
	}
	if err := s.describeRecords(ctx, conn); err != nil {
		return err
	}
	return s.describeInventory(ctx, conn)
}

// viewTables are the tables whose columns the views of the inventory have.
var viewTables = map[string][]string{
	"v_agents": {"agents"}, "v_shadow_agents": {"agents"}, "v_credentials": {"credentials"}, "v_tools": {"tools"},
	"v_agent_activity_1m": {"agent_activity_1m"}, "v_agent_timeline": {"findings", "agent_activity_1m"}, "v_cost": {"agent_activity_1m"}, "v_rule_quality": {"findings"},
	"v_rule_verdicts": {"triage"},
}

// viewComments are the comments of columns that only views have.
var viewComments = map[string]string{
	"agent_name": "Latest name of the agent", "agent_uid_source": "Latest field that the identity was taken from",
	"registered": "Whether the registry of the site has the agent", "owner": "Owner by the registry of the site",
	"credential_type": "api_key, jwt, sigv4, mtls or session", "shared": "Whether several agents use the credential",
	"number": "Number of findings of the rule on that day", "number_of_agents": "Number of agents that they are about",
	"withdrawn_number": "Findings that were withdrawn", "open_number": "Findings that are open", "late_number": "Findings of events that came late",
	"acknowledged_number": "Findings that somebody works on", "closed_number": "Findings that are closed", "true_positive_number": "Findings closed as incidents",
	"false_positive_number": "Findings closed as errors of the rule", "benign_number": "Findings closed as harmless", "test_number": "Findings closed as tests",
	"number_of_events": "Number of events that the findings are based on",
	"reach":            "Number of tools, MCP servers, destinations, cloud actions, types of resources, accounts and agents",
	"time":             "Event time: the beginning of the minute, or the last event of the finding",
	"what":             "activity or finding", "kind": "Class of the activity, or kind of the rule", "name": "Action, or rule",
	"severity": "Severity of the finding", "finding_id": "Id of the finding, 0 for activity", "day": "Day of the events, UTC",
}

// describeInventory describes the views of the inventory.
func (s *Sink) describeInventory(ctx context.Context, conn clickhouse.Conn) error {
	for _, view := range slices.Sorted(maps.Keys(viewTables)) {
		comments := map[string]string{}
		for _, table := range viewTables[view] {
			columns, err := s.comments(ctx, conn, table)
			if err != nil {
				return err
			}
			maps.Copy(comments, columns)
		}
		for name, comment := range viewComments {
			if _, ok := comments[name]; !ok || view == "v_agent_timeline" {
				comments[name] = comment
			}
		}
		if err := s.describeView(ctx, conn, view, comments); err != nil {
			return err
		}
	}
	return nil
}

// describeView sets the comments of a view's columns.
func (s *Sink) describeView(ctx context.Context, conn clickhouse.Conn, view string, comments map[string]string) error {
	columns, err := s.comments(ctx, conn, view)
	if err != nil {
		return err
	}
	if q := s.dialect.describe(view, columns, comments); q != "" {
		if err := conn.Exec(ctx, q); err != nil {
			return fmt.Errorf("describe view %q: %w", view, err)
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
