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

// all returns every format. Of two formats that a record would fit equally well the first is taken.
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

// withMaps returns every format, those that maps describe behind the others: what is built in is taken first where a
// record would fit equally well. A map can not take the name of one that is built in.
func withMaps(maps []*Map) []formats.Format {
	list := all()
	for _, m := range maps {
		if !slices.ContainsFunc(list, func(f formats.Format) bool { return f.Name == m.Name }) {
			list = append(list, m.format())
		}
	}
	return list
}

// Formats returns the names of all formats and the datasets that each can give, sorted.
func Formats(maps ...*Map) []FormatInfo {
	var infos []FormatInfo
	for _, f := range withMaps(maps) {
		infos = append(infos, infoOf(f))
	}
	slices.SortFunc(infos, func(a, b FormatInfo) int { return strings.Compare(a.Name, b.Name) })
	return infos
}

// Find returns the format that a name in a configuration means: its own, a shorter one, or the dataset's. It is false
// for auto, which is all of them, and for what is no format.
func Find(name string, maps ...*Map) (FormatInfo, bool) {
	chosen, err := choose(name, maps)
	if err != nil || len(chosen) != 1 {
		return FormatInfo{}, false
	}
	return infoOf(chosen[0]), true
}

// Reads returns the paths from the top of a record at which a format's reader looks, nil where there is no such format.
// What it finds further inside, in lists and in JSON inside strings, is not among them.
func Reads(name string, maps ...*Map) [][]string {
	chosen, err := choose(name, maps)
	if err != nil || len(chosen) != 1 {
		return nil
	}
	var p formats.Paths
	chosen[0].Open(&p)
	return p.All()
}

// FormatInfo is one of them.
type FormatInfo struct {
	Name     string
	Aliases  []string // other names for it
	Datasets []string // nil for the format aidr, whose records name theirs
	Keys     string   // the top-level keys that tell it, for people
}

func infoOf(f formats.Format) FormatInfo {
	var keys []string
	for _, t := range f.Tells {
		keys = append(keys, strings.Join(t.Keys, " + "))
	}
	return FormatInfo{Name: f.Name, Aliases: f.Aliases, Datasets: f.Datasets, Keys: strings.Join(keys, " | ")}
}

// detector tells a record's format by its top-level keys: those that are there against the sets that formats require.
type detector struct {
	tells []tell
	fixed bool // one format, which the configuration names

	// Of each tell the key that the fewest have, at its place: 0 for none, else 1 + the index in anchored of the tells.
	anchors  []uint16
	anchored [][]int
}

// tell is one set of required keys.
type tell struct {
	keys   []int // their places
	format int
	where  int // place that has to hold text, -1 for none
	text   string

	names []string // of the keys, for people
	path  []string // of where
}

func newDetector(list []formats.Format, p *formats.Paths, fixed bool) detector {
	d := detector{fixed: fixed}
	for i, f := range list {
		for _, t := range f.Tells {
			made := tell{format: i, where: -1, text: t.Text, names: t.Keys, path: t.Path}
			for _, key := range t.Keys {
				made.keys = append(made.keys, p.Add(key))
			}
			if t.Path != nil {
				made.where = p.Add(t.Path...)
			}
			d.tells = append(d.tells, made)
		}
	}
	// The most keys first; the sort is stable, so that the order of the formats decides between equals.
	slices.SortStableFunc(d.tells, func(a, b tell) int { return len(b.keys) - len(a.keys) })
	d.anchor(p)
	return d
}

// anchor finds under which of its keys each tell is looked for, so that a record is held against few of them.
func (d *detector) anchor(p *formats.Paths) {
	d.anchors = make([]uint16, p.Trie().Len())
	having := make([]int, p.Trie().Len()) // how many tells have the key at a place
	for i := range d.tells {
		for _, place := range d.tells[i].keys {
			having[place]++
		}
	}
	for i := range d.tells {
		rarest := slices.MinFunc(d.tells[i].keys, func(a, b int) int { return having[a] - having[b] })
		if d.anchors[rarest] == 0 {
			d.anchored = append(d.anchored, nil)
			d.anchors[rarest] = uint16(len(d.anchored))
		}
		list := &d.anchored[d.anchors[rarest]-1]
		*list = append(*list, i)
	}
}

// first returns the index of the first tell that fits, -1 where none does.
func (d *detector) first(src string, places *scan.Found) int {
	filled, all := places.Filled()
	if !all {
		return slices.IndexFunc(d.tells, func(t tell) bool { return t.fits(src, places.Spans) })
	}
	best := len(d.tells)
	for _, place := range filled {
		if place >= len(d.anchors) || d.anchors[place] == 0 {
			continue
		}
		for _, i := range d.anchored[d.anchors[place]-1] {
			if i < best && d.tells[i].fits(src, places.Spans) {
				best = i
			}
		}
	}
	if best == len(d.tells) {
		return -1
	}
	return best
}

// format returns the index of the format of the object whose top-level values stand in found, -1 where none fits; some
// says that at least one key of a format is there, which is asked only where the configuration names it.
func (d *detector) format(src string, found *scan.Found) (format int, some bool) {
	if i := d.first(src, found); i >= 0 {
		return d.tells[i].format, true
	}
	if d.fixed {
		for i := range d.tells {
			some = some || d.tells[i].some(found.Spans)
		}
	}
	return -1, some
}

// fits says that all keys are there.
func (t *tell) fits(src string, found []scan.Span) bool {
	for _, place := range t.keys {
		if found[place].Kind == scan.Absent {
			return false
		}
	}
	return t.where < 0 || holds(src, found[t.where], t.text)
}

// some says that one key is there.
func (t *tell) some(found []scan.Span) bool {
	return slices.ContainsFunc(t.keys, func(place int) bool { return found[place].Kind != scan.Absent })
}

// holds says that a value is the text.
func holds(src string, v scan.Span, text string) bool {
	return v.Kind == scan.String && !v.Escaped() && src[v.Start+1:v.End-1] == text
}
