package decode

import (
	"fmt"
	"strings"

	"github.com/aidr-engine/aidr/schema"
	"github.com/aidr-engine/aidr/schema/content"
	"github.com/aidr-engine/aidr/schema/scan"
)

// The bounds of a dead letter's detail, which is for people to read.
const (
	maxNamedKeys = 8  // top-level keys that are named
	maxNamedKey  = 40 // bytes of a key
)

// unknownFormat returns the detail of the dead letter of an object that no format fits: its top-level keys, without
// credentials and quoted for a terminal, and the format whose keys the object has the largest share of.
func (d *Decoder) unknownFormat(src string, v scan.Span) string {
	var b strings.Builder
	b.WriteString("no format has these top-level keys: ")
	n := 0
	d.elem.Index.Members(src, v, &d.elem.Arena, func(key string, _ scan.Span) bool {
		switch n++; {
		case n > maxNamedKeys:
			b.WriteString(", and more")
			return false
		case n > 1:
			b.WriteString(", ")
		}
		key = content.Redact(key) // before the key is shortened, because half a credential is not recognised
		if short := schema.Truncate(key, maxNamedKey); short != key {
			fmt.Fprintf(&b, "%q...", short)
		} else {
			fmt.Fprintf(&b, "%q", key)
		}
		return true
	})
	if n == 0 {
		return "the object has no keys"
	}
	if near := d.nearest(src); near != nil {
		fmt.Fprintf(&b, "; the nearest format is %s, %s", near.format, near.missing())
	}
	return b.String()
}

// nearFormat is the format whose keys an object of unknown format has the largest share of.
type nearFormat struct {
	format     string
	has, lacks []string // keys of the format
	path, text string   // if the object lacks no key: the path at which it does not have the text
	why        string   // if the object has all of it: why the format does not count here
}

// missing returns how the object differs from the format.
func (n *nearFormat) missing() string {
	switch {
	case n.why != "":
		return "but " + n.why
	case len(n.lacks) == 0:
		return fmt.Sprintf("but %s is not %q", n.path, n.text)
	}
	return "which also has " + strings.Join(n.lacks, ", ")
}

// nearest returns the nearest format of the object whose values are selected, or nil if no format has one of its keys.
func (d *Decoder) nearest(src string) *nearFormat {
	best, share := -1, 0.0
	for i := range d.detector.sets {
		k := &d.detector.sets[i]
		has := 0
		for _, place := range k.keys {
			if d.found[place].Kind != scan.Absent {
				has++
			}
		}
		if s := float64(has) / float64(len(k.names)); s > share {
			best, share = i, s
		}
	}
	if best < 0 {
		return nil
	}
	k := &d.detector.sets[best]
	near := &nearFormat{format: d.names[k.format], path: strings.Join(k.path, "."), text: k.text}
	for n, place := range k.keys {
		if d.found[place].Kind == scan.Absent {
			near.lacks = append(near.lacks, k.names[n])
		} else {
			near.has = append(near.has, k.names[n])
		}
	}
	if k.fits(src, d.found) {
		near.why = d.detector.why(best)
	}
	return near
}
