// Package site reads the additions of a site to the rule language: its lists (lists.NAME), the registry of its agents
// (agent.*), and the capabilities of tools (cap.*). Lists and registries are immutable and safe for concurrent use; look-ups do not allocate.
package site

import (
	"net/netip"
	"path"
	"slices"
	"strings"

	"github.com/aidr-engine/aidr/rules/doc"
)

// Limits of a list.
const (
	// MaxValues is the largest number of values: an index of a million hosts takes about 200 MB.
	MaxValues = 1_000_000
	// MaxValue is the largest length of a value in bytes: that of the longest URL that browsers accept.
	MaxValue = 2048
	// MaxPatterns is the largest number of globs that are neither a literal, nor a prefix (abc*), nor a suffix (*abc).
	// Each of them costs a comparison per look-up.
	MaxPatterns = 1_000
)

// The types of a list.
const (
	TypeStrings = "strings"
	TypeCIDRs   = "cidrs"
	TypeGlobs   = "globs"
)

// List is one file of lists/.
type List struct {
	Name        string // the file's name without .yaml, the NAME in lists.NAME
	Type        string
	Description string

	values   []string // sorted, without duplicates
	exact    map[string]struct{}
	networks networks
	globs    globs
}

// ParseList reads one file. name is the file's name as problems show it. The list is nil if any problem is not a warning.
func ParseList(name string, src []byte) (*List, []doc.Problem) {
	d, root := doc.ParseSize(name, src, doc.MaxListSize)
	l := &List{Name: listName(name)}
	if !identifier(l.Name) {
		root.Fail("a list has the name of its file, and %q cannot be written in a rule: rename the file, using a-z, 0-9 and _", doc.Short(l.Name))
	}
	f := root.Fields()
	l.Description = f.Get("description").String()
	l.Type = TypeStrings
	if t := f.Get("type"); t != nil {
		l.Type = t.Enum(TypeStrings, TypeCIDRs, TypeGlobs)
	}
	l.read(f.Need("values"))
	f.Done()
	if d.Failed() {
		return nil, d.Problems()
	}
	return l, d.Problems()
}

func listName(file string) string {
	base := path.Base(strings.ReplaceAll(file, "\\", "/"))
	return strings.TrimSuffix(base, path.Ext(base))
}

// identifier reports whether lists.<s> can be written in a rule.
func identifier(s string) bool {
	for i, c := range []byte(s) {
		if c != '_' && (c < 'a' || c > 'z') && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return s != ""
}

func (l *List) read(values *doc.Node) {
	items := values.Items()
	if len(items) > MaxValues {
		values.Fail("has %d values, the limit is %d: split the list", len(items), MaxValues)
		return
	}
	l.exact = make(map[string]struct{}, len(items))
	for _, v := range items {
		text := v.Filled()
		if text == "" {
			continue
		}
		if len(text) > MaxValue {
			v.Fail("has %d bytes, the limit is %d: shorten it", len(text), MaxValue)
			continue
		}
		if _, twice := l.exact[text]; twice {
			v.Warn("%q is listed twice: remove one", doc.Short(text))
			continue
		}
		l.exact[text] = struct{}{}
		l.values = append(l.values, text)
		switch l.Type {
		case TypeCIDRs:
			if !l.networks.add(text) {
				v.Fail("%q is neither an address nor a network: write it as 10.0.0.0/8 or 2001:db8::1", doc.Short(text))
			}
		case TypeGlobs:
			l.globs.add(text)
		}
	}
	if len(l.globs.patterns) > MaxPatterns {
		values.Fail("has %d globs with a wildcard inside, the limit is %d: use *suffix and prefix*, which are indexed",
			len(l.globs.patterns), MaxPatterns)
	}
	slices.Sort(l.values)
}

// Contains reports whether a list of strings holds the text, a network of the list contains the address, or a glob of the
// list matches the text.
func (l *List) Contains(text string) bool {
	switch l.Type {
	case TypeCIDRs:
		return l.networks.contains(text)
	case TypeGlobs:
		return l.globs.match(text)
	}
	_, ok := l.exact[text]
	return ok
}

// Literals returns the values of a list of strings, sorted; the caller must not change them. ok is false for a list of
// another type.
func (l *List) Literals() (values []string, ok bool) {
	if l.Type != TypeStrings {
		return nil, false
	}
	return l.values, true
}

// Size returns the number of values.
func (l *List) Size() int { return len(l.values) }

// networks is a set of networks. It takes one look-up for each prefix length that occurs to find an address.
type networks struct {
	prefixes map[netip.Prefix]struct{}
	bits4    []int // the prefix lengths that occur for IPv4, longest first
	bits6    []int // and for IPv6
}

// parseNetwork reads an address or a network.
func parseNetwork(text string) (p netip.Prefix, ok bool) {
	p, err := netip.ParsePrefix(text)
	if err != nil {
		a, err := netip.ParseAddr(text)
		if err != nil || a.Zone() != "" {
			return p, false
		}
		a = a.Unmap()
		p = netip.PrefixFrom(a, a.BitLen())
	}
	if p.Addr().Is4In6() {
		if p.Bits() < 96 { // the mapped addresses are ::ffff:0:0/96
			return p, false
		}
		p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	return p, true
}

func (n *networks) add(text string) bool {
	p, ok := parseNetwork(text)
	if !ok {
		return false
	}
	if n.prefixes == nil {
		n.prefixes = make(map[netip.Prefix]struct{})
	}
	n.prefixes[p.Masked()] = struct{}{}
	lengths := &n.bits6
	if p.Addr().Is4() {
		lengths = &n.bits4
	}
	if !slices.Contains(*lengths, p.Bits()) {
		*lengths = append(*lengths, p.Bits())
		slices.SortFunc(*lengths, func(a, b int) int { return b - a })
	}
	return true
}

func (n *networks) contains(text string) bool {
	const longest = 64 // bytes; no address is longer, and the error of ParseAddr would quote the whole text
	if len(text) < 2 || len(text) > longest || !addressLike(text) {
		return false
	}
	a, err := netip.ParseAddr(text)
	if err != nil {
		return false
	}
	a = a.Unmap().WithZone("")
	lengths := n.bits6
	if a.Is4() {
		lengths = n.bits4
	}
	for _, bits := range lengths {
		p, err := a.Prefix(bits)
		if err != nil {
			continue
		}
		if _, ok := n.prefixes[p]; ok {
			return true
		}
	}
	return false
}

// addressLike reports whether a text looks like an address: it has a colon, or a dot and a digit at its end. It keeps
// host names away from ParseAddr, whose errors allocate.
func addressLike(s string) bool {
	return strings.IndexByte(s, ':') >= 0 || s[len(s)-1] >= '0' && s[len(s)-1] <= '9' && strings.IndexByte(s, '.') > 0
}
