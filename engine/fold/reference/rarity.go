package reference

import (
	"encoding/binary"
	"math/big"

	"github.com/aidr-engine/aidr/rules"
	"github.com/aidr-engine/aidr/schema"
)

// paneNumber returns the number of the pane of that length that contains t.
func paneNumber(t schema.Instant, length int64) int64 {
	return new(big.Int).Div(big.NewInt(int64(t)), big.NewInt(length)).Int64() // Euclidean: rounds down
}

// rarity: item e triggers if at least min_samples items came before it in its pane and the 64 before, and its value
// made up less than the share of them. A value that has left is counted from its next item on.
func rarity(r *rules.Rule, items []indexed, _ schema.Instant) (all []trigger) {
	y := r.Rarity
	length := int64(y.History) / 64
	number := make([]int64, len(items))
	for i, it := range items {
		number[i] = paneNumber(it.Time, length)
	}
	left := map[string]int{} // value -> the number of items with which it left
	from := 0
	for i, e := range items {
		for number[from] < number[i]-64 {
			from++
		}
		count := map[string]int64{}
		latest := map[string]int{}
		for j := from; j < i; j++ {
			if v := items[j].Data[:8]; j >= left[v] {
				count[v]++
				latest[v] = j
			}
		}
		value, before := e.Data[:8], int64(i-from)
		part := big.NewRat(count[value], max(1, before))
		if before >= y.MinSamples && part.Cmp(big.NewRat(y.Share, 1e9)) < 0 {
			tr := triggerOf(e, nil)
			tr.text = e.Data[8:]
			tr.value = decimal(new(big.Int).Div(new(big.Int).Mul(part.Num(), big.NewInt(1e9)), part.Denom()))
			b := binary.AppendUvarint(nil, uint64(count[value]))
			b = binary.AppendUvarint(b, uint64(before))
			tr.detail = string(binary.BigEndian.AppendUint64(b, uint64(number[from]*length)))
			all = append(all, tr)
		}
		if _, known := count[value]; known || len(count) < y.MaxValues {
			continue
		}
		rarest := ""
		for v := range count {
			if rarest == "" || count[v] < count[rarest] || count[v] == count[rarest] && latest[v] < latest[rarest] {
				rarest = v
			}
		}
		left[rarest] = i + 1
	}
	return all
}
