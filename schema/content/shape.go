package content

import (
	"encoding/base64"
	"strings"
)

// The find functions tell whether a credential stands at or behind the anchor at p, and where. Before done everything
// is redacted already: it is neither looked at nor part of a word.

// wordByte are the bytes of keys and names.
func wordByte(c byte) bool { return alnum(c) || c == '_' || c == '-' }

func alnum(c byte) bool { return c-'0' <= 9 || c|0x20-'a' < 26 }

// tokenByte are the bytes of tokens in headers (RFC 6750 and base64).
func tokenByte(c byte) bool {
	return wordByte(c) || c == '.' || c == '~' || c == '+' || c == '/' || c == '='
}

// run returns the end of the bytes from p on that ok accepts.
func run(text string, p int, ok func(byte) bool) int {
	for p < len(text) && ok(text[p]) {
		p++
	}
	return p
}

// head returns the first bytes of the run at p, by which it is judged: at most maxJudged, so that a hostile run full of
// anchors costs no more than that for each.
func head(text string, p int, ok func(byte) bool) string {
	return text[p:run(text[:min(len(text), p+maxJudged)], p, ok)]
}

// maxJudged is longer in bytes than the keys of all vendors; a token that is longer shows what it is by then.
const maxJudged = 256

// starts says whether a word may begin at p: behind the start, a byte that is no letter or digit, or an escape like \n,
// \u000a or %20, whose last letter belongs to it and not to the word.
func starts(text string, p, done int) bool {
	return p == done || !alnum(text[p-1]) || escapeBefore(text, p, done) > 0
}

// escapeBefore returns the length of the escape sequence that ends at p, 0 where there is none.
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

func hexByte(c byte) bool { return c-'0' <= 9 || c|0x20-'a' < 6 }

// changes counts the places in s where a small letter, a capital or a digit is followed by one of another class,
// separators aside. Random text has one at about every second byte, names made of words have few.
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

// How short and how orderly a text may be and still be taken for a key.
const (
	minKey        = 16 // bytes behind a vendor's prefix
	minKeyChanges = 4  // of a key of 16 random bytes one in a million has fewer
	minBearer     = 16 // bytes of a token behind the word bearer
	minBasic      = 8  // bytes of base64 behind the word basic: a user, a colon, a password
)

// findSK finds keys of OpenAI, Anthropic, LiteLLM and those who copy them: sk- and a random text.
func findSK(text string, p, done int) (region, bool) {
	key := head(text, p, wordByte)
	if !starts(text, p, done) || len(key) < len("sk-")+minKey || changes(key[3:]) < minKeyChanges {
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

// prefixed finds a prefix of a vendor that is followed by at least min bytes.
func prefixed(text string, p, done int, prefix, min int, ok func(byte) bool, kind string) (region, bool) {
	if !starts(text, p, done) {
		return region{}, false
	}
	end := run(text, p+prefix, ok)
	return region{p, end, kind}, end-p >= prefix+min
}

func findStripe(text string, p, done int) (region, bool) {
	return prefixed(text, p, done, len("sk_live_"), minKey, alnum, kindStripe)
}

func findGitHub(text string, p, done int) (region, bool) {
	return prefixed(text, p, done, len("ghp_"), 20, wordByte, kindGitHub)
}

func findGoogle(text string, p, done int) (region, bool) {
	return prefixed(text, p, done, len("AIza"), 30, wordByte, kindGoogle)
}

func findWebhook(text string, p, done int) (region, bool) {
	return prefixed(text, p, done, len("whsk_"), minKey, tokenByte, kindWebhook)
}

// findSlack finds xoxb-, xoxp- and their like.
func findSlack(text string, p, done int) (region, bool) {
	if len(text)-p < len("xoxb-") || text[p+4] != '-' || text[p+3]-'a' > 25 {
		return region{}, false
	}
	if !strings.ContainsAny(head(text, p, wordByte), "0123456789") {
		return region{}, false
	}
	return prefixed(text, p, done, len("xoxb-"), 10, wordByte, kindSlack)
}

// findJWT finds a JWT or JWE: base64url of {" and at least one more part behind a dot. One run of bytes has one start.
func findJWT(text string, p, done int) (region, bool) {
	const minPart = 8
	if !starts(text, p, done) || (p > done && (text[p-1] == '-' || text[p-1] == '_')) {
		return region{}, false
	}
	head := run(text, p, wordByte)
	if head-p < minPart || head >= len(text) || text[head] != '.' {
		return region{}, false
	}
	end := run(text, head+1, wordByte)
	if end-head-1 < minPart {
		return region{}, false
	}
	for end < len(text) && text[end] == '.' {
		end = run(text, end+1, wordByte)
	}
	if text[end-1] == '.' { // a full stop behind it
		end--
	}
	return region{p, end, kindJWT}, true
}

// findBearer finds the token behind the word bearer.
func findBearer(text string, p, done int) (region, bool) {
	from := skipBlank(text, p+len("bearer"))
	token := head(text, from, tokenByte)
	if from == p+len("bearer") || !starts(text, p, done) || len(token) < minBearer || changes(token) < minKeyChanges {
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

// findBasic finds base64 of user:password behind the word basic.
func findBasic(text string, p, done int) (region, bool) {
	from := skipBlank(text, p+len("basic"))
	plain := head(text, from, base64Byte)
	if from == p+len("basic") || !starts(text, p, done) || len(plain) < minBasic || !userAndPassword(plain) {
		return region{}, false
	}
	end := run(text, from, base64Byte)
	return region{from, run(text[:min(len(text), end+2)], end, func(c byte) bool { return c == '=' }), kindBasic}, true
}

func base64Byte(c byte) bool { return alnum(c) || c == '/' || c == '+' }

// userAndPassword says whether base64 spells printable text with a colon in it. A long one is judged by its start.
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

// findAWSPair finds a secret access key that stands right behind its access key id, as in files of credentials. The id
// stays.
func findAWSPair(text string, p, done int) (region, bool) {
	const idLen, secretLen, maxGap = 20, 40, 6
	if !starts(text, p, done) {
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

// findURL finds user and password in scheme://user:password@host. The user goes too: tokens stand in its place.
func findURL(text string, p, done int) (region, bool) {
	const maxUserInfo = 1024 // bytes that are looked at for the @
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

// findPEM finds a private key in PEM, its lines perhaps held together by escapes. One that is cut off counts as far as
// it goes; a mention of the first line alone is none.
func findPEM(text string, p, done int) (region, bool) {
	const (
		maxLabel = 40 // bytes between BEGIN and the dashes: "ENCRYPTED PRIVATE KEY" and longer
		minBody  = 32 // bytes of base64 that make a key that is cut off
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

func labelByte(c byte) bool { return c-'A' < 26 || c-'0' <= 9 || c == ' ' }

// pemBody returns the end of what may stand between the first and the last line of PEM: base64, headers, blanks, line
// ends and escapes of line ends. It stops at any other line of dashes.
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
