package scan

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// Found finds what Select finds, whatever it found before: few places, more than it empties one by one, or a fault.
func TestFoundIsSelect(t *testing.T) {
	const keys = 3 * maxFilled
	var trie Trie
	for i := range keys {
		trie.Add(fmt.Sprint("k", i))
		trie.Add(fmt.Sprint("k", i), "inner")
	}
	f, want := trie.Found(nil), make([]Span, trie.Len())
	rapid.Check(t, func(rt *rapid.T) {
		var members []string
		for _, i := range rapid.SliceOfN(rapid.IntRange(0, keys), 0, 2*maxFilled).Draw(rt, "keys") {
			members = append(members, fmt.Sprintf(`"k%d":%s`, i, [...]string{`{"inner":1}`, `2`, `[]`, `{"inner":{}}`}[i%4]))
		}
		src := "{" + strings.Join(members, ",") + rapid.SampledFrom([]string{"}", "", ",}"}).Draw(rt, "end")
		dup, err := trie.Select(src, want)
		gotDup, gotErr := f.Select(src)
		if (err == nil) != (gotErr == nil) {
			rt.Fatalf("got error %v, want %v: %s", gotErr, err, src)
		}
		if err != nil {
			return
		}
		if gotDup != dup || !slices.Equal(f.Spans, want) {
			rt.Fatalf("got %d %v, want %d %v: %s", gotDup, f.Spans, dup, want, src)
		}
		whole := Span{Start: 0, End: int32(len(src)), Kind: Object}
		if gotDup = f.SelectAt(src, whole); gotDup != dup || !slices.Equal(f.Spans, want) {
			rt.Fatalf("at a span: got %d %v, want %d %v: %s", gotDup, f.Spans, dup, want, src)
		}
		if f.SelectAt(src, Span{}) != 0 || slices.ContainsFunc(f.Spans, func(s Span) bool { return s != Span{} }) {
			rt.Fatalf("something is found in nothing")
		}
	})
}
