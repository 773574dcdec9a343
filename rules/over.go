package rules

// Over is a rule's `over`: the rules whose triggers are the items of the rule.
type Over struct {
	// Patterns are the ids, globs and tags as they are written.
	Patterns []string
	// Feeding are the rules of the Set that the patterns name, sorted by id.
	Feeding []*Rule
}
