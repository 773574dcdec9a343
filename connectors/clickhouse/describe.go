package clickhouse

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/ClickHouse/clickhouse-go/v2"
)

// describeViews gives the columns of views their comments: those of the columns of tables, and those of viewComments. ClickHouse does
// not do this when it creates a view, and the views are the first thing that an analyst opens.
func (s *Sink) describeViews(ctx context.Context, conn clickhouse.Conn) error {
	for _, view := range slices.Sorted(maps.Keys(viewTables)) {
		comments := map[string]string{}
		for _, table := range viewTables[view] {
			columns, err := s.comments(ctx, conn, table)
			if err != nil {
				return err
			}
			maps.Copy(comments, columns)
		}
		if view == "v_finding_events" { // its column action is evidence.action, even if the finding has a column of that name too
			for name, comment := range maps.Clone(comments) {
				if field, ok := strings.CutPrefix(name, "evidence."); ok {
					comments[field] = comment
				}
			}
		}
		maps.Copy(comments, viewComments[view])
		columns, err := s.comments(ctx, conn, view)
		if err != nil {
			return err
		}
		if q := s.dialect.describe(view, columns, comments); q != "" {
			if err := conn.Exec(ctx, q); err != nil {
				return fmt.Errorf("describe view %q: %w", view, err)
			}
		}
	}
	return nil
}

// viewTables are the tables whose columns the views have.
var viewTables = map[string][]string{
	"v_findings": {"findings"}, "v_open_findings": {"findings"}, "v_finding_events": {"findings"}, "v_agent_risk": {"findings"},
	"v_responses": {"responses"}, "v_agents": {"agents"}, "v_shadow_agents": {"agents"}, "v_credentials": {"credentials"},
	"v_tools": {"tools"}, "v_agent_activity_1m": {"agent_activity_1m"}, "v_agent_timeline": {"findings", "agent_activity_1m"},
	"v_cost": {"agent_activity_1m"}, "v_rule_quality": {"findings", "rule_stats_1m"}, "v_rule_stats_1m": {"rule_stats_1m"},
	"v_source_quality": {"source_quality_1h"}, "v_rules": {"rules"}, "v_deliveries": {"deliveries"}, "v_dead_letters": {"dead_letters"},
	"v_events": {"events"}, "v_triage": {"triage"}, "v_audit": {"audit"}, "v_rule_verdicts": {"triage"},
}

// viewComments are the comments of the columns of a view that no table has, or that mean something else there.
var viewComments = map[string]map[string]string{
	"v_finding_events": {"finding_id": "Id of the finding", "number": "Number of the event within the finding, from 1"},
	"v_agents": {
		"agent_name": "Latest name of the agent", "agent_uid_source": "Latest field that the identity was taken from",
		"registered": "Whether the registry of the site has the agent", "owner": "Owner by the registry of the site",
	},
	"v_shadow_agents": {
		"agent_name": "Latest name of the agent", "agent_uid_source": "Latest field that the identity was taken from",
		"owner": "Owner by the registry of the site",
	},
	"v_credentials": {
		"credential_type": "api_key, jwt, sigv4, mtls or session", "shared": "Whether several agents use the credential",
		"reach": "Number of tools, MCP servers, destinations, cloud actions, types of resources, accounts and agents",
	},
	"v_agent_timeline": {
		"time": "Event time: the beginning of the minute, or the last event of the finding", "what": "activity or finding",
		"kind": "Class of the activity, or kind of the rule", "name": "Action, or rule", "severity": "Severity of the finding",
		"finding_id": "Id of the finding, 0 for activity",
	},
	"v_cost": {"day": "Day of the events, UTC"},
	"v_agent_risk": {
		"severity": "Highest severity of its findings", "critical_number": "Number of critical findings", "high_number": "Number of findings of severity high",
		"medium_number": "Number of findings of severity medium", "low_number": "Number of findings of severity low or info",
		"number": "Number of findings that are not withdrawn", "number_of_rules": "Number of rules that made them",
	},
	"v_rule_quality": {
		"day": "Day of the groups of the findings and of the events, UTC", "number": "Number of findings of the rule on that day",
		"severity": "Highest severity of the findings", "number_of_agents": "Number of agents that they are about",
		"withdrawn_number": "Findings that were withdrawn", "open_number": "Findings that are open",
		"late_number": "Findings of events that came late", "number_of_events": "Number of events that the findings are based on",
		"acknowledged_number": "Findings that somebody works on", "closed_number": "Findings that are closed",
		"true_positive_number": "Findings closed as incidents", "false_positive_number": "Findings closed as errors of the rule",
		"benign_number": "Findings closed as harmless", "test_number": "Findings closed as tests",
	},
	"v_rule_verdicts": {
		"day": "Day of the groups of the findings, UTC", "acknowledged_number": "Findings that somebody works on", "closed_number": "Findings that are closed",
		"true_positive_number": "Findings closed as incidents", "false_positive_number": "Findings closed as errors of the rule",
		"benign_number": "Findings closed as harmless", "test_number": "Findings closed as tests",
	},
	"v_source_quality": {
		"share_without_agent": "Share of the events without an identity of the agent, 0 to 1", "share_without_session": "Share of the events without a session",
		"share_without_tool":      "Share of the events without the name of a tool",
		"share_without_arguments": "Share of the calls without arguments; NULL if there were no calls",
		"share_without_result":    "Share of the results that are missing; NULL if there were none",
		"share_without_outcome":   "Share of the events without an outcome",
	},
}

// describe returns the statement that sets the comments of a view's columns, or "" if all of them are set already. columns holds
// the comments that the columns have, and wanted those that they should have, both by name.
func (d dialect) describe(view string, columns, wanted map[string]string) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(columns)) {
		if comment := wanted[name]; comment != "" && comment != columns[name] {
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
