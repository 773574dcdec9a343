package fold

import (
	"slices"

	"github.com/aidr-engine/aidr/engine/item"
	"github.com/aidr-engine/aidr/schema"
)

// pending holds the items of a cell at or above the watermark, in their total order. Up to maxBlock items are in one gap
// buffer; more of them are in blocks, each of which is a gap buffer, so that an insertion moves at most maxBlock items.
//
// When partitions are read side by side, the items of a batch fall into the middle of thousands of pending ones, next to
// each other. With the unused memory at the end of a slice, moving items took a quarter of a shard's time when four
// partitions were read side by side; a gap buffer moves hardly any. But with a single gap buffer, items whose times
// alternate between two ends of the pending window move all items in between each time: each of 50,000 took 42 µs, and
// twice as many cost four times as much or more. In blocks each takes 0.1 µs.
type pending struct {
	few   gapBuffer // all items, if many is nil
	many  *blocks
	bytes int // estimated memory of the items
}

// maxBlock is the number of items above which a block is split. An insertion moves at most a block, 4 KB, which costs less
// than finding the place.
const maxBlock = 256

func (p *pending) len() int {
	if p.many != nil {
		return p.many.n
	}
	return p.few.len()
}

// at returns item i.
func (p *pending) at(i int) *item.Item {
	if p.many == nil {
		return p.few.at(i)
	}
	return p.many.at(i)
}

// timeAt returns the time of item i.
func (p *pending) timeAt(i int) schema.Instant {
	if p.many == nil {
		return p.few.timeAt(i)
	}
	return p.many.timeAt(i)
}

// search returns the index of the first item at t or later.
func (p *pending) search(t schema.Instant) int {
	if p.many != nil {
		return p.many.search(t)
	}
	return p.few.search(t)
}

// insert inserts an item before item i.
func (p *pending) insert(i int, it *item.Item) {
	p.bytes += it.Size()
	if p.many == nil {
		if p.few.len() < maxBlock {
			p.few.insert(i, it)
			return
		}
		p.many = newBlocks(p.few)
		p.few = gapBuffer{}
	}
	p.many.insert(i, it)
}

// remove removes item i.
func (p *pending) remove(i int) {
	p.bytes -= p.at(i).Size()
	if p.many == nil {
		p.few.remove(i)
		return
	}
	p.many.remove(i)
	p.shrink()
}

// removeFirst removes the first n items.
func (p *pending) removeFirst(n int) {
	for i := range n {
		p.bytes -= p.at(i).Size()
	}
	if p.many == nil {
		p.few.removeFirst(n)
		return
	}
	p.many.removeFirst(n)
	p.shrink()
}

// shrink gives up the blocks when no item is left. Until then it keeps them, so that a number of items that
// varies around maxBlock allocates nothing.
func (p *pending) shrink() {
	if p.many.n == 0 {
		p.few, p.many = gapBuffer{slots: p.many.spare}, nil
		p.few.free = len(p.few.slots)
	}
}

// blocks holds many items in their total order: those of the first block, those of the second, and so on. No block is
// empty unless all are.
type blocks struct {
	list []gapBuffer
	n    int // the number of items
	// sums is a Fenwick tree over the lengths of the blocks: sums[i] is the number of items in the i & -i blocks that end
	// with block i-1. It finds the block of an item, and takes the change of a length, in O(log blocks).
	sums []int
	// The block that locate or search last found, and the number of items before it. Most searches go on there.
	last, before int

	spare []pendingItem // the slots of a block that was removed, all zero; or nil
}

func newBlocks(first gapBuffer) *blocks {
	bs := &blocks{list: []gapBuffer{first}, n: first.len()}
	bs.recount()
	return bs
}

// recount computes sums after blocks were added or removed. That happens once for maxBlock/2 insertions or more, so a
// pass over all blocks costs less than one step for each insertion and 32,000 items.
func (bs *blocks) recount() {
	bs.sums = append(bs.sums[:0], 0)
	for i := range bs.list {
		bs.sums = append(bs.sums, bs.list[i].len())
	}
	for i := 1; i < len(bs.sums); i++ {
		if up := i + i&-i; up < len(bs.sums) {
			bs.sums[up] += bs.sums[i]
		}
	}
	bs.last, bs.before = 0, 0
}

// grow adds d to the length of a block.
func (bs *blocks) grow(block, d int) {
	bs.n += d
	for i := block + 1; i < len(bs.sums); i += i & -i {
		bs.sums[i] += d
	}
}

// locate returns the block that holds item i, and the item's index in it. An index after the last item belongs to the
// last block.
func (bs *blocks) locate(i int) (*gapBuffer, int) {
	b := &bs.list[bs.last]
	if at := i - bs.before; at >= 0 && at < b.len() {
		return b, at
	}
	end := len(bs.list) - 1
	if start := bs.n - bs.list[end].len(); i >= start {
		bs.last, bs.before = end, start
		return &bs.list[end], i - start
	}
	if next := bs.before + b.len(); i >= next && i-next < bs.list[bs.last+1].len() { // the items are read one after another
		bs.last, bs.before = bs.last+1, next
		return &bs.list[bs.last], i - next
	}
	block, before := 0, 0
	step := 1
	for step*2 < len(bs.sums) {
		step *= 2
	}
	for ; step > 0; step /= 2 {
		if block+step < len(bs.sums) && before+bs.sums[block+step] <= i {
			block += step
			before += bs.sums[block]
		}
	}
	bs.last, bs.before = block, before
	return &bs.list[block], i - before
}

func (bs *blocks) at(i int) *item.Item {
	b, i := bs.locate(i)
	return b.at(i)
}

func (bs *blocks) timeAt(i int) schema.Instant {
	b, i := bs.locate(i)
	return b.timeAt(i)
}

// search returns the index of the first item at t or later.
func (bs *blocks) search(t schema.Instant) int {
	low, high := 0, len(bs.list) // the first block that does not end before t
	for low < high {
		middle := int(uint(low+high) >> 1)
		if b := &bs.list[middle]; b.timeAt(b.len()-1) < t {
			low = middle + 1
		} else {
			high = middle
		}
	}
	if low == len(bs.list) {
		return bs.n
	}
	before := 0
	for i := low; i > 0; i &= i - 1 {
		before += bs.sums[i]
	}
	bs.last, bs.before = low, before
	return before + bs.list[low].search(t)
}

// insert inserts an item before item i.
func (bs *blocks) insert(i int, it *item.Item) {
	b, at := bs.locate(i)
	if b.len() >= maxBlock {
		bs.split(at)
		b, at = bs.locate(i)
	}
	b.insert(at, it)
	bs.grow(bs.last, 1)
}

// split makes room in the last located block, into which an item is to be inserted at index at. At the end of all items
// it adds a block, which items that arrive in order then fill; anywhere else it moves half of the block to a new one.
func (bs *blocks) split(at int) {
	b := &bs.list[bs.last]
	half := b.len() / 2
	if bs.last == len(bs.list)-1 && at == b.len() {
		half = at
	}
	slots := bs.spare
	if bs.spare = nil; slots == nil {
		slots = make([]pendingItem, maxBlock)
	}
	moved := gapBuffer{slots: slots, free: len(slots)}
	for b.len() > half {
		moved.insert(0, b.at(b.len()-1))
		b.remove(b.len() - 1)
	}
	bs.list = slices.Insert(bs.list, bs.last+1, moved)
	bs.recount()
}

// remove removes item i.
func (bs *blocks) remove(i int) {
	b, at := bs.locate(i)
	b.remove(at)
	if b.len() == 0 {
		bs.drop(bs.last, bs.last+1)
		bs.n--
		return
	}
	bs.grow(bs.last, -1)
}

// removeFirst removes the first n items.
func (bs *blocks) removeFirst(n int) {
	empty, rest := 0, n
	for empty < len(bs.list) && rest >= bs.list[empty].len() {
		rest -= bs.list[empty].len()
		bs.list[empty].removeFirst(bs.list[empty].len())
		empty++
	}
	if rest > 0 {
		bs.list[empty].removeFirst(rest)
	}
	if empty > 0 {
		bs.drop(0, empty)
		bs.n -= n
		return
	}
	bs.grow(0, -rest)
	bs.last, bs.before = 0, 0
}

// drop removes the blocks from to to, which are empty, and keeps the slots of one for the next block.
func (bs *blocks) drop(from, to int) {
	bs.spare = bs.list[from].slots
	bs.list = slices.Delete(bs.list, from, to)
	bs.recount()
}
