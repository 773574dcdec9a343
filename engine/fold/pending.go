package fold

import (
	"github.com/aidr-engine/aidr/engine/item"
	"github.com/aidr-engine/aidr/schema"
)

// pending holds the items of a cell at or above the watermark, in their total order. It is a gap buffer: the unused
// memory lies at the last insertion, so that inserting next to it moves only the few items in between.
//
// When partitions are read side by side, the items of a batch fall into the middle of thousands of pending ones, next to
// each other. With the unused memory at the end of the slice, moving items took a quarter of a shard's time when four
// partitions were read side by side.
type pending struct {
	// slots[head:gap] and slots[gap+free:] are the items in the total order; all other slots are zero.
	slots           []pendingItem
	head, gap, free int
}

// pendingItem is an item and its time. The time decides most comparisons; with the times next to each other in memory, a
// search among thousands of items reads few cache lines.
type pendingItem struct {
	time schema.Instant
	item *item.Item
}

func (p *pending) len() int { return len(p.slots) - p.free - p.head }

// slot returns the index in slots of item i.
func (p *pending) slot(i int) int {
	if i += p.head; i >= p.gap {
		i += p.free
	}
	return i
}

// at returns item i.
func (p *pending) at(i int) *item.Item { return p.slots[p.slot(i)].item }

// timeAt returns the time of item i.
func (p *pending) timeAt(i int) schema.Instant { return p.slots[p.slot(i)].time }

// search returns the index of the first item at t or later.
func (p *pending) search(t schema.Instant) int {
	low, high := 0, p.len()
	for low < high {
		if middle := int(uint(low+high) >> 1); p.timeAt(middle) < t {
			low = middle + 1
		} else {
			high = middle
		}
	}
	return low
}

// insert inserts an item before item i.
func (p *pending) insert(i int, it *item.Item) {
	if p.free == 0 {
		p.grow()
	}
	p.moveGap(i)
	p.slots[p.gap] = pendingItem{it.Time, it}
	p.gap++
	p.free--
}

// remove removes item i.
func (p *pending) remove(i int) {
	p.moveGap(i)
	p.slots[p.gap+p.free] = pendingItem{}
	p.free++
}

// removeFirst removes the first n items. The slots before head are reclaimed once they are half of all.
func (p *pending) removeFirst(n int) {
	if p.head+n > p.gap {
		p.moveGap(n)
	}
	clear(p.slots[p.head : p.head+n])
	p.head += n
	if p.head*2 >= len(p.slots) {
		p.moveTo(p.slots)
	}
}

// moveGap moves the gap to before item i.
func (p *pending) moveGap(i int) {
	to := p.head + i
	if to < p.gap {
		copy(p.slots[to+p.free:], p.slots[to:p.gap])
		clear(p.slots[to:min(p.gap, to+p.free)])
	} else {
		copy(p.slots[p.gap:], p.slots[p.gap+p.free:to+p.free])
		clear(p.slots[max(p.gap+p.free, to) : to+p.free])
	}
	p.gap = to
}

// minPending is the number of slots that are allocated first.
const minPending = 4

// grow adds half as many slots again.
func (p *pending) grow() {
	p.moveTo(make([]pendingItem, len(p.slots)+max(minPending, len(p.slots)/2)))
}

// moveTo moves the items before the gap to the front of slots, and those after it to its end. slots may be p.slots.
func (p *pending) moveTo(slots []pendingItem) {
	front, back := p.slots[p.head:p.gap], p.slots[p.gap+p.free:]
	copy(slots[len(slots)-len(back):], back)
	copy(slots, front)
	n := len(front)
	free := len(slots) - n - len(back)
	clear(slots[n : n+free])
	p.slots, p.head, p.gap, p.free = slots, 0, n, free
}
