package rules

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/aidr-engine/aidr/rules/doc"
	"github.com/aidr-engine/aidr/rules/expr"
	"github.com/aidr-engine/aidr/rules/site"
)

const (
	// ListsFolder is the folder of lists inside a folder of rules.
	ListsFolder = "lists"
	// AgentsFile is the registry of agents inside a folder of rules.
	AgentsFile = "agents.yaml"
	// MaxFiles is how many files a Set may be made of: a folder of more is not one of rules.
	MaxFiles = 20_000
)

// Options say what a Set is loaded with.
type Options struct {
	Lists  string // folder of lists, "" for none; a folder of rules may have its own in lists/
	Agents string // agents.yaml, "" for none; a folder of rules may have its own
	// Drafts: rules of status draft are part of the Set too, and so are those that ask for a registry of agents where
	// there is none: then nobody is registered. For tests.
	Drafts bool
	// Today is the instant against which an exception is over, for a warning only; zero: no such warning. What a rule
	// means never depends on it.
	Today time.Time
}

// Load reads every *.yaml and *.yml below the folders (and files) named and builds a Set. Of a folder, lists/ and
// agents.yaml are not rules but what the rules may ask. All problems are returned at once, sorted by place; set is nil
// where one of them is no warning.
func Load(o Options, paths ...string) (set *Set, problems []Problem) {
	l := &loader{options: o}
	for _, p := range paths {
		l.path(p)
	}
	if len(paths) == 0 {
		l.fail("", "no rules are named: name a folder of rule files")
	}
	return l.build()
}

// LoadFS is Load of the rules in a file system, such as library.FS; name is what problems call it.
func LoadFS(o Options, fsys fs.FS, name string) (set *Set, problems []Problem) {
	l := &loader{options: o}
	l.folder(fsys, name)
	return l.build()
}

// loader gathers files, then makes a Set of them.
type loader struct {
	options  Options
	problems []Problem
	sources  []source
	named    map[string]bool // files that are read
	lists    map[string]expr.List
	origin   map[string]string // file of each list
	agents   *site.Agents
	registry string // file of agents
	opened   int
}

// source is one rule file.
type source struct {
	name string
	text []byte
}

func (l *loader) fail(file, format string, args ...any) {
	l.problems = append(l.problems, Problem{File: file, Line: 1, Col: 1, Cause: fmt.Sprintf(format, args...)})
}

// path takes a folder or a file of the machine.
func (l *loader) path(p string) {
	info, err := os.Stat(p)
	switch {
	case err != nil:
		l.fail(p, "cannot be read: %v", cause(err))
	case info.IsDir():
		l.folder(os.DirFS(p), p)
	default:
		l.rule(os.DirFS(filepath.Dir(p)), filepath.Base(p), p)
	}
}

// cause leaves out what the message says already.
func cause(err error) error {
	if e, ok := err.(*fs.PathError); ok {
		return e.Err
	}
	return err
}

// folder takes all rule files below a folder, and its lists and registry.
func (l *loader) folder(fsys fs.FS, name string) {
	before := len(l.sources)
	err := fs.WalkDir(fsys, ".", func(p string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			l.fail(path.Join(name, p), "cannot be read: %v", cause(err))
			return nil
		case p != "." && strings.HasPrefix(d.Name(), "."): // also the ..data of a mounted ConfigMap
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		case p == ListsFolder && d.IsDir():
			return fs.SkipDir
		case d.IsDir() || p == AgentsFile || !isYAML(p):
			return nil
		}
		l.rule(fsys, p, path.Join(name, p))
		return nil
	})
	if err != nil {
		l.fail(name, "cannot be read: %v", cause(err))
	}
	if len(l.sources) == before && !Failed(l.problems) {
		l.fail(name, "there is no rule file (*.yaml, *.yml) in it: name a folder of rules")
	}
	l.listsOf(fsys, ListsFolder, path.Join(name, ListsFolder))
	if _, err := fs.Stat(fsys, AgentsFile); err == nil && l.options.Agents == "" {
		l.agentsOf(fsys, AgentsFile, path.Join(name, AgentsFile))
	}
}

func isYAML(name string) bool { return path.Ext(name) == ".yaml" || path.Ext(name) == ".yml" }

// rule reads one rule file; what it means comes later, when all lists are known.
func (l *loader) rule(fsys fs.FS, p, name string) {
	name = filepath.ToSlash(name)
	if l.named[name] {
		return // a folder and a file in it are both named
	}
	if l.named == nil {
		l.named = map[string]bool{}
	}
	l.named[name] = true
	if text, ok := l.read(fsys, p, name, doc.MaxSize); ok {
		l.sources = append(l.sources, source{name, text})
	}
}

// read reads at most a byte more than maxSize: enough to see that a file is too large.
func (l *loader) read(fsys fs.FS, p, name string, maxSize int) ([]byte, bool) {
	if l.opened++; l.opened > MaxFiles {
		if l.opened == MaxFiles+1 {
			l.fail(name, "more than %d files: this is no folder of rules", MaxFiles)
		}
		return nil, false
	}
	f, err := fsys.Open(p)
	if err != nil {
		l.fail(name, "cannot be read: %v", cause(err))
		return nil, false
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.IsDir() { // a link to a folder
		return nil, false
	}
	text, err := io.ReadAll(io.LimitReader(f, int64(maxSize)+1))
	if err != nil {
		l.fail(name, "cannot be read: %v", cause(err))
		return nil, false
	}
	return text, true
}

// listsOf takes the lists of a folder, which need not be there.
func (l *loader) listsOf(fsys fs.FS, dir, name string) {
	entries, err := fs.ReadDir(fsys, dir)
	if err != nil {
		return
	}
	for _, e := range entries {
		if e.IsDir() || !isYAML(e.Name()) || strings.HasPrefix(e.Name(), ".") {
			continue
		}
		file := path.Join(name, e.Name())
		text, ok := l.read(fsys, path.Join(dir, e.Name()), file, doc.MaxListSize)
		if !ok {
			continue
		}
		list, problems := site.ParseList(file, text)
		l.problems = append(l.problems, ofDoc(problems, "")...)
		if list != nil {
			l.list(list, file)
		}
	}
}

func (l *loader) list(list *site.List, file string) {
	if first, twice := l.origin[list.Name]; twice {
		l.fail(file, "the list %q is in %s already: rename one of them", list.Name, first)
		return
	}
	if l.lists == nil {
		l.lists, l.origin = map[string]expr.List{}, map[string]string{}
	}
	l.lists[list.Name], l.origin[list.Name] = list, file
}

func (l *loader) agentsOf(fsys fs.FS, p, name string) {
	if l.registry != "" {
		l.fail(name, "there is a registry in %s already: name one in the configuration", l.registry)
		return
	}
	l.registry = name
	text, ok := l.read(fsys, p, name, doc.MaxListSize)
	if !ok {
		return
	}
	agents, problems := site.ParseAgents(name, text)
	l.problems = append(l.problems, ofDoc(problems, "")...)
	l.agents = agents
}

// site reads what the options name and returns what rules may ask.
func (l *loader) site() expr.Site {
	if dir := l.options.Lists; dir != "" {
		if _, err := os.Stat(dir); err != nil {
			l.fail(dir, "cannot be read: %v", cause(err))
		}
		l.listsOf(os.DirFS(dir), ".", dir)
	}
	if file := l.options.Agents; file != "" {
		l.agentsOf(os.DirFS(filepath.Dir(file)), filepath.Base(file), file)
	}
	s := expr.Site{Lists: l.lists}
	if l.agents == nil { // nobody is registered; rules that ask are idle, see build
		s.Agents = new(site.Agents)
	} else {
		s.Agents = l.agents
	}
	return s
}

// parsed is one rule file as YAML; root is nil where it has no structure.
type parsed struct {
	doc  *doc.Doc
	root *doc.Node
}

// parseAhead is how many files are parsed before their conditions are compiled: parsed files are large.
const parseAhead = 8

// parse parses the files, in their order, all of which have to be taken. It is ahead of who compiles the conditions: each
// of the two is about half of loading.
func parse(sources []source) <-chan parsed {
	out := make(chan parsed, parseAhead)
	go func() {
		defer close(out)
		for _, s := range sources {
			var f parsed
			f.doc, f.root = doc.Parse(s.name, s.text)
			out <- f
		}
	}()
	return out
}

// build makes the Set of what was gathered.
func (l *loader) build() (*Set, []Problem) {
	env, err := expr.NewEnv(l.site())
	if err != nil {
		l.fail("", "prepare the rule language: %v", err)
		return nil, l.problems
	}
	c := &compiler{env: env, today: l.options.Today, known: map[string]compiled{}}
	var all []*Rule
	byID := map[string]*Rule{}
	for f := range parse(l.sources) {
		r, problems := readRule(c, f.doc, f.root)
		l.problems = append(l.problems, problems...)
		if r == nil || r.ID == "" {
			continue
		}
		if first := byID[r.ID]; first != nil {
			l.problems = append(l.problems, Problem{File: r.File, Line: r.Line, Col: 1, Rule: r.ID, Key: "id",
				Cause: fmt.Sprintf("the id is taken by %s:%d: choose another", first.File, first.Line)})
			continue
		}
		byID[r.ID] = r
		all = append(all, r)
	}
	sortProblems(l.problems)
	if Failed(l.problems) {
		return nil, l.problems
	}
	slices.SortFunc(all, func(a, b *Rule) int { return strings.Compare(a.ID, b.ID) })
	return newSet(all, env, l.options.Drafts, l.agents), l.problems
}
