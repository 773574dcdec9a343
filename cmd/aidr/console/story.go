package console

import (
	"net/url"
	"slices"

	"github.com/aidr-engine/aidr/cmd/aidr/api"
)

// storyBody is the content of the page of a story.
type storyBody struct {
	api.Story
	Agent    string
	Timeline *timeline
	Rows     []storyRow
}

// storyRow is one event of a story.
type storyRow struct {
	api.StoryEvent
	N        int
	Pause    string // since the event before, if that is long
	Findings []api.StoryFinding
	Taint    string // source, sink or ""
	Value    string // the value that came from a source, or was used in a sink
	NoResult bool   // a call of a tool whose outcome the log does not have
}

// story shows what a session, or an agent, did.
func (q *request) story() error {
	v := url.Values{}
	for _, name := range []string{"session", "agent", "since", "until"} {
		if q.value(name) != "" {
			v.Set(name, q.value(name))
		}
	}
	b := storyBody{Agent: q.value("agent")}
	if err := q.get("/v1/story", v, &b.Story); err != nil {
		return q.queryError(err)
	}
	var moments []moment
	for i, e := range b.Events {
		row := storyRow{StoryEvent: e, N: i + 1, NoResult: e.Tool != "" && e.Action == "tool_call" && (e.Outcome == "" || e.Outcome == "unknown")}
		for _, n := range e.Findings {
			row.Findings = append(row.Findings, b.Story.Findings[n])
		}
		row.Taint, row.Value = taintOf(&row)
		if i > 0 {
			if p := timeOf(e.Time).Sub(timeOf(b.Events[i-1].Time)); p.Seconds() >= 2 {
				row.Pause = span(p)
			}
		}
		m := momentOf(&e.Evidence)
		if row.Taint != "" {
			m.class += " " + row.Taint
		}
		b.Rows, moments = append(b.Rows, row), append(moments, m)
	}
	b.Timeline = drawTimeline(moments)
	title := "Story of session " + b.Session
	if b.Session == "" {
		title = "Story of agent " + b.Agent
	}
	return q.show(page{
		Name: "story", Nav: "findings", Title: title, Live: "findings", Body: b,
		Help: &help{
			From: "The events in the evidence of the findings of this session, and of those of its agents within 15 minutes around it. " +
				"The local store keeps no other events; an archive of all events is a table of ClickHouse.",
			Command: []string{"aidr findings ls --json --filter " + shellQuoted("session_id == "+jsonText(Plain(b.Session)))},
			SQL:     "SELECT * FROM aidr.v_finding_events WHERE session_id = " + sqlQuoted(b.Session) + " ORDER BY time",
		},
	})
}

// taintOf returns the part of an event in the way of a value: the result that brought it, or the call that used it. The findings
// name both; a source is the call of the tool that a finding names as such.
func taintOf(row *storyRow) (part, value string) {
	for _, f := range row.Findings {
		if p := f.Provenance; p != nil {
			if row.Tool != "" && row.Tool == p.Source {
				return "source", p.Value
			}
			return "sink", p.Value
		}
	}
	if i := slices.IndexFunc(row.Findings, func(f api.StoryFinding) bool { return row.Action == "tool_result" && f.Kind == "none" }); i >= 0 {
		return "source", ""
	}
	return "", ""
}
