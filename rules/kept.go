package rules

import (
	"crypto/sha256"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/aidr-engine/aidr/rules/doc"
	"github.com/aidr-engine/aidr/rules/expr"
	"github.com/aidr-engine/aidr/rules/predicate"
	"github.com/aidr-engine/aidr/rules/site"
)

// Kept holds the compiled rules of the loads that had it in their Options. The next load compiles only the files whose text
// has changed, and its Set begins with the index of the last one. The Set is that of a load without Kept, except that it may
// ask the decoder for raw paths of rules that are gone. A change of lists, of the registry or of families compiles
// everything, because conditions contain them.
//
// The zero Kept is empty. Several goroutines may use a Kept; their loads wait for each other.
type Kept struct {
	mu       sync.Mutex
	compiler *compiler // of the files; nil: nothing is kept
	lists    map[string]predicate.List
	agents   *site.Agents // nil: there is no registry
	can      *site.Capabilities
	params   *siteParams
	defaults *Kept       // of the Set without params
	compiled int         // the number of files that compiler has compiled
	order    []*keptFile // the rule files of the last load, in the order in which they were read
	byName   map[string]*keptFile
	opened   int       // the number of files that the last load read
	reading  []Problem // of the last load, other than those of rule files
	folders  []Folder  // of the last load
	options  Options
	set      *Set // of the last load without errors

	listFiles map[string]*keptList // by file
	agentFile *keptAgents
	canFile   *keptCapabilities
	canOwn    *site.Capabilities // without any of a site
}

// keptCapabilities are the capabilities that were read before.
type keptCapabilities struct {
	name     string
	digest   digest
	can      *site.Capabilities
	problems []Problem
}

// keptFile is a compiled rule file.
type keptFile struct {
	name     string
	digest   digest
	rule     *Rule // before it is linked with other rules; nil if the file has no readable structure
	problems []Problem
}

// digest is that of the text of a file.
type digest [sha256.Size]byte

// keptList is a list that was read before.
type keptList struct {
	digest   digest
	list     *site.List
	problems []Problem
}

// keptAgents is the registry that was read before.
type keptAgents struct {
	name     string
	digest   digest
	agents   *site.Agents
	problems []Problem
}

// keptGrowth is the number of times by which the files compiled with one environment may outnumber those in use. Beyond it
// everything is compiled again, which drops the parts that only earlier files needed.
const keptGrowth = 2

// list returns the list in a file.
func (k *Kept) list(file string, text []byte) (*site.List, []Problem) {
	sum := digest(sha256.Sum256(text))
	l := k.listFiles[file]
	if l == nil || l.digest != sum {
		list, problems := site.ParseList(file, text)
		l = &keptList{sum, list, ofDoc(problems, "")}
		if k.listFiles == nil {
			k.listFiles = map[string]*keptList{}
		}
		k.listFiles[file] = l
	}
	return l.list, l.problems
}

// registry returns the registry in a file.
func (k *Kept) registry(name string, text []byte) (*site.Agents, []Problem) {
	sum := digest(sha256.Sum256(text))
	if k.agentFile == nil || k.agentFile.name != name || k.agentFile.digest != sum {
		agents, problems := site.ParseAgents(name, text)
		k.agentFile = &keptAgents{name, sum, agents, ofDoc(problems, "")}
	}
	return k.agentFile.agents, k.agentFile.problems
}

// abilities returns the capabilities in a file, with the shipped ones.
func (k *Kept) abilities(name string, text []byte) (*site.Capabilities, []Problem) {
	sum := digest(sha256.Sum256(text))
	if k.canFile == nil || k.canFile.name != name || k.canFile.digest != sum {
		can, problems := site.ParseCapabilities(name, text)
		k.canFile = &keptCapabilities{name, sum, can, ofDoc(problems, "")}
	}
	return k.canFile.can, k.canFile.problems
}

// shipped returns the capabilities without any of a site.
func (k *Kept) shipped() *site.Capabilities {
	if k.canOwn == nil {
		k.canOwn = site.ShippedCapabilities()
	}
	return k.canOwn
}

// begin drops what is kept unless conditions mean the same at the site as in the last load.
func (k *Kept) begin(s expr.Site, agents *site.Agents, params *siteParams, o Options) error {
	sameParams := (k.params == nil) == (params == nil) && (params == nil || k.params.digest == params.digest)
	if k.compiler != nil && sameParams && maps.Equal(k.lists, s.Lists) && k.agents == agents && k.can == s.Capabilities && k.hasOptions(o) && k.compiled <= keptGrowth*len(k.order)+keptGrowth {
		return nil
	}
	s.Agents = agents
	if agents == nil { // an empty registry, so that conditions compile; newSet decides whether they are active
		s.Agents = new(site.Agents)
	}
	env, err := expr.NewEnv(s)
	if err != nil {
		return err
	}
	k.compiler = &compiler{env: env, today: o.Today, families: newFamilies(o.Families), known: map[condText]compiled{}, params: params}
	k.params = params
	k.lists, k.agents, k.compiled = s.Lists, agents, 0
	k.can, _ = s.Capabilities.(*site.Capabilities)
	k.order, k.byName, k.set = nil, nil, nil
	return nil
}

// hasOptions reports whether rule files mean the same with the options as in the last load.
func (k *Kept) hasOptions(o Options) bool {
	return k.options.Today.Equal(o.Today) && (k.options.Families == nil) == (o.Families == nil) &&
		maps.EqualFunc(k.options.Families, o.Families, slices.Equal[[]string])
}

// keep takes over the files of a load.
func (k *Kept) keep(l *loader, files []*keptFile) {
	k.order = files
	fresh := files
	if l.changed != nil { // the others are the same as before
		for name := range l.changed {
			delete(k.byName, name)
		}
		fresh = l.fresh
	} else {
		k.byName = make(map[string]*keptFile, len(files))
	}
	for _, f := range fresh {
		k.byName[f.name] = f
	}
	k.opened, k.folders, k.options, k.reading = l.opened, l.folders, l.options, slices.Clone(l.problems)
}

// changedOnly reads only the files that Options.Changed names, and takes the others from the last load. It returns false if
// all files have to be read: the last load was another one, or a path is not that of a rule file.
func (l *loader) changedOnly() bool {
	k := l.kept
	sameFolders := slices.EqualFunc(k.folders, l.folders, func(a, b Folder) bool { return a.Name == b.Name && (a.FS == nil) == (b.FS == nil) })
	if l.options.Changed == nil || k.set == nil || Failed(k.reading) || !sameFolders || !k.hasOptions(l.options) ||
		k.options.Lists != l.options.Lists || k.options.Agents != l.options.Agents || k.compiled > keptGrowth*len(k.order)+keptGrowth {
		return false
	}
	changed := map[string]changedFile{}
	l.changed = changed
	for _, p := range l.options.Changed {
		c, ok := l.changedFile(filepath.Clean(p))
		if !ok {
			l.changed = nil
			return false
		}
		if c.path != "" {
			changed[c.name] = c
		}
	}
	l.agents, l.capabilities, l.params, l.opened, l.problems = k.agents, k.can, k.params, k.opened, slices.Clone(k.reading)
	for _, f := range k.order {
		if c, again := changed[f.name]; !again {
			l.sources = append(l.sources, source{name: f.name, kept: f})
		} else if c.exists {
			l.rule(os.DirFS(c.folder), c.path, c.name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(changed)) {
		if c := changed[name]; c.exists && k.byName[name] == nil {
			before := len(l.sources)
			l.rule(os.DirFS(c.folder), c.path, name)
			l.moveLast(before)
		}
	}
	if !l.hasAllFolders() {
		*l = loader{options: l.options, kept: k, folders: l.folders}
		return false
	}
	return true
}

// moveLast puts the source that was added after n others into their order.
func (l *loader) moveLast(n int) {
	if len(l.sources) == n {
		return
	}
	last := l.sources[n]
	at, _ := slices.BinarySearchFunc(l.sources[:n], last.name, func(s source, name string) int { return l.kept.compare(s.name, name) })
	l.sources = slices.Insert(l.sources[:n], at, last)
}

// hasAllFolders reports whether each folder holds a rule file.
func (l *loader) hasAllFolders() bool {
	found := make([]bool, len(l.folders))
	for i := range l.sources {
		if at := l.kept.folderOf(l.sources[i].name); at >= 0 {
			found[at] = true
		}
	}
	return !slices.Contains(found, false)
}

// changedFile is a rule file that may have changed.
type changedFile struct {
	name         string // as in problems
	folder, path string // path is "" for a file that is no rule file
	exists       bool
}

// changedFile returns the rule file at a path. ok is false if the path may be anything else that matters, such as a folder.
func (l *loader) changedFile(p string) (c changedFile, ok bool) {
	info, err := os.Lstat(p)
	if err == nil && !info.Mode().IsRegular() {
		return c, false
	}
	for _, f := range l.folders {
		root := filepath.Clean(f.Name)
		rel, inside := strings.CutPrefix(p, root+string(filepath.Separator))
		if f.FS != nil || !inside && p != root {
			continue
		}
		rel = filepath.ToSlash(rel)
		name := path.Join(filepath.ToSlash(f.Name), rel)
		hidden := strings.HasPrefix(rel, ".") || strings.Contains(rel, "/.")
		switch {
		case !inside, isSite(rel), rel == ListsFolder, strings.HasPrefix(rel, ListsFolder+"/"):
			return c, false
		case !hidden && doc.IsYAML(rel):
			return changedFile{name, root, rel, err == nil}, true
		case err == nil:
			return c, true // a file of an editor
		}
		for _, known := range l.kept.order { // it may have been a folder
			if strings.HasPrefix(known.name, name+"/") {
				return c, false
			}
		}
		return c, true
	}
	return c, false
}

// compare orders the names of files as a load reads them: folder by folder, and in each the entries by name.
func (k *Kept) compare(a, b string) int {
	if i, j := k.folderOf(a), k.folderOf(b); i != j {
		return i - j
	}
	n := min(len(a), len(b))
	for i := range n {
		switch {
		case a[i] == b[i]:
		case a[i] == '/':
			return -1
		case b[i] == '/':
			return 1
		default:
			return int(a[i]) - int(b[i])
		}
	}
	return len(a) - len(b)
}

// folderOf returns the index of the first folder that holds a file.
func (k *Kept) folderOf(name string) int {
	return slices.IndexFunc(k.folders, func(f Folder) bool {
		root := path.Clean(filepath.ToSlash(f.Name))
		return name == root || root == "." || strings.HasPrefix(name, root+"/")
	})
}
