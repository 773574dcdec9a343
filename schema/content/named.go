package content

import (
	"math/bits"
	"strings"
)

// minNamed is the length in bytes of the shortest value after a name and ':' or '=' in plain text that is taken for a
// credential.
const minNamed = 8

// findNamed finds the value after the name of a credential: in JSON (also in JSON inside a JSON string), in a header line,
// or in an assignment. p is an offset inside the name.
func findNamed(text string, p, done int) (region, bool) {
	start, end := nameAround(text, p, done)
	kind := credentialKind(text[start:end])
	if kind == "" || markerEnd(text, max(start-len(markerHead), 0)) >= end {
		return region{}, false
	}
	q := quoteAt(text, end)
	if q.mark != 0 && q.precedes(text, start, done) {
		return findMember(text, end+q.len(), q, kind)
	}
	if start > done && (text[start-1] == ':' || text[start-1] == '/') {
		return region{}, false // the name is part of a path, such as arn:aws:secretsmanager:...:secret:name
	}
	return findPlain(text, end, kind)
}

// nameAround returns the bounds of the name around p. For a name longer than maxName it returns a part of it that is also
// longer than maxName, and so is not looked up.
func nameAround(text string, p, done int) (start, end int) {
	for start = p; start > done && p-start <= maxName && wordByte(text[start-1]); {
		if escapeBefore(text, start, done) > 0 {
			break
		}
		start--
	}
	for end = p; end < len(text) && end-p <= maxName && wordByte(text[end]); {
		end++
	}
	return start, end
}

// quote is a quotation mark with the backslashes before it: " in JSON, \" in JSON inside a JSON string, and so on.
type quote struct {
	mark    byte // ' or "; 0 in the zero quote, which means none was found
	slashes int
}

// len returns the number of bytes of the mark and its backslashes.
func (q quote) len() int {
	if q.mark == 0 {
		return 0
	}
	return q.slashes + 1
}

// maxSlashes bounds the backslashes of one quotation mark. 7 backslashes occur in JSON in JSON in JSON in JSON.
const maxSlashes = 7

// quoteAt returns the quotation mark at p. Each level of JSON in JSON doubles the backslashes and adds one, so a mark has
// 2^n - 1 of them.
func quoteAt(text string, p int) quote {
	i := p
	for i < len(text) && i-p < maxSlashes && text[i] == '\\' {
		i++
	}
	slashes := i - p
	if i < len(text) && (text[i] == '"' || text[i] == '\'') && slashes&(slashes+1) == 0 {
		return quote{text[i], slashes}
	}
	return quote{}
}

// precedes reports whether the same quotation mark ends at p.
func (q quote) precedes(text string, p, done int) bool {
	from := p - q.len()
	if from < done || text[p-1] != q.mark || strings.Count(text[from:p-1], `\`) != q.slashes {
		return false
	}
	return from == done || text[from-1] != '\\'
}

// textEnd returns the end of the quoted text that begins at p, after q: the same quotation mark, or that of a text around
// it, or the end of a truncated text. A text after ' also ends at the end of the line and at any backslash.
func (q quote) textEnd(text string, p int) int {
	slashes := 0
	for i := p; i < len(text); i++ {
		c := text[i]
		switch {
		case c == '\\' && q.mark == '"':
			slashes++
			continue
		case c == '"':
			// The number of backslashes before a mark of level n ends in n binary ones. The other backslashes belong to the
			// text before the mark.
			ofMark := 1<<bits.TrailingZeros(^uint(slashes)) - 1
			if ofMark <= q.slashes {
				return i - ofMark
			}
		case q.mark == '\'' && (c == '\'' || c == '\\' || c < ' '):
			return i
		}
		slashes = 0
	}
	return len(text) - slashes
}

// findMember finds the value of a quoted name: a quoted text, or an array of quoted texts, which is redacted from the first
// to the last. In {"name": "Cookie", "value": ...} the value is that of the second key. p is the end of the name.
func findMember(text string, p int, q quote, kind string) (region, bool) {
	p = skipSpace(text, p)
	if p < len(text) && text[p] == ',' {
		p = skipValueKey(text, skipSpace(text, p+1), q)
	}
	if p >= len(text) || text[p] != ':' {
		return region{}, false
	}
	p = skipSpace(text, p+1)
	array := p < len(text) && text[p] == '['
	if array {
		p = skipSpace(text, p+1)
	}
	if quoteAt(text, p) != q {
		return region{}, false
	}
	start := p + q.len()
	if strings.HasPrefix(text[start:], "{") {
		return region{}, false // JSON in JSON: its values have names of their own
	}
	end := q.textEnd(text, start)
	for array && end < len(text) {
		next := q.nextElement(text, end)
		if next < 0 {
			break
		}
		end = q.textEnd(text, next)
	}
	return region{start, end, kind}, !masked(text[start:end])
}

// masked reports whether a value contains nothing of the credential: it is empty, stars, a marker, or one of the words that
// producers write instead.
func masked(value string) bool {
	return strings.Trim(value, "*") == "" || markerEnd(value, 0) == len(value) ||
		value == "HIDDEN_DUE_TO_SECURITY_REASONS" || strings.EqualFold(value, "redacted")
}

// skipValueKey skips the quoted word "value", in upper or lower case, and the blanks after it.
func skipValueKey(text string, p int, q quote) int {
	const word = "value"
	if quoteAt(text, p) != q {
		return p
	}
	end := p + q.len() + len(word)
	if end > len(text) || !strings.EqualFold(text[p+q.len():end], word) || quoteAt(text, end) != q {
		return p
	}
	return skipSpace(text, end+q.len())
}

// nextElement returns the start of the text of the next element of an array, or -1. p is the end of the text of the element
// before.
func (q quote) nextElement(text string, p int) int {
	if quoteAt(text, p) != q {
		return -1
	}
	p = skipSpace(text, p+q.len())
	if p >= len(text) || text[p] != ',' {
		return -1
	}
	p = skipSpace(text, p+1)
	if quoteAt(text, p) != q {
		return -1
	}
	return p + q.len()
}

// skipSpace skips blanks and line ends, also escaped line ends of any level of JSON in JSON.
func skipSpace(text string, p int) int {
	for p < len(text) {
		switch c := text[p]; {
		case c == ' ' || c == '\t' || c == '\n' || c == '\r':
			p++
		case c == '\\':
			end := run(text[:min(len(text), p+maxSlashes+2)], p, func(c byte) bool { return c == '\\' })
			if end >= len(text) || strings.IndexByte("nrt", text[end]) < 0 {
				return p
			}
			p = end + 1
		default:
			return p
		}
	}
	return p
}

// findPlain finds the value after name: or name= in plain text. p is the end of the name.
func findPlain(text string, p int, kind string) (region, bool) {
	after := quoteAt(text, p) // the closing mark of a key that ends with the name
	p = skipBlank(text, p+after.len())
	if p >= len(text) || (text[p] != ':' && text[p] != '=') {
		return region{}, false
	}
	p = skipBlank(text, p+1)
	before := quoteAt(text, p)
	if after.mark != 0 && before.mark == 0 {
		return region{}, false // a number or literal of JSON
	}
	p += before.len()
	switch kind {
	case kindAuth:
		if end := schemeValue(text, p); end > p {
			return region{p, end, kind}, true
		}
	case kindCookie:
		name := run(text[:min(len(text), p+maxCookieName)], p, wordByte)
		if name > p && name < len(text) && text[name] == '=' {
			return region{p, run(text, name, lineByte), kind}, true
		}
		return region{}, false
	}
	value := head(text, p, tokenByte)
	if len(value) < minNamed || changes(value) == 0 {
		return region{}, false
	}
	return region{p, run(text, p, tokenByte), kind}, true
}

// maxCookieName is the length in bytes of the longest name of the first cookie in a header line.
const maxCookieName = 256

// lineByte reports whether a byte may be part of the value of a header in a line of text. Line ends, quotation marks and
// backslashes end the value.
func lineByte(c byte) bool { return c >= ' ' && c != '"' && c != '\'' && c != '\\' && c != '`' }

// schemeValue returns the end of an authentication scheme at p and its value, or p if the scheme is not known.
func schemeValue(text string, p int) int {
	end := run(text[:min(len(text), p+maxName)], p, wordByte)
	value := skipBlank(text, end)
	if value == end || value >= len(text) || !tokenByte(text[value]) {
		return p
	}
	switch strings.ToLower(text[p:end]) {
	case "bearer", "basic", "token", "apikey", "api-key", "key", "negotiate", "ntlm", "splunk", "hmac":
		return run(text, value, tokenByte)
	case "digest", "aws4-hmac-sha256", "oauth", "signature":
		return run(text, value, lineByte)
	}
	return p
}
