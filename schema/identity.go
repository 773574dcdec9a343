package schema

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
)

// ID is a 128-bit identity: of an event, or of a finding. As text it is a UUID's form.
type ID [16]byte

// IsZero says that there is no identity.
func (id ID) IsZero() bool { return id == ID{} }

// String renders the id as 8-4-4-4-12 hex digits.
func (id ID) String() string {
	var b [36]byte
	hex.Encode(b[0:8], id[0:4])
	hex.Encode(b[9:13], id[4:6])
	hex.Encode(b[14:18], id[6:8])
	hex.Encode(b[19:23], id[8:10])
	hex.Encode(b[24:36], id[10:16])
	b[8], b[13], b[18], b[23] = '-', '-', '-', '-'
	return string(b[:])
}

// ParseID reads what String writes.
func ParseID(s string) (id ID, err error) {
	if len(s) != 36 || s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
		return ID{}, errors.New("not of the form 8-4-4-4-12 hex digits")
	}
	_, err = hex.Decode(id[:], []byte(s[0:8]+s[9:13]+s[14:18]+s[19:23]+s[24:36]))
	return id, err
}

// Identity returns the event's identity: the first 128 bits of SHA-256 over dataset, 0x00, 'i' where there is a
// producer's id or 'r' where not, Place as a big-endian u32, and the id or the record's bytes. It depends on nothing
// but the record, and on whose it is: a tenant's is the first 128 bits of SHA-256 over 0x00, the tenant's length as a
// big-endian u32, the tenant, and the identity that it would have without one. (A dataset is never empty, so no other
// identity's hash begins with 0x00.) It is computed for items only: it costs a hash of the record.
func (e *Event) Identity() ID {
	id := e.Given
	if id.IsZero() {
		id = e.recordIdentity()
	}
	if e.Tenant == "" {
		return id
	}
	var room [128]byte // enough for the names that tenants have, so that it stays on the stack
	b := binary.BigEndian.AppendUint32(append(room[:0], 0), uint32(len(e.Tenant)))
	b = append(append(b, e.Tenant...), id[:]...)
	sum := sha256.Sum256(b)
	copy(id[:], sum[:])
	return id
}

func (e *Event) recordIdentity() (id ID) {
	kind, text := byte('r'), e.Record
	if e.Has(EventID) {
		kind, text = 'i', e.Text(EventID)
	}
	var room [256]byte // enough for what has a producer's id: hashed in one piece, on the stack
	b := append(append(room[:0], e.Text(EventDataset)...), 0, kind)
	b = binary.BigEndian.AppendUint32(b, e.Place)
	if len(text) <= len(room)-len(b) {
		sum := sha256.Sum256(append(b, text...))
		copy(id[:], sum[:])
		return id
	}
	h := sha256.New()
	h.Write(b)
	h.Write([]byte(text))
	var sum [sha256.Size]byte
	copy(id[:], h.Sum(sum[:0]))
	return id
}

// Counted says whether the identity stands on a producer's id, so that two events with it and one time are one.
func (e *Event) Counted() bool { return e.Has(EventID) || !e.Given.IsZero() }
