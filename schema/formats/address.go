package formats

import (
	"net/netip"
	"strings"

	"github.com/aidr-engine/aidr/schema"
	"github.com/aidr-engine/aidr/schema/scan"
)

// ParseIP reads an address as gateways write it: with or without a port, in brackets or not, IPv4 inside IPv6. Masked
// and anonymised addresses (leading zeros, stars) and networks are none.
func ParseIP(s string) (ip netip.Addr, ok bool) {
	ip, _, ok = parseIP(s)
	return ip, ok
}

// parseIP is ParseIP, and says whether the text is the address's normal form; it may be that too where it is not said.
func parseIP(s string) (ip netip.Addr, normal, ok bool) {
	if octets, ok := parseQuad(s); ok {
		return netip.AddrFrom4(octets), true, true
	}
	ip, ok = parseWideIP(s)
	return ip, false, ok
}

// parseWideIP is ParseIP of what is not plain IPv4.
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
		s = s[:colon] // one colon: a port behind IPv4
	}
	if len(s) > maxAddress || !spellsIP(s) {
		return netip.Addr{}, false
	}
	ip, err := netip.ParseAddr(s)
	return ip.Unmap().WithZone(""), err == nil
}

// spellsIP says that a text has only the characters of an address, and that no octet has leading zeros: services' names
// and masked addresses stand in place of one so often that an error each would cost.
func spellsIP(s string) bool {
	octet, six := 0, strings.IndexByte(s, ':') >= 0
	for i := range len(s) {
		switch c := s[i]; {
		case c == '%':
			return true // a zone: anything
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

// maxAddress is the longest text of an address with a zone, in bytes; what is longer is not looked at.
const maxAddress = 64

// parseQuad reads IPv4 as it is nearly always written, which is its normal form: four numbers without leading zeros.
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

// setIP sets source.ip in its normal form; text is what it was read from, and used where it already is that form, which
// normal may say.
func (r *Record) setIP(ip netip.Addr, text string, normal bool) {
	if normal {
		r.Event.SetText(schema.SourceIP, text)
		return
	}
	var buf [maxAddress]byte
	if form := ip.AppendTo(buf[:0]); string(form) != text {
		text = r.Arena.Hold(form)
	}
	r.Event.SetText(schema.SourceIP, text)
}

// SetSource sets source.ip from the peer's address, or from X-Forwarded-For where the peer is believed: a loopback
// (a side-car) or one that the source's configuration names. It is false where there is no valid address.
func (r *Record) SetSource(peer, forwarded string) bool {
	if forwarded == "" {
		if _, ok := parseQuad(peer); ok {
			r.Event.SetText(schema.SourceIP, peer)
			return true
		}
	}
	ip, normal, ok := parseIP(peer)
	if ok && forwarded != "" && r.believes(ip) {
		if origin, text, ok := r.origin(forwarded); ok {
			r.setIP(origin, text, false)
			return true
		}
	}
	if ok {
		r.setIP(ip, peer, normal)
	}
	return ok
}

// origin returns the last address of X-Forwarded-For that no believed hop added: what stands further left is the
// caller's own claim.
func (r *Record) origin(forwarded string) (ip netip.Addr, text string, ok bool) {
	for forwarded != "" {
		hop := forwarded
		if comma := strings.LastIndexByte(forwarded, ','); comma >= 0 {
			forwarded, hop = forwarded[:comma], forwarded[comma+1:]
		} else {
			forwarded = ""
		}
		hop = strings.TrimSpace(hop)
		addr, valid := ParseIP(hop)
		if !valid {
			return ip, text, ok
		}
		ip, text, ok = addr, hop, true
		if !r.believes(addr) {
			break
		}
	}
	return ip, text, ok
}

func (r *Record) believes(ip netip.Addr) bool {
	if ip.IsLoopback() {
		return true
	}
	for _, p := range r.trusted {
		if p.Contains(ip) {
			return true
		}
	}
	return false
}

// SetCaller sets source.ip from an address, or source.domain where a service's name stands instead of one. A value of
// another kind is counted.
func (r *Record) SetCaller(n Node) {
	if n.Kind > scan.Null && n.Kind != scan.String && n.Kind != scan.Number {
		r.Fault(schema.SourceIP)
		return
	}
	text := r.Text(n)
	if text == "" || r.SetSource(text, "") {
		return
	}
	if isName(text) {
		r.Event.SetText(schema.SourceDomain, text) // whether wanted or not: the last rung of the identity ladder needs it
	}
}

// isName says that a text is meant as a name and is no damaged address.
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

// SplitURL returns the host without a port and the path without the query of a URL; a URL without a scheme is a path.
func SplitURL(url string) (host, path string) {
	at := authority(url)
	if at == 0 {
		return "", withoutQuery(url)
	}
	end := at + hostEnd(url[at:])
	host, path = url[at:end], withoutQuery(url[end:])
	if at := strings.LastIndexByte(host, '@'); at >= 0 {
		host = host[at+1:] // never keep a password
	}
	return Host(host), path
}

// URLPath returns the path that SplitURL does.
func URLPath(url string) string {
	if at := authority(url); at > 0 {
		url = url[at+hostEnd(url[at:]):]
	}
	return withoutQuery(url)
}

// withoutQuery returns a path without what follows it in a URL.
func withoutQuery(path string) string {
	if end := strings.IndexByte(path, '?'); end >= 0 {
		path = path[:end]
	}
	if end := strings.IndexByte(path, '#'); end >= 0 {
		path = path[:end]
	}
	return path
}

// authority returns where the authority of a URL begins, behind its scheme; 0 where it has none.
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

// hostEnd returns where an authority that a text begins with ends.
func hostEnd(text string) int {
	for i := range len(text) {
		if c := text[i]; c == '/' || c == '?' || c == '#' {
			return i
		}
	}
	return len(text)
}

// Host returns an authority's host: without a port, and without brackets around an IPv6 address.
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

// SetTraceparent sets trace.id and span.parent_id from a W3C traceparent; anything else is ignored.
func (r *Record) SetTraceparent(n Node) {
	if n.Kind != scan.String {
		return
	}
	s := r.Text(n)
	if len(s) < 55 || s[2] != '-' || s[35] != '-' || s[52] != '-' {
		return
	}
	if trace, span := s[3:35], s[36:52]; isHex(trace) && isHex(span) {
		r.Put(schema.TraceID, trace)
		r.Put(schema.SpanParentID, span)
	}
}

// isHex says that a text is lower-case hex and not all zeros.
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
