package fold

import (
	"encoding/binary"
	"slices"

	"github.com/aidr-engine/aidr/engine/flat"
	"github.com/aidr-engine/aidr/engine/item"
	"github.com/aidr-engine/aidr/rules"
	"github.com/aidr-engine/aidr/schema"
)

// maxChains is how many chains a sequence with `where` keeps for a key and place: the latest, compared from their first
// item on. Without `where` the latest alone is enough: it makes every trigger.
const maxChains = 16

// sequence is the kind of that name. Its places are its steps, one with `times: n` n times. A chain is the items of the
// first places of a match that has begun; State holds the latest chains that end at each place but the last.
//
//	n           uvarint: items that chains hold
//	n items, in order: roles (uvarint), data (uvarint length, bytes), then as an event in latest.go
//	per place but the last:
//	  n         uvarint: chains, the latest last
//	  n chains: place + 1 items, each uvarint: number of the item
type sequence struct {
	within uint64 // ns
	places []int  // which step is at each place
	limit  int    // of chains
	unless uint32 // the role that breaks a chain, 0 for none
	needs  []need
	where  *rules.Sequence // with Where, else nil
}

// need is one value that `where` reads.
type need struct {
	step  int
	place int // of the step, which is there once
}

func newSequence(q *rules.Sequence) sequence {
	k := sequence{within: uint64(q.Within), limit: 1}
	at := make([]int, len(q.Steps))
	for i, s := range q.Steps {
		at[i] = len(k.places)
		for range max(1, s.Times) {
			k.places = append(k.places, i)
		}
	}
	if q.Unless {
		k.unless = 1 << len(q.Steps)
	}
	if q.Where != nil {
		k.limit, k.where = maxChains, q
		for _, n := range q.Where.Needs() {
			k.needs = append(k.needs, need{step: n.Step, place: at[n.Step]})
		}
	}
	return k
}

// partials is a State taken apart.
type partials struct {
	items  []chained
	places []chains // by place
	fresh  []uint32 // chains that an item makes
	used   []uint32 // new numbers of items
}

// chained is an item in a chain.
type chained struct {
	view
	roles uint32
	data  []byte
}

// chains are the chains that end at a place, one after another, each a list of numbers of items: in order, so that
// comparing numbers from the first on compares chains.
type chains struct {
	size int // items of a chain
	refs []uint32
}

func (c *chains) len() int          { return len(c.refs) / c.size }
func (c *chains) at(i int) []uint32 { return c.refs[i*c.size : (i+1)*c.size] }

// put adds a chain in order and gives up the earliest beyond the limit; it reports how many.
func (c *chains) put(chain []uint32, limit int) int {
	i := c.len()
	for i > 0 && slices.Compare(chain, c.at(i-1)) < 0 {
		i--
	}
	if c.len() < limit {
		c.refs = slices.Insert(c.refs, i*c.size, chain...)
		return 0
	}
	if i == 0 {
		return 1
	}
	copy(c.refs, c.refs[c.size:i*c.size])
	copy(c.at(i-1), chain)
	return 1
}

// reset makes room for n places.
func (s *partials) reset(n int) {
	s.items = s.items[:0]
	for len(s.places) < n {
		s.places = append(s.places, chains{})
	}
	for i := range s.places {
		s.places[i].size, s.places[i].refs = i+1, s.places[i].refs[:0]
	}
}

// read takes the State apart.
func (k *sequence) read(r *flat.Reader, s *partials) {
	n := r.Count(1 + 1 + 8 + 1 + 16 + 1)
	for range n {
		var c chained
		c.roles, c.data = uint32(r.Uvarint()), r.Text()
		c.time, c.role, c.id, c.evidence = r.Int64(), uint16(r.Uvarint()), r.ID(), r.Text()
		s.items = append(s.items, c)
	}
	for i := range len(k.places) - 1 {
		m := r.Count(i + 1)
		for range m * (i + 1) {
			ref := r.Uvarint()
			if ref >= uint64(n) {
				r.Fail()
				return
			}
			s.places[i].refs = append(s.places[i].refs, uint32(ref))
		}
	}
}

func (k *sequence) fold(w *work, st []byte, it *item.Item) {
	s := &w.chains
	s.reset(len(k.places))
	if len(st) > 0 {
		r := flat.NewReader(st)
		k.read(&r, s)
	}
	k.expire(s, it.Time)
	x := uint32(len(s.items))
	s.items = append(s.items, chained{view: view{time: it.Time, role: it.Role, id: it.ID}, roles: it.Roles})
	// From the last place to the first: an item is one step of a chain at most.
	for place := len(k.places) - 1; place >= 0; place-- {
		if it.Roles&(1<<k.places[place]) == 0 {
			continue
		}
		if place == len(k.places)-1 {
			k.complete(w, s, it)
		} else {
			k.extend(w, s, place, x)
		}
	}
	if it.Roles&k.unless != 0 {
		k.breakChains(s, x)
	}
	k.write(w, s, it)
}

// expire takes away the chains that no item at t or later can complete.
func (k *sequence) expire(s *partials, t int64) {
	for i := range s.places {
		c := &s.places[i]
		n := 0
		for n < c.len() && since(t, s.items[c.at(n)[0]].time) >= k.within {
			n++
		}
		c.refs = slices.Delete(c.refs, 0, n*c.size)
	}
}

// extend makes the chains that end with item x at the place.
func (k *sequence) extend(w *work, s *partials, place int, x uint32) {
	given := 0
	if place == 0 {
		s.fresh = append(s.fresh[:0], x)
		given = s.places[0].put(s.fresh, k.limit)
	} else {
		before := &s.places[place-1]
		for i := range before.len() {
			s.fresh = append(append(s.fresh[:0], before.at(i)...), x)
			given += s.places[place].put(s.fresh, k.limit)
		}
	}
	if k.where != nil { // else the latest chain is all that matters
		w.limits.Partials += int64(given)
	}
}

// complete triggers where the item ends a chain.
func (k *sequence) complete(w *work, s *partials, it *item.Item) {
	last := len(k.places) - 1
	if last == 0 {
		k.found(w, s, nil, it)
		return
	}
	before := &s.places[last-1]
	for i := before.len() - 1; i >= 0 && !w.tr.fired; i-- {
		k.found(w, s, before.at(i), it)
	}
}

// found triggers where the chain and the item are what `where` asks for.
func (k *sequence) found(w *work, s *partials, chain []uint32, it *item.Item) {
	if k.where != nil && !k.holds(w, s, chain, it) {
		return
	}
	w.views = w.views[:0]
	for place, ref := range chain {
		v := s.items[ref].view
		v.step = k.places[place] + 1
		w.views = append(w.views, v)
	}
	w.tr.fired = true
	w.tr.time, w.tr.first, w.tr.item = it.Time, it.Time, it
	w.tr.count, w.tr.more = int64(len(k.places)), 1
	w.tr.step = k.places[len(k.places)-1] + 1
	w.tr.views, w.tr.own = w.views, len(w.views)
	if len(chain) > 0 {
		w.tr.first = w.views[0].time
	}
}

// holds evaluates `where`.
func (k *sequence) holds(w *work, s *partials, chain []uint32, it *item.Item) bool {
	w.values = w.values[:0]
	for i, n := range k.needs {
		roles, data := it.Roles, []byte(it.Data)
		if n.place < len(chain) {
			c := &s.items[chain[n.place]]
			roles, data = c.roles, c.data
		}
		w.values = append(w.values, k.value(i, roles, data))
	}
	ok, err := k.where.Where.Eval(w.values)
	if err != nil {
		w.limits.Where++
	}
	return ok && err == nil
}

// value returns the value of need i from what an item of these roles captured.
func (k *sequence) value(i int, roles uint32, data []byte) schema.Value {
	for j := range i + 1 {
		if roles&(1<<k.needs[j].step) == 0 {
			continue
		}
		v, rest, ok := schema.CutValue(data)
		if !ok {
			break
		}
		if j == i {
			return v
		}
		data = rest
	}
	return schema.Value{}
}

// breakChains takes away every chain that began before item x.
func (k *sequence) breakChains(s *partials, x uint32) {
	for i := range s.places {
		c := &s.places[i]
		begins := i == 0 && c.len() > 0 && c.at(c.len() - 1)[0] == x
		c.refs = c.refs[:0]
		if begins {
			c.refs = append(c.refs, x)
		}
	}
}

// write appends the State; the last item is it. Nothing is written where there is no chain.
func (k *sequence) write(w *work, s *partials, it *item.Item) {
	last := len(k.places) - 1
	s.used = s.used[:0]
	for range s.items {
		s.used = append(s.used, unusedItem)
	}
	for i := range last {
		for _, ref := range s.places[i].refs {
			s.used[ref] = 0
		}
	}
	n := uint32(0)
	for i := range s.used {
		if s.used[i] != unusedItem {
			s.used[i] = n
			n++
		}
	}
	if n == 0 {
		return
	}
	w.state = binary.AppendUvarint(w.state, uint64(n))
	for i := range s.items {
		if s.used[i] != unusedItem {
			w.state = k.appendItem(w.state, s, i, it)
		}
	}
	for i := range last {
		c := &s.places[i]
		w.state = binary.AppendUvarint(w.state, uint64(c.len()))
		for _, ref := range c.refs {
			w.state = binary.AppendUvarint(w.state, uint64(s.used[ref]))
		}
	}
}

// unusedItem marks an item that no chain holds.
const unusedItem = 1<<32 - 1

// appendItem appends item i, of which the last is it.
func (k *sequence) appendItem(dst []byte, s *partials, i int, it *item.Item) []byte {
	c := &s.items[i]
	dst = binary.AppendUvarint(dst, uint64(c.roles))
	if i < len(s.items)-1 {
		return appendView(flat.AppendText(dst, c.data), &c.view)
	}
	if k.where != nil {
		dst = flat.AppendText(dst, it.Data)
	} else {
		dst = flat.AppendText(dst, "")
	}
	dst = flat.AppendInt64(dst, it.Time)
	dst = binary.AppendUvarint(dst, uint64(it.Role))
	dst = append(dst, it.ID[:]...)
	return flat.AppendText(dst, it.Evidence)
}

func (k *sequence) span() int64 { return int64(k.within) }

// expired: the latest chain of the first place began last of all.
func (k *sequence) expired(st []byte, w int64) bool {
	var s partials
	s.reset(len(k.places))
	r := flat.NewReader(st)
	k.read(&r, &s)
	for i := range s.items {
		if !past(w, s.items[i].time, k.within) {
			return false
		}
	}
	return true
}

func (k *sequence) check(st []byte) bool {
	var s partials
	s.reset(len(k.places))
	r := flat.NewReader(st)
	k.read(&r, &s)
	if !r.Done() || len(s.items) == 0 {
		return false
	}
	for i := range s.items {
		if i > 0 && s.items[i].time < s.items[i-1].time {
			return false
		}
	}
	for i := range s.places {
		if !s.places[i].ordered(k.limit) {
			return false
		}
	}
	return true
}

// ordered says whether chains are in order, and each of them goes forward.
func (c *chains) ordered(limit int) bool {
	for i := range c.len() {
		chain := c.at(i)
		for j := 1; j < len(chain); j++ {
			if chain[j] <= chain[j-1] {
				return false
			}
		}
		if i > 0 && slices.Compare(c.at(i-1), chain) >= 0 {
			return false
		}
	}
	return c.len() <= limit
}
