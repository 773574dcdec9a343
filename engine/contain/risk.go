package contain

import (
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/engine/store"
	"github.com/aidr-engine/aidr/schema"
)

const (
	// riskFor is how long a finding counts as a risk after its last trigger, unless it is withdrawn.
	riskFor = 24 * time.Hour
	// maxRiskAgents and maxRiskFindings bound the memory of risks. Agents beyond the first have none; of an agent's findings
	// beyond the second, the oldest give way.
	maxRiskAgents, maxRiskFindings = 100_000, 256
	// riskEvery is how often risks are searched for findings that no longer count.
	riskEvery = schema.Instant(time.Minute)
)

// risks holds what history knows against agents. Reading takes no lock.
type risks struct {
	hasher hasher
	byName atomic.Pointer[index[*agentRisk]]

	mu     sync.Mutex
	agents map[schema.Target]*riskFindings // by tenant and agent
	next   schema.Instant                  // when findings may no longer count
}

// agentRisk is the published risk of one agent.
type agentRisk struct {
	tenant, agent string
	risk          schema.Risk
}

// riskFindings are the findings that count against one agent.
type riskFindings struct {
	published *agentRisk
	list      []riskFinding // the oldest first
}

type riskFinding struct {
	id                   schema.ID
	rank                 int
	last                 schema.Instant
	session, tool, place string
	isTainted, isNew     bool
}

func newRisks() *risks {
	r := &risks{hasher: newHasher(), agents: map[schema.Target]*riskFindings{}}
	r.byName.Store(&index[*agentRisk]{})
	return r
}

// of returns the risk of an agent, or nil.
func (r *risks) of(tenant, agent string) *schema.Risk {
	x := r.byName.Load()
	if x.len == 0 || agent == "" {
		return nil
	}
	hash := r.hasher.of(byPrincipal, tenant, agent)
	for s, at := x.first(hash); s != nil; {
		a, after := s.next(hash, at)
		if a == nil {
			return nil
		}
		if (*a).agent == agent && (*a).tenant == tenant {
			return &(*a).risk
		}
		at = after
	}
	return nil
}

// load takes over the findings of a store that still count. A group that began more than riskFor before the oldest trigger that
// counts is left out: the store is searched by the beginnings of groups.
func (r *risks) load(s *store.Store, now schema.Instant) error {
	var list []connectors.Entry
	err := s.Findings(store.FindingFilter{Since: now.Sub(2 * riskFor)}, func(f *schema.Finding) bool {
		if !now.Reached(f.LastSeen, riskFor) {
			list = append(list, connectors.Entry{Finding: f})
		}
		return true
	})
	r.update(list, now)
	return err
}

// update takes over changes of findings. Those of shadow and operational rules count against nobody.
func (r *risks) update(entries []connectors.Entry, now schema.Instant) {
	r.mu.Lock()
	defer r.mu.Unlock()
	changed := map[schema.Target]bool{}
	for _, e := range entries {
		f := e.Finding
		if f == nil || f.AgentUID == "" || f.Shadow || f.Operational {
			continue
		}
		key := schema.Target{Tenant: f.Tenant, Agent: f.AgentUID}
		a := r.agents[key]
		if a == nil {
			if f.Status == schema.StatusWithdrawn || len(r.agents) >= maxRiskAgents {
				continue
			}
			a = &riskFindings{}
			r.agents[key] = a
		}
		a.put(f)
		changed[key] = true
	}
	r.publish(changed, now)
}

// expire removes the findings that no longer count.
func (r *risks) expire(now schema.Instant) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if now < r.next {
		return
	}
	r.next = now.Add(time.Duration(riskEvery))
	changed := map[schema.Target]bool{}
	for key, a := range r.agents {
		if slices.ContainsFunc(a.list, func(f riskFinding) bool { return now.Reached(f.last, riskFor) }) {
			changed[key] = true
		}
	}
	r.publish(changed, now)
}

// put replaces a finding, or removes one that was withdrawn.
func (a *riskFindings) put(f *schema.Finding) {
	a.list = slices.DeleteFunc(a.list, func(x riskFinding) bool { return x.id == f.ID })
	if f.Status == schema.StatusWithdrawn {
		return
	}
	x := riskFinding{
		id: f.ID, rank: f.Severity.Rank(), last: f.LastSeen, session: strings.Clone(f.SessionID),
		isTainted: f.Kind == "provenance" || f.Kind == "flow", isNew: f.Kind == "new_value",
	}
	if n := len(f.Evidence); n > 0 {
		x.tool, x.place = strings.Clone(f.Evidence[n-1].Tool), strings.Clone(f.Evidence[n-1].Target)
	}
	if len(a.list) >= maxRiskFindings {
		a.list = slices.Delete(a.list, 0, 1)
	}
	a.list = append(a.list, x)
}

// publish makes the risks of agents readable. mu is held.
func (r *risks) publish(changed map[schema.Target]bool, now schema.Instant) {
	var edits []indexEdit[*agentRisk]
	for key := range changed {
		a := r.agents[key]
		a.list = slices.DeleteFunc(a.list, func(f riskFinding) bool { return now.Reached(f.last, riskFor) })
		hash := r.hasher.of(byPrincipal, key.Tenant, key.Agent)
		if a.published != nil {
			edits = append(edits, indexEdit[*agentRisk]{hash: hash, remove: true, value: a.published})
			a.published = nil
		}
		if len(a.list) == 0 {
			delete(r.agents, key)
			continue
		}
		a.published = &agentRisk{key.Tenant, key.Agent, a.risk()}
		edits = append(edits, indexEdit[*agentRisk]{hash: hash, value: a.published})
	}
	r.byName.Store(r.byName.Load().edited(edits, func(a, b *agentRisk) bool { return a == b }))
}

// risk sums the findings up.
func (a *riskFindings) risk() (out schema.Risk) {
	highest := 0
	for _, f := range a.list {
		if f.rank < 0 {
			continue
		}
		out.Open[f.rank]++
		highest = max(highest, f.rank)
		switch {
		case f.isTainted:
			out.Tainted = addText(out.Tainted, f.session)
		case f.isNew && f.tool != "":
			out.NewTools = addText(out.NewTools, f.tool)
		case f.isNew:
			out.NewDestinations = addText(out.NewDestinations, f.place)
		}
	}
	out.Highest = schema.Severities()[highest]
	return out
}

// addText adds a text to a sorted list of different texts, of at most schema.MaxTainted.
func addText(list []string, text string) []string {
	at, found := slices.BinarySearch(list, text)
	if found || text == "" || len(list) >= schema.MaxTainted {
		return list
	}
	return slices.Insert(list, at, text)
}

// Findings adds changes of findings to the risk in answers.
func (t *Table) Findings(entries []connectors.Entry) { t.risks.update(entries, t.now()) }
