package decode

import (
	"fmt"
	"slices"
	"strings"

	"github.com/aidr-engine/aidr/schema/formats"
	"github.com/aidr-engine/aidr/schema/formats/cloud"
	"github.com/aidr-engine/aidr/schema/formats/gateway"
	"github.com/aidr-engine/aidr/schema/formats/llm"
	"github.com/aidr-engine/aidr/schema/scan"
)

// all returns the built-in formats. If a record fits two of them equally well, the earlier one is taken.
func all() []formats.Format {
	return []formats.Format{
		formats.Aidr(),
		cloud.CloudTrail(),
		gateway.Kong(),
		gateway.Envoy(),
		llm.LiteLLM(),
		llm.AgentGateway(),
		llm.MCP(),
		llm.MCPGatewayAudit(),
		llm.OTLP(),
		llm.OTelRecord(),
		cloud.BedrockInvocation(),
		llm.Anthropic(),
		llm.Gemini(),
		llm.Bedrock(),
		llm.Ollama(),
		llm.OpenAI(),
		llm.AnthropicRequest(),
		llm.OpenAIRequest(),
		llm.GeminiRequest(),
		llm.BedrockRequest(),
		cloud.Azure(),
		cloud.GCPAudit(),
		cloud.Kubernetes(),
		cloud.GitHubAudit(),
		cloud.Okta(),
		cloud.M365(),
		cloud.OpenAIAudit(),
		cloud.AnthropicActivity(),
		cloud.OCSF(),
		cloud.ECS(),
	}
}

// withMaps returns the built-in formats and after them those of the maps, so that a built-in format is taken if a
// record fits both equally well. A map cannot take the name of a built-in format.
func withMaps(maps []*Map) []formats.Format {
	list := all()
	for _, m := range maps {
		if !slices.ContainsFunc(list, func(f formats.Format) bool { return f.Name == m.Name }) {
			list = append(list, m.format())
		}
	}
	return list
}

// choose returns the formats of a configuration, and which of them it names. Without Auto among the names these are the
// named formats, otherwise all formats.
func choose(format string, maps []*Map) (chosen []formats.Format, named []bool, err error) {
	list := withMaps(maps)
	byName := make([]bool, len(list))
	detect := format == ""
	for name := range strings.SplitSeq(format, ",") {
		name = strings.TrimSpace(name)
		if name == Auto || name == "" {
			detect = detect || name == Auto
			continue
		}
		at := slices.IndexFunc(list, func(f formats.Format) bool {
			return f.Name == name || slices.Contains(f.Aliases, name) || slices.Contains(f.Datasets, name)
		})
		if at < 0 {
			var names []string
			for _, f := range list {
				names = append(names, f.Name)
			}
			return nil, nil, fmt.Errorf("find format %q: there is no such format: use auto or one of %s", name, strings.Join(names, ", "))
		}
		byName[at] = true
	}
	for i, f := range list {
		if detect || byName[i] {
			chosen, named = append(chosen, f), append(named, byName[i])
		}
	}
	return chosen, named, nil
}

// Datasets returns the datasets of the formats that a configuration names, sorted. It returns nil, which means any dataset,
// for Auto, for the format aidr, whose records name their dataset, and for an unknown format.
func Datasets(format string, maps ...*Map) (datasets []string) {
	chosen, named, err := choose(format, maps)
	if err != nil || slices.Contains(named, false) {
		return nil
	}
	for _, f := range chosen {
		if f.Datasets == nil {
			return nil
		}
		datasets = append(datasets, f.Datasets...)
	}
	slices.Sort(datasets)
	return slices.Compact(datasets)
}

// Formats returns all formats with the datasets that they can give, sorted by name.
func Formats(maps ...*Map) []FormatInfo {
	var infos []FormatInfo
	for _, f := range withMaps(maps) {
		infos = append(infos, infoOf(f))
	}
	slices.SortFunc(infos, func(a, b FormatInfo) int { return strings.Compare(a.Name, b.Name) })
	return infos
}

// Find returns the format for a name in a configuration, which is the format's name, an alias or a dataset. It returns
// false for Auto, which means all formats, and for an unknown name.
func Find(name string, maps ...*Map) (FormatInfo, bool) {
	chosen, _, err := choose(name, maps)
	if err != nil || len(chosen) != 1 {
		return FormatInfo{}, false
	}
	return infoOf(chosen[0]), true
}

// Reads returns the paths, from the top of a record, that a format's reader looks at, or nil for an unknown format.
// Paths inside lists and inside JSON in strings are not included.
func Reads(name string, maps ...*Map) [][]string {
	chosen, _, err := choose(name, maps)
	if err != nil || len(chosen) != 1 {
		return nil
	}
	var p formats.Paths
	chosen[0].NewReader(&p)
	return p.All()
}

// FormatInfo describes a format.
type FormatInfo struct {
	Name     string
	Aliases  []string // other names for it
	Datasets []string // nil for the format aidr, whose records name their dataset
	Families []string // of all its datasets, sorted; see Families
	Keys     string   // the top-level keys by which it is recognised, for display
}

func infoOf(f formats.Format) FormatInfo {
	var keys []string
	for _, t := range f.Signatures {
		keys = append(keys, strings.Join(t.Keys, " + "))
	}
	var families []string
	for _, ds := range f.Datasets {
		families = append(families, f.FamiliesOf(ds)...)
	}
	slices.Sort(families)
	return FormatInfo{
		Name: f.Name, Aliases: f.Aliases, Datasets: f.Datasets, Families: slices.Compact(families), Keys: strings.Join(keys, " | "),
	}
}

// Families returns the datasets of each family, sorted: those of the built-in formats and of the maps. All families are in
// it, and a dataset may be in several.
func Families(maps ...*Map) map[string][]string {
	table := map[string][]string{}
	for _, family := range formats.Families() {
		table[family] = nil
	}
	for _, f := range withMaps(maps) {
		for _, ds := range f.Datasets {
			for _, family := range f.FamiliesOf(ds) {
				table[family] = append(table[family], ds)
			}
		}
	}
	for family, datasets := range table {
		slices.Sort(datasets)
		table[family] = slices.Compact(datasets)
	}
	return table
}

// detector recognises a record's format by its top-level keys: it compares them with the key sets of all formats.
type detector struct {
	sets   []keySet
	fixed  bool            // the configuration names the one format
	scopes []formats.Scope // by format; ScopeAny for a format that the configuration names

	// anchors and anchored index the key sets, each by its rarest key: anchors holds for that key's place
	// 1 + an index in anchored, which lists the key sets. 0 means that no key set has the place as its rarest key.
	anchors  []uint16
	anchored [][]int
}

// keySet is one set of required keys.
type keySet struct {
	keys      []int // their places
	format    int
	textPlace int // place that must hold text, or -1
	text      string

	names []string // of the keys, for display
	path  []string // of textPlace
}

func newDetector(list []formats.Format, named []bool, p *formats.Paths) detector {
	d := detector{fixed: len(list) == 1}
	for i, f := range list {
		scope := f.Scope
		if named[i] {
			scope = formats.ScopeAny
		}
		d.scopes = append(d.scopes, scope)
		for _, t := range f.Signatures {
			set := keySet{format: i, textPlace: -1, text: t.Text, names: t.Keys, path: t.Path}
			for _, key := range t.Keys {
				set.keys = append(set.keys, p.Add(key))
			}
			if t.Path != nil {
				set.textPlace = p.Add(t.Path...)
			}
			d.sets = append(d.sets, set)
		}
	}
	// The largest sets first. The sort is stable, so between equals the order of the formats decides.
	slices.SortStableFunc(d.sets, func(a, b keySet) int { return len(b.keys) - len(a.keys) })
	d.anchor(p)
	return d
}

// anchor indexes each key set by its rarest key, so that a record is compared with few sets.
func (d *detector) anchor(p *formats.Paths) {
	d.anchors = make([]uint16, p.Trie().Len())
	uses := make([]int, p.Trie().Len()) // number of key sets that have the key at a place
	for i := range d.sets {
		for _, place := range d.sets[i].keys {
			uses[place]++
		}
	}
	for i := range d.sets {
		rarest := slices.MinFunc(d.sets[i].keys, func(a, b int) int { return uses[a] - uses[b] })
		if d.anchors[rarest] == 0 {
			d.anchored = append(d.anchored, nil)
			d.anchors[rarest] = uint16(len(d.anchored))
		}
		list := &d.anchored[d.anchors[rarest]-1]
		*list = append(*list, i)
	}
}

// first returns the index of the first key set that fits and whose format counts here, or -1. workload reports whether the
// text was written by a workload.
func (d *detector) first(src string, selection *scan.Found, workload bool) int {
	filled, all := selection.Filled()
	if !all {
		for i := range d.sets {
			if d.counts(i, workload) && d.sets[i].fits(src, selection.Spans) {
				return i
			}
		}
		return -1
	}
	best := len(d.sets)
	for _, place := range filled {
		if place >= len(d.anchors) || d.anchors[place] == 0 {
			continue
		}
		for _, i := range d.anchored[d.anchors[place]-1] {
			if i < best && d.counts(i, workload) && d.sets[i].fits(src, selection.Spans) {
				best = i
			}
		}
	}
	if best == len(d.sets) {
		return -1
	}
	return best
}

// counts reports whether the format of a key set is recognised in a text. See formats.Scope.
func (d *detector) counts(set int, workload bool) bool {
	switch d.scopes[d.sets[set].format] {
	case formats.ScopeNamed:
		return false
	case formats.ScopePlatform:
		return !workload
	}
	return true
}

// format returns the index of the format that fits the object whose values are selected in found, or -1. partial
// reports whether at least one key of a format is present. It is computed only if the configuration names the format.
func (d *detector) format(src string, found *scan.Found, workload bool) (format int, partial bool) {
	if i := d.first(src, found, workload); i >= 0 {
		return d.sets[i].format, true
	}
	if d.fixed {
		for i := range d.sets {
			partial = partial || d.sets[i].hasAny(found.Spans)
		}
	}
	return -1, partial
}

// why returns the reason for which the format of a key set does not count.
func (d *detector) why(set int) string {
	if d.scopes[d.sets[set].format] == formats.ScopeNamed {
		return "this format counts only if the source names it"
	}
	return "the text of a log line is of this format only if the source names it"
}

// fits reports whether all keys are present, and the required text if there is one.
func (k *keySet) fits(src string, found []scan.Span) bool {
	for _, place := range k.keys {
		if found[place].Kind == scan.Absent {
			return false
		}
	}
	return k.textPlace < 0 || isText(src, found[k.textPlace], k.text)
}

// hasAny reports whether at least one of the keys is present.
func (k *keySet) hasAny(found []scan.Span) bool {
	return slices.ContainsFunc(k.keys, func(place int) bool { return found[place].Kind != scan.Absent })
}

// isText reports whether a value is the given text.
func isText(src string, v scan.Span, text string) bool {
	return v.Kind == scan.String && !v.Escaped() && src[v.Start+1:v.End-1] == text
}
