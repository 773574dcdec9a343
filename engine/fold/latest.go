package fold

import (
	"encoding/binary"

	"github.com/aidr-engine/aidr/engine/flat"
	"github.com/aidr-engine/aidr/engine/item"
)

// maxLatest is how many events a threshold or distinct keeps for evidence: what a finding shows at the end.
const maxLatest = 5

// The latest events of a State stand at its end, oldest first:
//
//	count    uvarint
//	per event: time (8 bytes big-endian), role (uvarint), id (16 bytes), evidence (uvarint length, bytes)

// readLatest appends the events to views.
func readLatest(r *flat.Reader, views []view) []view {
	n := r.Count(8 + 1 + 16 + 1)
	if n > maxLatest {
		r.Fail()
		return views
	}
	for range n {
		v := view{time: r.Int64(), role: uint16(r.Uvarint()), id: r.ID(), evidence: r.Text()}
		if r.Bad() {
			return views
		}
		views = append(views, v)
	}
	return views
}

// makeRoom returns the events that are kept when another one comes.
func makeRoom(views []view) []view { return views[max(0, len(views)-(maxLatest-1)):] }

// appendLatest appends the events and, as the latest, the item; makeRoom made room for it.
func appendLatest(dst []byte, views []view, it *item.Item) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(views)+1))
	for i := range views {
		dst = appendView(dst, &views[i])
	}
	dst = flat.AppendInt64(dst, it.Time)
	dst = binary.AppendUvarint(dst, uint64(it.Role))
	dst = append(dst, it.ID[:]...)
	return flat.AppendText(dst, it.Evidence)
}

func appendView(dst []byte, v *view) []byte {
	dst = flat.AppendInt64(dst, v.time)
	dst = binary.AppendUvarint(dst, uint64(v.role))
	dst = append(dst, v.id[:]...)
	return flat.AppendText(dst, v.evidence)
}

// within returns the events that are less than d before t.
func within(views []view, t int64, d uint64) []view {
	for len(views) > 0 && since(t, views[0].time) >= d {
		views = views[1:]
	}
	return views
}
