package config

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/aidr-engine/aidr/rules/doc"
)

// digest identifies the value of a key. It is a hash because a value may hold a secret.
type digest [sha256.Size]byte

// digests returns the digest of each key of the file. A key is the dotted path of a value that is not a mapping, such as
// state.dir, or sinks.webhooks.soc.url: the items of sources and of sinks.webhooks go by name, because their order is
// meaningless. Both lists also have a key for each item, sources.logs, by which added and removed items are found. Values are
// compared with their ${...} replaced, so a secret that has changed in its file or variable counts as a change.
func (r *reader) digests(root *doc.Node) map[string]digest {
	out := map[string]digest{}
	var add func(key string, n *doc.Node)
	add = func(key string, n *doc.Node) {
		switch {
		case n.Kind == doc.Map:
			n.Each(func(name, value *doc.Node) { add(strings.TrimPrefix(key+"."+name.String(), "."), value) })
		case n.Kind == doc.List && (key == "sources" || key == "sinks.webhooks"):
			for i, item := range n.Items() {
				name := r.itemName(key, item, i)
				out[name] = digest{}
				add(name, item)
			}
		case n.Kind != doc.Null: // an empty section is the same as none
			out[key] = sha256.Sum256([]byte(r.expand(fmt.Sprintf("%#v", n.Any()))))
		}
	}
	add("", root)
	return out
}

// itemName returns the key of an item of a list whose items have names, or by default numbers, as source and webhook do.
func (r *reader) itemName(list string, item *doc.Node, index int) string {
	name := ""
	if item.Kind == doc.Map {
		item.Each(func(key, value *doc.Node) {
			if key.String() == "name" {
				name = value.String()
			}
		})
	}
	if name == "" {
		name = fmt.Sprintf("%s-%d", map[string]string{"sources": "source", "sinks.webhooks": "webhook"}[list], index+1)
	}
	return list + "." + name
}

var reference = regexp.MustCompile(`\$\{[^}]*\}`)

// expand appends the values of all ${...} in a text to it. It reports no problems: the texts were read before.
func (r *reader) expand(text string) string {
	for _, ref := range reference.FindAllString(text, -1) {
		name := ref[2 : len(ref)-1]
		value, _ := r.env(name)
		if path, ok := strings.CutPrefix(name, "file:"); ok {
			value = ""
			if f, err := os.Open(path); err == nil {
				b, _ := io.ReadAll(io.LimitReader(f, MaxSecretFile))
				f.Close()
				value = string(b)
			}
		}
		text += "\x00" + value
	}
	return text
}

// Changed returns the keys of the configuration file whose values differ between two configurations, sorted. An item of
// sources or of sinks.webhooks that only one of them has is one key, such as sources.logs.
func Changed(a, b *Config) (keys []string) {
	var items []string // added or removed
	compare := func(a, b map[string]digest, both bool) {
		for key, value := range a {
			other, inBoth := b[key]
			switch {
			case !inBoth && value == digest{}:
				items = append(items, key)
			case !inBoth, both && other != value:
				keys = append(keys, key)
			}
		}
	}
	compare(a.digests, b.digests, true)
	compare(b.digests, a.digests, false)
	keys = slices.DeleteFunc(keys, func(key string) bool {
		return slices.ContainsFunc(items, func(item string) bool { return strings.HasPrefix(key, item+".") })
	})
	keys = append(keys, items...)
	slices.Sort(keys)
	return keys
}

// Digest returns the digest of all keys of a configuration file with their values, hex. The values, which may be secrets,
// cannot be found from it.
func Digest(c *Config) string {
	h := sha256.New()
	for _, key := range slices.Sorted(maps.Keys(c.digests)) {
		value := c.digests[key]
		fmt.Fprintf(h, "%d:%s", len(key), key)
		h.Write(value[:])
	}
	return hex.EncodeToString(h.Sum(nil))
}

// StateDir returns the state directory that a configuration file names. It reads nothing else, so neither the other keys
// have to be right nor their secrets available.
func StateDir(file string) (dir string, problems []doc.Problem) {
	src, unreadable := read(file)
	if unreadable != nil {
		return "", unreadable
	}
	r := reader{origin: file, env: os.LookupEnv, unset: map[string]bool{}}
	d, root := doc.Parse(file, src)
	if root != nil {
		root.Each(func(name, section *doc.Node) {
			if name.String() == "state" && section.Kind == doc.Map {
				dir = r.text(section.Fields().Get("dir"))
			}
		})
	}
	if d.Failed() {
		return "", quiet(d.Problems())
	}
	if dir == "" {
		dir = "state"
	}
	return absolute(dir), nil
}
