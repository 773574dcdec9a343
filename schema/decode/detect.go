package decode

import (
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
		llm.MCP(),
		llm.MCPGatewayAudit(),
		llm.OTLP(),
		cloud.BedrockInvocation(),
		llm.Anthropic(),
		llm.OpenAI(),
		llm.AnthropicRequest(),
		llm.OpenAIRequest(),
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
	chosen, err := choose(name, maps)
	if err != nil || len(chosen) != 1 {
		return FormatInfo{}, false
	}
	return infoOf(chosen[0]), true
}

// Reads returns the paths, from the top of a record, that a format's reader looks at, or nil for an unknown format.
// Paths inside lists and inside JSON in strings are not included.
func Reads(name string, maps ...*Map) [][]string {
	chosen, err := choose(name, maps)
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
	Keys     string   // the top-level keys by which it is recognised, for display
}

func infoOf(f formats.Format) FormatInfo {
	var keys []string
	for _, t := range f.Signatures {
		keys = append(keys, strings.Join(t.Keys, " + "))
	}
	return FormatInfo{Name: f.Name, Aliases: f.Aliases, Datasets: f.Datasets, Keys: strings.Join(keys, " | ")}
}

// detector recognises a record's format by its top-level keys: it compares them with the key sets of all formats.
type detector struct {
	sets  []keySet
	fixed bool // the configuration names the one format

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

func newDetector(list []formats.Format, p *formats.Paths, fixed bool) detector {
	d := detector{fixed: fixed}
	for i, f := range list {
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

// first returns the index of the first key set that fits, or -1.
func (d *detector) first(src string, selection *scan.Found) int {
	filled, all := selection.Filled()
	if !all {
		return slices.IndexFunc(d.sets, func(k keySet) bool { return k.fits(src, selection.Spans) })
	}
	best := len(d.sets)
	for _, place := range filled {
		if place >= len(d.anchors) || d.anchors[place] == 0 {
			continue
		}
		for _, i := range d.anchored[d.anchors[place]-1] {
			if i < best && d.sets[i].fits(src, selection.Spans) {
				best = i
			}
		}
	}
	if best == len(d.sets) {
		return -1
	}
	return best
}

// format returns the index of the format that fits the object whose values are selected in found, or -1. partial
// reports whether at least one key of a format is present. It is computed only if the configuration names the format.
func (d *detector) format(src string, found *scan.Found) (format int, partial bool) {
	if i := d.first(src, found); i >= 0 {
		return d.sets[i].format, true
	}
	if d.fixed {
		for i := range d.sets {
			partial = partial || d.sets[i].hasAny(found.Spans)
		}
	}
	return -1, partial
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
