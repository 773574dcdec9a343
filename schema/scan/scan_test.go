package scan

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

// nesting returns the depth of the containers in valid JSON.
func nesting(t rapid.TB, src string) int {
	t.Helper()
	depth, deepest := 0, 0
	dec := json.NewDecoder(strings.NewReader(src))
	for {
		tok, err := dec.Token()
		if err != nil {
			return deepest
		}
		switch tok {
		case json.Delim('{'), json.Delim('['):
			depth++
			deepest = max(deepest, depth)
		case json.Delim('}'), json.Delim(']'):
			depth--
		}
	}
}

// acceptable reports whether Select and Valid have to accept a text.
func acceptable(t rapid.TB, src string) bool {
	return json.Valid([]byte(src)) && utf8.ValidString(src) && nesting(t, src) <= MaxDepth
}

// lookup returns the value at a path of a value decoded by encoding/json.
func lookup(v any, path []string) (any, bool) {
	for _, key := range path {
		m, ok := v.(map[string]any)
		if !ok {
			return nil, false
		}
		if v, ok = m[key]; !ok {
			return nil, false
		}
	}
	return v, true
}

// decode returns the value that encoding/json decodes.
func decode(t rapid.TB, src string) any {
	t.Helper()
	dec := json.NewDecoder(strings.NewReader(src))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		t.Fatalf("encoding/json does not read %q: %v", src, err)
	}
	return v
}

// checkSelect compares one Select with encoding/json.
func checkSelect(t rapid.TB, src string, paths [][]string) {
	t.Helper()
	var trie Trie
	places := make([]int, len(paths))
	for i, p := range paths {
		places[i] = trie.Add(p...)
	}
	out := make([]Span, trie.Len())
	_, err := trie.Select(src, out)
	checkIndex(t, src, paths)
	if got, want := err == nil, acceptable(t, src); got != want {
		t.Fatalf("Select(%q) accepts: got %v (%v), want %v", src, got, err, want)
	}
	if err != nil {
		return
	}
	all := decode(t, src)
	for i, p := range paths {
		checkSpan(t, src, out[places[i]], all, p)
	}
	whole, err := Valid(src)
	if err != nil {
		t.Fatalf("Valid(%q): %v", src, err)
	}
	again := make([]Span, trie.Len())
	trie.SelectAt(src, whole, again)
	if !reflect.DeepEqual(out, again) {
		t.Errorf("SelectAt(%q): got %v, want %v", src, again, out)
	}
	var x Index
	picked := trie.Picked()
	Each(src, whole, func(elem Span) bool {
		trie.SelectAt(src, elem, out)
		whole := whole
		whole.Start = elem.Start - 1 // the array from this element on
		x.EachPicked(&picked, src, whole, func(same Span) bool {
			if same != elem || !reflect.DeepEqual(out, picked.Spans) {
				t.Errorf("EachPicked(%q): got %v with %v, want %v with %v", src, same, picked.Spans, elem, out)
			}
			return false
		})
		return true
	})
}

// checkSpan compares the span of a path with the value that encoding/json decoded.
func checkSpan(t rapid.TB, src string, got Span, all any, path []string) {
	t.Helper()
	want, there := lookup(all, path)
	if !there {
		if got != (Span{}) {
			t.Errorf("Select(%q) at %q: got %v, want absent", src, path, got)
		}
		return
	}
	if got.Kind == Absent {
		t.Errorf("Select(%q) at %q: got absent, want %v", src, path, want)
		return
	}
	if found := decode(t, src[got.Start:got.End]); !reflect.DeepEqual(found, want) {
		t.Errorf("Select(%q) at %q: got %v, want %v", src, path, found, want)
	}
	if k := kindOf(want); got.Kind != k {
		t.Errorf("Select(%q) at %q: got kind %d, want %d", src, path, got.Kind, k)
	}
	if text, ok := want.(string); ok {
		var a Arena
		if s := Text(src, got, &a); s != text {
			t.Errorf("Text(%q): got %q, want %q", src[got.Start:got.End], s, text)
		}
	}
}

// kindOf returns the kind of a value decoded by encoding/json.
func kindOf(v any) Kind {
	switch v := v.(type) {
	case nil:
		return Null
	case string:
		return String
	case json.Number:
		return Number
	case bool:
		if v {
			return True
		}
		return False
	case map[string]any:
		return Object
	}
	return Array
}

// wanted are the paths of most tests: prefixes of each other, an empty key, a key that needs escapes.
var wanted = [][]string{{"a"}, {"a", "b"}, {"a", "b", "c"}, {"b"}, {"b", "a"}, {""}, {"", ""}, {"a\"\u00e9"}, {"abc", "d"}, {}}

var selectCases = []string{
	`{}`, `[]`, `1`, ` "x" `, `null`, `true`, `false`, ``, ` `, "\t\r\n", "\ufeff{}",
	`{"a":1}`, `{"a":{"b":{"c":[1,2,{}]}},"b":2}`, `{"a":{"b":1},"a":2}`, `{"a":{"b":1},"a":{}}`,
	`{"a":{"b":1},"a":{"b":{"c":1}}}`, `{"a":{"b":{"c":1}},"a":{"b":1}}`, `{"a":1,"a":{"b":3}}`, `{"a":{"b":1,"b":{"c":2},"b":null}}`,
	`{"\u0061":{"\u0062":7}}`, `{"\u0061":1,"a":2,"\u0061":3}`, `{"a\"\u00e9":"\ud83d\ude00"}`, `{"a\"\u00E9":"\ud83d"}`, `{"a":"\ud83dx\ude00"}`,
	"{\"a\\\"\u00e9\":\"\u00e9\u20ac\U0001f600\"}", `{"":{"":1}}`, `{"abc":{"d":"\"\\\/\b\f\n\r\t"}}`,
	"{ \"a\" : { \"b\" :\n            [ 1 , 2 ] } , \"b\" :\t\"y\" }", `{"a":1,}`, `{,}`, `[1,]`, `[,1]`, `{"a"}`,
	`{"a":}`, `{1:2}`, `{"a":1 "b":2}`, `[1 2]`,
	`{"a":1}}`, `{"a":1}{`, `{"a":tru}`, `{"a":truee}`, `nul`, `01`, `-`, `-0`, `-01`, `1.`, `.5`, `1.5e`, `1e+`, `1E-5`, `+1`, `0x1`, `1_0`, `NaN`,
	`"\x"`, `"\u12"`, `"\u12g4"`, `"\`, `"`, `"abc`,
	"\"a\nb\"", "\"a\x00\"", "\"\x7f\"", "\"\xff\"", "\"abcdefghijkl\xc3\"", "\"\xed\xa0\x80\"", "{\"\xff\":1}", "\xff", "[\xc3\xa9]",
	"\"" + strings.Repeat("x", 100) + "\n\"", "\"" + strings.Repeat("x", 100) + "\\n\"",
	strings.Repeat("[", 64) + strings.Repeat("]", 64), strings.Repeat("[", 65) + strings.Repeat("]", 65),
	strings.Repeat(`{"a":`, 64) + "1" + strings.Repeat("}", 64), strings.Repeat(`{"a":`, 65) + "1" + strings.Repeat("}", 65),
	strings.Repeat(`{"z":`, 65) + "1" + strings.Repeat("}", 65),
	strings.Repeat("[", 10000), strings.Repeat(`{"a":`, 10000),
}

func TestSelectAgreesWithEncodingJSON(t *testing.T) {
	for _, src := range selectCases {
		checkSelect(t, src, wanted)
		checkSelect(t, src, nil)
	}
}

// TestSelectDamaged checks that a text with all kinds of values is accepted exactly if encoding/json accepts it, for every
// truncation and with every byte replaced.
func TestSelectDamaged(t *testing.T) {
	const whole = "{\"a\":{\"b\":{\"c\":[-1.5e+3,0,null,true,false,\"\u20ac\\u20ac\\n\"]},\"b\":\"0123456789\"},\"b\": {\"a\":\"\"}}"
	for i := range len(whole) {
		checkSelect(t, whole[:i], wanted)
		for _, c := range []byte{0, ' ', '"', '\\', '{', ']', ',', '0', 'e', 0x80, 0xff} {
			damaged := []byte(whole)
			damaged[i] = c
			checkSelect(t, string(damaged), wanted)
		}
	}
}

// drawJSON draws the text of a value in which the few keys of drawKey occur often, twice, escaped, and between blanks.
func drawJSON(t *rapid.T, depth int) string {
	blank := rapid.SampledFrom([]string{"", "", "", " ", "\n\t  ", "\r\n          "})
	shape := rapid.IntRange(0, 9).Draw(t, "shape")
	if depth == 0 || shape < 4 {
		return rapid.SampledFrom([]string{
			"1", "-0.5e+10", "true", "false", "null", `""`, `"text of some length"`,
			`"\u00e9\ud83d\ude00\ud83d"`, "\"\u20ac{}[],:\"", `"\"\\"`, "{}", "[]",
		}).Draw(t, "leaf")
	}
	var parts []string
	for range rapid.IntRange(0, 4).Draw(t, "members") {
		part := drawJSON(t, depth-1)
		if shape < 9 {
			part = drawKey(t) + blank.Draw(t, "blank") + ":" + blank.Draw(t, "blank") + part
		}
		parts = append(parts, blank.Draw(t, "blank")+part+blank.Draw(t, "blank"))
	}
	if shape < 9 {
		return "{" + strings.Join(parts, ",") + "}"
	}
	return "[" + strings.Join(parts, ",") + "]"
}

// drawKey draws a key with its quotes.
func drawKey(t *rapid.T) string {
	return rapid.SampledFrom([]string{`"a"`, `"b"`, `"c"`, `"abc"`, `"a\"\u00e9"`, `"\u0061"`, `"\u0062"`, `""`, `"z"`, `"abd"`}).Draw(t, "key")
}

func TestSelectOfRandomJSON(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		key := rapid.SampledFrom([]string{"a", "b", "c", "abc", "a\"\u00e9", "", "z"})
		paths := rapid.SliceOfN(rapid.SliceOfN(key, 0, 4), 0, 12).Draw(t, "paths")
		checkSelect(t, drawJSON(t, 5), paths)
	})
}

func FuzzSelect(f *testing.F) {
	for _, src := range selectCases {
		f.Add(src, "a", "b", uint8(3))
	}
	f.Fuzz(func(t *testing.T, src, k1, k2 string, shape uint8) {
		paths := [][]string{{k1}, {k1, k2}, {k2, k1}, {k2}, {k1, k1}, {k1, k2, k1}, {}}
		checkSelect(t, src, paths[shape%4:])
		checkSelect(t, src, wanted)
	})
}

func TestErrors(t *testing.T) {
	f := func(src string, cause error, offset int) {
		t.Helper()
		var trie Trie
		_, err := trie.Select(src, nil)
		var e *Error
		if !errors.As(err, &e) || !errors.Is(err, cause) || e.Offset != offset {
			t.Errorf("Select(%.40q): got %v, want %v at byte %d", src, err, cause, offset)
		}
		if _, again := Valid(src); again == nil || again.Error() != err.Error() {
			t.Errorf("Valid(%.40q): got %v, want %v", src, again, err)
		}
	}
	f("", ErrEmpty, 0)
	f(" \n", ErrEmpty, 2)
	f(`{"a":1`, ErrSyntax, 6)
	f(`{"a" 1}`, ErrSyntax, 5)
	f(`{"a":1} x`, ErrSyntax, 8)
	f(`{"a":trve}`, ErrSyntax, 7)
	f(`"ab\qc"`, ErrSyntax, 3)
	f("\"ab\x01c\"", ErrSyntax, 3)
	f(`-`, ErrSyntax, 1)
	f("\"0123456789\xff\"", ErrUTF8, 11)
	f("[1,\xc3]", ErrUTF8, 3)
	f("[1,\u00e9]", ErrSyntax, 3)
	f("\"abc\xe2\x82", ErrUTF8, 4)
	f(strings.Repeat("[", 10000), ErrDepth, 64)
	f(strings.Repeat(`{"k":`, 10000), ErrDepth, 64*5)
}

func TestDuplicatesAreCounted(t *testing.T) {
	var trie Trie
	for i := range 300 { // more than a keySet on the stack has room for
		trie.Add("k"+strings.Repeat("x", i), "v")
	}
	a := trie.Add("a", "b")
	out := make([]Span, trie.Len())
	f := func(src string, want int) {
		t.Helper()
		got, err := trie.Select(src, out)
		if err != nil || got != want {
			t.Errorf("Select(%.60q): got %d duplicates, %v; want %d", src, got, err, want)
		}
	}
	f(`{"a":{"b":1}}`, 0)
	f(`{"a":{"b":1,"b":2}}`, 1)
	f(`{"a":{},"a":{},"\u0061":{}}`, 2)
	f(`{"z":1,"z":2,"a":{"z":1,"z":1}}`, 0)
	f(`{"b":{"b":1,"b":2}}`, 0)
	long := `"k` + strings.Repeat("x", 299) + `":{}`
	f("{"+long+","+long+"}", 1)
	if f(`{"a":{"b":1},"a":3}`, 1); out[a] != (Span{}) {
		t.Errorf("the members of the first of two equal keys are still selected: %v", out[a])
	}
}

func TestTriePlaces(t *testing.T) {
	var trie Trie
	if got := trie.Len(); got != 0 {
		t.Errorf("Len of the zero Trie: got %d, want 0", got)
	}
	for want, path := range [][]string{{"a", "b"}, {"a"}, {"a", "b", "c"}, {}} {
		for range 2 {
			if got := trie.Add(path...); got != want {
				t.Errorf("Add(%q): got place %d, want %d", path, got, want)
			}
		}
	}
	if got := trie.Len(); got != 4 {
		t.Errorf("Len: got %d, want 4", got)
	}
}

func TestNext(t *testing.T) {
	src := " {\"a\":1}\n[2]3 \"x\"null\r\n"
	var got []string
	for from := 0; ; {
		v, next, err := Next(src, from)
		if err != nil {
			t.Fatalf("Next at %d: %v", from, err)
		}
		if v.Kind == Absent {
			if next != len(src) {
				t.Errorf("at the end: next is %d, want %d", next, len(src))
			}
			break
		}
		got, from = append(got, src[v.Start:v.End]), next
	}
	if want := []string{`{"a":1}`, `[2]`, `3`, `"x"`, `null`}; !reflect.DeepEqual(got, want) {
		t.Errorf("Next: got %q, want %q", got, want)
	}
	if _, next, err := Next("{} {x}", 2); !errors.Is(err, ErrSyntax) || next != 4 {
		t.Errorf("Next at a fault: got %d, %v; want 4, %v", next, err, ErrSyntax)
	}
}

func TestEachAndMembers(t *testing.T) {
	src := ` [ 1 , "a]" , [2,{}] , {"k":[3]} ] `
	whole, err := Valid(src)
	if err != nil {
		t.Fatal(err)
	}
	var elems []string
	Each(src, whole, func(v Span) bool { elems = append(elems, src[v.Start:v.End]); return true })
	if want := []string{`1`, `"a]"`, `[2,{}]`, `{"k":[3]}`}; !reflect.DeepEqual(elems, want) {
		t.Errorf("Each: got %q, want %q", elems, want)
	}
	src = `{ "a" : 1 , "\u0062" :[ ] , "a":"}" }`
	if whole, err = Valid(src); err != nil {
		t.Fatal(err)
	}
	var a Arena
	var members []string
	Members(src, whole, &a, func(key string, v Span) bool {
		members = append(members, key+"="+src[v.Start:v.End])
		return true
	})
	if want := []string{`a=1`, `b=[ ]`, `a="}"`}; !reflect.DeepEqual(members, want) {
		t.Errorf("Members: got %q, want %q", members, want)
	}
	n := 0
	stop := func(Span) bool { n++; return false }
	Each("[1,2]", Span{End: 5, Kind: Array}, stop)
	Members(src, whole, &a, func(string, Span) bool { n++; return false })
	Each(src, whole, stop)
	Each("[]", Span{End: 2, Kind: Array}, stop)
	Members("{}", Span{End: 2, Kind: Object}, &a, func(string, Span) bool { n++; return true })
	if n != 2 {
		t.Errorf("yield was called %d times, want 2: once by Each and once by Members, which both stop", n)
	}
}

func TestNoAllocations(t *testing.T) {
	const src = `{"a":{"b":{"c":[1,2]}},"b":"2026-01-01T10:00:00.5Z","abc":{"d":12.0},"zz":[{"a":"\n"}]}`
	var trie Trie
	for _, p := range wanted {
		trie.Add(p...)
	}
	at, d := trie.Add("b"), trie.Add("abc", "d")
	out := make([]Span, trie.Len())
	var arena Arena
	members, elems := 0, 0
	got := testing.AllocsPerRun(100, func() {
		if _, err := trie.Select(src, out); err != nil {
			t.Fatal(err)
		}
		if Text(src, out[at], &arena) == "" {
			t.Fatal("no text")
		}
		if n, ok := Int(src, out[d]); !ok || n != 12 {
			t.Fatal("no int")
		}
		if _, ok := Double(src, out[d]); !ok {
			t.Fatal("no double")
		}
		if _, ok := Time(src, out[at]); !ok {
			t.Fatal("no time")
		}
		whole, err := Valid(src)
		if err != nil {
			t.Fatal(err)
		}
		Members(src, whole, &arena, func(string, Span) bool { members++; return true })
		Each(src, out[trie.Add("a", "b", "c")], func(Span) bool { elems++; return true })
	})
	if got != 0 {
		t.Errorf("got %v allocations, want 0", got)
	}
	if members == 0 || elems == 0 {
		t.Error("nothing was yielded")
	}
}

func TestSelectOfLargeText(t *testing.T) {
	var b bytes.Buffer
	b.WriteString(`{"pad":["`)
	b.WriteString(strings.Repeat("0123456789\u20ac", 1<<17))
	b.WriteString(`"],"a":"end"}`)
	var trie Trie
	at := trie.Add("a")
	out := make([]Span, 1)
	src := b.String()
	if _, err := trie.Select(src, out); err != nil {
		t.Fatal(err)
	}
	if got := src[out[at].Start:out[at].End]; got != `"end"` {
		t.Errorf("got %s, want \"end\"", got)
	}
}
