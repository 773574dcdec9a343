package fold

import "slices"

// pending holds a cell's items at or above the watermark in the total order. What is moved to make room for one in the
// middle is 16 bytes each: with partitions that are read at the same time most items come in the middle of thousands. With
// the items themselves in order, moving them was four fifths of a shard's time where partitions held different hours of
// one trail.
type pending struct {
	order []place // in the total order, from head on
	head  int
}

// place is an item and its time, which is what most comparisons end with: beside each other, a search among thousands
// reads few lines of memory.
type place struct {
	time int64
	item *Item
}

func (p *pending) len() int { return len(p.order) - p.head }

// at returns item i in order.
func (p *pending) at(i int) *Item { return p.order[p.head+i].item }

// timeAt returns the time of item i in order.
func (p *pending) timeAt(i int) int64 { return p.order[p.head+i].time }

// from returns the place of the first item that is not before t.
func (p *pending) from(t int64) int {
	low, high := p.head, len(p.order)
	for low < high {
		if middle := int(uint(low+high) >> 1); p.order[middle].time < t {
			low = middle + 1
		} else {
			high = middle
		}
	}
	return low - p.head
}

// insert puts an item before item i in order.
func (p *pending) insert(i int, it *Item) {
	if i == p.len() {
		p.order = append(p.order, place{it.Time, it})
		return
	}
	p.order = slices.Insert(p.order, p.head+i, place{it.Time, it})
}

// remove takes item i in order out.
func (p *pending) remove(i int) {
	p.order = slices.Delete(p.order, p.head+i, p.head+i+1)
}

// drop takes the first n items out. The room in front is used again once it is half of all.
func (p *pending) drop(n int) {
	clear(p.order[p.head : p.head+n])
	p.head += n
	if p.head*2 >= len(p.order) {
		left := copy(p.order, p.order[p.head:])
		clear(p.order[left:])
		p.order, p.head = p.order[:left], 0
	}
}
