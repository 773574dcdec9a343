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

// The headers and prefixes of Standard Webhooks 1.0; part of the format.
const (
	HeaderID        = "webhook-id"
	HeaderTimestamp = "webhook-timestamp"
	HeaderSignature = "webhook-signature"

	prefixShared  = "whsec_" // HMAC-SHA256, both sides
	prefixPrivate = "whsk_"  // ed25519, the sender's: a seed of 32 bytes, or seed and public key
	prefixPublic  = "whpk_"  // ed25519, the receiver's

	minSharedKey, maxSharedKey = 24, 64 // bytes

	// Tolerance is how far webhook-timestamp may be from the receiver's clock: beyond it a message is a replay.
	Tolerance = 5 * time.Minute

	// maxSignatures bounds the work that a header can cause.
	maxSignatures = 32
)

// ID is the webhook-id of an entry: the receiver's key for "seen already". Its bytes are letters, digits, '-', '_' and
// '~', since a '.' parts it from the timestamp where it is signed.
func ID(e *connectors.Entry, endpoint string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "fnd_%s_%d_", e.Finding.ID, e.Finding.Revision)
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

// signed is what a signature is over.
func signed(id, timestamp string, body []byte) []byte {
	out := make([]byte, 0, len(id)+len(timestamp)+len(body)+2)
	out = append(out, id...)
	out = append(out, '.')
	out = append(out, timestamp...)
	out = append(out, '.')
	return append(out, body...)
}

// key is one secret, in the forms that it has.
type key struct {
	shared  []byte
	private ed25519.PrivateKey
	public  ed25519.PublicKey
}

// parseKey reads one secret. Its errors say nothing of it.
func parseKey(text string) (k key, err error) {
	prefix, encoded := "", text
	for _, p := range []string{prefixShared, prefixPrivate, prefixPublic} {
		if rest, ok := strings.CutPrefix(text, p); ok {
			prefix, encoded = p, rest
		}
	}
	raw, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return k, errors.New("what follows the prefix is not base64")
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
			return key{}, errors.New("its public half does not belong to it")
		}
	case prefix == prefixPublic && len(raw) == ed25519.PublicKeySize:
		k.public = ed25519.PublicKey(raw)
	case prefix == prefixShared:
		return k, fmt.Errorf("%s with %d bytes: want %d to %d", prefixShared, len(raw), minSharedKey, maxSharedKey)
	case prefix != "":
		return k, fmt.Errorf("%s with %d bytes: no key has that length", prefix, len(raw))
	default:
		return k, fmt.Errorf("it begins with none of %s, %s, %s", prefixShared, prefixPrivate, prefixPublic)
	}
	return k, nil
}

// Signer signs messages with one or several secrets. It is immutable.
type Signer struct{ keys []key }

// NewSigner reads secrets: whsec_ and whsk_. Errors number them and say nothing of their text.
func NewSigner(secrets ...string) (*Signer, error) {
	s := &Signer{}
	var wrong []error
	for i, text := range secrets {
		k, err := parseKey(text)
		if err == nil && k.shared == nil && k.private == nil {
			err = fmt.Errorf("%s is a receiver's key: it cannot sign", prefixPublic)
		}
		if err != nil {
			wrong = append(wrong, fmt.Errorf("secret %d: %w", i+1, err))
			continue
		}
		s.keys = append(s.keys, k)
	}
	return s, errors.Join(wrong...)
}

// Sign returns webhook-signature for one attempt: a signature per secret, parted by spaces.
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

// NewVerifier reads keys: whsec_, whpk_, or whsk_, of which the public half counts. One of them has to fit.
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

// Why a message is refused.
var (
	ErrHeaders   = errors.New("webhook-id, webhook-timestamp or webhook-signature is missing or malformed")
	ErrTimestamp = errors.New("webhook-timestamp is too far from now: a replay, or a clock is wrong")
	ErrSignature = errors.New("no signature fits: another secret, or the body was changed on the way")
)

// Verify returns nil if one of the signatures fits one of the keys and the message is of about now.
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
			if k.fits(version, raw, message) {
				return nil
			}
		}
	}
	return ErrSignature
}

func (k key) fits(version string, signature, message []byte) bool {
	switch {
	case version == "v1" && k.shared != nil:
		return hmac.Equal(signature, mac(k.shared, message))
	case version == "v1a" && k.public != nil:
		return len(signature) == ed25519.SignatureSize && ed25519.Verify(k.public, message, signature)
	}
	return false
}
