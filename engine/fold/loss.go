package fold

import (
	"time"

	"github.com/aidr-engine/aidr/engine/item"
	"github.com/aidr-engine/aidr/rules"
	"github.com/aidr-engine/aidr/schema"
)

// lossPace is the least time between two losses that a cell reports: a flood that makes a rule forget with every item is
// reported once a minute. It is event time, and part of the meaning of the count of aidr.limit-reached.
const lossPace = time.Minute

// noLoss is the minute of a cell that has reported no loss.
const noLoss = schema.MinInstant

// loss records that the State of a key gave something up with an item.
type loss struct {
	key   string
	time  schema.Instant
	limit string // the name of the limit, as in the metrics
}

// Forgets reports whether the rule can have losses: whether something that its kind gives up may change findings. A distinct
// only shows a smaller number.
func (p *Program) Forgets() bool {
	switch p.Rule.Kind {
	case rules.KindNone, rules.KindThreshold, rules.KindDistinct, rules.KindFlow:
		return false
	}
	return true
}

// lose records a loss in the layer. c.lastLoss is that of base; live does not report.
func (c *Cell) lose(l *layer, key, limit string, t schema.Instant) {
	l.losses = append(l.losses, loss{key, t, limit})
	if l == &c.base {
		c.pace()
	}
}

// pace drops the losses of base that come within lossPace of the one before.
func (c *Cell) pace() {
	kept := c.base.losses[:c.paced]
	for _, x := range c.base.losses[c.paced:] {
		if c.lastLoss == noLoss || x.time.Since(c.lastLoss) >= uint64(lossPace) {
			kept, c.lastLoss = append(kept, x), x.time
		}
	}
	c.base.losses, c.paced = kept, len(kept)
}

// Losses calls yield with the losses of base since its last call, each as a trigger of the rule aidr.limit-reached, and
// with the name of the limit.
func (c *Cell) Losses(yield func(t *item.Trigger, limit string)) {
	for _, x := range c.base.losses {
		yield(&item.Trigger{Key: x.key, Time: x.time, Deadline: true, ID: item.DeadlineID(x.key)}, x.limit)
		c.changed = true
	}
	clear(c.base.losses)
	c.base.losses, c.paced = c.base.losses[:0], 0
}

// dropLosses removes the losses of items before w from live: base has them.
func (l *layer) dropLosses(w schema.Instant) {
	n := 0
	for n < len(l.losses) && l.losses[n].time < w {
		n++
	}
	l.losses = append(l.losses[:0], l.losses[n:]...)
}
