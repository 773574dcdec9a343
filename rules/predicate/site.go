package predicate

import "github.com/aidr-engine/aidr/schema"

// List is a list of the site, as in `x in lists.NAME`. All workers read it at once.
type List interface {
	// Contains reports whether the list holds the text, or, in a list of CIDRs or globs, has an entry that matches it.
	Contains(text string) bool
	// Literals returns the values of a list of plain strings, so that they can be indexed; ok is false for other lists.
	Literals() (values []string, ok bool)
	// Size returns the number of entries.
	Size() int
}

// Registry answers `agent.*`. The agent is the one in ai_agent.uid. All workers read the registry at once.
type Registry interface {
	// Attribute returns agent.<name>; it is absent if the agent or the attribute is unknown. It must depend on the arguments alone.
	Attribute(uid, name string) schema.Value
	// Allows reports whether the agent may use a thing of a kind, such as tool, whose name is given. It must depend on the
	// arguments alone.
	Allows(uid, kind, name string) bool
}

// Mention is one value of the event that an expression reads: a field or a raw path.
type Mention struct {
	Name  string // as an author writes it: event.action, raw.requestParameters.bucketName, raw["@timestamp"]
	Field schema.Field
	Raw   int // index in the environment's raw paths and in Event.Raws; -1 for a field
}

// StepMention is a value that a condition over a sequence reads. Step is the index of the step, 0 for an event.
type StepMention struct {
	Step int
	Mention
}
