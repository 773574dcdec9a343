package formats

import (
	"net/netip"
	"strings"

	"github.com/aidr-engine/aidr/schema"
	"github.com/aidr-engine/aidr/schema/scan"
)

// parseIP parses an IP address in the forms that gateways write: with or without a port, in brackets or not, IPv4 mapped
// into IPv6. Masked and anonymised addresses (with stars or leading zeros) and networks are not addresses. If normal is
// true, s is the address's normal form; if it is false, s may or may not be.
func parseIP(s string) (ip netip.Addr, normal, ok bool) {
	if octets, ok := parseQuad(s); ok {
		return netip.AddrFrom4(octets), true, true
	}
	if colon := strings.IndexByte(s, ':'); colon > 0 && colon <= len("255.255.255.255") {
		if octets, ok := parseQuad(s[:colon]); ok && strings.IndexByte(s[colon+1:], ':') < 0 { // with a port
			return netip.AddrFrom4(octets), false, true
		}
	}
	ip, ok = parseWideIP(s)
	return ip, false, ok
}

// parseWideIP is parseIP for texts other than plain IPv4.
func parseWideIP(s string) (ip netip.Addr, ok bool) {
	s = strings.TrimSpace(s)
	if s == "" {
		return netip.Addr{}, false
	}
	if s[0] == '[' {
		end := strings.IndexByte(s, ']')
		if end < 0 || end+1 < len(s) && s[end+1] != ':' {
			return netip.Addr{}, false
		}
		s = s[1:end]
	} else if colon := strings.IndexByte(s, ':'); colon >= 0 && strings.IndexByte(s[colon+1:], ':') < 0 {
		s = s[:colon] // one colon: IPv4 with a port
	}
	if len(s) > maxAddress || !spellsIP(s) {
		return netip.Addr{}, false
	}
	ip, err := netip.ParseAddr(s)
	return ip.Unmap().WithZone(""), err == nil
}

// spellsIP reports whether a text consists of the characters of an address, without leading zeros in an octet. Logs
// often have the name of a service or a masked address in the place of an address; this check avoids calling
// netip.ParseAddr for them, because its error allocates.
func spellsIP(s string) bool {
	octet, six := 0, strings.IndexByte(s, ':') >= 0
	for i := range len(s) {
		switch c := s[i]; {
		case c == '%':
			return true // a zone follows, which may have any characters
		case c == '.':
			octet = i + 1
		case '0' <= c && c <= '9':
			if !six && s[octet] == '0' && i > octet {
				return false
			}
		case c != ':' && (c|0x20 < 'a' || 'f' < c|0x20):
			return false
		}
	}
	return true
}

// maxAddress is the maximum length in bytes of an address with its zone. Longer texts are not parsed.
const maxAddress = 64

// parseQuad parses an IPv4 address in its normal form, four numbers without leading zeros, which is the form of nearly
// all addresses in logs.
func parseQuad(s string) (octets [4]byte, ok bool) {
	at, n, digits := 0, 0, 0
	for i := range len(s) {
		c := s[i]
		if digits > 0 && c == '.' && at < 3 {
			octets[at] = byte(n)
			at, n, digits = at+1, 0, 0
			continue
		}
		if c-'0' > 9 || digits > 0 && n == 0 {
			return octets, false
		}
		if n, digits = n*10+int(c-'0'), digits+1; n > 255 {
			return octets, false
		}
	}
	octets[3] = byte(n)
	return octets, at == 3 && digits > 0
}

// setIP sets source.ip to the normal form of ip. text is the text that ip was parsed from; it is used as it is if it
// already is the normal form. normal may be set only if that is known.
func (el *Element) setIP(ip netip.Addr, text string, normal bool) {
	if normal {
		el.Event.SetText(schema.SourceIP, text)
		return
	}
	var buf [maxAddress]byte
	switch form := ip.AppendTo(buf[:0]); {
	case len(text) > len(form) && text[:len(form)] == string(form): // a port follows
		text = text[:len(form)]
	case string(form) != text:
		text = el.Arena.Copy(form)
	}
	el.Event.SetText(schema.SourceIP, text)
}

// SetSourceIP sets source.ip to the peer's address, or to the one in X-Forwarded-For if the peer is trusted: a loopback
// address (a sidecar) or one that trust_forwarded of the source's configuration includes. It reports whether there was a
// valid address.
func (el *Element) SetSourceIP(peer, forwarded string) bool {
	if peer == "" {
		return false
	}
	if forwarded == "" {
		if _, ok := parseQuad(peer); ok {
			el.Event.SetText(schema.SourceIP, peer)
			return true
		}
	}
	ip, normal, ok := parseIP(peer)
	if ok && forwarded != "" && el.trusts(ip) {
		if origin, text, ok := el.origin(forwarded); ok {
			el.setIP(origin, text, false)
			return true
		}
	}
	if ok {
		el.setIP(ip, peer, normal)
	}
	return ok
}

// origin returns the client's address in X-Forwarded-For: walking from the right, the first address that is not trusted
// itself. It was added by a trusted hop. Addresses further left are claims of the client. If all addresses are trusted,
// origin returns the leftmost; it stops at the first text that is not an address.
func (el *Element) origin(forwarded string) (ip netip.Addr, text string, ok bool) {
	for forwarded != "" {
		hop := forwarded
		if comma := strings.LastIndexByte(forwarded, ','); comma >= 0 {
			forwarded, hop = forwarded[:comma], forwarded[comma+1:]
		} else {
			forwarded = ""
		}
		hop = strings.TrimSpace(hop)
		addr, _, valid := parseIP(hop)
		if !valid {
			return ip, text, ok
		}
		ip, text, ok = addr, hop, true
		if !el.trusts(addr) {
			break
		}
	}
	return ip, text, ok
}

// trusts reports whether the X-Forwarded-For of a peer is believed.
func (el *Element) trusts(ip netip.Addr) bool {
	if ip.IsLoopback() {
		return true
	}
	for _, p := range el.trusted {
		if p.Contains(ip) {
			return true
		}
	}
	return false
}

// CopySource sets source.ip from an address, or source.domain if the value is the name of a service instead. A value that
// is neither a string nor a number is counted as a field error.
func (el *Element) CopySource(n Node) {
	if n.Kind > scan.Null && n.Kind != scan.String && n.Kind != scan.Number {
		el.CountFault(schema.SourceIP)
		return
	}
	text := el.Text(n)
	if text == "" || el.SetSourceIP(text, "") {
		return
	}
	if isName(text) {
		el.Event.SetText(schema.SourceDomain, text) // even if not wanted, because SetAgentByAddress needs it
	}
}

// isName reports whether a text looks like a name rather than a damaged or masked address.
func isName(s string) bool {
	letter := false
	for i := range len(s) {
		c := s[i]
		letter = letter || 'a' <= c|0x20 && c|0x20 <= 'z'
		if c == ':' || c == '*' || c == '/' {
			return false
		}
	}
	return letter
}

// SplitURL returns the host of a URL without the port, and its path without query and fragment. A URL without a scheme is
// only a path.
func SplitURL(url string) (host, path string) {
	at := authority(url)
	if at == 0 {
		return "", withoutQuery(url)
	}
	end := at + hostEnd(url[at:])
	host, path = url[at:end], withoutQuery(url[end:])
	if at := strings.LastIndexByte(host, '@'); at >= 0 {
		host = host[at+1:] // drop a user name and password
	}
	return Host(host), path
}

// URLPath returns only the path of SplitURL, which is cheaper.
func URLPath(url string) string {
	if at := authority(url); at > 0 {
		url = url[at+hostEnd(url[at:]):]
	}
	return withoutQuery(url)
}

// withoutQuery removes the query and the fragment from the rest of a URL.
func withoutQuery(path string) string {
	if end := strings.IndexByte(path, '?'); end >= 0 {
		path = path[:end]
	}
	if end := strings.IndexByte(path, '#'); end >= 0 {
		path = path[:end]
	}
	return path
}

// authority returns the index after "://" at which the authority of a URL begins, 0 for a URL without a scheme.
func authority(url string) int {
	for i := range len(url) {
		switch url[i] {
		case '/', '?', '#':
			return 0
		case ':':
			if strings.HasPrefix(url[i:], "://") {
				return i + len("://")
			}
		}
	}
	return 0
}

// hostEnd returns the length of the authority at the beginning of a text.
func hostEnd(text string) int {
	for i := range len(text) {
		if c := text[i]; c == '/' || c == '?' || c == '#' {
			return i
		}
	}
	return len(text)
}

// Host returns the host of an authority, without the port and without the brackets around an IPv6 address.
func Host(authority string) string {
	if strings.HasPrefix(authority, "[") {
		if end := strings.IndexByte(authority, ']'); end > 0 {
			return authority[1:end]
		}
		return authority
	}
	if colon := strings.LastIndexByte(authority, ':'); colon >= 0 && strings.IndexByte(authority, ':') == colon {
		return authority[:colon]
	}
	return authority
}

// CopyTraceparent sets trace.id and span.parent_id from a W3C traceparent header. Other values are ignored.
func (el *Element) CopyTraceparent(n Node) {
	if n.Kind != scan.String {
		return
	}
	s := el.Text(n)
	if len(s) < 55 || s[2] != '-' || s[35] != '-' || s[52] != '-' {
		return
	}
	if trace, span := s[3:35], s[36:52]; isHex(trace) && isHex(span) {
		el.SetText(schema.TraceID, trace)
		el.SetText(schema.SpanParentID, span)
	}
}

// isHex reports whether a text is lower-case hexadecimal and not all zeros.
func isHex(s string) bool {
	zero := true
	for i := range len(s) {
		c := s[i]
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
		zero = zero && c == '0'
	}
	return !zero
}
