package predicate

import (
	"net/netip"
	"strings"

	"github.com/aidr-engine/aidr/schema"
)

// AddressKinds returns the names of the properties of an address, in ip(x).NAME().
func AddressKinds() []string { return []string{"isPrivate", "isLoopback", "isLinkLocal"} }

// AddressIs reports whether the address has the property: isPrivate is RFC 1918 and fc00::/7, isLinkLocal is
// 169.254.0.0/16 and fe80::/10, which include the metadata services of clouds. It is false for other texts.
func AddressIs(kind, text string) bool {
	a, ok := parseAddress(text)
	if !ok {
		return false
	}
	switch kind {
	case "isPrivate":
		return a.IsPrivate()
	case "isLoopback":
		return a.IsLoopback()
	case "isLinkLocal":
		return a.IsLinkLocalUnicast()
	}
	return false
}

// maxAddressText is longer than any address with a reasonable zone.
const maxAddressText = 64

// parseAddress parses an address in any form that clients accept, without its zone. A whole number is an address only if it
// needs all four bytes, because a small number is rather a number.
func parseAddress(text string) (netip.Addr, bool) {
	a, ok := readAddress(text)
	if ok && a.Is4() && a.As4()[0] == 0 && strings.IndexByte(text, '.') < 0 && strings.IndexByte(text, ':') < 0 {
		return netip.Addr{}, false
	}
	return a, ok
}

// ParseAddress parses an address as the conditions on addresses do; ok is false for other texts.
func ParseAddress(text string) (a netip.Addr, ok bool) { return parseAddress(text) }

// NetworkContains reports whether the text is an address of the network.
func NetworkContains(p netip.Prefix, text string) bool {
	a, ok := parseAddress(text)
	return ok && p.Contains(a)
}

// CheckAddress returns ip(slot).kind(), for a kind of AddressKinds.
func CheckAddress(slot *Slot, kind string) Node { return &checkAddress{slot: slot, kind: kind} }

type checkAddress struct {
	search
	slot *Slot
	kind string
}

func (n *checkAddress) eval(s *Scratch) verdict {
	v := s.read(n.slot)
	return verdictOf(v.Kind == schema.KindString && AddressIs(n.kind, v.Text))
}

// InNetwork returns cidr("prefix").contains(slot).
func InNetwork(slot *Slot, prefix netip.Prefix) Node { return &inNetwork{slot: slot, prefix: prefix} }

type inNetwork struct {
	search
	slot   *Slot
	prefix netip.Prefix
}

func (n *inNetwork) eval(s *Scratch) verdict {
	v := s.read(n.slot)
	return verdictOf(v.Kind == schema.KindString && NetworkContains(n.prefix, v.Text))
}
