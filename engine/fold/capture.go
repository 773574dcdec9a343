package fold

import (
	"crypto/sha256"
	"encoding/binary"
	"math/bits"

	"github.com/zeebo/xxh3"

	"github.com/aidr-engine/aidr/rules"
	"github.com/aidr-engine/aidr/rules/expr"
	"github.com/aidr-engine/aidr/schema"
)

// Capturer is what one worker needs to turn hits into items; it is not shared.
type Capturer struct {
	// Redact replaces secrets in a text that leaves the worker; nil leaves texts as they are. What it returns depends on
	// the text alone.
	Redact func(string) string
	// Redaction says of which fields more or less is shown than that; nil: of none. Raws says it by Mention.Raw.
	Redaction *schema.Redaction
	Raws      []schema.Exposure

	item  Item                 // what emit is called with
	buf   []byte               // its bytes
	part  []byte               // a part of them
	text  []byte               // one value as text
	ends  []int                // where the fields of a key end in buf
	front int                  // where its tenant ends there
	other []byte               // the key of another role
	room  room                 // of the items' own bytes
	clean memo[struct{}]       // what Redact leaves as it is
	seen  memo[[seenSize]byte] // what stands for values, by their key form

	// What is the same for all rules that capture one event: see Begin.
	head   []byte // of evidence
	have   schema.FieldSet
	fields [schema.NumFields]shownValue // where have says so; else of an earlier event of the batch
}

// shownValue is a field as evidence shows it.
type shownValue struct {
	text  string // what it was made of; "" where that was no text
	value schema.Value
}

// BeginBatch says that the events that follow are of another batch than those before: their items share no memory with
// the items of those, and nothing here keeps that batch.
func (c *Capturer) BeginBatch() {
	c.room.begin()
	c.fields = [schema.NumFields]shownValue{}
}

// Begin says that the captures that follow are of another event than those before. It must be called before the first
// capture of each event.
func (c *Capturer) Begin() {
	c.head = c.head[:0]
	c.have = schema.FieldSet{}
}

const (
	// maxCapturedText is the size in bytes of one text that a sequence's `where` compares. A longer one is cut and
	// marked with a hash of the whole, so that equal texts stay equal and different ones different.
	maxCapturedText = 4 << 10
	// maxSeenText is the size in bytes of the value that new_value shows.
	maxSeenText = 256
	// droppedText stands for a value that new_value would show and may not.
	droppedText = "[dropped]"
)

// Capture calls emit with the items of one hit, one for each key among its roles; an item is emit's during the call, its
// texts stay. An event without a key, an `of` or a time is none; missing counts the roles that gave no item for that.
// It allocates room for the items' own bytes, once for many items, and nothing else.
func (c *Capturer) Capture(p *Program, rule int, e *schema.Event, roles uint32, s *rules.Scratch, emit func(*Item)) (missing int) {
	if n := len(p.Rule.Roles); n < rules.MaxRoles {
		roles &= 1<<n - 1
	}
	end, ok := e.End()
	if !ok || !p.hasOf(e) {
		return bits.OnesCount32(roles)
	}
	var id schema.ID
	for roles != 0 {
		first := bits.TrailingZeros32(roles)
		roles &^= 1 << first
		if !c.key(p, e, &p.Rule.Roles[first]) {
			missing++
			continue
		}
		it := &c.item
		*it = Item{Rule: rule, Time: end, Roles: 1 << first, Role: p.Rule.Roles[first].Order, Counted: e.Counted()}
		for rest := roles; rest != 0; rest &= rest - 1 {
			i := bits.TrailingZeros32(rest)
			if c.sameKey(p, e, &p.Rule.Roles[i]) {
				it.Roles |= 1 << i
				it.Role = min(it.Role, p.Rule.Roles[i].Order)
				roles &^= 1 << i
			}
		}
		if id.IsZero() {
			id = e.Identity()
		}
		it.ID = id
		c.own(p, e, s, it)
		emit(it)
	}
	return missing
}

// own fills what the item owns. buf holds the key.
func (c *Capturer) own(p *Program, e *schema.Event, s *rules.Scratch, it *Item) {
	key := len(c.buf)
	if !p.wholeGroup {
		c.buf = append(c.buf, c.buf[:c.front]...)
		for _, place := range p.Rule.GroupBy {
			from := c.front
			if place > 0 {
				from = c.ends[place-1]
			}
			c.buf = append(c.buf, c.buf[from:c.ends[place]]...)
		}
	}
	group := len(c.buf)
	c.buf = c.appendData(c.buf, p, e, s, it.Roles)
	data := len(c.buf)
	c.buf = c.appendEvidence(c.buf, p, e)
	own := c.room.own(c.buf)
	it.Key, it.Group, it.Data, it.Evidence = own[:key], own[key:group], own[group:data], own[data:]
	if p.wholeGroup {
		it.Group = it.Key
	}
}

// key puts the key that the role reads into buf; ok is false where the event lacks a field of it.
func (c *Capturer) key(p *Program, e *schema.Event, role *rules.Role) (ok bool) {
	c.buf, c.ends = appendTenant(c.buf[:0], e.Tenant), c.ends[:0]
	c.front = len(c.buf)
	for _, f := range role.Key {
		if !e.Has(f) && !p.Rule.KeyOptional {
			return false
		}
		c.buf = c.appendKeyField(c.buf, e, f)
		c.ends = append(c.ends, len(c.buf))
	}
	return true
}

// sameKey says whether the role reads the key that is in buf.
func (c *Capturer) sameKey(p *Program, e *schema.Event, role *rules.Role) bool {
	c.other = appendTenant(c.other[:0], e.Tenant)
	for _, f := range role.Key {
		if !e.Has(f) && !p.Rule.KeyOptional {
			return false
		}
		c.other = c.appendKeyField(c.other, e, f)
	}
	return string(c.other) == string(c.buf)
}

// appendKeyField appends a field of a key. Keys tell groups apart, so of a field that is dropped they have the hash.
func (c *Capturer) appendKeyField(dst []byte, e *schema.Event, f schema.Field) []byte {
	v, exposure := e.Value(f), c.Redaction.Field(f)
	switch {
	case exposure >= schema.Hashed && v.Present():
		c.text = appendValueText(c.text[:0], v)
		return appendKeyText(dst, schema.HashText(string(c.text)))
	case v.Kind == schema.KindString && len(v.Text) <= maxKeyText && c.shownField(e, f).Text == v.Text:
		return appendKeyText(dst, v.Text) // as distinguish leaves it: what evidence shows of it is made once per event
	case v.Kind == schema.KindString || v.Kind == schema.KindList || v.Kind == schema.KindAbsent:
		return appendKeyText(dst, distinguish(v.Text, maxKeyText, c.redactFor(exposure)))
	case v.Kind == schema.KindJSON:
		return appendKeyText(dst, distinguish(canonical(v.Text), maxKeyText, c.redactFor(exposure)))
	}
	c.text = appendValueText(c.text[:0], v)
	return appendKeyText(dst, c.text)
}

// redactFor returns what takes credentials out of a text, nil where they are kept.
func (c *Capturer) redactFor(x schema.Exposure) func(string) string {
	if x == schema.Kept || c.Redact == nil {
		return nil
	}
	return c.redact
}

// redact is Redact, which is asked once about texts that come again and again.
func (c *Capturer) redact(text string) string {
	slot := c.clean.slot(xxh3.HashString(text), len(text))
	if slot != nil && holds(slot, text) {
		return text
	}
	redacted := c.Redact(text)
	if slot != nil && redacted == text {
		note(slot, text, struct{}{})
	}
	return redacted
}

// exposure returns how much of what a rule mentions may be shown.
func (c *Capturer) exposure(m *expr.Mention) schema.Exposure {
	if m.Raw < 0 {
		return c.Redaction.Field(m.Field)
	}
	if m.Raw < len(c.Raws) {
		return c.Raws[m.Raw]
	}
	return schema.Redacted
}

// of returns the fields whose values the kind compares.
func of(r *rules.Rule) []schema.Field {
	switch r.Kind {
	case rules.KindDistinct:
		return r.Distinct.Of
	case rules.KindNewValue:
		return r.NewValue.Of
	}
	return nil
}

func (p *Program) hasOf(e *schema.Event) bool {
	for _, f := range of(p.Rule) {
		if !e.Has(f) {
			return false
		}
	}
	return true
}

// appendData appends what the kind needs of the event: see Item.Data.
func (c *Capturer) appendData(dst []byte, p *Program, e *schema.Event, s *rules.Scratch, roles uint32) []byte {
	switch r := p.Rule; r.Kind {
	case rules.KindThreshold:
		return c.appendNumber(dst, r.Threshold, e, s)
	case rules.KindDistinct:
		return c.appendSeen(dst, e, r.Distinct.Of)
	case rules.KindNewValue:
		dst = c.appendSeen(dst, e, r.NewValue.Of)
		return append(dst, c.seenText(e, r.NewValue.Of)...)
	case rules.KindSequence:
		if r.Sequence.Where != nil {
			return c.appendNeeds(dst, r.Sequence, e, roles)
		}
	}
	return dst
}

func (c *Capturer) appendNumber(dst []byte, t *rules.Threshold, e *schema.Event, s *rules.Scratch) []byte {
	switch {
	case t.Sum != nil:
		d := decimalOf(e.Value(t.Sum.Of))
		dst = appendInt64(dst, d.Hi)
		return binary.BigEndian.AppendUint64(dst, d.Lo)
	case t.Ratio != nil:
		if ok, err := t.Ratio.Of.Eval(e, s.Expr); ok && err == nil {
			return append(dst, 1)
		}
		return append(dst, 0)
	}
	return dst
}

// appendSeen appends 64 bits that stand for the values. They are of SHA-256: values are chosen by whoever is watched,
// and with a hash whose collisions are cheap many values could be made to count as one. State holds no text of them.
func (c *Capturer) appendSeen(dst []byte, e *schema.Event, fields []schema.Field) []byte {
	c.part = c.part[:0]
	for _, f := range fields {
		c.text = appendValueText(c.text[:0], e.Value(f))
		c.part = appendKeyText(c.part, c.text)
	}
	slot := c.seen.slot(xxh3.Hash(c.part), len(c.part))
	if slot != nil && holds(slot, c.part) {
		return append(dst, slot.made[:]...)
	}
	sum := sha256.Sum256(c.part)
	if slot != nil {
		note(slot, c.part, [seenSize]byte(sum[:seenSize]))
	}
	return append(dst, sum[:seenSize]...)
}

// seenText returns the values as a finding shows them.
func (c *Capturer) seenText(e *schema.Event, fields []schema.Field) []byte {
	c.part = c.part[:0]
	for i, f := range fields {
		if i > 0 {
			c.part = append(c.part, ", "...)
		}
		switch v, exposure := e.Value(f), c.Redaction.Field(f); {
		case exposure == schema.Dropped:
			c.part = append(c.part, droppedText...)
		case v.Text != "" || exposure == schema.Hashed:
			c.part = append(c.part, cutText(c.exposed(exposure, v).Text, maxSeenText)...)
		default:
			c.part = appendValueText(c.part, v)
		}
	}
	return c.part
}

// appendNeeds appends the values of the steps that the item may be. They are compared, not shown: of a text that may not
// leave the worker it is the hash that is.
func (c *Capturer) appendNeeds(dst []byte, q *rules.Sequence, e *schema.Event, roles uint32) []byte {
	needs := q.Where.Needs()
	for i := range needs {
		if roles&(1<<needs[i].Step) == 0 {
			continue
		}
		v, exposure := mentioned(e, &needs[i].Mention), c.exposure(&needs[i].Mention)
		if exposure >= schema.Hashed && v.Text != "" {
			c.text = appendValueText(c.text[:0], v)
			v = schema.StringValue(schema.HashText(string(c.text)))
		} else if text := distinguish(v.Text, maxCapturedText, c.redactFor(exposure)); text != v.Text {
			v = schema.StringValue(text)
		}
		dst = schema.AppendValue(dst, v)
	}
	return dst
}
