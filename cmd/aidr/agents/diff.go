package agents

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aidr-engine/aidr/rules/site"
	"github.com/aidr-engine/aidr/schema"
)

// Kind is a kind of difference between the registry and what is observed.
type Kind string

// The kinds of differences. Those up to SharedCredential are violations: an agent does what nobody approved.
const (
	ShadowAgent      Kind = "shadow_agent"      // it acts, and has no entry
	ProposedAgent    Kind = "proposed_agent"    // it acts, and its entry is only proposed
	RetiredAgent     Kind = "retired_agent"     // it acts, and it is suspended or retired
	ExpiredAgent     Kind = "expired_agent"     // it acts after its last day
	OwnerLeft        Kind = "owner_left"        // it acts after its owner left
	Outside          Kind = "outside"           // it uses what its entry does not allow
	SharedCredential Kind = "shared_credential" // several agents present one credential
	UnusedGrant      Kind = "unused_grant"      // its entry allows what it does not use
	UnseenAgent      Kind = "unseen_agent"      // its entry is active, and it does not act
	NoOwner          Kind = "no_owner"          // its entry is active and has no owner
)

// kinds are the kinds in the order in which Diff returns them, with the sentence that describes one.
var kinds = []struct {
	kind  Kind
	title string
}{
	{ShadowAgent, "agents without an entry in the registry"},
	{ProposedAgent, "agents whose entry is only proposed"},
	{RetiredAgent, "suspended or retired agents that act"},
	{ExpiredAgent, "agents that act after their last day"},
	{OwnerLeft, "agents that act after their owner left"},
	{Outside, "calls outside of the approved set"},
	{SharedCredential, "credentials that several agents present"},
	{UnusedGrant, "grants that are not used"},
	{UnseenAgent, "active entries of agents that are not seen"},
	{NoOwner, "active entries without an owner"},
}

// Title describes the differences of a kind.
func (k Kind) Title() string {
	for _, x := range kinds {
		if x.kind == k {
			return x.title
		}
	}
	return string(k)
}

// Violation reports whether differences of the kind mean that an agent does what nobody approved. The others are work for
// the keeper of the registry.
func (k Kind) Violation() bool { return k != UnusedGrant && k != UnseenAgent && k != NoOwner }

// Difference is one difference. Its JSON names are a contract.
type Difference struct {
	Kind      Kind            `json:"kind"`
	Violation bool            `json:"violation"`
	AgentUID  string          `json:"agent_uid,omitempty"`
	AgentName string          `json:"agent_name,omitempty"`
	Owner     string          `json:"owner,omitempty"`
	What      string          `json:"what,omitempty"`  // the kind of thing, such as tool
	Value     string          `json:"value,omitempty"` // the thing, or the glob of a grant
	Agents    []string        `json:"agents,omitempty"`
	Calls     int64           `json:"calls,omitempty"`
	FirstSeen *schema.Instant `json:"first_seen,omitempty"`
	LastSeen  *schema.Instant `json:"last_seen,omitempty"`
	Since     *schema.Instant `json:"since,omitempty"` // since when the agent may not act, or its owner is gone
	Line      int             `json:"line,omitempty"`  // in the registry
}

// DiffOptions determine what Diff compares.
type DiffOptions struct {
	// Within leaves out what was last seen longer than this before the latest event; 0 leaves out nothing.
	Within time.Duration
	// All compares agents also if only audit trails show them, or if they are known by their address alone.
	All bool
	// Calls is that of LearnOptions.
	Calls func(dataset string) bool
}

// Diff returns the differences between a registry and what is observed, by kind, then by agent and value.
func Diff(declared *site.Agents, o *Observed, opts DiffOptions) []Difference {
	d := differ{declared: declared, observed: o, opts: opts}
	seen := map[*site.Entry]*merged{}
	for _, a := range o.Within(opts.Within) {
		e := entryOf(declared, a)
		if e == nil {
			d.shadow(a)
			continue
		}
		if seen[e] == nil {
			seen[e] = &merged{Agent: *a}
			d.order = append(d.order, e)
		} else {
			seen[e].add(a)
		}
	}
	for _, e := range d.order {
		d.agent(e, &seen[e].Agent)
	}
	for _, e := range declared.Entries() {
		d.entry(e, seen[e] != nil || d.declaredSeen(e, seen))
	}
	d.credentials()
	slices.SortStableFunc(d.out, compare)
	return d.out
}

// merged is what is observed of the uid and the aliases of one entry together.
type merged struct{ Agent }

func (m *merged) add(a *Agent) {
	m.FirstSeen, m.LastSeen = min(m.FirstSeen, a.FirstSeen), max(m.LastSeen, a.LastSeen)
	m.Events = addSaturated(m.Events, a.Events)
	for k := range m.Uses {
		m.Uses[k] = addUses(slices.Clone(m.Uses[k]), a.Uses[k])
		m.Omitted[k] = addSaturated(m.Omitted[k], a.Omitted[k])
	}
}

func compare(a, b Difference) int {
	rank := func(k Kind) int {
		for i, x := range kinds {
			if x.kind == k {
				return i
			}
		}
		return len(kinds)
	}
	return cmp.Or(cmp.Compare(rank(a.Kind), rank(b.Kind)), cmp.Compare(a.AgentUID, b.AgentUID), cmp.Compare(a.What, b.What), cmp.Compare(a.Value, b.Value))
}

// differ collects differences.
type differ struct {
	declared *site.Agents
	observed *Observed
	opts     DiffOptions
	order    []*site.Entry
	out      []Difference
}

func (d *differ) add(x Difference) {
	x.Violation = x.Kind.Violation()
	d.out = append(d.out, x)
}

// about returns a difference about the calls of an agent.
func about(kind Kind, e *site.Entry, a *Agent) Difference {
	x := Difference{Kind: kind, AgentUID: a.UID, AgentName: a.Name, Calls: a.Events, FirstSeen: &a.FirstSeen, LastSeen: &a.LastSeen}
	if e != nil {
		x.AgentUID, x.Owner, x.Line = e.UID, e.Owner, e.Line
		if e.Name != "" {
			x.AgentName = e.Name
		}
	}
	return x
}

// shadow adds an agent without an entry.
func (d *differ) shadow(a *Agent) {
	if d.opts.All || a.Source != addressSource && slices.ContainsFunc(a.Datasets, d.opts.Calls) {
		d.add(about(ShadowAgent, nil, a))
	}
}

// agent adds the differences of an agent with an entry.
func (d *differ) agent(e *site.Entry, a *Agent) {
	switch e.Status {
	case site.Proposed:
		d.add(about(ProposedAgent, e, a))
		return
	case site.Suspended, site.Retired:
		x := about(RetiredAgent, e, a)
		x.Value = string(e.Status)
		d.add(x)
		return
	}
	for kind, since := range map[Kind]schema.Instant{ExpiredAgent: e.Expires, OwnerLeft: d.declared.OwnerLeft(e.Owner)} {
		if since != 0 && a.LastSeen >= since {
			x := about(kind, e, a)
			x.Since = &since
			d.add(x)
		}
	}
	for _, k := range site.Kinds() {
		for _, u := range a.Uses[k] {
			if !allows(e, k, u.Name) {
				x := about(Outside, e, a)
				x.What, x.Value, x.Calls, x.FirstSeen, x.LastSeen = k.String(), u.Name, u.Count, &u.FirstSeen, &u.LastSeen
				d.add(x)
			}
		}
		d.unused(e, k, a)
	}
}

// allows reports whether the entry allows an observed value. Of a network the inventory knows only the prefix, whose first
// address is its uid; the name of a service is not compared with networks.
func allows(e *site.Entry, k site.Kind, name string) bool {
	if k == site.Network {
		address, _, isPrefix := strings.Cut(name, "/")
		return !isPrefix || e.Allows(k, address)
	}
	return e.Allows(k, name)
}

// unused adds the grants of an entry that match nothing that is observed. If values were left out of the inventory, a grant
// without a match may be used.
func (d *differ) unused(e *site.Entry, k site.Kind, a *Agent) {
	list, restricted := e.Grants(k)
	if _, ok := useOf(k); !ok || !restricted || a.Omitted[k] > 0 {
		return
	}
	for _, g := range list {
		used := slices.ContainsFunc(a.Uses[k], func(u schema.Use) bool {
			if k == site.Network {
				return g.Overlaps(u.Name)
			}
			return g.Match(k, u.Name)
		})
		if !used {
			d.add(Difference{Kind: UnusedGrant, AgentUID: e.UID, AgentName: e.Name, Owner: e.Owner, What: k.String(), Value: g.Text, Line: g.Line})
		}
	}
}

// entry adds the differences of an entry that do not depend on its calls.
func (d *differ) entry(e *site.Entry, seen bool) {
	if e.Status != site.Active {
		return
	}
	x := Difference{AgentUID: e.UID, AgentName: e.Name, Owner: e.Owner, Line: e.Line}
	if !seen {
		x.Kind = UnseenAgent
		d.add(x)
	}
	if e.Owner == "" {
		x.Kind = NoOwner
		d.add(x)
	}
}

// declaredSeen reports whether one of the ids that the agent declares is seen.
func (d *differ) declaredSeen(e *site.Entry, seen map[*site.Entry]*merged) bool {
	return slices.ContainsFunc(e.Declared, func(id string) bool { return seen[d.declared.Entry(e.UID+"/"+id)] != nil })
}

// credentials adds the credentials that several agents present. The uid and the aliases of one entry are one agent, and an
// agent whose uid is the credential is not counted: nothing more is known of its caller.
func (d *differ) credentials() {
	from := schema.MinInstant
	if d.opts.Within > 0 {
		from = d.observed.latest.Sub(d.opts.Within)
	}
	for credential, by := range d.observed.credentials {
		x := Difference{Kind: SharedCredential, What: site.Credential.String(), Value: credential}
		for _, u := range by {
			if u.LastSeen < from || u.Name == credential {
				continue
			}
			uid := u.Name
			if a := d.observed.agents[uid]; a != nil {
				if e := entryOf(d.declared, a); e != nil {
					uid = e.UID
				}
			}
			x.Calls = addSaturated(x.Calls, u.Count)
			if !slices.Contains(x.Agents, uid) {
				x.Agents = append(x.Agents, uid)
			}
			first, last := u.FirstSeen, u.LastSeen
			if x.FirstSeen != nil {
				first, last = min(first, *x.FirstSeen), max(last, *x.LastSeen)
			}
			x.FirstSeen, x.LastSeen = &first, &last
		}
		if slices.Sort(x.Agents); len(x.Agents) > 1 {
			d.add(x)
		}
	}
}

// String returns the difference as a line for people. Texts are as they are in the inventory.
func (x *Difference) String() string {
	name := x.AgentName
	if name == "" {
		name = x.AgentUID
	}
	times := ""
	if x.FirstSeen != nil {
		times = fmt.Sprintf(": %d calls from %s to %s", x.Calls, x.FirstSeen, x.LastSeen)
	}
	switch x.Kind {
	case SharedCredential:
		return fmt.Sprintf("%s by %s%s", x.Value, strings.Join(x.Agents, ", "), times)
	case Outside, UnusedGrant:
		return fmt.Sprintf("%s: %s %s%s", name, x.What, x.Value, times)
	case ExpiredAgent, OwnerLeft:
		return fmt.Sprintf("%s, since %s%s", name, x.Since, times)
	}
	if name != x.AgentUID {
		name += " (" + x.AgentUID + ")"
	}
	return name + times
}
