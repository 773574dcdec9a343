package agents

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/aidr-engine/aidr/rules/site"
	"github.com/aidr-engine/aidr/schema"
)

// Observed is what an inventory shows of agents and credentials, those of all tenants together. The zero Observed is empty.
type Observed struct {
	agents      map[string]*Agent
	credentials map[string]map[string]schema.Use // by credential and agent
	latest      schema.Instant                   // the latest event of an agent
}

// Agent is what an inventory shows of one agent.
type Agent struct {
	UID, Name, Source   string
	FirstSeen, LastSeen schema.Instant
	Events, Failures    int64
	Datasets            []string                    // sorted
	DelegatedBy         int                         // number of people on whose behalf it acted
	CredentialTypes     []string                    // sorted
	Uses                [site.NumKinds][]schema.Use // sorted by name
	Omitted             [site.NumKinds]int64        // events with values that the inventory does not list
}

// useOf returns the kind of the inventory's values that a kind of the registry is compared with. ok is false for scopes,
// which the inventory does not keep.
func useOf(k site.Kind) (use schema.UseKind, ok bool) {
	uses := [site.NumKinds]schema.UseKind{
		site.Tool: schema.UseTool, site.MCPServer: schema.UseServer, site.Model: schema.UseModel, site.Route: schema.UseRoute,
		site.Destination: schema.UseDestination, site.CloudAction: schema.UseCloudAction, site.Network: schema.UseNetwork,
		site.Workflow: schema.UseWorkflow, site.Credential: schema.UseCredential,
	}
	return uses[k], k != site.Scope
}

// AddAgent adds a row of the inventory.
func (o *Observed) AddAgent(row *schema.Agent) {
	if row.AgentUID == "" {
		return
	}
	if o.agents == nil {
		o.agents = map[string]*Agent{}
	}
	a := o.agents[row.AgentUID]
	if a == nil {
		a = &Agent{UID: row.AgentUID, FirstSeen: row.FirstSeen, LastSeen: row.LastSeen, Name: row.AgentName, Source: row.AgentSource}
		o.agents[row.AgentUID] = a
	} else { // another tenant; the names of the smallest, so that the order of rows does not matter
		a.Name, a.Source = smaller(a.Name, row.AgentName), smaller(a.Source, row.AgentSource)
	}
	a.FirstSeen, a.LastSeen = min(a.FirstSeen, row.FirstSeen), max(a.LastSeen, row.LastSeen)
	a.Events, a.Failures = addSaturated(a.Events, row.Events), addSaturated(a.Failures, row.Failure)
	a.Datasets = addNames(a.Datasets, row.Uses[schema.UseDataset])
	a.CredentialTypes = addNames(a.CredentialTypes, row.Uses[schema.UseCredentialType])
	a.DelegatedBy += len(row.Uses[schema.UseOnBehalfOf])
	for _, k := range site.Kinds() {
		if use, ok := useOf(k); ok {
			a.Uses[k] = addUses(a.Uses[k], row.Uses[use])
			a.Omitted[k] = addSaturated(a.Omitted[k], row.Omitted[use])
		}
	}
	o.latest = max(o.latest, row.LastSeen)
}

// AddCredential adds a row of the inventory.
func (o *Observed) AddCredential(row *schema.Credential) {
	for _, u := range row.Uses[schema.UseAgent] {
		if o.credentials == nil {
			o.credentials = map[string]map[string]schema.Use{}
		}
		by := o.credentials[row.CredentialUID]
		if by == nil {
			by = map[string]schema.Use{}
			o.credentials[row.CredentialUID] = by
		}
		if known, ok := by[u.Name]; ok {
			u = addUse(known, u)
		}
		by[u.Name] = u
	}
}

// Latest returns the time of the latest event.
func (o *Observed) Latest() schema.Instant { return o.latest }

// Within returns the agents, and of each the values, that were seen within a time before the latest event, sorted by uid. 0
// is all of them.
func (o *Observed) Within(d time.Duration) (out []*Agent) {
	from := schema.Instant(math.MinInt64)
	if d > 0 {
		from = o.latest.Sub(d)
	}
	for _, uid := range slices.Sorted(maps.Keys(o.agents)) {
		a := *o.agents[uid]
		if a.LastSeen < from {
			continue
		}
		for k := range a.Uses {
			a.Uses[k] = slices.DeleteFunc(slices.Clone(a.Uses[k]), func(u schema.Use) bool { return u.LastSeen < from })
		}
		out = append(out, &a)
	}
	return out
}

func smaller(a, b string) string {
	if a == "" || b != "" && b < a {
		return b
	}
	return a
}

func addNames(names []string, uses []schema.Use) []string {
	for _, u := range uses {
		if at, found := slices.BinarySearch(names, u.Name); !found {
			names = slices.Insert(names, at, u.Name)
		}
	}
	return names
}

func addUses(to, uses []schema.Use) []schema.Use {
	for _, u := range uses {
		at, found := slices.BinarySearchFunc(to, u, func(a, b schema.Use) int { return cmp.Compare(a.Name, b.Name) })
		if found {
			to[at] = addUse(to[at], u)
		} else {
			to = slices.Insert(to, at, u)
		}
	}
	return to
}

func addUse(a, b schema.Use) schema.Use {
	return schema.Use{
		Name: a.Name, Count: addSaturated(a.Count, b.Count), FirstSeen: min(a.FirstSeen, b.FirstSeen), LastSeen: max(a.LastSeen, b.LastSeen),
	}
}

// addSaturated adds two counts.
func addSaturated(a, b int64) int64 {
	if a > math.MaxInt64-b {
		return math.MaxInt64
	}
	return a + b
}
