package expr

import "github.com/aidr-engine/aidr/rules/predicate"

// Site is the part of the language that depends on the site: its lists, its agents and the capabilities of tools. The zero Site has none.
type Site struct {
	Lists        map[string]predicate.List
	Agents       predicate.Registry
	Capabilities predicate.Capabilities
}

// Issue is a problem of an expression. Line and Col count from 1, in runes, within the expression's text.
type Issue struct {
	Line, Col int
	Text      string
}
