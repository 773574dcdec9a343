package fold

import (
	"slices"
	"sort"
	"strings"

	"github.com/aidr-engine/aidr/engine/item"
)

// A side is the State of one of the two: of base, or what live has instead.
type side struct {
	keys   []keyed // in order
	next   int64   // no deadline is earlier
	groups []Group // in order; the last may still grow
	limits Limits
}

// keyed is the State of one key. In live an empty State says that the key is forgotten.
type keyed struct {
	key   string
	state []byte
	wake  int64 // its deadline, lastInstant for none
}

func (s *side) find(key string) (int, bool) {
	if n := len(s.keys); n == 1 { // by far the most
		if key == s.keys[0].key {
			return 0, true
		}
		return max(strings.Compare(key, s.keys[0].key), 0), false
	}
	i := sort.Search(len(s.keys), func(i int) bool { return s.keys[i].key >= key })
	return i, i < len(s.keys) && s.keys[i].key == key
}

// slot returns the place of the key, which it makes where there is none. Room that was used before is used again.
func (c *Cell) slot(s *side, key string) *keyed {
	i, ok := s.find(key)
	if ok {
		return &s.keys[i]
	}
	n := len(s.keys)
	if n < cap(s.keys) {
		s.keys = s.keys[:n+1]
	} else {
		s.keys = append(s.keys, keyed{})
	}
	room := s.keys[n].state[:0]
	if before := s.keys[n].key; before == key {
		key = before // live is made again and again of the same keys
	} else if !c.p.wholeGroup {
		key = strings.Clone(key) // it may be part of an item, which it outlives
	}
	copy(s.keys[i+1:], s.keys[i:n])
	s.keys[i] = keyed{key: key, state: room}
	return &s.keys[i]
}

// forget removes the key.
func (s *side) forget(key string) {
	if i, ok := s.find(key); ok {
		s.keys = slices.Delete(s.keys, i, i+1)
	}
}

// state returns the State of the key as the side sees it, nil for none.
func (c *Cell) state(s *side, key string) []byte {
	if i, ok := s.find(key); ok {
		return s.keys[i].state
	}
	if s == &c.live {
		if i, ok := c.base.find(key); ok {
			return c.base.keys[i].state
		}
	}
	return nil
}

// fold folds one item into a side, after the deadlines up to it.
func (c *Cell) fold(w *work, s *side, it *item.Item) {
	key := it.Key
	if c.p.wholeGroup {
		key = c.group // the same text: that of the item is in no cache any more
	}
	c.fire(w, s, it.Time)
	w.begin()
	c.p.kind.fold(w, c.state(s, key), it)
	c.keep(w, s, key)
}

// keep puts the result of a fold where it belongs.
func (c *Cell) keep(w *work, s *side, key string) {
	if w.tr.fired {
		s.groups = c.p.trigger(s.groups, &w.tr)
	}
	s.limits.Add(w.limits)
	w.limits = Limits{}
	if len(w.state) == 0 {
		c.forget(s, key)
		return
	}
	if s == &c.base && len(s.keys) == 0 {
		c.sweepAt = later(c.mark, c.p.kind.span())
	}
	k := c.slot(s, key)
	k.state = append(k.state[:0], w.state...)
	k.wake = c.p.wake(k.state)
	s.next = min(s.next, k.wake)
}

// forget takes a key away: from base, or from what live shows of base. In live the empty State stays where any was
// before: base may come to hold the items that made it, before those that took it away.
func (c *Cell) forget(s *side, key string) {
	if s == &c.base {
		s.forget(key)
		return
	}
	_, above := s.find(key)
	_, below := c.base.find(key)
	if above || below {
		k := c.slot(s, key)
		k.state, k.wake = k.state[:0], lastInstant
	}
}

// wake returns the State's deadline, lastInstant for none.
func (p *Program) wake(st []byte) int64 {
	if p.timed == nil {
		return lastInstant
	}
	if at, ok := p.timed.wake(st); ok {
		return at
	}
	return lastInstant
}

// each calls yield with the side's keys in order. It must not change them.
func (c *Cell) each(s *side, yield func(*keyed)) {
	if s == &c.base {
		for i := range s.keys {
			yield(&s.keys[i])
		}
		return
	}
	i, j := 0, 0
	for i < len(c.base.keys) || j < len(s.keys) {
		switch {
		case j == len(s.keys) || i < len(c.base.keys) && c.base.keys[i].key < s.keys[j].key:
			yield(&c.base.keys[i])
			i++
		case i < len(c.base.keys) && c.base.keys[i].key == s.keys[j].key:
			yield(&s.keys[j])
			i++
			j++
		default:
			yield(&s.keys[j])
			j++
		}
	}
}

// fire folds the deadlines up to t in (time, key) order.
func (c *Cell) fire(w *work, s *side, t int64) {
	for s.next <= t && s.next != lastInstant {
		at := int64(lastInstant)
		c.each(s, func(k *keyed) { at = min(at, k.wake) })
		s.next = at
		if at > t || at == lastInstant {
			return
		}
		w.keys = w.keys[:0]
		c.each(s, func(k *keyed) {
			if k.wake == at {
				w.keys = append(w.keys, k.key)
			}
		})
		for _, key := range w.keys {
			w.begin()
			c.p.timed.fire(w, c.state(s, key))
			c.keep(w, s, key)
		}
		if s == &c.base {
			c.touched, c.changed = true, true
		}
	}
}

// refresh brings live up to date.
func (c *Cell) refresh(w *work) {
	n := c.pending.len()
	if c.folded == n {
		return
	}
	if c.folded == 0 {
		c.live.keys = c.live.keys[:0]
		c.live.groups = append(c.live.groups[:0], c.base.groups...)
		c.live.next, c.live.limits = c.base.next, Limits{}
	}
	for i := c.folded; i < n; i++ {
		c.fold(w, &c.live, c.pending.at(i))
	}
	c.folded = n
}

// adopt makes base what live is.
func (c *Cell) adopt() {
	for i := range c.live.keys {
		k := &c.live.keys[i]
		if len(k.state) == 0 {
			c.base.forget(k.key)
			continue
		}
		if len(c.base.keys) == 0 {
			c.sweepAt = later(c.mark, c.p.kind.span())
		}
		b := c.slot(&c.base, k.key)
		b.state, k.state, b.wake = k.state, b.state, k.wake
	}
	c.base.groups, c.live.groups = c.live.groups, c.base.groups[:0]
	for i := range c.base.groups {
		c.base.groups[i].emitted = false // it cannot be taken back any more, which Cut has to see
	}
	c.base.next = c.live.next
	c.base.limits.Add(c.live.limits)
}
