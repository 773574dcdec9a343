package doc_test

import (
	"reflect"
	"strings"
	"testing"

	"github.com/aidr-engine/aidr/rules/doc"
)

// TestFlowIsReadBack checks that parsing the result of Flow returns the same value, also inside braces.
func TestFlowIsReadBack(t *testing.T) {
	for _, v := range []any{
		"a", "a b", "", "a.b/c-d_e", "true", "No", "y", "null", "~", "1", "1.5", "0x1", ".inf",
		"-", "- a", "a: b", "a #b", "#", "a,b", "[a]", "{", "it's", `"`,
		"a\"b\\c\n\t", "2026-01-01T00:00:00Z", "\u00e4\u202e<&>", int64(3), 2.5, true, nil,
		[]any{"a", []any{}, int64(1)}, map[string]any{"a.b": "c", "d e": map[string]any{}, "true": []any{nil}},
	} {
		_, root := doc.Parse("f", []byte("k: {x: ["+doc.Flow(v)+"]}\nl: "+doc.Flow(v)+"\n"))
		got, ok := root.Any().(map[string]any)
		if want := (map[string]any{"k": map[string]any{"x": []any{v}}, "l": v}); !ok || !reflect.DeepEqual(got, want) {
			t.Errorf("%v is written %s and read as %v", v, doc.Flow(v), got)
		}
	}
}

// TestEditor checks that a value is replaced at the right position, also after multi-byte characters and in a file with a
// byte order mark.
func TestEditor(t *testing.T) {
	f := func(src, want string) {
		t.Helper()
		_, root := doc.Parse("f", []byte(src))
		e := doc.NewEditor([]byte(src))
		e.Set(root.Fields().Get("k"), "NEW")
		got, err := e.Text()
		if err != nil {
			got = []byte(err.Error())
		}
		if string(got) != want {
			t.Errorf("%q: got %q, want %q", src, got, want)
		}
	}
	f("\ufeffa: {b: \"\u00e4\u00f6\", k: 1}\nk: 2 # 2", "\ufeffa: {b: \"\u00e4\u00f6\", k: 1}\nk: NEW # 2")
	f("{\"\u00e4\": \u00f6, k: 'it''s #1', z: 1}", "{\"\u00e4\": \u00f6, k: NEW, z: 1}")
	f(`k: "a\"b" # "`, `k: NEW # "`)
	f("k: [a, {b: ']'}, \"}\", it's] # ]\n", "k: NEW # ]\n")
	f("k: [a, # it's ]\n  b]\n", "k: NEW\n")
	f("k: a b#c\n", "k: NEW\n")
	for _, long := range []string{"k:\n  a: b\n", "k: |\n  a\n", "k: a\n  b\n", "k:\n- a\n", "k: >-\n  a\n"} {
		f(long, "k (line "+map[bool]string{true: "2", false: "1"}[strings.HasPrefix(long, "k:\n")]+") spans several lines: change it by hand")
	}
}
