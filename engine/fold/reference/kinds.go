package reference

import (
	"encoding/binary"
	"math/big"
	"slices"

	"github.com/aidr-engine/aidr/rules"
)

// none: every item triggers.
func none(items []placed) (all []trigger) {
	for _, e := range items {
		all = append(all, byItem(e, nil))
	}
	return all
}

// window returns the items in (e.time-within, e.time] up to e, the last of items, without e.
func window(items []placed, within int64) []placed {
	e, from := items[len(items)-1], 0
	for e.Time-items[from].Time >= within {
		from++
	}
	return slices.Clone(items[from : len(items)-1])
}

// last returns the last n items.
func last(items []placed, n int) []placed { return items[max(0, len(items)-n):] }

// ring: e triggers when the items in its window number at least count. At most 256 of them are seen; the last 5 are
// known for evidence.
func ring(t *rules.Threshold, items []placed) (all []trigger) {
	for i, e := range items {
		in := last(window(items[:i+1], int64(t.Within)), 255)
		if n := int64(len(in) + 1); n >= t.Count {
			tr := byItem(e, last(in, 4))
			tr.count, tr.value = n, rules.Decimal{Lo: uint64(n)}
			if len(in) > 0 {
				tr.first = in[0].Time
			}
			all = append(all, tr)
		}
	}
	return all
}

// panes: a pane with an item is judged as a whole at its end, over it and the 64 before it; a count or a sum, which can
// only grow, also before its end.
func panes(t *rules.Threshold, items []placed, end int64) (all []trigger) {
	size := int64(t.Within) / 64
	number := make([]int64, len(items))
	for i, it := range items {
		number[i] = new(big.Int).Div(big.NewInt(it.Time), big.NewInt(size)).Int64() // Euclidean: rounds down
	}
	for i, e := range items {
		k := number[i]
		if i+1 < len(items) && number[i+1] == k {
			continue // e is not the last of its pane
		}
		if t.Ratio != nil && (k+1)*size > end {
			continue
		}
		var in, own []placed
		for j, it := range items[:i+1] {
			if number[j] >= k-64 {
				in = append(in, it)
			}
			if number[j] == k {
				own = append(own, it)
			}
		}
		value, ok := judge(t, in)
		if !ok {
			continue
		}
		known := last(in, 5)
		all = append(all, trigger{
			time: (k + 1) * size, place: e.place, deadline: true, first: in[0].Time, count: int64(len(in)), more: int64(len(own)),
			value: value, brings: shown(known), joins: shown(last(own, 5)), who: who(e),
		})
	}
	return all
}

// judge returns the value of the window's items and whether it crosses.
func judge(t *rules.Threshold, in []placed) (value rules.Decimal, ok bool) {
	n := big.NewInt(int64(len(in)))
	sum, trues := new(big.Int), new(big.Int)
	for _, it := range in {
		if len(it.Data) == 16 {
			sum.Add(sum, new(big.Int).SetBytes([]byte(it.Data)))
		}
		if it.Data == "\x01" {
			trues.Add(trues, big.NewInt(1))
		}
	}
	switch {
	case t.Sum != nil:
		least := new(big.Int).Lsh(big.NewInt(t.Sum.AtLeast.Hi), 64)
		least.Add(least, new(big.Int).SetUint64(t.Sum.AtLeast.Lo))
		return decimal(sum), sum.Cmp(least) >= 0
	case t.Ratio != nil:
		scaled := new(big.Int).Mul(trues, big.NewInt(1e9))
		need := new(big.Int).Mul(n, big.NewInt(t.Ratio.AtLeast))
		return decimal(new(big.Int).Div(scaled, n)), int64(len(in)) >= t.Ratio.Min && scaled.Cmp(need) >= 0
	}
	return decimal(n), int64(len(in)) >= t.Count
}

func decimal(n *big.Int) rules.Decimal {
	var b [16]byte
	n.FillBytes(b[:])
	return rules.Decimal{Hi: int64(binary.BigEndian.Uint64(b[:])), Lo: binary.BigEndian.Uint64(b[8:])}
}

// distinct: e triggers when the values seen in its window number at least count; of more than max(64, 4 x count) the
// latest seen are known.
func distinct(d *rules.Distinct, items []placed) (all []trigger) {
	for i, e := range items {
		in := append(window(items[:i+1], int64(d.Within)), e)
		var latest []placed // of each value the latest item, the last seen first
		for j := len(in) - 1; j >= 0 && len(latest) < max(64, 4*d.Count); j-- {
			if !slices.ContainsFunc(latest, func(o placed) bool { return o.Data == in[j].Data }) {
				latest = append(latest, in[j])
			}
		}
		if n := len(latest); n >= d.Count {
			tr := byItem(e, last(in[:len(in)-1], 4))
			tr.count, tr.value, tr.first = int64(n), rules.Decimal{Lo: uint64(n)}, latest[n-1].Time
			all = append(all, tr)
		}
	}
	return all
}

// newValue: e triggers when its value is not in the key's set and the key's first item is at least learn older.
func newValue(n *rules.NewValue, items []placed) (all []trigger) {
	var set []placed // of each value the latest item, the one seen longest ago first
	var first int64
	for _, e := range items {
		value := e.Data[:8]
		set = slices.DeleteFunc(set, func(o placed) bool { return e.Time-o.Time >= int64(n.Forget) })
		if len(set) == 0 {
			first = e.Time
		}
		at := slices.IndexFunc(set, func(o placed) bool { return o.Data[:8] == value })
		if at < 0 && e.Time-first >= int64(n.Learn) {
			tr := byItem(e, nil)
			tr.known, tr.from, tr.text = int64(len(set)), first, e.Data[8:]
			all = append(all, tr)
		}
		if at >= 0 {
			set = slices.Delete(set, at, at+1)
		}
		set = last(append(set, e), n.MaxValues)
	}
	return all
}
