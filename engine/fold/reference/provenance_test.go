package reference_test

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"

	"github.com/aidr-engine/aidr/engine/item"
	"github.com/aidr-engine/aidr/rules"
)

func drawProvenance(t *rapid.T, r *rules.Rule) {
	r.Provenance = &rules.Provenance{Within: duration(t, "within", 1, 20)}
	r.Roles = nil
	for i, name := range []string{"known", "from", "into"} {
		r.Roles = append(r.Roles, rules.Role{Name: name, Order: uint16(i + 1), Key: r.Key, Excepted: i == 0})
	}
}

// provenanceData chooses the Data of an item of a provenance: most texts have at most 4 values. Above 100 values, a text
// has up to 512 of them.
func provenanceData(choose chooser, roles uint32, values int) string {
	var data []byte
	for role, name := range []string{"", "tool", ""} {
		if roles&(1<<role) == 0 {
			continue
		}
		n, from := choose("values", 5), 0
		if values > 100 && choose("long", 3) == 0 {
			n = 512
		}
		picked := map[int]bool{}
		for len(picked) < min(n, values) {
			if from = choose("value", values); picked[from] {
				from = (from + 1) % values
			}
			picked[from] = true
		}
		flags := byte(choose("cut", 4) / 3)
		var list []byte
		place := n
		for v := range values {
			if !picked[v] {
				continue
			}
			hash := binary.BigEndian.AppendUint64(nil, uint64(v)*3)
			if role == rules.ProvenanceInto {
				list = append(append(list, hash...), text(fmt.Sprint("a", v%3), fmt.Sprint("value", v))...)
				continue
			}
			place--
			list = binary.BigEndian.AppendUint16(append(list, hash...), uint16((place*7)%512))
		}
		if role == rules.ProvenanceInto {
			data = append(binary.AppendUvarint(append(data, flags), uint64(len(picked))), list...)
		} else {
			data = item.AppendBrought(data, name, flags, list)
		}
	}
	return string(data)
}

func TestProvenanceIsAsWritten(t *testing.T) { property(t, rules.KindProvenance) }

// TestProvenanceLimitsAreAsWritten has so many values, and items that bring them, that State holds only the latest.
func TestProvenanceLimitsAreAsWritten(t *testing.T) {
	fewer(t, 20, func() {
		rapid.Check(t, func(t *rapid.T) {
			r := drawRule(t, rules.KindProvenance)
			r.Provenance.Within = duration(t, "within", 100, 400)
			values := rapid.SampledFrom([]int{60, 9000}).Draw(t, "values")
			random := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
			choose := func(_ string, n int) int { return random.IntN(n) }
			var items []item.Item
			for range rapid.IntRange(50, 150).Draw(t, "items") {
				it := drawItem(choose, r, 500, values)
				it.ID[1] = byte(random.IntN(256))
				it.Key = "a\x00\x01x\x00\x01"
				it.Group = it.Key[:len(it.Key)/len(r.Key)*len(r.GroupBy)]
				items = append(items, it)
			}
			drive(t, r, items, 500, 400)
		})
	})
}
