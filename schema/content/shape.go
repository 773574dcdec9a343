package content

import (
	"encoding/base64"
	"strings"
)

// A find function looks for a credential at or after the anchor at p, and returns its region. text[:done] is redacted
// already: a find function neither looks at it nor takes it for a part of a word.

// wordByte reports whether a byte may be part of a key or a name.
func wordByte(c byte) bool { return alnum(c) || c == '_' || c == '-' }

// alnum reports whether a byte is a letter or a digit of ASCII.
func alnum(c byte) bool { return c-'0' <= 9 || c|0x20-'a' < 26 }

// tokenByte reports whether a byte may be part of a token in a header (RFC 6750 and base64).
func tokenByte(c byte) bool {
	return wordByte(c) || c == '.' || c == '~' || c == '+' || c == '/' || c == '='
}

// run returns the end of the longest run of bytes from p on that ok accepts.
func run(text string, p int, ok func(byte) bool) int {
	for p < len(text) && ok(text[p]) {
		p++
	}
	return p
}

// head returns the first bytes of the run at p, at most maxJudged. Keys are judged by them, so that in a hostile run full of
// anchors each anchor costs no more than that.
func head(text string, p int, ok func(byte) bool) string {
	return text[p:run(text[:min(len(text), p+maxJudged)], p, ok)]
}

// maxJudged is more than the length in bytes of any vendor's keys. A longer token can be judged by that many bytes.
const maxJudged = 256

// wordStart reports whether a word may begin at p: at done, after a byte that is neither a letter nor a digit, or after an
// escape such as \n, \u000a or %20, whose last letter belongs to the escape and not to the word.
func wordStart(text string, p, done int) bool {
	return p == done || !alnum(text[p-1]) || escapeBefore(text, p, done) > 0
}

// escapeBefore returns the length of the escape sequence that ends at p, or 0.
func escapeBefore(text string, p, done int) int {
	switch {
	case p-done >= 2 && text[p-2] == '\\' && strings.IndexByte("nrtbf", text[p-1]) >= 0:
		return 2
	case p-done >= 3 && text[p-3] == '%' && hexByte(text[p-2]) && hexByte(text[p-1]):
		return 3
	case p-done >= 6 && text[p-6] == '\\' && text[p-5] == 'u' && run(text[:p], p-4, hexByte) == p:
		return 6
	}
	return 0
}

// hexByte reports whether a byte is a hex digit.
func hexByte(c byte) bool { return c-'0' <= 9 || c|0x20-'a' < 6 }

// changes counts the changes between the classes small letter, capital and digit in s, ignoring separators. Random text has
// a change at about every second byte; names made of words have few.
func changes(s string) (n int) {
	last := byte(0)
	for _, c := range []byte(s) {
		class := byte(0)
		switch {
		case c-'a' < 26:
			class = 'a'
		case c-'A' < 26:
			class = 'A'
		case c-'0' <= 9:
			class = '0'
		default:
			continue
		}
		if last != 0 && class != last {
			n++
		}
		last = class
	}
	return n
}

// The least length and the fewest changes of a text that is taken for a key.
const (
	minKey        = 16 // bytes after a vendor's prefix
	minKeyChanges = 4  // one in a million keys of 16 random bytes has fewer
	minBearer     = 16 // bytes of a token after the word bearer
	minBasic      = 8  // bytes of base64 after the word basic: a user, a colon, a password
)

// findSK finds keys of OpenAI, Anthropic, LiteLLM and vendors that copied their form: sk- and a random text.
func findSK(text string, p, done int) (region, bool) {
	key := head(text, p, wordByte)
	if !wordStart(text, p, done) || len(key) < len("sk-")+minKey || changes(key[3:]) < minKeyChanges {
		return region{}, false
	}
	kind := kindKey
	switch {
	case strings.HasPrefix(key, "sk-ant-"):
		kind = kindClaude
	case strings.HasPrefix(key, "sk-proj-"), strings.HasPrefix(key, "sk-svcacct-"), strings.HasPrefix(key, "sk-admin-"),
		strings.Contains(key, "T3BlbkFJ"): // OpenAI in base64, in the middle of each of its keys
		kind = kindOpenAI
	}
	return region{p, run(text, p, wordByte), kind}, true
}

// findPrefixed finds a key that consists of a vendor's prefix, of prefixLen bytes, and at least minLen bytes that ok accepts.
func findPrefixed(text string, p, done int, prefixLen, minLen int, ok func(byte) bool, kind string) (region, bool) {
	if !wordStart(text, p, done) {
		return region{}, false
	}
	end := run(text, p+prefixLen, ok)
	return region{p, end, kind}, end-p >= prefixLen+minLen
}

// findStripe finds sk_live_, sk_test_ and rk_live_ keys.
func findStripe(text string, p, done int) (region, bool) {
	return findPrefixed(text, p, done, len("sk_live_"), minKey, alnum, kindStripe)
}

// findGitHub finds ghp_, gho_, ghu_, ghs_, ghr_ and github_pat_ tokens.
func findGitHub(text string, p, done int) (region, bool) {
	return findPrefixed(text, p, done, len("ghp_"), 20, wordByte, kindGitHub)
}

// findGoogle finds API keys of Google.
func findGoogle(text string, p, done int) (region, bool) {
	return findPrefixed(text, p, done, len("AIza"), 30, wordByte, kindGoogle)
}

// findWebhook finds the signing secrets of Standard Webhooks: whsec_ and whsk_.
func findWebhook(text string, p, done int) (region, bool) {
	return findPrefixed(text, p, done, len("whsk_"), minKey, tokenByte, kindWebhook)
}

// findSlack finds xoxb-, xoxp- and similar tokens.
func findSlack(text string, p, done int) (region, bool) {
	if len(text)-p < len("xoxb-") || text[p+4] != '-' || text[p+3]-'a' > 25 {
		return region{}, false
	}
	if !strings.ContainsAny(head(text, p, wordByte), "0123456789") {
		return region{}, false
	}
	return findPrefixed(text, p, done, len("xoxb-"), 10, wordByte, kindSlack)
}

// findJWT finds a JWT or JWE: base64url of {" and at least one more part after a dot. Only the start of a run of bytes can be
// the start of a JWT.
func findJWT(text string, p, done int) (region, bool) {
	const minPart = 8
	if !wordStart(text, p, done) || (p > done && (text[p-1] == '-' || text[p-1] == '_')) {
		return region{}, false
	}
	dot := run(text, p, wordByte)
	if dot-p < minPart || dot >= len(text) || text[dot] != '.' {
		return region{}, false
	}
	end := run(text, dot+1, wordByte)
	if end-dot-1 < minPart {
		return region{}, false
	}
	for end < len(text) && text[end] == '.' {
		end = run(text, end+1, wordByte)
	}
	if text[end-1] == '.' { // the full stop of a sentence
		end--
	}
	return region{p, end, kindJWT}, true
}

// findBearer finds the token after the word bearer.
func findBearer(text string, p, done int) (region, bool) {
	from := skipBlank(text, p+len("bearer"))
	token := head(text, from, tokenByte)
	if from == p+len("bearer") || !wordStart(text, p, done) || len(token) < minBearer || changes(token) < minKeyChanges {
		return region{}, false
	}
	return region{from, run(text, from, tokenByte), kindToken}, true
}

// skipBlank skips blanks and blanks in URL encoding.
func skipBlank(text string, p int) int {
	for p < len(text) {
		switch {
		case text[p] == ' ' || text[p] == '\t':
			p++
		case strings.HasPrefix(text[p:], "%20"):
			p += 3
		default:
			return p
		}
	}
	return p
}

// findBasic finds base64 of user:password after the word basic.
func findBasic(text string, p, done int) (region, bool) {
	from := skipBlank(text, p+len("basic"))
	plain := head(text, from, base64Byte)
	if from == p+len("basic") || !wordStart(text, p, done) || len(plain) < minBasic || !userAndPassword(plain) {
		return region{}, false
	}
	end := run(text, from, base64Byte)
	return region{from, run(text[:min(len(text), end+2)], end, func(c byte) bool { return c == '=' }), kindBasic}, true
}

// base64Byte reports whether a byte may be part of base64, without padding.
func base64Byte(c byte) bool { return alnum(c) || c == '/' || c == '+' }

// userAndPassword reports whether s is base64 of printable text with a colon. Only the first 128 bytes are decoded.
func userAndPassword(s string) bool {
	const enough = 128
	s = s[:min(len(s), enough)]
	var in, plain [enough]byte
	n, err := base64.RawStdEncoding.Decode(plain[:], in[:copy(in[:], s)])
	if err != nil {
		return false
	}
	colon := false
	for _, c := range plain[:n] {
		if c < ' ' {
			return false
		}
		colon = colon || c == ':'
	}
	return colon
}

// findAWSPair finds a secret access key that follows its access key id, as in files of credentials. The id is not part of
// the region.
func findAWSPair(text string, p, done int) (region, bool) {
	const idLen, secretLen, maxGap = 20, 40, 6
	if !wordStart(text, p, done) {
		return region{}, false
	}
	end := run(text, p, func(c byte) bool { return c-'A' < 26 || c-'0' <= 9 })
	if end-p != idLen {
		return region{}, false
	}
	from := end
	for from < len(text) && from-end < maxGap && strings.IndexByte(" \t\r\n:,;|/\"'", text[from]) >= 0 {
		from++
	}
	stop := run(text, from, base64Byte)
	secret := text[from:stop]
	if from == end || len(secret) != secretLen || changes(secret) < 2*minKeyChanges || run(secret, 0, hexByte) == secretLen {
		return region{}, false
	}
	return region{from, stop, kindAWS}, true
}

// findURL finds user and password in scheme://user:password@host. The user is part of the region, because some services take
// a token as the user.
func findURL(text string, p, done int) (region, bool) {
	const maxUserInfo = 1024 // the @ is searched in that many bytes
	from := p + len("://")
	colon, at := -1, -1
scan:
	for i := from; i < min(len(text), from+maxUserInfo); i++ {
		switch c := text[i]; {
		case c == ':' && colon < 0:
			colon = i
		case c == '@':
			at = i
		case c <= ' ' || strings.IndexByte("/?#\"'<>\\`|", c) >= 0:
			break scan
		}
	}
	if colon < 0 || at <= colon+1 || markerEnd(text, from) == at {
		return region{}, false
	}
	return region{from, at, kindURL}, true
}

// findPEM finds a private key in PEM, whose line ends may be escaped. Of a truncated key, the region is the part that is
// there. The first line alone is not a key.
func findPEM(text string, p, done int) (region, bool) {
	const (
		maxLabel = 40 // bytes between BEGIN and the dashes: "ENCRYPTED PRIVATE KEY" and longer
		minBody  = 32 // bytes of base64 in a truncated key
		dashes   = "-----"
		foot     = "-----END "
	)
	from := p + len("-----BEGIN ")
	label := run(text[:min(len(text), from+maxLabel)], from, labelByte)
	if !strings.Contains(text[from:label], "PRIVATE KEY") || !strings.HasPrefix(text[label:], dashes) {
		return region{}, false
	}
	body := label + len(dashes)
	end := pemBody(text, body)
	if strings.HasPrefix(text[end:], foot) {
		end = run(text, end+len(foot), labelByte)
		return region{p, run(text, end, func(c byte) bool { return c == '-' }), kindPEM}, true
	}
	lines := skipSpace(text, body)
	if len(head(text, lines, tokenByte)) < minBody {
		return region{}, false
	}
	return region{p, end, kindPEM}, true
}

// labelByte reports whether a byte may be part of a PEM label.
func labelByte(c byte) bool { return c-'A' < 26 || c-'0' <= 9 || c == ' ' }

// pemBody returns the end of the part between the first and the last line of PEM: base64, headers, blanks, line ends and
// escaped line ends. It stops at any line of dashes.
func pemBody(text string, p int) int {
	for p < len(text) && !strings.HasPrefix(text[p:], "-----") {
		if next := skipSpace(text, p); next > p {
			p = next
			continue
		}
		if c := text[p]; !tokenByte(c) && c != ':' && c != ',' {
			break
		}
		p++
	}
	return p
}
