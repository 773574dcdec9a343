package predicate

import (
	"math"
	"strconv"
	"strings"
	"unsafe"

	"github.com/aidr-engine/aidr/schema"
	"github.com/aidr-engine/aidr/schema/content"
)

// The parts of a Slot.Derive, besides "lower" and the parts of a URL.
const (
	Normalise = "normalised" // see content.Folded
	Decode    = "decoded"    // see content.Decoded
	Inject    = "injection"  // see content.Injection: an integer
	Entropy   = "entropy"    // see content.Entropy: a decimal
	Spelled   = "text"       // a text itself, a number or bool as its text, other JSON as it is searched
)

// IsNumber reports whether a part of a Derive makes a number: nothing is made from it.
func IsNumber(how string) bool { return how == Inject || how == Entropy }

// derivedType returns the type of the value that a Derive makes.
func derivedType(how string) schema.Type {
	switch how[strings.LastIndexByte(how, ' ')+1:] {
	case Inject:
		return schema.TypeInt
	case Entropy:
		return schema.TypeDouble
	}
	return schema.TypeString
}

// isSearch reports whether a slot is made by a pass over a text that is dearer than a look-up.
func (s *Slot) isSearch() bool {
	return strings.Contains(s.Derive, Decode) || IsNumber(s.Derive[strings.LastIndexByte(s.Derive, ' ')+1:])
}

// derived returns the value that is made from a value; it is absent if it is a text and "". It allocates for a text with
// capital letters in lowerAscii, for a URL, and for a text that is decoded.
func (s *Scratch) derived(how string, v schema.Value) schema.Value {
	for how != "" && v.Present() {
		var first string
		first, how, _ = strings.Cut(how, " ")
		v = s.derivedOnce(first, v)
	}
	if v.Kind == schema.KindString && v.Text == "" {
		return schema.Value{}
	}
	return v
}

func (s *Scratch) derivedOnce(how string, v schema.Value) schema.Value {
	switch how {
	case Spelled:
		return s.spelled(v)
	case Normalise, Decode, Inject, Entropy:
		text, ok := s.searchable(v)
		if !ok {
			return schema.Value{}
		}
		return s.fromText(how, text)
	}
	switch {
	case v.Kind != schema.KindString:
		return schema.Value{}
	case how == "lower":
		return schema.StringValue(LowerASCII(v.Text))
	}
	return schema.StringValue(URLPart(how, v.Text))
}

// spelled returns a value as a text. That of a number is valid until the next event.
func (s *Scratch) spelled(v schema.Value) schema.Value {
	switch v.Kind {
	case schema.KindString:
		return v
	case schema.KindInt, schema.KindDouble:
		return schema.StringValue(s.number(v))
	case schema.KindBool:
		return schema.StringValue(strconv.FormatBool(v.Bool()))
	case schema.KindList:
		return schema.StringValue(v.Text)
	}
	text, _ := s.searchable(v)
	return schema.StringValue(text)
}

// AppendNumber appends an integer or a decimal as it is written in JSON: without an exponent below 10^21.
func AppendNumber(dst []byte, v schema.Value) []byte {
	if v.Kind == schema.KindInt {
		return strconv.AppendInt(dst, v.Int(), 10)
	}
	if f := v.Double(); math.Abs(f) >= maxPlainNumber {
		return strconv.AppendFloat(dst, f, 'g', -1, 64)
	}
	return strconv.AppendFloat(dst, v.Double(), 'f', -1, 64)
}

// maxPlainNumber is the number from which on a decimal is written with an exponent, as encoding/json does.
const maxPlainNumber = 1e21

// fromText returns the value that one of the functions on texts makes. Between Begin and End it is made once for a text,
// however many conditions read it.
func (s *Scratch) fromText(how, text string) schema.Value {
	if text == "" {
		return madeFrom(how, text)
	}
	if !s.sharing {
		if how == Normalise {
			return schema.StringValue(content.Folded(text))
		}
		return madeFrom(how, text)
	}
	at := unsafe.StringData(text)
	for i := range s.made {
		if m := &s.made[i]; m.epoch == s.epoch && m.at == at && m.n == len(text) && m.how == how {
			return m.value
		}
	}
	m := &s.made[s.nextMade%len(s.made)]
	s.nextMade++
	*m = madeValue{epoch: s.epoch, at: at, n: len(text), how: how}
	if how == Normalise {
		m.value = schema.StringValue(s.folded(text))
	} else if how == Inject {
		m.value = schema.IntValue(int64(s.injector.Of(text)))
	} else {
		m.value = madeFrom(how, text)
	}
	return m.value
}

// madeValue is a value that was made from a text of the event. The text is known by its address, which is valid until End.
type madeValue struct {
	epoch uint64
	at    *byte
	n     int
	how   string
	value schema.Value
}

// maxTextsKept is the greatest capacity in bytes of the memory for texts that is kept for the next event.
const maxTextsKept = 1 << 20

// folded returns content.Folded of a text, in memory that is used again for the next event.
func (s *Scratch) folded(text string) string {
	from := s.textMemory()
	s.texts = content.AppendFolded(s.texts, text)
	return s.textFrom(from)
}

// number returns the text of a number, between Begin and End in the same memory.
func (s *Scratch) number(v schema.Value) string {
	if !s.sharing {
		return string(AppendNumber(nil, v))
	}
	from := s.textMemory()
	s.texts = AppendNumber(s.texts, v)
	return s.textFrom(from)
}

// textMemory returns the place in s.texts from which on the caller may append. The first call for an event empties them.
func (s *Scratch) textMemory() (from int) {
	if s.textsFor != s.epoch {
		if s.textsFor = s.epoch; cap(s.texts) > maxTextsKept {
			s.texts = nil
		}
		s.texts = s.texts[:0]
	}
	return len(s.texts)
}

// textFrom returns the bytes of s.texts from a place on.
func (s *Scratch) textFrom(from int) string {
	if out := s.texts[from:]; len(out) > 0 {
		return unsafe.String(&out[0], len(out))
	}
	return ""
}

func madeFrom(how, text string) schema.Value {
	switch how {
	case Decode:
		return schema.StringValue(content.Decoded(text))
	case Inject:
		return schema.IntValue(int64(content.Injection(text)))
	case Entropy:
		return schema.DoubleValue(content.Entropy(text))
	}
	return schema.StringValue(content.Folded(text))
}

// isASCII reports whether a text is ASCII.
func isASCII(text string) bool {
	for i := range len(text) {
		if text[i] >= 0x80 {
			return false
		}
	}
	return true
}
