package rules

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/aidr-engine/aidr/rules/doc"
	"github.com/aidr-engine/aidr/rules/expr"
	"github.com/aidr-engine/aidr/rules/predicate"
	"github.com/aidr-engine/aidr/rules/site"
)

const (
	// ListsFolder is the name of the folder of lists in a folder of rules.
	ListsFolder = "lists"
	// AgentsFile is the name of the registry of agents in a folder of rules.
	AgentsFile = "agents.yaml"
	// MaxFiles is the largest number of files in a Set. A folder with more files was probably named by mistake.
	MaxFiles = 100_000
)

// Options are the options of Load. The zero Options load the rules, lists and registries of the folders named.
type Options struct {
	Lists  string // a folder of lists, in addition to the folders lists/ of the rules; "" for no such folder
	Agents string // a registry of agents, instead of the agents.yaml of a folder of rules; "" for no such file
	// Drafts makes rules of stage draft active, and also rules that read agent.* if there is no registry, as if it were
	// empty. It is for running the tests of rules.
	Drafts bool
	// Families holds the datasets of each family that rules may name as @family, as decode.Families returns them for the field
	// maps of a site. Nil means the built-in formats.
	Families map[string][]string
	// BuiltIn adds the built-in rules, whose ids begin with aidr., to those that are active.
	BuiltIn bool
	// Today is the current time. An exception that expired before it is reported as a warning. The zero time turns these
	// warnings off. Today has no other effect.
	Today time.Time
}

// Load reads every *.yaml and *.yml file below the named folders, and the named files, and builds a Set of them. In a
// folder, lists/ and agents.yaml are not rules: they hold the lists and the registry that the rules may use. Load returns
// all problems at once, sorted by position. If one of them is not a warning, set is nil.
func Load(o Options, paths ...string) (set *Set, problems []Problem) {
	l := &loader{options: o}
	for _, p := range paths {
		l.path(p)
	}
	if len(paths) == 0 {
		l.fail("", "no path given: name a folder of rule files")
	}
	return l.build()
}

// Folder is a folder or file of rules for LoadFolders.
type Folder struct {
	Name string // its path or, if FS is set, the name that problems show
	FS   fs.FS  // nil: the path Name of the operating system
}

// LoadFolders is Load for folders of which some are not in the file system of the operating system.
func LoadFolders(o Options, folders ...Folder) (set *Set, problems []Problem) {
	l := &loader{options: o}
	for _, f := range folders {
		if f.FS != nil {
			l.folder(f.FS, f.Name)
		} else {
			l.path(f.Name)
		}
	}
	return l.build()
}

// LoadFS is Load for the rules in a file system, such as library.FS. Problems show name as the folder's name.
func LoadFS(o Options, fsys fs.FS, name string) (set *Set, problems []Problem) {
	l := &loader{options: o}
	l.folder(fsys, name)
	return l.build()
}

// loader collects files and then builds a Set of them.
type loader struct {
	options    Options
	problems   []Problem
	sources    []source
	named      map[string]bool // the rule files read so far
	lists      map[string]predicate.List
	listFiles  map[string]string // the file of each list
	agents     *site.Agents
	agentsFile string
	opened     int // the number of files
}

// source is one rule file.
type source struct {
	name string
	text []byte
}

func (l *loader) fail(file, format string, args ...any) {
	l.problems = append(l.problems, Problem{File: file, Line: 1, Col: 1, Cause: fmt.Sprintf(format, args...)})
}

// path adds a folder or a file of the operating system.
func (l *loader) path(p string) {
	info, err := os.Stat(p)
	switch {
	case err != nil:
		l.fail(p, "cannot be read: %v", doc.Cause(err))
	case info.IsDir():
		l.folder(os.DirFS(p), p)
	default:
		l.rule(os.DirFS(filepath.Dir(p)), filepath.Base(p), p)
	}
}

// folder adds all rule files below a folder, and its lists and registry.
func (l *loader) folder(fsys fs.FS, name string) {
	first := len(l.sources)
	for p, err := range doc.Files(fsys, ListsFolder) {
		switch {
		case err != nil:
			l.fail(path.Join(name, p), "cannot be read: %v", err)
		case p != AgentsFile:
			l.rule(fsys, p, path.Join(name, p))
		}
	}
	if len(l.sources) == first && !Failed(l.problems) {
		l.fail(name, "the folder holds no rule file (*.yaml, *.yml): name a folder of rules")
	}
	l.listsOf(fsys, ListsFolder, path.Join(name, ListsFolder))
	if _, err := fs.Stat(fsys, AgentsFile); err == nil && l.options.Agents == "" {
		l.agentsOf(fsys, AgentsFile, path.Join(name, AgentsFile))
	}
}

// rule reads the text of one rule file. It is parsed later, when all lists are known.
func (l *loader) rule(fsys fs.FS, p, name string) {
	name = filepath.ToSlash(name)
	if l.named[name] {
		return // the paths name both a folder and a file in it
	}
	if l.named == nil {
		l.named = map[string]bool{}
	}
	l.named[name] = true
	if text, ok := l.read(fsys, p, name, doc.MaxSize); ok {
		l.sources = append(l.sources, source{name, text})
	}
}

// read reads a file with doc.ReadFile. It returns false if there is no text.
func (l *loader) read(fsys fs.FS, p, name string, maxSize int) ([]byte, bool) {
	if l.opened++; l.opened > MaxFiles {
		if l.opened == MaxFiles+1 {
			l.fail(name, "more than %d files: name a folder that holds only rules", MaxFiles)
		}
		return nil, false
	}
	text, err := doc.ReadFile(fsys, p, maxSize)
	if err != nil {
		l.fail(name, "cannot be read: %v", err)
	}
	return text, err == nil && text != nil
}

// listsOf adds the lists of a folder, if it exists.
func (l *loader) listsOf(fsys fs.FS, dir, name string) {
	entries, err := fs.ReadDir(fsys, dir)
	if err != nil {
		return
	}
	for _, e := range entries {
		if e.IsDir() || !doc.IsYAML(e.Name()) || strings.HasPrefix(e.Name(), ".") {
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
	if first, twice := l.listFiles[list.Name]; twice {
		l.fail(file, "the list %q is already defined by %s: rename one of the two", list.Name, first)
		return
	}
	if l.lists == nil {
		l.lists, l.listFiles = map[string]predicate.List{}, map[string]string{}
	}
	l.lists[list.Name], l.listFiles[list.Name] = list, file
}

func (l *loader) agentsOf(fsys fs.FS, p, name string) {
	if l.agentsFile != "" {
		l.fail(name, "a second registry of agents, after %s: name one of the two in the configuration", l.agentsFile)
		return
	}
	l.agentsFile = name
	text, ok := l.read(fsys, p, name, doc.MaxListSize)
	if !ok {
		return
	}
	agents, problems := site.ParseAgents(name, text)
	l.problems = append(l.problems, ofDoc(problems, "")...)
	l.agents = agents
}

// site reads the lists and the registry that the options name, and returns everything that rules may use.
func (l *loader) site() expr.Site {
	if dir := l.options.Lists; dir != "" {
		if _, err := os.Stat(dir); err != nil {
			l.fail(dir, "cannot be read: %v", doc.Cause(err))
		}
		l.listsOf(os.DirFS(dir), ".", dir)
	}
	if file := l.options.Agents; file != "" {
		l.agentsOf(os.DirFS(filepath.Dir(file)), filepath.Base(file), file)
	}
	s := expr.Site{Lists: l.lists}
	if l.agents == nil { // an empty registry, so that conditions compile; newSet decides whether they are active
		s.Agents = new(site.Agents)
	} else {
		s.Agents = l.agents
	}
	return s
}

// parsed is a rule file as YAML. root is nil if the file has no readable structure.
type parsed struct {
	doc  *doc.Doc
	root *doc.Node
}

// parseAhead is the number of parsed files that may wait for the compiler. It is small because parsed files are large.
const parseAhead = 8

// parse parses the files in their order. It runs ahead of compilation: each takes about half of the loading time. The
// channel must be drained.
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

// build builds the Set from the collected files.
func (l *loader) build() (*Set, []Problem) {
	env, err := expr.NewEnv(l.site())
	if err != nil {
		l.fail("", "prepare the rule language: %v", err)
		return nil, l.problems
	}
	c := &compiler{env: env, today: l.options.Today, families: newFamilies(l.options.Families), known: map[condText]compiled{}}
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
				Cause: fmt.Sprintf("the id is already used by %s:%d: choose another", first.File, first.Line)})
			continue
		}
		byID[r.ID] = r
		all = append(all, r)
	}
	slices.SortFunc(all, func(a, b *Rule) int { return strings.Compare(a.ID, b.ID) })
	l.problems = append(l.problems, link(all)...)
	sortProblems(l.problems)
	if Failed(l.problems) {
		return nil, l.problems
	}
	return newSet(all, env, l.options, l.agents), l.problems
}
