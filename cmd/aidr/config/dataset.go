package config

import (
	"slices"
	"strings"
	"time"

	"github.com/aidr-engine/aidr/cmd/aidr/maps"
	"github.com/aidr-engine/aidr/rules/doc"
	"github.com/aidr-engine/aidr/schema/decode"
)

// auto means that the format is detected for each record.
const auto = "auto"

// maps loads the folders of field maps, so that sources may name their formats.
func (r *reader) maps(n *doc.Node) []string {
	folders := r.texts(n)
	set, problems := maps.Load(folders...)
	r.formats, r.mapProblems = set.Maps(), problems
	return folders
}

// format reads the name of a format, or a list of names, and returns the names with commas between them, as decode.Options
// takes them. Without a name, the format is auto.
func (r *reader) format(n *doc.Node) string {
	if n == nil {
		return auto
	}
	items := []*doc.Node{n}
	if n.Kind == doc.List {
		if items = n.Items(); len(items) == 0 {
			n.Fail("names no format: leave it out, or write auto")
		}
	}
	var names []string
	for _, item := range items {
		name := r.text(item)
		if name == "" {
			name = auto
		}
		if _, ok := decode.Find(name, r.formats...); !ok && name != auto && !maps.Failed(r.mapProblems) {
			// Otherwise a map that did not load may have the name.
			known := []string{auto}
			for _, f := range decode.Formats(r.formats...) {
				known = append(known, f.Name)
			}
			item.Fail("%q is not a format: use one of %s", doc.Short(name), strings.Join(known, ", "))
		}
		names = append(names, name)
	}
	return strings.Join(names, ",")
}

// names holds the names of the datasets that a source can have.
type names struct {
	known []string
	free  bool // records may name other datasets: format aidr is among the formats
}

// datasets returns the datasets of the formats, as format returns them.
func (r *reader) datasets(format string) (n names) {
	if known := decode.Datasets(format, r.formats...); known != nil {
		return names{known: known}
	}
	for _, f := range decode.Formats(r.formats...) {
		n.known = append(n.known, f.Datasets...)
	}
	slices.Sort(n.known)
	n.known, n.free = slices.Compact(n.known), slices.Contains(strings.Split(format, ","), "aidr")
	return n
}

// check reports a problem if no record of the source can have the dataset that the node names, because a setting for
// that dataset is without effect.
func (n names) check(node *doc.Node) {
	name := node.String()
	switch {
	case name == "" || slices.Contains(n.known, name):
	case n.free:
		node.Warn("no format gives the dataset %q: only records of format aidr can name it; known are %s",
			doc.Short(name), strings.Join(n.known, ", "))
	default:
		node.Fail("the source's format does not give the dataset %q: it gives %s", doc.Short(name), strings.Join(n.known, ", "))
	}
}

// delays returns the delay by dataset. A single duration applies to all datasets and has the key "".
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
