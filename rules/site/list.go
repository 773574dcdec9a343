// Package site reads what a site adds to the rule language: lists (lists.NAME) and the registry of its agents (agent.*).
// What it returns is immutable and may be read from any goroutine; look-ups allocate nothing.
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
	// MaxValues is how many values a list may hold: a million hosts are some 200 MB once indexed.
	MaxValues = 1_000_000
	// MaxValue is how long a value may be, in bytes: the longest URL that browsers take.
	MaxValue = 2048
	// MaxPatterns is how many globs may have a wildcard in the middle: each costs a comparison per look-up.
	MaxPatterns = 1_000
)

// List types.
const (
	TypeStrings = "strings"
	TypeCIDRs   = "cidrs"
	TypeGlobs   = "globs"
)

// List is one file of lists/: strings, CIDRs or globs.
type List struct {
	Name        string // the file's name without .yaml: lists.NAME
	Type        string
	Description string

	values   []string // sorted, each once
	exact    map[string]struct{}
	networks networks
	globs    globs
}

// ParseList reads one file; name is the file's, as it is shown. The list is nil where a problem is no warning.
func ParseList(name string, src []byte) (*List, []doc.Problem) {
	d, root := doc.ParseSize(name, src, doc.MaxListSize)
	l := &List{Name: listName(name)}
	if !identifier(l.Name) {
		root.Fail("the file's name is the list's, and %q cannot be written in a rule: name it with a-z, 0-9 and _", doc.Short(l.Name))
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

// identifier says whether a rule can write lists.<s>.
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
		values.Fail("%d values are more than %d: split the list", len(items), MaxValues)
		return
	}
	l.exact = make(map[string]struct{}, len(items))
	for _, v := range items {
		text := v.Filled()
		if text == "" {
			continue
		}
		if len(text) > MaxValue {
			v.Fail("a value of %d bytes is longer than %d", len(text), MaxValue)
			continue
		}
		if _, twice := l.exact[text]; twice {
			v.Warn("%q is there twice", doc.Short(text))
			continue
		}
		l.exact[text] = struct{}{}
		l.values = append(l.values, text)
		switch l.Type {
		case TypeCIDRs:
			if !l.networks.add(text) {
				v.Fail("%q is no address and no network: write 10.0.0.0/8 or 2001:db8::1", doc.Short(text))
			}
		case TypeGlobs:
			l.globs.add(text)
		}
	}
	if len(l.globs.patterns) > MaxPatterns {
		values.Fail("%d globs with a wildcard inside are more than %d: use *suffix and prefix*, which are indexed", len(l.globs.patterns), MaxPatterns)
	}
	slices.Sort(l.values)
}

// Contains says whether the list holds the text; a network contains its addresses, a glob what it matches.
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

// Literals returns the values of a list of strings, sorted. They are not to be changed.
func (l *List) Literals() ([]string, bool) {
	if l.Type != TypeStrings {
		return nil, false
	}
	return l.values, true
}

// Size returns the number of values.
func (l *List) Size() int { return len(l.values) }

// networks finds the network of an address with one look-up per prefix length that occurs.
type networks struct {
	prefixes map[netip.Prefix]struct{}
	bits4    []int // the lengths that occur, longest first
	bits6    []int
}

func (n *networks) add(text string) bool {
	p, err := netip.ParsePrefix(text)
	if err != nil {
		a, err := netip.ParseAddr(text)
		if err != nil || a.Zone() != "" {
			return false
		}
		a = a.Unmap()
		p = netip.PrefixFrom(a, a.BitLen())
	}
	if p.Addr().Is4In6() {
		if p.Bits() < 96 { // the mapped addresses are ::ffff:0:0/96
			return false
		}
		p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
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
	const longest = 64 // bytes; no address is longer, and ParseAddr would make an error of it
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

// addressLike is a cheap look that keeps host names away from ParseAddr, whose errors allocate.
func addressLike(s string) bool {
	return strings.IndexByte(s, ':') >= 0 || s[len(s)-1] >= '0' && s[len(s)-1] <= '9' && strings.IndexByte(s, '.') > 0
}
