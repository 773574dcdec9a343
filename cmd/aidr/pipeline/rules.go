package pipeline

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/aidr-engine/aidr/cmd/aidr/api"
	"github.com/aidr-engine/aidr/cmd/aidr/config"
	"github.com/aidr-engine/aidr/cmd/aidr/maps"
	"github.com/aidr-engine/aidr/engine"
	"github.com/aidr-engine/aidr/rules"
	"github.com/aidr-engine/aidr/rules/library"
	"github.com/aidr-engine/aidr/schema/decode"
)

// Set is a loaded set of rules.
type Set = rules.Set

// Library is the path that names the shipped rules, which are part of the program. A folder with this name in the working
// directory is written ./library.
const Library = "library"

// Shipped is the name of the folder of the shipped rules in the names of their files.
const Shipped = "builtin"

// RuleFiles holds the paths of rules and of the files that rules refer to.
type RuleFiles struct {
	Paths  []string // folders and files of rules, and Library; empty: Library
	Lists  string   // folder of lists, in addition to lists/ in the folders of rules; may be ""
	Agents string   // registry of agents, in addition to agents.yaml in the folders of rules; may be ""
	Maps   []string // folders of field maps, whose datasets belong to families, in addition to the shipped maps
	Drafts bool     // load drafts too
	Warn   bool     // warn of exceptions that have expired

	Extra []rules.Folder // further rules of the process itself

	Kept     *rules.Kept         // see rules.Options
	Changed  []string            // see rules.Options
	Families map[string][]string // those of the maps, if they are known; nil: the maps are read for them
}

// UseConfig sets the paths that f lacks to those of a configuration.
func (f *RuleFiles) UseConfig(cfg *config.Config) {
	if len(f.Paths) == 0 {
		f.Paths = cfg.Rules
	}
	f.Lists, f.Agents = cmp.Or(f.Lists, cfg.Lists), cmp.Or(f.Agents, cfg.Agents)
	if len(f.Maps) == 0 {
		f.Maps = cfg.Maps
	}
}

// loadGCPercent is the value of GOGC while rules are loaded. Loading makes many times as much garbage as it keeps, and with
// the usual value a third of its time goes into marking what it keeps again and again. 50,000 rules peak at half a gigabyte.
const loadGCPercent = 300

// LoadRules loads the rules that f names. The set is nil if a problem is more than a warning.
func LoadRules(f RuleFiles) (*rules.Set, []rules.Problem) {
	if f.Families == nil {
		f.Families = families(f.Maps)
	}
	defer debug.SetGCPercent(debug.SetGCPercent(loadGCPercent))
	opts := rules.Options{
		Lists: f.Lists, Agents: f.Agents, Drafts: f.Drafts, Families: f.Families, BuiltIn: !f.Drafts, Kept: f.Kept, Changed: f.Changed,
	}
	if f.Warn {
		opts.Today = now()
	}
	shipped := rules.Folder{Name: Shipped, FS: library.FS}
	if len(f.Paths) == 0 {
		return rules.LoadFolders(opts, append([]rules.Folder{shipped}, f.Extra...)...)
	}
	var folders []rules.Folder
	for i, path := range f.Paths {
		switch {
		case path != Library:
			folders = append(folders, rules.Folder{Name: path})
		case !slices.Contains(f.Paths[:i], Library):
			folders = append(folders, shipped)
		}
	}
	set, problems := rules.LoadFolders(opts, append(folders, f.Extra...)...)
	if _, err := os.Stat(Library); err == nil && slices.Contains(f.Paths, Library) {
		problems = append([]rules.Problem{{File: Library, Line: 1, Col: 1, Warning: true,
			Cause: "names the shipped rules, not the folder in the working directory: write ./library for the folder"}}, problems...)
	}
	return set, problems
}

// RuleText returns the text of a rule file by its name in problems: that of a shipped rule, or of a file of the operating system.
func RuleText(name string) ([]byte, error) {
	if shipped, ok := strings.CutPrefix(name, Shipped+"/"); ok {
		if text, err := library.FS.ReadFile(shipped); err == nil {
			return text, nil
		}
	}
	return os.ReadFile(name)
}

// families returns the datasets of each family with the field maps of the folders. The problems of the maps are reported by
// those that read records with them; here a map that does not load is left out with all others of the folders.
func families(folders []string) map[string][]string {
	set, _ := maps.Load(folders...)
	if set == nil {
		if set, _ = maps.Load(); set == nil {
			return decode.Families()
		}
	}
	return decode.Families(set.Maps()...)
}

// activities returns the activity of each rule with the given inputs. Idle rules have a remedy.
func activities(set *Set, inputs []engine.Input) []rules.RuleActivity {
	all := set.RuleActivities(carries(inputs))
	for i := range all {
		if a := &all[i]; a.Datasets != nil {
			a.Remedy = sourceRemedy(a.Datasets, inputs)
		}
	}
	return all
}

// carries returns a function that reports whether one of the inputs can carry a dataset: one that its configuration names, or
// else one of its format. With format auto these are the datasets of all formats; a record of format aidr names its dataset
// itself, so a source of that format can carry any.
func carries(inputs []engine.Input) func(dataset string) bool {
	known := map[string]bool{}
	for _, in := range inputs {
		datasets := in.Datasets
		if datasets == nil {
			if f, one := decode.Find(in.Decode.Format, in.Decode.Maps...); one && f.Datasets == nil {
				return func(string) bool { return true }
			}
			for _, f := range decode.Formats(in.Decode.Maps...) {
				datasets = append(datasets, f.Datasets...)
			}
		}
		for _, ds := range datasets {
			known[ds] = true
		}
	}
	return func(dataset string) bool { return known[dataset] }
}

// sourceRemedy returns how to get events of one of the datasets, which no input carries.
func sourceRemedy(datasets []string, inputs []engine.Input) string {
	wanted := func(ds string) bool { return slices.Contains(datasets, ds) }
	var options decode.Options
	if len(inputs) > 0 {
		options = inputs[0].Decode // all inputs have the same maps
	}
	var names []string
	for _, f := range decode.Formats(options.Maps...) {
		if slices.ContainsFunc(f.Datasets, wanted) {
			names = append(names, f.Name)
		}
	}
	remedy := "add a source of one of the formats " + strings.Join(names, ", ")
	switch n := len(names); {
	case n == 0:
		return "no format gives it: correct its name, or write a field map that gives it"
	case n == 1:
		remedy = "add a source of format " + names[0]
	case n > maxRemedy:
		remedy = fmt.Sprintf("add a source of one of the formats %s, or of %d others (aidr formats lists them and their families)",
			strings.Join(names[:maxRemedy], ", "), n-maxRemedy)
	}
	for _, in := range inputs { // the configuration may list fewer datasets than the format has
		if f, one := decode.Find(in.Decode.Format, in.Decode.Maps...); !one || slices.ContainsFunc(f.Datasets, wanted) {
			return "add it to the `datasets` of its source, or " + remedy
		}
	}
	return remedy
}

// maxRemedy is the number of formats that a remedy names: more are harder to read than the table of formats.
const maxRemedy = 6

// GroupIdle groups the idle rules by reason and remedy, in the order of their first rules.
func GroupIdle(all []rules.RuleActivity) []api.IdleRules {
	var groups []api.IdleRules
	for _, a := range all {
		if a.Activity != rules.Idle {
			continue
		}
		at := slices.IndexFunc(groups, func(g api.IdleRules) bool { return g.Reason == a.Reason && g.Remedy == a.Remedy })
		if at < 0 {
			at = len(groups)
			groups = append(groups, api.IdleRules{Reason: a.Reason, Remedy: a.Remedy})
		}
		groups[at].Rules = append(groups[at].Rules, a.Rule.ID)
	}
	return groups
}

// IdleRules returns the rules of a configuration that can find nothing at its site, with the reasons and the remedies.
func IdleRules(cfg *config.Config) ([]api.IdleRules, error) {
	set, problems := LoadRules(ruleFiles(cfg))
	if set == nil {
		return nil, errors.Join(problemErrors(problems)...)
	}
	all, err := Activities(cfg, set)
	return GroupIdle(all), err
}

// Activities returns the activity of each rule of the set with the sources of a configuration.
func Activities(cfg *config.Config, set *Set) ([]rules.RuleActivity, error) {
	mapped, err := loadMaps(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, err
	}
	var inputs []engine.Input
	for _, s := range cfg.Sources {
		in, err := buildInput(s, mapped)
		if err != nil {
			return nil, err
		}
		inputs = append(inputs, in)
	}
	return activities(set, inputs), nil
}

// countActivities returns the number of rules by activity, with all activities.
func countActivities(all []rules.RuleActivity) map[string]int {
	counts := map[string]int{}
	for _, a := range rules.Activities() {
		counts[string(a)] = 0
	}
	for _, a := range all {
		counts[string(a.Activity)]++
	}
	return counts
}

// useRules makes the activities of the rules visible, after the set or the inputs have changed, and logs which rules have
// become idle and which are so no longer. Its caller must not hold mu.
func (p *Pipeline) useRules() {
	p.mu.Lock()
	before := GroupIdle(p.activities)
	inputs := slices.Clone(p.inputs)
	for _, f := range p.feedsOf(p.set) {
		inputs = append(inputs, f.input())
	}
	p.activities = activities(p.set, inputs)
	after := GroupIdle(p.activities)
	p.mu.Unlock()
	idle := map[string]bool{}
	for _, g := range after {
		for _, id := range g.Rules {
			idle[id] = true
		}
		same := func(b api.IdleRules) bool {
			return b.Reason == g.Reason && b.Remedy == g.Remedy && slices.Equal(b.Rules, g.Rules)
		}
		if !slices.ContainsFunc(before, same) {
			p.log.Warn("rules are idle: they find nothing at this site", "rules", g.Rules, "reason", g.Reason, "remedy", g.Remedy)
		}
	}
	var ended []string
	for _, g := range before {
		for _, id := range g.Rules {
			if !idle[id] {
				ended = append(ended, id)
			}
		}
	}
	if len(ended) > 0 {
		slices.Sort(ended)
		p.log.Info("rules are no longer idle", "rules", ended)
	}
}

// ruleCollector exports the number of rules by activity.
type ruleCollector struct{ p *Pipeline }

func rulesDesc() *prometheus.Desc {
	const help = "Rules by what they do: active, shadow (recorded, not delivered), idle (the site lacks something that the rule needs; " +
		"`aidr status` has the remedy), draft, disabled."
	return prometheus.NewDesc("aidr_rules", help, []string{"state"}, nil)
}

// Describe implements prometheus.Collector.
func (c ruleCollector) Describe(to chan<- *prometheus.Desc) { to <- rulesDesc() }

// Collect implements prometheus.Collector.
func (c ruleCollector) Collect(to chan<- prometheus.Metric) {
	c.p.mu.Lock()
	counts := countActivities(c.p.activities)
	c.p.mu.Unlock()
	for activity, n := range counts {
		to <- prometheus.MustNewConstMetric(rulesDesc(), prometheus.GaugeValue, float64(n), activity)
	}
}
