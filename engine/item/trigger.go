package item

import (
	"crypto/sha256"
	"encoding/binary"

	"github.com/aidr-engine/aidr/engine/flat"
	"github.com/aidr-engine/aidr/schema"
)

// Trigger is one trigger of a rule that feeds others. Package capture makes items of the rules over it from it.
type Trigger struct {
	Key      string // of the rule that triggered
	Time     schema.Instant
	Deadline bool      // time triggered, and no event
	Role     uint16    // of the event's item
	Fed      string    // of the event's item
	ID       schema.ID // the identity of the event, or DeadlineID
	Evidence string    // of the event; "" for a deadline
	Carried  string    // of the event; "" for a deadline
	Opens    bool      // the trigger opened a finding
	Provenance
}

// Provenance is what a trigger of a provenance rule knows of a value: the value as it may be shown, the argument of the
// call that held it, and the tool whose result brought it. It is empty for other rules.
type Provenance struct{ Value, Argument, Source string }

// DeadlineID returns the identity of the triggers of deadlines of a key.
func DeadlineID(key string) schema.ID {
	sum := sha256.Sum256([]byte("deadline\x00" + key))
	return schema.ID(sum[:16])
}

// The flags of a trigger's flat form; part of the format of a cell.
const (
	triggerDeadline = 1 << 0
	triggerOpens    = 1 << 1
)

// AppendTrigger appends the trigger's flat form; ReadTrigger reads it.
//
//	flags   1 byte
//	time    8 bytes big-endian
//	role    uvarint
//	id      16 bytes
//	key, fed, evidence, carried, value, argument, source: each uvarint length and bytes
func AppendTrigger(dst []byte, t *Trigger) []byte {
	var flags byte
	if t.Deadline {
		flags |= triggerDeadline
	}
	if t.Opens {
		flags |= triggerOpens
	}
	dst = append(dst, flags)
	dst = flat.AppendInstant(dst, t.Time)
	dst = binary.AppendUvarint(dst, uint64(t.Role))
	dst = append(dst, t.ID[:]...)
	for _, text := range [...]string{t.Key, t.Fed, t.Evidence, t.Carried, t.Value, t.Argument, t.Source} {
		dst = flat.AppendText(dst, text)
	}
	return dst
}

// ReadTrigger reads a trigger. It makes r fail if the bytes are damaged.
func ReadTrigger(r *flat.Reader) (t Trigger) {
	flags := r.Byte()
	t.Deadline, t.Opens = flags&triggerDeadline != 0, flags&triggerOpens != 0
	t.Time = r.Instant()
	role := r.Uvarint()
	t.Role, t.ID = uint16(role), r.ID()
	for _, text := range [...]*string{&t.Key, &t.Fed, &t.Evidence, &t.Carried, &t.Value, &t.Argument, &t.Source} {
		*text = string(r.Text())
	}
	if flags > triggerDeadline|triggerOpens || role > 1<<16-1 {
		r.Fail()
	}
	return t
}

// ReadCarried calls yield with the number and the value of each value that an item carries. Item.Carried is 4 bytes
// big-endian, the Tag of the names of the values, and the flat values (schema.AppendValue). ReadCarried yields nothing if
// they were captured for other names.
func ReadCarried(carried string, tag uint32, yield func(i int, v schema.Value)) {
	r := flat.NewReader([]byte(carried))
	if b := r.Bytes(4); b == nil || binary.BigEndian.Uint32(b) != tag {
		return
	}
	values := r.Rest()
	for i := 0; len(values) > 0; i++ {
		v, rest, ok := schema.ReadValue(values)
		if !ok {
			return
		}
		yield(i, v)
		values = rest
	}
}
