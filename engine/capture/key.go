package capture

import (
	"github.com/aidr-engine/aidr/engine/item"
	"github.com/aidr-engine/aidr/rules"
	"github.com/aidr-engine/aidr/schema"
)

// readKey sets buf to the role's key of the event; ok is false if the event lacks a field of it.
func (c *Capturer) readKey(p *Plan, e *schema.Event, role *rules.Role, s *rules.Scratch) (ok bool) {
	c.buf, c.ends = item.AppendTenant(c.buf[:0], e.Tenant), c.ends[:0]
	c.tenant = len(c.buf)
	for i := range role.Key {
		v := c.value(e, &role.Key[i], s)
		if !v.Present() && !p.rule.KeyOptional {
			return false
		}
		c.buf = c.appendKeyOperand(c.buf, e, &role.Key[i], v)
		c.ends = append(c.ends, len(c.buf))
	}
	return true
}

// sameKey reports whether the role's key of the event is the key in buf.
func (c *Capturer) sameKey(p *Plan, e *schema.Event, role *rules.Role, s *rules.Scratch) bool {
	c.otherKey = item.AppendTenant(c.otherKey[:0], e.Tenant)
	for i := range role.Key {
		v := c.value(e, &role.Key[i], s)
		if !v.Present() && !p.rule.KeyOptional {
			return false
		}
		c.otherKey = c.appendKeyOperand(c.otherKey, e, &role.Key[i], v)
	}
	return string(c.otherKey) == string(c.buf)
}
