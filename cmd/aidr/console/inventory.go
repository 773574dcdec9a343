package console

import (
	"encoding/csv"
	"fmt"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/aidr-engine/aidr/cmd/aidr/api"
	"github.com/aidr-engine/aidr/cmd/aidr/output"
	"github.com/aidr-engine/aidr/engine/contain"
	"github.com/aidr-engine/aidr/schema"
)

// entityFilters are the parameters that select entities of the inventory, as those of `aidr agents ls`.
type entityFilters struct{ Name, Since, New, Type string }

func (q *request) entityFilters() entityFilters {
	return entityFilters{q.value("name"), q.value("since"), q.value("new"), q.value("type")}
}

func (f entityFilters) query(limit int) url.Values {
	v := url.Values{"limit": {strconv.Itoa(limit)}}
	for _, p := range [...][2]string{{"name", f.Name}, {"since", f.Since}, {"new", f.New}, {"type", f.Type}} {
		if p[1] != "" {
			v.Set(p[0], p[1])
		}
	}
	return v
}

func (f entityFilters) command(list string) string {
	c := "aidr " + list + " ls"
	for _, p := range [...][2]string{{"name", f.Name}, {"since", f.Since}, {"type", f.Type}} {
		if p[1] != "" {
			c += " --" + p[0] + " " + shellQuoted(p[1])
		}
	}
	if f.New == "true" {
		c += " --new"
	}
	return c
}

// maxEntities is the number of entities of a page. The list is sorted by risk; the rest of a large one is in the CSV and in SQL.
const maxEntities = 200

// entitiesBody is the content of a list of the inventory.
type entitiesBody struct {
	List    string // agents, credentials or tools
	Filters entityFilters
	CSV     string
	More    bool
	Most    int

	Agents      []api.AgentLine
	Credentials []credentialRow
	Tools       []api.ToolLine
}

// agents lists the agents: those that no registry knows first.
func (q *request) agents() error {
	f := q.entityFilters()
	b := entitiesBody{List: "agents", Filters: f, CSV: csvAddress("agents", f), Most: maxEntities}
	var err error
	if b.Agents, b.More, err = list[api.AgentLine](q, "/v1/inventory/agents", f.query(maxEntities+1), maxEntities); err != nil {
		return q.queryError(err)
	}
	slices.SortStableFunc(b.Agents, func(x, y api.AgentLine) int {
		switch {
		case x.Registered == y.Registered:
			return 0
		case y.Registered:
			return -1
		}
		return 1
	})
	return q.show(page{Name: "agents", Nav: "agents", Title: "Agents", Body: b, Help: inventoryHelp("agents", f,
		"SELECT agent_uid, agent_name, owner, registered, first_seen, last_seen, events FROM aidr.v_agents ORDER BY registered, newest_use DESC LIMIT 200")})
}

func inventoryHelp(list string, f entityFilters, sql string) *help {
	return &help{
		From: "The inventory of the engine: everything that events have shown up to the last checkpoint, whether registered or not. Sorted by risk: " +
			"findings of the last week, then the newest behaviour, then reach.",
		Command: []string{f.command(list)}, SQL: sql,
	}
}

func csvAddress(list string, f entityFilters) string {
	v := f.query(0)
	v.Del("limit")
	if len(v) == 0 {
		return "/" + list + ".csv"
	}
	return "/" + list + ".csv?" + v.Encode()
}

// credentialRow is a credential with what is wrong with it.
type credentialRow struct {
	api.CredentialLine
	Shared bool // several agents use it
	Orphan bool // no agent uses it
}

// credentials lists the credentials.
func (q *request) credentials() error {
	f := q.entityFilters()
	b := entitiesBody{List: "credentials", Filters: f, CSV: csvAddress("credentials", f), Most: maxEntities}
	lines, more, err := list[api.CredentialLine](q, "/v1/inventory/credentials", f.query(maxEntities+1), maxEntities)
	if err != nil {
		return q.queryError(err)
	}
	b.More = more
	for _, l := range lines {
		n := len(l.Uses[schema.UseAgent])
		b.Credentials = append(b.Credentials, credentialRow{l, n > 1, n == 0})
	}
	return q.show(page{Name: "credentials", Nav: "credentials", Title: "Credentials and delegation", Body: b, Help: inventoryHelp("credentials", f,
		"SELECT * FROM aidr.v_credentials ORDER BY length(agents) DESC LIMIT 200")})
}

// tools lists tools, MCP servers and models.
func (q *request) tools() error {
	f := q.entityFilters()
	b := entitiesBody{List: "tools", Filters: f, CSV: csvAddress("tools", f), Most: maxEntities}
	var err error
	if b.Tools, b.More, err = list[api.ToolLine](q, "/v1/inventory/tools", f.query(maxEntities+1), maxEntities); err != nil {
		return q.queryError(err)
	}
	return q.show(page{Name: "tools", Nav: "tools", Title: "Tools, MCP servers and models", Body: b, Help: inventoryHelp("tools", f,
		"SELECT * FROM aidr.v_tools ORDER BY newest_use DESC LIMIT 200")})
}

// maxCSV is the number of rows of a CSV.
const maxCSV = 100_000

// entitiesCSV sends a list of the inventory as CSV. No cell begins a formula.
func (q *request) entitiesCSV() error {
	f := q.entityFilters()
	name := strings.TrimSuffix(path.Base(q.r.URL.Path), ".csv")
	var rows [][]string
	switch name {
	case "agents":
		lines, _, err := list[api.AgentLine](q, "/v1/inventory/agents", f.query(maxCSV), maxCSV)
		if err != nil {
			return q.queryError(err)
		}
		rows = append(rows, []string{"tenant", "agent_uid", "agent_name", "owner", "registered", "first_seen", "last_seen", "events", "cost_usd", "tools", "destinations", "credentials", "containment"})
		for _, l := range lines {
			rows = append(rows, []string{l.Tenant, l.AgentUID, l.AgentName, l.Owner, strconv.FormatBool(l.Registered), l.FirstSeen.String(), l.LastSeen.String(),
				fmt.Sprint(l.Events), l.Cost.String(), useNames(l.Uses[schema.UseTool]), useNames(l.Uses[schema.UseDestination]), useNames(l.Uses[schema.UseCredential]), l.Containment})
		}
	case "credentials":
		lines, _, err := list[api.CredentialLine](q, "/v1/inventory/credentials", f.query(maxCSV), maxCSV)
		if err != nil {
			return q.queryError(err)
		}
		rows = append(rows, []string{"tenant", "credential_uid", "credential_type", "first_seen", "last_seen", "events", "agents", "on_behalf_of"})
		for _, l := range lines {
			rows = append(rows, []string{l.Tenant, l.CredentialUID, l.CredentialType, l.FirstSeen.String(), l.LastSeen.String(), fmt.Sprint(l.Events),
				useNames(l.Uses[schema.UseAgent]), useNames(l.Uses[schema.UseOnBehalfOf])})
		}
	default:
		lines, _, err := list[api.ToolLine](q, "/v1/inventory/tools", f.query(maxCSV), maxCSV)
		if err != nil {
			return q.queryError(err)
		}
		rows = append(rows, []string{"tenant", "type", "name", "first_seen", "last_seen", "events", "agents"})
		for _, l := range lines {
			rows = append(rows, []string{l.Tenant, string(l.Type), l.Name, l.FirstSeen.String(), l.LastSeen.String(), fmt.Sprint(l.Events), useNames(l.Uses[schema.UseAgent])})
		}
	}
	h := q.w.Header()
	h.Set("Content-Type", "text/csv; charset=utf-8")
	h.Set("Content-Disposition", `attachment; filename="`+name+`.csv"`)
	w := csv.NewWriter(q.w)
	for _, row := range rows {
		for i := range row {
			row[i] = output.Cell(Plain(row[i]))
		}
	}
	return ignored(w.WriteAll(rows))
}

func useNames(uses []schema.Use) string {
	names := make([]string, len(uses))
	for i, u := range uses {
		names[i] = u.Name
	}
	return strings.Join(names, "; ")
}

// useOf returns the values of a kind, by the name of the kind.
func useOf(u schema.Uses, kind string) []schema.Use {
	k, ok := schema.ParseUseKind(kind)
	if !ok {
		panic("BUG: a template names the unknown kind " + kind)
	}
	return u[k]
}

// agentBody is the content of the page of an agent.
type agentBody struct {
	api.AgentLine
	Kinds     []useKind
	Findings  []*schema.Finding
	More      bool
	Responses []schema.ResponseRecord
	Queue     *api.QueueAgent // its findings of the last week
	Sessions  []string
	Baselines []baselineRow
	NoState   string // why the baselines are not known
}

// useKind is one kind of values of an entity.
type useKind struct {
	Name    string
	Uses    []schema.Use
	New     []string
	Omitted int64
	Filter  bool // the kind selects agents in the inventory
}

// IsNew reports whether a value is new within a week.
func (k useKind) IsNew(name string) bool { return slices.Contains(k.New, name) }

// shownKinds are the kinds of values on the page of an agent, the most telling first.
var shownKinds = []schema.UseKind{
	schema.UseTool, schema.UseServer, schema.UseDestination, schema.UseModel, schema.UseCredential, schema.UseOnBehalfOf, schema.UseUser,
	schema.UseRoute, schema.UseCloudAction, schema.UseResourceType, schema.UseAccount, schema.UseNetwork, schema.UseClientApp,
	schema.UseProvider, schema.UseDataset, schema.UseName, schema.UseSource, schema.UseDeclared, schema.UseWorkflow, schema.UseFramework,
}

// agentFindings is the number of findings on the page of an agent.
const agentFindings = 50

// agent shows one agent.
func (q *request) agent() error {
	b := agentBody{}
	uid := q.value("uid")
	if uid == "" {
		return badRequest{fmt.Errorf("uid is missing: name an agent")}
	}
	if err := q.get("/v1/inventory/agents/one", entityQuery(uid, q.value("tenant")), &b.AgentLine); err != nil {
		return err
	}
	for _, k := range shownKinds {
		if len(b.Uses[k]) > 0 {
			uses := slices.Clone(b.Uses[k])
			slices.SortStableFunc(uses, func(x, y schema.Use) int { return int(max(-1, min(1, y.Count-x.Count))) })
			b.Kinds = append(b.Kinds, useKind{Name: k.String(), Uses: uses, New: b.Risk.New[k.String()], Omitted: b.Omitted[k]})
		}
	}
	var err error
	v := url.Values{"agent": {b.AgentUID}, "limit": {strconv.Itoa(agentFindings + 1)}}
	if b.Findings, b.More, err = list[*schema.Finding](q, "/v1/findings", v, agentFindings); err != nil {
		return err
	}
	for _, f := range b.Findings {
		if f.SessionID != "" && !slices.Contains(b.Sessions, f.SessionID) {
			b.Sessions = append(b.Sessions, f.SessionID)
		}
	}
	var queue api.Queue
	if err := q.get("/v1/findings/queue", url.Values{"agent": {b.AgentUID}}, &queue); err == nil && len(queue.Agents) > 0 {
		b.Queue = &queue.Agents[0]
	}
	var l contain.Contained
	if err := q.get("/v1/containments", nil, &l); err == nil {
		for _, r := range l.Responses {
			if r.Target.Agent == b.AgentUID && r.Target.Tenant == b.Tenant {
				b.Responses = append(b.Responses, r)
			}
		}
	}
	if b.Baselines, err = q.baselines(b.AgentUID, b.Tenant); err != nil {
		b.NoState = err.Error()
	}
	title := b.AgentName
	if title == "" {
		title = b.AgentUID
	}
	return q.show(page{
		Name: "agent", Nav: "agents", Title: title, Live: "findings", Body: b,
		Help: &help{
			From: "The inventory of the engine, completed by the registry (agents.yaml); findings of the local store; the containment table; the State of rules with a baseline. " +
				"A value is new if it was seen first within a week.",
			Command: []string{"aidr agents show " + shellQuoted(b.AgentUID), "aidr findings ls --agent " + shellQuoted(b.AgentUID), "aidr state get --rule RULE --key ai_agent.uid=" + shellQuoted(b.AgentUID)},
			SQL:     "SELECT * FROM aidr.v_agents WHERE agent_uid = " + sqlQuoted(b.AgentUID) + ";\nSELECT * FROM aidr.v_agent_timeline WHERE agent_uid = " + sqlQuoted(b.AgentUID) + " ORDER BY time",
		},
	})
}

// sqlQuoted quotes a text for ClickHouse.
func sqlQuoted(s string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, "'", `\'`).Replace(Plain(s)) + "'"
}
