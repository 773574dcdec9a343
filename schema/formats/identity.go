package formats

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"github.com/aidr-engine/aidr/schema"
)

// UIDSourceAddress is the value of ai_agent.uid_source if only the address and the user agent distinguish the agent. This key
// is too weak to learn a long baseline for.
const UIDSourceAddress = "source.ip|user_agent"

// SetAgent sets ai_agent.uid to text, unless text is empty, names everybody, or the field is already set. Readers call it
// for one raw field after another, the most reliable one first: the identity ladder, of which each call is a rung. source is
// the name of the raw field, for ai_agent.uid_source.
func (el *Element) SetAgent(source, text string) {
	if text == "" || el.Event.Has(schema.AIAgentUID) || Everybody(text) {
		return
	}
	if strings.HasPrefix(text, "arn:") {
		if role := RoleOfSession(el, text); role != "" { // the caller chooses the name of the session
			el.SetText(schema.AIAgentInstanceUID, SessionName(text))
			text = role
		}
	}
	el.Event.SetText(schema.AIAgentUID, text)
	el.Event.SetText(schema.AIAgentUIDSource, source)
}

// SessionName returns the name of the session in the ARN of an assumed role or of a federated user of AWS, "" for other ARNs.
func SessionName(arn string) string {
	if _, name, ok := strings.Cut(arn, ":federated-user/"); ok {
		return name
	}
	if _, rest, ok := strings.Cut(arn, ":assumed-role/"); ok {
		if slash := strings.LastIndexByte(rest, '/'); slash >= 0 {
			return rest[slash+1:]
		}
	}
	return ""
}

// RoleOfSession converts the ARN of a session of a role of AWS into the ARN of the role. It returns "" for other ARNs. The
// result lacks the role's path, which the session's ARN does not contain.
func RoleOfSession(el *Element, arn string) string {
	head, rest, ok := strings.Cut(arn, ":assumed-role/")
	slash := strings.LastIndexByte(rest, '/')
	if !ok || slash < 0 {
		return ""
	}
	partition, account, _ := strings.Cut(head, ":sts:")
	return el.Arena.Concat(partition, ":iam:", account, ":role/", rest[:slash])
}

// DeclareAgent is the rung of the ladder for an agent id that the caller chose: a header, metadata, an attribute of its own
// telemetry. Readers call it after the rungs of all authenticated principals. If one of those named the agent, the id becomes
// ai_agent.declared_uid, and schema/decode decides whether it refines the agent's id: a caller must not be able to choose
// its id. If none did, the id names the agent. Of several declared ids the first counts.
func (el *Element) DeclareAgent(source, text string) {
	switch {
	case text == "" || Everybody(text):
	case !el.Event.Has(schema.AIAgentUID):
		el.SetAgent(source, text)
		el.declared = true
	case !el.declared && text != el.Event.Text(schema.AIAgentUID):
		el.Event.SetText(schema.AIAgentDeclaredUID, text)
		el.declared = true
	}
}

// Everybody reports whether the name of a principal is that of all callers without one, so that it identifies none of them.
func Everybody(text string) bool {
	switch len(text) {
	case len("anonymous"):
		return strings.EqualFold(text, "anonymous")
	case len("ANONYMOUS_PRINCIPAL"): // CloudTrail: an unsigned request
		return text == "ANONYMOUS_PRINCIPAL"
	case len("system:anonymous"): // Kubernetes
		return text == "system:anonymous"
	case len("system:unauthenticated"):
		return text == "system:unauthenticated"
	case len("anonymousUser"): // Spring and the gateways built on it
		return text == "anonymousUser"
	case len(zeroGUID): // Entra, for a caller that is unknown
		return text == zeroGUID
	}
	return false
}

const zeroGUID = "00000000-0000-0000-0000-000000000000"

// SetAgentByAddress is the last rung of the identity ladder: it identifies the agent by the caller's address, or the
// name that the log has instead, and its user agent. Without a user agent the address alone is the id; a user agent
// alone is not an id, because all callers with the same library share it.
func (el *Element) SetAgentByAddress(userAgent string) {
	if el.Event.Has(schema.AIAgentUID) {
		return
	}
	from := el.Event.Text(schema.SourceIP)
	if from == "" {
		from = el.Event.Text(schema.SourceDomain)
	}
	switch {
	case from == "":
	case userAgent == "":
		el.SetAgent(UIDSourceAddress, from)
	default:
		el.SetAgent(UIDSourceAddress, el.Join([]string{from, userAgent}, "|"))
	}
}

// HashSecret returns the SHA-256 of a secret in hex, which replaces the secret everywhere. It returns "" if the text is too
// short for a secret or the gateway already masked it.
func (el *Element) HashSecret(secret string) string {
	if len(secret) < minSecret || strings.Contains(secret, "***") || strings.EqualFold(secret, "redacted") || strings.EqualFold(secret, "[redacted]") {
		return ""
	}
	if el.secret.text == secret { // a credential often is an agent's id, too
		return el.secret.hash
	}
	el.scratch = append(el.scratch[:0], secret...)
	sum := sha256.Sum256(el.scratch)
	clear(el.scratch)
	el.secret.text, el.secret.hash = secret, el.hex(&sum)
	return el.secret.hash
}

// minSecret is the minimum length in bytes of a secret. A shorter text could be guessed from its hash.
const minSecret = 8

// Hash returns the SHA-256, in hex, of the texts with sep between them.
func (el *Element) Hash(texts []string, sep string) string {
	el.joinScratch(texts, sep)
	sum := sha256.Sum256(el.scratch)
	return el.hex(&sum)
}

// hex returns a hash in hex, held in the Arena.
func (el *Element) hex(sum *[sha256.Size]byte) string {
	var text [2 * sha256.Size]byte
	hex.Encode(text[:], sum[:])
	return el.Arena.Copy(text[:])
}

// BearerToken returns the bearer token of an Authorization header, or "".
func BearerToken(header string) string {
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
func (el *Element) HashJSON(n Node) string {
	el.scratch = appendCompact(el.scratch[:0], n.Raw())
	sum := sha256.Sum256(el.scratch)
	return el.hex(&sum)
}
