package fold

import "github.com/aidr-engine/aidr/schema"

// Cleared counts what Clear made a cell forget.
type Cleared struct {
	Keys     int `json:"keys"`     // keys with State
	Pending  int `json:"pending"`  // items at or above the watermark
	Findings int `json:"findings"` // open findings, which settle
}

// Remembers reports whether Clear has something to forget: State, pending items or open groups. A cell that does not may
// still hold emissions, until the watermark has passed them.
func (c *Cell) Remembers() bool {
	return c.Pending() > 0 || len(c.base.keys) > 0 || len(c.base.groups) > 0
}

// Clear makes the cell forget the State of all its keys, base and pending, as if the last pending item had been the end of
// its history. Its open findings settle as they are, with the next Emit. The triggers of the items remain with the rules over
// this one. The watermark of the cell rises above its last pending item, so items up to that one, which a restart brings
// again or which come out of order, are not taken for new ones.
func (c *Cell) Clear() (n Cleared) {
	n = Cleared{Keys: len(c.Keys()), Pending: c.Pending()}
	s := c.p.getScratch()
	defer c.p.putScratch(s)
	open := c.openGroups(s)
	n.Findings = len(open)
	for i := range open {
		g := open[i]
		g.copyEvidence()
		c.settled = append(c.settled, g)
	}
	if last := c.Pending() - 1; last >= 0 {
		for i := range c.live.triggers {
			if t := &c.live.triggers[i]; !t.Deadline {
				c.base.triggers = append(c.base.triggers, cloneTrigger(t))
			}
		}
		c.watermark, c.ahead = c.pending.timeAt(last).Add(1), true
		c.pending.removeFirst(last + 1)
	}
	c.base.keys, c.base.groups, c.base.nextDeadline = nil, nil, schema.MaxInstant
	c.live, c.folded = layer{nextDeadline: schema.MaxInstant}, 0
	c.needsEmit, c.changed = true, true
	return n
}

// Clone returns a copy of the cell, with its pending items and without what Append does not write.
func (c *Cell) Clone() (*Cell, error) {
	changed := c.changed
	src := c.Append(nil)
	c.changed = changed
	o, err := LoadCell(c.p, c.group, src)
	if err != nil {
		return nil, err
	}
	o.AddPending(c.AppendPending(nil))
	return o, nil
}
