package fold_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/aidr-engine/aidr/engine/fold"
	"github.com/aidr-engine/aidr/rules"
	"github.com/aidr-engine/aidr/schema"
)

// steady returns a cell and what feeds it one item a second, a minute behind which the watermark follows.
func steady(r *rules.Rule) (c *fold.Cell, feed func()) {
	c = fold.NewCell(fold.NewProgram(r), "a\x00\x01")
	c.Advance(0)
	evidence := string(make([]byte, 200))
	values := [5]string{}
	for i := range values {
		values[i] = data(r, i)
	}
	i := 0
	items := make([]fold.Item, 100) // more than are pending at a time
	return c, func() {
		it := &items[i%len(items)]
		*it = at(i, uint64(i))
		it.Data, it.Evidence = values[i%5], evidence
		if r.Sequence != nil && i%2 == 1 {
			it.Roles, it.Role = 2, 2
		}
		c.Add(it)
		c.Advance(int64(i-60) * 1e9)
		i++
	}
}

// TestCellAllocates: an item costs no allocation once its group is open and its key known.
func TestCellAllocates(t *testing.T) {
	if underRace {
		t.Skip("under the race detector scratch is allocated anew at random")
	}
	for _, r := range kinds() {
		r.GroupFor = 365 * 24 * time.Hour
		if q := r.Sequence; q != nil {
			q.Unless = false
		}
		if r.NewValue != nil {
			r.NewValue.MaxValues = 10
		}
		c, feed := steady(r)
		for range 2000 {
			feed()
		}
		c.Cut(1, func(*schema.Finding) {})
		got := testing.AllocsPerRun(1000, feed)
		// A pane that triggers brings the latest events of it, as texts of their own.
		want := 0.0
		if r.Threshold != nil && (r.Threshold.Sum != nil || r.Threshold.Ratio != nil) {
			want = 1
		}
		if got > want {
			t.Errorf("%s %+v: %v allocations for an item, want %v", r.Kind, r.Threshold, got, want)
		}
		if got := testing.AllocsPerRun(100, func() { c.Cut(2, func(*schema.Finding) {}); c.Advance(c.Mark() + 1); c.Cut(2, nil) }); got > 0 && r.Threshold == nil {
			t.Errorf("%s: %v allocations for a cut without changes", r.Kind, got)
		}
	}
}

// BenchmarkCell measures one item, added and moved into base:
//
//	go test ./engine/fold -run '^$' -bench Cell -count 6
func BenchmarkCell(b *testing.B) {
	for _, r := range kinds() {
		name := string(r.Kind)
		if t := r.Threshold; t != nil {
			name = fmt.Sprintf("%s/count=%d,sum=%t,ratio=%t", name, t.Count, t.Sum != nil, t.Ratio != nil)
		}
		b.Run(name, func(b *testing.B) {
			r.GroupFor = 365 * 24 * time.Hour
			_, feed := steady(r)
			b.ReportAllocs()
			for b.Loop() {
				feed()
			}
		})
	}
}

// BenchmarkRefold measures what one straggler costs a cell with 10,000 pending items: live is folded again from base,
// once for each Cut.
func BenchmarkRefold(b *testing.B) {
	for _, r := range kinds() {
		r.GroupFor = 365 * 24 * time.Hour
		name := string(r.Kind)
		if t := r.Threshold; t != nil {
			name = fmt.Sprintf("%s/count=%d,sum=%t,ratio=%t", name, t.Count, t.Sum != nil, t.Ratio != nil)
		}
		b.Run(name, func(b *testing.B) {
			c := fold.NewCell(fold.NewProgram(r), "a\x00\x01")
			c.Advance(0)
			const pending = 10_000
			for i := range pending {
				it := at(0, uint64(i))
				it.Time, it.Data, it.Evidence = int64(i+1)*1e8, data(r, i), string(make([]byte, 200))
				c.Add(&it)
			}
			i := uint64(pending)
			for b.Loop() {
				it := at(0, i)
				it.Time, it.Data = 1e8/2, data(r, 0)
				c.Add(&it)
				c.Findings(func(*schema.Finding) {})
				i++
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/pending, "ns/item")
		})
	}
}

// BenchmarkStateBytes reports how large a cell of one key is, with ten items in the window whose evidence is 200 bytes.
func BenchmarkStateBytes(b *testing.B) {
	for _, r := range kinds() {
		name := string(r.Kind)
		if t := r.Threshold; t != nil {
			r.Threshold.Count *= 100
			name = fmt.Sprintf("%s/count=%d,sum=%t,ratio=%t", name, t.Count, t.Sum != nil, t.Ratio != nil)
		}
		b.Run(name, func(b *testing.B) {
			c := fold.NewCell(fold.NewProgram(r), "a\x00\x01")
			for i := range 10 {
				it := at(i, uint64(i))
				it.Data, it.Evidence = data(r, i), string(make([]byte, 200))
				c.Add(&it)
			}
			c.Advance(10e9)
			n := 0
			for b.Loop() {
				n = len(c.Append(nil))
			}
			b.ReportMetric(float64(n), "B/cell")
		})
	}
}
