package reference

import (
	"encoding/binary"
	"math/big"
	"slices"
	"time"

	"github.com/aidr-engine/aidr/rules"
	"github.com/aidr-engine/aidr/schema"
)

// none: every item triggers.
func none(items []indexed) (all []trigger) {
	for _, e := range items {
		all = append(all, triggerOf(e, nil))
	}
	return all
}

// window returns the items in (e.time-within, e.time] before e, where e is the last of items.
func window(items []indexed, within time.Duration) []indexed {
	e, from := items[len(items)-1], 0
	for e.Time-items[from].Time >= schema.Instant(within) {
		from++
	}
	return slices.Clone(items[from : len(items)-1])
}

// last returns the last n items.
func last(items []indexed, n int) []indexed { return items[max(0, len(items)-n):] }

// ring: item e triggers if its window, e included, has at least count items. The window has at most the 256 latest
// items, and the 5 latest are known for evidence.
func ring(t *rules.Threshold, items []indexed) (all []trigger) {
	for i, e := range items {
		in := last(window(items[:i+1], t.Within), 255)
		if n := int64(len(in) + 1); n >= t.Count {
			tr := triggerOf(e, last(in, 4))
			tr.count, tr.value = n, rules.Decimal{Lo: uint64(n)}
			if len(in) > 0 {
				tr.first = in[0].Time
			}
			all = append(all, tr)
		}
	}
	return all
}

// panes: a pane with an item is evaluated as a whole at its end, over its items and those of the 64 panes before it. A
// pane whose count or sum, which only grow, reaches the threshold is known to trigger before its end.
func panes(t *rules.Threshold, items []indexed, end schema.Instant) (all []trigger) {
	length := int64(t.Within) / 64
	number := make([]int64, len(items))
	for i, it := range items {
		number[i] = new(big.Int).Div(big.NewInt(int64(it.Time)), big.NewInt(length)).Int64() // Euclidean: rounds down
	}
	for i, e := range items {
		k := number[i]
		if i+1 < len(items) && number[i+1] == k {
			continue // e is not the last of its pane
		}
		paneEnd := schema.Instant((k + 1) * length)
		if t.Ratio != nil && paneEnd > end {
			continue
		}
		var in, own []indexed
		for j, it := range items[:i+1] {
			if number[j] >= k-64 {
				in = append(in, it)
			}
			if number[j] == k {
				own = append(own, it)
			}
		}
		value, ok := evaluate(t, in)
		if !ok {
			continue
		}
		all = append(all, trigger{
			time: paneEnd, index: e.index, deadline: true, first: in[0].Time, count: int64(len(in)), added: int64(len(own)),
			value: value, opening: eventsOf(last(in, 5)), joining: eventsOf(last(own, 5)), subject: subjectOf(e),
		})
	}
	return all
}

// evaluate returns the value of the window's items and whether it reaches the threshold.
func evaluate(t *rules.Threshold, in []indexed) (value rules.Decimal, ok bool) {
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

// distinct: item e triggers if its window, e included, has at least count different values. The max(64, 4 x count)
// values seen last are known.
func distinct(d *rules.Distinct, items []indexed) (all []trigger) {
	for i, e := range items {
		in := append(window(items[:i+1], d.Within), e)
		var values []string  // the last one first
		var latest []indexed // the latest item of each
		for j := len(in) - 1; j >= 0; j-- {
			for data := in[j].Data; len(data) >= 8; data = data[8:] {
				if value := data[:8]; !slices.Contains(values, value) && len(values) < max(64, 4*d.Count) {
					values, latest = append(values, value), append(latest, in[j])
				}
			}
		}
		if n := len(latest); n >= d.Count {
			tr := triggerOf(e, last(in[:len(in)-1], 4))
			tr.count, tr.value, tr.first = int64(n), rules.Decimal{Lo: uint64(n)}, latest[n-1].Time
			all = append(all, tr)
		}
	}
	return all
}

// newValue: item e triggers if the key's set does not have its value and the key's first item is at least learn older, or
// if the value's first trigger is less than hold ago.
func newValue(n *rules.NewValue, items []indexed) (all []trigger) {
	var set []indexed                            // the latest item of each value, the oldest first
	firstTriggers := map[string]schema.Instant{} // of the values of set that triggered
	var first schema.Instant
	keep := func(kept []indexed) {
		for _, o := range set {
			if !slices.ContainsFunc(kept, func(k indexed) bool { return k.index == o.index }) {
				delete(firstTriggers, o.Data[:8])
			}
		}
		set = kept
	}
	for _, e := range items {
		value := e.Data[:8]
		keep(slices.DeleteFunc(slices.Clone(set), func(o indexed) bool { return e.Time-o.Time >= schema.Instant(n.Forget) }))
		if len(set) == 0 {
			first = e.Time
		}
		at := slices.IndexFunc(set, func(o indexed) bool { return o.Data[:8] == value })
		since, held := firstTriggers[value]
		held = held && e.Time-since < schema.Instant(n.Hold)
		if at < 0 && e.Time-first >= schema.Instant(n.Learn) || held {
			tr := triggerOf(e, nil)
			tr.known, tr.knownSince, tr.text = int64(len(set)), first, e.Data[8:]
			if held {
				tr.known--
				tr.detail = string(binary.BigEndian.AppendUint64(nil, uint64(since)))
			} else {
				firstTriggers[value] = e.Time
			}
			all = append(all, tr)
		}
		if at >= 0 {
			set = slices.Delete(set, at, at+1)
		}
		set = append(set, e)
		keep(slices.Clone(last(set, n.MaxValues)))
	}
	return all
}
