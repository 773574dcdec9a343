package expr

import (
	"fmt"
	"slices"
	"strings"

	"github.com/aidr-engine/aidr/schema"
)

// scope gives names their meaning: those of an event, of a sequence's steps, or of a finding.
type scope interface {
	// resolve finds the slot of the longest front of names. Where used is 0 there is none, and problem says so.
	resolve(names []string) (s slot, used int, m StepMention, problem string)
	// roots are the names that no comprehension variable may have.
	roots() []string
	// agents says whether agent.* is known, and through which registry.
	agents() (Registry, bool)
}

// eventScope is the schema and raw.
type eventScope struct{ env *Env }

func (sc eventScope) agents() (Registry, bool) { return sc.env.site.Agents, true }

func (sc eventScope) roots() []string {
	out := []string{"raw", "lists", "agent"}
	for f := range schema.Field(schema.NumFields) {
		if root, _, _ := strings.Cut(f.String(), "."); !slices.Contains(out, root) {
			out = append(out, root)
		}
	}
	return out
}

func (sc eventScope) resolve(names []string) (slot, int, StepMention, string) {
	if names[0] == "raw" {
		if len(names) == 1 {
			return slot{}, 0, StepMention{}, `raw needs the path of one value: write raw.a.b or raw["a-b"] with constant keys`
		}
		n := sc.env.raw(names[1:])
		m := Mention{Name: pathName("raw", names[1:]), Raw: n}
		return slot{src: fromRaw, at: n, typ: schema.TypeDyn}, len(names), StepMention{Mention: m}, ""
	}
	for n := len(names); n > 0; n-- {
		name := strings.Join(names[:n], ".")
		f, ok := schema.FieldByName(name)
		if !ok {
			continue
		}
		if !f.Visible() {
			return slot{}, 0, StepMention{}, name + " says when or where a record was read: no rule can see it, because findings must not depend on it"
		}
		m := Mention{Name: name, Field: f, Raw: -1}
		return slot{src: fromField, at: int(f), typ: f.Info().Type}, n, StepMention{Mention: m}, ""
	}
	return slot{}, 0, StepMention{}, unknownName("field", strings.Join(names, "."), fieldNames())
}

// fieldNames returns the names of the fields that rules see.
func fieldNames() []string {
	var out []string
	for f := range schema.Field(schema.NumFields) {
		if f.Visible() {
			out = append(out, f.String())
		}
	}
	return out
}

// pathName writes a path as an author does.
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

// stepScope is STEP.field over the steps of a sequence. A slot's place is that of the value in Where.Needs.
type stepScope struct {
	env   *Env
	steps []string
	needs *[]StepMention
}

func (sc stepScope) agents() (Registry, bool) { return nil, false }

func (sc stepScope) roots() []string { return append(eventScope{sc.env}.roots(), sc.steps...) }

func (sc stepScope) resolve(names []string) (slot, int, StepMention, string) {
	step := slices.Index(sc.steps, names[0])
	if step < 0 {
		return slot{}, 0, StepMention{}, fmt.Sprintf("%s belongs to no step: write STEP.field, where STEP is one of %s", strings.Join(names, "."), strings.Join(sc.steps, ", "))
	}
	if len(names) == 1 {
		return slot{}, 0, StepMention{}, fmt.Sprintf("%s is a step: write %s.field for a field of its event", names[0], names[0])
	}
	s, used, m, problem := eventScope{sc.env}.resolve(names[1:])
	if used == 0 {
		return slot{}, 0, m, problem
	}
	m.Step = step
	same := func(o StepMention) bool { return o.Step == m.Step && o.Raw == m.Raw && o.Field == m.Field }
	at := slices.IndexFunc(*sc.needs, same)
	if at < 0 {
		at = len(*sc.needs)
		*sc.needs = append(*sc.needs, m)
	}
	return slot{src: fromNeed, at: at, typ: s.typ}, used + 1, m, ""
}

// agentAttributes are what agent.NAME can be.
var agentAttributes = [...]struct {
	name string
	typ  schema.Type
}{
	{"registered", schema.TypeBool}, {"name", schema.TypeString}, {"owner", schema.TypeString},
	{"status", schema.TypeString}, {"tier", schema.TypeString}, {"expires", schema.TypeTimestamp},
}

// allowQuestions are what agent.allows_NAME(x) can ask.
var allowQuestions = [...]string{"tool", "route", "model", "destination"}

func agentNames() []string {
	var out []string
	for _, a := range agentAttributes {
		out = append(out, "agent."+a.name)
	}
	for _, q := range allowQuestions {
		out = append(out, "agent.allows_"+q)
	}
	return out
}
