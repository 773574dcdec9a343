package rules

import (
	"crypto/sha256"
	"io/fs"
	"maps"
	"path"
	"slices"

	"github.com/aidr-engine/aidr/rules/doc"
)

// ParamsFile is the name of the site's values for parameters of rules in a folder of rules.
const ParamsFile = "params.yaml"

// siteParams are the site's values for parameters of rules:
//
//	params:
//	  aws.bulk-delete: {count: 50, within: 10m}
//
// nil has none.
type siteParams struct {
	digest digest               // of all files
	values map[string]*doc.Node // by id of the rule
	ids    map[string]*doc.Node // the ids, for problems
	docs   []*doc.Doc
}

// of returns the values for a rule, nil if there are none.
func (p *siteParams) of(id string) *doc.Node {
	if p == nil {
		return nil
	}
	return p.values[id]
}

// problems returns the problems that were found in the files since the last call.
func (p *siteParams) problems() (out []Problem) {
	if p == nil {
		return nil
	}
	for _, d := range p.docs {
		out = append(out, ofDoc(d.Take(), "")...)
	}
	return out
}

// paramsOf reads the parameters in a folder.
func (l *loader) paramsOf(fsys fs.FS, name string) {
	if _, err := fs.Stat(fsys, ParamsFile); err != nil {
		return
	}
	name = path.Join(name, ParamsFile)
	text, ok := l.read(fsys, ParamsFile, name, doc.MaxListSize)
	if !ok {
		return
	}
	p := l.params
	if p == nil {
		p = &siteParams{values: map[string]*doc.Node{}, ids: map[string]*doc.Node{}}
		l.params = p
	}
	sum := sha256.New()
	sum.Write(p.digest[:])
	sum.Write([]byte(name))
	sum.Write(text)
	p.digest = digest(sum.Sum(nil))
	d, root := doc.ParseSize(name, text, doc.MaxListSize)
	p.docs = append(p.docs, d)
	if root == nil {
		return
	}
	f := root.Fields()
	list := f.Need("params")
	f.Done()
	if list != nil && list.Kind != doc.Map {
		list.Fail("is not a mapping: write RULE: {PARAMETER: VALUE}")
		return
	}
	list.Each(func(id, values *doc.Node) {
		switch {
		case p.values[id.String()] != nil:
			id.Fail("the rule has parameters in another file, too: keep one")
		case values.Kind != doc.Map:
			values.Fail("is not a mapping: write %s: {PARAMETER: VALUE}", id.String())
		default:
			p.values[id.String()], p.ids[id.String()] = values, id
		}
	})
}

// unknownParams records a problem for each rule that has parameters and does not exist.
func (l *loader) unknownParams(all []*Rule) {
	if l.params == nil {
		return
	}
	known := make(map[string]bool, len(all))
	for _, r := range all {
		known[r.ID] = true
	}
	for _, id := range slices.Sorted(maps.Keys(l.params.ids)) {
		if known[id] {
			continue
		}
		near := doc.Nearest(id, slices.Sorted(maps.Keys(known)))
		if near != "" {
			near = ": did you mean " + near + "?"
		}
		l.params.ids[id].Fail("there is no rule with this id%s", near)
	}
	l.problems = append(l.problems, l.params.problems()...)
}

// withDefaults loads the Set without the site's parameters, on which the tests of rules run: they are about the defaults.
func (l *loader) withDefaults(set *Set) {
	o := l.options
	if l.kept.defaults == nil {
		l.kept.defaults = new(Kept)
	}
	o.Kept, o.withoutParams = l.kept.defaults, true
	set.defaults, _ = LoadFolders(o, l.folders...)
}
