package fold

import "fmt"

// Live renders all that live is: the State of each key that makes a difference, and the groups.
func Live(c *Cell) (text string) {
	w := c.p.borrow()
	defer c.p.giveBack(w)
	c.refresh(w)
	s := &c.base
	if c.Pending() > 0 {
		s = &c.live
	}
	c.each(s, func(k *keyed) {
		if len(k.state) > 0 && (k.wake != lastInstant || !c.p.kind.expired(k.state, c.mark)) {
			text += fmt.Sprintf("%q %q %d\n", k.key, k.state, k.wake)
		}
	})
	for i := range s.groups {
		text += fmt.Sprintf("%q\n", appendGroup(nil, &s.groups[i]))
	}
	return text
}
