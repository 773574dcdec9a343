package fold

import (
	"encoding/binary"
	"slices"
	"time"

	"github.com/aidr-engine/aidr/engine/flat"
	"github.com/aidr-engine/aidr/engine/item"
	"github.com/aidr-engine/aidr/rules"
	"github.com/aidr-engine/aidr/rules/predicate"
	"github.com/aidr-engine/aidr/schema"
)

const (
	// maxChains is the number of chains that a sequence holds per key, join value and place if `where` is more than joins:
	// the latest ones, compared from their first item on. Otherwise the latest chain is enough, because it completes
	// whenever any chain does.
	maxChains = 16
	// maxJoinValues is the number of join values for which a sequence holds chains of a key: those for which a chain began
	// or grew last. An attacker needs that many decoys, each with a value of its own, to hide a chain.
	maxJoinValues = 4096
)

// sequence is the kind of a sequence rule. Its places are its steps; a step with `times: n` has n places. A chain is a
// match that has begun: the items at the first places. State holds the latest chains that end at each place but the
// last: a chain that reaches the last place is complete and triggers.
//
//	n           uvarint: the items of all chains
//	n items, in order: roles (uvarint), data (uvarint length, bytes), then the form of an event in latest.go
//	per place but the last:
//	  n         uvarint: chains, the latest last
//	  n chains: place + 1 items, each uvarint: the index of the item
//	the join values (joinvalue.go), if `where` has joins
type sequence struct {
	within time.Duration
	places []int  // the index of the step at each place
	limit  int    // of chains per join value
	unless uint32 // the bit of the role that breaks a chain, 0 for none
	needs  []need
	where  *predicate.Where // nil if it is joins alone
	joins  []predicate.Join
}

// need is one value that `where` reads.
type need struct {
	step  int
	place int // of the step, which has one place
}

func newSequence(q *rules.Sequence) sequence {
	k := sequence{within: q.Within, limit: 1}
	firstPlace := make([]int, len(q.Steps))
	for i, s := range q.Steps {
		firstPlace[i] = len(k.places)
		for range max(1, s.Times) {
			k.places = append(k.places, i)
		}
	}
	if q.Unless {
		k.unless = 1 << len(q.Steps)
	}
	if q.Where != nil {
		k.joins = q.Where.Joins()
		if !q.Where.JoinsAlone() {
			k.limit, k.where = maxChains, q.Where
		}
		for _, n := range q.Where.Needs() {
			k.needs = append(k.needs, need{step: n.Step, place: firstPlace[n.Step]})
		}
	}
	return k
}

// partials is the State of a sequence, decoded: the partial matches. It is part of scratch.
type partials struct {
	items    []chainItem
	chains   []chains // by place
	extended chains   // those that an item makes
	merged   chains
	counts   []int    // of chains by join value
	indexes  []uint32 // in write: the new index of each item
	joins    joinValues
}

// chainItem is an item of a chain.
type chainItem struct {
	storedEvent
	roles uint32
	data  []byte
}

// chains are the chains that end at one place, each a list of indexes of items. Because the items are in order, comparing
// the indexes from the first on compares the chains. They are sorted.
type chains struct {
	size  int      // items of a chain
	refs  []uint32 // the chains, one after another
	joins []uint32 // for each chain the index of its join value
}

func (c *chains) len() int          { return len(c.joins) }
func (c *chains) at(i int) []uint32 { return c.refs[i*c.size : (i+1)*c.size] }

func (c *chains) reset(size int) { c.size, c.refs, c.joins = size, c.refs[:0], c.joins[:0] }

// add adds a chain at the end.
func (c *chains) add(chain []uint32, join uint32) {
	c.refs, c.joins = append(c.refs, chain...), append(c.joins, join)
}

// keep keeps the chains from index i on for which keep is true.
func (c *chains) keep(keep func(i int) bool) {
	n := 0
	for i := range c.len() {
		if keep(i) {
			copy(c.at(n), c.at(i))
			c.joins[n] = c.joins[i]
			n++
		}
	}
	c.refs, c.joins = c.refs[:n*c.size], c.joins[:n]
}

// ordered reports whether the chains are sorted, those of each join value within the limit, and the items of each in order.
func (c *chains) ordered(limit, joins int) bool {
	counts := make([]int, joins)
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
		if counts[c.joins[i]]++; counts[c.joins[i]] > limit {
			return false
		}
	}
	return true
}

// reset empties s for a sequence of n places.
func (s *partials) reset(n int) {
	s.items = s.items[:0]
	for len(s.chains) < n {
		s.chains = append(s.chains, chains{})
	}
	for i := range s.chains {
		s.chains[i].reset(i + 1)
	}
	s.joins.reset()
}

// read decodes a State.
func (k *sequence) read(r *flat.Reader, s *partials) {
	n := r.Count(1 + 1 + 8 + 1 + 16 + 1)
	for range n {
		var c chainItem
		c.roles, c.data = uint32(r.Uvarint()), r.Text()
		c.time, c.role, c.id, c.evidence = r.Instant(), uint16(r.Uvarint()), r.ID(), r.Text()
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
			s.chains[i].refs = append(s.chains[i].refs, uint32(ref))
		}
		for range m {
			s.chains[i].joins = append(s.chains[i].joins, 0)
		}
	}
	k.readJoins(r, s)
}

func (k *sequence) fold(s *scratch, st []byte, it *item.Item) {
	ps := &s.chains
	ps.reset(len(k.places))
	if len(st) > 0 {
		r := flat.NewReader(st)
		k.read(&r, ps)
	}
	changed := k.expire(ps, it.Time)
	x := uint32(len(ps.items))
	ps.items = append(ps.items, chainItem{storedEvent: storedEvent{time: it.Time, role: it.Role, id: it.ID}, roles: it.Roles})
	// From the last place to the first, so that an item is at most one step of a chain.
	for place := len(k.places) - 1; place >= 0; place-- {
		if it.Roles&(1<<k.places[place]) == 0 || !k.readSides(ps, k.places[place], it) {
			continue
		}
		if place == len(k.places)-1 {
			k.complete(s, ps, it)
		} else {
			k.extend(s, ps, place, x)
			changed = true
		}
	}
	if it.Roles&k.unless != 0 {
		k.breakChains(ps, x)
		changed = true
	}
	if !changed { // a flood of last steps does not write thousands of chains again
		s.state = append(s.state, st...)
		return
	}
	s.limits.Partials += int64(k.evict(ps))
	k.write(s, ps, it)
}

// expire removes the chains that no item at t or later can complete, and reports whether there were any.
func (k *sequence) expire(ps *partials, t schema.Instant) (removed bool) {
	for i := range ps.chains {
		c := &ps.chains[i]
		n := 0
		for n < c.len() && t.Since(ps.items[c.at(n)[0]].time) >= uint64(k.within) {
			n++
		}
		c.refs, c.joins = slices.Delete(c.refs, 0, n*c.size), slices.Delete(c.joins, 0, n)
		removed = removed || n > 0
	}
	return removed
}

// extend adds the chains that end with item x at the place.
func (k *sequence) extend(s *scratch, ps *partials, place int, x uint32) {
	longer := &ps.extended
	longer.reset(place + 1)
	if place == 0 {
		if join, ok := ps.joins.with(noJoin); ok {
			longer.refs, longer.joins = append(longer.refs, x), append(longer.joins, join)
		}
	} else {
		shorter := &ps.chains[place-1]
		for i := range shorter.len() {
			if join, ok := ps.joins.with(int(shorter.joins[i])); ok {
				longer.refs = append(append(longer.refs, shorter.at(i)...), x)
				longer.joins = append(longer.joins, join)
			}
		}
	}
	dropped := ps.merge(&ps.chains[place], longer, k.limit)
	if k.where != nil { // otherwise dropping all but the latest chain loses nothing
		s.limits.Partials += int64(dropped)
	}
}

// merge adds the chains of b to a. Of those of one join value only the latest ones up to the limit stay. It returns the
// number of chains dropped.
func (s *partials) merge(a, b *chains, limit int) (dropped int) {
	m := &s.merged
	m.reset(a.size)
	for i, j := 0, 0; i < a.len() || j < b.len(); {
		if j == b.len() || i < a.len() && slices.Compare(a.at(i), b.at(j)) < 0 {
			m.add(a.at(i), a.joins[i])
			i++
		} else {
			m.add(b.at(j), b.joins[j])
			j++
		}
	}
	s.counts = append(s.counts[:0], make([]int, s.joins.len()+1)...)
	for _, join := range m.joins {
		s.counts[join]++
	}
	m.keep(func(i int) bool { // from the earliest on
		s.counts[m.joins[i]]--
		return s.counts[m.joins[i]] < limit
	})
	dropped = a.len() + b.len() - m.len()
	*a, *m = *m, *a
	return dropped
}

// complete triggers if the item completes a chain.
func (k *sequence) complete(s *scratch, ps *partials, it *item.Item) {
	last := len(k.places) - 1
	if last == 0 {
		k.tryChain(s, ps, nil, it)
		return
	}
	chains := &ps.chains[last-1]
	for i := chains.len() - 1; i >= 0 && !s.trigger.fired; i-- {
		if ps.joins.fits(int(chains.joins[i])) {
			k.tryChain(s, ps, chains.at(i), it)
		}
	}
}

// tryChain triggers if `where` holds for the chain and the item that completes it.
func (k *sequence) tryChain(s *scratch, ps *partials, chain []uint32, it *item.Item) {
	if k.where != nil && !k.evalWhere(s, ps, chain, it) {
		return
	}
	s.events = s.events[:0]
	for place, ref := range chain {
		e := ps.items[ref].storedEvent
		e.step = k.places[place] + 1
		s.events = append(s.events, e)
	}
	tr := &s.trigger
	tr.fired, tr.time, tr.first, tr.item = true, it.Time, it.Time, it
	if len(chain) > 0 {
		tr.first = s.events[0].time
	}
	tr.count, tr.added = int64(len(k.places)), 1
	tr.step = k.places[len(k.places)-1] + 1
	tr.events, tr.joining = s.events, len(s.events)
}

// evalWhere reports whether `where` holds. An error counts as false.
func (k *sequence) evalWhere(s *scratch, ps *partials, chain []uint32, it *item.Item) bool {
	s.values = s.values[:0]
	for i, n := range k.needs {
		if n.place < len(chain) {
			c := &ps.items[chain[n.place]]
			s.values = append(s.values, needed(k.needs, i, c.roles, c.data))
		} else {
			s.values = append(s.values, needed(k.needs, i, it.Roles, it.Data))
		}
	}
	if s.where == nil {
		s.where = predicate.NewScratch()
	}
	ok, err := k.where.Eval(s.values, s.where)
	clear(s.values) // they may be texts of items
	if err != nil {
		s.limits.Where++
	}
	return ok && err == nil
}

// needed returns the value of need i from the Data of an item with these roles.
func needed[T string | []byte](needs []need, i int, roles uint32, data T) schema.Value {
	for j := range i + 1 {
		if roles&(1<<needs[j].step) == 0 {
			continue
		}
		v, rest, ok := schema.ReadValue(data)
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

// breakChains removes every chain that began before item x.
func (k *sequence) breakChains(ps *partials, x uint32) {
	for i := range ps.chains {
		c := &ps.chains[i]
		c.keep(func(n int) bool { return c.at(n)[0] == x })
	}
}

// unused is the new index of an item that is in no chain.
const unused = 1<<32 - 1

// write appends the State: the chains, and the items in them. it is the last item. Without chains it appends nothing.
func (k *sequence) write(s *scratch, ps *partials, it *item.Item) {
	last := len(k.places) - 1
	ps.indexes = ps.indexes[:0]
	for range ps.items {
		ps.indexes = append(ps.indexes, unused)
	}
	for i := range last {
		for _, ref := range ps.chains[i].refs {
			ps.indexes[ref] = 0
		}
	}
	n := uint32(0)
	for i := range ps.indexes {
		if ps.indexes[i] != unused {
			ps.indexes[i] = n
			n++
		}
	}
	if n == 0 {
		return
	}
	s.state = binary.AppendUvarint(s.state, uint64(n))
	for i := range ps.items {
		if ps.indexes[i] != unused {
			s.state = k.appendItem(s.state, ps, i, it)
		}
	}
	for i := range last {
		c := &ps.chains[i]
		s.state = binary.AppendUvarint(s.state, uint64(c.len()))
		for _, ref := range c.refs {
			s.state = binary.AppendUvarint(s.state, uint64(ps.indexes[ref]))
		}
	}
	s.state = k.appendJoins(s.state, ps)
}

// appendItem appends item i. The last item is it, whose data and evidence are not in ps.
func (k *sequence) appendItem(dst []byte, ps *partials, i int, it *item.Item) []byte {
	c := &ps.items[i]
	dst = binary.AppendUvarint(dst, uint64(c.roles))
	if i < len(ps.items)-1 {
		return appendStoredEvent(flat.AppendText(dst, c.data), &c.storedEvent)
	}
	if k.where != nil {
		dst = flat.AppendText(dst, it.Data)
	} else {
		dst = flat.AppendText(dst, "")
	}
	return appendItemEvent(dst, it)
}

func (k *sequence) span() time.Duration { return k.within }

// expired reports whether all items are out of the window. Then all chains are, whose first items are among them.
func (k *sequence) expired(st []byte, w schema.Instant) bool {
	var ps partials
	ps.reset(len(k.places))
	r := flat.NewReader(st)
	k.read(&r, &ps)
	for i := range ps.items {
		if !w.Reached(ps.items[i].time, k.within) {
			return false
		}
	}
	return true
}

func (k *sequence) check(st []byte) bool {
	var ps partials
	ps.reset(len(k.places))
	r := flat.NewReader(st)
	k.read(&r, &ps)
	if !r.Done() || len(ps.items) == 0 {
		return false
	}
	for i := range ps.items {
		if i > 0 && ps.items[i].time < ps.items[i-1].time {
			return false
		}
	}
	for i := range ps.chains {
		if !ps.chains[i].ordered(k.limit, ps.joins.len()+1) {
			return false
		}
	}
	return true
}
