package fold

import (
	"encoding/binary"
	"time"

	"github.com/aidr-engine/aidr/engine/flat"
	"github.com/aidr-engine/aidr/engine/item"
	"github.com/aidr-engine/aidr/rules"
	"github.com/aidr-engine/aidr/schema"
)

// baseline is the kind of a baseline rule: a bucket triggers if its value is far from those of earlier buckets of its
// slot. With of count, bucket 1h (panes of 56.25s), min_samples 3 and no season:
//
//	0:00  10 items          learnt at 1:00
//	1:00  12 items          learnt at 2:00
//	2:00  11 items          learnt at 3:00: median 11, MAD 1, scale 1.4826, so the limit is 16.19
//	3:00  40 items to 3:20  the pane of the 17th item triggers, and the bucket does not trigger again
//	4:00                    the bucket of 3:00 ends and is not learnt
//	5:00  11 items          learnt at 6:00; nothing is learnt of the empty bucket of 4:00
//
// Upwards, the value of count, sum and distinct only grows in a bucket, and its limit is known from the bucket's first
// item on. So the pane that crosses the limit is known to trigger before its end (peek). The last pane of a bucket, at
// whose end everything else triggers, ends with it. At the end of a bucket its value is learnt. A bucket is open until
// then.
//
// The State is
//
//	since       8 bytes big-endian: the key's first item
//	bucket      8 bytes big-endian: the number of the latest bucket
//	items       uvarint: its items; 0 if it is not open
//	open bucket, if there is one
//	slots       uvarint length of: the slots that have values, by number
//	latest events (latest.go), if there is an open bucket
//
// An open bucket is
//
//	triggered   1 byte: 1 if it triggered
//	pane        1 byte: the number in the bucket, 0 to 63, of the latest pane with items
//	first       uvarint: the first item's time, from the bucket's start
//	limit       a Decimal: the least value that triggers upwards; noLimit before there are min_samples values
//	value       sum: a Decimal; ratio: uvarint, the items for which `of` is true, at most items;
//	            distinct: uvarint length of: the values, 8 bytes each
//
// and a slot is
//
//	number      uvarint
//	samples     uvarint: the learnt values, at most history
//	row         uvarint: the values of the latest buckets in a row that triggered, fewer than rules.NewNormal
//	values      uvarint length of: the learnt values, the oldest first, and those in a row. A sum is a Decimal, a share a
//	            uvarint in units of 10^-9, any other value a uvarint.
//
// A Decimal is two uvarints, Hi and Lo.
type baseline struct {
	of         rules.BaselineOf
	length     int64 // of a bucket, ns
	pane       int64 // of a pane, ns
	season     rules.Season
	history    int
	samples    int    // min_samples
	deviation  uint64 // units of 10^-9
	least      rules.Decimal
	up, down   bool
	forget     time.Duration
	panesCount bool // the pane that crosses the limit triggers
}

func (p *Program) setBaseline(l *rules.Baseline) {
	k := baseline{
		of: l.Of, length: int64(l.Bucket), pane: max(1, int64(l.Bucket)/panesPerWindow), season: l.Season,
		history: l.History, samples: l.MinSamples, deviation: l.Deviation.Lo, least: l.MinValue,
		up: l.Direction != rules.DirectionDown, down: l.Direction != rules.DirectionUp, forget: l.Forget,
	}
	k.panesCount = k.up && k.of != rules.BaselineRatio
	p.kind, p.timed, p.unit = k, k, unitNano
	p.lowest, p.latestCount = !k.up, true
}

// bucket is a State without the latest events.
type bucket struct {
	since     schema.Instant
	number    int64
	items     int64 // 0 if the bucket is not open
	triggered bool
	pane      int64
	first     int64
	limit     rules.Decimal
	sum       rules.Decimal
	trues     int64
	values    []byte
	slots     []byte
}

func (k baseline) read(r *flat.Reader) (b bucket) {
	b.since, b.number, b.items = r.Instant(), r.Int64(), int64(r.Uvarint())
	if b.items != 0 {
		triggered := r.Byte()
		b.triggered, b.pane, b.first = triggered == 1, int64(r.Byte()), int64(r.Uvarint())
		b.limit = readDecimal(r)
		switch k.of {
		case rules.BaselineSum:
			b.sum = readDecimal(r)
		case rules.BaselineRatio:
			b.trues = int64(r.Uvarint())
		case rules.BaselineDistinct:
			b.values = r.Text()
		}
		if triggered > 1 || b.pane >= panesPerWindow || b.items < 0 || b.first < 0 || b.first >= k.length || maxValue.Less(b.sum) ||
			b.trues < 0 || b.trues > b.items || len(b.values)%item.ValueHashSize != 0 || len(b.values)/item.ValueHashSize > rules.MaxBaselineDistinct {
			r.Fail()
			return bucket{}
		}
	}
	b.slots = r.Text()
	return b
}

func (k baseline) append(dst []byte, b *bucket) []byte {
	dst = flat.AppendInstant(dst, b.since)
	dst = flat.AppendInt64(dst, b.number)
	dst = binary.AppendUvarint(dst, uint64(b.items))
	if b.items > 0 {
		triggered := byte(0)
		if b.triggered {
			triggered = 1
		}
		dst = append(dst, triggered, byte(b.pane))
		dst = binary.AppendUvarint(dst, uint64(b.first))
		dst = appendDecimal(dst, b.limit)
		switch k.of {
		case rules.BaselineSum:
			dst = appendDecimal(dst, b.sum)
		case rules.BaselineRatio:
			dst = binary.AppendUvarint(dst, uint64(b.trues))
		case rules.BaselineDistinct:
			dst = flat.AppendText(dst, b.values)
		}
	}
	return flat.AppendText(dst, b.slots)
}

// readDecimal reads a Decimal that is not negative.
func readDecimal(r *flat.Reader) rules.Decimal {
	d := rules.Decimal{Hi: int64(r.Uvarint()), Lo: r.Uvarint()}
	if d.Hi < 0 {
		r.Fail()
		return rules.Decimal{}
	}
	return d
}

func appendDecimal(dst []byte, d rules.Decimal) []byte {
	return binary.AppendUvarint(binary.AppendUvarint(dst, uint64(d.Hi)), d.Lo)
}

// value returns the value of the open bucket.
func (k baseline) value(b *bucket) rules.Decimal {
	switch k.of {
	case rules.BaselineSum:
		return b.sum
	case rules.BaselineRatio:
		return rules.Share(b.trues, b.items)
	case rules.BaselineDistinct:
		return rules.NewDecimal(uint64(len(b.values)/item.ValueHashSize), 0)
	}
	return rules.NewDecimal(uint64(b.items), 0)
}

func (k baseline) fold(s *scratch, st []byte, it *item.Item) {
	number := paneOf(it.Time, k.length)
	start := paneStart(number, k.length)
	var b bucket
	s.events = s.events[:0]
	if len(st) > 0 {
		r := flat.NewReader(st)
		if b = k.read(&r); b.items > 0 {
			s.events = readLatest(&r, s.events)
		} else if it.Time.Reached(paneEnd(b.number, k.length), k.forget) {
			b = bucket{}
		}
	}
	if b.items == 0 || b.number != number { // an open bucket has ended before, by a deadline, unless the State is damaged
		if len(b.slots) == 0 {
			b.since = it.Time
		}
		limit := k.limit(s, b.slots, k.slot(number))
		b = bucket{since: b.since, number: number, first: int64(it.Time - start), limit: limit, slots: b.slots}
		s.events = s.events[:0]
	}
	b.items++
	b.pane = min(int64(it.Time-start)/k.pane, panesPerWindow-1)
	switch k.of {
	case rules.BaselineSum:
		if b.sum = b.sum.Add(summand(it)); maxValue.Less(b.sum) {
			b.sum = maxValue
		}
	case rules.BaselineRatio:
		if it.Data == "\x01" {
			b.trues++
		}
	case rules.BaselineDistinct:
		k.addValue(s, &b, valueHash(it))
	}
	s.state = k.append(s.state, &b)
	s.state = appendLatest(s.state, keepLatest(s.events), it)
}

// addValue adds a value to those of the bucket.
func (k baseline) addValue(s *scratch, b *bucket, value string) {
	for i := 0; i < len(b.values); i += item.ValueHashSize {
		if string(b.values[i:i+item.ValueHashSize]) == value {
			return
		}
	}
	if len(b.values)/item.ValueHashSize == rules.MaxBaselineDistinct {
		s.limits.Values++
		return
	}
	s.panes = append(append(s.panes[:0], b.values...), value...)
	b.values = s.panes
}

// limit returns the least value of a bucket of the slot that triggers upwards.
func (k baseline) limit(s *scratch, slots []byte, slot uint64) rules.Decimal {
	sp, samples := k.spread(s, slots, slot)
	if samples < k.samples {
		return noLimit
	}
	high, _, _ := sp.limits(k.deviation)
	if high.Less(k.least) {
		return k.least
	}
	return high
}

// crosses reports whether the open bucket has crossed its limit upwards, so that its latest pane will trigger at its
// end.
func (k baseline) crosses(b *bucket) bool {
	return k.panesCount && b.items > 0 && !b.triggered && !k.value(b).Less(b.limit)
}

// paneEnd returns the end of the latest pane of the open bucket.
func (k baseline) paneEnd(b *bucket) schema.Instant {
	if b.pane == panesPerWindow-1 {
		return paneEnd(b.number, k.length)
	}
	return paneStart(b.number, k.length).Add(time.Duration((b.pane + 1) * k.pane))
}

func (k baseline) deadline(st []byte) (at schema.Instant, ok bool) {
	r := flat.NewReader(st)
	b := k.read(&r)
	switch {
	case b.items == 0:
		return 0, false
	case k.crosses(&b):
		return k.paneEnd(&b), true
	}
	return paneEnd(b.number, k.length), true
}

func (k baseline) fire(s *scratch, st []byte) {
	r := flat.NewReader(st)
	b := k.read(&r)
	events := r.Rest()
	if b.items == 0 {
		s.state = append(s.state, st...)
		return
	}
	if k.crosses(&b) {
		k.trigger(s, &b, events, k.paneEnd(&b), false)
		b.triggered = true
		s.state = append(k.append(s.state, &b), events...)
		return
	}
	if low := false; !b.triggered {
		if b.triggered, low = k.far(s, &b); b.triggered {
			k.trigger(s, &b, events, paneEnd(b.number, k.length), low)
		}
	}
	b.slots = k.learn(s, &b)
	b.items = 0
	s.state = k.append(s.state, &b)
}

func (k baseline) peek(s *scratch, st []byte) {
	r := flat.NewReader(st)
	if b := k.read(&r); k.crosses(&b) {
		k.trigger(s, &b, r.Rest(), k.paneEnd(&b), false)
	}
}

// far reports whether the value of a bucket that ends is far from those of its slot, in a direction that triggers at
// the end.
func (k baseline) far(s *scratch, b *bucket) (triggers, low bool) {
	value := k.value(b)
	if k.up && !k.panesCount && !value.Less(b.limit) {
		return true, false
	}
	sp, samples := k.spread(s, b.slots, k.slot(b.number))
	if !k.down || samples < k.samples || value.Less(k.least) {
		return false, false
	}
	_, most, ok := sp.limits(k.deviation)
	return ok && !most.Less(value), true
}

// trigger triggers with the open bucket as it is. events are the latest events of the State.
func (k baseline) trigger(s *scratch, b *bucket, events []byte, at schema.Instant, low bool) {
	r := flat.NewReader(events)
	s.events = readLatest(&r, s.events[:0])
	tr := &s.trigger
	tr.fired, tr.time, tr.first = true, at, paneStart(b.number, k.length)+schema.Instant(b.first)
	tr.count, tr.value = b.items, k.value(b)
	tr.events = s.events
	tr.amends = findSlot(b.slots, k.slot(b.number)).row+1 == rules.NewNormal
	s.detail = k.appendDetail(s, b, low, tr.amends)
	tr.detail = s.detail
}

func (k baseline) span() time.Duration { return k.forget }

func (k baseline) expired(st []byte, w schema.Instant) bool {
	r := flat.NewReader(st)
	b := k.read(&r)
	return b.items == 0 && w.Reached(paneEnd(b.number, k.length), k.forget)
}

func (k baseline) check(st []byte) bool {
	r := flat.NewReader(st)
	b := k.read(&r)
	if b.items > 0 {
		readLatest(&r, nil)
		if k.of == rules.BaselineDistinct && (len(b.values) == 0 || int64(len(b.values)/item.ValueHashSize) > b.items) {
			return false
		}
	}
	return r.Done() && (b.items > 0 || len(b.slots) > 0) && k.checkSlots(b.slots)
}
