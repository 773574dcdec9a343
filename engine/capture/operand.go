package capture

import (
	"github.com/aidr-engine/aidr/engine/item"
	"github.com/aidr-engine/aidr/rules"
	"github.com/aidr-engine/aidr/schema"
)

// value returns an operand's value of the event; it is absent if the event lacks it, or if an expression gives "" or
// cannot be evaluated.
func (c *Capturer) value(e *schema.Event, o *rules.Operand, s *rules.Scratch) schema.Value {
	switch {
	case o.Text != nil:
		text, err := o.Text.Eval(e, s.Predicate)
		if err != nil || text == "" {
			return schema.Value{}
		}
		return schema.StringValue(text)
	case o.Raw < 0:
		return e.Value(o.Field)
	case o.Raw < len(e.Raws):
		if v := e.Raws[o.Raw]; v.Kind != schema.KindString || v.Text != "" {
			return v
		}
	}
	return schema.Value{}
}

// operandExposure returns how much of an operand may be shown: of an expression, the least of what it reads.
func (c *Capturer) operandExposure(o *rules.Operand) (x schema.Exposure) {
	if o.Text == nil {
		if o.Raw < 0 {
			return c.Redaction.Field(o.Field)
		}
		return c.rawExposure(o.Raw)
	}
	mentions := o.Text.Mentions()
	for i := range mentions {
		if m := c.exposure(&mentions[i]); i == 0 || m > x {
			x = m
		}
	}
	return x
}

// hasValues reports whether the event has all values that the kind compares.
func (c *Capturer) hasValues(p *Plan, e *schema.Event, s *rules.Scratch) bool {
	for i := range p.values {
		if !c.value(e, &p.values[i], s).Present() {
			return false
		}
	}
	return true
}

// appendKeyOperand appends an operand's value to a key. Keys must keep groups apart, so a key has the hash of a dropped
// value too.
func (c *Capturer) appendKeyOperand(dst []byte, e *schema.Event, o *rules.Operand, v schema.Value) []byte {
	exposure := c.operandExposure(o)
	switch {
	case exposure >= schema.Hashed && v.Present():
		c.text = item.AppendValueText(c.text[:0], v)
		return item.AppendKeyText(dst, schema.HashText(string(c.text)))
	case v.Kind == schema.KindString && o.Raw < 0 && o.Text == nil && len(v.Text) <= item.MaxKeyText && c.exposedField(e, o.Field).Text == v.Text:
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
