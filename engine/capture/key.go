package capture

import (
	"github.com/aidr-engine/aidr/engine/item"
	"github.com/aidr-engine/aidr/rules"
	"github.com/aidr-engine/aidr/schema"
)

// readKey sets buf to the role's key of the event; ok is false if the event lacks a field of it.
func (c *Capturer) readKey(p *Plan, e *schema.Event, role *rules.Role) (ok bool) {
	c.buf, c.ends = item.AppendTenant(c.buf[:0], e.Tenant), c.ends[:0]
	c.tenant = len(c.buf)
	for _, f := range role.Key {
		if !e.Has(f) && !p.rule.KeyOptional {
			return false
		}
		c.buf = c.appendKeyField(c.buf, e, f)
		c.ends = append(c.ends, len(c.buf))
	}
	return true
}

// sameKey reports whether the role's key of the event is the key in buf.
func (c *Capturer) sameKey(p *Plan, e *schema.Event, role *rules.Role) bool {
	c.otherKey = item.AppendTenant(c.otherKey[:0], e.Tenant)
	for _, f := range role.Key {
		if !e.Has(f) && !p.rule.KeyOptional {
			return false
		}
		c.otherKey = c.appendKeyField(c.otherKey, e, f)
	}
	return string(c.otherKey) == string(c.buf)
}

// appendKeyField appends a field to a key. Keys must keep groups apart, so a key has the hash of a dropped field too.
func (c *Capturer) appendKeyField(dst []byte, e *schema.Event, f schema.Field) []byte {
	v, exposure := e.Value(f), c.Redaction.Field(f)
	switch {
	case exposure >= schema.Hashed && v.Present():
		c.text = item.AppendValueText(c.text[:0], v)
		return item.AppendKeyText(dst, schema.HashText(string(c.text)))
	case v.Kind == schema.KindString && len(v.Text) <= item.MaxKeyText && c.exposedField(e, f).Text == v.Text:
		// Redaction leaves it unchanged, so Distinguish would. exposedField works once per event.
		return item.AppendKeyText(dst, v.Text)
	case v.Kind == schema.KindString || v.Kind == schema.KindList || v.Kind == schema.KindAbsent:
		return item.AppendKeyText(dst, item.Distinguish(v.Text, item.MaxKeyText, c.redactFor(exposure)))
	case v.Kind == schema.KindJSON:
		return item.AppendKeyText(dst, item.Distinguish(item.Canonical(v.Text), item.MaxKeyText, c.redactFor(exposure)))
	}
	c.text = item.AppendValueText(c.text[:0], v)
	return item.AppendKeyText(dst, c.text)
}
