package formats

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"github.com/aidr-engine/aidr/schema"
)

// AddressRung is the value of ai_agent.uid_source if only the address and the user agent distinguish the agent. This key
// is too weak to learn a long baseline for.
const AddressRung = "source.ip|user_agent"

// Agent sets ai_agent.uid to text, unless text is empty or the field is already set. Readers call it for one raw field after
// another, the most reliable one first: the identity ladder, of which each call is a rung. source is the name of the raw
// field, for ai_agent.uid_source.
func (r *Record) Agent(source, text string) {
	if text == "" || r.Event.Has(schema.AIAgentUID) {
		return
	}
	r.Event.SetText(schema.AIAgentUID, text)
	r.Event.SetText(schema.AIAgentUIDSource, source)
}

// AgentByAddress is the last rung of the identity ladder: it identifies the agent by the caller's address, or the name that
// the log has instead, and its user agent.
func (r *Record) AgentByAddress(userAgent string) {
	if r.Event.Has(schema.AIAgentUID) {
		return
	}
	from := r.Event.Text(schema.SourceIP)
	if from == "" {
		from = r.Event.Text(schema.SourceDomain)
	}
	if from != "" || userAgent != "" {
		r.Agent(AddressRung, r.Join([]string{from, userAgent}, "|"))
	}
}

// Secret returns the SHA-256 of a secret in hex, which replaces the secret everywhere. It returns "" if the text is too
// short for a secret or the gateway already masked it.
func (r *Record) Secret(secret string) string {
	masked := strings.Contains(secret, "***") || strings.EqualFold(secret, "redacted") || strings.EqualFold(secret, "[redacted]")
	if len(secret) < minSecret || masked {
		return ""
	}
	r.scratch = append(r.scratch[:0], secret...)
	sum := sha256.Sum256(r.scratch)
	clear(r.scratch)
	return r.hex(&sum)
}

// minSecret is the minimum length in bytes of a secret. A shorter text could be guessed from its hash.
const minSecret = 8

// Hash returns the SHA-256, in hex, of the texts with sep between them.
func (r *Record) Hash(texts []string, sep string) string {
	r.joinScratch(texts, sep)
	sum := sha256.Sum256(r.scratch)
	return r.hex(&sum)
}

// hex returns a hash in hex, held in the Arena.
func (r *Record) hex(sum *[sha256.Size]byte) string {
	var text [2 * sha256.Size]byte
	hex.Encode(text[:], sum[:])
	return r.Arena.Hold(text[:])
}

// Bearer returns the bearer token of an Authorization header, or "".
func Bearer(header string) string {
	scheme, token, ok := strings.Cut(strings.TrimSpace(header), " ")
	if !ok || !strings.EqualFold(scheme, "bearer") {
		return ""
	}
	return strings.TrimSpace(token)
}

// TokenType returns the value of credential.type for a bearer token: "jwt" or "api_key". A JWT has three parts in base64url
// and begins with an encoded brace.
func TokenType(token string) string {
	if strings.HasPrefix(token, "eyJ") && strings.Count(token, ".") == 2 {
		return "jwt"
	}
	return "api_key"
}

// HashJSON returns the SHA-256, in hex, of a JSON value's text without the white space between its tokens.
func (r *Record) HashJSON(n Node) string {
	r.scratch = appendCompact(r.scratch[:0], n.Raw())
	sum := sha256.Sum256(r.scratch)
	return r.hex(&sum)
}
