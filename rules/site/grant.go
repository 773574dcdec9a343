package site

import (
	"encoding/json"
	"net/netip"
	"strings"

	"github.com/aidr-engine/aidr/rules/doc"
)

// Limits of an entry's lists.
const (
	// MaxGrants is the largest number of values in one list of an agent: an agent with more tools or hosts than that is
	// described by patterns.
	MaxGrants = 10_000
	// MaxObserved is the largest length in bytes of a count or a date that learn wrote. They are for readers only.
	MaxObserved = 64
)

// Grant is one value of a list in an agent's entry.
type Grant struct {
	Text  string // a glob or, if Exact, the value itself; of a network, its notation
	Exact bool
	Line  int // in the registry's file
}

// grants is one list of an agent's entry.
type grants struct {
	list     []Grant
	globs    globs
	networks networks // of the kind Network
	kind     Kind
	text     string // the values as a JSON list
}

// readGrants reads a list of grants: texts, or mappings with exact or glob (network, for a network) and what learn counted.
func readGrants(kind Kind, v *doc.Node) *grants {
	g := &grants{kind: kind}
	items := v.Items()
	if len(items) > MaxGrants {
		v.Fail("has %d values, the limit is %d: write patterns such as mail_*", len(items), MaxGrants)
		items = nil
	}
	for _, n := range items {
		g.read(n)
	}
	if len(g.globs.patterns) > MaxPatterns {
		v.Fail("has %d globs with a wildcard inside, the limit is %d: use *suffix and prefix*, which are indexed",
			len(g.globs.patterns), MaxPatterns)
	}
	texts := make([]string, len(g.list))
	for i := range g.list {
		texts[i] = g.list[i].Text
	}
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(texts); err != nil {
		panic("BUG: " + err.Error())
	}
	g.text = strings.TrimSuffix(b.String(), "\n")
	return g
}

func (g *grants) read(n *doc.Node) {
	value, exact := n, false
	if n.Kind == doc.Map {
		f := n.Fields()
		switch {
		case g.kind == Network:
			value = f.Need("network")
		case f.Name("glob") != nil:
			value = f.Get("glob")
			f.Refuse("exact", "is set beside glob: keep one of the two")
		default:
			value, exact = f.Need("exact"), true
			f.Allow("glob")
		}
		readObserved(f)
		f.Done()
	}
	text := value.Filled()
	if !exact {
		text = strings.TrimSpace(text)
	}
	switch {
	case text == "":
		return
	case len(text) > MaxValue:
		value.Fail("has %d bytes, the limit is %d: shorten it", len(text), MaxValue)
		return
	case g.kind == Network:
		if !g.networks.add(text) {
			value.Fail("%q is neither an address nor a network: write it as 10.0.0.0/8 or 2001:db8::1", doc.Short(text))
		}
	case exact:
		g.globs.addLiteral(text)
	default:
		g.globs.add(text)
	}
	g.list = append(g.list, Grant{Text: text, Exact: exact, Line: n.Line})
}

// observedKeys are the counts and dates that learn writes beside a value. Nothing depends on them.
var observedKeys = [...]string{"calls", "first_seen", "last_seen"}

// readObserved reads the keys that learn writes beside a value, and those that a reviewer adds. They are texts for readers.
func readObserved(f *doc.Fields) {
	for _, key := range observedKeys {
		if n := f.Get(key); len(n.Filled()) > MaxObserved {
			n.Fail("has more than %d bytes: it is a count or a date", MaxObserved)
		}
	}
	f.Get("note").Filled()
}

// allow reports whether a value is in the list.
func (g *grants) allow(x string) bool {
	if g.kind == Network {
		return g.networks.contains(x)
	}
	return g.globs.match(x)
}

// Match reports whether the grant alone covers a value of the kind.
func (g Grant) Match(kind Kind, x string) bool {
	one := grants{kind: kind}
	switch {
	case kind == Network:
		one.networks.add(g.Text)
	case g.Exact:
		return g.Text == x
	default:
		one.globs.add(g.Text)
	}
	return one.allow(x)
}

// Overlaps reports whether the network of the grant and the network with the given notation have an address in common.
func (g Grant) Overlaps(network string) bool {
	mine, ok := parseNetwork(g.Text)
	other, err := netip.ParsePrefix(network)
	return ok && err == nil && mine.Overlaps(other)
}
