package fold

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math/big"
	"strings"
	"time"

	"github.com/aidr-engine/aidr/engine/flat"
	"github.com/aidr-engine/aidr/rules"
	"github.com/aidr-engine/aidr/schema"
)

// deviation is what a group of a baseline rule keeps of its first trigger, or of the trigger with which a new normal
// begins.
//
//	start, since           8 bytes big-endian: the start of the bucket, the key's first item
//	value, limit           a Decimal: the value, and the one that triggers
//	median, mad            a Decimal, in quarters of 10^-9
//	samples, slot          uvarint
//	flags                  1 byte: deviationLow, deviationNew
type deviation struct {
	start, since schema.Instant
	value, limit rules.Decimal
	spread       spread
	samples      int
	slot         uint64
	low, isNew   bool
}

const (
	deviationLow = 1 << 0 // the value is below the median
	deviationNew = 1 << 1 // the bucket is the last of rules.NewNormal in a row
)

// appendDetail returns the detail of a trigger of the open bucket, in scratch.
func (k baseline) appendDetail(s *scratch, b *bucket, low, isNew bool) []byte {
	slot := k.slot(b.number)
	sp, samples := k.spread(s, b.slots, slot)
	limit, flags := b.limit, byte(0)
	if low {
		_, limit, _ = sp.limits(k.deviation)
		flags |= deviationLow
	}
	if isNew {
		flags |= deviationNew
	}
	dst := flat.AppendInstant(s.detail[:0], paneStart(b.number, k.length))
	dst = flat.AppendInstant(dst, b.since)
	for _, d := range [...]rules.Decimal{k.value(b), limit, sp.median, sp.mad} {
		dst = appendDecimal(dst, d)
	}
	dst = binary.AppendUvarint(dst, uint64(samples))
	dst = binary.AppendUvarint(dst, slot)
	return append(dst, flags)
}

func readDeviation(detail string) (d deviation) {
	r := flat.NewReader([]byte(detail))
	d.start, d.since = r.Instant(), r.Instant()
	d.value, d.limit = readDecimal(&r), readDecimal(&r)
	d.spread = spread{readDecimal(&r), readDecimal(&r)}
	d.samples, d.slot = int(r.Uvarint()), r.Uvarint()
	flags := r.Byte()
	d.low, d.isNew = flags&deviationLow != 0, flags&deviationNew != 0
	return d
}

// z returns the robust z of the value, cut to three digits after the point.
func (d *deviation) z() json.Number {
	const shown = 1000
	distance := new(big.Int).Lsh(bigOf(wideOf(d.value)), 2) // in quarters
	distance.Sub(distance, bigOf(wideOf(d.spread.median)))
	z := distance.Mul(distance, big.NewInt(scaleUnits*shown))
	z.Quo(z, bigOf(d.spread.scale()))
	sign := ""
	if z.Sign() < 0 {
		sign = "-"
		z.Neg(z)
	}
	whole, part := z.QuoRem(z, big.NewInt(shown), new(big.Int))
	text := strings.TrimRight(strings.TrimRight(fmt.Sprintf("%s%s.%03d", sign, whole, part.Int64()), "0"), ".")
	return json.Number(text)
}

func bigOf(w wide) *big.Int {
	var b [8 * len(w)]byte
	for i, word := range w {
		binary.BigEndian.PutUint64(b[8*(len(w)-1-i):], word)
	}
	return new(big.Int).SetBytes(b[:])
}

// quarters returns a number of quarters of 10^-9, cut to 10^-9.
func quarters(d rules.Decimal) json.Number { return unitNano.number(wideOf(d).over(4, false)) }

// deviationJSON is the JSON form of the history that a finding of a baseline rule is based on.
type deviationJSON struct {
	Bucket    schema.Instant  `json:"bucket"` // the start of the bucket
	Value     json.Number     `json:"value"`
	Median    json.Number     `json:"median"` // of the learnt values of the slot
	MAD       json.Number     `json:"mad"`    // the median of their distances from the median
	Z         json.Number     `json:"z"`
	Samples   int             `json:"samples"`        // the number of these values
	Slot      string          `json:"slot,omitempty"` // in UTC
	Since     schema.Instant  `json:"since"`          // the key's first item
	Direction rules.Direction `json:"direction"`      // up or down
	NewNormal bool            `json:"new_normal,omitempty"`
}

func (k baseline) annotate(g *Group, f *schema.Finding) {
	d := readDeviation(g.Detail)
	direction := rules.DirectionUp
	if d.low {
		direction = rules.DirectionDown
	}
	f.Threshold = unitNano.number(d.limit)
	f.Baseline = jsonOf(deviationJSON{
		Bucket: d.start, Value: unitNano.number(d.value), Median: quarters(d.spread.median), MAD: quarters(d.spread.mad), Z: d.z(),
		Samples: d.samples, Slot: k.slotName(d.slot), Since: d.since, Direction: direction, NewNormal: d.isNew,
	})
}

// explain describes the bucket of the first trigger, or of the one with which a new normal begins.
func (k baseline) explain(p *Program, g *Group) string {
	d := readDeviation(g.Detail)
	l := p.Rule.Baseline
	what := "the number of events"
	switch l.Of {
	case rules.BaselineSum:
		what = "the sum of " + l.Sum.Name
	case rules.BaselineDistinct:
		what = "the number of different values of " + operandNames(l.Distinct)
	case rules.BaselineRatio:
		what = "the share of events of the kind looked for"
	}
	slot := "buckets"
	if d.samples == 1 {
		slot = "bucket"
	}
	if name := k.slotName(d.slot); name != "" {
		slot += " of " + name
	}
	limit := "at least"
	if d.low {
		limit = "at most"
	}
	text := fmt.Sprintf("%s in the %s from %s was %s, but the median of %d earlier %s is %s (robust z %s; %s %s triggers; history since %s)",
		what, durationText(time.Duration(k.length)), d.start, unitNano.number(d.value), d.samples, slot, quarters(d.spread.median), d.z(),
		limit, unitNano.number(d.limit), d.since)
	if d.isNew {
		text += fmt.Sprintf("; it is bucket %d in a row that triggers, so that these values become the new normal", rules.NewNormal)
	}
	return text
}

// BaselineView describes the memory of a baseline rule: the slot of the latest bucket.
type BaselineView struct {
	Slot    string        `json:"slot,omitempty"`    // in UTC; "" without a season
	Slots   int           `json:"slots"`             // the number of slots that have learnt something
	Learns  bool          `json:"learns"`            // the slot has too few values to trigger
	Samples int           `json:"samples"`           // its learnt values
	Needs   int           `json:"needs"`             // the number of values from which on it triggers
	Median  json.Number   `json:"median,omitempty"`  // of the learnt values
	MAD     json.Number   `json:"mad,omitempty"`     // the median of their distances from the median
	Above   json.Number   `json:"above,omitempty"`   // the least value that triggers upwards
	Below   json.Number   `json:"below,omitempty"`   // the largest value that triggers downwards
	History []json.Number `json:"history,omitempty"` // the learnt values, the oldest first
	InARow  int           `json:"in_a_row,omitempty"`
}

func (k baseline) describe(st []byte, v *KeyView) {
	r := flat.NewReader(st)
	b := k.read(&r)
	v.Since = &b.since
	if b.items > 0 {
		v.Events, v.Value = b.items, unitNano.number(k.value(&b))
	}
	var s scratch
	sl := findSlot(b.slots, k.slot(b.number))
	w := &BaselineView{Slot: k.slotName(sl.number), Samples: sl.samples, Needs: k.samples, Learns: sl.samples < k.samples, InARow: sl.row}
	slots := flat.NewReader(b.slots)
	for ; len(slots.Rest()) > 0; w.Slots++ {
		nextSlot(&slots)
	}
	for _, value := range k.learnt(&s, sl) {
		w.History = append(w.History, unitNano.number(value))
	}
	if sp, n := k.spread(&s, b.slots, sl.number); n > 0 {
		w.Median, w.MAD = quarters(sp.median), quarters(sp.mad)
		if _, low, ok := sp.limits(k.deviation); ok && k.down && !w.Learns {
			w.Below = unitNano.number(low)
		}
		if k.up && !w.Learns {
			w.Above = unitNano.number(k.limit(&s, b.slots, sl.number))
		}
	}
	v.Baseline = w
}
