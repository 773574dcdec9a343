package fold

import (
	"encoding/binary"
	"time"

	"github.com/aidr-engine/aidr/engine/flat"
	"github.com/aidr-engine/aidr/engine/item"
	"github.com/aidr-engine/aidr/schema"
)

// maxLatest is the number of latest events that the State of a threshold or distinct holds for evidence: as many as the
// end of a finding shows.
const maxLatest = lastEvents

// The latest events of a State are at its end, oldest first:
//
//	count    uvarint
//	per event: time (8 bytes big-endian), role (uvarint), id (16 bytes), evidence (uvarint length, bytes)

// readLatest appends the latest events of a State to events. They are views of the State.
func readLatest(r *flat.Reader, events []storedEvent) []storedEvent {
	n := r.Count(8 + 1 + 16 + 1)
	if n > maxLatest {
		r.Fail()
		return events
	}
	for range n {
		e := readStoredEvent(r, 0)
		if r.Bad() {
			return events
		}
		events = append(events, e)
	}
	return events
}

// keepLatest returns the events that stay in State when another one is added.
func keepLatest(events []storedEvent) []storedEvent {
	return events[max(0, len(events)-(maxLatest-1)):]
}

// appendLatest appends the latest events: those that keepLatest returned, and the item.
func appendLatest(dst []byte, events []storedEvent, it *item.Item) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(events)+1))
	for i := range events {
		dst = appendStoredEvent(dst, &events[i])
	}
	return appendItemEvent(dst, it)
}

// readStoredEvent reads one event, of a step given as its index + 1.
func readStoredEvent(r *flat.Reader, step int) storedEvent {
	return storedEvent{time: r.Instant(), role: uint16(r.Uvarint()), id: r.ID(), evidence: r.Text(), step: step}
}

func appendStoredEvent(dst []byte, e *storedEvent) []byte {
	dst = flat.AppendInstant(dst, e.time)
	dst = binary.AppendUvarint(dst, uint64(e.role))
	dst = append(dst, e.id[:]...)
	return flat.AppendText(dst, e.evidence)
}

// appendItemEvent appends an item in the form of a stored event.
func appendItemEvent(dst []byte, it *item.Item) []byte {
	dst = flat.AppendInstant(dst, it.Time)
	dst = binary.AppendUvarint(dst, uint64(it.Role))
	dst = append(dst, it.ID[:]...)
	return flat.AppendText(dst, it.Evidence)
}

// within returns the events that are less than d before t.
func within(events []storedEvent, t schema.Instant, d time.Duration) []storedEvent {
	for len(events) > 0 && t.Since(events[0].time) >= uint64(d) {
		events = events[1:]
	}
	return events
}
