package predicate

import (
	"strings"
	"unicode/utf8"

	"github.com/aidr-engine/aidr/schema"
	"github.com/aidr-engine/aidr/schema/content"
)

// TextFuncs returns the names that TextFunc accepts.
func TextFuncs() []string {
	return []string{"startsWith", "endsWith", "contains", "iequals", "icontains", "glob"}
}

// TextFunc returns the function text.name(arg), nil for an unknown name. All functions compare whole characters, and are
// linear in the text, or in the text times arg, which is a constant of the rule.
func TextFunc(name string) func(text, arg string) bool {
	switch name {
	case "startsWith":
		return strings.HasPrefix
	case "endsWith":
		return strings.HasSuffix
	case "contains":
		return strings.Contains
	case "iequals":
		return strings.EqualFold
	case "icontains":
		return containsFold
	case "glob":
		return globMatch
	}
	return nil
}

func globMatch(text, pattern string) bool { return content.Glob(pattern, text) }

// CheckText returns slot.name("arg"), for a name of TextFuncs; nil for other names.
func CheckText(name string, slot *Slot, arg string) Node {
	test := TextFunc(name)
	switch {
	case test == nil:
		return nil
	case slot.isTextField():
		return &fieldTest{name: name, slot: slot, field: schema.Field(slot.At), arg: arg, test: test}
	}
	return &slotTest{name: name, slot: slot, arg: arg, test: test}
}

// slotTest is slot.startsWith("text") and the like.
type slotTest struct {
	search
	name string
	slot *Slot
	arg  string
	test func(text, arg string) bool
}

func (n *slotTest) eval(s *Scratch) verdict {
	v := s.read(n.slot)
	if !v.Present() {
		return no
	}
	text, ok := s.searchable(v)
	if !ok {
		return s.fail(ErrNotText)
	}
	return verdictOf(n.test(text, n.arg))
}

// fieldTest is a slotTest of a text field; an absent field is "".
type fieldTest struct {
	search
	name  string
	slot  *Slot // of the field
	field schema.Field
	arg   string
	test  func(text, arg string) bool
}

func (n *fieldTest) eval(s *Scratch) verdict {
	return verdictOf(n.test(s.event.Text(n.field), n.arg))
}

// Matches returns slot.matches("pattern").
func Matches(slot *Slot, p *Pattern) Node { return &matches{slot: slot, pattern: p} }

type matches struct {
	search
	slot    *Slot
	pattern *Pattern
}

func (n *matches) eval(s *Scratch) verdict {
	v := s.read(n.slot)
	if !v.Present() {
		return no
	}
	text, ok := s.searchable(v)
	if !ok {
		return s.fail(ErrNotText)
	}
	return verdictOf(n.pattern.Match(text))
}

// containsFold is strings.Contains under Unicode's simple case folding, as in strings.EqualFold.
func containsFold(text, sub string) bool {
	if sub == "" {
		return true
	}
	n := utf8.RuneCountInString(sub)
	first := lowerByte(sub[0])
	for from := 0; from < len(text); {
		// An ASCII letter can only begin a match if it is the first letter of sub in any case, unless sub begins with a
		// character that is not ASCII: the Kelvin sign folds to k.
		if c := text[from]; c < utf8.RuneSelf && first < utf8.RuneSelf && lowerByte(c) != first {
			from++
			continue
		}
		to := from
		for range n {
			if to >= len(text) {
				return false
			}
			_, size := utf8.DecodeRuneInString(text[to:])
			to += size
		}
		if strings.EqualFold(text[from:to], sub) {
			return true
		}
		_, size := utf8.DecodeRuneInString(text[from:])
		from += size
	}
	return false
}

// LowerASCII returns the text with A-Z in lower case; it returns text itself if there is nothing to change.
func LowerASCII(text string) string {
	for i := range len(text) {
		if text[i] >= 'A' && text[i] <= 'Z' {
			return strings.Map(lowerLetter, text)
		}
	}
	return text
}

func lowerByte(c byte) byte {
	if c >= 'A' && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

func upperByte(c byte) byte {
	if c >= 'a' && c <= 'z' {
		return c - ('a' - 'A')
	}
	return c
}

func lowerLetter(r rune) rune {
	if r >= 'A' && r <= 'Z' {
		return r + 'a' - 'A'
	}
	return r
}
