package site

import (
	"slices"
	"strings"

	"github.com/aidr-engine/aidr/rules/doc"
	"github.com/aidr-engine/aidr/schema"
)

// Limits of a registry.
const (
	// MaxAgents is the largest number of agents in a registry; in practice the size of the file is the tighter limit.
	MaxAgents = 100_000
	// MaxAliases is the largest number of aliases of one agent. An entry with more is probably several agents.
	MaxAliases = 100
	// MaxOwners is the largest number of owners in a registry: room for an export of all leavers of a large company.
	MaxOwners = 100_000
)

// Agents is the registry of a site: its agents, their owners, and the tools, models, hosts and so on that each may use.
//
//	agents:
//	  - uid: 88dc28d0f030c55ed4ab77ed8faf098196cb1c05df778539800c9f1243fe6b4b
//	    name: invoice-bot
//	    owner: finance-platform@example.com
//	    sponsor: cfo@example.com
//	    status: active
//	    expires: 2027-03-31
//	    tier: high
//	    tools: [read_file, "mail_*", {exact: "what?"}]
//	    routes: ["/v1/invoices*"]
//	    models: [gpt-4o]
//	    networks: [10.0.0.0/8]
//	    aliases:                                        # its names in other sources
//	      - arn:aws:iam::123456789012:role/invoice-bot
//	      - {uid: invoice-bot, dataset: kong.http_log}
//	    declared: [monthly-run, reminders]              # ids that it may declare
//	owners:
//	  - {id: finance-platform@example.com, left: 2027-01-31}
//
// AGENTS.md describes every key. Each kind of thing that an agent uses has a list (see Kind). If a list is absent, the agent
// is not restricted in that respect; if it is empty, the agent may use nothing of that kind. A value is a glob, or a mapping
// with exact, in which * and ? have no meaning of their own; networks are addresses and CIDR prefixes.
//
// Only an agent whose status is active may use anything. A proposed entry approves nothing: the agent is not registered, and
// its aliases and declared ids do not count, until a person changes the status.
//
// A declared id is one that the caller itself sends, in a header or in metadata. It is part of the agent's id,
// uid/declared, only if the agent's entry lists it; it then has the entry's owner, status and grants, unless an entry of its
// own has that uid. An alias with a principal, {uid: night-run, principal: KEY}, is the id that the agent declares with that
// credential, which other agents may use as well.
//
// An alias is the value of ai_agent.uid in the records of another source, or of one dataset. It is replaced by the
// agent's uid before any rule sees the event, so that a rule over several sources has one key for the agent.
type Agents struct {
	byUID   map[string]*Entry
	byAlias map[alias]string
	refined map[string]string         // the agent of a principal and a declared id, by schema.DeclaredName
	owners  map[string]schema.Instant // by folded id: the first instant after the day on which the owner left
	entries []*Entry                  // in the order of the file
}

// alias is another name of an agent: in the records of one dataset, or in all records if dataset is "".
type alias struct{ dataset, uid string }

// Status is the status of an entry.
type Status string

// The statuses.
const (
	Proposed  Status = "proposed" // written by a program and not yet reviewed: it approves nothing
	Active    Status = "active"
	Suspended Status = "suspended" // known, and may use nothing for now
	Retired   Status = "retired"   // known, and may use nothing any longer
)

// Statuses returns all statuses.
func Statuses() []Status { return []Status{Proposed, Active, Suspended, Retired} }

// Entry is one agent of the registry. It is immutable.
type Entry struct {
	UID, Name, Description, Owner, Sponsor, Tier string

	Status   Status
	Expires  schema.Instant // the first instant after the last day; 0: never
	Aliases  []Alias
	Declared []string
	Line     int // in the registry's file

	lists            [NumKinds]*grants // nil: not restricted
	aliases, declare string            // Aliases and Declared as JSON lists
	listed           bool              // a declared id in the entry of its principal
}

// Alias is another name of an agent.
type Alias struct {
	UID       string
	Dataset   string // "" for all
	Principal string // of a declared id: the credential under which it counts; else ""
}

// Registered reports whether a person has registered the agent: whether it has an entry that is not merely proposed.
func (e *Entry) Registered() bool { return e != nil && e.Status != Proposed }

// Grants returns the agent's list of a kind. restricted is false if the agent has no such list, and therefore no limit.
func (e *Entry) Grants(k Kind) (list []Grant, restricted bool) {
	if e.lists[k] == nil {
		return nil, false
	}
	return e.lists[k].list, true
}

// Allows reports whether the agent may use x.
func (e *Entry) Allows(k Kind, x string) bool {
	if e == nil || e.Status != Active {
		return false
	}
	return e.lists[k] == nil || e.lists[k].allow(x)
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

// Allows reports whether the agent may use x, which is of the kind with the given singular word, such as tool.
func (a *Agents) Allows(uid, kind, x string) bool {
	k, ok := KindNamed(kind)
	return ok && a.byUID[uid].Allows(k, x)
}

// Entry returns the entry of an agent, or of the agent under which the uid is a declared id; nil if there is none.
func (a *Agents) Entry(uid string) *Entry { return a.byUID[uid] }

// Entries returns the entries in the order of the file. It must not be changed.
func (a *Agents) Entries() []*Entry { return a.entries }

// OwnerLeft returns the first instant after the day on which an owner or sponsor left; 0 if the registry has no such day.
func (a *Agents) OwnerLeft(owner string) schema.Instant {
	if len(a.owners) == 0 {
		return 0
	}
	return a.owners[foldOwner(owner)]
}

// foldOwner makes owners comparable: addresses of mail are written in any case.
func foldOwner(id string) string { return strings.ToLower(strings.TrimSpace(id)) }

// UIDs returns the uids of all entries and of their declared ids, sorted.
func (a *Agents) UIDs() []string {
	out := make([]string, 0, len(a.byUID))
	for uid := range a.byUID {
		out = append(out, uid)
	}
	slices.Sort(out)
	return out
}

// Attribute returns agent.<name> of an agent. A time is the first instant after a day. An attribute that is not set or does
// not exist is absent; attributes lists those that exist.
func (a *Agents) Attribute(uid, name string) schema.Value {
	e := a.byUID[uid]
	switch name {
	case "registry":
		return schema.BoolValue(a.byUID != nil)
	case "registered":
		return schema.BoolValue(e.Registered())
	}
	if e == nil {
		return schema.Value{}
	}
	switch name {
	case "name":
		return textValue(e.Name)
	case "owner":
		return textValue(e.Owner)
	case "sponsor":
		return textValue(e.Sponsor)
	case "status":
		return textValue(string(e.Status))
	case "tier":
		return textValue(e.Tier)
	case "expires":
		return timeValue(e.Expires)
	case "owner_left":
		return timeValue(a.OwnerLeft(e.Owner))
	case "sponsor_left":
		return timeValue(a.OwnerLeft(e.Sponsor))
	case "aliases":
		return listValue(e.aliases)
	case "declared":
		return listValue(e.declare)
	}
	for k := range NumKinds {
		if kindInfo[k].key == name && e.lists[k] != nil {
			return listValue(e.lists[k].text)
		}
	}
	return schema.Value{}
}

func textValue(text string) schema.Value {
	if text == "" {
		return schema.Value{}
	}
	return schema.StringValue(text)
}

func timeValue(t schema.Instant) schema.Value {
	if t == 0 {
		return schema.Value{}
	}
	return schema.TimestampValue(int64(t))
}

func listValue(text string) schema.Value {
	if text == "" {
		return schema.Value{}
	}
	return schema.ListValue(text)
}

// Attribute is an attribute agent.NAME of the rule language.
type Attribute struct {
	Name    string
	Type    schema.Type
	Meaning string
}

// Attributes returns the attributes that Agents.Attribute has, in the order of the reference page.
func Attributes() []Attribute {
	out := []Attribute{
		{"registry", schema.TypeBool, "The site has a registry. A rule that reads it also works without one."},
		{"registered", schema.TypeBool, "The agent has an entry that is not merely proposed."},
		{"name", schema.TypeString, "`name`"},
		{"owner", schema.TypeString, "`owner`"},
		{"owner_left", schema.TypeTimestamp, "The first instant after the day on which the owner left; absent if the owner has not left."},
		{"sponsor", schema.TypeString, "`sponsor`"},
		{"sponsor_left", schema.TypeTimestamp, "The same for the sponsor."},
		{"status", schema.TypeString, "`status`"},
		{"tier", schema.TypeString, "`tier`"},
		{"expires", schema.TypeTimestamp, "The first instant after the day `expires`; absent if the entry does not expire."},
		{"aliases", schema.TypeList, "The uids of `aliases`."},
		{"declared", schema.TypeList, "`declared`"},
	}
	for _, k := range Kinds() {
		out = append(out, Attribute{k.Key(), schema.TypeList, "`" + k.Key() + "`; absent if the agent is not restricted."})
	}
	return out
}

// ParseAgents reads a registry. name is the file's name as problems show it. agents is nil if any problem is not a
// warning.
func ParseAgents(name string, src []byte) (agents *Agents, problems []doc.Problem) {
	d, root := doc.ParseSize(name, src, doc.MaxListSize)
	r := newAgentsReader()
	f := root.Fields()
	r.agents(f.Need("agents"))
	r.owners(f.Get("owners"))
	f.Done()
	if d.Failed() {
		return nil, d.Problems()
	}
	return r.out, d.Problems()
}

// AgentsOf reads the lists of a registry that is part of another file, of the tests of a rule. Problems are recorded there,
// and the result is usable only if there are none. An agent without an owner is no problem.
func AgentsOf(agents, owners *doc.Node) *Agents {
	r := newAgentsReader()
	r.ownerless = true
	r.agents(agents)
	r.owners(owners)
	return r.out
}
