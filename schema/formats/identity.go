package formats

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"github.com/aidr-engine/aidr/schema"
)

// AddressRung is what ai_agent.uid_source says where nothing but the address and the user agent tells an agent: a key
// too weak to learn a long baseline on.
const AddressRung = "source.ip|user_agent"

// Agent is one rung of the identity ladder: it names the agent by text, unless a rung before did. source is the raw
// field, as ai_agent.uid_source shows it.
func (r *Record) Agent(source, text string) {
	if text == "" || r.Event.Has(schema.AIAgentUID) {
		return
	}
	r.Event.SetText(schema.AIAgentUID, text)
	r.Event.SetText(schema.AIAgentUIDSource, source)
}

// AgentByAddress is the last rung: the caller's address, or the name that stands for one, and its user agent.
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

// Secret returns the hex of a secret's SHA-256, which is what stands for it everywhere; "" where there is no secret, or
// the gateway already hid it.
func (r *Record) Secret(secret string) string {
	if len(secret) < minSecret || strings.Contains(secret, "***") || strings.EqualFold(secret, "redacted") || strings.EqualFold(secret, "[redacted]") {
		return ""
	}
	r.scratch = append(r.scratch[:0], secret...)
	sum := sha256.Sum256(r.scratch)
	clear(r.scratch)
	return r.hex(&sum)
}

// minSecret is the shortest text in bytes that is taken for a secret: the hash of a shorter one could be guessed.
const minSecret = 8

// Hash returns the hex of the SHA-256 of the texts with sep between them.
func (r *Record) Hash(texts []string, sep string) string {
	r.joinScratch(texts, sep)
	sum := sha256.Sum256(r.scratch)
	return r.hex(&sum)
}

func (r *Record) hex(sum *[sha256.Size]byte) string {
	var text [2 * sha256.Size]byte
	hex.Encode(text[:], sum[:])
	return r.Arena.Hold(text[:])
}

// Bearer returns the token of an Authorization header, "" where it holds none.
func Bearer(header string) string {
	scheme, token, ok := strings.Cut(strings.TrimSpace(header), " ")
	if !ok || !strings.EqualFold(scheme, "bearer") {
		return ""
	}
	return strings.TrimSpace(token)
}

// TokenType returns what kind of credential a bearer token is: a JWT has three parts of base64url that begin with an
// encoded brace.
func TokenType(token string) string {
	if strings.HasPrefix(token, "eyJ") && strings.Count(token, ".") == 2 {
		return "jwt"
	}
	return "api_key"
}

// HashJSON returns the hex of the SHA-256 of a JSON value's text without the blanks between its tokens.
func (r *Record) HashJSON(n Node) string {
	r.scratch = appendCompact(r.scratch[:0], n.Raw())
	sum := sha256.Sum256(r.scratch)
	return r.hex(&sum)
}
