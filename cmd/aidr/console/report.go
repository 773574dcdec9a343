package console

import (
	"fmt"
	"slices"
	"strings"

	"github.com/aidr-engine/aidr/cmd/aidr/api"
)

// reportBody is the content of the page report.
type reportBody struct {
	*api.Report
	Filters filters
	Spans   []option // lengths of a shift
	Groups  []actionGroup
}

// actionGroup are the actions of one class in a report.
type actionGroup struct {
	Class   string
	Actions []api.ReportAction
}

// report shows the report of a shift.
func (q *request) report() error {
	f := q.filtersOf()
	b := reportBody{Report: &api.Report{}, Filters: f}
	if err := q.get("/v1/findings/report", f.query(), b.Report); err != nil {
		return q.queryError(err)
	}
	for _, span := range [...]string{"4h", "8h", "12h", "24h", "7d"} {
		b.Spans = append(b.Spans, option{span, f.With("/report", "since", span)})
	}
	for _, a := range b.Actions {
		i := slices.IndexFunc(b.Groups, func(g actionGroup) bool { return g.Class == string(a.Class) })
		if i < 0 {
			i = len(b.Groups)
			b.Groups = append(b.Groups, actionGroup{Class: string(a.Class)})
		}
		b.Groups[i].Actions = append(b.Groups[i].Actions, a)
	}
	since, until := b.Since.String(), b.Until.String()
	fixed := f
	fixed.Since, fixed.Until = since, until
	return q.show(page{
		Name: "report", Nav: "report", Title: "Shift report", Body: b,
		Help: &help{
			From: "The findings of the local store whose group begins in this time, the triage of people on them as it is now, and the audit of this time. " +
				"Precision is the share of true positives among the findings that people closed as true positive, false positive or benign.",
			Command: []string{fixed.command("report"), "aidr audit ls --since " + since + " --until " + until},
			SQL:     reportQuery(since, until),
		},
	})
}

// reportQuery returns the query that shows the table of rules of a report.
func reportQuery(since, until string) string {
	at := func(t string) string { return "parseDateTime64BestEffort(" + sqlQuoted(t) + ", 9, 'UTC')" }
	return fmt.Sprintf(`SELECT f.rule_id AS rule, max(f.severity) AS severity, count() AS findings, uniqExactIf((f.tenant, f.agent_uid), f.agent_uid != '') AS agents,
    sum(f.count) AS events, countIf(t.status NOT IN ('acknowledged', 'closed')) AS unseen, countIf(t.verdict = 'true_positive') AS true_positives,
    countIf(t.verdict = 'false_positive') AS false_positives, countIf(t.verdict = 'benign') AS benign,
    if(true_positives + false_positives + benign = 0, NULL, true_positives / (true_positives + false_positives + benign)) AS share
FROM aidr.v_findings AS f
LEFT JOIN aidr.v_triage AS t ON t.finding_id = f.id
WHERE f.group_start >= %s AND f.group_start < %s
GROUP BY rule
ORDER BY findings DESC, rule`, at(since), at(until))
}

// percent returns a share in percent.
func percent(share *float64) string {
	if share == nil {
		return "-"
	}
	return fmt.Sprintf("%.0f %%", 100**share)
}

// keyLine returns a group key on one line.
func keyLine(key map[string]string) string {
	var parts []string
	for name, value := range key {
		parts = append(parts, name+"="+value)
	}
	slices.Sort(parts)
	return strings.Join(parts, ", ")
}
