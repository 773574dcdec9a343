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
//
// What an agent may use is a list of globs. Where a list is not there the agent is not restricted in that respect; an
// empty list allows nothing. An agent that is not registered is allowed nothing.
type Agents struct {
	byUID map[string]*agent
}

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
	a := &Agents{byUID: make(map[string]*agent)}
	f := root.Fields()
	list := f.Need("agents")
	items := list.Items()
	if len(items) > MaxAgents {
		list.Fail("%d agents are more than %d", len(items), MaxAgents)
		items = nil
	}
	for _, n := range items {
		a.read(n)
	}
	f.Done()
	if d.Failed() {
		return nil, d.Problems()
	}
	return a, d.Problems()
}

func (a *Agents) read(n *doc.Node) {
	f := n.Fields()
	uid := f.Need("uid")
	id := uid.Filled()
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
	if f.Name("aliases") != nil {
		f.Refuse("aliases", "not yet: write one entry for each uid")
	}
	f.Done()
	if n == nil || id == "" {
		return
	}
	if a.byUID[id] != nil {
		uid.Fail("%q is registered twice: keep one entry", doc.Short(id))
		return
	}
	a.byUID[id] = g
	if g.owner == "" {
		n.Warn("agent %q has no owner: nobody to ask when it is found at something", doc.Short(id))
	}
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

// Attributes are the names that Attribute knows, sorted.
func Attributes() []string {
	return []string{"expires", "name", "owner", "registered", "status", "tier"}
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
