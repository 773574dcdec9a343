package console

import (
	"fmt"
	"strings"

	"github.com/aidr-engine/aidr/cmd/aidr/api"
)

// flowsBody is the content of the page flows.
type flowsBody struct {
	api.Flows
	Matrix *matrix
	New    []flowRow // flows of the last day that are not of the days before
}

// flowRow is one flow with its names.
type flowRow struct {
	api.Flow
	AgentOf api.FlowAgent
	To      api.FlowDestination
}

// maxNewFlows is the number of new flows that are listed.
const maxNewFlows = 100

// flows shows which agents call which destinations, the last 24 hours beside the 14 days before.
func (q *request) flows() error {
	b := flowsBody{}
	v := q.r.URL.Query()
	for name := range v {
		if name != "until" {
			v.Del(name)
		}
	}
	if err := q.get("/v1/flows", v, &b.Flows); err != nil {
		return q.queryError(err)
	}
	b.Matrix = drawMatrix(&b.Flows)
	for _, f := range b.Flows.Flows {
		if row, ok := rowOfFlow(&b.Flows, f); ok && f.Last > 0 && f.Before == 0 && len(b.New) < maxNewFlows {
			b.New = append(b.New, row)
		}
	}
	nanos := func(n int64) string { return fmt.Sprintf("%d", n) }
	return q.show(page{
		Name: "flows", Nav: "flows", Title: "Flows", Body: b,
		Help: &help{
			From: "With an archive of events in ClickHouse: its events by agent and destination. Without: the inventory of the engine, which has the first and the last time at " +
				"which an agent was seen with a destination, and one count for all of the time. Labels are those of a request that sends something to the host.",
			Command: []string{"aidr agents ls --json", "aidr capabilities explain POST https://HOST/"},
			SQL: strings.NewReplacer("{day:Int64}", nanos(int64(b.Day)), "{since:Int64}", nanos(int64(b.Since)), "{until:Int64}", nanos(int64(b.Until)), "{tenant:String}", "'*'",
				"FROM v_events", "FROM aidr.v_events").Replace(api.FlowQuery),
		},
	})
}

// rowOfFlow returns a flow with its names; ok is false if it has none.
func rowOfFlow(f *api.Flows, x api.Flow) (row flowRow, ok bool) {
	if x.Agent < 0 || x.Agent >= len(f.Agents) || x.Destination < 0 || x.Destination >= len(f.Destinations) {
		return row, false
	}
	return flowRow{x, f.Agents[x.Agent], f.Destinations[x.Destination]}, true
}

// matrix is a drawing of flows: agents from top to bottom, destinations from left to right.
type matrix struct {
	W, H, Left, Top int
	Rows            []matrixLabel
	Columns         []matrixLabel
	Cells           []matrixCell
}

// matrixLabel is the name of a row or column. Marks are the labels of a destination, a mark for each.
type matrixLabel struct {
	X, Y  int
	Text  string
	Title string
	Marks []matrixMark
	Link  string // of an agent; "" for none
}

// matrixMark is a label of a destination.
type matrixMark struct {
	X, Y  int
	Class string
	Title string
}

// matrixCell is one flow.
type matrixCell struct {
	X, Y, Size int
	Class      string // new, both or gone
	Title      string
}

// knownLabels are the labels with a colour of their own.
var knownLabels = []string{"untrusted", "private", "egress"}

// drawMatrix draws flows. It returns nil if there are none.
func drawMatrix(f *api.Flows) *matrix {
	const left, top, step = 190, 150, 24
	if len(f.Flows) == 0 {
		return nil
	}
	m := &matrix{Left: left, Top: top, W: left + step*len(f.Destinations) + 110, H: top + step*len(f.Agents) + 10}
	for i, a := range f.Agents {
		name := a.AgentName
		if name == "" {
			name = a.AgentUID
		}
		m.Rows = append(m.Rows, matrixLabel{X: left - 8, Y: top + i*step + 16, Text: cut(name, 26), Title: Plain(name), Link: address("/agent", "uid", a.AgentUID, "tenant", a.Tenant)})
	}
	for i, d := range f.Destinations {
		l := matrixLabel{X: left + i*step + 16, Y: top - 26, Text: cut(d.Name, 22), Title: Plain(d.Name + ": " + strings.Join(d.Labels, ", "))}
		for n, label := range knownLabels {
			for _, has := range d.Labels {
				if has == label {
					l.Marks = append(l.Marks, matrixMark{left + i*step + 5 + 6*n, top - 18, label, label})
				}
			}
		}
		m.Columns = append(m.Columns, l)
	}
	for _, x := range f.Flows {
		row, ok := rowOfFlow(f, x)
		if !ok {
			continue
		}
		c := matrixCell{X: left + x.Destination*step + 2, Y: top + x.Agent*step + 2, Size: step - 4, Class: flowClass(x)}
		c.Title = Plain(fmt.Sprintf("%s to %s: %s", row.AgentOf.AgentUID, row.To.Name, flowText(f, x)))
		m.Cells = append(m.Cells, c)
	}
	return m
}

// flowClass returns the class of a flow in the style sheet.
func flowClass(x api.Flow) string {
	switch {
	case x.Before == 0:
		return "new"
	case x.Last == 0:
		return "gone"
	}
	return "both"
}

// flowText describes a flow.
func flowText(f *api.Flows, x api.Flow) string {
	if f.From == "archive" {
		return fmt.Sprintf("%s in the last 24 hours, %s in the 14 days before", plural(x.Last, "event"), number(x.Before))
	}
	state := map[string]string{"new": "new in the last 24 hours", "both": "in both times", "gone": "not in the last 24 hours"}[flowClass(x)]
	return fmt.Sprintf("%s, %s in all of the time", state, plural(x.Events, "event"))
}
