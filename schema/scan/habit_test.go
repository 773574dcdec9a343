package scan

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// habitKeys are keys of all lengths around those that a habitKey treats differently. Some begin and end alike, one is not
// wanted, and two spell others with escape sequences.
var habitKeys = []string{
	"a", "b", "aa", "abc", "abcd", "abcdef", "abcdefghijkl", "abcdefghijklm", "abcdefghXjklmnopqrstuvwx", "abcdefghYjklmnopqrstuvwx",
	"abcdefghijklmnopqrstuvwxyz0123456789abcdefghijk", "abcdefghijklmnopqrstuvwxyz0123456789abcdefghijkl" + "mnopqrstuvwxyz", "other", "",
	`\u0061`, `abc\u0064`,
}

// TestHabitsDoNotShow checks that a Found gives the same for each object of a sequence as a Trie, which remembers no keys. The
// keys of an object are those of the last one, with some left out, added, repeated, swapped or written with blanks.
func TestHabitsDoNotShow(t *testing.T) {
	var trie Trie
	trie.Open("o")
	for _, key := range habitKeys {
		if key != "other" && !strings.Contains(key, `\`) {
			trie.Add(key)
			trie.Add("below", key)
			trie.Add("o", key)
		}
	}
	want := make([]Span, trie.Len())
	rapid.Check(t, func(rt *rapid.T) {
		x := new(Index)
		f := trie.Found(x)
		key := rapid.SampledFrom(habitKeys)
		usual := rapid.SliceOfN(key, 1, 2*len(habitKeys)).Draw(rt, "usual keys")
		colon := rapid.SampledFrom([]string{":", ":", ":", ": ", " : ", " "})
		for range rapid.IntRange(1, 12).Draw(rt, "objects") {
			keys := slices.Clone(usual)
			for range rapid.IntRange(0, 3).Draw(rt, "changes") {
				at := rapid.IntRange(0, len(keys)-1).Draw(rt, "at")
				switch rapid.IntRange(0, 4).Draw(rt, "change") {
				case 0:
					keys = slices.Insert(keys, at, key.Draw(rt, "added"))
				case 1:
					keys[at] = key.Draw(rt, "instead")
				case 2:
					keys[0], keys[at] = keys[at], keys[0]
				case 3:
					if keys = slices.Delete(keys, at, at+1); len(keys) == 0 {
						keys = append(keys, "")
					}
				case 4:
					usual = keys
				}
			}
			var members []string
			for i, k := range keys {
				members = append(members, fmt.Sprintf(`"%s"%s%d`, k, colon.Draw(rt, "colon"), i))
			}
			inner := "{" + strings.Join(members, ",") + "}"
			src := fmt.Sprintf(`{%s,"below":%s,"o":%s%s`, strings.Join(members, ","), inner, inner, rapid.SampledFrom([]string{"}", "}", ""}).Draw(rt, "end"))
			x.Reset()
			dup, err := f.Select(src)
			wantDup, wantErr := trie.Select(src, want)
			if fmt.Sprint(err) != fmt.Sprint(wantErr) {
				rt.Fatalf("got %v, want %v: %s", err, wantErr, src)
			}
			if err == nil && (dup != wantDup || !sameSpans(f.Spans, want)) {
				rt.Fatalf("got %d %v, want %d %v: %s", dup, f.Spans, wantDup, want, src)
			}
		}
	})
}

// TestHabitsAreBounded checks that the keys that are remembered are bounded, and that learning them ends: objects that take
// turns with others of the same node do not replace the keys of these each time.
func TestHabitsAreBounded(t *testing.T) {
	var trie Trie
	for i := range 200 {
		trie.Add(fmt.Sprint("node", i), "x")
	}
	f := trie.Found(nil)
	text := func(node, object int) string {
		var b strings.Builder
		for k := range 2 * maxHabitOfObject {
			fmt.Fprintf(&b, `,"key%d of %d":1`, k, object)
		}
		return fmt.Sprintf(`{"node%d":{%s}}`, node, b.String()[1:])
	}
	for round := range 3 {
		for node := range 200 {
			if _, err := f.Select(text(node, round)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if n := f.habits.keys; n != maxHabitKeys {
		t.Errorf("%d keys are remembered, want %d", n, maxHabitKeys)
	}
	f = trie.Found(nil)
	texts := []string{text(0, 0), text(0, 1)}
	f.Select(texts[0])
	learned := slices.Clone(f.habits.byNode[trie.root.children[0].node.number].keys)
	if allocs := testing.AllocsPerRun(100, func() { f.Select(texts[1]); f.Select(texts[0]) }); allocs != 0 {
		t.Errorf("%v allocations", allocs)
	}
	for i, k := range f.habits.byNode[trie.root.children[0].node.number].keys {
		if k.text != learned[i].text {
			t.Errorf("key %d: %q was replaced by %q", i, learned[i].text, k.text)
		}
	}
}
