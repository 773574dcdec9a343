package capture

import (
	"crypto/sha256"
	"encoding/binary"

	"github.com/zeebo/xxh3"

	"github.com/aidr-engine/aidr/engine/flat"
	"github.com/aidr-engine/aidr/engine/item"
	"github.com/aidr-engine/aidr/rules"
	"github.com/aidr-engine/aidr/rules/predicate"
	"github.com/aidr-engine/aidr/schema"
)

const (
	// maxComparedText is the size in bytes of one text that a sequence's `where` compares. A longer text is truncated
	// and ends in a hash of the original, so that equal texts stay equal and different texts different.
	maxComparedText = 4 << 10
	// maxNewText is the size in bytes of each text of a value that new_value shows.
	maxNewText = 256
	// droppedText replaces a value that new_value would show but that may not be shown.
	droppedText = "[dropped]"
)

// appendData appends the values that the rule's kind needs: see Item.Data.
func (c *Capturer) appendData(dst []byte, p *Plan, e *schema.Event, s *rules.Scratch, roles uint32) []byte {
	switch r := p.rule; r.Kind {
	case rules.KindThreshold:
		if t := r.Threshold; t.Sum != nil {
			return c.appendNumber(dst, &t.Sum.Of, e, s)
		} else if t.Ratio != nil {
			return appendTruth(dst, t.Ratio.Of, e, s)
		}
	case rules.KindDistinct:
		if r.Over != nil && len(p.values) == 1 && c.value(e, &p.values[0], s).Kind == schema.KindList {
			return c.appendElements(dst, c.value(e, &p.values[0], s).Text)
		}
		return c.appendValueHash(dst, p, e, s)
	case rules.KindNewValue, rules.KindRarity:
		dst = c.appendValueHash(dst, p, e, s)
		return append(dst, c.valueText(p, e, s)...)
	case rules.KindSequence:
		if r.Sequence.Where != nil {
			return c.appendNeeds(dst, r.Sequence, e, roles)
		}
	case rules.KindBaseline:
		switch l := r.Baseline; l.Of {
		case rules.BaselineSum:
			return c.appendNumber(dst, &l.Sum, e, s)
		case rules.BaselineDistinct:
			return c.appendValueHash(dst, p, e, s)
		case rules.BaselineRatio:
			return appendTruth(dst, l.Ratio, e, s)
		}
	case rules.KindProvenance:
		return c.appendProvenance(dst, p, e, s, roles)
	}
	return dst
}

// appendNumber appends the number that a sum adds up.
func (c *Capturer) appendNumber(dst []byte, o *rules.Operand, e *schema.Event, s *rules.Scratch) []byte {
	d := decimalOf(c.value(e, o, s))
	dst = flat.AppendInt64(dst, d.Hi)
	return binary.BigEndian.AppendUint64(dst, d.Lo)
}

// appendTruth appends 1 if the condition of a ratio is true, else 0.
func appendTruth(dst []byte, of *predicate.Cond, e *schema.Event, s *rules.Scratch) []byte {
	if ok, err := of.Eval(e, s.Predicate); ok && err == nil {
		return append(dst, 1)
	}
	return append(dst, 0)
}

// appendElements appends a hash for each element of a list of texts.
func (c *Capturer) appendElements(dst []byte, list string) []byte {
	for it := predicate.Items(list); it.Next(); {
		text, ok := predicate.Unquote(it.Value())
		if !ok {
			continue
		}
		c.scratch = item.AppendKeyText(c.scratch[:0], text)
		sum := sha256.Sum256(c.scratch)
		dst = append(dst, sum[:item.ValueHashSize]...)
	}
	return dst
}

// appendValueHash appends a hash of the values, so that State holds no text of them. The hash is SHA-256:
// the watched agent chooses the values, and with a hash whose collisions are cheap to find it could make many values
// count as one.
func (c *Capturer) appendValueHash(dst []byte, p *Plan, e *schema.Event, s *rules.Scratch) []byte {
	c.scratch = c.scratch[:0]
	for i := range p.values {
		c.text = item.AppendValueText(c.text[:0], c.value(e, &p.values[i], s))
		c.scratch = item.AppendKeyText(c.scratch, c.text)
	}
	cached := c.hashes.entry(xxh3.Hash(c.scratch), len(c.scratch))
	if cached != nil && contains(cached, c.scratch) {
		return append(dst, cached.result[:]...)
	}
	sum := sha256.Sum256(c.scratch)
	if cached != nil {
		set(cached, c.scratch, [item.ValueHashSize]byte(sum[:item.ValueHashSize]))
	}
	return append(dst, sum[:item.ValueHashSize]...)
}

// valueText returns the values as a finding shows them, in scratch.
func (c *Capturer) valueText(p *Plan, e *schema.Event, s *rules.Scratch) []byte {
	c.scratch = c.scratch[:0]
	for i := range p.values {
		if i > 0 {
			c.scratch = append(c.scratch, ", "...)
		}
		switch v, exposure := c.value(e, &p.values[i], s), c.operandExposure(&p.values[i]); {
		case exposure == schema.Dropped:
			c.scratch = append(c.scratch, droppedText...)
		case v.Text != "" || exposure == schema.Hashed:
			c.scratch = append(c.scratch, schema.Truncate(c.exposedShort(exposure, v).Text, maxNewText)...)
		default:
			c.scratch = item.AppendValueText(c.scratch, v)
		}
	}
	return c.scratch
}

// appendNeeds appends the values that `where` reads of the steps that the item matches. They are compared and never
// shown, so a hash replaces a text that may not leave the worker.
func (c *Capturer) appendNeeds(dst []byte, q *rules.Sequence, e *schema.Event, roles uint32) []byte {
	needs := q.Where.Needs()
	for i := range needs {
		if roles&(1<<needs[i].Step) == 0 {
			continue
		}
		dst = c.appendCompared(dst, e, &needs[i].Mention)
	}
	return dst
}

// appendCompared appends a value that leaves the worker to be compared. A hash replaces a text that may not leave it.
func (c *Capturer) appendCompared(dst []byte, e *schema.Event, m *predicate.Mention) []byte {
	v, exposure := mentioned(e, m), c.exposure(m)
	if exposure >= schema.Hashed && v.Text != "" {
		c.text = item.AppendValueText(c.text[:0], v)
		v = schema.StringValue(schema.HashText(string(c.text)))
	} else if text := item.Distinguish(v.Text, maxComparedText, c.redactFor(exposure)); text != v.Text {
		v = schema.StringValue(text)
	}
	return schema.AppendValue(dst, v)
}

// appendCarried appends the values that the rules over this one read (item.Item.Carried).
func (c *Capturer) appendCarried(dst []byte, p *Plan, e *schema.Event) []byte {
	if !p.rule.IsFeeding {
		return dst
	}
	dst = binary.BigEndian.AppendUint32(dst, p.carriedTag)
	for i := range p.rule.Carries {
		dst = c.appendCompared(dst, e, &p.rule.Carries[i])
	}
	return dst
}
