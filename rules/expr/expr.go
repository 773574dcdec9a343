// Package expr is CEL over an event, over a finding, and over the steps of a sequence. It is the only importer of
// cel-go: others get plain Go functions and facts from it.
//
// The way of a condition, once, when a Set is built:
//
//	text --parse--> names become slots (resolve.go) --check--> what may be missing gets functions of its own
//	(lenient.go) --> typed nodes over the event's slots (compile.go, node.go); what they do not know stays CEL (leaf.go)
//
// and per event: Cond.Eval walks the nodes. They neither box nor allocate; a condition that is all nodes runs no CEL.
package expr

import (
	"github.com/aidr-engine/aidr/schema"
)

// List is what `x in lists.NAME` asks. It is read by all workers at once.
type List interface {
	// Contains says whether the list holds the text, or matches it where the list is of CIDRs or globs.
	Contains(text string) bool
	// Literals returns the list's values where it is a list of plain strings, so that they can be indexed.
	Literals() (values []string, ok bool)
	Size() int
}

// Registry is what `agent.*` asks; the agent is ai_agent.uid. It is read by all workers at once.
type Registry interface {
	// Attribute returns agent.<name> of the agent; absent where the agent or the attribute is not known.
	Attribute(uid, name string) schema.Value
	// Allows answers agent.allows_tool(x) and the like; what is "tool", "route", "model" ...
	Allows(uid, what, x string) bool
}

// Site is what the site adds to the language. The zero Site has no lists and no agents.
type Site struct {
	Lists  map[string]List
	Agents Registry
}

// Issue is one thing wrong with an expression. Line and Col count from 1, in runes, within the expression's text.
type Issue struct {
	Line, Col int
	Text      string
}

// Mention is one value of the event that an expression reads: a field, or a raw path.
type Mention struct {
	Name  string // as an author writes it: event.action, raw.requestParameters.bucketName, raw["@timestamp"]
	Field schema.Field
	Raw   int // place in Env.RawPaths and Event.Raws; -1 where it is a field
}
