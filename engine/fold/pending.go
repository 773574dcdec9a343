package fold

import "slices"

// pending holds a cell's items at or above the watermark in the total order. Items stay where they were put; what is
// moved to make room for one in the middle is their places, 4 bytes each: with partitions that are read at the same
// time most items come in the middle of thousands. With the items themselves in order, moving them was four fifths of a
// shard's time where partitions held different hours of one trail.
type pending struct {
	items []Item  // in any order
	free  []int32 // places in items that hold nothing
	order []int32 // places in items, in the total order, from head on
	head  int
}

func (p *pending) len() int { return len(p.order) - p.head }

// at returns item i in order. The pointer is good until the next insert.
func (p *pending) at(i int) *Item { return &p.items[p.order[p.head+i]] }

// insert puts an item before item i in order.
func (p *pending) insert(i int, it *Item) {
	place := int32(len(p.items))
	if n := len(p.free); n > 0 {
		place, p.free = p.free[n-1], p.free[:n-1]
		p.items[place] = *it
	} else {
		p.items = append(p.items, *it)
	}
	p.order = slices.Insert(p.order, p.head+i, place)
}

// remove takes item i in order out.
func (p *pending) remove(i int) {
	p.release(p.order[p.head+i])
	p.order = slices.Delete(p.order, p.head+i, p.head+i+1)
}

// drop takes the first n items out. The room in front is used again once it is half of all.
func (p *pending) drop(n int) {
	for i := range n {
		p.release(p.order[p.head+i])
	}
	p.head += n
	if p.head*2 >= len(p.order) {
		left := copy(p.order, p.order[p.head:])
		p.order, p.head = p.order[:left], 0
	}
	if p.len() == 0 {
		p.items, p.free = p.items[:0], p.free[:0]
	}
}

// release forgets what an item held.
func (p *pending) release(place int32) {
	p.items[place] = Item{}
	p.free = append(p.free, place)
}
