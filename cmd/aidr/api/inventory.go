package api

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/aidr-engine/aidr/engine"
	"github.com/aidr-engine/aidr/engine/inventory"
	"github.com/aidr-engine/aidr/engine/store"
	"github.com/aidr-engine/aidr/schema"
)

// Risk is why an entity deserves a look. Entities are sorted by it: by the number of their findings of the highest severity
// first, then by the day of their newest behaviour, then by their reach.
type Risk struct {
	Findings map[schema.Severity]int `json:"findings,omitempty"` // of the last week that were not withdrawn, by severity
	New      map[string][]string     `json:"new,omitempty"`      // values of the last week, by kind; all of an entity that is new itself
	Reach    int                     `json:"reach"`              // see inventory.Entity.Reach
}

// AgentLine, CredentialLine and ToolLine are the lines of the lists of the inventory. Their JSON names are a contract.
type (
	AgentLine struct {
		*schema.Agent
		Risk        Risk   `json:"risk"`
		Containment string `json:"containment,omitempty"` // the states, modes and ends of active containments; absent if there is none
	}
	CredentialLine struct {
		*schema.Credential
		Risk Risk `json:"risk"`
	}
	ToolLine struct {
		*schema.Tool
		Risk Risk `json:"risk"`
	}
)

const (
	// newFor is how long a value, and a finding, counts as new.
	newFor = 7 * 24 * time.Hour
	// maxRiskFindings is the largest number of findings that one list counts, the latest first: a tenth of a second.
	maxRiskFindings = 20_000
	// maxFollowed is the largest number of entities of a shard that one look of a tail shows.
	maxFollowed = 1000
	// followEvery is the time between two looks of a tail.
	followEvery = time.Second
)

// Week returns the instant from which on a value counts as new, for an inventory that has seen events up to now.
func Week(now time.Time) schema.Instant { return schema.InstantOf(now).Sub(newFor) }

// inventoryOf returns the inventory: that of the running process, else that of the store.
func (h *handler) inventoryOf() (*engine.Inventory, error) {
	if h.rt.Inventory != nil {
		return h.rt.Inventory()
	}
	return engine.StoredInventory(h.store), nil
}

// entityKinds are the kinds of entities of each list.
var entityKinds = map[string][]inventory.Kind{
	"agents": {inventory.Agent}, "credentials": {inventory.Credential}, "tools": {inventory.Tool, inventory.Server, inventory.Model},
}

// entityQuery selects entities.
type entityQuery struct {
	kinds     []inventory.Kind
	tenant    *string
	name      string                                // a part of the name, or of one of the names
	uses      [schema.NumUses]string                // values that the entity was seen with
	since     schema.Instant                        // seen at or after
	fresh     bool                                  // with new behaviour this week
	limit     int                                   // 0: no limit
	risky     map[findingOf]map[schema.Severity]int // findings by agent
	week      schema.Instant
	contained map[findingOf][]string
}

// findingOf names the agent of a finding.
type findingOf struct{ tenant, agent string }

func (h *handler) entityQuery(r *http.Request) (q *entityQuery, err error) {
	kinds, ok := entityKinds[r.PathValue("list")]
	if !ok {
		return nil, fmt.Errorf("inventory: %q is not one of agents, credentials, tools", r.PathValue("list"))
	}
	v := r.URL.Query()
	q = &entityQuery{kinds: kinds, name: strings.ToLower(v.Get("name")), fresh: v.Get("new") == "true", week: Week(time.Now())}
	if v.Has("tenant") {
		tenant := v.Get("tenant")
		q.tenant = &tenant
	}
	if c := callerOf(r.Context()); c.Tenant != "" {
		q.tenant = &c.Tenant
	}
	if t := v.Get("type"); t != "" {
		q.kinds = slices.DeleteFunc(slices.Clone(kinds), func(k inventory.Kind) bool { return k.String() != t })
		if len(q.kinds) == 0 {
			return nil, fmt.Errorf("type: %q is not one of tool, mcp_server, model", t)
		}
	}
	for _, use := range v["use"] { // kind=value
		kind, value, _ := strings.Cut(use, "=")
		k, ok := schema.ParseUseKind(kind)
		if !ok {
			return nil, fmt.Errorf("use: %q is no kind of value", kind)
		}
		q.uses[k] = value
	}
	if q.since, _, err = span(r); err != nil {
		return nil, err
	}
	q.limit, err = limit(r)
	return q, err
}

// filters reports whether the query selects some entities only.
func (q *entityQuery) filters() bool {
	return q.tenant != nil || q.name != "" || q.since != 0 || q.fresh || q.uses != [schema.NumUses]string{}
}

func (q *entityQuery) matches(e *inventory.Entity) bool {
	if q.tenant != nil && *q.tenant != e.Tenant || e.LastSeen < q.since || q.fresh && e.NewestUse < q.week {
		return false
	}
	for kind, value := range q.uses {
		if value != "" && !slices.ContainsFunc(e.Uses[kind], func(u schema.Use) bool { return u.Name == value }) {
			return false
		}
	}
	return q.name == "" || strings.Contains(strings.ToLower(e.Name), q.name) ||
		slices.ContainsFunc(e.Uses[schema.UseName], func(u schema.Use) bool { return strings.Contains(strings.ToLower(u.Name), q.name) })
}

// compare orders entities by risk, the highest first.
func (q *entityQuery) compare(a, b *inventory.Entity) int {
	fa, fb := q.findings(a), q.findings(b)
	severities := schema.Severities()
	for i := len(severities) - 1; i >= 0; i-- {
		if c := cmp.Compare(fb[severities[i]], fa[severities[i]]); c != 0 {
			return c
		}
	}
	return cmp.Or(cmp.Compare(b.Rank(), a.Rank()), cmp.Compare(a.Tenant, b.Tenant), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Name, b.Name))
}

// findings returns the numbers of the entity's findings by severity.
func (q *entityQuery) findings(e *inventory.Entity) map[schema.Severity]int {
	if e.Kind != inventory.Agent {
		return nil
	}
	return q.risky[findingOf{e.Tenant, e.Name}]
}

func (q *entityQuery) risk(e *inventory.Entity) Risk {
	r := Risk{Findings: q.findings(e), New: map[string][]string{}, Reach: e.Reach()}
	for kind, list := range e.Uses {
		if !inventory.IsBehaviour(schema.UseKind(kind)) {
			continue
		}
		for _, u := range list {
			if u.FirstSeen >= q.week {
				r.New[schema.UseKind(kind).String()] = append(r.New[schema.UseKind(kind).String()], u.Name)
			}
		}
	}
	return r
}

// findContained finds the agents that are contained, in whole or in part.
func (q *entityQuery) findContained(h *handler) error {
	q.contained = map[findingOf][]string{}
	if !slices.Contains(q.kinds, inventory.Agent) {
		return nil
	}
	table, _, err := h.containmentTable()
	if err != nil {
		return err
	}
	for _, r := range table.List().Responses {
		if r.Status == schema.ContainmentActive && r.Target.Agent != "" {
			of := findingOf{r.Target.Tenant, r.Target.Agent}
			q.contained[of] = append(q.contained[of], fmt.Sprintf("%s of %s (%s) until %s", r.State, r.Scope, r.Mode, r.Until))
		}
	}
	return nil
}

// countFindings counts the findings of the last week by agent, the latest first.
func (q *entityQuery) countFindings(s *store.Store) error {
	q.risky = map[findingOf]map[schema.Severity]int{}
	if !slices.Contains(q.kinds, inventory.Agent) {
		return nil
	}
	return s.Findings(store.FindingFilter{Since: q.week, Limit: maxRiskFindings}, func(f *schema.Finding) bool {
		if f.Status == schema.StatusWithdrawn || f.Shadow || f.AgentUID == "" {
			return true
		}
		of := findingOf{f.Tenant, f.AgentUID}
		if q.risky[of] == nil {
			q.risky[of] = map[schema.Severity]int{}
		}
		q.risky[of][f.Severity]++
		return true
	})
}

// entities sends the entities of a list, those with the highest risk first.
func (h *handler) entities(w http.ResponseWriter, r *http.Request) {
	q, err := h.entityQuery(r)
	if err != nil {
		refuse(w, http.StatusBadRequest, err)
		return
	}
	inv, err := h.inventoryOf()
	if err == nil {
		err = errors.Join(q.countFindings(h.store), q.findContained(h))
	}
	var found []*inventory.Entity
	if err == nil {
		found, err = q.find(inv)
	}
	if err != nil {
		refuse(w, stateFailure(err), err)
		return
	}
	enc := lines(w)
	for _, e := range found {
		if enc.Encode(h.line(q, e)) != nil {
			return
		}
	}
}

// find returns the entities that the query selects, sorted by risk. Without a filter the index by rank names the candidates;
// otherwise all entities are read, and memory holds the limit, or all of them without one.
func (q *entityQuery) find(inv *engine.Inventory) (found []*inventory.Entity, err error) {
	add := func(e *inventory.Entity) bool {
		if q.matches(e) {
			found = append(found, e)
			if q.limit > 0 && len(found) >= 2*q.limit+100 {
				slices.SortFunc(found, q.compare)
				found = slices.Clip(found[:q.limit])
			}
		}
		return true
	}
	for _, kind := range q.kinds {
		if q.limit == 0 || q.filters() {
			if err := inv.Entities(kind, add); err != nil {
				return nil, err
			}
			continue
		}
		if err := q.addTop(inv, kind, &found); err != nil {
			return nil, err
		}
	}
	slices.SortFunc(found, q.compare)
	if q.limit > 0 {
		found = found[:min(q.limit, len(found))]
	}
	return found, nil
}

// addTop adds the entities with the highest rank and the agents with findings.
func (q *entityQuery) addTop(inv *engine.Inventory, kind inventory.Kind, found *[]*inventory.Entity) error {
	top, err := inv.Top(kind, q.limit)
	if err != nil {
		return err
	}
	known := map[inventory.Key]bool{}
	for _, e := range top {
		known[e.Key] = true
	}
	*found = append(*found, top...)
	if kind != inventory.Agent {
		return nil
	}
	for _, of := range q.riskiest() {
		k := inventory.Key{Kind: kind, Tenant: of.tenant, Name: of.agent}
		if known[k] {
			continue
		}
		e, ok, err := inv.Entity(k)
		if err != nil {
			return err
		}
		if ok {
			*found = append(*found, e)
		}
	}
	return nil
}

// riskiest returns the agents with the most severe findings, at most the limit.
func (q *entityQuery) riskiest() (out []findingOf) {
	for of := range q.risky {
		out = append(out, of)
	}
	slices.SortFunc(out, func(a, b findingOf) int {
		return q.compare(&inventory.Entity{Key: inventory.Key{Tenant: a.tenant, Name: a.agent}}, &inventory.Entity{Key: inventory.Key{Tenant: b.tenant, Name: b.agent}})
	})
	return out[:min(len(out), q.limit)]
}

// line returns an entity as a list shows it.
func (h *handler) line(q *entityQuery, e *inventory.Entity) any {
	switch risk := q.risk(e); e.Kind {
	case inventory.Agent:
		l := AgentLine{Agent: inventory.AgentOf(e), Risk: risk}
		l.Containment = strings.Join(q.contained[findingOf{e.Tenant, e.Name}], ", ")
		if h.rt.Agent != nil {
			h.rt.Agent(l.Agent)
		}
		return l
	case inventory.Credential:
		return CredentialLine{inventory.CredentialOf(e), risk}
	default:
		return ToolLine{inventory.ToolOf(e), risk}
	}
}

// entity sends one entity: that with the name, or the one of which the name of the query is a unique part.
func (h *handler) entity(w http.ResponseWriter, r *http.Request) {
	q, err := h.entityQuery(r)
	if err != nil {
		refuse(w, http.StatusBadRequest, err)
		return
	}
	name := r.URL.Query().Get("name")
	inv, err := h.inventoryOf()
	if err == nil {
		err = errors.Join(q.countFindings(h.store), q.findContained(h))
	}
	var e *inventory.Entity
	if err == nil {
		e, err = q.one(inv, name)
	}
	if err != nil {
		code := stateFailure(err)
		refuse(w, code, err)
		return
	}
	reply(w, h.line(q, e))
}

// errNotSeen is returned for an entity that no event has shown.
var errNotSeen = errors.New("not seen in any event")

// one returns the entity with a name, else the only one that has the name as a part.
func (q *entityQuery) one(inv *engine.Inventory, name string) (*inventory.Entity, error) {
	var exact []*inventory.Entity
	for _, kind := range q.kinds {
		k := inventory.Key{Kind: kind, Name: name}
		if q.tenant != nil {
			k.Tenant = *q.tenant
		}
		e, ok, err := inv.Entity(k)
		if err != nil {
			return nil, err
		}
		if ok {
			exact = append(exact, e)
		}
	}
	q.limit = 10
	if len(exact) == 0 {
		var err error
		if exact, err = q.find(inv); err != nil {
			return nil, err
		}
	}
	switch len(exact) {
	case 0:
		return nil, fmt.Errorf("%q: %w", name, errNotSeen)
	case 1:
		return exact[0], nil
	}
	var names []string
	for _, e := range exact {
		names = append(names, fmt.Sprintf("%s %q of tenant %q", e.Kind, e.Name, e.Tenant))
	}
	return nil, fmt.Errorf("%q is the name of several: %s: name one, with --tenant or --type if needed", name, strings.Join(names, "; "))
}

// followEntities sends agents, credentials or tools whenever they change, until the client disconnects.
func (h *handler) followEntities(w http.ResponseWriter, r *http.Request) {
	q, err := h.entityQuery(r)
	if err == nil && h.rt.Inventory == nil {
		err = ErrNoProcess
	}
	if err != nil {
		refuse(w, stateFailure(err), err)
		return
	}
	enc, flush := lines(w), http.NewResponseController(w)
	tick := time.NewTicker(followEvery)
	defer tick.Stop()
	var from *engine.Inventory
	at := make([]engine.Changes, len(q.kinds))
	for {
		inv, err := h.inventoryOf()
		if err != nil {
			enc.Encode(failure{err.Error()})
			return
		}
		first := from == nil || !inv.Same(from)
		if first { // a reload replaced the engine: its changes are counted from the beginning
			at = make([]engine.Changes, len(q.kinds))
		}
		from = inv
		for i, kind := range q.kinds {
			changed, err := inv.Changed(kind, &at[i], maxFollowed)
			for _, e := range changed {
				if !first && q.matches(e) && enc.Encode(h.line(q, e)) != nil {
					return
				}
			}
			if err != nil {
				enc.Encode(failure{err.Error()})
				return
			}
		}
		if flush.Flush() != nil {
			return
		}
		select {
		case <-r.Context().Done():
			return
		case <-tick.C:
		}
	}
}
