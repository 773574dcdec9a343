package access

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"

	"github.com/aidr-engine/aidr/schema"
)

// LinkAction is the action of a call-back URL, taken once a person confirms it. No action releases a containment.
type LinkAction byte

// The actions. They are part of the format.
const (
	LinkAcknowledge LinkAction = 1 // of a finding
	LinkClose       LinkAction = 2 // of a finding; the person chooses the verdict
	LinkApprove     LinkAction = 3 // of a proposed containment
)

// Link is the content of a call-back URL: one action on one finding or response.
type Link struct {
	Action  LinkAction
	ID      schema.ID // of the finding, or of the response
	Expires schema.Instant
}

// The text of a Link is the base64url of: version 1, action, id (16 bytes), end (8 bytes), HMAC-SHA256 of all before.
const (
	linkVersion = 1
	linkHead    = 2 + 16 + 8
	linkLength  = linkHead + sha256.Size
)

// ErrLink is returned for a text that is not a valid Link. It gives no reason, so that forgers learn nothing.
var ErrLink = errors.New("the link is not valid: it was changed, has expired, or is of another AIDR")

// Links signs the Links of one state directory.
type Links struct{ key []byte }

// NewLinks returns the Links with a key of at least 32 random bytes.
func NewLinks(key []byte) *Links { return &Links{key} }

func (l *Links) sum(head []byte) []byte {
	h := hmac.New(sha256.New, l.key)
	h.Write([]byte("aidr call-back\x00"))
	h.Write(head)
	return h.Sum(nil)
}

// Sign returns the text of a link. It depends on nothing else, so a body with it is the same at all attempts.
func (l *Links) Sign(x Link) string {
	head := append([]byte{linkVersion, byte(x.Action)}, x.ID[:]...)
	head = binary.BigEndian.AppendUint64(head, uint64(x.Expires))
	return base64.RawURLEncoding.EncodeToString(append(head, l.sum(head)...))
}

// Parse returns the Link of a text that Sign made and that has not expired.
func (l *Links) Parse(text string, now schema.Instant) (x Link, err error) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(b) != linkLength || !hmac.Equal(l.sum(b[:linkHead]), b[linkHead:]) {
		return x, ErrLink
	}
	x = Link{LinkAction(b[1]), schema.ID(b[2:18]), schema.Instant(binary.BigEndian.Uint64(b[18:linkHead]))}
	if b[0] != linkVersion || x.Action < LinkAcknowledge || x.Action > LinkApprove || now >= x.Expires {
		return Link{}, ErrLink
	}
	return x, nil
}
