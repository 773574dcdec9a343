package content

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestGlob(t *testing.T) {
	f := func(pattern, text string, want bool) {
		t.Helper()
		if got := Glob(pattern, text); got != want {
			t.Errorf("Glob(%q, %q): got %v, want %v", pattern, text, got, want)
		}
	}
	f("", "", true)
	f("", "a", false)
	f("a", "", false)
	f("a", "a", true)
	f("a", "A", false)
	f("a", "ab", false)
	f("b", "ab", false)
	f("*", "", true)
	f("*", "any\ntext", true)
	f("**", "", true)
	f("?", "", false)
	f("?", "a", true)
	f("?", "ab", false)
	f("?", "\u20ac", true)
	f("??", "\u20ac", false)
	f("?", "\xff", true)
	f("a?c", "a\U0001f600c", true)
	f("*?", "", false)
	f("?*", "\u20ac", true)
	f("*.example.com", "api.example.com", true)
	f("*.example.com", "example.com", false)
	f("*.example.com", "api.example.com.evil", false)
	f("arn:*:role/*", "arn:aws:iam::1:role/x", true)
	f("arn:*:role/*", "arn:aws:iam::1:user/x", false)
	f("a*b*c", "a-b-b-c", true)
	f("a*b*c", "a-b-b-c-", false)
	f("*ab", "aab", true) // the star has to take more after its first try
	f("*\u20ac?", "\u20ac\u20ac\u20ac", true)
	f(".", "a", false)
	f("[a]", "a", false)
	f(`\*`, "*", false) // nothing escapes a star
	f(`\*`, `\x`, true)
}

// TestGlobIsRegexp compares Glob with the regular expression that its definition gives.
func TestGlobIsRegexp(t *testing.T) {
	piece := rapid.SampledFrom([]string{"a", "b", "ab", "\u20ac", "\U0001f600", "*", "?", ".", "\n"})
	rapid.Check(t, func(t *rapid.T) {
		pattern := strings.Join(rapid.SliceOfN(piece, 0, 8).Draw(t, "pattern"), "")
		text := strings.Join(rapid.SliceOfN(piece, 0, 10).Draw(t, "text"), "")
		expr := regexp.QuoteMeta(pattern)
		expr = strings.ReplaceAll(expr, `\*`, ".*")
		expr = strings.ReplaceAll(expr, `\?`, ".")
		want := regexp.MustCompile("(?s)^(?:" + expr + ")$").MatchString(text)
		if got := Glob(pattern, text); got != want {
			t.Fatalf("Glob(%q, %q): got %v, want %v", pattern, text, got, want)
		}
	})
}

// TestGlobIsBounded matches patterns for which a matcher that goes back to every star takes exponential time.
func TestGlobIsBounded(t *testing.T) {
	const limit = 5 * time.Second
	start := time.Now()
	if Glob(strings.Repeat("*a", 100)+"b", strings.Repeat("a", 100_000)) {
		t.Error("got a match, want none")
	}
	if took := time.Since(start); took > limit {
		t.Errorf("took %v, want less than %v", took, limit)
	}
	text := strings.Repeat("a", 1000)
	if n := testing.AllocsPerRun(10, func() { Glob("*a?*a*b", text) }); n != 0 {
		t.Errorf("got %v allocations, want 0", n)
	}
}

func ExampleGlob() {
	fmt.Println(Glob("s3:Get*", "s3:GetObject"))
	fmt.Println(Glob("gpt-4?", "gpt-4o"), Glob("gpt-4?", "gpt-4o-mini"))
	// Output:
	// true
	// true false
}

func ExampleKinds() {
	fmt.Println(Kinds("Authorization: Bearer abc").Names())
	// Output: [authorization]
}
