package fold_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/aidr-engine/aidr/engine/fold"
	"github.com/aidr-engine/aidr/schema"
)

// TestLiveIsBaseAndPending: whatever was added, folded and moved in whatever order, live is what folding all pending
// items onto base gives, State for State.
func TestLiveIsBaseAndPending(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := kinds()
		r := all[rapid.IntRange(0, len(all)-1).Draw(t, "kind")]
		r.GroupFor = rapid.SampledFrom([]time.Duration{0, 5 * time.Second, 100 * time.Second}).Draw(t, "for")
		p := fold.NewProgram(r)
		c := fold.NewCell(p, "a\x00\x01")
		c.Advance(0)
		var added []fold.Item
		for i := range rapid.IntRange(1, 25).Draw(t, "operations") {
			switch rapid.IntRange(0, 3).Draw(t, "operation") {
			case 0:
				c.Cut(schema.Instant(i), func(*schema.Finding) {})
			case 1:
				c.Advance(c.Mark() + rapid.Int64Range(0, 20).Draw(t, "by")*1e9)
			default:
				it := at(rapid.IntRange(0, 70).Draw(t, "after"), uint64(i))
				it.Time += c.Mark()
				it.Key += rapid.SampledFrom([]string{"x\x00\x01", "y\x00\x01", "z\x00\x01"}).Draw(t, "key")
				it.Data = data(r, rapid.IntRange(0, 4).Draw(t, "data"))
				if r.Sequence != nil {
					it.Roles = uint32(rapid.IntRange(1, 7).Draw(t, "roles"))
				}
				added = append(added, it)
				c.Add(it)
			}
			if rapid.IntRange(0, 2).Draw(t, "looks") == 0 {
				continue
			}
			fresh, err := fold.LoadCell(p, "a\x00\x01", c.Append(nil))
			if err != nil {
				t.Fatal(err)
			}
			for _, it := range added {
				if it.Time >= c.Mark() {
					fresh.Add(it)
				}
			}
			if got, want := fold.Live(c), fold.Live(fresh); got != want {
				t.Fatalf("live is\n%s, but base and pending are\n%s", got, want)
			}
		}
	})
}
