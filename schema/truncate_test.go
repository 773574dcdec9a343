package schema

import (
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

func TestTruncate(t *testing.T) {
	f := func(s string, n int, want string) {
		t.Helper()
		if got := Truncate(s, n); got != want {
			t.Errorf("Truncate(%q, %d): got %q, want %q", s, n, got, want)
		}
	}
	f("", 0, "")
	f("", 5, "")
	f("abc", 0, "")
	f("abc", 2, "ab")
	f("abc", 3, "abc")
	f("abc", 4, "abc")
	f("a\u20acb", 1, "a")
	f("a\u20acb", 2, "a")
	f("a\u20acb", 3, "a")
	f("a\u20acb", 4, "a\u20ac")
	f("\U0001f600", 3, "")
	f("\U0001f600\u00e9", 5, "\U0001f600")
}

// TestTruncateIsLongest checks that the result is a prefix of whole characters, and that no longer one fits.
func TestTruncateIsLongest(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.String().Draw(t, "text")
		n := rapid.IntRange(0, len(s)+2).Draw(t, "n")
		got := Truncate(s, n)
		if len(got) > n || !strings.HasPrefix(s, got) || !utf8.ValidString(got) {
			t.Fatalf("Truncate(%q, %d): got %q", s, n, got)
		}
		if rest := s[len(got):]; rest != "" {
			if _, size := utf8.DecodeRuneInString(rest); len(got)+size <= n {
				t.Fatalf("Truncate(%q, %d): got %q, but one more character fits", s, n, got)
			}
		}
	})
}
