package site

import (
	"encoding/json"
	"strings"
	"time"

	"github.com/aidr-engine/aidr/rules/doc"
	"github.com/aidr-engine/aidr/schema"
)

// agentsReader reads a registry.
type agentsReader struct {
	out *Agents
	// aliasOf and refinedOf hold the names of all entries, proposed ones included, so that a name that two entries claim is
	// reported before one of them is approved.
	aliasOf   map[alias]string
	refinedOf map[string]string
	ownerless bool // agents without an owner are no problem
}

func newAgentsReader() *agentsReader {
	return &agentsReader{
		out: &Agents{
			byUID: make(map[string]*Entry), byAlias: make(map[alias]string), refined: make(map[string]string), owners: make(map[string]schema.Instant),
		},
		aliasOf: make(map[alias]string), refinedOf: make(map[string]string),
	}
}

func (r *agentsReader) agents(list *doc.Node) {
	items := list.Items()
	if len(items) > MaxAgents {
		list.Fail("has %d agents, the limit is %d: remove some", len(items), MaxAgents)
		return
	}
	aliases := make([]*doc.Node, len(items))
	entries := make([]*Entry, len(items))
	for i, n := range items {
		entries[i], aliases[i] = r.entry(n)
	}
	for i, n := range aliases { // a second pass, because an alias must not be the uid of a later agent
		r.aliases(entries[i], n)
	}
}

// entry reads one agent and returns it, nil if it has no usable uid, and its aliases, which are not read yet.
func (r *agentsReader) entry(n *doc.Node) (e *Entry, aliases *doc.Node) {
	f := n.Fields()
	uid := f.Need("uid")
	e = &Entry{UID: uid.Filled(), Status: Active, Line: n.Line}
	e.Name = f.Get("name").Filled()
	e.Description = f.Get("description").Filled()
	e.Owner = f.Get("owner").Filled()
	e.Sponsor = f.Get("sponsor").Filled()
	if s := f.Get("status"); s != nil {
		e.Status = Status(s.Enum(statusNames()...))
	}
	if x := f.Get("expires"); x != nil {
		e.Expires = dayAfter(x)
	}
	e.Tier = f.Get("tier").Filled()
	for k := range NumKinds {
		if v := f.Get(kindInfo[k].key); v != nil {
			e.lists[k] = readGrants(k, v)
		}
	}
	readObservation(f.Get("observed"))
	aliases, declared := f.Get("aliases"), f.Get("declared")
	f.Done()
	if e.UID == "" {
		return nil, nil
	}
	r.declared(e, declared)
	if known := r.out.byUID[e.UID]; known != nil && !known.listed {
		uid.Fail("%q is registered twice: keep one entry", doc.Short(e.UID))
		return nil, nil
	}
	r.out.byUID[e.UID] = e
	r.out.entries = append(r.out.entries, e)
	if e.Owner == "" && e.Status != Proposed && !r.ownerless {
		n.Warn("agent %q has no owner: name the person or team to contact about its findings", doc.Short(e.UID))
	}
	return e, aliases
}

func statusNames() (names []string) {
	for _, s := range Statuses() {
		names = append(names, string(s))
	}
	return names
}

// dayAfter returns the first instant after a day.
func dayAfter(n *doc.Node) schema.Instant {
	day := n.Date()
	if day.IsZero() {
		return 0
	}
	return schema.InstantOf(day.Add(24 * time.Hour))
}

// observationKeys are the keys of `observed`: what learn knows of an agent as a whole. Nothing depends on them.
var observationKeys = [...]string{
	"identity", "first_seen", "last_seen", "calls", "failures", "datasets", "delegated_by", "left_out",
}

func readObservation(n *doc.Node) {
	if n == nil {
		return
	}
	f := n.Fields()
	for _, key := range observationKeys {
		if v := f.Get(key); len(v.Filled()) > MaxValue {
			v.Fail("has more than %d bytes: shorten it", MaxValue)
		}
	}
	f.Done()
}

// declared registers the ids that the agent may declare. An entry of its own for one of them counts instead.
func (r *agentsReader) declared(e *Entry, list *doc.Node) {
	items := list.Items()
	if len(items) > MaxAliases {
		list.Fail("has %d ids, the limit is %d: set trust_declared on the source if the producer checks them", len(items), MaxAliases)
		return
	}
	for _, n := range items {
		if declared := n.Filled(); declared != "" {
			e.Declared = append(e.Declared, declared)
		}
	}
	e.declare = jsonList(list, e.Declared)
	for _, declared := range e.Declared {
		name, uid := schema.DeclaredName(e.UID, declared), e.UID+"/"+declared
		r.refinedOf[name] = uid
		if e.Status == Proposed {
			continue
		}
		r.out.refined[name] = uid
		if r.out.byUID[uid] != nil {
			continue
		}
		listed := *e
		listed.listed = true
		r.out.byUID[uid] = &listed
	}
}

// jsonList returns texts as a JSON list, "" if the node is absent.
func jsonList(n *doc.Node, texts []string) string {
	if n == nil {
		return ""
	}
	if texts == nil {
		texts = []string{}
	}
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(texts); err != nil {
		panic("BUG: " + err.Error())
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// aliases reads the aliases of an agent: texts, or {uid, dataset} or {uid, principal}. An alias belongs to one agent only.
func (r *agentsReader) aliases(e *Entry, list *doc.Node) {
	items := list.Items()
	if len(items) > MaxAliases {
		list.Fail("has %d aliases, the limit is %d: give each agent an entry of its own", len(items), MaxAliases)
		return
	}
	for _, n := range items {
		name, other := n, Alias{}
		if n.Kind == doc.Map {
			f := n.Fields()
			name = f.Need("uid")
			other.Dataset = f.Get("dataset").Filled()
			other.Principal = f.Get("principal").Filled()
			f.Done()
		}
		other.UID = name.Filled()
		if e != nil && other.UID != "" {
			r.alias(e, name, other)
		}
	}
	if e != nil {
		uids := make([]string, len(e.Aliases))
		for i := range e.Aliases {
			uids[i] = e.Aliases[i].UID
		}
		e.aliases = jsonList(list, uids)
	}
}

// alias records one alias of an agent. n is its node, for problems.
func (r *agentsReader) alias(e *Entry, n *doc.Node, other Alias) {
	key, declared := alias{other.Dataset, other.UID}, schema.DeclaredName(other.Principal, other.UID)
	switch {
	case other.Principal != "":
		if first := r.refinedOf[declared]; first != "" && first != e.UID {
			n.Fail("%q with this principal is already agent %q: remove one of the two", doc.Short(other.UID), doc.Short(first))
			return
		}
		r.refinedOf[declared] = e.UID
	case other.UID == e.UID:
		n.Warn("%q is the agent's own uid: remove the alias", doc.Short(e.UID))
		return
	case r.out.byUID[other.UID] != nil:
		n.Fail("%q is registered as an agent of its own: remove that entry or this alias", doc.Short(other.UID))
		return
	case r.aliasOf[key] != "" && r.aliasOf[key] != e.UID:
		n.Fail("%q is already an alias of agent %q: remove one of the two", doc.Short(other.UID), doc.Short(r.aliasOf[key]))
		return
	default:
		r.aliasOf[key] = e.UID
	}
	e.Aliases = append(e.Aliases, other)
	switch {
	case e.Status == Proposed: // an alias joins two identities, which only a person may decide
	case other.Principal != "":
		r.out.refined[declared] = e.UID
	default:
		r.out.byAlias[key] = e.UID
	}
}

// owners reads the people and teams that own agents, and the days on which they left.
func (r *agentsReader) owners(list *doc.Node) {
	items := list.Items()
	if len(items) > MaxOwners {
		list.Fail("has %d owners, the limit is %d: list only those that own or sponsor agents", len(items), MaxOwners)
		return
	}
	seen := make(map[string]bool, len(items))
	for _, n := range items {
		f := n.Fields()
		id := f.Need("id")
		f.Get("name").Filled()
		left := f.Get("left")
		f.Done()
		owner, gone := foldOwner(id.Filled()), schema.Instant(0)
		if left != nil {
			gone = dayAfter(left)
		}
		if owner != "" && seen[owner] {
			id.Fail("%q is listed twice: keep one", doc.Short(owner))
		}
		seen[owner] = true
		if owner != "" && gone != 0 {
			r.out.owners[owner] = gone
		}
	}
}
