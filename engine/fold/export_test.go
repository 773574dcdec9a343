package fold

import (
	"fmt"

	"github.com/aidr-engine/aidr/schema"
)

// Live renders live completely: the State of each key that can influence later items, and the groups.
func Live(c *Cell) (text string) {
	s := c.p.getScratch()
	defer c.p.putScratch(s)
	c.refresh(s)
	l := &c.base
	if c.Pending() > 0 {
		l = &c.live
	}
	c.each(l, func(k *keyState) {
		if len(k.state) > 0 && (k.deadline != schema.MaxInstant || !c.p.kind.expired(k.state, c.watermark)) {
			text += fmt.Sprintf("%q %q %d\n", k.key, k.state, k.deadline)
		}
	})
	for i := range l.groups {
		text += fmt.Sprintf("%q\n", appendGroup(nil, &l.groups[i]))
	}
	return text
}

// PendingSize returns the estimate of the memory of the pending items, in bytes.
func (c *Cell) PendingSize() int { return c.pending.bytes }
