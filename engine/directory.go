package engine

import (
	"slices"
	"sync"
	"time"

	"github.com/aidr-engine/aidr/engine/clock"
	"github.com/aidr-engine/aidr/engine/contain"
	"github.com/aidr-engine/aidr/engine/inventory"
	"github.com/aidr-engine/aidr/rules"
	"github.com/aidr-engine/aidr/schema"
)

// directory is the knowledge of a containment table about agents, from the registry of the rules and from an inventory.
type directory struct {
	set   *rules.Set
	src   inventory.Source // nil: there is none
	clock clock.Clock

	mu      sync.Mutex
	fleet   map[string]int // by tenant
	counted time.Time
}

// NewDirectory returns the directory of a containment table. src may be nil: then the registry alone counts, and it is not known
// which agents use a credential.
func NewDirectory(set *rules.Set, src inventory.Source, c clock.Clock) contain.Directory {
	if c.Now == nil {
		c = clock.Wall()
	}
	return &directory{set: set, src: src, clock: c}
}

// Identity implements contain.Directory. The credentials of the aliases are the agent's too.
func (d *directory) Identity(tenant, agent string) (aliases, credentials []string) {
	aliases = d.set.AliasesOf(agent)
	for _, uid := range append([]string{agent}, aliases...) {
		if e := d.entity(inventory.Agent, tenant, uid); e != nil {
			credentials = append(credentials, names(e.Uses[schema.UseCredential])...)
		}
	}
	return aliases, credentials
}

// Users implements contain.Directory.
func (d *directory) Users(tenant, credential string) (agents []string, known bool) {
	e := d.entity(inventory.Credential, tenant, credential)
	if e == nil {
		return nil, false
	}
	return names(e.Uses[schema.UseAgent]), true
}

const (
	// fleetEvery is how often the agents are counted, when a rule wants to contain one.
	fleetEvery = 10 * time.Minute
	// maxFleet is the number of agents from which the exact number does not matter: a share of more is over any sensible
	// number of containments by automation.
	maxFleet = 100_000
)

// Fleet implements contain.Directory: the agents of the inventory, or those of the registry if there are more.
func (d *directory) Fleet(tenant string) (agents int, known bool) {
	registered := d.set.NumAgents()
	if d.src == nil {
		return registered, registered > 0
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if now := d.clock.Now(); d.fleet == nil || now.Sub(d.counted) >= fleetEvery || now.Before(d.counted) {
		fleet, n := map[string]int{}, 0
		err := d.src.Entities(inventory.Agent, func(e *inventory.Entity) bool {
			fleet[e.Tenant]++
			n++
			return n < maxFleet
		})
		if err != nil {
			return 0, false
		}
		d.fleet, d.counted = fleet, now
	}
	return max(d.fleet[tenant], registered), true
}

// Calls implements contain.Directory: the average since the target was first seen.
func (d *directory) Calls(scope schema.ContainmentScope, t schema.Target) (perHour int64, known bool) {
	var e *inventory.Entity
	use, name := schema.UseAgent, ""
	switch scope {
	case schema.ScopeAgent:
		e = d.entity(inventory.Agent, t.Tenant, t.Agent)
	case schema.ScopeTool:
		e, use, name = d.entity(inventory.Agent, t.Tenant, t.Agent), schema.UseTool, t.Tool
	case schema.ScopeRoute:
		e, use, name = d.entity(inventory.Agent, t.Tenant, t.Agent), schema.UseRoute, t.Route
	case schema.ScopeCredential:
		e = d.entity(inventory.Credential, t.Tenant, t.Credential)
	case schema.ScopeServer:
		if e = d.entity(inventory.Server, t.Tenant, t.Server); t.Agent != "" {
			e, use, name = d.entity(inventory.Agent, t.Tenant, t.Agent), schema.UseServer, t.Server
		}
	}
	if e == nil {
		return 0, false
	}
	if name == "" {
		return hourly(int64(e.Events), e.FirstSeen, e.LastSeen), true
	}
	for _, u := range e.Uses[use] {
		if u.Name == name {
			return hourly(int64(u.Count), u.FirstSeen, u.LastSeen), true
		}
	}
	return 0, false
}

// hourly returns the average of a number of events an hour. Those of less than an hour count as those of one.
func hourly(events int64, first, last schema.Instant) int64 {
	if hours := float64(last-first) / float64(time.Hour); hours > 1 {
		return int64(float64(events)/hours + 0.5)
	}
	return events
}

func (d *directory) entity(kind inventory.Kind, tenant, name string) *inventory.Entity {
	if d.src == nil || name == "" {
		return nil
	}
	e, ok, err := d.src.Entity(inventory.Key{Kind: kind, Tenant: tenant, Name: name})
	if err != nil || !ok {
		return nil
	}
	return e
}

func names(uses []schema.Use) []string {
	out := make([]string, 0, len(uses))
	for _, u := range uses {
		out = append(out, u.Name)
	}
	slices.Sort(out)
	return out
}
