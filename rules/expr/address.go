package expr

import (
	"net/netip"
	"net/url"
	"strings"
)

// What is no address or no URL has no property: the answer is false or "", never an error, or one bad character would
// hide a hit.

// addressKinds are what ip(x) can be asked.
var addressKinds = [...]string{"isPrivate", "isLoopback", "isLinkLocal"}

// addressIs answers ip(text).isPrivate() (RFC 1918 and fc00::/7), isLoopback() and isLinkLocal() (169.254.0.0/16 and
// fe80::/10, where the metadata services of clouds are).
func addressIs(kind, text string) bool {
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

// maxAddressText is longer than any address with a zone that means something.
const maxAddressText = 64

// parseAddress reads an address without its zone; ::ffff:a.b.c.d is a.b.c.d.
func parseAddress(text string) (netip.Addr, bool) {
	if len(text) > maxAddressText || !strings.ContainsAny(text, ".:") {
		return netip.Addr{}, false
	}
	if at := strings.IndexByte(text, '%'); at >= 0 {
		text = text[:at]
	}
	a, err := netip.ParseAddr(text)
	return a.Unmap(), err == nil
}

func networkHas(p netip.Prefix, text string) bool {
	a, ok := parseAddress(text)
	return ok && p.Contains(a)
}

// urlParts are what url(x) has.
var urlParts = [...]string{"scheme", "host", "port", "path"}

// urlPart returns a part of an absolute URL; the host in lower case, without port, brackets and a dot at its end. It
// is "" where the text is no URL, or has no such part.
func urlPart(part, text string) string {
	u, err := url.Parse(strings.TrimSpace(text))
	if err != nil {
		return ""
	}
	switch part {
	case "scheme":
		return u.Scheme
	case "host":
		return strings.TrimSuffix(strings.ToLower(u.Hostname()), ".")
	case "port":
		return u.Port()
	case "path":
		return u.Path
	}
	return ""
}
