package expr

import (
	"fmt"
	"strings"
	"testing"
)

func TestOutline(t *testing.T) {
	var render func(o *Outline) string
	render = func(o *Outline) string {
		if len(o.Parts) == 0 {
			return o.Text
		}
		var parts []string
		for i := range o.Parts {
			parts = append(parts, render(&o.Parts[i]))
		}
		return fmt.Sprintf("%s{%s}", o.Operator, strings.Join(parts, "; "))
	}
	for text, want := range map[string]string{
		`a == "x"`:                     `a == "x"`,
		`(a && b) && c`:                `&&{a; b; c}`,
		`a && b || c`:                  `||{&&{a; b}; c}`,
		`a && (b || !(c && d)) // why`: `&&{a; ||{b; !{&&{c; d}}}}`,
		`!a.contains("&&")`:            `!a.contains("&&")`,
		`!(a)`:                         `!{a}`,
		`a ? b && c : d || e`:          `a ? b && c : d || e`,
		`xs.exists(x, x == "a" || x == "b") && c`: `&&{xs.exists(x, x == "a" || x == "b"); c}`,
		"a\n  // first\n  && b":                   `&&{a; b}`,
		``:                                        ``,
		strings.Repeat("!(", 300) + "a" + strings.Repeat(")", 300): strings.Repeat("!{", maxOutlineDepth) + unwrapped(300-maxOutlineDepth) + strings.Repeat("}", maxOutlineDepth),
	} {
		o := OutlineOf(text)
		if got := render(&o); got != want {
			t.Errorf("%s: got %s, want %s", text, got, want)
		}
	}
}

func unwrapped(n int) string { return strings.Repeat("!(", n) + "a" + strings.Repeat(")", n) }
