package contain

import (
	"slices"

	"github.com/aidr-engine/aidr/schema"
)

// Blast is what a containment would do: its blast radius. Nothing is changed.
type Blast struct {
	Scope  schema.ContainmentScope `json:"scope"`
	Target schema.Target           `json:"target"`
	// Aliases and Credentials are what it would cover beside the target, Spared the credentials that others use too.
	Aliases     []string            `json:"aliases,omitempty"`
	Credentials []string            `json:"credentials,omitempty"`
	Spared      []schema.SharedWith `json:"spared,omitempty"`
	// Agents are those that a containment of a credential stops: all that use it. AgentsKnown is false if nobody knows.
	Agents      []string `json:"agents,omitempty"`
	AgentsKnown bool     `json:"agents_known"`
	// CallsPerHour is the number of calls an hour that it would restrain, on average; CallsKnown is false if nobody knows.
	CallsPerHour int64 `json:"calls_per_hour"`
	CallsKnown   bool  `json:"calls_known"`
	// Existing are the containments of the same target.
	Existing []schema.ID `json:"existing,omitempty"`
	// NeedsPerson is why automation would ask a person, "" if it would not. Never is the glob of response.never that lists the
	// target, "" if none does.
	NeedsPerson string `json:"automation_asks_because,omitempty"`
	Never       string `json:"never,omitempty"`
}

// DryRun returns what a request would do.
func (t *Table) DryRun(r Request) (*Blast, error) {
	if r.Reason == "" {
		r.Reason = "dry run"
	}
	if err := r.check(); err != nil {
		return nil, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	c := schema.Containment{Scope: r.Scope, Target: r.Target, State: r.State, Mode: r.Mode}
	t.cover(&c)
	b := &Blast{Scope: r.Scope, Target: r.Target, Aliases: c.Aliases, Credentials: c.Credentials, Spared: c.Spared}
	b.CallsPerHour, b.CallsKnown = t.directory.Calls(r.Scope, r.Target)
	if r.Target.Credential != "" {
		b.Agents, b.AgentsKnown = t.directory.Users(r.Target.Tenant, r.Target.Credential)
		slices.Sort(b.Agents)
	}
	b.Never = t.never(&c)
	b.NeedsPerson = t.needsPerson(&c, false)
	if r.Scope == schema.ScopeTenant {
		b.NeedsPerson = "automation never contains a tenant"
	}
	for id, old := range t.records {
		if old.Scope == r.Scope && old.Target == r.Target && old.Status == schema.ContainmentActive {
			b.Existing = append(b.Existing, id)
		}
	}
	slices.SortFunc(b.Existing, compareIDs)
	return b, nil
}
