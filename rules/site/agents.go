package site

import (
	"slices"
	"strings"
	"time"

	"github.com/aidr-engine/aidr/rules/doc"
	"github.com/aidr-engine/aidr/schema"
)

// MaxAgents is the largest number of agents in a registry; in practice the size of the file is the tighter limit.
const MaxAgents = 100_000

// Agents is the registry of a site: its agents, their owners, and the tools, routes, models and destinations that each
// may use.
//
//	agents:
//	  - uid: 88dc28d0f030c55ed4ab77ed8faf098196cb1c05df778539800c9f1243fe6b4b
//	    name: invoice-bot
//	    owner: finance-platform@example.com
//	    status: active
//	    expires: 2027-03-31
//	    tier: high
//	    tools: [read_file, "mail_*"]
//	    routes: ["/v1/invoices*"]
//	    models: [gpt-4o]
//	    aliases:                                        # its names in other sources
//	      - arn:aws:iam::123456789012:role/invoice-bot
//	      - {uid: invoice-bot, dataset: kong.http_log}
//	    declared: [monthly-run, reminders]              # ids that it may declare
//
// Each of tools, routes, models and destinations is a list of globs. If a list is absent, the agent is not restricted in
// that respect; if it is empty, the agent may use nothing of that kind. An agent that is not registered may use nothing.
//
// A declared id is one that the caller itself sends, in a header or in metadata. It is part of the agent's id,
// uid/declared, only if the agent's entry lists it; it then has the entry's owner, status and grants, unless an entry of its
// own has that uid. An alias with a principal, {uid: night-run, principal: KEY}, is the id that the agent declares with that
// credential, which other agents may use as well.
//
// An alias is the value of ai_agent.uid in the records of another source, or of one dataset. It is replaced by the
// agent's uid before any rule sees the event, so that a rule over several sources has one key for the agent.
type Agents struct {
	byUID   map[string]*agent
	byAlias map[alias]string
	refined map[string]string // the agent of a principal and a declared id, by schema.DeclaredName
}

// alias is another name of an agent: in the records of one dataset, or in all records if dataset is "".
type alias struct{ dataset, uid string }

// MaxAliases is the largest number of aliases of one agent. An entry with more is probably several agents.
const MaxAliases = 100

type agent struct {
	name, owner, status, tier string
	expires                   int64             // ns, the first instant after the last day; 0: never
	allowed                   map[string]*globs // by kind, as in Allows
	listed                    bool              // a declared id in the entry of its principal
}

// allowKeys are the keys with globs, and the kind that each has in Allows.
var allowKeys = [...]struct{ key, kind string }{
	{"tools", "tool"}, {"routes", "route"}, {"models", "model"}, {"destinations", "destination"},
}

// ParseAgents reads a registry. name is the file's name as problems show it. agents is nil if any problem is not a
// warning.
func ParseAgents(name string, src []byte) (agents *Agents, problems []doc.Problem) {
	d, root := doc.ParseSize(name, src, doc.MaxListSize)
	a := &Agents{byUID: make(map[string]*agent), byAlias: make(map[alias]string), refined: make(map[string]string)}
	f := root.Fields()
	list := f.Need("agents")
	items := list.Items()
	if len(items) > MaxAgents {
		list.Fail("has %d agents, the limit is %d: remove some", len(items), MaxAgents)
		items = nil
	}
	aliases := make([]*doc.Node, len(items))
	uids := make([]string, len(items))
	for i, n := range items {
		uids[i], aliases[i] = a.read(n)
	}
	for i, n := range aliases { // a second pass, because an alias must not be the uid of a later agent
		a.readAliases(uids[i], n)
	}
	f.Done()
	if d.Failed() {
		return nil, d.Problems()
	}
	return a, d.Problems()
}

// read reads one agent and returns its uid and its aliases, which are not read yet.
func (a *Agents) read(n *doc.Node) (id string, aliases *doc.Node) {
	f := n.Fields()
	uid := f.Need("uid")
	id = uid.Filled()
	g := &agent{status: "active", allowed: make(map[string]*globs)}
	g.name = f.Get("name").Filled()
	g.owner = f.Get("owner").Filled()
	if s := f.Get("status"); s != nil {
		g.status = s.Enum("active", "suspended", "retired")
	}
	g.tier = f.Get("tier").Filled()
	if e := f.Get("expires"); e != nil {
		g.expires = e.Date().Add(24 * time.Hour).UnixNano()
	}
	for _, k := range allowKeys {
		if v := f.Get(k.key); v != nil {
			g.allowed[k.kind] = readGlobs(v)
		}
	}
	f.Get("description").Filled() // a note for readers of the file
	aliases = f.Get("aliases")
	declared := f.Get("declared")
	f.Done()
	if n == nil || id == "" {
		return "", nil
	}
	a.readDeclared(id, g, declared)
	if known := a.byUID[id]; known != nil && !known.listed {
		uid.Fail("%q is registered twice: keep one entry", doc.Short(id))
		return "", nil
	}
	a.byUID[id] = g
	if g.owner == "" {
		n.Warn("agent %q has no owner: name the person or team to contact about its findings", doc.Short(id))
	}
	return id, aliases
}

// readDeclared registers the ids that the agent may declare. An entry of its own for one of them counts instead.
func (a *Agents) readDeclared(uid string, g *agent, list *doc.Node) {
	items := list.Items()
	if len(items) > MaxAliases {
		list.Fail("has %d ids, the limit is %d: set trust_declared on the source if the producer checks them", len(items), MaxAliases)
		return
	}
	for _, n := range items {
		declared := n.Filled()
		if declared == "" {
			continue
		}
		a.refined[schema.DeclaredName(uid, declared)] = uid + "/" + declared
		if a.byUID[uid+"/"+declared] != nil {
			continue
		}
		listed := *g
		listed.listed = true
		a.byUID[uid+"/"+declared] = &listed
	}
}

// readAliases reads the aliases of an agent: texts, or {uid, dataset}. An alias belongs to one agent only.
func (a *Agents) readAliases(uid string, list *doc.Node) {
	items := list.Items()
	if len(items) > MaxAliases {
		list.Fail("has %d aliases, the limit is %d: give each agent an entry of its own", len(items), MaxAliases)
		return
	}
	for _, n := range items {
		name, principal, other := n, "", alias{}
		if n.Kind == doc.Map {
			f := n.Fields()
			name = f.Need("uid")
			other.dataset = f.Get("dataset").Filled()
			principal = f.Get("principal").Filled()
			f.Done()
		}
		other.uid = name.Filled()
		declared := schema.DeclaredName(principal, other.uid)
		switch {
		case uid == "" || other.uid == "":
		case principal != "" && a.refined[declared] != "" && a.refined[declared] != uid:
			name.Fail("%q with this principal is already agent %q: remove one of the two", doc.Short(other.uid), doc.Short(a.refined[declared]))
		case principal != "":
			a.refined[declared] = uid
		case other.uid == uid:
			name.Warn("%q is the agent's own uid: remove the alias", doc.Short(uid))
		case a.byUID[other.uid] != nil:
			name.Fail("%q is registered as an agent of its own: remove that entry or this alias", doc.Short(other.uid))
		case a.byAlias[other] != "" && a.byAlias[other] != uid:
			name.Fail("%q is already an alias of agent %q: remove one of the two", doc.Short(other.uid), doc.Short(a.byAlias[other]))
		default:
			a.byAlias[other] = uid
		}
	}
}

// HasAliases reports whether any agent has an alias or may declare an id. If not, Resolve finds nothing that matters.
func (a *Agents) HasAliases() bool { return len(a.byAlias) > 0 || len(a.refined) > 0 }

// Resolve returns the uid of the agent that has other as an alias in the records of the dataset, or "" if no agent has. other
// may be a schema.DeclaredName.
func (a *Agents) Resolve(dataset, other string) string {
	if uid := a.byAlias[alias{dataset, other}]; uid != "" {
		return uid
	}
	if uid := a.byAlias[alias{"", other}]; uid != "" {
		return uid
	}
	return a.refined[other]
}

func readGlobs(v *doc.Node) *globs {
	g := &globs{}
	for _, p := range v.Strings() {
		g.add(strings.TrimSpace(p))
	}
	if len(g.patterns) > MaxPatterns {
		v.Fail("has %d globs with a wildcard inside, the limit is %d: use *suffix and prefix*, which are indexed",
			len(g.patterns), MaxPatterns)
	}
	return g
}

// Attribute returns agent.<name> of an agent. registered is true or false; expires is the first instant after the last
// day. An attribute that is not set or does not exist is absent.
func (a *Agents) Attribute(uid, name string) schema.Value {
	g := a.byUID[uid]
	if name == "registered" {
		return schema.BoolValue(g != nil)
	}
	if g == nil {
		return schema.Value{}
	}
	text := ""
	switch name {
	case "name":
		text = g.name
	case "owner":
		text = g.owner
	case "status":
		text = g.status
	case "tier":
		text = g.tier
	case "expires":
		if g.expires != 0 {
			return schema.TimestampValue(g.expires)
		}
	}
	if text == "" {
		return schema.Value{}
	}
	return schema.StringValue(text)
}

// Allows reports whether the agent may use x, which is of the given kind: tool, route, model or destination.
func (a *Agents) Allows(uid, kind, x string) bool {
	g := a.byUID[uid]
	if g == nil {
		return false
	}
	allowed, restricted := g.allowed[kind]
	return !restricted || allowed.match(x)
}

// UIDs returns the uids of all registered agents, sorted.
func (a *Agents) UIDs() []string {
	out := make([]string, 0, len(a.byUID))
	for uid := range a.byUID {
		out = append(out, uid)
	}
	slices.Sort(out)
	return out
}
