package scan

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// checkIndex checks that an index gives the same results as the text, whichever values it contains: for each of the paths
// opened alone, for all of them, and for none.
func checkIndex(t rapid.TB, src string, paths [][]string) {
	t.Helper()
	var plain Trie
	for _, p := range paths {
		plain.Add(p...)
	}
	want := make([]Span, plain.Len())
	dup, wantErr := plain.Select(src, want)
	for opened := range len(paths) + 2 {
		var trie Trie
		for i, p := range paths {
			if trie.Add(p...); i == opened || opened == len(paths) {
				trie.Open(p...)
			}
		}
		var x Index
		f := trie.Found(&x)
		got, err := f.Select(src)
		if fmt.Sprint(err) != fmt.Sprint(wantErr) {
			t.Fatalf("Select(%q): got %v, want %v", src, err, wantErr)
		}
		if err != nil {
			continue
		}
		if got != dup || !sameSpans(f.Spans, want) {
			t.Fatalf("Select(%q): got %d %v, want %d %v", src, got, f.Spans, dup, want)
		}
		for _, v := range f.Spans {
			checkIndexed(t, &x, src, v, &plain)
		}
	}
	var x Index
	whole, err := x.Valid(src)
	if fmt.Sprint(err) != fmt.Sprint(wantErr) {
		t.Fatalf("Index.Valid(%q): got %v, want %v", src, err, wantErr)
	}
	if err == nil {
		checkIndexed(t, &x, src, whole, &plain)
		f := plain.Found(&x)
		if got := f.SelectAt(src, whole); got != dup || !sameSpans(f.Spans, want) {
			t.Fatalf("Found.SelectAt(%q): got %d %v, want %d %v", src, got, f.Spans, dup, want)
		}
	}
}

// bare returns the span as if it were not indexed.
func bare(v Span) Span {
	if v.Kind >= Object {
		v.note = 0
	}
	return v
}

// sameSpans reports whether two lists are equal, without the notes.
func sameSpans(a, b []Span) bool {
	for i := range a {
		if bare(a[i]) != bare(b[i]) {
			return false
		}
	}
	return len(a) == len(b)
}

// checkIndexed checks that an index gives the same as the text for a value and, recursively, for all values inside it.
func checkIndexed(t rapid.TB, x *Index, src string, v Span, trie *Trie) {
	t.Helper()
	got, want := trie.Picked(), make([]Span, trie.Len())
	if len(got.Spans) > 0 {
		got.Put(0, Span{Kind: Null}) // left over from another object
	}
	dup, wantDup := x.Pick(&got, src, v), trie.SelectAt(src, bare(v), want)
	if dup != wantDup || !sameSpans(got.Spans, want) {
		t.Fatalf("Index.Pick(%q, %v): got %d %v, want %d %v", src, v, dup, got.Spans, wantDup, want)
	}
	for place := range want {
		if listed := slices.Contains(got.Filled(), place); !listed && want[place].Kind != Absent {
			t.Fatalf("Index.Pick(%q, %v): place %d is filled, but not listed in %d", src, v, place, got.Filled())
		}
	}
	var a Arena
	var values, keys, wants []string
	x.Each(src, v, func(elem Span) bool {
		values = append(values, fmt.Sprint(bare(elem)))
		checkIndexed(t, x, src, elem, trie)
		return true
	})
	x.EachPicked(&got, src, v, func(elem Span) bool {
		trie.SelectAt(src, bare(elem), want)
		if !sameSpans(got.Spans, want) {
			t.Fatalf("Index.EachPicked(%q, %v): got %v of %v, want %v", src, v, got.Spans, elem, want)
		}
		return true
	})
	x.Members(src, v, &a, func(key string, member Span) bool {
		keys = append(keys, fmt.Sprint(key, bare(member)))
		checkIndexed(t, x, src, member, trie)
		return true
	})
	Each(src, bare(v), func(elem Span) bool { wants = append(wants, fmt.Sprint(elem)); return true })
	if strings.Join(values, "\n") != strings.Join(wants, "\n") {
		t.Fatalf("Index.Each(%q, %v): got %q, want %q", src, v, values, wants)
	}
	wants = nil
	Members(src, bare(v), &a, func(key string, member Span) bool {
		wants = append(wants, fmt.Sprint(key, member))
		return true
	})
	if strings.Join(keys, "\n") != strings.Join(wants, "\n") {
		t.Fatalf("Index.Members(%q, %v): got %q, want %q", src, v, keys, wants)
	}
}

// TestIndexIsBounded checks that a full index leaves out the other values, and that they are then read from the text.
func TestIndexIsBounded(t *testing.T) {
	const elements = maxEntries / 3
	src := `{"a":[` + strings.Repeat(`{"b":[1]},`, elements) + `{"b":2}],"b":[1,[2]]}`
	var trie, element Trie
	a, b, inner := trie.Open("a"), trie.Open("b"), element.Add("b")
	var x Index
	f := trie.Found(&x)
	for range 2 {
		x.Reset()
		if _, err := f.Select(src); err != nil {
			t.Fatal(err)
		}
		if len(x.entries) != maxEntries {
			t.Fatalf("got %d values, want %d", len(x.entries), maxEntries)
		}
		n, out := 0, element.Picked()
		x.Each(src, f.Spans[a], func(elem Span) bool {
			x.Pick(&out, src, elem)
			if out.Spans[inner].Kind != Absent {
				n++
			}
			return true
		})
		x.Each(src, f.Spans[b], func(Span) bool { n++; return true })
		if n != elements+1+2 {
			t.Errorf("got %d values, want %d", n, elements+1+2)
		}
	}
}
