package site

import (
	"slices"
	"strings"
	"time"

	"github.com/aidr-engine/aidr/rules/doc"
	"github.com/aidr-engine/aidr/schema"
)

// MaxAgents is how many agents a registry may hold; the file's size is the tighter limit in practice.
const MaxAgents = 100_000

// Agents is the registry of a site: which agents there are, whose they are, and what they are meant to do.
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
//	    aliases:                                        # what other sources call it
//	      - arn:aws:iam::123456789012:role/invoice-bot
//	      - {uid: invoice-bot, dataset: kong.http_log}
//
// What an agent may use is a list of globs. Where a list is not there the agent is not restricted in that respect; an
// empty list allows nothing. An agent that is not registered is allowed nothing.
//
// An alias is what ai_agent.uid is in the records of another source, or of one dataset: there it becomes the agent's uid
// before any rule sees it, so that rules over several sources meet on one key.
type Agents struct {
	byUID   map[string]*agent
	byAlias map[alias]string
}

// alias is another name of an agent, in records of one dataset or, where that is "", of all.
type alias struct{ dataset, uid string }

// MaxAliases is how many aliases one agent may have: one that has more is several agents.
const MaxAliases = 100

type agent struct {
	name, owner, status, tier string
	expires                   int64 // ns, the first instant after the last day; 0: never
	allowed                   map[string]*globs
}

// allowKeys are the keys that hold globs, and what Allows calls them.
var allowKeys = [...]struct{ key, what string }{
	{"tools", "tool"}, {"routes", "route"}, {"models", "model"}, {"destinations", "destination"},
}

// ParseAgents reads the file; name is the file's, as it is shown. agents is nil where a problem is no warning.
func ParseAgents(name string, src []byte) (agents *Agents, problems []doc.Problem) {
	d, root := doc.ParseSize(name, src, doc.MaxListSize)
	a := &Agents{byUID: make(map[string]*agent), byAlias: make(map[alias]string)}
	f := root.Fields()
	list := f.Need("agents")
	items := list.Items()
	if len(items) > MaxAgents {
		list.Fail("%d agents are more than %d", len(items), MaxAgents)
		items = nil
	}
	aliases := make([]*doc.Node, len(items))
	uids := make([]string, len(items))
	for i, n := range items {
		uids[i], aliases[i] = a.read(n)
	}
	for i, n := range aliases { // once all uids are known
		a.readAliases(uids[i], n)
	}
	f.Done()
	if d.Failed() {
		return nil, d.Problems()
	}
	return a, d.Problems()
}

// read reads one agent. It returns its aliases as they stand in the file.
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
			g.allowed[k.what] = readGlobs(v)
		}
	}
	f.Get("description").Filled() // for people
	aliases = f.Get("aliases")
	f.Done()
	if n == nil || id == "" {
		return "", nil
	}
	if a.byUID[id] != nil {
		uid.Fail("%q is registered twice: keep one entry", doc.Short(id))
		return "", nil
	}
	a.byUID[id] = g
	if g.owner == "" {
		n.Warn("agent %q has no owner: nobody to ask when it is found at something", doc.Short(id))
	}
	return id, aliases
}

// readAliases reads the other names of the agent uid: texts, or {uid, dataset}. One name is one agent's alone.
func (a *Agents) readAliases(uid string, list *doc.Node) {
	items := list.Items()
	if len(items) > MaxAliases {
		list.Fail("%d aliases are more than %d: give each agent an entry of its own", len(items), MaxAliases)
		return
	}
	for _, n := range items {
		named, other := n, alias{}
		if n.Kind == doc.Map {
			f := n.Fields()
			named = f.Need("uid")
			other.dataset = f.Get("dataset").Filled()
			f.Done()
		}
		other.uid = named.Filled()
		switch {
		case uid == "" || other.uid == "":
		case other.uid == uid:
			named.Warn("%q is the agent's uid itself", doc.Short(uid))
		case a.byUID[other.uid] != nil:
			named.Fail("%q is registered as an agent of its own: remove that entry or this alias", doc.Short(other.uid))
		case a.byAlias[other] != "" && a.byAlias[other] != uid:
			named.Fail("%q is an alias of agent %q already: one name is one agent's", doc.Short(other.uid), doc.Short(a.byAlias[other]))
		default:
			a.byAlias[other] = uid
		}
	}
}

// HasAliases says whether Resolve finds anything.
func (a *Agents) HasAliases() bool { return len(a.byAlias) > 0 }

// Resolve returns the uid of the agent that has the other one in records of the dataset, "" where it is nobody's alias.
func (a *Agents) Resolve(dataset, other string) string {
	if uid := a.byAlias[alias{dataset, other}]; uid != "" {
		return uid
	}
	return a.byAlias[alias{"", other}]
}

func readGlobs(v *doc.Node) *globs {
	g := &globs{}
	for _, p := range v.Strings() {
		g.add(strings.TrimSpace(p))
	}
	if len(g.patterns) > MaxPatterns {
		v.Fail("%d globs with a wildcard inside are more than %d", len(g.patterns), MaxPatterns)
	}
	return g
}

// Attribute returns agent.<name>: registered is true or false, expires the instant after the last day; what is not
// known is absent.
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

// Allows says whether the agent may use x; what is tool, route, model or destination.
func (a *Agents) Allows(uid, what, x string) bool {
	g := a.byUID[uid]
	if g == nil {
		return false
	}
	allowed, restricted := g.allowed[what]
	return !restricted || allowed.match(x)
}

// UIDs returns all registered uids, sorted.
func (a *Agents) UIDs() []string {
	out := make([]string, 0, len(a.byUID))
	for uid := range a.byUID {
		out = append(out, uid)
	}
	slices.Sort(out)
	return out
}
