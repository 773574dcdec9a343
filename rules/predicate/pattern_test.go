package predicate

import (
	"fmt"
	"strings"
	"testing"
)

// FuzzRegex compares a Pattern with its regular expression alone, without the search for literals.
func FuzzRegex(f *testing.F) {
	for _, p := range []string{
		`(?i)ignore (all )?previous`, `^abc+d`, `(foo|bar)baz`, `(?i:\x{212a}elvin)`, `a{0,2}bcd`, `(abc){2,}`,
		`\x{fffd}abc`, `(?i)stra\x{df}e`, `x*`, `a\b(bc|cd?)[e-g]`, `x[ab]?yz\bq`,
	} {
		f.Add(p, "please IGNORE all previous abccd")
	}
	f.Fuzz(func(t *testing.T, pattern, text string) {
		r, err := CompilePattern(pattern)
		if err != nil {
			return
		}
		if got, want := r.Match(text), r.re.MatchString(text); got != want {
			t.Errorf("%q on %q: got %v, want %v, searched for %v", pattern, text, got, want, r.literals)
		}
	})
}

func TestRequiredLiterals(t *testing.T) {
	for pattern, want := range map[string]string{
		`(?i)\b(ignore|disregard|forget)(ing|ed)?\W+(all|any) instructions`: "[{ALL INSTRUCTIONS true} {ANY INSTRUCTIONS true}]",
		`(?i)\b(ignore|disregard|forget)\b`:                                 "[{IGNORE true} {DISREGARD true} {FORGET true}]",
		`drop\s+table`:                                                      "[{table false}]",
		`a|bcde`:                                                            "[]",
		`(abc)?x`:                                                           "[]",
		`(?:abcd){2,}`:                                                      "[{abcd false}]",
		`^[a-z]+:(List|Describe|GetUser)`:                                   "[{:List false} {:Describe false} {:GetUser false}]",
		`.*`:                                                                "[]",
		`our (new|real) (?i:task)\b`:                                        "[{our new  false} {our real  false}]",
		`x[ab]?yz`:                                                          "[{xayz false} {xbyz false} {xyz false}]", `x[ab]?y`: "[]",
		`x[ab]yz?q`:     "[{xayzq false} {xayq false} {xbyzq false} {xbyq false}]",
		`(?i)a(?-i:1)b`: "[{A1B true}]",
	} {
		r, err := CompilePattern(pattern)
		if err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint(r.literals); got != want {
			t.Errorf("%s: got %s, want %s", pattern, got, want)
		}
	}
}

// BenchmarkPattern runs a pattern over 1 KB of harmless text, with the search for literals and without.
func BenchmarkPattern(b *testing.B) {
	r, err := CompilePattern(`(?i)\b(ignore|disregard|forget|overlook|bypass)(ing|ed|s)?\W+([\w']+\W+){0,4}?` +
		`(previous|prior|above|all)\W+(instructions?|rules)\b`)
	if err != nil {
		b.Fatal(err)
	}
	text := strings.Repeat("Please summarise the quarterly report for the finance team. ", 17)
	b.Run("searched", func(b *testing.B) {
		for b.Loop() {
			r.Match(text)
		}
	})
	b.Run("alone", func(b *testing.B) {
		for b.Loop() {
			r.re.MatchString(text)
		}
	})
}
