package pipeline

import (
	"github.com/aidr-engine/aidr/rules"
	"github.com/aidr-engine/aidr/rules/library"
)

// Set is a loaded set of rules.
type Set = rules.Set

// RuleFiles holds the paths of rules and of the files that rules refer to.
type RuleFiles struct {
	Paths  []string // folders and files of rules; empty: the shipped rules
	Lists  string   // folder of lists, in addition to lists/ in the folders of rules; may be ""
	Agents string   // registry of agents, in addition to agents.yaml in the folders of rules; may be ""
	Drafts bool     // load drafts too
	Warn   bool     // warn of exceptions that have expired
}

// LoadRules loads the rules that f names. The set is nil if a problem is more than a warning.
func LoadRules(f RuleFiles) (*rules.Set, []rules.Problem) {
	opts := rules.Options{Lists: f.Lists, Agents: f.Agents, Drafts: f.Drafts}
	if f.Warn {
		opts.Today = now()
	}
	if len(f.Paths) == 0 {
		return rules.LoadFS(opts, library.FS, "builtin")
	}
	return rules.Load(opts, f.Paths...)
}
