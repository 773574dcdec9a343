package webhook

import (
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/aidr-engine/aidr/connectors"
)

// The headers and prefixes of Standard Webhooks 1.0. They are part of the format and never change.
const (
	HeaderID        = "webhook-id"        // see ID
	HeaderTimestamp = "webhook-timestamp" // seconds since 1970 at which the attempt began
	HeaderSignature = "webhook-signature" // see Signer.Sign

	prefixShared  = "whsec_" // HMAC-SHA256: the key of both sides
	prefixPrivate = "whsk_"  // ed25519: the sender's key, a seed of 32 bytes or seed and public key
	prefixPublic  = "whpk_"  // ed25519: the receiver's key

	minSharedKey, maxSharedKey = 24, 64 // bytes

	// Tolerance is the largest difference between webhook-timestamp and the receiver's clock. A message beyond it counts
	// as a replay.
	Tolerance = 5 * time.Minute

	// maxSignatures bounds the number of signatures of one message that are checked, and so the work for a hostile header.
	maxSignatures = 32
)

// ID returns the webhook-id of an entry, by which a receiver recognises a message that it already has. The ID consists
// of letters, digits, '-', '_' and '~'; a '.' would be ambiguous, because it separates the ID from the timestamp
// in the signed text.
func ID(e *connectors.Entry, endpoint string) string {
	var b strings.Builder
	kind := "fnd"
	switch {
	case e.Response != nil:
		kind = "rsp"
	case e.Approval != nil:
		kind = "apr"
	case e.Endpoint != nil:
		kind = "end"
	}
	fmt.Fprintf(&b, "%s_%s_%d_", kind, e.ID(), e.Version())
	for i := range len(endpoint) {
		c := endpoint[i]
		if c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || c == '-' || c == '_' {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "~%02x", c)
		}
	}
	return b.String()
}

// signed returns the text that a signature covers: "<id>.<timestamp>.<body>".
func signed(id, timestamp string, body []byte) []byte {
	out := make([]byte, 0, len(id)+len(timestamp)+len(body)+2)
	out = append(out, id...)
	out = append(out, '.')
	out = append(out, timestamp...)
	out = append(out, '.')
	return append(out, body...)
}

// key is one parsed secret: either shared, or public and, on the sender's side, private.
type key struct {
	shared  []byte
	private ed25519.PrivateKey
	public  ed25519.PublicKey
}

// parseKey parses one secret. Its errors do not quote the secret.
func parseKey(text string) (k key, err error) {
	prefix, encoded := "", text
	for _, p := range []string{prefixShared, prefixPrivate, prefixPublic} {
		if rest, ok := strings.CutPrefix(text, p); ok {
			prefix, encoded = p, rest
		}
	}
	raw, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return k, errors.New("the text after the prefix is not base64")
	}
	switch {
	case prefix == prefixShared && len(raw) >= minSharedKey && len(raw) <= maxSharedKey:
		k.shared = raw
	case prefix == prefixPrivate && len(raw) == ed25519.SeedSize:
		k.private = ed25519.NewKeyFromSeed(raw)
		k.public = k.private.Public().(ed25519.PublicKey)
	case prefix == prefixPrivate && len(raw) == ed25519.PrivateKeySize:
		k.private = ed25519.NewKeyFromSeed(raw[:ed25519.SeedSize])
		k.public = k.private.Public().(ed25519.PublicKey)
		if !k.private.Equal(ed25519.PrivateKey(raw)) {
			return key{}, errors.New("the public half does not belong to the private half")
		}
	case prefix == prefixPublic && len(raw) == ed25519.PublicKeySize:
		k.public = ed25519.PublicKey(raw)
	case prefix == prefixShared:
		return k, fmt.Errorf("%s with %d bytes: want %d to %d", prefixShared, len(raw), minSharedKey, maxSharedKey)
	case prefix != "":
		return k, fmt.Errorf("%s with %d bytes: not the length of such a key", prefix, len(raw))
	default:
		return k, fmt.Errorf("prefix missing: want %s, %s or %s", prefixShared, prefixPrivate, prefixPublic)
	}
	return k, nil
}

// Signer signs messages with one or more secrets. It is immutable.
type Signer struct{ keys []key }

// NewSigner returns a Signer with the given secrets, whsec_... or whsk_.... Its errors name a secret by its number and do
// not quote it.
func NewSigner(secrets ...string) (*Signer, error) {
	s := &Signer{}
	var wrong []error
	for i, text := range secrets {
		k, err := parseKey(text)
		if err == nil && k.shared == nil && k.private == nil {
			err = fmt.Errorf("%s is the prefix of a receiver's key, which cannot sign", prefixPublic)
		}
		if err != nil {
			wrong = append(wrong, fmt.Errorf("secret %d: %w", i+1, err))
			continue
		}
		s.keys = append(s.keys, k)
	}
	return s, errors.Join(wrong...)
}

// Sign returns the header webhook-signature for one attempt: one signature for each secret, separated by spaces.
func (s *Signer) Sign(id string, at time.Time, body []byte) string {
	message := signed(id, strconv.FormatInt(at.Unix(), 10), body)
	out := make([]string, len(s.keys))
	for i, k := range s.keys {
		if k.shared != nil {
			out[i] = "v1," + base64.StdEncoding.EncodeToString(mac(k.shared, message))
		} else {
			out[i] = "v1a," + base64.StdEncoding.EncodeToString(ed25519.Sign(k.private, message))
		}
	}
	return strings.Join(out, " ")
}

func mac(key, message []byte) []byte {
	h := hmac.New(sha256.New, key)
	h.Write(message)
	return h.Sum(nil)
}

// Verifier checks messages on the receiver's side. It is immutable.
type Verifier struct{ keys []key }

// NewVerifier returns a Verifier that accepts messages signed with any of the keys: whsec_..., whpk_..., or whsk_..., of
// which only the public half is used.
func NewVerifier(keys ...string) (*Verifier, error) {
	v := &Verifier{}
	if len(keys) == 0 {
		return nil, errors.New("no key to verify with")
	}
	for i, text := range keys {
		k, err := parseKey(text)
		if err != nil {
			return nil, fmt.Errorf("key %d: %w", i+1, err)
		}
		v.keys = append(v.keys, k)
	}
	return v, nil
}

// The errors of Verifier.Verify.
var (
	ErrHeaders   = errors.New("webhook-id, webhook-timestamp or webhook-signature is missing or malformed")
	ErrTimestamp = errors.New("webhook-timestamp is too far from the current time: the message is a replay, or a clock is wrong")
	ErrSignature = errors.New("no signature matches: the secret is a different one, or the body was changed in transit")
)

// Verify returns nil if one of the signatures was made with one of the keys and webhook-timestamp is within Tolerance of
// now. The body must be the bytes that were received, before any decoding.
func (v *Verifier) Verify(h http.Header, body []byte, now time.Time) error {
	id, timestamp := h.Get(HeaderID), h.Get(HeaderTimestamp)
	seconds, err := strconv.ParseInt(timestamp, 10, 64)
	if err != nil || id == "" || h.Get(HeaderSignature) == "" {
		return ErrHeaders
	}
	if d := now.Unix() - seconds; d > int64(Tolerance/time.Second) || -d > int64(Tolerance/time.Second) {
		return ErrTimestamp
	}
	message := signed(id, timestamp, body)
	signatures := strings.SplitN(h.Get(HeaderSignature), " ", maxSignatures+1)
	for _, s := range signatures[:min(len(signatures), maxSignatures)] {
		version, encoded, _ := strings.Cut(s, ",")
		raw, err := base64.StdEncoding.DecodeString(encoded)
		if err != nil {
			continue
		}
		for _, k := range v.keys {
			if k.matches(version, raw, message) {
				return nil
			}
		}
	}
	return ErrSignature
}

// matches reports whether the signature of the given version was made with k.
func (k key) matches(version string, signature, message []byte) bool {
	switch {
	case version == "v1" && k.shared != nil:
		return hmac.Equal(signature, mac(k.shared, message))
	case version == "v1a" && k.public != nil:
		return len(signature) == ed25519.SignatureSize && ed25519.Verify(k.public, message, signature)
	}
	return false
}
