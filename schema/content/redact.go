// Package content examines text that agents and tools wrote: Redact replaces the credentials in it, Kinds lists their kinds,
// Values finds its distinctive values, and Glob matches it with a pattern. Such text may be hostile, so Redact, Kinds and
// Values take time linear in its length whatever it contains, Glob takes at most the product of the two lengths, and no
// function can fail.
package content

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

// Redact returns text with each credential replaced by a marker, [redacted:<kind>:<first 8 hex digits of its SHA-256>], by
// which two occurrences of one credential can be recognised as the same.
//
// It finds the values of credential headers and keys (see CredentialName) in plain text, in JSON, and in JSON inside JSON
// strings; bearer and basic tokens; keys in the shapes of known vendors; JWTs; PEM private keys; and passwords in URLs.
// Access key ids of AWS are identifiers and are not replaced.
//
// Text without a credential is returned unchanged, without an allocation. The result for valid JSON is valid JSON, the
// result for valid UTF-8 is valid UTF-8, and Redact(Redact(text)) == Redact(text).
func Redact(text string) string {
	for range maxPasses {
		next, found := redactOnce(text)
		if !found {
			break
		}
		text = next
	}
	return text
}

// maxPasses bounds the number of passes over a text. A second pass is needed because a marker may split a word and expose
// another credential in it. A third one changes only texts that were made for this purpose.
const maxPasses = 8

// redactOnce makes one pass over text. If it finds no credential, it returns text itself.
func redactOnce(text string) (redacted string, found bool) {
	var out strings.Builder
	done := 0 // text[:done] is in out
	for at := 0; ; {
		p, a := nextAnchor(text, at)
		if a == nil {
			break
		}
		r, ok := a.find(text, p, done)
		if !ok {
			at = p + 1
			continue
		}
		out.WriteString(text[done:r.start])
		writeMarker(&out, r.kind, text[r.start:r.end])
		done, at = r.end, r.end
	}
	if done == 0 {
		return text, false
	}
	out.WriteString(text[done:])
	return out.String(), true
}

// region is the position of a credential, text[start:end], and its kind.
type region struct {
	start, end int
	kind       string
}

// A marker consists of markerHead, a kind of lower-case letters and underscores, a colon, markerHex hex digits and a
// closing bracket.
const (
	markerHead = "[redacted:"
	markerHex  = 8 // enough to distinguish the credentials of one investigation, too few to be a credential
)

// writeMarker writes the marker of a credential.
func writeMarker(out *strings.Builder, kind, secret string) {
	sum := sha256.Sum256([]byte(secret))
	var digits [markerHex]byte
	hex.Encode(digits[:], sum[:markerHex/2])
	out.WriteString(markerHead)
	out.WriteString(kind)
	out.WriteByte(':')
	out.Write(digits[:])
	out.WriteByte(']')
}

// markerEnd returns the end of the marker at p, or -1 if the text there is not a well-formed marker.
func markerEnd(text string, p int) int {
	if p < 0 || !strings.HasPrefix(text[p:], markerHead) {
		return -1
	}
	p += len(markerHead)
	kind := p
	for p < len(text) && (text[p] == '_' || text[p]-'a' < 26) {
		p++
	}
	end := p + 1 + markerHex
	if p == kind || end >= len(text) || text[p] != ':' || text[end] != ']' {
		return -1
	}
	for _, c := range []byte(text[p+1 : end]) {
		if c-'0' > 9 && c-'a' > 5 {
			return -1
		}
	}
	return end + 1
}
