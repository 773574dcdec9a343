package rules

import (
	"maps"
	"slices"
	"strings"

	"github.com/aidr-engine/aidr/rules/doc"
	"github.com/aidr-engine/aidr/schema"
	"github.com/aidr-engine/aidr/schema/decode"
)

// familyMark begins the name of a family in `datasets`.
const familyMark = "@"

// families holds the datasets of each family, for the rules of one Set.
type families struct {
	table map[string][]string // family -> its datasets, sorted
	known []string            // all datasets, sorted: to find misspellings; the records of a site may have others
}

// newFamilies returns the families of a table, or those of the built-in formats if it is nil.
func newFamilies(table map[string][]string) *families {
	if table == nil {
		table = decode.Families()
	}
	f := &families{table: table}
	for _, datasets := range table {
		f.known = append(f.known, datasets...)
	}
	slices.Sort(f.known)
	f.known = slices.Compact(f.known)
	return f
}

// names returns the families as rules name them, sorted.
func (f *families) names() (names []string) {
	for _, family := range slices.Sorted(maps.Keys(f.table)) {
		names = append(names, familyMark+family)
	}
	return names
}

// datasets reads `datasets`: names of datasets, and of families, which mean all their datasets.
func (r *reader) datasets(n *doc.Node) {
	rule := r.rule
	for _, v := range n.Items() {
		name := v.Filled()
		if name == "" {
			continue
		}
		if slices.Contains(rule.DatasetsAsWritten, name) {
			v.Fail("%q is listed twice: remove one", doc.Short(name))
			continue
		}
		rule.DatasetsAsWritten = append(rule.DatasetsAsWritten, name)
		r.lintDataset(v, name)
		rule.Datasets = append(rule.Datasets, r.expand(v, name)...)
	}
	if n != nil && n.Kind == doc.List && len(n.Items()) == 0 {
		n.Fail("is empty: name a dataset or a family, or leave the key out for all datasets")
	}
	if len(rule.Datasets) > 0 {
		rule.TestDataset = rule.Datasets[0]
	}
	slices.Sort(rule.Datasets)
	rule.Datasets = slices.Compact(rule.Datasets)
	if slices.ContainsFunc(rule.Datasets, schema.IsInternal) && len(rule.Datasets) > 1 {
		n.Fail("has a dataset of AIDR itself (%s, %s) and another one: write a rule of its own for it", schema.DatasetAudit, schema.DatasetCanary)
	}
}

// expand returns the datasets of a family, or the dataset of that name.
func (r *reader) expand(n *doc.Node, name string) []string {
	all := r.compiler.families
	family, isFamily := strings.CutPrefix(name, familyMark)
	if !isFamily {
		if near := doc.Nearest(name, all.known); near != "" && near != name {
			n.Warn("unknown dataset %q: did you mean %s?", doc.Short(name), near)
		}
		return []string{name}
	}
	datasets, ok := all.table[family]
	switch {
	case !ok:
		hint := "use one of " + strings.Join(all.names(), ", ")
		if near := doc.Nearest(name, all.names()); near != "" {
			hint = "did you mean " + near + "?"
		}
		n.Fail("there is no family %q: %s", doc.Short(name), hint)
	case len(datasets) == 0:
		n.Fail("the family %s has no datasets here: name the datasets", name)
	}
	return datasets
}
