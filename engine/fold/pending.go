package fold

import "slices"

// pending holds a cell's items at or above the watermark in the total order. What is moved to make room for one in the
// middle is pointers: with partitions that are read at the same time most items come in the middle of thousands. With
// the items themselves in order, moving them was four fifths of a shard's time where partitions held different hours of
// one trail.
type pending struct {
	order []*Item // in the total order, from head on
	head  int
}

func (p *pending) len() int { return len(p.order) - p.head }

// at returns item i in order.
func (p *pending) at(i int) *Item { return p.order[p.head+i] }

// insert puts an item before item i in order.
func (p *pending) insert(i int, it *Item) {
	if i == p.len() {
		p.order = append(p.order, it)
		return
	}
	p.order = slices.Insert(p.order, p.head+i, it)
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
