package fold

import (
	"slices"
	"sort"
	"strings"

	"github.com/aidr-engine/aidr/engine/item"
	"github.com/aidr-engine/aidr/schema"
)

// A layer is either base, or the keys in which live differs from base.
type layer struct {
	keys         []keyState     // sorted by key
	nextDeadline schema.Instant // a lower bound of all deadlines
	groups       []Group        // in order; the last one may still grow. Those of live are all groups, not a difference.
	triggers     []item.Trigger // in order, if the rule feeds others: of base, those that Triggers has not handed on
	losses       []loss         // in order: of base, those that Losses has not handed on
	limits       Limits
}

// keyState is the State of one key. In live, an empty State means that the key is forgotten.
type keyState struct {
	key      string
	state    []byte
	deadline schema.Instant // MaxInstant for none
}

// find returns the index of the key, or the index at which to insert it.
func (l *layer) find(key string) (int, bool) {
	if n := len(l.keys); n == 1 { // by far the most common case
		if key == l.keys[0].key {
			return 0, true
		}
		return max(strings.Compare(key, l.keys[0].key), 0), false
	}
	i := sort.Search(len(l.keys), func(i int) bool { return l.keys[i].key >= key })
	return i, i < len(l.keys) && l.keys[i].key == key
}

// insertKey returns the entry of the key, which it inserts if the layer has none. It reuses the entry behind the last
// one, if live left one there when it was last folded from base.
func (c *Cell) insertKey(l *layer, key string) *keyState {
	i, ok := l.find(key)
	if ok {
		return &l.keys[i]
	}
	n := len(l.keys)
	if n < cap(l.keys) {
		l.keys = l.keys[:n+1]
	} else {
		l.keys = append(l.keys, keyState{})
	}
	state := l.keys[n].state[:0]
	if old := l.keys[n].key; old == key {
		key = old // live is folded again and again with the same keys
	} else if !c.p.wholeGroup {
		key = strings.Clone(key) // it may share memory with an item, which it outlives
	}
	copy(l.keys[i+1:], l.keys[i:n])
	l.keys[i] = keyState{key: key, state: state}
	return &l.keys[i]
}

// removeKey removes the key's entry.
func (l *layer) removeKey(key string) {
	if i, ok := l.find(key); ok {
		l.keys = slices.Delete(l.keys, i, i+1)
	}
}

// state returns the State of the key in base or in live, nil for none.
func (c *Cell) state(l *layer, key string) []byte {
	if i, ok := l.find(key); ok {
		return l.keys[i].state
	}
	if l == &c.live {
		if i, ok := c.base.find(key); ok {
			return c.base.keys[i].state
		}
	}
	return nil
}

// fold folds one item into a layer, after the deadlines up to the item's time.
func (c *Cell) fold(s *scratch, l *layer, it *item.Item) {
	key := it.Key
	if c.p.wholeGroup {
		key = c.group // an equal string, but the item's has left the CPU caches by now
	}
	c.fire(s, l, it.Time)
	s.reset()
	c.p.kind.fold(s, c.state(l, key), it)
	c.store(s, l, key, it.Time)
}

// store moves the result of a fold from the scratch into the layer. at is the time of the item or of the deadline.
func (c *Cell) store(s *scratch, l *layer, key string, at schema.Instant) {
	if s.trigger.fired {
		l.limits.Triggers++
		n := len(l.groups)
		l.groups = c.p.addTrigger(l.groups, &s.trigger)
		if c.p.feeds {
			l.note(&s.trigger, key, len(l.groups) > n)
			for _, p := range s.tainted {
				s.trigger.provenance = p
				l.note(&s.trigger, key, len(l.groups) > n)
			}
		}
	}
	if s.limits != (Limits{}) {
		if limit := s.limits.forgotten(); limit != "" && c.p.Forgets() {
			c.lose(l, key, limit, at)
		}
		l.limits.Add(s.limits)
		s.limits = Limits{}
	}
	if len(s.state) == 0 {
		c.forget(l, key)
		return
	}
	k := c.insertKey(l, key)
	k.state = append(k.state[:0], s.state...)
	k.deadline = c.p.deadline(k.state)
	l.nextDeadline = min(l.nextDeadline, k.deadline)
}

// forget removes a key from a layer. In live an empty State takes its place if the key is in base or was in live: in the
// second case base may come to hold the items that created the State before it holds those that removed it.
func (c *Cell) forget(l *layer, key string) {
	if l == &c.base {
		l.removeKey(key)
		return
	}
	_, inLive := l.find(key)
	_, inBase := c.base.find(key)
	if inLive || inBase {
		k := c.insertKey(l, key)
		k.state, k.deadline = k.state[:0], schema.MaxInstant
	}
}

// deadline returns the State's deadline, MaxInstant for none.
func (p *Program) deadline(st []byte) schema.Instant {
	if p.timed == nil {
		return schema.MaxInstant
	}
	if at, ok := p.timed.deadline(st); ok {
		return at
	}
	return schema.MaxInstant
}

// deadline returns the deadline of the key in base or in live, MaxInstant for none.
func (c *Cell) deadline(l *layer, key string) schema.Instant {
	if i, ok := l.find(key); ok {
		return l.keys[i].deadline
	}
	if l == &c.live {
		if i, ok := c.base.find(key); ok {
			return c.base.keys[i].deadline
		}
	}
	return schema.MaxInstant
}

// each calls yield with the keys of base or of live, in order. yield must not add or remove keys.
func (c *Cell) each(l *layer, yield func(*keyState)) {
	if l == &c.base {
		for i := range l.keys {
			yield(&l.keys[i])
		}
		return
	}
	i, j := 0, 0
	for i < len(c.base.keys) || j < len(l.keys) {
		switch {
		case j == len(l.keys) || i < len(c.base.keys) && c.base.keys[i].key < l.keys[j].key:
			yield(&c.base.keys[i])
			i++
		case i < len(c.base.keys) && c.base.keys[i].key == l.keys[j].key:
			yield(&l.keys[j])
			i++
			j++
		default:
			yield(&l.keys[j])
			j++
		}
	}
}

// fire folds the deadlines up to t, in (time, key) order.
func (c *Cell) fire(s *scratch, l *layer, t schema.Instant) {
	for l.nextDeadline <= t && l.nextDeadline != schema.MaxInstant {
		at := schema.MaxInstant
		c.each(l, func(k *keyState) { at = min(at, k.deadline) })
		l.nextDeadline = at
		if at > t || at == schema.MaxInstant {
			return
		}
		s.keys = s.keys[:0]
		c.each(l, func(k *keyState) {
			if k.deadline == at {
				s.keys = append(s.keys, k.key)
			}
		})
		for _, key := range s.keys {
			for c.deadline(l, key) == at { // a State may have several deadlines of one time
				s.reset()
				c.p.timed.fire(s, c.state(l, key))
				c.store(s, l, key, at)
			}
		}
		if l == &c.base {
			c.needsEmit, c.changed = true, true
		}
	}
}

// refresh brings live up to date: it folds the pending items that live has not folded yet, or, after an item came out
// of order (c.folded is 0), all of them onto base.
func (c *Cell) refresh(s *scratch) {
	n := c.pending.len()
	if c.folded == n {
		return
	}
	if c.folded == 0 {
		c.live.keys = c.live.keys[:0]
		c.live.groups = append(c.live.groups[:0], c.base.groups...)
		c.live.triggers, c.live.losses = c.live.triggers[:0], c.live.losses[:0]
		c.live.nextDeadline, c.live.limits = c.base.nextDeadline, Limits{}
	}
	for i := c.folded; i < n; i++ {
		c.fold(s, &c.live, c.pending.at(i))
	}
	c.folded = n
}

// adopt makes live the new base: every item that live has folded is below the watermark.
func (c *Cell) adopt() {
	for i := range c.live.keys {
		k := &c.live.keys[i]
		if len(k.state) == 0 {
			c.base.removeKey(k.key)
			continue
		}
		b := c.insertKey(&c.base, k.key)
		b.state, k.state, b.deadline = k.state, b.state, k.deadline
	}
	c.base.groups, c.live.groups = c.live.groups, c.base.groups[:0]
	for i := range c.base.groups {
		c.base.groups[i].emitted = false // it cannot be withdrawn any longer, so Emit has to drop its body
	}
	c.base.triggers = append(c.base.triggers, c.live.triggers...)
	c.live.triggers = c.live.triggers[:0]
	c.base.losses = append(c.base.losses, c.live.losses...)
	c.live.losses = c.live.losses[:0]
	c.pace()
	c.base.nextDeadline = c.live.nextDeadline
	c.base.limits.Add(c.live.limits)
}
