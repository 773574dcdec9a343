package schema

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
)

// ID is the 128-bit identity of an event or of a finding. Its text has the form of a UUID.
type ID [16]byte

// IsZero reports whether the identity is missing.
func (id ID) IsZero() bool { return id == ID{} }

// String returns the id as hex digits in groups of 8-4-4-4-12.
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

// DeclaredName returns the text under which a registry of agents is asked for the agent of a principal and the id that it
// declares. The byte 0 between them is in no name of a registry, so a declared id cannot complete the name of another agent.
func DeclaredName(principal, declared string) string { return principal + "\x00" + declared }

// ParseID parses the form that String returns.
func ParseID(s string) (id ID, err error) {
	if len(s) != 36 || s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
		return ID{}, errors.New("not of the form 8-4-4-4-12 hex digits")
	}
	_, err = hex.Decode(id[:], []byte(s[0:8]+s[9:13]+s[14:18]+s[19:23]+s[24:36]))
	return id, err
}

// MarshalText implements encoding.TextMarshaler, which JSON uses.
func (id ID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler, which JSON uses.
func (id *ID) UnmarshalText(b []byte) (err error) {
	*id, err = ParseID(string(b))
	return err
}

// Identity returns the identity of the event: the first 128 bits of SHA-256 over the dataset, 0x00, 'i' if the event has
// a producer's id or else 'r', Place as a big-endian uint32, and the id or the bytes of the record. It depends on nothing
// but the record and its tenant.
//
// The identity of a tenant's event is the first 128 bits of SHA-256 over 0x00, the length of the tenant as a big-endian
// uint32, the tenant, and the identity that the event would have without a tenant. No other hashed text begins with 0x00,
// because a dataset is never empty.
//
// Identity is computed only for events that match a rule, because it costs a hash of the record.
func (e *Event) Identity() ID {
	id := e.Given
	if id.IsZero() {
		id = e.recordIdentity()
	}
	if e.Tenant == "" {
		return id
	}
	var buf [128]byte // enough for the usual name of a tenant, so that it stays on the stack
	b := binary.BigEndian.AppendUint32(append(buf[:0], 0), uint32(len(e.Tenant)))
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
	var buf [256]byte // enough for the usual producer's id, which is then hashed in one piece, on the stack
	b := append(append(buf[:0], e.Text(EventDataset)...), 0, kind)
	b = binary.BigEndian.AppendUint32(b, e.Place)
	if len(text) <= len(buf)-len(b) {
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

// Counted reports whether the identity is based on a producer's id or given by the record. Two events of one instant that
// share such an identity are one event.
func (e *Event) Counted() bool { return e.Has(EventID) || !e.Given.IsZero() }
