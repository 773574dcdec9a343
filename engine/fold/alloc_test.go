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

// steady returns a cell, and a function that adds an item, one second after the last, and lets the watermark follow a
// minute behind.
func steady(r *rules.Rule) (c *fold.Cell, feed func()) {
	c = fold.NewCell(fold.NewProgram(r), "a\x00\x01")
	c.Advance(0)
	evidence := string(make([]byte, 200))
	values := [5]string{}
	for i := range values {
		values[i] = data(r, i)
	}
	i := 0
	items := make([]item.Item, 100) // more than are ever pending
	return c, func() {
		it := &items[i%len(items)]
		*it = at(i, uint64(i))
		it.Data, it.Evidence = values[i%5], evidence
		if r.Provenance != nil {
			allRoles(r, it)
		} else if len(r.Roles) > 1 {
			setRoles(r, it, 1+uint32(i%2))
		}
		c.Add(it)
		c.Advance(schema.Instant(i-60) * 1e9)
		i++
	}
}

// TestCellAllocates checks that an item costs no allocation once its group is open and its key known.
func TestCellAllocates(t *testing.T) {
	if underRace {
		t.Skip("under the race detector a sync.Pool drops items at random, so scratch is allocated again")
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
		c.Emit(1, func(*schema.Finding) {})
		got := testing.AllocsPerRun(1000, feed)
		// A pane or a deadline that triggers adds copies of its events to the group.
		want := 0.0
		if r.Absence != nil || r.Threshold != nil && (r.Threshold.Sum != nil || r.Threshold.Ratio != nil) {
			want = 1
		}
		if got > want {
			t.Errorf("%s %+v: %v allocations for an item, want %v", r.Kind, r.Threshold, got, want)
		}
		idle := func() {
			c.Emit(2, func(*schema.Finding) {})
			c.Advance(c.Watermark() + 1)
			c.Emit(2, nil)
		}
		if got := testing.AllocsPerRun(100, idle); got > 0 && r.Threshold == nil {
			t.Errorf("%s: %v allocations for an Emit without changes", r.Kind, got)
		}
	}
}

// BenchmarkCell measures adding one item and moving it into base.
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

// BenchmarkRefold measures the cost of one item out of order in a cell with 10,000 pending items: live is folded again
// from base, once per Emit.
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
				it.Time, it.Data, it.Evidence = schema.Instant(i+1)*1e8, data(r, i), string(make([]byte, 200))
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

// BenchmarkStateBytes reports the size of a cell with one key and ten items in the window, each with 200 bytes of
// evidence.
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

// TestStateOutlivesItems checks that State does not keep the memory of items alive. An item shares one allocation with
// many others, so the keys, groups and events in base must be copies.
func TestStateOutlivesItems(t *testing.T) {
	const cells, chunk = 300, 64 << 10
	for _, r := range kinds() {
		p := fold.NewProgram(r)
		var kept []*fold.Cell
		before := heap()
		for n := range cells {
			c := fold.NewCell(p, strconv.Itoa(n))
			c.Advance(0)
			for i := range 6 {
				it := at(i, uint64(i))
				bytes := strings.Repeat("x", chunk) + it.Key + data(r, i) + "the evidence of this event"
				it.Key, bytes = bytes[chunk:chunk+len(it.Key)], bytes[chunk+len(it.Key):]
				it.Group = it.Key
				it.Data, it.Evidence = bytes[:len(data(r, i))], bytes[len(data(r, i)):]
				if len(r.Roles) > 1 {
					setRoles(r, &it, 1+uint32(i%2))
				}
				allRoles(r, &it)
				c.Add(&it)
			}
			c.Emit(0, func(*schema.Finding) {})
			c.Advance(10e9)
			c.Emit(0, func(*schema.Finding) {})
			kept = append(kept, c)
		}
		if each := (heap() - before) / cells; each > chunk/4 {
			t.Errorf("%s: a cell keeps %d bytes alive, want far less than the %d that its items share with others", r.Kind, each, chunk)
		}
		runtime.KeepAlive(kept)
	}
}

// heap returns the number of bytes alive.
func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
