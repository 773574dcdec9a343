package reference

import (
	"encoding/binary"
	"math/big"
	"slices"
	"time"

	"github.com/aidr-engine/aidr/rules"
	"github.com/aidr-engine/aidr/schema"
)

// baselineSlot is the memory of a slot: the values that were learnt, and those of the latest buckets in a row that
// triggered. Values are in units of 10^-9.
type baselineSlot struct{ learnt, row []*big.Rat }

// baseline: a bucket with items triggers if its value is far from those learnt in its slot. Upwards, the first pane
// with which count, sum or distinct is far triggers, before the end of the pane; otherwise the bucket does, at its end.
func baseline(r *rules.Rule, items []indexed, end schema.Instant) (all []trigger) {
	l := r.Baseline
	length := int64(l.Bucket)
	slots := map[uint64]*baselineSlot{}
	var since, last schema.Instant
	for len(items) > 0 {
		number, n := paneNumber(items[0].Time, length), 0
		for n < len(items) && paneNumber(items[n].Time, length) == number {
			n++
		}
		in := items[:n]
		items = items[n:]
		start, bucketEnd := schema.Instant(number*length), schema.Instant((number+1)*length)
		if len(slots) > 0 && in[0].Time-last >= schema.Instant(l.Forget) {
			clear(slots)
		}
		if len(slots) == 0 {
			since = in[0].Time
		}
		last = bucketEnd
		at := slotOf(l.Season, start)
		slot := slots[at]
		if slot == nil {
			slot = &baselineSlot{}
		}
		triggered := false
		fire := func(until int, t schema.Instant, low bool) {
			if triggered {
				return
			}
			f := far(l, slot.learnt, bucketValue(l, in[:until]), low)
			if triggered = f != nil; !triggered {
				return
			}
			f = append(binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, uint64(start)), uint64(since)), f...)
			f = binary.AppendUvarint(binary.AppendUvarint(f, uint64(len(slot.learnt))), at)
			flags := byte(0)
			if low {
				flags = 1
			}
			tr := trigger{
				time: t, index: in[until-1].index, deadline: true, first: in[0].Time, count: int64(until), value: decimal(bucketValue(l, in[:until])),
				opening: eventsOf(last5(in[:until])), joining: eventsOf(last5(in[:until])), subject: subjectOf(in[until-1]),
			}
			if tr.amends = len(slot.row) == 6; tr.amends {
				flags |= 2
			}
			tr.detail = string(append(f, flags))
			all = append(all, tr)
		}
		atEnd := l.Of == rules.BaselineRatio
		if pane := max(1, length/64); l.Direction != rules.DirectionDown && !atEnd {
			for i := range in {
				if k := paneNumber(in[i].Time, pane); i+1 == n || paneNumber(in[i+1].Time, pane) != k {
					fire(i+1, schema.Instant((k+1)*pane), false)
				}
			}
		}
		if bucketEnd <= end && atEnd && l.Direction != rules.DirectionDown {
			fire(n, bucketEnd, false)
		}
		if bucketEnd <= end && l.Direction != rules.DirectionUp {
			fire(n, bucketEnd, true)
		}
		value := new(big.Rat).SetInt(bucketValue(l, in))
		if !triggered {
			slot.learnt, slot.row = append(slot.learnt, value), nil
		} else if slot.row = append(slot.row, value); len(slot.row) == 7 {
			slot.learnt, slot.row = append(slot.learnt, slot.row...), nil
		}
		slot.learnt = slot.learnt[max(0, len(slot.learnt)-l.History):]
		slots[at] = slot
	}
	return all
}

func last5(items []indexed) []indexed { return last(items, 5) }

// slotOf returns the hour of the day or of the week, which begins on Monday.
func slotOf(s rules.Season, start schema.Instant) uint64 {
	t := time.Unix(0, int64(start)).UTC()
	switch s {
	case rules.SeasonHourOfDay:
		return uint64(t.Hour())
	case rules.SeasonHourOfWeek:
		return uint64((int(t.Weekday())+6)%7*24 + t.Hour())
	}
	return 0
}

// bucketValue returns the value of a bucket with the items, in units of 10^-9.
func bucketValue(l *rules.Baseline, in []indexed) *big.Int {
	sum, trues, values := new(big.Int), int64(0), map[string]bool{}
	for _, it := range in {
		switch l.Of {
		case rules.BaselineSum:
			sum.Add(sum, new(big.Int).SetBytes([]byte(it.Data)))
		case rules.BaselineRatio:
			trues += int64(it.Data[0])
		case rules.BaselineDistinct:
			values[it.Data[:8]] = true
		}
	}
	switch l.Of {
	case rules.BaselineSum:
		return sum
	case rules.BaselineRatio:
		return sum.Div(big.NewInt(trues*1e9), big.NewInt(int64(len(in))))
	case rules.BaselineDistinct:
		return big.NewInt(int64(min(len(values), 1024)) * 1e9)
	}
	return big.NewInt(int64(len(in)) * 1e9)
}

// far returns the numbers of a trigger if the value is far from those learnt, else nil: the value, the limit, and in
// quarters the median and the MAD, each as two uvarints.
func far(l *rules.Baseline, learnt []*big.Rat, value *big.Int, low bool) (numbers []byte) {
	v := new(big.Rat).SetInt(value)
	least := rat(l.MinValue)
	if len(learnt) < l.MinSamples || v.Cmp(least) < 0 {
		return nil
	}
	m := medianOf(learnt)
	var distances []*big.Rat
	for _, x := range learnt {
		d := new(big.Rat).Sub(x, m)
		distances = append(distances, d.Abs(d))
	}
	mad := medianOf(distances)
	scale := new(big.Rat).Mul(mad, big.NewRat(14826, 10000))
	for _, s := range []*big.Rat{new(big.Rat).Mul(m, big.NewRat(5, 100)), big.NewRat(1, 1)} {
		if scale.Cmp(s) < 0 {
			scale = s
		}
	}
	distance := new(big.Rat).Mul(scale, new(big.Rat).Quo(rat(l.Deviation), big.NewRat(1e9, 1)))
	limit := new(big.Int)
	if low {
		bound := new(big.Rat).Sub(m, distance)
		if v.Cmp(bound) > 0 {
			return nil
		}
		limit.Div(bound.Num(), bound.Denom())
	} else {
		bound := new(big.Rat).Add(m, distance)
		if v.Cmp(bound) < 0 {
			return nil
		}
		if bound.Cmp(least) < 0 {
			bound = least
		}
		limit.Neg(limit.Div(new(big.Int).Neg(bound.Num()), bound.Denom())) // rounds up
	}
	four := big.NewRat(4, 1)
	for _, n := range []*big.Int{value, limit, new(big.Rat).Mul(m, four).Num(), new(big.Rat).Mul(mad, four).Num()} {
		d := decimal(n)
		numbers = binary.AppendUvarint(binary.AppendUvarint(numbers, uint64(d.Hi)), d.Lo)
	}
	return numbers
}

func rat(d rules.Decimal) *big.Rat {
	return new(big.Rat).SetInt(new(big.Int).Add(new(big.Int).Lsh(big.NewInt(d.Hi), 64), new(big.Int).SetUint64(d.Lo)))
}

func medianOf(values []*big.Rat) *big.Rat {
	values = slices.Clone(values)
	slices.SortFunc(values, func(a, b *big.Rat) int { return a.Cmp(b) })
	n := len(values)
	sum := new(big.Rat).Add(values[(n-1)/2], values[n/2])
	return sum.Mul(sum, big.NewRat(1, 2))
}
