package console

import (
	"net/url"
	"strconv"
	"time"

	"github.com/aidr-engine/aidr/cmd/aidr/access"
	"github.com/aidr-engine/aidr/cmd/aidr/api"
	"github.com/aidr-engine/aidr/schema"
)

// filters are the parameters that select findings, as those of `aidr findings ls`.
type filters struct {
	Agent, Rule, Severity, Status, Since, Until, Filter string
}

// filtersOf returns the filters of the address.
func (q *request) filtersOf() filters {
	return filters{
		Agent: q.value("agent"), Rule: q.value("rule"), Severity: q.value("severity"), Status: q.value("status"),
		Since: q.value("since"), Until: q.value("until"), Filter: q.value("filter"),
	}
}

// pairs returns the names and values of the filters.
func (f filters) pairs() [][2]string {
	return [][2]string{
		{"agent", f.Agent}, {"rule", f.Rule}, {"severity", f.Severity}, {"status", f.Status}, {"since", f.Since}, {"until", f.Until}, {"filter", f.Filter},
	}
}

// query returns the filters as parameters of the control API.
func (f filters) query() url.Values {
	v := url.Values{}
	for _, p := range f.pairs() {
		if p[1] != "" {
			v.Set(p[0], p[1])
		}
	}
	return v
}

// Chips returns the filters that are set, each with the address without it.
func (f filters) Chips(path string) (out []chip) {
	for _, p := range f.pairs() {
		if p[1] == "" {
			continue
		}
		v := f.query()
		v.Del(p[0])
		to := path
		if len(v) > 0 {
			to += "?" + v.Encode()
		}
		out = append(out, chip{p[0], p[1], to})
	}
	return out
}

// With returns an address with one filter changed.
func (f filters) With(path, name, value string) string {
	v := f.query()
	v.Del(name)
	if value != "" {
		v.Set(name, value)
	}
	if len(v) == 0 {
		return path
	}
	return path + "?" + v.Encode()
}

// Address returns the address of a page with the filters.
func (f filters) Address(path string) string { return f.With(path, "", "") }

// Command returns the flags of aidr findings that set the same filters.
func (f filters) command(verb string) string {
	c := "aidr findings " + verb
	for _, p := range f.pairs() {
		if p[1] != "" {
			c += " --" + p[0] + " " + shellQuoted(p[1])
		}
	}
	return c
}

// chip is a filter that is set.
type chip struct{ Name, Value, Without string }

// queueBody is the content of the page queue.
type queueBody struct {
	*api.Queue
	Filters filters
	Chart   string // the series of all findings, as JSON for the chart
	// MayTriage reports whether the caller may acknowledge findings.
	MayTriage bool
}

// queue shows what waits, grouped by agent, then by rule.
func (q *request) queue() error {
	f := q.filtersOf()
	b := queueBody{Queue: &api.Queue{}, Filters: f, MayTriage: q.session.who.may(access.Triage)}
	if err := q.get("/v1/findings/queue", f.query(), b.Queue); err != nil {
		return q.queryError(err)
	}
	b.Chart = chartOf(b.Queue)
	return q.show(page{
		Name: "queue", Nav: "queue", Title: "Queue", Live: "findings", Body: b,
		Help: &help{
			From: "The findings of the local store that are not closed, or go on since they were, whose group began within the last 7 days, " +
				"or in the time of the filter: the latest 5,000. They are grouped by agent, then by rule, the highest severity first.",
			Command: []string{f.command("queue"), f.command("ls")},
			SQL: "SELECT agent_uid, rule_id, max(severity), count() AS findings, max(last_seen)\nFROM aidr.v_findings AS f\n" +
				"LEFT JOIN aidr.v_triage AS t ON t.finding_id = f.id\n" +
				"WHERE group_start >= now() - INTERVAL 7 DAY AND (t.status != 'closed' OR f.count > t.count)\n" +
				"GROUP BY agent_uid, rule_id\nORDER BY max(severity) DESC, max(last_seen) DESC",
		},
	})
}

// queryError makes an error of the control API an error of the caller's: the parameters of a query come from the address.
func (q *request) queryError(err error) error {
	if err == errNotOpen || q.r.Context().Err() != nil {
		return err
	}
	return badRequest{err}
}

// chart is the data of a time series for the script of the page.
type chart struct {
	Times  []int64 `json:"t"` // seconds
	Values []int   `json:"v"`
	Label  string  `json:"label"`
}

// chartOf returns the series of all findings of a queue.
func chartOf(q *api.Queue) string {
	c := chart{Label: "findings"}
	for i := range 24 { // and the end, so that the last bar has its width
		c.Times = append(c.Times, int64(q.Since+schema.Instant(i)*q.Bucket)/int64(time.Second))
		n := 0
		for _, a := range q.Agents {
			if i < len(a.Series) {
				n += a.Series[i]
			}
		}
		c.Values = append(c.Values, n)
	}
	c.Times, c.Values = append(c.Times, int64(q.Until)/int64(time.Second)), append(c.Values, 0)
	return jsonText(c)
}

// findingsBody is the content of the page findings.
type findingsBody struct {
	Filters  filters
	Findings []*schema.Finding
	Next     string // the address of the next page, "" at the end
}

// perPage is the number of rows of a page.
const perPage = 100

// findings lists findings, the latest first.
func (q *request) findings() error {
	f := q.filtersOf()
	v := f.query()
	v.Set("limit", strconv.Itoa(perPage+1))
	if before := q.value("before"); before != "" {
		v.Set("before", before)
	}
	found, more, err := list[*schema.Finding](q, "/v1/findings", v, perPage)
	if err != nil {
		return q.queryError(err)
	}
	b := findingsBody{Filters: f, Findings: found}
	if more {
		last := found[len(found)-1]
		b.Next = f.With("/findings", "before", last.GroupStart.String()+","+last.ID.String())
	}
	return q.show(page{
		Name: "findings", Nav: "findings", Title: "Findings", Live: "findings", Body: b,
		Help: &help{
			From:    "The findings of the local store, the latest group first. It keeps them for state.findings_keep; ClickHouse keeps the history.",
			Command: []string{f.command("ls")},
			SQL:     "SELECT * FROM aidr.v_findings ORDER BY group_start DESC LIMIT 100",
		},
	})
}
