package fold

import (
	"github.com/aidr-engine/aidr/engine/item"
	"github.com/aidr-engine/aidr/schema"
)

// gapBuffer holds items in their total order. The unused memory lies at the last insertion, so that inserting next to it
// moves only the few items in between.
type gapBuffer struct {
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

func (b *gapBuffer) len() int { return len(b.slots) - b.free - b.head }

// slot returns the index in slots of item i.
func (b *gapBuffer) slot(i int) int {
	if i += b.head; i >= b.gap {
		i += b.free
	}
	return i
}

// at returns item i.
func (b *gapBuffer) at(i int) *item.Item { return b.slots[b.slot(i)].item }

// timeAt returns the time of item i.
func (b *gapBuffer) timeAt(i int) schema.Instant { return b.slots[b.slot(i)].time }

// search returns the index of the first item at t or later.
func (b *gapBuffer) search(t schema.Instant) int {
	low, high := 0, b.len()
	for low < high {
		if middle := int(uint(low+high) >> 1); b.timeAt(middle) < t {
			low = middle + 1
		} else {
			high = middle
		}
	}
	return low
}

// insert inserts an item before item i.
func (b *gapBuffer) insert(i int, it *item.Item) {
	if b.free == 0 {
		b.grow()
	}
	if i != b.gap-b.head { // most items belong next to the last one
		b.moveGap(i)
	}
	b.slots[b.gap] = pendingItem{it.Time, it}
	b.gap++
	b.free--
}

// remove removes item i.
func (b *gapBuffer) remove(i int) {
	b.moveGap(i)
	b.slots[b.gap+b.free] = pendingItem{}
	b.free++
}

// removeFirst removes the first n items. The slots before head are reclaimed once they are half of all.
func (b *gapBuffer) removeFirst(n int) {
	if b.head+n > b.gap {
		b.moveGap(n)
	}
	clear(b.slots[b.head : b.head+n])
	b.head += n
	if b.head*2 >= len(b.slots) {
		b.moveTo(b.slots)
	}
}

// moveGap moves the gap to before item i.
func (b *gapBuffer) moveGap(i int) {
	to := b.head + i
	if to < b.gap {
		copy(b.slots[to+b.free:], b.slots[to:b.gap])
		clear(b.slots[to:min(b.gap, to+b.free)])
	} else {
		copy(b.slots[b.gap:], b.slots[b.gap+b.free:to+b.free])
		clear(b.slots[max(b.gap+b.free, to) : to+b.free])
	}
	b.gap = to
}

// minSlots is the number of slots that are allocated first.
const minSlots = 4

// grow adds half as many slots again.
func (b *gapBuffer) grow() {
	b.moveTo(make([]pendingItem, len(b.slots)+max(minSlots, len(b.slots)/2)))
}

// moveTo moves the items before the gap to the front of slots, and those after it to its end. slots may be b.slots.
func (b *gapBuffer) moveTo(slots []pendingItem) {
	front, back := b.slots[b.head:b.gap], b.slots[b.gap+b.free:]
	copy(slots[len(slots)-len(back):], back)
	copy(slots, front)
	n := len(front)
	free := len(slots) - n - len(back)
	clear(slots[n : n+free])
	b.slots, b.head, b.gap, b.free = slots, 0, n, free
}
