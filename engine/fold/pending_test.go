package fold

import (
	"math/bits"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/aidr-engine/aidr/engine/item"
	"github.com/aidr-engine/aidr/schema"
)

// TestPending compares pending with a slice: its items, their order, and that removed items are not kept alive. It starts
// with few or many items, so that blocks are made, split and given up.
func TestPending(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var p pending
		var want []*item.Item
		insert := func(i int) {
			it := &item.Item{Time: schema.Instant(rapid.IntRange(0, 9).Draw(t, "time"))}
			p.insert(i, it)
			want = slices.Insert(want, i, it)
		}
		for range rapid.SampledFrom([]int{0, maxBlock - 2, 3 * maxBlock}).Draw(t, "items") {
			it := &item.Item{Time: schema.Instant(len(want))}
			p.insert(len(want), it)
			want = append(want, it)
		}
		for range rapid.IntRange(1, 100).Draw(t, "steps") {
			switch n := len(want); {
			case n == 0 || rapid.IntRange(0, 4).Draw(t, "insert") > 0:
				insert(rapid.IntRange(0, n).Draw(t, "index"))
			case rapid.Bool().Draw(t, "remove"):
				i := rapid.IntRange(0, n-1).Draw(t, "index")
				p.remove(i)
				want = slices.Delete(want, i, i+1)
			default:
				n := rapid.IntRange(0, n).Draw(t, "remove first")
				p.removeFirst(n)
				want = slices.Delete(want, 0, n)
			}
			checkPending(t, &p, want)
		}
		if n := len(want); n > 0 { // in any order
			for _, i := range rapid.SliceOfN(rapid.IntRange(0, n-1), 0, 20).Draw(t, "indexes") {
				if p.at(i) != want[i] {
					t.Fatalf("item %d of %d: got %+v, want %+v", i, n, p.at(i), want[i])
				}
			}
		}
	})
}

func checkPending(t *rapid.T, p *pending, want []*item.Item) {
	if p.len() != len(want) {
		t.Fatalf("got %d items, want %d", p.len(), len(want))
	}
	for i, it := range want {
		if p.at(i) != it || p.timeAt(i) != it.Time {
			t.Fatalf("item %d of %d: got %+v, want %+v", i, len(want), p.at(i), it)
		}
	}
	alive := 0
	count := func(slots []pendingItem) {
		for _, s := range slots {
			if s.item != nil {
				alive++
			}
		}
	}
	count(p.few.slots)
	if bs := p.many; bs != nil {
		for i := range bs.list {
			count(bs.list[i].slots)
			if n := bs.list[i].len(); n == 0 || n > maxBlock {
				t.Fatalf("block %d of %d holds %d items", i, len(bs.list), n)
			}
		}
		count(bs.spare)
		for _, b := range bs.list[len(bs.list):cap(bs.list)] {
			count(b.slots)
		}
	}
	if alive != len(want) {
		t.Fatalf("%d items are kept alive, want %d", alive, len(want))
	}
}

// TestPendingSearch searches few items, on both sides of the gap, and many.
func TestPendingSearch(t *testing.T) {
	var p pending
	for i, at := range []schema.Instant{1, 3, 3, 7} {
		p.insert(i, &item.Item{Time: at})
	}
	p.few.moveGap(1)
	for at, want := range map[schema.Instant]int{0: 0, 1: 0, 2: 1, 3: 1, 4: 3, 7: 3, 8: 4} {
		if got := p.search(at); got != want {
			t.Errorf("search(%d): got %d, want %d", at, got, want)
		}
	}
	var many pending
	const n = 5*maxBlock + 7
	for i := range n { // two items at each even time
		many.insert(i, &item.Item{Time: schema.Instant(i / 2 * 2)})
	}
	for at := range schema.Instant(n + 3) {
		want := min(int(at+1)/2*2, n)
		if got := many.search(at); got != want {
			t.Fatalf("search(%d) of many: got %d, want %d", at, got, want)
		}
	}
}

// orders are orders in which n items arrive; each function returns the time of the item with number i.
var orders = map[string]func(i, n int) int{
	"in order":   func(i, _ int) int { return i },
	"backwards":  func(i, n int) int { return n - i },
	"partitions": func(i, n int) int { return i%4*n/4 + i/4 },
	"inwards": func(i, n int) int { // alternating between both ends of the window, towards its middle
		if i%2 == 0 {
			return i / 2
		}
		return n - i/2
	},
	"outwards": func(i, n int) int { // alternating between two ends that move apart: a gap buffer moves all items each time
		if i%2 == 0 {
			return n/2 - i
		}
		return n/2 + i
	},
	"scattered": func(i, n int) int { return i * 7919 % n },
}

// TestPendingAmplification checks that twice as many items cost at most 2.3 times as much, in whatever order they arrive.
// The cost is the number of items that a search compares, and of items and of lengths of blocks that an insertion moves,
// because a measured time depends on the caches and on other processes.
func TestPendingAmplification(t *testing.T) {
	const n, most = 50_000, 2.3
	for name, order := range orders {
		once, twice := steps(n, order), steps(2*n, order)
		ratio := float64(twice) / float64(once)
		t.Logf("%s: %d items cost %d steps, %d cost %d: %.2f times", name, n, once, 2*n, twice, ratio)
		if each := once / n; ratio > most || each > maxBlock {
			t.Errorf("%s: twice as many items cost %.2f times as much, want at most %.1f; each of %d costs %d steps", name, ratio, most, n, each)
		}
	}
}

// steps returns the cost of n items that arrive in an order.
func steps(n int, order func(i, n int) int) (cost int) {
	var p pending
	for k := range n {
		it := &item.Item{Time: schema.Instant(order(k, n))}
		i := p.search(it.Time + 1)
		b, at := &p.few, i
		if p.many != nil {
			b, at = p.many.locate(i)
		}
		gap := b.head + at - b.gap
		cost += bits.Len(uint(k)) + max(gap, -gap)
		if b.len() == maxBlock { // it is split, and all blocks are counted again
			cost += maxBlock
			if p.many != nil {
				cost += len(p.many.list)
			}
		}
		p.insert(i, it)
	}
	return cost
}

// fill returns the time that n items take to arrive in an order and to leave.
func fill(n int, order func(i, n int) int) time.Duration {
	items := make([]item.Item, n)
	for i := range items {
		items[i].Time = schema.Instant(order(i, n))
	}
	start := time.Now()
	var p pending
	for i := range items {
		p.insert(p.search(items[i].Time+1), &items[i])
	}
	for p.len() > 0 {
		p.removeFirst(min(100, p.len()))
	}
	return time.Since(start)
}

// BenchmarkPending measures the arrival and departure of one of 200,000 items.
//
//	go test ./engine/fold -run '^$' -bench Pending
func BenchmarkPending(b *testing.B) {
	for name, order := range orders {
		b.Run(name, func(b *testing.B) {
			const n = 200_000
			var all time.Duration
			for b.Loop() {
				all += fill(n, order)
			}
			b.ReportMetric(float64(all.Nanoseconds())/float64(b.N)/n, "ns/item")
		})
	}
}
