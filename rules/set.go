package rules

import (
	"github.com/aidr-engine/aidr/rules/expr"
	"github.com/aidr-engine/aidr/schema"
)

// Set is all active rules, compiled and indexed; immutable. Everybody reads it.
type Set struct {
	Rules []*Rule // sorted by id; disabled and draft ones are left out
}

// Wanted returns what the rules read of an event.
func (s *Set) Wanted() schema.Wanted { panic("BUG: seam") }

// Scratch is what one worker needs to match; it is not shared.
type Scratch struct {
	Expr *expr.Scratch
}

// NewScratch returns a worker's scratch.
func (s *Set) NewScratch() *Scratch { panic("BUG: seam") }

// Hit says that an event matters to a rule.
type Hit struct {
	Rule  int    // place in Set.Rules
	Roles uint32 // bit i: Roles[i] holds
}

// Match appends the rules to which the event matters, in order of Rule: conditions, datasets and exceptions are all
// applied. It does not look at keys. Errors of conditions are counted in scratch.
func (s *Set) Match(e *schema.Event, sc *Scratch, hits []Hit) []Hit { panic("BUG: seam") }

// Options say what a Set is loaded with.
type Options struct {
	Lists  string // folder of lists, "" for none
	Agents string // agents.yaml, "" for none
	// Drafts: rules of status draft are part of the Set too (for tests).
	Drafts bool
}

// Problem is one thing wrong with a rule file.
type Problem struct {
	File      string
	Line, Col int
	Rule      string // the rule's id, "" where it is not known
	Key       string
	Cause     string
	Snippet   string // the line with a caret below, "" where there is none
	Warning   bool   // the rule loads all the same
}

// Load reads every *.yaml and *.yml below the folders (and files) named and builds a Set. All problems are returned at
// once; set is nil where one of them is no warning.
func Load(o Options, paths ...string) (set *Set, problems []Problem) { panic("BUG: seam") }
