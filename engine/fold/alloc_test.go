package fold_test

import (
	"fmt"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aidr-engine/aidr/engine/fold"
	"github.com/aidr-engine/aidr/engine/item"
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
	items := make([]item.Item, 100) // more than are pending at a time
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

// TestStateOutlivesItems: the bytes of an item stand in one piece of memory with those of others. What is kept of it when
// it has moved into base, a key, a group, an event to show, must not keep the piece alive.
func TestStateOutlivesItems(t *testing.T) {
	const cells, piece = 300, 64 << 10
	for _, r := range kinds() {
		p := fold.NewProgram(r)
		var kept []*fold.Cell
		before := heap()
		for n := range cells {
			c := fold.NewCell(p, strconv.Itoa(n))
			c.Advance(0)
			for i := range 6 {
				it := at(i, uint64(i))
				own := strings.Repeat("x", piece) + it.Key + data(r, i) + "who is it and what was done"
				it.Key, own = own[piece:piece+len(it.Key)], own[piece+len(it.Key):]
				it.Group = it.Key
				it.Data, it.Evidence = own[:len(data(r, i))], own[len(data(r, i)):]
				if r.Sequence != nil && i%2 == 1 {
					it.Roles, it.Role = 2, 2
				}
				c.Add(&it)
			}
			c.Cut(0, func(*schema.Finding) {})
			c.Advance(10e9)
			c.Cut(0, func(*schema.Finding) {})
			kept = append(kept, c)
		}
		if each := (heap() - before) / cells; each > piece/4 {
			t.Errorf("%s: a cell keeps %d bytes alive, want far less than the %d that its items share with others", r.Kind, each, piece)
		}
		runtime.KeepAlive(kept)
	}
}

// heap returns how many bytes are alive.
func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
