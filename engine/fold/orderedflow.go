package fold

import (
	"encoding/binary"
	"fmt"
	"strings"
	"time"

	"github.com/aidr-engine/aidr/engine/flat"
	"github.com/aidr-engine/aidr/engine/item"
	"github.com/aidr-engine/aidr/rules"
	"github.com/aidr-engine/aidr/schema"
)

// orderedFlow is the kind of a flow whose labels have to come in order: an item that has a label triggers if its window has
// a chain, one item for each label, in the order of the labels.
//
//	order untrusted, private, egress; within 1h
//
//	12:00  private
//	12:10  untrusted
//	12:20  egress              nothing: no private after untrusted
//	12:30  private, egress     nothing: an item has one place only, and no egress comes after it
//	12:40  egress              triggers, with 12:10, 12:30, 12:40
//	12:50  untrusted           triggers: the chain is in its window
//	13:10  egress              does not: 12:10 is out of the window
//
// State has for each label the chain up to it whose items are the latest. There is one whose items are all the latest at
// their places: the chain that ends with the latest item of the label goes on backwards with the latest one each time. So
// it leaves the window last.
//
//	n         uvarint, at least 1: the items of all chains
//	n events  in order, in the form of latest.go
//	ends      uvarint: the labels with a chain, a bit for each
//	per label with a chain: the indexes of the chain's events, one byte for each label up to it
type orderedFlow struct {
	within time.Duration
	places int
	labels labelSet
	clear  uint32 // the bit of the role that clears, 0 for none
}

// labelChains is the State of an orderedFlow.
type labelChains struct {
	events []storedEvent
	ends   labelSet                                // the labels with a chain
	chains [rules.MaxLabels][rules.MaxLabels]uint8 // the chain up to label i is chains[i][:i+1], of indexes of events
}

// maxChained is the largest number of events in the chains of an orderedFlow, with the item that is folded.
const maxChained = rules.MaxLabels*(rules.MaxLabels+1)/2 + 1

// read decodes a State into c.
func (k *orderedFlow) read(st []byte, c *labelChains) (ok bool) {
	c.events, c.ends = c.events[:0], 0
	if len(st) == 0 {
		return true
	}
	r := flat.NewReader(st)
	n := r.Count(8 + 1 + 16 + 1)
	if n >= maxChained {
		r.Fail()
	}
	for i := 0; i < n && !r.Bad(); i++ {
		c.events = append(c.events, readStoredEvent(&r, 0))
	}
	ends := labelSet(r.Uvarint())
	for i := range k.places {
		if ends&(1<<i) == 0 {
			continue
		}
		copy(c.chains[i][:i+1], r.Bytes(i+1))
		for _, x := range c.chains[i][:i+1] {
			if int(x) >= len(c.events) {
				r.Fail()
			}
		}
	}
	if r.Done() && ends&^k.labels == 0 {
		c.ends = ends
		return true
	}
	return false
}

func (k *orderedFlow) fold(s *scratch, st []byte, it *item.Item) {
	c := &s.labelChains
	k.read(st, c)
	if it.Roles&k.clear != 0 {
		c.ends = 0
	}
	for i := range k.places {
		if c.ends&(1<<i) != 0 && it.Time.Since(c.events[c.chains[i][0]].time) >= uint64(k.within) {
			c.ends &^= 1 << i
		}
	}
	x := uint8(len(c.events))
	c.events = append(c.events, storedEvent{time: it.Time, role: it.Role, id: it.ID})
	labels := k.labels.of(it)
	for i := k.places - 1; i >= 0; i-- { // from the last place to the first, so that the item has one place of a chain
		if labels&(1<<i) != 0 && (i == 0 || c.ends&(1<<(i-1)) != 0) {
			c.chains[i] = c.chains[max(0, i-1)]
			c.chains[i][i] = x
			c.ends |= 1 << i
		}
	}
	k.append(s, c, it)
	if last := k.places - 1; labels != 0 && c.ends&(1<<last) != 0 {
		s.events = s.events[:0]
		step := labels.step()
		for i, j := range c.chains[last][:k.places] {
			if j == x {
				step = k.places
				continue
			}
			e := c.events[j]
			e.step = i + 1
			s.events = append(s.events, e)
		}
		met(s, it, step, k.labels)
	}
}

// append appends the State: the chains, and the events in them. The item is the last event. Without chains it appends
// nothing.
func (k *orderedFlow) append(s *scratch, c *labelChains, it *item.Item) {
	var index [maxChained]uint8 // the new index of each event that is in a chain + 1
	for i := range k.places {
		if c.ends&(1<<i) != 0 {
			for _, x := range c.chains[i][:i+1] {
				index[x] = 1
			}
		}
	}
	n := uint8(0)
	for i := range c.events {
		if index[i] != 0 {
			n++
			index[i] = n
		}
	}
	if n == 0 {
		return
	}
	s.state = binary.AppendUvarint(s.state, uint64(n))
	last := len(c.events) - 1
	for i := range c.events[:last] {
		if index[i] != 0 {
			s.state = appendStoredEvent(s.state, &c.events[i])
		}
	}
	if index[last] != 0 {
		s.state = appendItemEvent(s.state, it)
	}
	s.state = binary.AppendUvarint(s.state, uint64(c.ends))
	for i := range k.places {
		if c.ends&(1<<i) != 0 {
			for _, x := range c.chains[i][:i+1] {
				s.state = append(s.state, index[x]-1)
			}
		}
	}
}

func (k *orderedFlow) span() time.Duration { return k.within }

func (k *orderedFlow) expired(st []byte, w schema.Instant) bool {
	var c labelChains
	k.read(st, &c)
	for i := range k.places {
		if c.ends&(1<<i) != 0 && !w.Reached(c.events[c.chains[i][0]].time, k.within) {
			return false
		}
	}
	return true
}

func (k *orderedFlow) check(st []byte) bool {
	var c labelChains
	ok := k.read(st, &c) && c.ends != 0
	for i := 1; i < len(c.events); i++ {
		ok = ok && c.events[i-1].time <= c.events[i].time
	}
	for i := range k.places {
		for j := 1; j <= i && c.ends&(1<<i) != 0; j++ {
			ok = ok && c.chains[i][j-1] < c.chains[i][j]
		}
	}
	return ok
}

func (k *orderedFlow) explain(p *Program, _ *Group) string {
	return fmt.Sprintf("the labels %s came in this order within %s", strings.Join(k.labels.names(p.Rule), ", "),
		durationText(p.Rule.Flow.Within))
}

func (k *orderedFlow) describe(st []byte, v *KeyView) {
	var c labelChains
	k.read(st, &c)
	for i := range k.places {
		if c.ends&(1<<i) != 0 {
			v.Labels = i + 1
		}
	}
	if n := len(c.events); n > 0 {
		v.setSpan(c.events[0].time, c.events[n-1].time)
	}
}
