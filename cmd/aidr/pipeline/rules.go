package pipeline

import (
	"github.com/aidr-engine/aidr/rules"
	"github.com/aidr-engine/aidr/rules/library"
)

// Set is a loaded set of rules.
type Set = rules.Set

// RuleFiles say where rules are and what they may ask.
type RuleFiles struct {
	Paths  []string // none: the rules that aidr ships
	Lists  string
	Agents string
	Drafts bool // drafts too
	Warn   bool // also of exceptions that are over by now
}

// LoadRules loads rules from folders, or those that aidr ships.
func LoadRules(f RuleFiles) (*rules.Set, []rules.Problem) {
	o := rules.Options{Lists: f.Lists, Agents: f.Agents, Drafts: f.Drafts}
	if f.Warn {
		o.Today = now()
	}
	if len(f.Paths) == 0 {
		return rules.LoadFS(o, library.FS, "builtin")
	}
	return rules.Load(o, f.Paths...)
}
