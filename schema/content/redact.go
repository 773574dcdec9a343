// Package content looks into text that agents and tools wrote: it finds credentials in it and takes them out. All of it
// is hostile, so everything here is linear in the text and never fails.
package content

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

// Redact returns text with each credential in it replaced by [redacted:<kind>:<first 8 hex digits of its SHA-256>], so
// that two sightings of one credential can still be told to be one. It finds values of credential headers and keys (see
// CredentialName) in plain text, in JSON, and in JSON inside of JSON strings, bearer and basic tokens, key shapes of
// known vendors, JWTs, PEM private keys and passwords in URLs. Access key ids of AWS are identifiers and stay.
//
// Text without a credential is returned as it is, without an allocation. JSON stays JSON, UTF-8 stays UTF-8, and
// Redact(Redact(text)) == Redact(text).
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

// maxPasses bounds how often a text is gone over. A marker may part what was one word, and so show a credential that was
// hidden in it; hence the second pass. A third one changes something only in texts that were made for that.
const maxPasses = 8

// redactOnce goes over text from left to right. Where it finds nothing it returns text itself.
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

// region is a credential's place: text[start:end].
type region struct {
	start, end int
	kind       string
}

// The parts of a marker: markerHead, a kind of lower-case letters and underscores, a colon, markerHex digits, a bracket.
const (
	markerHead = "[redacted:"
	markerHex  = 8 // digits: enough to tell the credentials of one investigation apart, too few to be one
)

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

// markerEnd returns the end of the well-formed marker at p, -1 where there is none.
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
