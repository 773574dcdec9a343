// Package scan reads JSON out of bytes without building a tree: it validates everything, extracts only the paths that
// are asked for, and allocates nothing where nothing is escaped.
package scan

// Kind is the kind of a JSON value.
type Kind uint8

const (
	Absent Kind = iota
	Null
	String
	Number
	True
	False
	Object
	Array
)

// Span is one JSON value's place in the source: src[Start:End], quotes and brackets included.
type Span struct {
	Start, End int
	Kind       Kind
	Escaped    bool // a String with at least one backslash
}

// MaxDepth is the deepest nesting of objects and arrays that is accepted; deeper input is hostile.
const MaxDepth = 64

// The rest of this file is the seam: bodies are the package's.

// Arena holds unescaped text: append-only chunks, so that views into it stay right for as long as they are held. The
// zero Arena is ready. One worker owns it.
type Arena struct{}

// Trie is the paths that one Select looks for: immutable after the last Add, shared by workers.
type Trie struct{}

// Add adds a path of object keys and returns its place in Select's out. A path may be a prefix of another.
func (t *Trie) Add(path ...string) int { panic("BUG: seam") }

// Len returns the number of places.
func (t *Trie) Len() int { panic("BUG: seam") }

// Select reads the one JSON value that src holds, blanks around it allowed: validates all of it (RFC 8259, valid UTF-8,
// MaxDepth) and fills out, which has Len entries, with the places of the wanted values. A key that stands twice: the
// last counts, as in encoding/json, and dup counts it where it is wanted. An escaped key counts as what it spells.
func (t *Trie) Select(src string, out []Span) (dup int, err error) { panic("BUG: seam") }

// SelectAt is Select over the value at span of an already validated src.
func (t *Trie) SelectAt(src string, at Span, out []Span) (dup int) { panic("BUG: seam") }

// Valid validates the one JSON value in src and returns its span without blanks.
func Valid(src string) (Span, error) { panic("BUG: seam") }

// Next reads one JSON value at src[from:], blanks before it skipped; it returns its span and where to go on. At the end
// of src the span is Absent. It is how NDJSON and concatenated values are cut.
func Next(src string, from int) (v Span, next int, err error) { panic("BUG: seam") }

// Each calls yield with each element of the array at span of an already validated src, until it returns false.
func Each(src string, array Span, yield func(elem Span) bool) { panic("BUG: seam") }

// Members calls yield with each member of the object; key is unescaped.
func Members(src string, object Span, a *Arena, yield func(key string, v Span) bool) {
	panic("BUG: seam")
}

// Text returns what a String spells: a view of src where nothing is escaped, else text in the arena. Lone surrogates
// become U+FFFD, as in encoding/json.
func Text(src string, v Span, a *Arena) string { panic("BUG: seam") }

// Int returns an integer of 64 bits from a Number, or from a String that spells one; 12.0 and 1e3 are integers.
func Int(src string, v Span) (n int64, ok bool) { panic("BUG: seam") }

// Double returns a finite float64 from a Number, or from a String that spells one.
func Double(src string, v Span) (f float64, ok bool) { panic("BUG: seam") }

// Time returns an instant in ns from a Number (epoch s, ms, us or ns by magnitude, decimals allowed) or a String
// (RFC 3339 with 0-9 digits, without a zone UTC, "YYYY-MM-DD hh:mm:ss.ffffff", CLF, or a number as text).
func Time(src string, v Span) (ns int64, ok bool) { panic("BUG: seam") }
