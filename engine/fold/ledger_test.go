package fold

import (
	"cmp"
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/aidr-engine/aidr/engine/flat"
	"github.com/aidr-engine/aidr/schema"
)

// TestLedger adds random items to a ledger and compares all that it holds with a list of what was brought.
func TestLedger(t *testing.T) {
	type brought struct {
		hash   uint64
		time   schema.Instant
		number int
		place  int
	}
	const within = 60
	random := rand.New(rand.NewPCG(1, 2))
	var u ledgerUpdate
	for _, different := range []int{40, 3000, 20_000} {
		var st []byte
		var want []brought // the oldest first
		now, left := schema.Instant(0), 0
		for number := range 150 {
			now += schema.Instant(random.IntN(3))
			var list []byte
			picked := map[uint64]int{}
			for place := range 1 + random.IntN(512) {
				picked[uint64(random.IntN(different))<<32] = place
			}
			for _, hash := range sortedKeys(picked) {
				list = binary.BigEndian.AppendUint64(list, hash)
				list = binary.BigEndian.AppendUint16(list, uint16(picked[hash]))
				want = slices.DeleteFunc(want, func(b brought) bool { return b.hash == hash })
				want = append(want, brought{hash, now, number, picked[hash]})
			}
			slices.SortFunc(want, func(a, b brought) int { return cmp.Or(cmp.Compare(a.number, b.number), cmp.Compare(a.place, b.place)) })
			want = slices.DeleteFunc(want, func(b brought) bool { return now-b.time >= within })
			wantGone := max(0, len(want)-maxLedger)
			want = want[wantGone:]
			left += wantGone

			r := flat.NewReader(st)
			l := ledger{}
			if st != nil {
				l = readLedger(&r)
			}
			var gone int
			st, gone = u.add(nil, l, string(list), now, within)
			r = flat.NewReader(st)
			l = readLedger(&r)
			if !r.Done() || !l.valid() || gone != wantGone || l.len() != len(want) {
				t.Fatalf("item %d: well formed %t, valid %t, %d gone, want %d, %d values, want %d",
					number, r.Done(), l.valid(), gone, wantGone, l.len(), len(want))
			}
			for _, b := range want {
				if at, ok := l.find(b.hash, now, within); !ok || l.item(at).time != b.time {
					t.Fatalf("item %d: value %x of item %d: got %t", number, b.hash, b.number, ok)
				}
			}
		}
		if different == 20_000 && left == 0 {
			t.Error("the limit was not reached")
		}
	}
}

func sortedKeys(m map[uint64]int) (keys []uint64) {
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
