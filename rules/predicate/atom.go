package predicate

import (
	"math"
	"net/netip"
	"strings"
	"unicode/utf8"

	"github.com/aidr-engine/aidr/schema"
)

// Atom is a fact about the value of one slot that an index can find by looking the value up, without a test of its own.
type Atom struct {
	Slot *Slot
	Kind AtomKind
	Text string // of a text kind
	// Low and High are the bounds of a number, both included. AtomNumber has Low only.
	Low, High float64
	Kinds     KindMask
	Network   netip.Prefix
	List      List
}

// AtomKind is the kind of a fact.
type AtomKind uint8

// The kinds of atoms. A text is that of Scratch.Searchable for AtomPrefix, AtomSuffix and AtomContains, otherwise only a
// text value.
const (
	AtomText     AtomKind = iota // the value is Text
	AtomFold                     // the value is Text in some case; Text is ASCII and folded
	AtomPrefix                   // the text begins with Text
	AtomSuffix                   // the text ends with Text
	AtomContains                 // the folded text contains Text, which is folded
	AtomNumber                   // the value is a number that equals Low as a double
	AtomRange                    // the value is a number from Low to High, as a double
	AtomBool                     // the value is a bool, true if Low is 1 and false if it is 0
	AtomKinds                    // the kind of the value is among Kinds
	AtomElement                  // the value is a list of texts with the element Text
	AtomNetwork                  // the value is an address of Network
	AtomList                     // the value is a text in List
)

// KindMask is a set of kinds of values, before an absent field becomes the zero value of its type.
type KindMask uint16

func kinds(ks ...schema.Kind) (m KindMask) {
	for _, k := range ks {
		m |= 1 << k
	}
	return m
}

// Has reports whether the kind is in the set.
func (m KindMask) Has(k schema.Kind) bool { return m&(1<<k) != 0 }

var (
	anyKind     = kinds(schema.KindString, schema.KindInt, schema.KindDouble, schema.KindBool, schema.KindTimestamp, schema.KindJSON, schema.KindList)
	absentKind  = kinds(schema.KindAbsent)
	searchKinds = kinds(schema.KindString, schema.KindJSON)
	numberKinds = kinds(schema.KindInt, schema.KindDouble)
	// unlistedKinds are the kinds of which exists and the other macros fail.
	unlistedKinds = anyKind &^ kinds(schema.KindJSON, schema.KindList)
	expectedKinds = kinds(schema.KindAbsent, schema.KindString)
)

// Clause is a disjunction of atoms: a necessary condition. If none of the atoms holds, the condition it belongs to is
// false, and does not fail either. A clause without atoms belongs to a condition that never holds.
type Clause []Atom

// Fact is the clause of a test.
type Fact struct {
	Clause Clause
	Known  bool // whether the test has a clause
	Exact  bool // the test holds if, and only if, an atom of the clause does
}

func exactly(atoms ...Atom) Fact { return Fact{atoms, true, true} }
func only(atoms ...Atom) Fact    { return Fact{atoms, true, false} }

// maxAtomText is the largest length of a text that an atom of a search has; a longer one is represented by a part of it.
const maxAtomText = 32

// FactOf returns the fact of a test, or of its negation. A value that is dear to make is no fact: the index would make it for
// events that other facts exclude.
func FactOf(n Node, negated bool) Fact {
	f := factOf(n, negated)
	for i := range f.Clause {
		if f.Clause[i].Slot.isSearch() {
			return Fact{}
		}
	}
	return f
}

func factOf(n Node, negated bool) Fact {
	if negated {
		return negatedFact(n)
	}
	switch n := n.(type) {
	case *constant:
		if n.verdict == no {
			return exactly()
		}
	case *textEqual:
		return exactly(Atom{Slot: fieldSlot(n.field), Kind: AtomText, Text: n.text})
	case *textIn:
		return exactly(textAtoms(fieldSlot(n.field), n.texts)...)
	case *listIn:
		return exactly(Atom{Slot: n.slot, Kind: AtomList, List: n.list})
	case *hasField:
		return hasFact(n.field, anyKind)
	case *slotBool:
		return boolFact(n.slot, true)
	case *slotMissing:
		return kindsFact(n.slot, absentKind)
	case *slotEqual:
		return valuesFact(n.slot, []schema.Value{n.value})
	case *slotIn:
		return valuesFact(n.slot, n.values)
	case *intOrder:
		return orderFact(fieldSlot(n.field), n.op, schema.IntValue(n.n))
	case *slotOrder:
		return orderFact(n.slot, n.op, n.value)
	case *fieldTest:
		return textFact(n.slot, n.name, n.arg)
	case *slotTest:
		return textFact(n.slot, n.name, n.arg)
	case *matches:
		return patternFact(n)
	case *listHas:
		return only(Atom{Slot: n.slot, Kind: AtomElement, Text: n.text})
	case *inNetwork:
		return exactly(Atom{Slot: n.slot, Kind: AtomNetwork, Network: n.prefix.Masked()})
	case *computed:
		return n.fact
	}
	return Fact{}
}

// negatedFact returns the fact of the negation of a test.
func negatedFact(n Node) Fact {
	switch n := n.(type) {
	case *constant:
		if n.verdict == yes {
			return exactly()
		}
	case *textEqual:
		if n.text == "" {
			return exactly(Atom{Slot: fieldSlot(n.field), Kind: AtomKinds, Kinds: anyKind})
		}
	case *hasField:
		return hasFact(n.field, absentKind)
	case *slotBool:
		return boolFact(n.slot, false)
	case *slotMissing:
		return kindsFact(n.slot, anyKind)
	case *intOrder:
		return orderFact(fieldSlot(n.field), n.op^(Less|Equal|Greater), schema.IntValue(n.n))
	}
	return Fact{}
}

// fieldSlots are the slots of the fields, for the nodes that have a field only.
var fieldSlots = func() (slots [schema.NumFields]Slot) {
	for f := range slots {
		slots[f] = Slot{Source: FromField, At: f, Type: schema.Field(f).Info().Type}
	}
	return slots
}()

func fieldSlot(f schema.Field) *Slot { return &fieldSlots[f] }

func textAtoms(slot *Slot, texts []string) (atoms []Atom) {
	for _, t := range texts {
		atoms = append(atoms, Atom{Slot: slot, Kind: AtomText, Text: t})
	}
	return atoms
}

// hasFact returns the fact of has(field) or its negation. A dyn field may be present and hold null, which is missing.
func hasFact(f schema.Field, m KindMask) Fact {
	if f.Info().Type == schema.TypeDyn {
		return Fact{}
	}
	return exactly(Atom{Slot: fieldSlot(f), Kind: AtomKinds, Kinds: m})
}

// kindsFact returns the fact that the value of a slot has one of the kinds. A slot whose absent value is a zero value is
// never missing.
func kindsFact(slot *Slot, m KindMask) Fact {
	if slot.Presence || slot.Derive != "" || slot.Type != schema.TypeDyn {
		return Fact{}
	}
	return exactly(Atom{Slot: slot, Kind: AtomKinds, Kinds: m})
}

// boolFact returns the fact of a slot as a condition, which fails for a value that is not a bool, or of its negation.
func boolFact(slot *Slot, v bool) Fact {
	if slot.Presence {
		above := *slot
		above.Presence = false
		m := absentKind
		if v {
			m = anyKind
		}
		return exactly(Atom{Slot: &above, Kind: AtomKinds, Kinds: m})
	}
	atom := Atom{Slot: slot, Kind: AtomBool}
	if v {
		atom.Low = 1
	}
	if slot.ResultType() != schema.TypeDyn {
		return exactly(atom)
	}
	rest := anyKind &^ kinds(schema.KindBool)
	if !v {
		rest |= absentKind
	}
	return only(atom, Atom{Slot: slot, Kind: AtomKinds, Kinds: rest})
}

// valuesFact returns the fact that a slot equals one of the values.
func valuesFact(slot *Slot, values []schema.Value) Fact {
	f := Fact{Known: true, Exact: true}
	for _, v := range values {
		atom := Atom{Slot: slot}
		switch v.Kind {
		case schema.KindAbsent:
			continue // a missing value equals nothing
		case schema.KindString:
			atom.Kind, atom.Text = AtomText, v.Text
		case schema.KindInt, schema.KindDouble:
			atom.Kind, atom.Low = AtomNumber, asDouble(v)
			f.Exact = false // two integers may be equal as doubles only
		case schema.KindBool:
			atom.Kind, atom.Low = AtomBool, float64(v.Num)
		default:
			return Fact{}
		}
		f.Clause = append(f.Clause, atom)
	}
	return f
}

// orderFact returns the fact that a slot is in the order with a constant. Numbers are compared as doubles, so it is not
// exact.
func orderFact(slot *Slot, op Order, v schema.Value) Fact {
	if v.Kind != schema.KindInt && v.Kind != schema.KindDouble || math.IsNaN(asDouble(v)) {
		return Fact{}
	}
	atom := Atom{Slot: slot, Kind: AtomRange, Low: math.Inf(-1), High: math.Inf(1)}
	switch op {
	case Equal:
		atom.Kind, atom.Low, atom.High = AtomNumber, asDouble(v), 0
	case Less, Less | Equal:
		atom.High = asDouble(v)
	case Greater, Greater | Equal:
		atom.Low = asDouble(v)
	default:
		return Fact{}
	}
	f := only(atom)
	if slot.ResultType() == schema.TypeDyn {
		f.Clause = append(f.Clause, Atom{Slot: slot, Kind: AtomKinds, Kinds: anyKind &^ numberKinds})
	}
	return f
}

// textFact returns the fact of a text test, which fails for a value that is not searched as a text.
func textFact(slot *Slot, name, arg string) Fact {
	if arg == "" {
		return Fact{}
	}
	f := Fact{Known: true, Exact: true}
	atom := Atom{Slot: slot, Text: arg}
	switch name {
	case "startsWith":
		atom.Kind = AtomPrefix
	case "endsWith":
		atom.Kind = AtomSuffix
	case "contains":
		atom, f.Exact = containsAtom(slot, literal{arg, false})
	case "icontains":
		atom, f.Exact = containsAtom(slot, literal{arg, true})
	case "iequals":
		if !isASCII(arg) {
			return Fact{}
		}
		// A value in JSON may equal the text, too.
		atom.Kind, atom.Text = AtomFold, FoldText(arg)
	case "glob":
		atom, f.Known = globAtom(slot, arg)
		f.Exact = false
	}
	if atom.Text == "" || !f.Known {
		return Fact{}
	}
	f.Clause = Clause{atom}
	return withFailures(f, slot)
}

// withFailures adds the values on which a text test fails.
func withFailures(f Fact, slot *Slot) Fact {
	if slot.ResultType() == schema.TypeDyn {
		f.Clause = append(f.Clause, Atom{Slot: slot, Kind: AtomKinds, Kinds: anyKind &^ searchKinds})
		f.Exact = false
	}
	return f
}

// containsAtom returns the atom of a search for a literal; its Text is "" if there is none.
func containsAtom(slot *Slot, l literal) (atom Atom, exact bool) {
	text := l.text
	exact = isASCII(text)
	if l.fold && !exact {
		text = longestASCII(text)
	}
	if folded := FoldText(text); len(folded) <= maxAtomText {
		text = folded
	} else {
		text, exact = rarestPart(folded), false
	}
	if !l.fold && !l.caseless() {
		exact = false // the atom ignores case
	}
	return Atom{Slot: slot, Kind: AtomContains, Text: text}, exact
}

// rarestPart returns the part of a text, at most maxAtomText long, that is rarest in prose.
func rarestPart(text string) string {
	best, at := -1, 0
	for i := 0; i+maxAtomText <= len(text); i++ {
		if r := rareness(text[i : i+maxAtomText]); r > best {
			best, at = r, i
		}
	}
	return text[at : at+maxAtomText]
}

// longestASCII returns the longest part of a text that is ASCII.
func longestASCII(text string) (best string) {
	start := 0
	for i := 0; i <= len(text); i++ {
		if i == len(text) || text[i] >= utf8.RuneSelf {
			if i-start > len(best) {
				best = text[start:i]
			}
			start = i + 1
		}
	}
	return best
}

// globAtom returns the atom of the longest literal of a pattern.
func globAtom(slot *Slot, pattern string) (atom Atom, ok bool) {
	best, at := "", 0
	start := 0
	for i := 0; i <= len(pattern); i++ {
		if i == len(pattern) || pattern[i] == '*' || pattern[i] == '?' {
			if i-start > len(best) {
				best, at = pattern[start:i], start
			}
			start = i + 1
		}
	}
	switch {
	case best == "":
		return atom, false
	case best == pattern:
		return Atom{Slot: slot, Kind: AtomPrefix, Text: best}, true
	case at == 0:
		return Atom{Slot: slot, Kind: AtomPrefix, Text: best}, true
	case at+len(best) == len(pattern):
		return Atom{Slot: slot, Kind: AtomSuffix, Text: best}, true
	}
	atom, _ = containsAtom(slot, literal{best, false})
	return atom, true
}

// patternFact returns the fact of a pattern: the text contains one of its literals.
func patternFact(n *matches) Fact {
	if len(n.pattern.literals) == 0 {
		return Fact{}
	}
	f := Fact{Known: true}
	for _, l := range n.pattern.literals {
		atom, _ := containsAtom(n.slot, l)
		if len(atom.Text) < minLiteral {
			return Fact{}
		}
		f.Clause = append(f.Clause, atom)
	}
	return withFailures(f, n.slot)
}

// FoldText returns the text as AtomContains compares it: letters in lower case, and the two characters that fold to an ASCII
// letter, the Kelvin sign and the long s, as that letter. All other characters stay. Two texts of which one is ASCII are
// equal in some case if, and only if, they are the same after folding.
func FoldText(text string) string {
	return string(AppendFolded(make([]byte, 0, len(text)), text))
}

const (
	kelvin = "\u212a"
	longS  = "\u017f"
)

// AppendFolded appends FoldText(text) to dst.
func AppendFolded(dst []byte, text string) []byte {
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case c < utf8.RuneSelf:
			c = lowerByte(c)
		case c == kelvin[0] && strings.HasPrefix(text[i:], kelvin):
			c, i = 'k', i+len(kelvin)-1
		case c == longS[0] && strings.HasPrefix(text[i:], longS):
			c, i = 's', i+len(longS)-1
		}
		dst = append(dst, c)
	}
	return dst
}

// FoldsBeyondASCII reports whether the text has a character outside of ASCII that FoldText changes.
func FoldsBeyondASCII(text string) bool {
	return strings.Contains(text, kelvin) || strings.Contains(text, longS)
}

// IsUnexpected reports whether the kinds contain neither absent values nor texts, which most values of rules are.
func IsUnexpected(m KindMask) bool { return m&expectedKinds == 0 }

// ElementFact returns the fact of a test that is false, and does not fail, for a list or object that contains none of the
// texts. It fails for values of other kinds, and is false for a missing value.
func ElementFact(slot *Slot, texts []string) Fact {
	if len(texts) == 0 || slot.Presence || slot.Derive != "" {
		return Fact{}
	}
	f := Fact{Known: true}
	for _, t := range texts {
		atom, _ := containsAtom(slot, literal{t, false})
		if slot.Type == schema.TypeList {
			atom = Atom{Slot: slot, Kind: AtomElement, Text: t}
		}
		if atom.Text == "" || strings.ContainsRune(t, utf8.RuneError) {
			return Fact{}
		}
		f.Clause = append(f.Clause, atom)
	}
	if slot.Type == schema.TypeDyn {
		f.Clause = append(f.Clause, Atom{Slot: slot, Kind: AtomKinds, Kinds: unlistedKinds})
	}
	return f
}
