package predicate

import (
	"net/netip"
	"strconv"
	"strings"

	"github.com/aidr-engine/aidr/schema/content"
)

// URLParts returns the names of the parts of a URL, in url(x).NAME.
func URLParts() []string { return []string{"scheme", "host", "port", "path"} }

// URLPart returns a part of a URL in its canonical form, so that a condition need not know all spellings. It returns ""
// if the text is not a URL or does not have the part. The text is read as clients read it, after the URL standard of
// the WHATWG: blanks around it, and tabs and line ends in it, do not count; a backslash is a slash; http:/host and
// http:///host have a host.
//
// The scheme is in lower case. The host is in lower case and normalised (see content.Normalised), with percent-encoding
// removed, without user, port, brackets and dots at its end; an IPv4 address in octal, hexadecimal, short or
// whole-number form, or mapped into IPv6, is in dotted decimal. The path has its unreserved characters decoded, one
// slash for several, and no segments . and .., and no query. A text without a scheme and without // is a path alone.
func URLPart(part, text string) string {
	u, ok := splitURL(text)
	if !ok {
		return ""
	}
	switch part {
	case "scheme":
		return u.scheme
	case "host":
		return u.host
	case "port":
		return u.port
	case "path":
		return canonicalPath(u.path)
	}
	return ""
}

// splitURLParts are the parts of a URL. The path is not canonical yet.
type splitURLParts struct{ scheme, host, port, path string }

// splitURL returns the parts of a URL. ok is false if its host is not the name of any host.
func splitURL(text string) (u splitURLParts, ok bool) {
	text = strings.TrimFunc(text, func(r rune) bool { return r <= ' ' })
	if strings.ContainsAny(text, "\t\r\n") {
		text = strings.NewReplacer("\t", "", "\r", "", "\n", "").Replace(text)
	}
	rest := text
	if n := schemeLength(text); n > 0 {
		u.scheme, rest = strings.ToLower(text[:n]), text[n+1:]
	}
	web := false // a scheme whose URLs always have a host
	switch u.scheme {
	case "http", "https", "ws", "wss", "ftp":
		web = true
		rest = strings.ReplaceAll(rest, `\`, "/")
	case "":
		rest = strings.ReplaceAll(rest, `\`, "/")
	}
	slashes := len(rest) - len(strings.TrimLeft(rest, "/"))
	switch {
	case web && slashes > 0:
		rest = rest[slashes:]
	case slashes == 2, slashes > 2 && u.scheme != "" && u.scheme != "file":
		rest = rest[2:]
	case u.scheme != "" && slashes == 0:
		return u, true // mailto:x and the like have neither host nor path
	default: // a path alone, or file:///path
		u.path = withoutQuery(rest)
		return u, true
	}
	end := strings.IndexAny(rest, "/?#")
	if end < 0 {
		end = len(rest)
	}
	u.host, u.port, ok = authority(rest[:end])
	u.path = withoutQuery(rest[end:])
	return u, ok
}

// withoutQuery returns a path without its query and fragment.
func withoutQuery(path string) string {
	if end := strings.IndexAny(path, "?#"); end >= 0 {
		return path[:end]
	}
	return path
}

// schemeLength returns the length of the scheme before a colon, or 0.
func schemeLength(text string) int {
	for i := range len(text) {
		c := text[i] | 0x20
		switch {
		case text[i] == ':':
			return i
		case c >= 'a' && c <= 'z', i > 0 && (text[i] >= '0' && text[i] <= '9' || strings.IndexByte("+-.", text[i]) >= 0):
		default:
			return 0
		}
	}
	return 0
}

// authority returns the canonical host and the port of user:password@host:port.
func authority(text string) (host, port string, ok bool) {
	text = text[strings.LastIndexByte(text, '@')+1:]
	if strings.HasPrefix(text, "[") {
		end := strings.IndexByte(text, ']')
		if end < 0 {
			return "", "", false
		}
		host, port = text[1:end], strings.TrimPrefix(text[end+1:], ":")
	} else {
		host = text
		if colon := strings.LastIndexByte(text, ':'); colon >= 0 {
			host, port = text[:colon], text[colon+1:]
		}
	}
	host = canonicalHost(host)
	if strings.ContainsAny(host, " <>^|`{}\"") || strings.Trim(port, "0123456789") != "" {
		return "", "", false
	}
	return host, port, true
}

// maxHost is the length in bytes of the longest host that is read: names have at most 253, and escapes triple it.
const maxHost = 1024

// canonicalHost returns a host in its canonical form.
func canonicalHost(host string) string {
	if len(host) > maxHost {
		return ""
	}
	host = content.Normalised(unescaped(host, func(byte) bool { return true }))
	host = strings.TrimRight(strings.ToLower(host), ".")
	if a, ok := readAddress(host); ok {
		return a.String()
	}
	return host
}

// readAddress parses an address in any form that clients accept: IPv6 with or without brackets and zone, and IPv4 as
// one to four numbers that are decimal, octal (after 0) or hexadecimal (after 0x), of which the last fills the
// remaining bytes. IPv4 that is mapped into IPv6 is IPv4.
func readAddress(text string) (netip.Addr, bool) {
	if len(text) > maxAddressText {
		return netip.Addr{}, false
	}
	text = strings.TrimSuffix(strings.TrimPrefix(text, "["), "]")
	if strings.IndexByte(text, ':') >= 0 {
		if at := strings.IndexByte(text, '%'); at >= 0 {
			text = text[:at]
		}
		a, err := netip.ParseAddr(text)
		return a.Unmap(), err == nil
	}
	return readIPv4(strings.TrimSuffix(text, "."))
}

// readIPv4 parses IPv4 as one to four numbers.
func readIPv4(text string) (netip.Addr, bool) {
	if text == "" || text[0] < '0' || text[0] > '9' { // every number begins with a digit, and few names do
		return netip.Addr{}, false
	}
	var bytes [4]byte
	for at := 0; ; at++ {
		number, rest, more := strings.Cut(text, ".")
		n, ok := readNumber(number)
		switch {
		case !ok || more && (n > 255 || at == 3):
			return netip.Addr{}, false
		case more:
			bytes[at], text = byte(n), rest
			continue
		case at > 0 && n >= 1<<(8*(4-at)), at == 0 && n > 1<<32-1:
			return netip.Addr{}, false
		}
		for i := 3; i >= at; i-- {
			bytes[i] = byte(n)
			n >>= 8
		}
		return netip.AddrFrom4(bytes), true
	}
}

func readNumber(text string) (n uint64, ok bool) {
	base := 10
	switch {
	case strings.HasPrefix(text, "0x"), strings.HasPrefix(text, "0X"):
		text, base = text[2:], 16
		if text == "" {
			return 0, true
		}
	case len(text) > 1 && text[0] == '0':
		text, base = text[1:], 8
	}
	if text == "" || text[0] == '+' || text[0] == '-' || strings.IndexByte(text, '_') >= 0 {
		return 0, false
	}
	n, err := strconv.ParseUint(text, base, 64)
	return n, err == nil
}

// canonicalPath returns a path with its unreserved characters decoded, and without empty segments and the segments .
// and .. in it. A slash at its end stays.
func canonicalPath(path string) string {
	if strings.IndexByte(path, '%') >= 0 {
		path = unescaped(path, isUnreserved)
	}
	if !strings.Contains(path, "//") && !strings.Contains(path, "/.") && !strings.HasPrefix(path, ".") {
		return path
	}
	out := make([]byte, 0, len(path))
	for rest := path; rest != ""; {
		segment := rest
		slash := strings.IndexByte(rest, '/')
		if slash < 0 {
			rest = ""
		} else {
			segment, rest = rest[:slash], rest[slash+1:]
		}
		switch segment {
		case ".":
			continue
		case "..":
			out = parentOf(out)
			continue
		case "":
			if slash == 0 && len(out) == 0 && path[0] == '/' {
				out = append(out, '/')
			}
			continue
		}
		out = append(out, segment...)
		if slash >= 0 {
			out = append(out, '/')
		}
	}
	return string(out)
}

// parentOf removes the last segment of a path that ends in a slash or is empty.
func parentOf(path []byte) []byte {
	if len(path) <= 1 {
		return path
	}
	end := len(path) - 1
	for end > 0 && path[end-1] != '/' {
		end--
	}
	return path[:end]
}

func isUnreserved(c byte) bool {
	return c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'z' || strings.IndexByte("-._~", c) >= 0
}

// unescaped decodes the percent-encoding of the bytes that decode accepts.
func unescaped(text string, decode func(byte) bool) string {
	if strings.IndexByte(text, '%') < 0 {
		return text
	}
	out := make([]byte, 0, len(text))
	for i := 0; i < len(text); i++ {
		if text[i] == '%' && i+2 < len(text) {
			if n, err := strconv.ParseUint(text[i+1:i+3], 16, 8); err == nil && decode(byte(n)) {
				out = append(out, byte(n))
				i += 2
				continue
			}
		}
		out = append(out, text[i])
	}
	return string(out)
}
