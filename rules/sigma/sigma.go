package sigma

import (
	"cmp"
	"slices"
	"strings"

	"github.com/aidr-engine/aidr/rules"
	"github.com/aidr-engine/aidr/rules/doc"
)

// Source is a file of Sigma rules: one document, or several that are separated by lines with ---.
type Source struct {
	Name string // as problems show it
	Text []byte
}

// File is a translated rule.
type File struct {
	Name string // of the file: the rule's id and .yaml
	ID   string
	From string // file:line of the Sigma rule
	Text string
}

// Refusal is a Sigma rule that was not translated.
type Refusal struct {
	From     string // file:line
	Title    string
	Problems []doc.Problem // why, and what to do about it
}

// Result is what an import makes of its files. Rules is the number of rules and correlations in them.
type Result struct {
	Rules        int
	Correlations int // among the translated rules
	Files        []File
	Refused      []Refusal
}

// maxChain is the largest number of correlations of which each is over the next.
const maxChain = 8

// Import translates the rules of all files. A rule that cannot be translated as a whole is refused, and so is every
// correlation of it. The translated rules load without errors, together and with their ids unique.
func Import(files []Source) *Result {
	m := &importer{known: attackTags(), byName: map[string][]*rule{}}
	out := &Result{}
	for _, f := range files {
		d, roots := doc.ParseStream(f.Name, f.Text)
		if len(roots) == 0 || d.Failed() {
			out.Rules++
			out.Refused = append(out.Refused, Refusal{From: f.Name, Problems: d.Problems()})
			continue
		}
		r := &reader{doc: d}
		for _, root := range roots {
			m.add(r.read(root))
		}
	}
	out.Rules += len(m.rules)
	m.resolve()
	m.write()
	m.check()
	for _, r := range m.rules {
		if len(r.problems) > 0 {
			out.Refused = append(out.Refused, Refusal{From: r.from(), Title: r.title, Problems: r.problems})
			continue
		}
		if r.correlation != nil {
			out.Correlations++
		}
		out.Files = append(out.Files, File{Name: r.outID + ".yaml", ID: r.outID, From: r.from(), Text: m.texts[r]})
	}
	slices.SortFunc(out.Files, func(a, b File) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// importer collects the rules of all files.
type importer struct {
	rules  []*rule
	byName map[string][]*rule // by name and by id
	known  map[string]string  // tags of ATT&CK
	texts  map[*rule]string
}

func (m *importer) add(r *rule) {
	m.rules = append(m.rules, r)
	for _, n := range []string{r.name, r.id} {
		if n != "" {
			m.byName[n] = append(m.byName[n], r)
		}
	}
}

func (o *rule) from() string {
	return o.file + ":" + itoa(o.at.Line)
}

// fail adds a problem at a node.
func (o *rule) fail(at *doc.Node, cause string) {
	o.problems = append(o.problems, doc.Problem{File: o.file, Line: at.Line, Col: at.Col, Key: at.Key, Cause: cause})
}

// resolve finds the rules of correlations, and refuses rules that have the same id.
func (m *importer) resolve() {
	byID := map[string]*rule{}
	for _, r := range m.rules {
		if len(r.problems) > 0 {
			continue
		}
		if first := byID[r.outID]; first != nil {
			r.fail(r.at, "has the id and title of the rule at "+first.from()+": give each rule an id of its own")
			continue
		}
		byID[r.outID] = r
	}
	for _, r := range m.rules {
		if r.correlation != nil && len(r.problems) == 0 {
			m.find(r)
		}
	}
	m.refuseOver()
	m.refuseCycles()
	m.feed()
}

// find finds the rules that a correlation names.
func (m *importer) find(r *rule) {
	for _, n := range r.correlation.rules {
		name := plainText(n)
		found := m.byName[name]
		if len(found) == 0 {
			found = m.byName[strings.ToLower(name)]
		}
		switch {
		case len(found) == 0:
			r.fail(n, "no rule of this import has the name or id "+doc.Short(name)+": name its file or folder, too")
		case len(found) > 1:
			r.fail(n, "several rules have the name "+doc.Short(name)+": write the id")
		case slices.Contains(r.correlation.of, found[0]):
			r.fail(n, "the rule is listed twice: remove one")
		default:
			r.correlation.of = append(r.correlation.of, found[0])
		}
	}
	if len(r.correlation.rules) == 0 {
		r.fail(r.correlation.at, "names no rules: list them below rules")
	}
}

// refuse refuses a correlation of a refused rule.
func (m *importer) refuse(r *rule) bool {
	for _, of := range r.correlation.of {
		if len(of.problems) > 0 {
			r.fail(r.correlation.at, "its rule "+doc.Short(of.called())+" at "+of.from()+" is not translated: mend that one")
			return true
		}
	}
	return false
}

// refuseCycles refuses correlations that are over themselves, or in a chain that is too long.
func (m *importer) refuseCycles() {
	depth := map[*rule]int{} // length of the longest chain below, at most maxChain + 1
	for range maxChain + 1 {
		for _, r := range m.rules {
			if r.correlation == nil {
				continue
			}
			deepest := 0
			for _, of := range r.correlation.of {
				deepest = max(deepest, depth[of])
			}
			depth[r] = min(deepest+1, maxChain+1)
		}
	}
	for _, r := range m.rules {
		if r.correlation != nil && len(r.problems) == 0 && depth[r] > maxChain {
			r.fail(r.correlation.at, "correlations over each other in a circle, or more than 8 in a chain: name rules only")
		}
	}
	m.refuseOver()
}

// refuseOver refuses the correlations of refused rules, and those over them.
func (m *importer) refuseOver() {
	for changed := true; changed; {
		changed = false
		for _, r := range m.rules {
			if r.correlation != nil && len(r.problems) == 0 && m.refuse(r) {
				changed = true
			}
		}
	}
}

// feed makes the rules of correlations blocks, unless a correlation generates them. A rule that would be recorded only, or
// disabled, is a block even then, because it would not feed the correlation.
func (m *importer) feed() {
	keep := map[*rule]bool{}
	for _, r := range m.rules {
		if r.correlation == nil || len(r.problems) > 0 {
			continue
		}
		for _, of := range r.correlation.of {
			keep[of] = keep[of] || r.correlation.generate
		}
	}
	for r, generated := range keep {
		r.block = !generated || r.status != "stable" && r.status != "test" && r.status != ""
	}
}

// write writes the rule files.
func (m *importer) write() {
	m.texts = map[*rule]string{}
	for _, r := range m.rules {
		if len(r.problems) > 0 {
			continue
		}
		text, ok := r.text(m.known)
		if !ok {
			r.problems = append(r.problems, r.at.TakeProblems()...)
			continue
		}
		m.texts[r] = text
	}
}

// check loads the rules and refuses those that do not load, with their correlations, until the others do.
func (m *importer) check() {
	for {
		files := memory{}
		byFile := map[string]*rule{}
		for _, r := range m.rules {
			if len(r.problems) == 0 {
				files[r.outID+".yaml"] = m.texts[r]
				byFile[r.outID+".yaml"] = r
			}
		}
		if len(files) == 0 {
			return
		}
		_, problems := rules.LoadFS(rules.Options{Drafts: true}, files, "")
		refused := false
		for _, p := range problems {
			r := byFile[strings.TrimPrefix(p.File, "/")]
			if p.Warning || r == nil {
				continue
			}
			refused = true
			r.fail(r.at, "the translated rule does not load: "+cmp.Or(p.Key+": ", "")+p.Cause)
		}
		m.refuseOver()
		if !refused {
			return
		}
	}
}
