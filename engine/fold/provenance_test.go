package fold_test

import (
	"encoding/binary"
	"fmt"
	"testing"
	"time"

	"github.com/aidr-engine/aidr/engine/capture/capturetest"
	"github.com/aidr-engine/aidr/engine/flat"
	"github.com/aidr-engine/aidr/engine/fold"
	"github.com/aidr-engine/aidr/engine/item"
	"github.com/aidr-engine/aidr/rules"
	"github.com/aidr-engine/aidr/schema"
)

// ofProvenance returns a rule of the kind.
func ofProvenance(within time.Duration) *rules.Rule {
	r := capturetest.Rule(rules.KindProvenance)
	r.Provenance = &rules.Provenance{Within: within}
	r.Roles = []rules.Role{
		{Name: "known", Order: 1, Key: r.Key, Excepted: true, Optional: true},
		{Name: "from", Order: 2, Key: r.Key},
		{Name: "into", Order: 3, Key: r.Key},
	}
	return r
}

// taking sets the roles of an item, and its data for them: known, from and into are the values that it makes known, brings
// and uses. The values of known and of from are ascending.
func taking(it *item.Item, known, from, into []uint64) {
	it.Roles, it.Role = 0, 0
	var data []byte
	for role, values := range [][]uint64{known, from} {
		if values == nil {
			continue
		}
		it.Roles |= 1 << role
		var list []byte
		for place, v := range values {
			list = binary.BigEndian.AppendUint64(list, v)
			list = binary.BigEndian.AppendUint16(list, uint16(place))
		}
		data = item.AppendBrought(data, [...]string{"", "tool"}[role], 0, list)
	}
	if into != nil {
		it.Roles |= 4
		data = binary.AppendUvarint(append(data, 0), uint64(len(into)))
		for _, v := range into {
			data = binary.BigEndian.AppendUint64(data, v)
			data = flat.AppendText(flat.AppendText(data, "argument"), fmt.Sprint("value ", v))
		}
	}
	for role := range 3 {
		if it.Role == 0 && it.Roles&(1<<role) != 0 {
			it.Role = uint16(role + 1)
		}
	}
	it.Data = string(data)
}

// provenanceItem returns the data of item i of a rule of provenance, which has all three roles: it makes one value known,
// brings two, and uses one, that is sometimes tainted.
func provenanceItem(i int) string {
	var it item.Item
	n := uint64(i)
	used := 100 + n%7
	if i%5 == 4 {
		used = (n + 2) % 5
	}
	taking(&it, []uint64{100 + n%7}, []uint64{n % 5, 50 + n%3}, []uint64{used})
	return it.Data
}

// allRoles gives an item all roles of its rule if that is one of provenance.
func allRoles(r *rules.Rule, it *item.Item) {
	if r.Provenance != nil {
		it.Roles, it.Role = 7, 1
	}
}

// TestProvenanceCountsItsLimits reaches each limit of a provenance.
func TestProvenanceCountsItsLimits(t *testing.T) {
	const most = rules.MaxBroughtValues
	some := func(from, n uint64) (list []uint64) {
		for i := range n {
			list = append(list, from+i)
		}
		return list
	}
	c := fold.NewCell(fold.NewProgram(ofProvenance(time.Hour)), "a\x00\x01")
	c.Advance(0)
	second := 0
	add := func(known, from, into []uint64) {
		it := at(second, uint64(second))
		taking(&it, known, from, into)
		c.Add(&it)
		second++
		c.Advance(schema.Instant(second) * 1e9)
	}
	add(nil, nil, []uint64{1})
	for i := range uint64(most / 512) {
		add(nil, some(i*512, 512), nil)
		add(some(1<<20+i*512, 512), nil, nil)
	}
	if got, want := c.TakeLimits(), (fold.Limits{Unjudged: 1}); got != want {
		t.Errorf("before the limit: got %+v, want %+v", got, want)
	}
	add(nil, some(most, 3), nil)
	add([]uint64{1 << 21}, nil, nil)
	if got, want := c.TakeLimits(), (fold.Limits{Brought: 4}); got != want {
		t.Errorf("above the limit: got %+v, want %+v", got, want)
	}
	add(nil, nil, some(0, 3))
	wantLines(t, emit(c))
	add(nil, nil, some(0, 4))
	wantLines(t, emit(c), fmt.Sprintf("open r1 start=%d last=%d count=1 value= evidence=2", second-1, second-1))
	if k := c.Keys(); len(k) != 1 || k[0].Values != most || k[0].Known != most {
		t.Errorf("got %+v", k)
	}
}

// BenchmarkProvenance measures an item of a key with many values: a result that brings 20, of which 10 are new, and a call
// that uses 5.
//
//	go test ./engine/fold -run '^$' -bench Provenance
func BenchmarkProvenance(b *testing.B) {
	for _, held := range []uint64{200, 1000, rules.MaxBroughtValues} {
		for _, name := range []string{"known", "from", "into"} {
			b.Run(fmt.Sprintf("values=%d/%s", held, name), func(b *testing.B) {
				c := fold.NewCell(fold.NewProgram(ofProvenance(1000*time.Hour)), "a\x00\x01")
				c.Advance(0)
				evidence := string(make([]byte, 600))
				random := uint64(1)
				hashes := func(n uint64) (list []uint64) {
					for i := range n {
						random = random*6364136223846793005 + 1442695040888963407
						list = append(list, i<<58|random>>6)
					}
					return list
				}
				second := 0
				var items []item.Item
				for range 2000 {
					it := at(0, 0)
					v := hashes(20)
					switch {
					case name == "into":
						taking(&it, nil, nil, v[:5])
					case name == "known":
						taking(&it, v, nil, nil)
					default:
						taking(&it, nil, v, nil)
					}
					it.Evidence = evidence
					items = append(items, it)
				}
				add := func(it *item.Item) {
					it.Time = schema.Instant(second) * 1e9
					binary.BigEndian.PutUint64(it.ID[:], uint64(second))
					c.Add(it)
					second++
					c.Advance(schema.Instant(second) * 1e9)
				}
				for n := uint64(0); n < held; n += 20 {
					it := at(0, 0)
					taking(&it, hashes(20), hashes(20), nil)
					it.Evidence = evidence
					add(&it)
				}
				full := c.Append(nil)
				i := 0
				b.ReportAllocs()
				for b.Loop() {
					if i%50 == 49 && held < rules.MaxBroughtValues {
						b.StopTimer()
						c, _ = fold.LoadCell(fold.NewProgram(ofProvenance(1000*time.Hour)), "a\x00\x01", full)
						b.StartTimer()
					}
					add(&items[i%len(items)])
					i++
				}
				b.ReportMetric(float64(len(full)), "B/cell")
			})
		}
	}
}
