// Package scan reads JSON out of text without building a tree: it validates everything, extracts only the paths that
// are asked for, and allocates nothing where nothing is escaped.
//
// A value is a Span, its place in the source. Trie.Select finds the wanted ones in one pass, in which an Index can note
// what stands inside some of them, and what is wanted in each element of arrays of records; Text, Int, Double and Time
// read what a Span holds. The source is a string, so that every text that is given out can be a view of it.
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

// Span is one JSON value's place in the source: src[Start:End], quotes and brackets included. It is small, and of no more
// fields than the compiler keeps in registers: spans are copied all the time.
type Span struct {
	Start, End int32
	Kind       Kind
	note       int32 // of a String: 1 where it has a backslash; of an Object or Array: its place in an Index + 1, -1 - its place among the elements there, 0 where it is in none
}

// Escaped says that the value is a String with at least one backslash.
func (v Span) Escaped() bool { return v.Kind == String && v.note != 0 }

// at returns the place in an Index + 1 of what stands inside the value, 0 where it is in none.
func (v Span) at() int32 {
	if v.Kind < Object {
		return 0
	}
	return max(v.note, 0)
}

// MaxDepth is the deepest nesting of objects and arrays that is accepted; deeper input is hostile. Recursion in this
// package is bounded by it.
const MaxDepth = 64

// Valid validates the one JSON value in src, as Trie.Select does, and returns its span without blanks.
func Valid(src string) (Span, error) {
	start := skipBlanks(src, 0)
	if start == len(src) || len(src) > maxSource {
		return Span{}, sourceError(src)
	}
	end, v := skipValue(src, start, 0)
	if v.bad() {
		return Span{}, newError(src, end, v)
	}
	if at := skipBlanks(src, end); at < len(src) {
		return Span{}, newError(src, at, badSyntax)
	}
	return newSpan(start, end, v), nil
}

// Next reads one JSON value at src[from:], blanks before it skipped, and validates it; it returns its span and where to
// go on. At the end of src the span is Absent. It is how NDJSON and concatenated values are cut. After an error next is
// where the error was found; no more can be read without finding a line's end.
func Next(src string, from int) (v Span, next int, err error) {
	s := selection{trie: new(Trie), src: src}
	return s.next(from)
}

// Each calls yield with each element of the array at span of an already validated src, until it returns false. A span
// of another kind has no elements.
func Each(src string, array Span, yield func(elem Span) bool) {
	if array.Kind != Array {
		return
	}
	i, last := skipBlanks(src, int(array.Start)+1), int(array.End)
	for i < last && src[i] != ']' {
		v := passSpan(src, i)
		if !yield(v) {
			return
		}
		i = skipSeparator(src, int(v.End))
	}
}

// Members calls yield with each member of the object at span of an already validated src, until it returns false; key
// is unescaped. Keys come in the order of the text, each as often as it stands there.
func Members(src string, object Span, a *Arena, yield func(key string, v Span) bool) {
	if object.Kind != Object {
		return
	}
	i, last := skipBlanks(src, int(object.Start)+1), int(object.End)
	for i < last && src[i] == '"' {
		name := passSpan(src, i)
		key := Text(src, name, a)
		v := passSpan(src, skipSeparator(src, int(name.End)))
		if !yield(key, v) {
			return
		}
		i = skipSeparator(src, int(v.End))
	}
}

// skipSeparator skips one ',' or ':' and the blanks around it; at any other byte it stays.
func skipSeparator(src string, i int) int {
	i = skipBlanks(src, i)
	if i < len(src) && (src[i] == ',' || src[i] == ':') {
		i = skipBlanks(src, i+1)
	}
	return i
}

func newSpan(start, end int, v verdict) Span {
	return Span{Start: int32(start), End: int32(end), Kind: v.kind(), note: int32(v & escaped / escaped)}
}
