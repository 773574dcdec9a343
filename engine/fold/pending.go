package fold

import "github.com/aidr-engine/aidr/engine/item"

// pending holds a cell's items at or above the watermark in the total order. With partitions that are read at the same
// time a batch's items come in the middle of thousands, one beside the other: so the free room stands where the last one
// was put, and what is moved for the next are the few between the two. (With the room at the end, moving them was a quarter
// of a shard's time in a read of four partitions side by side.)
type pending struct {
	// order[head:gap] and order[gap+room:] are the items in the total order; nothing else in it is set.
	order           []place
	head, gap, room int
}

// place is an item and its time, which is what most comparisons end with: beside each other, a search among thousands
// reads few lines of memory.
type place struct {
	time int64
	item *item.Item
}

func (p *pending) len() int { return len(p.order) - p.room - p.head }

// index returns where item i in order stands.
func (p *pending) index(i int) int {
	if i += p.head; i >= p.gap {
		i += p.room
	}
	return i
}

// at returns item i in order.
func (p *pending) at(i int) *item.Item { return p.order[p.index(i)].item }

// timeAt returns the time of item i in order.
func (p *pending) timeAt(i int) int64 { return p.order[p.index(i)].time }

// from returns the place of the first item that is not before t.
func (p *pending) from(t int64) int {
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

// insert puts an item before item i in order.
func (p *pending) insert(i int, it *item.Item) {
	if p.room == 0 {
		p.grow()
	}
	p.open(i)
	p.order[p.gap] = place{it.Time, it}
	p.gap++
	p.room--
}

// remove takes item i in order out.
func (p *pending) remove(i int) {
	p.open(i)
	p.order[p.gap+p.room] = place{}
	p.room++
}

// drop takes the first n items out. The room in front is used again once it is half of all.
func (p *pending) drop(n int) {
	if p.head+n > p.gap {
		p.open(n)
	}
	clear(p.order[p.head : p.head+n])
	p.head += n
	if p.head*2 >= len(p.order) {
		p.shift(p.order)
	}
}

// open moves the free room to stand before item i in order.
func (p *pending) open(i int) {
	to := p.head + i
	if to < p.gap {
		copy(p.order[to+p.room:], p.order[to:p.gap])
		clear(p.order[to:min(p.gap, to+p.room)])
	} else {
		copy(p.order[p.gap:], p.order[p.gap+p.room:to+p.room])
		clear(p.order[max(p.gap+p.room, to) : to+p.room])
	}
	p.gap = to
}

// minPending is how many items there is room for at first.
const minPending = 4

// grow makes room for half as many again.
func (p *pending) grow() {
	p.shift(make([]place, len(p.order)+max(minPending, len(p.order)/2)))
}

// shift moves the items in front to the front of order, and those behind to its end.
func (p *pending) shift(order []place) {
	front, behind := p.order[p.head:p.gap], p.order[p.gap+p.room:]
	copy(order[len(order)-len(behind):], behind)
	copy(order, front)
	n := len(front)
	room := len(order) - n - len(behind)
	clear(order[n : n+room])
	p.order, p.head, p.gap, p.room = order, 0, n, room
}
