package decode

import (
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// goFind returns the part that Go's regexp finds.
func goFind(t *testing.T, pattern, text string) (string, bool) {
	re, err := regexp.Compile(pattern)
	if err != nil {
		t.Fatal(err)
	}
	at := re.FindStringSubmatchIndex(text)
	if at == nil {
		return "", false
	}
	from, to := at[len(at)-2], at[len(at)-1]
	if from < 0 {
		return "", false
	}
	return text[from:to], true
}

var patterns = []string{
	`^([A-Z]+) `, `^[A-Z]+ (\S+)`, `a*`, `(a|ab)(?:c|bcd)`, `(?i)root=([^;]+)`, `\bfoo\b`, `(?m)^(x.*)$`, `(?s)a(.*)b`, `a(.*?)b`, `(?:a+)+$`,
	`^$`, `x{2,4}(y?)`, `[^\x00-\x7f]+`, `(?:(a)|b)*`, `\z`, `^[0-9a-f]{2}-([0-9a-f]{32})-`, `(?U)a+(b+)`, `\B.`, `(?:|a)+`, `((?:a|b|)+)c`,
	`^(\S+)\s+(?:\S+)$`, `^(a){0}a`, `^(?:([a-z])){2}`, `^(\d*)\z`, `^(?i)k+([^k]*)`, `^[^a]*(\x{e9}+)`, `(^G)E`, `^(?:(a+)|b)`,
	`^^.(.)`, `^a+?(a*)`, `^(?s:.*)$`,
}

var subjects = []string{
	"GET /v1/items?x=1 HTTP/1.1", "", "a", "ab", "abcd", "aaaa", "xfoo foo", "a\nxb\nb", "Self=1;Root=1-abc;x", "\u00e9\u00e8 z",
	"xxxxy", "\xff\xfea", "bab",
	"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", strings.Repeat("a", 200) + "b", strings.Repeat("ab", 100) + "c",
}

func TestPatternFindsWhatGoFinds(t *testing.T) {
	var m matcher
	for _, text := range patterns {
		p, err := NewPattern(text)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		for _, s := range subjects {
			want, wantOK := goFind(t, text, s)
			if got, ok := m.find(p, s); got != want || ok != wantOK {
				t.Errorf("%s in %q: got %q %v, want %q %v", text, s, got, ok, want, wantOK)
			}
		}
	}
}

// Matching without backtracking finds the same as matching with it, for random patterns of the parts used for log
// lines.
func TestLinearMatchingFindsTheSame(t *testing.T) {
	parts := []string{`[A-Z]`, `\S`, `\s`, ` `, `a`, `.`, `[^/:?#]`, `\x{e9}`, `\d`, `(?i:k)`, `-`, `$`, `\pL`}
	counts := []string{"", "", "+", "*", "{2}", "?", "+?"}
	letters := []string{"G", "a", " ", "\t", "k", "\u212a", "\u00e9", "1", "/", "-", "\xff", "\n"}
	linear := 0
	rapid.Check(t, func(t *rapid.T) {
		var pattern, text strings.Builder
		pattern.WriteByte('^')
		n := rapid.IntRange(1, 5).Draw(t, "parts")
		from := rapid.IntRange(0, n).Draw(t, "group from")
		to := rapid.IntRange(from, n).Draw(t, "group to")
		for i := 0; i <= n; i++ {
			if i == from {
				pattern.WriteByte('(')
			}
			if i == to {
				pattern.WriteByte(')')
			}
			if i < n {
				pattern.WriteString(rapid.SampledFrom(parts).Draw(t, "part") + rapid.SampledFrom(counts).Draw(t, "count"))
			}
		}
		for _, letter := range rapid.SliceOfN(rapid.SampledFrom(letters), 0, 12).Draw(t, "text") {
			text.WriteString(strings.Repeat(letter, rapid.IntRange(1, 3).Draw(t, "times")))
		}
		p, err := NewPattern(pattern.String())
		if err != nil {
			t.Fatalf("%s: %v", pattern.String(), err)
		}
		if p.moves == nil {
			return
		}
		linear++
		var m matcher
		want, wantOK := m.search(p, text.String())
		if got, ok := m.find(p, text.String()); got != want || ok != wantOK {
			t.Fatalf("%s in %q: got %q %v, want %q %v", pattern.String(), text.String(), got, ok, want, wantOK)
		}
	})
	if linear == 0 {
		t.Error("no pattern is linear")
	}
}

// The patterns that most maps need are linear.
func TestPatternsForLinesAreLinear(t *testing.T) {
	for _, text := range []string{`^([A-Z]+) `, `^[A-Z]+ (\S+)`, `^[a-z]+://([^/:?#]+)`, `^[0-9a-f]{2}-([0-9a-f]{32})-`, `^(\S+)\s+\d+$`} {
		p, err := NewPattern(text)
		if err != nil {
			t.Fatal(err)
		}
		if p.moves == nil {
			t.Errorf("%s has more linear than one", text)
		}
	}
}

func TestPatternsThatAreRefused(t *testing.T) {
	for _, text := range []string{`(`, `(a)(b)`, `a{1001}`, `(?:a{500}){2}`, `\C`, `[z-a]`, `(?=a)`, strings.Repeat("(?:ab|cd)?", 400)} {
		if _, err := NewPattern(text); err == nil {
			t.Errorf("%.40s: got no error", text)
		}
	}
}

// Matching does not allocate, and a text over the cap is not tried.
func TestPatternCosts(t *testing.T) {
	p, err := NewPattern(`^[A-Z]+ (\S+)`)
	if err != nil {
		t.Fatal(err)
	}
	var m matcher
	m.find(p, strings.Repeat("x", 200))
	if n := testing.AllocsPerRun(100, func() { m.find(p, "GET /v1/items?x=1 HTTP/1.1") }); n != 0 {
		t.Errorf("got %v allocations a match, want 0", n)
	}
	if _, ok := m.find(p, "GET /"+strings.Repeat("x", maxSubject)); ok {
		t.Error("a text over the cap matches")
	}
}

func FuzzPattern(f *testing.F) {
	for _, p := range patterns {
		for _, s := range subjects {
			f.Add(p, s)
		}
	}
	f.Fuzz(func(t *testing.T, pattern, text string) {
		p, err := NewPattern(pattern)
		if err != nil || len(text) > maxSubject {
			return
		}
		var m matcher
		want, wantOK := goFind(t, pattern, text)
		if got, ok := m.find(p, text); got != want || ok != wantOK {
			t.Errorf("%q in %q: got %q %v, want %q %v", pattern, text, got, ok, want, wantOK)
		}
	})
}

func BenchmarkPattern(b *testing.B) {
	const line = "GET /v1/items?x=1 HTTP/1.1"
	b.Run("pattern", func(b *testing.B) {
		p, err := NewPattern(`^[A-Z]+ (\S+)`)
		if err != nil {
			b.Fatal(err)
		}
		var m matcher
		for b.Loop() {
			m.find(p, line)
		}
	})
	b.Run("regexp", func(b *testing.B) {
		re := regexp.MustCompile(`^[A-Z]+ (\S+)`)
		for b.Loop() {
			re.FindStringSubmatchIndex(line)
		}
	})
}

// A choice of words finds the same as matching with backtracking, for random patterns of words.
func TestWordsFindTheSame(t *testing.T) {
	pieces := []string{"a", "ab", "abc", "b", "\u00e9", "", "[bc]", "(?:a|bb)", "a?", "(?:b|)", "b??"}
	compiled := 0
	rapid.Check(t, func(t *rapid.T) {
		draw := func(label string) string {
			return strings.Join(rapid.SliceOfN(rapid.SampledFrom(pieces), 0, 3).Draw(t, label), "")
		}
		choices := rapid.SliceOfN(rapid.Custom(func(*rapid.T) string { return draw("choice") }), 1, 4).Draw(t, "choices")
		group := strings.Join(choices, "|")
		form := rapid.SampledFrom([]string{"(%)", "(?:%)", "(%)?", "(?:%)?"}).Draw(t, "form")
		pattern := rapid.SampledFrom([]string{"", "^"}).Draw(t, "begin") + draw("before") + strings.ReplaceAll(form, "%", group) +
			draw("after") + rapid.SampledFrom([]string{"", "$"}).Draw(t, "end")
		text := strings.Join(rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "c", "\u00e9", "x"}), 0, 8).Draw(t, "text"), "")
		p, err := NewPattern(pattern)
		if err != nil {
			t.Fatalf("%s: %v", pattern, err)
		}
		if p.words == nil {
			return
		}
		compiled++
		var m matcher
		want, wantOK := m.search(p, text)
		if got, ok := m.find(p, text); got != want || ok != wantOK {
			t.Fatalf("%s in %q: got %q %v, want %q %v", pattern, text, got, ok, want, wantOK)
		}
	})
	if compiled == 0 {
		t.Error("no pattern is a choice of words")
	}
}
