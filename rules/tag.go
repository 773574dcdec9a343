package rules

import (
	_ "embed"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/aidr-engine/aidr/rules/doc"
)

// tagTable holds one known tag per line: its id, a tab, its title and, for a technique of ATT&CK or ATLAS, a tab and the
// tags of its tactics, separated by blanks. Ids, titles and tactics are those of the publishers: MITRE ATT&CK Enterprise
// 18.1 (github.com/mitre/cti), MITRE ATLAS 5.6.1 (github.com/mitre-atlas/atlas-data), the lists of OWASP, and CWE. A
// sub-technique of ATT&CK has tactics of its own; one of ATLAS has none, so it has those of its technique here.
//
//go:embed tags.tsv
var tagTable string

// namespaces are the prefixes of the tags that must be in the table.
var namespaces = []string{"owasp.", "atlas.", "attack.", "mitre-cwe."}

// Tag is a known tag, such as owasp.asi01-2026, with the title that its publisher gave it.
type Tag struct {
	ID, Title string
	Tactics   []string // of a technique: the tags of its tactics, sorted; other tags have none, a tactic neither
}

// Tags returns the known tags in the order of the table.
func Tags() []Tag {
	var out []Tag
	for line := range strings.Lines(tagTable) {
		id, rest, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		if ok {
			title, tactics, _ := strings.Cut(rest, "\t")
			out = append(out, Tag{id, title, strings.Fields(tactics)})
		}
	}
	return out
}

// knownTags returns the titles of the known tags by id.
func knownTags() map[string]string {
	m := map[string]string{}
	for _, t := range Tags() {
		m[t.ID] = t.Title
	}
	return m
}

// tacticsByTag are the tactics of the known tags; a tactic is its own.
var tacticsByTag = sync.OnceValue(func() map[string][]string {
	m := map[string][]string{}
	for _, t := range Tags() {
		switch {
		case strings.HasPrefix(t.ID, "attack.ta"), strings.HasPrefix(t.ID, "atlas.aml-ta"):
			m[t.ID] = []string{t.ID}
		case len(t.Tactics) > 0:
			m[t.ID] = t.Tactics
		}
	}
	return m
})

// tacticsOf returns the tactics of a tag.
func tacticsOf(tag string) []string { return tacticsByTag()[tag] }

func (r *reader) tags(n *doc.Node) []string {
	var out []string
	for _, v := range n.Items() {
		tag := v.Filled()
		if tag == "" {
			continue
		}
		if cause := r.compiler.badTag(tag); cause != "" {
			v.Fail("%s", cause)
		}
		if slices.Contains(out, tag) {
			v.Fail("%q is listed twice: remove one", doc.Short(tag))
		}
		out = append(out, tag)
	}
	return out
}

// badTag returns the cause of the problem with a tag, or "" if the tag is valid.
func (c *compiler) badTag(tag string) string {
	if strings.HasPrefix(tag, "x.") && len(tag) > 2 {
		return ""
	}
	if c.tags == nil {
		c.tags = knownTags()
	}
	if _, ok := c.tags[tag]; ok {
		return ""
	}
	if lower := strings.ToLower(tag); lower != tag {
		return fmt.Sprintf("the tag %q has upper-case letters: write %s", doc.Short(tag), doc.Short(lower))
	}
	for _, ns := range namespaces {
		if strings.HasPrefix(tag, ns) {
			return fmt.Sprintf("unknown tag %q%s", doc.Short(tag), c.nearTag(tag, ns))
		}
	}
	return fmt.Sprintf("the tag %q has an unknown namespace: use owasp, atlas, attack or mitre-cwe; tags of your own begin with x.",
		doc.Short(tag))
}

// nearTag returns the end of the message about an unknown tag: the tag that was probably meant, or the part that is missing.
func (c *compiler) nearTag(tag, ns string) string {
	if ns == "owasp." && !strings.Contains(strings.TrimPrefix(tag, ns), "-") {
		return ": OWASP ids end with the year of their list, as in owasp.asi01-2026"
	}
	var known []string
	for _, t := range Tags() {
		if strings.HasPrefix(t.ID, ns) {
			known = append(known, t.ID)
		}
	}
	if near := doc.Nearest(tag, known); near != "" {
		return ": did you mean " + near + " (" + c.tags[near] + ")?"
	}
	return ""
}
