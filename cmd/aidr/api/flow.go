package api

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/aidr-engine/aidr/engine/inventory"
	"github.com/aidr-engine/aidr/schema"
)

const (
	// flowDay is the present of Flows, and flowBefore the time before it that it is compared with.
	flowDay    = 24 * time.Hour
	flowBefore = 14 * 24 * time.Hour
	// maxFlowAgents and maxFlowDestinations bound the matrix: what a page can show.
	maxFlowAgents       = 40
	maxFlowDestinations = 40
	// maxFlowRows is the number of flows that are read, those with the most events first.
	maxFlowRows = 5000
	// maxFlowEntities is the number of agents of the inventory that are read, those with the highest risk first.
	maxFlowEntities = 1000
)

// History is what this process keeps of the past, and in what.
type History struct {
	// Ask runs a query of ClickHouse that changes nothing, with parameters; nil: ClickHouse is not configured.
	Ask func(ctx context.Context, sql string, parameters map[string]string) (rows [][]string, err error)
	// Events are the events that the archive in ClickHouse keeps: off, matched or all.
	Events schema.Archive
}

// archived reports whether the archive has events.
func (x *History) archived() bool {
	return x.Ask != nil && (x.Events == schema.ArchiveAll || x.Events == schema.ArchiveMatched)
}

// Missing returns the setting that would keep events, with a reason; "" if all of them are kept.
func (x *History) Missing() string {
	switch {
	case x.Ask == nil:
		return "sinks.clickhouse is not set: with it and `events: all`, events are counted by time"
	case x.Events == schema.ArchiveMatched:
		return "sinks.clickhouse.events is `matched`: only events on which the condition of a rule held are counted; `all` counts every event"
	case x.Events != schema.ArchiveAll:
		return "sinks.clickhouse.events is `off`: with `all`, events are counted by time"
	}
	return ""
}

// Flows are which agents call which destinations: the last 24 hours beside the 14 days before.
type Flows struct {
	Since        schema.Instant    `json:"since"`
	Day          schema.Instant    `json:"day"` // the beginning of the last 24 hours
	Until        schema.Instant    `json:"until"`
	From         string            `json:"from"` // archive or inventory
	Missing      string            `json:"missing,omitempty"`
	Agents       []FlowAgent       `json:"agents"`
	Destinations []FlowDestination `json:"destinations"`
	Flows        []Flow            `json:"flows"`
	// Omitted is the number of flows of agents and destinations that are left out.
	Omitted int `json:"omitted,omitempty"`
}

// FlowAgent is a row of Flows.
type FlowAgent struct {
	Tenant    string `json:"tenant,omitempty"`
	AgentUID  string `json:"agent_uid"`
	AgentName string `json:"agent_name,omitempty"`
	New       int    `json:"new"` // destinations of the last day that are not of the days before
}

// FlowDestination is a column of Flows. Its labels are those of a request that sends something there.
type FlowDestination struct {
	Name   string   `json:"name"`
	Labels []string `json:"labels,omitempty"`
	New    int      `json:"new"` // agents of the last day that did not call it in the days before
}

// Flow is the calls of one agent to one destination. In Flows from the inventory, Last and Before are 1 or 0: whether the agent was
// seen with the destination in that time, as far as the first and the last event tell.
type Flow struct {
	Agent       int            `json:"agent"`       // index into Flows.Agents
	Destination int            `json:"destination"` // index into Flows.Destinations
	Last        int64          `json:"last"`        // events of the last 24 hours
	Before      int64          `json:"before"`      // events of the 14 days before
	Events      int64          `json:"events,omitempty"`
	FirstSeen   schema.Instant `json:"first_seen,omitzero"`
	LastSeen    schema.Instant `json:"last_seen,omitzero"`
}

// rawFlow is a flow before the matrix is laid out.
type rawFlow struct {
	agent       findingOf
	destination string
	Flow
}

// flows sends the Flows that the caller sees.
func (h *handler) flows(w http.ResponseWriter, r *http.Request) {
	until := schema.InstantOf(h.now())
	if text := r.URL.Query().Get("until"); text != "" {
		_, at, err := span(r)
		if err != nil {
			refuse(w, http.StatusBadRequest, err)
			return
		}
		until = at
	}
	out := &Flows{
		Since: until.Sub(flowDay + flowBefore), Day: until.Sub(flowDay), Until: until, From: "inventory", Missing: h.rt.History.Missing(),
		Agents: []FlowAgent{}, Destinations: []FlowDestination{}, Flows: []Flow{},
	}
	var all []rawFlow
	var err error
	if h.rt.History.archived() {
		out.From = "archive"
		all, err = h.archivedFlows(r, out)
	} else {
		all, err = h.observedFlows(r, out)
	}
	if err != nil {
		refuse(w, http.StatusServiceUnavailable, err)
		return
	}
	out.layOut(all)
	inv, err := h.inventoryOf()
	for i := range out.Agents {
		a := &out.Agents[i]
		if err == nil {
			if e, ok, _ := inv.Entity(inventory.Key{Kind: inventory.Agent, Tenant: a.Tenant, Name: a.AgentUID}); ok {
				a.AgentName = inventory.AgentOf(e).AgentName
			}
		}
	}
	if h.rt.Labels != nil {
		for i := range out.Destinations {
			out.Destinations[i].Labels = h.rt.Labels(out.Destinations[i].Name)
		}
	}
	reply(w, out)
}

// FlowQuery is the query of ClickHouse for flows; its parameters are since, day and until, in nanoseconds, and tenant, "*" for all.
const FlowQuery = `SELECT tenant, agent_uid, if(fields['url.domain'] != '', fields['url.domain'], fields['service.target.name']) AS destination,
    countIf(time >= fromUnixTimestamp64Nano({day:Int64})) AS last, countIf(time < fromUnixTimestamp64Nano({day:Int64})) AS before
FROM v_events
WHERE time >= fromUnixTimestamp64Nano({since:Int64}) AND time < fromUnixTimestamp64Nano({until:Int64}) AND agent_uid != ''
    AND ({tenant:String} = '*' OR tenant = {tenant:String})
GROUP BY tenant, agent_uid, destination
HAVING destination != ''
ORDER BY last + before DESC, tenant, agent_uid, destination
LIMIT 5000`

// archivedFlows counts the events of the archive.
func (h *handler) archivedFlows(r *http.Request, out *Flows) (all []rawFlow, err error) {
	tenant := callerOf(r.Context()).Tenant
	if tenant == "" {
		tenant = "*"
	}
	rows, err := h.rt.History.Ask(r.Context(), FlowQuery, map[string]string{
		"since": strconv.FormatInt(int64(out.Since), 10), "day": strconv.FormatInt(int64(out.Day), 10), "until": strconv.FormatInt(int64(out.Until), 10), "tenant": tenant,
	})
	for _, row := range rows {
		f := rawFlow{agent: findingOf{row[0], row[1]}, destination: row[2]}
		var bad1, bad2 error
		f.Last, bad1 = strconv.ParseInt(row[3], 10, 64)
		f.Before, bad2 = strconv.ParseInt(row[4], 10, 64)
		if bad := errors.Join(bad1, bad2); bad != nil {
			return nil, fmt.Errorf("read flows: %w", bad)
		}
		f.Events = f.Last + f.Before
		all = append(all, f)
	}
	return all, err
}

// observedFlows reads the inventory: a value has the times of its first and its last event, and one count.
func (h *handler) observedFlows(r *http.Request, out *Flows) (all []rawFlow, err error) {
	inv, err := h.inventoryOf()
	if err != nil {
		return nil, err
	}
	q := &entityQuery{kinds: entityKinds["agents"], limit: maxFlowEntities, week: out.Day}
	if c := callerOf(r.Context()); c.Tenant != "" {
		q.tenant = &c.Tenant
	}
	if err := q.countFindings(h.store); err != nil {
		return nil, err
	}
	found, err := q.find(inv)
	for _, e := range found {
		for _, u := range e.Uses[schema.UseDestination] {
			f := rawFlow{agent: findingOf{e.Tenant, e.Name}, destination: u.Name, Flow: Flow{Events: u.Count, FirstSeen: u.FirstSeen, LastSeen: u.LastSeen}}
			if u.LastSeen >= out.Day && u.FirstSeen < out.Until {
				f.Last = 1
			}
			if u.FirstSeen < out.Day && u.LastSeen >= out.Since {
				f.Before = 1
			}
			if f.Last+f.Before > 0 {
				all = append(all, f)
			}
		}
	}
	slices.SortFunc(all, func(a, b rawFlow) int { return cmp.Compare(b.Events, a.Events) })
	if len(all) > maxFlowRows {
		all = all[:maxFlowRows]
	}
	return all, err
}

// layOut chooses the agents and destinations of the matrix, those with new flows first, then those with the most events.
func (out *Flows) layOut(all []rawFlow) {
	type weight struct {
		fresh  int
		events int64
	}
	agents, destinations := map[findingOf]weight{}, map[string]weight{}
	for _, f := range all {
		a, d := agents[f.agent], destinations[f.destination]
		if f.Last > 0 && f.Before == 0 {
			a.fresh++
			d.fresh++
		}
		a.events, d.events = a.events+f.Events, d.events+f.Events
		agents[f.agent], destinations[f.destination] = a, d
	}
	compare := func(a, b weight) int { return cmp.Or(cmp.Compare(b.fresh, a.fresh), cmp.Compare(b.events, a.events)) }
	var rows []findingOf
	for a := range agents {
		rows = append(rows, a)
	}
	slices.SortFunc(rows, func(a, b findingOf) int {
		return cmp.Or(compare(agents[a], agents[b]), cmp.Compare(a.tenant, b.tenant), cmp.Compare(a.agent, b.agent))
	})
	var columns []string
	for d := range destinations {
		columns = append(columns, d)
	}
	slices.SortFunc(columns, func(a, b string) int { return cmp.Or(compare(destinations[a], destinations[b]), cmp.Compare(a, b)) })
	rowAt, columnAt := map[findingOf]int{}, map[string]int{}
	for i, a := range rows[:min(len(rows), maxFlowAgents)] {
		rowAt[a] = i
		out.Agents = append(out.Agents, FlowAgent{Tenant: a.tenant, AgentUID: a.agent, New: agents[a].fresh})
	}
	for i, d := range columns[:min(len(columns), maxFlowDestinations)] {
		columnAt[d] = i
		out.Destinations = append(out.Destinations, FlowDestination{Name: d, New: destinations[d].fresh})
	}
	for _, f := range all {
		a, ok1 := rowAt[f.agent]
		d, ok2 := columnAt[f.destination]
		if !ok1 || !ok2 {
			out.Omitted++
			continue
		}
		f.Agent, f.Destination = a, d
		out.Flows = append(out.Flows, f.Flow)
	}
	slices.SortFunc(out.Flows, func(a, b Flow) int {
		return cmp.Or(cmp.Compare(a.Agent, b.Agent), cmp.Compare(a.Destination, b.Destination))
	})
}
