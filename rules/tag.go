package rules

import (
	_ "embed"
	"fmt"
	"strings"

	"github.com/aidr-engine/aidr/rules/doc"
)

// tagTable lists the known ids, one a line: tag, tab, title.
//
//go:embed tags.tsv
var tagTable string

// namespaces are the beginnings of tags that are checked.
var namespaces = []string{"owasp.", "atlas.", "attack.", "mitre-cwe."}

// Tag is one known id.
type Tag struct{ ID, Title string }

// Tags returns the known ids in order of the table.
func Tags() []Tag {
	var out []Tag
	for line := range strings.Lines(tagTable) {
		id, title, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		if ok {
			out = append(out, Tag{id, title})
		}
	}
	return out
}

// knownTags is Tags by id.
func knownTags() map[string]string {
	m := map[string]string{}
	for _, t := range Tags() {
		m[t.ID] = t.Title
	}
	return m
}

func (r *reader) tags(n *doc.Node) []string {
	var out []string
	for _, v := range n.Items() {
		tag := v.Filled()
		if tag == "" {
			continue
		}
		if why := r.compiler.badTag(tag); why != "" {
			v.Fail("%s", why)
		}
		for _, have := range out {
			if have == tag {
				v.Fail("%q is there twice", doc.Short(tag))
			}
		}
		out = append(out, tag)
	}
	return out
}

// badTag says what is wrong with a tag, "" where nothing is.
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
		return fmt.Sprintf("tag %q: tags are lower case: write %s", doc.Short(tag), doc.Short(lower))
	}
	for _, ns := range namespaces {
		if strings.HasPrefix(tag, ns) {
			return fmt.Sprintf("tag %q: no such id in the table%s", doc.Short(tag), c.nearTag(tag, ns))
		}
	}
	return fmt.Sprintf("tag %q: unknown namespace: known are owasp, atlas, attack and mitre-cwe; your own begin with x.", doc.Short(tag))
}

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
