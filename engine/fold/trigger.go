package fold

import (
	"encoding/binary"
	"strings"

	"github.com/aidr-engine/aidr/engine/flat"
	"github.com/aidr-engine/aidr/engine/item"
	"github.com/aidr-engine/aidr/schema"
)

// A rule that feeds others hands on its triggers (Cell.Triggers). Those of base are final. Those of live may be taken back:
// a cell remembers the ones that it handed on, and compares them with the present ones. A deadline triggers once it has
// passed the watermark, so live hands on none of its deadlines.

// note records the trigger in the scratch as one of the layer.
func (l *layer) note(tr *trigger, key string, opens bool) {
	t := item.Trigger{Key: key, Time: tr.time, Opens: opens, Provenance: tr.provenance}
	if it := tr.item; it != nil {
		t.Role, t.Fed, t.ID, t.Evidence, t.Carried = it.Role, it.Fed, it.ID, it.Evidence, it.Carried
	} else {
		t.Deadline, t.ID = true, item.DeadlineID(key)
	}
	l.triggers = append(l.triggers, t)
}

// Triggers calls yield with the triggers that are new since its last call, and, with gone, with those that it must take
// back: first these. The strings of a trigger may share memory with items.
func (c *Cell) Triggers(yield func(t *item.Trigger, gone bool)) {
	if !c.p.feeds {
		return
	}
	s := c.p.getScratch()
	defer c.p.putScratch(s)
	if !c.p.baseOnly {
		c.refresh(s)
	}
	present := c.base.triggers
	final := len(present)
	if c.Pending() > 0 {
		for i := range c.live.triggers {
			if t := &c.live.triggers[i]; !t.Deadline {
				present = append(present, *t)
			}
		}
	}
	old, fresh := difference(c.sent, present)
	for i := range old {
		yield(&old[i], true)
	}
	for i := range fresh {
		yield(&fresh[i], false)
	}
	c.changed = c.changed || len(old)+len(fresh)+final > 0
	c.sent = c.sent[:0]
	for i := final; i < len(present); i++ {
		c.sent = append(c.sent, cloneTrigger(&present[i]))
	}
	clear(c.base.triggers)
	c.base.triggers = c.base.triggers[:0]
}

// difference returns the triggers of a that are not in b, and those of b that are not in a. Equal triggers count as often
// as they occur.
func difference(a, b []item.Trigger) (onlyA, onlyB []item.Trigger) {
	if len(a) == 0 {
		return nil, b
	}
	count := make(map[item.Trigger]int, len(a))
	for i := range a {
		count[a[i]]++
	}
	for i := range b {
		if count[b[i]] > 0 {
			count[b[i]]--
		} else {
			onlyB = append(onlyB, b[i])
		}
	}
	for i := range a {
		if count[a[i]] > 0 {
			count[a[i]]--
			onlyA = append(onlyA, a[i])
		}
	}
	return onlyA, onlyB
}

// cloneTrigger returns a copy that shares no memory with items, which it outlives.
func cloneTrigger(t *item.Trigger) item.Trigger {
	c := *t
	for _, text := range [...]*string{&c.Key, &c.Fed, &c.Evidence, &c.Carried, &c.Value, &c.Argument, &c.Source} {
		*text = strings.Clone(*text)
	}
	return c
}

// dropTriggers removes the triggers that base has at the watermark w: those of items before it, and of deadlines up to it.
func (l *layer) dropTriggers(w schema.Instant) {
	n := 0
	for n < len(l.triggers) && (l.triggers[n].Time < w || l.triggers[n].Deadline && l.triggers[n].Time == w) {
		n++
	}
	l.triggers = append(l.triggers[:0], l.triggers[n:]...)
}

// format returns the version of the flat form.
func (c *Cell) format() byte {
	if len(c.sent) == 0 && c.lastLoss == noLoss {
		return cellFormat
	}
	return fullCellFormat
}

// appendSent appends the last part of fullCellFormat: the triggers that were handed on and may be taken back, and the time
// of the last loss.
func (c *Cell) appendSent(dst []byte) []byte {
	if c.format() == cellFormat {
		return dst
	}
	dst = binary.AppendUvarint(dst, uint64(len(c.sent)))
	for i := range c.sent {
		dst = item.AppendTrigger(dst, &c.sent[i])
	}
	return flat.AppendInstant(dst, c.lastLoss)
}

func (c *Cell) readSent(r *flat.Reader, format byte) {
	if format == cellFormat {
		return
	}
	for range r.Count(1) {
		c.sent = append(c.sent, item.ReadTrigger(r))
	}
	if c.lastLoss = r.Instant(); len(c.sent) == 0 && c.lastLoss == noLoss {
		r.Fail() // it would not have been written
	}
}
