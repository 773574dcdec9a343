package fold

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"strings"

	"github.com/aidr-engine/aidr/schema"
)

// Item is one matched event for one rule. Its bytes stand in one piece of memory with those of its neighbours (see room):
// what outlives it keeps copies. Total order of a rule's items: (Time, Role, ID); what is equal in these is put in order
// by all else that it says, so that no order ever depends on arrival.
type Item struct {
	Rule  int    // place in the Set; on disk the rule's id stands for it
	Group string // the values of group.by (see key.go): the owner is (rule, Group)
	Key   string // the values of by
	Time  int64  // the event's end, ns
	Role  uint16 // the smallest Order of its roles
	// Counted: ID stands on a producer's id, so that two items of one key, Time and ID are one; the one with the
	// smallest hash of Roles, Data and Evidence (without the position in it) stands.
	Counted bool
	Roles   uint32 // bit i: it has Rule.Roles[i]
	ID      schema.ID
	// Data are the captured values, as the kind needs them:
	//   none, threshold with count   nothing
	//   threshold with sum           the number in units of 10^-9: Hi, Lo, each 8 bytes big-endian
	//   threshold with ratio         one byte, 1 where `of` is true
	//   distinct                     the first 8 bytes of SHA-256 over the values of `of` (key form, key.go)
	//   new_value                    the same, then the values as text to be shown
	//   sequence                     for each of Where.Needs whose step the item matches, a flat value (schema.AppendValue)
	Data     string
	Evidence string // what a finding shows of the event, redacted, flat (evidence.go)
}

// compare is the total order.
func (it *Item) compare(o *Item) int {
	if c := it.compareEvent(o); c != 0 {
		return c
	}
	if c := strings.Compare(it.Key, o.Key); c != 0 {
		return c
	}
	if c := cmp.Compare(it.Roles, o.Roles); c != 0 {
		return c
	}
	if c := strings.Compare(it.Data, o.Data); c != 0 {
		return c
	}
	if c := strings.Compare(it.Evidence, o.Evidence); c != 0 || it.Counted == o.Counted {
		return c
	}
	if it.Counted {
		return 1
	}
	return -1
}

// compareEvent compares Time, Role and ID.
func (it *Item) compareEvent(o *Item) int {
	if c := cmp.Compare(it.Time, o.Time); c != 0 {
		return c
	}
	if c := cmp.Compare(it.Role, o.Role); c != 0 {
		return c
	}
	return bytes.Compare(it.ID[:], o.ID[:])
}

// standsBefore says which of two copies of one event stands: the one with the smaller hash. Where the hashes are equal
// the copies say the same and only their positions differ.
func (it *Item) standsBefore(o *Item) bool {
	a, b := it.body(), o.body()
	if c := bytes.Compare(a[:], b[:]); c != 0 {
		return c < 0
	}
	return it.compare(o) < 0
}

// body is the hash of what the item says of the event: SHA-256, because a smaller hash than that of an honest record
// must not be easy to find.
func (it *Item) body() [sha256.Size]byte {
	b := binary.BigEndian.AppendUint32(nil, it.Roles)
	b = appendText(b, it.Data)
	b = append(b, withoutPosition(it.Evidence)...)
	return sha256.Sum256(b)
}

// The flags of an item's flat form; part of the format.
const (
	flagCounted  = 1 << 0
	flagOwnGroup = 1 << 1 // Group differs from Key and is written
)

// AppendItem appends the item's flat form, without Rule; CutItem reads it.
//
//	flags     1 byte
//	time      8 bytes big-endian
//	role      uvarint
//	roles     uvarint
//	id        16 bytes
//	key, data, evidence and, with flagOwnGroup, group: each uvarint length and bytes
func AppendItem(dst []byte, it *Item) []byte {
	var flags byte
	if it.Counted {
		flags |= flagCounted
	}
	if it.Group != it.Key {
		flags |= flagOwnGroup
	}
	dst = append(dst, flags)
	dst = appendInt64(dst, it.Time)
	dst = binary.AppendUvarint(dst, uint64(it.Role))
	dst = binary.AppendUvarint(dst, uint64(it.Roles))
	dst = append(dst, it.ID[:]...)
	dst = appendText(dst, it.Key)
	dst = appendText(dst, it.Data)
	dst = appendText(dst, it.Evidence)
	if flags&flagOwnGroup != 0 {
		dst = appendText(dst, it.Group)
	}
	return dst
}

// CutItem reads one item from the front of src; ok is false where src is damaged. The item owns its bytes.
func CutItem(src []byte) (it Item, rest []byte, ok bool) {
	r := reader{b: src}
	flags := r.byte()
	it.Time = r.int64()
	role, roles := r.uvarint(), r.uvarint()
	it.ID = r.id()
	key, data, evidence := r.text(), r.text(), r.text()
	group := key
	if flags&flagOwnGroup != 0 {
		group = r.text()
	}
	if r.bad || flags&^(flagCounted|flagOwnGroup) != 0 || role > 1<<16-1 || roles > 1<<32-1 {
		return Item{}, src, false
	}
	it.Counted = flags&flagCounted != 0
	it.Role, it.Roles = uint16(role), uint32(roles)
	it.Key, it.Data, it.Evidence, it.Group = string(key), string(data), string(evidence), ""
	it.Group = it.Key
	if flags&flagOwnGroup != 0 {
		it.Group = string(group)
	}
	return it, r.b, true
}
