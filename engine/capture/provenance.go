package capture

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"unicode/utf8"

	"github.com/zeebo/xxh3"

	"github.com/aidr-engine/aidr/engine/flat"
	"github.com/aidr-engine/aidr/engine/item"
	"github.com/aidr-engine/aidr/rules"
	"github.com/aidr-engine/aidr/schema"
	"github.com/aidr-engine/aidr/schema/content"
)

const (
	// maxUsedText is the size in bytes of a value that a finding shows. An item may have some hundred.
	maxUsedText = 128
	// maxArgument is the size in bytes of the name of the argument that holds the value.
	maxArgument = 64
	// redactedText replaces a value that is a credential or a part of one.
	redactedText = "[redacted]"
)

// provenance is the memory that finding the values of texts needs. The zero provenance is ready to use.
type provenance struct {
	values  content.Values
	shown   content.Values // of the text after redaction
	brought []broughtValue
	buf     []byte // item.Brought.Values
	used    []usedValue
	hashes  [][item.ValueHashSize]byte // of the values of shown, sorted
}

// broughtValue is a value that an item brings or makes known.
type broughtValue struct {
	hash  [item.ValueHashSize]byte
	place int // in the text
}

// usedValue is a value of the text of `into`.
type usedValue struct {
	content.Value
	characters int
}

// appendProvenance appends the values of the texts of the matched roles: see item/provenance.go.
func (c *Capturer) appendProvenance(dst []byte, p *Plan, e *schema.Event, s *rules.Scratch, roles uint32) []byte {
	texts := &p.rule.Provenance.Texts
	for role := range texts {
		if roles&(1<<role) == 0 {
			continue
		}
		text := c.wholeText(e, &texts[role], s)
		values := c.provenance.values.Of(text)
		var flags byte
		if c.provenance.values.More() {
			flags = item.CutValues
		}
		switch role {
		case rules.ProvenanceInto:
			dst = append(dst, flags)
			dst = c.appendUsed(dst, text, values, c.operandExposure(&texts[role]))
		case rules.ProvenanceFrom:
			dst = item.AppendBrought(dst, c.exposedCore(e, rules.ProvenanceTool), flags, c.broughtValues(values))
		default:
			dst = item.AppendBrought(dst, "", flags, c.broughtValues(values))
		}
	}
	return dst
}

// wholeText returns an operand's value as a text, "" if the event lacks it.
func (c *Capturer) wholeText(e *schema.Event, o *rules.Operand, s *rules.Scratch) string {
	v := c.value(e, o, s)
	if v.Text != "" || !v.Present() {
		return v.Text
	}
	c.text = item.AppendValueText(c.text[:0], v)
	return string(c.text)
}

// broughtValues returns the values as item.Brought has them. They are valid until the next call.
func (c *Capturer) broughtValues(values []content.Value) []byte {
	m := &c.provenance
	m.brought, m.buf = m.brought[:0], m.buf[:0]
	for i := range values {
		m.brought = append(m.brought, broughtValue{c.textHash(values[i].Text), i})
	}
	slices.SortFunc(m.brought, func(a, b broughtValue) int { return bytes.Compare(a.hash[:], b.hash[:]) })
	for i := range m.brought {
		m.buf = append(m.buf, m.brought[i].hash[:]...)
		m.buf = binary.BigEndian.AppendUint16(m.buf, uint16(m.brought[i].place))
	}
	return m.buf
}

// appendUsed appends the values that an item uses, the longest first, of equally long ones the first in bytes.
func (c *Capturer) appendUsed(dst []byte, text string, values []content.Value, x schema.Exposure) []byte {
	used := c.provenance.used[:0]
	for _, v := range values {
		used = append(used, usedValue{v, utf8.RuneCount(v.Text)})
	}
	c.provenance.used = used
	slices.SortFunc(used, func(a, b usedValue) int {
		return cmp.Or(cmp.Compare(b.characters, a.characters), bytes.Compare(a.Text, b.Text))
	})
	secret := c.readShown(text, x)
	dst = binary.AppendUvarint(dst, uint64(len(used)))
	for i := range used {
		hash := c.textHash(used[i].Text)
		dst = append(dst, hash[:]...)
		dst = c.appendShownKey(dst, used[i].Key, x)
		dst = c.appendShownValue(dst, used[i].Text, hash, x, secret)
	}
	return dst
}

// readShown sets hashes to those of the values that the text has after redaction, if it holds a credential at all. Values
// are in lower case, in which a credential would not be found in them.
func (c *Capturer) readShown(text string, x schema.Exposure) (secret bool) {
	redact := c.redactFor(x)
	if redact == nil || x >= schema.Hashed {
		return false
	}
	redacted := redact(text)
	if redacted == text {
		return false
	}
	hashes := c.provenance.hashes[:0]
	for _, v := range c.provenance.shown.Of(redacted) {
		hashes = append(hashes, c.textHash(v.Text))
	}
	slices.SortFunc(hashes, compareHashes)
	c.provenance.hashes = hashes
	return true
}

// appendShownKey appends the name of an argument as a finding shows it.
func (c *Capturer) appendShownKey(dst, key []byte, x schema.Exposure) []byte {
	if x >= schema.Hashed {
		x = schema.Redacted // the name of an argument is none of its values
	}
	return c.appendShown(dst, key, x, maxArgument)
}

// appendShownValue appends a value as a finding shows it. If the text holds a credential, a value that it no longer has
// after redaction is a part of one.
func (c *Capturer) appendShownValue(dst, text []byte, hash [item.ValueHashSize]byte, x schema.Exposure, secret bool) []byte {
	if x == schema.Dropped {
		return flat.AppendText(dst, droppedText)
	}
	if secret {
		if _, ok := slices.BinarySearchFunc(c.provenance.hashes, hash, compareHashes); !ok {
			return flat.AppendText(dst, redactedText)
		}
	}
	return c.appendShown(dst, text, x, maxUsedText)
}

// appendShown appends at most limit bytes of a text as a finding shows it. It allocates nothing for a text that Redact is
// known to leave as it is.
func (c *Capturer) appendShown(dst, text []byte, x schema.Exposure, limit int) []byte {
	redact := c.redactFor(x)
	clean := c.clean.entry(xxh3.Hash(text), len(text))
	if x != schema.Hashed && (redact == nil || len(text) == 0 || clean != nil && contains(clean, text)) {
		return flat.AppendText(dst, schema.Truncate(text, limit))
	}
	return flat.AppendText(dst, schema.Truncate(x.Expose(string(text), redact), limit))
}

func compareHashes(a, b [item.ValueHashSize]byte) int { return bytes.Compare(a[:], b[:]) }

// textHash returns the hash of a value.
func (c *Capturer) textHash(text []byte) [item.ValueHashSize]byte {
	cached := c.hashes.entry(xxh3.Hash(text), len(text))
	if cached != nil && contains(cached, text) {
		return cached.result
	}
	sum := sha256.Sum256(text)
	hash := [item.ValueHashSize]byte(sum[:item.ValueHashSize])
	if cached != nil {
		set(cached, text, hash)
	}
	return hash
}
