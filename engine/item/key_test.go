package item

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

// TestKeysCompareFieldByField checks that keys have the order of their fields' texts, and that KeyTexts returns these.
func TestKeysCompareFieldByField(t *testing.T) {
	field := rapid.StringOf(rapid.SampledFrom([]rune("\x00\x01\x02ab\u00ff")))
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 3).Draw(t, "fields")
		draw := func(name string) (texts []string, key string) {
			texts = rapid.SliceOfN(field, n, n).Draw(t, name)
			var b []byte
			for _, s := range texts {
				b = AppendKeyText(b, s)
			}
			return texts, string(b)
		}
		a, ka := draw("a")
		b, kb := draw("b")
		if got, want := strings.Compare(ka, kb), slices.Compare(a, b); got != want {
			t.Fatalf("%q against %q: got %d, want %d", ka, kb, got, want)
		}
		if got := KeyTexts(ka); !slices.Equal(got, a) {
			t.Fatalf("texts of %q: got %q, want %q", ka, got, a)
		}
	})
}

func TestDistinguish(t *testing.T) {
	redact := func(s string) string { return strings.ReplaceAll(s, "s", "*") }
	text := rapid.StringOf(rapid.SampledFrom([]rune("s*a\u00e9")))
	rapid.Check(t, func(t *rapid.T) {
		const limit = 50
		a, b := text.Draw(t, "a"), text.Draw(t, "b")
		da, db := Distinguish(a, limit, redact), Distinguish(b, limit, redact)
		if (a == b) != (da == db) {
			t.Fatalf("%q and %q became %q and %q", a, b, da, db)
		}
		if len(da) > limit || !utf8.ValidString(da) || strings.Contains(da, "s") {
			t.Fatalf("%q became %q", a, da)
		}
	})
}

func TestCanonical(t *testing.T) {
	f := func(text, want string) {
		t.Helper()
		if got := Canonical(text); got != want {
			t.Errorf("%s: got %s, want %s", text, got, want)
		}
	}
	f(`{"b":[1, 2.50],"a":{"d":null,"c":"\u0041<"}}`, `{"a":{"c":"A<","d":null},"b":[1,2.50]}`)
	f(`12345678901234567890.10`, `12345678901234567890.10`)
	f(`{"a":1,"a":2}`, `{"a":2}`)
	f(`{"a":`, `{"a":`)
}
