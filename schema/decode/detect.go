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

// all returns every format. Of two formats that a record would fit equally well the first is taken.
func all() []formats.Format {
	return []formats.Format{
		formats.Aidr(),
		cloud.CloudTrail(),
		gateway.Kong(),
		gateway.Envoy(),
		llm.LiteLLM(),
		llm.MCP(),
	}
}

// Formats returns the names of all formats and the datasets that each can give, sorted.
func Formats() []FormatInfo {
	var infos []FormatInfo
	for _, f := range all() {
		infos = append(infos, infoOf(f))
	}
	slices.SortFunc(infos, func(a, b FormatInfo) int { return strings.Compare(a.Name, b.Name) })
	return infos
}

// Find returns the format that a name in a configuration means: its own, a shorter one, or the dataset's. It is false
// for auto, which is all of them, and for what is no format.
func Find(name string) (FormatInfo, bool) {
	chosen, err := choose(name)
	if err != nil || len(chosen) != 1 {
		return FormatInfo{}, false
	}
	return infoOf(chosen[0]), true
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
	places []int // of the keys, by bit
	tells  []tell
	fixed  bool // one format, which the configuration names
}

// keySet is a set of the keys that tell formats, by their bits.
type keySet [2]uint64

// maxKeys is how many keys may tell formats: the bits of a set. The sets of some 40 formats have room.
const maxKeys = 128

func (s *keySet) add(bit int) { s[bit>>6] |= 1 << (bit & 63) }

// holds says that all of o is in s.
func (s *keySet) holds(o *keySet) bool { return s[0]&o[0] == o[0] && s[1]&o[1] == o[1] }

// tell is one set of required keys.
type tell struct {
	keys   keySet
	size   int // number of keys
	format int
	where  int // place that has to hold text, -1 for none
	text   string
}

func newDetector(list []formats.Format, p *formats.Paths, fixed bool) detector {
	d := detector{fixed: fixed}
	bit := map[string]int{}
	for i, f := range list {
		for _, t := range f.Tells {
			made := tell{format: i, where: -1, text: t.Text, size: len(t.Keys)}
			for _, key := range t.Keys {
				if _, ok := bit[key]; !ok {
					if len(bit) == maxKeys {
						panic(fmt.Sprintf("BUG: more than %d keys tell formats", maxKeys))
					}
					bit[key] = len(d.places)
					d.places = append(d.places, p.Add(key))
				}
				made.keys.add(bit[key])
			}
			if t.Path != nil {
				made.where = p.Add(t.Path...)
			}
			d.tells = append(d.tells, made)
		}
	}
	// The most keys first; the sort is stable, so that the order of the formats decides between equals.
	slices.SortStableFunc(d.tells, func(a, b tell) int { return b.size - a.size })
	return d
}

// format returns the index of the format of the object whose top-level values stand in found, -1 where none fits; some
// says that at least one key of a format is there.
func (d *detector) format(src string, found []scan.Span) (format int, some bool) {
	var have keySet
	for i, place := range d.places {
		if found[place].Kind != scan.Absent {
			have.add(i)
		}
	}
	for i := range d.tells {
		t := &d.tells[i]
		if have.holds(&t.keys) && (t.where < 0 || holds(src, found[t.where], t.text)) {
			return t.format, true
		}
	}
	return -1, have != keySet{}
}

// holds says that a value is the text.
func holds(src string, v scan.Span, text string) bool {
	return v.Kind == scan.String && !v.Escaped && src[v.Start+1:v.End-1] == text
}
