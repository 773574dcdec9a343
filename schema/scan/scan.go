// Package scan selects values from JSON text without building a tree. It validates the whole text, extracts only the
// wanted paths, and does not allocate unless a text contains escape sequences.
//
// A value is a Span: its kind and its offsets in the source. Trie.Select finds the wanted values in one pass. A Found does
// the same for one value after another. It remembers the order of their keys, which makes the next pass faster and changes
// no result. In that pass it can also index the values inside some of the wanted ones, and select from each element of
// arrays of records. Text, Int, Double and Time convert the value at a Span. The source is a string, so that each returned
// text can be a view of it.
package scan

// Kind is the kind of a JSON value.
type Kind uint8

// The kinds. Absent is the kind of the zero Span.
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

// Span is the position of one JSON value in the source: src[Start:End], with its quotes or brackets. Spans are copied all
// the time, so a Span is small and its fields are few enough for the compiler to keep them in registers.
type Span struct {
	Start, End int32
	Kind       Kind

	// note of a String: 1 if it contains a backslash, else 0.
	// note of an Object or Array: its entry in an Index + 1; or -1 - its number among the elements there (see element);
	// or 0 if it is not indexed.
	note int32
}

// Escaped reports whether the value is a String with at least one backslash.
func (v Span) Escaped() bool { return v.Kind == String && v.note != 0 }

// entry returns the number + 1 of the Index entry that lists the values inside v, or 0 if they are not indexed.
func (v Span) entry() int32 {
	if v.Kind < Object {
		return 0
	}
	return max(v.note, 0)
}

// MaxDepth is the deepest nesting of objects and arrays that is accepted. Deeper input is hostile. MaxDepth bounds all
// recursion in this package.
const MaxDepth = 64

// Valid validates the one JSON value in src, as Trie.Select does, and returns its span without the blanks around it.
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

// Next validates one JSON value at src[from:], after any blanks, and returns its span and the offset at which to continue.
// At the end of src the span is Absent. NDJSON and concatenated values are split with it. After an error, next is the
// offset of the error; reading can only continue after the end of that line.
func Next(src string, from int) (v Span, next int, err error) {
	s := selection{trie: new(Trie), src: src}
	return s.next(from)
}

// Each calls yield with each element of an array in an already validated src, until yield returns false. For a span of
// another kind it does nothing.
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

// Members calls yield with each member of an object in an already validated src, until yield returns false. The key is
// unescaped. The order is that of the text, and a key that occurs twice is yielded twice.
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

// skipSeparator skips blanks, one ',' or ':' if there is one, and the blanks after it.
func skipSeparator(src string, i int) int {
	i = skipBlanks(src, i)
	if i < len(src) && (src[i] == ',' || src[i] == ':') {
		i = skipBlanks(src, i+1)
	}
	return i
}

// newSpan returns the span of a value that has been skipped with verdict v; it is not indexed.
func newSpan(start, end int, v verdict) Span {
	return Span{Start: int32(start), End: int32(end), Kind: v.kind(), note: int32(v & escaped / escaped)}
}
