package config

import (
	"slices"
	"strings"
	"time"

	"github.com/aidr-engine/aidr/cmd/aidr/maps"
	"github.com/aidr-engine/aidr/rules/doc"
	"github.com/aidr-engine/aidr/schema/decode"
)

// auto is the format that is found out record by record.
const auto = "auto"

// maps reads the folders of field maps, whose formats sources may name.
func (r *reader) maps(n *doc.Node) []string {
	folders := r.texts(n)
	set, problems := maps.Load(folders...)
	r.formats, r.mapProblems = set.Maps(), problems
	return folders
}

// format checks the name of a format; absent it is auto.
func (r *reader) format(n *doc.Node, name string) string {
	if name == "" || name == auto {
		return auto
	}
	if _, ok := decode.Find(name, r.formats...); !ok {
		names := []string{auto}
		for _, f := range decode.Formats(r.formats...) {
			names = append(names, f.Name)
		}
		n.Fail("%q is no format: use one of %s", doc.Short(name), strings.Join(names, ", "))
	}
	return name
}

// names are the datasets that a source may carry.
type names struct {
	known []string
	free  bool // records may name others themselves: format aidr, and auto, which it is part of
}

// datasets returns what records of a format may be.
func (r *reader) datasets(format string) (n names) {
	f, found := decode.Find(format, r.formats...)
	if found && f.Datasets != nil {
		return names{known: f.Datasets}
	}
	for _, f := range decode.Formats(r.formats...) {
		n.known = append(n.known, f.Datasets...)
	}
	slices.Sort(n.known)
	n.known, n.free = slices.Compact(n.known), true
	return n
}

// check notes a name that no record of the source can have: what is said of it would mean nothing.
func (n names) check(node *doc.Node) {
	name := node.String()
	switch {
	case name == "" || slices.Contains(n.known, name):
	case n.free:
		node.Warn("no format gives the dataset %q: only records of format aidr that name it themselves; known are %s", doc.Short(name), strings.Join(n.known, ", "))
	default:
		node.Fail("the source's format does not give the dataset %q: it gives %s", doc.Short(name), strings.Join(n.known, ", "))
	}
}

// delays reads a duration for all datasets ("" then), or one for each that is named.
func (n names) delays(node *doc.Node) map[string]time.Duration {
	if node == nil {
		return nil
	}
	if node.Kind != doc.Map {
		return map[string]time.Duration{"": node.Duration(0, day)}
	}
	out := map[string]time.Duration{}
	node.Each(func(name, value *doc.Node) {
		n.check(name)
		out[name.String()] = value.Duration(0, day)
	})
	return out
}
