package rules

import (
	"fmt"
	"io/fs"
	"iter"
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
	// CapabilitiesFile is the name of the site's capabilities of tools in a folder of rules.
	CapabilitiesFile = "capabilities.yaml"
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
	// Kept makes a load compile only the files that have changed since the last load with it; nil: all files.
	Kept *Kept
	// Changed are the paths that may have changed since the last load with Kept, for example those that the operating system
	// reported. Nil means that any file may have changed, so all of them are read. It matters only with Kept.
	Changed []string
	// withoutParams leaves out the site's parameters of rules.
	withoutParams bool
	// Today is the current time. An exception that expired before it is reported as a warning. The zero time turns these
	// warnings off. Today has no other effect.
	Today time.Time
}

// Load reads every *.yaml and *.yml file below the named folders, and the named files, and builds a Set of them. In a
// folder, lists/ and agents.yaml are not rules: they hold the lists and the registry that the rules may use. Load returns
// all problems at once, sorted by position. If one of them is not a warning, set is nil.
func Load(o Options, paths ...string) (set *Set, problems []Problem) {
	if len(paths) == 0 {
		return nil, []Problem{{Line: 1, Col: 1, Cause: "no path given: name a folder of rule files"}}
	}
	folders := make([]Folder, len(paths))
	for i, p := range paths {
		folders[i].Name = p
	}
	return LoadFolders(o, folders...)
}

// Folder is a folder or file of rules for LoadFolders.
type Folder struct {
	Name string // its path or, if FS is set, the name that problems show
	FS   fs.FS  // nil: the path Name of the operating system
}

// LoadFolders is Load for folders of which some are not in the file system of the operating system.
func LoadFolders(o Options, folders ...Folder) (set *Set, problems []Problem) {
	kept := o.Kept
	if kept == nil {
		kept = new(Kept)
	}
	kept.mu.Lock()
	defer kept.mu.Unlock()
	l := &loader{options: o, kept: kept, folders: folders}
	if !l.changedOnly() {
		if err := l.readAll(); err != nil {
			l.fail("", "%v", err)
			return nil, l.problems
		}
	}
	set, problems = l.build()
	if set != nil && l.params != nil {
		l.withDefaults(set)
	}
	return set, problems
}

// LoadFS is Load for the rules in a file system, such as library.FS. Problems show name as the folder's name.
func LoadFS(o Options, fsys fs.FS, name string) (set *Set, problems []Problem) {
	return LoadFolders(o, Folder{Name: name, FS: fsys})
}

// loader collects files and then builds a Set of them.
type loader struct {
	options    Options
	kept       *Kept
	folders    []Folder
	problems   []Problem
	sources    []source
	named      map[string]bool // the rule files read so far
	lists      map[string]predicate.List
	listFiles  map[string]string // the file of each list
	agents     *site.Agents
	agentsFile string

	params           *siteParams
	capabilities     *site.Capabilities
	capabilitiesFile string

	opened  int                    // the number of files
	changed map[string]changedFile // by name: the files that may differ from the last load; nil: all
	fresh   []*keptFile            // the files that were read
}

// source is one rule file.
type source struct {
	name string
	fsys fs.FS
	path string
	kept *keptFile // not nil: the file was compiled before
}

// readAll reads the lists and registries of all folders, and then the rule files.
func (l *loader) readAll() error {
	for _, f := range l.folders {
		if fsys, ok := f.open(); ok {
			l.siteOf(fsys, f.Name)
		}
	}
	l.site()
	if l.capabilities == nil {
		l.capabilities = l.kept.shipped()
	}
	l.problems = append(l.problems, l.params.problems()...)
	site := expr.Site{Lists: l.lists, Capabilities: l.capabilities}
	if err := l.kept.begin(site, l.agents, l.params, l.options); err != nil {
		return fmt.Errorf("prepare the rule language: %w", err)
	}
	for _, f := range l.folders {
		if f.FS != nil {
			l.folder(f.FS, f.Name)
		} else {
			l.path(f.Name)
		}
	}
	return nil
}

// open returns the file system of the folder; ok is false if it is a file, or does not exist.
func (f Folder) open() (fsys fs.FS, ok bool) {
	if f.FS != nil {
		return f.FS, true
	}
	info, err := os.Stat(f.Name)
	return os.DirFS(f.Name), err == nil && info.IsDir()
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

// siteOf adds the lists, the registry and the capabilities of a folder.
func (l *loader) siteOf(fsys fs.FS, name string) {
	l.listsOf(fsys, ListsFolder, path.Join(name, ListsFolder))
	if _, err := fs.Stat(fsys, AgentsFile); err == nil && l.options.Agents == "" {
		l.agentsOf(fsys, AgentsFile, path.Join(name, AgentsFile))
	}
	if !l.options.withoutParams {
		l.paramsOf(fsys, name)
	}
	if _, err := fs.Stat(fsys, CapabilitiesFile); err == nil {
		l.capabilitiesOf(fsys, CapabilitiesFile, path.Join(name, CapabilitiesFile))
	}
}

// isSite reports whether a path in a folder of rules is a file of the site and no rule.
func isSite(p string) bool { return p == AgentsFile || p == CapabilitiesFile || p == ParamsFile }

// folder adds all rule files below a folder.
func (l *loader) folder(fsys fs.FS, name string) {
	first := len(l.sources)
	for p, err := range doc.Files(fsys, ListsFolder) {
		switch {
		case err != nil:
			l.fail(path.Join(name, p), "cannot be read: %v", err)
		case !isSite(p):
			l.rule(fsys, p, path.Join(name, p))
		}
	}
	if len(l.sources) == first && !Failed(l.problems) {
		l.fail(name, "the folder holds no rule file (*.yaml, *.yml): name a folder of rules")
	}
}

// rule adds one rule file. It is read later, when all lists are known.
func (l *loader) rule(fsys fs.FS, p, name string) {
	name = filepath.ToSlash(name)
	if l.named[name] {
		return // the paths name both a folder and a file in it
	}
	if l.named == nil {
		l.named = map[string]bool{}
	}
	l.named[name] = true
	if l.mayOpen(name) {
		l.sources = append(l.sources, source{name: name, fsys: fsys, path: p})
	}
}

// mayOpen counts a file and reports whether it is within MaxFiles.
func (l *loader) mayOpen(name string) bool {
	if l.opened++; l.opened == MaxFiles+1 {
		l.fail(name, "more than %d files: name a folder that holds only rules", MaxFiles)
	}
	return l.opened <= MaxFiles
}

// read reads a file with doc.ReadFile. It returns false if there is no text.
func (l *loader) read(fsys fs.FS, p, name string, maxSize int) ([]byte, bool) {
	if !l.mayOpen(name) {
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
		list, problems := l.kept.list(file, text)
		l.problems = append(l.problems, problems...)
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
	agents, problems := l.kept.registry(name, text)
	l.problems = append(l.problems, problems...)
	l.agents = agents
}

func (l *loader) capabilitiesOf(fsys fs.FS, p, name string) {
	if l.capabilitiesFile != "" {
		l.fail(name, "a second file of capabilities, after %s: put the entries of both into one file", l.capabilitiesFile)
		return
	}
	l.capabilitiesFile = name
	text, ok := l.read(fsys, p, name, doc.MaxListSize)
	if !ok {
		return
	}
	capabilities, problems := l.kept.abilities(name, text)
	l.problems = append(l.problems, problems...)
	l.capabilities = capabilities
}

// site adds the lists and the registry that the options name.
func (l *loader) site() {
	if dir := l.options.Lists; dir != "" {
		if _, err := os.Stat(dir); err != nil {
			l.fail(dir, "cannot be read: %v", doc.Cause(err))
		}
		l.listsOf(os.DirFS(dir), ".", dir)
	}
	if file := l.options.Agents; file != "" {
		l.agentsOf(os.DirFS(filepath.Dir(file)), filepath.Base(file), file)
	}
}

// build builds the Set from the collected files.
func (l *loader) build() (*Set, []Problem) {
	files := l.compile()
	l.kept.keep(l, files)
	all := l.distinct(files)
	l.unknownParams(all)
	linked, problems := link(all)
	l.problems = append(l.problems, problems...)
	sortProblems(l.problems)
	if Failed(l.problems) {
		return nil, l.problems
	}
	set := newSet(linked, l.kept.compiler.env, l.options, l.agents, l.kept.set)
	set.capabilities = l.capabilities
	l.kept.set = set
	return set, l.problems
}

// compile returns the compiled files, in their order.
func (l *loader) compile() []*keptFile {
	c := l.kept.compiler
	var todo []source
	for i := range l.sources {
		if l.sources[i].kept == nil {
			todo = append(todo, l.sources[i])
		}
	}
	next, stop := iter.Pull(parse(l.kept, todo))
	defer stop()
	files := make([]*keptFile, 0, len(l.sources))
	for i := range l.sources {
		if known := l.sources[i].kept; known != nil {
			files = append(files, known)
			continue
		}
		f, _ := next()
		switch {
		case f.err != nil:
			l.fail(f.name, "cannot be read: %v", f.err)
			continue
		case f.isFolder:
			continue
		case f.kept == nil:
			f.kept = &keptFile{name: f.name, digest: f.digest}
			f.kept.rule, f.kept.problems = readRule(c, f.doc, f.root)
			if f.kept.rule != nil {
				f.kept.rule.Digest = f.digest
			}
			l.kept.compiled++
		}
		files, l.fresh = append(files, f.kept), append(l.fresh, f.kept)
	}
	c.env.Forget()
	return files
}

// distinct returns the rules of the files, sorted by id, and collects the problems of the files and of ids that occur twice.
func (l *loader) distinct(files []*keptFile) []*Rule {
	all := make([]*Rule, 0, len(files))
	n := 0
	for _, f := range files {
		n += len(f.problems)
	}
	l.problems = slices.Grow(l.problems, n)
	for _, f := range files {
		l.problems = append(l.problems, f.problems...)
		if r := f.rule; r != nil && r.ID != "" {
			all = append(all, r)
		}
	}
	slices.SortStableFunc(all, func(a, b *Rule) int { return strings.Compare(a.ID, b.ID) })
	first := (*Rule)(nil) // with the id
	return slices.DeleteFunc(all, func(r *Rule) bool {
		if first == nil || first.ID != r.ID {
			first = r
			return false
		}
		l.problems = append(l.problems, Problem{File: r.File, Line: r.Line, Col: 1, Rule: r.ID, Key: "id",
			Cause: fmt.Sprintf("the id is already used by %s:%d: choose another", first.File, first.Line)})
		return true
	})
}
