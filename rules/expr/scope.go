package expr

import (
	"fmt"
	"slices"
	"strings"

	"github.com/aidr-engine/aidr/rules/predicate"
	"github.com/aidr-engine/aidr/schema"
)

// scope gives names their meaning: the names of an event, of a sequence's steps, or of a finding.
type scope interface {
	// resolve finds the slot of the longest prefix of names.
	resolve(names []string) resolved
	// roots returns the first names, which a comprehension variable may not have.
	roots() []string
	// agents returns the registry behind agent.*, which may be nil; known reports whether the scope has agent.* at all.
	agents() (r predicate.Registry, known bool)
	// capabilities returns what is behind cap.*, which may be nil; known reports whether the scope has cap.* at all.
	capabilities() (c predicate.Capabilities, known bool)
}

// resolved is the meaning of names. If used is 0, the names are unknown, and problem is the text of the issue.
type resolved struct {
	slot    predicate.Slot
	used    int // number of names that the slot covers; the rest are keys below it
	mention predicate.StepMention
	problem string
}

// eventScope resolves the fields of the schema and raw. With triggers, the fields of triggers are among them.
type eventScope struct {
	env      *Env
	triggers bool
}

func (sc eventScope) agents() (predicate.Registry, bool) { return sc.env.site.Agents, true }

func (sc eventScope) capabilities() (predicate.Capabilities, bool) {
	return sc.env.site.Capabilities, true
}

func (sc eventScope) roots() []string {
	out := []string{"raw", "lists", "agent", "cap"}
	for f := range schema.Field(schema.NumFields) {
		if root, _, _ := strings.Cut(f.String(), "."); !slices.Contains(out, root) && (!f.OfTrigger() || sc.triggers) {
			out = append(out, root)
		}
	}
	return out
}

func (sc eventScope) resolve(names []string) resolved {
	if names[0] == "raw" {
		return sc.resolveRaw(names[1:])
	}
	for n := len(names); n > 0; n-- {
		name := strings.Join(names[:n], ".")
		f, ok := schema.FieldByName(name)
		if !ok {
			continue
		}
		switch {
		case f.OfTrigger() && !sc.triggers:
			return resolved{problem: name + " belongs to the triggers of rules: only a rule with `over` can read it"}
		case !f.Visible() && !f.OfTrigger():
			return resolved{problem: name + " says when or where a record was read: no rule can see it, because findings must not depend on it"}
		}
		return resolved{
			slot:    predicate.Slot{Source: predicate.FromField, At: int(f), Type: f.Info().Type},
			used:    n,
			mention: predicate.StepMention{Mention: predicate.Mention{Name: name, Field: f, Raw: -1}},
		}
	}
	return resolved{problem: unknownName("field", strings.Join(names, "."), fieldNames())}
}

func (sc eventScope) resolveRaw(path []string) resolved {
	if len(path) == 0 {
		return resolved{problem: `raw needs the path of one value: write raw.a.b or raw["a-b"] with constant keys`}
	}
	n := sc.env.raw(path)
	return resolved{
		slot:    predicate.Slot{Source: predicate.FromRaw, At: n, Type: schema.TypeDyn},
		used:    1 + len(path),
		mention: predicate.StepMention{Mention: predicate.Mention{Name: pathName("raw", path), Raw: n}},
	}
}

// fieldNames returns the names of the fields that rules can use.
func fieldNames() []string {
	var out []string
	for f := range schema.Field(schema.NumFields) {
		if f.Visible() {
			out = append(out, f.String())
		}
	}
	return out
}

// pathName returns a path as an author writes it.
func pathName(root string, path []string) string {
	var b strings.Builder
	b.WriteString(root)
	for _, k := range path {
		if isIdentifier(k) {
			b.WriteString("." + k)
		} else {
			fmt.Fprintf(&b, "[%q]", k)
		}
	}
	return b.String()
}

func isIdentifier(s string) bool {
	for i := range len(s) {
		c := s[i]
		letter := c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		if !letter && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return s != ""
}

// stepScope resolves STEP.field over the steps of a sequence. A slot's At is the index of its value in needs.
type stepScope struct {
	eventScope
	steps []string
	needs *[]predicate.StepMention
	uses  *[]int // how often the condition names each of needs
}

func (sc stepScope) agents() (predicate.Registry, bool) { return nil, false }

func (sc stepScope) capabilities() (predicate.Capabilities, bool) { return nil, false }

func (sc stepScope) roots() []string { return append(sc.eventScope.roots(), sc.steps...) }

func (sc stepScope) resolve(names []string) resolved {
	step := slices.Index(sc.steps, names[0])
	if step < 0 {
		return resolved{problem: fmt.Sprintf("%s belongs to no step: write STEP.field, where STEP is one of %s",
			strings.Join(names, "."), strings.Join(sc.steps, ", "))}
	}
	if len(names) == 1 {
		return resolved{problem: fmt.Sprintf("%s is a step: write %s.field for a field of its event", names[0], names[0])}
	}
	out := sc.eventScope.resolve(names[1:])
	if out.used == 0 {
		return out
	}
	out.mention.Step = step
	at := slices.IndexFunc(*sc.needs, func(m predicate.StepMention) bool { return sameValue(m, out.mention) })
	if at < 0 {
		at = len(*sc.needs)
		*sc.needs = append(*sc.needs, out.mention)
		*sc.uses = append(*sc.uses, 0)
	}
	(*sc.uses)[at]++
	out.slot = predicate.Slot{Source: predicate.FromStep, At: at, Type: out.slot.Type}
	out.used++
	return out
}

// sameValue reports whether two mentions are of the same value.
func sameValue(a, b predicate.StepMention) bool {
	return a.Step == b.Step && a.Raw == b.Raw && a.Field == b.Field
}

// agentAttributes are the attributes in agent.NAME. They are those of the registry: a test of package rules compares them.
var agentAttributes = [...]struct {
	name string
	typ  schema.Type
}{
	{"registry", schema.TypeBool}, {"registered", schema.TypeBool}, {"name", schema.TypeString}, {"owner", schema.TypeString},
	{"owner_left", schema.TypeTimestamp}, {"sponsor", schema.TypeString}, {"sponsor_left", schema.TypeTimestamp},
	{"status", schema.TypeString}, {"tier", schema.TypeString}, {"expires", schema.TypeTimestamp},
	{"aliases", schema.TypeList}, {"declared", schema.TypeList},
	{"tools", schema.TypeList}, {"mcp_servers", schema.TypeList}, {"models", schema.TypeList}, {"routes", schema.TypeList},
	{"destinations", schema.TypeList}, {"cloud_actions", schema.TypeList}, {"networks", schema.TypeList},
	{"workflows", schema.TypeList}, {"scopes", schema.TypeList}, {"credentials", schema.TypeList},
}

// allowKinds are the kinds in agent.allows(KIND, x) and agent.allows_KIND(x), those of the registry.
var allowKinds = [...]string{
	"tool", "mcp_server", "model", "route", "destination", "cloud_action", "network", "workflow", "scope", "credential",
}

// AgentNames returns all forms of agent.*: the attributes, agent.allows, and agent.allows_KIND for each kind.
func AgentNames() []string { return append(agentNames(), "agent.allows") }

func agentNames() []string {
	var out []string
	for _, a := range agentAttributes {
		out = append(out, "agent."+a.name)
	}
	for _, kind := range allowKinds {
		out = append(out, "agent.allows_"+kind)
	}
	return out
}
