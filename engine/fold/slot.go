package fold

import (
	"encoding/binary"
	"time"

	"github.com/aidr-engine/aidr/engine/flat"
	"github.com/aidr-engine/aidr/rules"
)

// slot is a slot of a baseline, and its place among the slots.
type slot struct {
	number   uint64
	samples  int
	row      int
	values   []byte
	from, to int // of the bytes of the slots; equal if the slot has no values yet
}

// nextSlot reads a slot.
func nextSlot(r *flat.Reader) slot {
	return slot{number: r.Uvarint(), samples: int(r.Uvarint()), row: int(r.Uvarint()), values: r.Text()}
}

// findSlot returns the slot with the number.
func findSlot(slots []byte, number uint64) slot {
	r := flat.NewReader(slots)
	for len(r.Rest()) > 0 {
		from := len(slots) - len(r.Rest())
		s := nextSlot(&r)
		if s.number >= number {
			s.from, s.to = from, len(slots)-len(r.Rest())
			if s.number > number {
				s = slot{number: number, from: from, to: from}
			}
			return s
		}
	}
	return slot{number: number, from: len(slots), to: len(slots)}
}

const (
	hoursOfDay  = 24
	hoursOfWeek = 7 * hoursOfDay
	// epochHour is the hour of the week at the epoch, a Thursday; weeks begin on Monday.
	epochHour = 3 * hoursOfDay
)

// slot returns the number of the slot of a bucket: the hour of the day or of the week of its start, in UTC, or 0.
func (k baseline) slot(bucket int64) uint64 {
	hour := paneOf(paneStart(bucket, k.length), int64(time.Hour))
	switch k.season {
	case rules.SeasonHourOfDay:
		return uint64((hour%hoursOfDay + hoursOfDay) % hoursOfDay)
	case rules.SeasonHourOfWeek:
		return uint64((hour%hoursOfWeek + hoursOfWeek + epochHour) % hoursOfWeek)
	}
	return 0
}

// slotName returns the name of a slot, such as "Mon 14:00"; "" without a season.
func (k baseline) slotName(slot uint64) string {
	at := time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(slot%hoursOfWeek) * time.Hour) // a Monday
	switch k.season {
	case rules.SeasonHourOfDay:
		return at.Format("15:04")
	case rules.SeasonHourOfWeek:
		return at.Format("Mon 15:04")
	}
	return ""
}

// readValue reads a learnt value.
func (k baseline) readValue(r *flat.Reader) rules.Decimal {
	switch k.of {
	case rules.BaselineSum:
		return readDecimal(r)
	case rules.BaselineRatio:
		return rules.Decimal{Lo: r.Uvarint()}
	}
	return rules.NewDecimal(r.Uvarint(), 0)
}

// appendValue appends the value of the bucket as a learnt value.
func (k baseline) appendValue(dst []byte, b *bucket) []byte {
	switch v := k.value(b); k.of {
	case rules.BaselineSum:
		return appendDecimal(dst, v)
	case rules.BaselineRatio:
		return binary.AppendUvarint(dst, v.Lo)
	case rules.BaselineDistinct:
		return binary.AppendUvarint(dst, v.Lo/rules.DecimalOne)
	}
	return binary.AppendUvarint(dst, uint64(b.items))
}

// learnt returns the learnt values of a slot, the oldest first, in scratch.
func (k baseline) learnt(s *scratch, sl slot) []rules.Decimal {
	s.history = s.history[:0]
	r := flat.NewReader(sl.values)
	for range sl.samples {
		s.history = append(s.history, k.readValue(&r))
	}
	return s.history
}

// spread returns the spread of the learnt values of a slot, and their number; the zero spread if there is none.
func (k baseline) spread(s *scratch, slots []byte, number uint64) (sp spread, samples int) {
	if values := k.learnt(s, findSlot(slots, number)); len(values) > 0 {
		return spreadOf(values), len(values)
	}
	return spread{}, 0
}

// learn returns the slots after the bucket has ended, in scratch.
func (k baseline) learn(s *scratch, b *bucket) []byte {
	sl := findSlot(b.slots, k.slot(b.number))
	r := flat.NewReader(sl.values)
	for range sl.samples {
		k.readValue(&r)
	}
	values, row := sl.values[:len(sl.values)-len(r.Rest())], r.Rest()
	if !b.triggered {
		sl.row, row = 0, nil // the bucket ends the row
	} else {
		sl.row++
	}
	s.slot = append(append(s.slot[:0], values...), row...)
	s.slot = k.appendValue(s.slot, b)
	switch {
	case !b.triggered:
		sl.samples++
	case sl.row == rules.NewNormal:
		sl.samples, sl.row = sl.samples+rules.NewNormal, 0
	}
	kept := flat.NewReader(s.slot)
	for ; sl.samples > k.history; sl.samples-- {
		k.readValue(&kept)
	}
	s.panes = append(s.panes[:0], b.slots[:sl.from]...)
	s.panes = binary.AppendUvarint(s.panes, sl.number)
	s.panes = binary.AppendUvarint(s.panes, uint64(sl.samples))
	s.panes = binary.AppendUvarint(s.panes, uint64(sl.row))
	s.panes = flat.AppendText(s.panes, kept.Rest())
	s.panes = append(s.panes, b.slots[sl.to:]...)
	return s.panes
}

// checkSlots reports whether the slots are well formed.
func (k baseline) checkSlots(slots []byte) bool {
	limit := uint64(1)
	switch k.season {
	case rules.SeasonHourOfDay:
		limit = hoursOfDay
	case rules.SeasonHourOfWeek:
		limit = hoursOfWeek
	}
	r := flat.NewReader(slots)
	for next := uint64(0); len(r.Rest()) > 0; {
		sl := nextSlot(&r)
		if sl.number < next || sl.number >= limit || sl.samples < 0 || sl.samples > k.history || sl.row < 0 || sl.row >= rules.NewNormal ||
			sl.samples+sl.row == 0 {
			return false
		}
		values := flat.NewReader(sl.values)
		for range sl.samples + sl.row {
			if v := k.readValue(&values); maxValue.Less(v) || k.of == rules.BaselineRatio && v.Lo > rules.DecimalOne {
				return false
			}
		}
		if !values.Done() {
			return false
		}
		next = sl.number + 1
	}
	return r.Done()
}
