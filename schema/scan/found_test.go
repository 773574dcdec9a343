package scan

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// TestFoundIsSelect checks that Found selects the same as Trie, whatever the value before filled: few places, more than are
// cleared one by one, or some of them before a fault.
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
			value := [...]string{`{"inner":1}`, `2`, `[]`, `{"inner":{}}`}[i%4]
			members = append(members, fmt.Sprintf(`"k%d":%s`, i, value))
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
			rt.Fatalf("spans are selected from an absent value")
		}
	})
}

// recordsTrie returns a trie with more places than are cleared one by one, and with arrays of records at the top and below.
func recordsTrie() *Trie {
	t := new(Trie)
	t.OpenRecords()
	t.OpenRecords("Records")
	t.Add("a", "b")
	t.Add("c")
	t.Open("o")
	t.Add("o", "p")
	for n := range maxFilled + 2 {
		t.Add(fmt.Sprint("k", n))
	}
	return t
}

// checkElements checks that Found selects the same from each element of an array of records as Trie does, whether its
// result was stored by Select or not.
func checkElements(t *testing.T, trie *Trie, f *Found, src string) {
	f.index.Reset()
	dup, err := f.Select(src)
	want := make([]Span, trie.Len())
	wantDup, wantErr := trie.Select(src, want)
	if fmt.Sprint(err) != fmt.Sprint(wantErr) {
		t.Fatalf("%q: got %v, want %v", src, err, wantErr)
	}
	if err != nil {
		return
	}
	samePlaces(t, src, "the whole", f.Spans, dup, want, wantDup)
	var elems []Span
	for _, place := range []int{0, 1} { // the value itself, and Records
		f.index.Each(src, f.Spans[place], func(elem Span) bool {
			elems = append(elems, elem)
			return true
		})
	}
	for i, elem := range elems {
		wantDup := trie.SelectAt(src, bare(elem), want)
		samePlaces(t, src, fmt.Sprint("element ", i), f.Spans, f.SelectAt(src, elem), want, wantDup)
	}
}

// samePlaces compares spans and duplicates, without the notes of the spans.
func samePlaces(t *testing.T, src, context string, got []Span, gotDup int, want []Span, wantDup int) {
	t.Helper()
	if gotDup != wantDup || !sameSpans(got, want) {
		t.Fatalf("%.300q: %s: got %d %v, want %d %v", src, context, gotDup, got, wantDup, want)
	}
}

// elementTexts returns texts with arrays of records of all kinds.
func elementTexts() []string {
	var many strings.Builder // more members than are cleared one by one; one of them occurs twice
	for n := range maxFilled + 2 {
		fmt.Fprintf(&many, `"k%d":%d,`, n, n)
	}
	return []string{
		`[]`, `[ ]`, `[{}]`, `{"Records":[]}`, `[{"a":{"b":1},"c":"x"},{"c":2}]`, `[1,"\u0041",[{"c":1}],null,{"c":[{"c":3}]}]`,
		`{"Records":[{"c":1,"c":"\n"},{"a":{"b":1},"a":{}},{"a":{"b":1},"a":2}],"c":3}`,
		`[{"Records":[{"c":1},{"Records":[{"c":2}]}]}]`, `{"Records":[{"Records":[{"c":1}]}],"Records":[{"c":2}]}`,
		`[{"o":{"p":[1,{"q":2}],"z":3}},{"o":{"p":4}}]`, `[{"c":1},{"c":}]`, `[{"c":1}`, `[{"c":1},]`, `[{"\u0063":1}]`,
		`[{` + many.String() + `"c":1},{"c":2}]`, `[{` + many.String() + `"k0":"x"},{"k1":2}]`,
		strings.Repeat("[", MaxDepth) + strings.Repeat("]", MaxDepth),
		strings.Repeat("[", MaxDepth+1) + strings.Repeat("]", MaxDepth+1),
		strings.Repeat(`[{"c":`, MaxDepth/2) + "1" + strings.Repeat("}]", MaxDepth/2),
		strings.Repeat(`[{"c":`, MaxDepth/2+1) + "1" + strings.Repeat("}]", MaxDepth/2+1),
	}
}

func TestElements(t *testing.T) {
	trie := recordsTrie()
	f := trie.Found(new(Index))
	for _, src := range elementTexts() {
		checkElements(t, trie, f, src)
	}
	// More elements than the index stores results of, so that the last ones are selected from their text.
	checkElements(t, trie, f, "["+strings.Repeat(`{"a":{"b":1},"c":2},`, maxPicks/2+2)+`{"c":3}]`)
}

func FuzzElements(f *testing.F) {
	for _, src := range elementTexts() {
		f.Add(src)
	}
	trie := recordsTrie()
	found := trie.Found(new(Index))
	f.Fuzz(func(t *testing.T, src string) { checkElements(t, trie, found, src) })
}

// TestFoundNext checks that Found.Next selects the same from each of several values as SelectAt does from that value.
func TestFoundNext(t *testing.T) {
	trie := recordsTrie()
	f := trie.Found(new(Index))
	src := "{\"c\":1} [{\"c\":2}]\n{\"a\":{\"b\":3},\"c\":4,\"c\":5} x"
	var got []string
	for from := 0; ; {
		v, next, dup, err := f.Next(src, from)
		plain, plainNext, plainErr := Next(src, from)
		if v != plain || next != plainNext || fmt.Sprint(err) != fmt.Sprint(plainErr) {
			t.Fatalf("at %d: got %v %d %v, want %v %d %v", from, v, next, err, plain, plainNext, plainErr)
		}
		if err != nil {
			break
		}
		want := make([]Span, trie.Len())
		wantDup := trie.SelectAt(src, v, want)
		samePlaces(t, src, "a value", f.Spans, dup, want, wantDup)
		got = append(got, src[v.Start:v.End])
		from = next
	}
	if len(got) != 3 {
		t.Errorf("got %q, want three values and an error", got)
	}
}
