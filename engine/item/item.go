// Package item holds the Item, one matched event for one rule, which a worker captures and a cell folds.
// It defines the total order of items, the form of their keys (key.go) and their flat forms, so that capturing and
// folding share these and nothing else.
package item

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"strings"

	"github.com/aidr-engine/aidr/engine/flat"
	"github.com/aidr-engine/aidr/schema"
)

// Item is one matched event for one rule. Its strings share one allocation with those of the items captured next to it,
// so whatever outlives the item keeps copies.
//
// The items of a rule are ordered by (Time, Role, Fed, ID). Items equal in these are ordered by their other fields, so that
// the order never depends on arrival.
type Item struct {
	Rule  int            // index in the Set; the store has the rule's id instead
	Group string         // key form of the values of group.by; the cell's owner is (rule, Group)
	Key   string         // key form of the values of by
	Time  schema.Instant // the event's end
	Role  uint16         // the smallest Order of the matched roles
	// Counted reports whether ID is derived from an id of the producer. Two counted items of one Key, Time and ID are
	// copies of one event, of which only one is folded: see Supersedes.
	Counted bool
	// Gone takes the item back that is equal in all other fields. Only items made of triggers are taken back.
	Gone  bool
	Roles uint32 // bit i: the event matched Rule.Roles[i]
	// Fed is empty for an event. For a trigger it is that of AppendFed: triggers of one instant and role are ordered by the
	// rule that triggered, the identity, their order in that rule and its key.
	Fed string
	ID  schema.ID
	// Data holds the captured values that the rule's kind needs:
	//   none, threshold with count   nothing; baseline with count too, and with sum, ratio and distinct as these:
	//   absence, flow                nothing
	//   threshold with sum           the number in units of 10^-9: Hi, Lo, each 8 bytes big-endian
	//   threshold with ratio         one byte, 1 if `of` is true
	//   distinct                     ValueHashSize bytes: the beginning of SHA-256 over the values of `of` in key form; over
	//                                triggers as many for each element of a list
	//   new_value, rarity            the same for the values of `of`, then the values as text to be shown
	//   provenance                   see Brought and Used: for each matched role, in the order of the roles
	//   sequence                     for each of Where.Needs whose step the item matches, a flat value (schema.AppendValue)
	Data     string
	Evidence string // the redacted part of the event that a finding shows, flat (evidence.go)
	Carried  string // the values that the rules over this one read of the event, flat (trigger.go); "" if there are no such rules
}

// overhead is the size of an Item in bytes without its texts, and of the pointers to it.
const overhead = 184

// Size returns an estimate of the memory that the item takes, in bytes.
func (it *Item) Size() int {
	return overhead + len(it.Key) + len(it.Group) + len(it.Data) + len(it.Evidence) + len(it.Carried) + len(it.Fed)
}

// ValueHashSize is the size in bytes of the hash of the values of `of` in the Data of a distinct, a new_value or a rarity rule.
const ValueHashSize = 8

// MaxSummand is the largest number that one item adds to a sum, in whole units; a larger number counts as MaxSummand.
// It keeps a sum of 2^34 items within 128 bits.
const MaxSummand = 1 << 62

// Compare compares two items of a rule in their total order.
func (it *Item) Compare(o *Item) int {
	if c := it.CompareEvent(o); c != 0 {
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
	if c := strings.Compare(it.Evidence, o.Evidence); c != 0 {
		return c
	}
	if c := strings.Compare(it.Carried, o.Carried); c != 0 || it.Counted == o.Counted {
		return c
	}
	if it.Counted {
		return 1
	}
	return -1
}

// CompareEvent compares Time, Role, Fed and ID only.
func (it *Item) CompareEvent(o *Item) int {
	if c := cmp.Compare(it.Time, o.Time); c != 0 {
		return c
	}
	if c := cmp.Compare(it.Role, o.Role); c != 0 {
		return c
	}
	if it.Fed != o.Fed {
		return compareFed(it, o)
	}
	return bytes.Compare(it.ID[:], o.ID[:])
}

// fedEnd is the end of the rule's id in Fed. No id contains it.
const fedEnd = "\x00"

// AppendFed appends the Fed of a trigger of a rule.
func AppendFed(dst []byte, rule string, t *Trigger) []byte {
	dst = append(append(dst, rule...), fedEnd...)
	return append(append(append(dst, t.Fed...), fedEnd...), t.Key...)
}

// compareFed compares two items of which at least one is a trigger, after Time and Role.
func compareFed(a, b *Item) int {
	ruleA, restA, _ := strings.Cut(a.Fed, fedEnd)
	ruleB, restB, _ := strings.Cut(b.Fed, fedEnd)
	return cmp.Or(strings.Compare(ruleA, ruleB), bytes.Compare(a.ID[:], b.ID[:]), strings.Compare(restA, restB))
}

// Supersedes reports whether it, rather than its copy o, is to be folded. Of two copies the one with the smaller hash of
// its contents is folded. If the hashes are equal, the copies differ in their positions only, and the order decides.
func (it *Item) Supersedes(o *Item) bool {
	a, b := it.contentHash(), o.contentHash()
	if c := bytes.Compare(a[:], b[:]); c != 0 {
		return c < 0
	}
	return it.Compare(o) < 0
}

// contentHash returns a hash of the item's roles, data, evidence without the position in it, and carried values. It is SHA-256 because
// finding a record with a smaller hash than an honest record must not be easy.
func (it *Item) contentHash() [sha256.Size]byte {
	b := binary.BigEndian.AppendUint32(nil, it.Roles)
	b = flat.AppendText(b, it.Data)
	b = append(b, withoutPosition(it.Evidence)...)
	b = append(b, it.Carried...)
	return sha256.Sum256(b)
}

// The flags of an item's flat form; part of the format.
const (
	flagCounted  = 1 << 0
	flagOwnGroup = 1 << 1 // Group differs from Key and is written
	flagGone     = 1 << 2
	flagFed      = 1 << 3 // Fed is written
	flagCarried  = 1 << 4 // Carried is written
	knownFlags   = 1<<5 - 1
)

// Append appends the item's flat form, without Rule; Read reads it.
//
//	flags     1 byte
//	time      8 bytes big-endian
//	role      uvarint
//	roles     uvarint
//	id        16 bytes
//	key, data, evidence and, with their flags, group, fed and carried: each uvarint length and bytes
func Append(dst []byte, it *Item) []byte {
	var flags byte
	if it.Counted {
		flags |= flagCounted
	}
	if it.Group != it.Key {
		flags |= flagOwnGroup
	}
	if it.Gone {
		flags |= flagGone
	}
	if it.Fed != "" {
		flags |= flagFed
	}
	if it.Carried != "" {
		flags |= flagCarried
	}
	dst = append(dst, flags)
	dst = flat.AppendInstant(dst, it.Time)
	dst = binary.AppendUvarint(dst, uint64(it.Role))
	dst = binary.AppendUvarint(dst, uint64(it.Roles))
	dst = append(dst, it.ID[:]...)
	dst = flat.AppendText(dst, it.Key)
	dst = flat.AppendText(dst, it.Data)
	dst = flat.AppendText(dst, it.Evidence)
	if flags&flagOwnGroup != 0 {
		dst = flat.AppendText(dst, it.Group)
	}
	if it.Fed != "" {
		dst = flat.AppendText(dst, it.Fed)
	}
	if it.Carried != "" {
		dst = flat.AppendText(dst, it.Carried)
	}
	return dst
}

// Read reads one item from the front of src; ok is false if src is damaged. The item owns its strings.
func Read(src []byte) (it Item, rest []byte, ok bool) {
	r := flat.NewReader(src)
	flags := r.Byte()
	it.Time = r.Instant()
	role, roles := r.Uvarint(), r.Uvarint()
	it.ID = r.ID()
	key, data, evidence := r.Text(), r.Text(), r.Text()
	var group, fed, carried []byte
	if flags&flagOwnGroup != 0 {
		group = r.Text()
	}
	if flags&flagFed != 0 {
		fed = r.Text()
	}
	if flags&flagCarried != 0 {
		carried = r.Text()
	}
	if r.Bad() || flags&^knownFlags != 0 || role > 1<<16-1 || roles > 1<<32-1 {
		return Item{}, src, false
	}
	it.Counted, it.Gone = flags&flagCounted != 0, flags&flagGone != 0
	it.Fed, it.Carried = string(fed), string(carried)
	it.Role, it.Roles = uint16(role), uint32(roles)
	it.Key, it.Data, it.Evidence = string(key), string(data), string(evidence)
	it.Group = it.Key
	if flags&flagOwnGroup != 0 {
		it.Group = string(group)
	}
	return it, r.Rest(), true
}
