package console

import (
	"strings"
	"testing"
	"unicode"
)

func TestRuns(t *testing.T) {
	for text, want := range map[string]string{
		"":                         "",
		"plain, with\n\ttwo lines": "plain, with\n\ttwo lines",
		"Grüße, مرحبا, שלום, 你好, 🙂": "Grüße, مرحبا, שלום, 你好, 🙂",
		"a\u202eb":                        "a{U+202E RIGHT-TO-LEFT OVERRIDE}b",
		"a\u200b\u2066":                   "a{U+200B ZERO WIDTH SPACE}{U+2066 LEFT-TO-RIGHT ISOLATE}",
		"\x1b[31m":                        "{U+001B ESCAPE}[31m",
		"a\x00b":                          "a{U+0000 NULL}b",
		"a\xffb":                          "a{0xFF BYTE THAT IS NOT UTF-8}b",
		"\U000e0041\U000e007f":            "{U+E0041 TAG 'A'}{U+E007F CANCEL TAG}",
		"x\ufe0f":                         "x{U+FE0F VARIATION SELECTOR}",
		"\u3164":                          "{U+3164 HANGUL FILLER}",
		"\u2003":                          "{U+2003 UNUSUAL SPACE}",
		"\ue000":                          "{U+E000 PRIVATE USE CHARACTER}",
		"e\u0301":                         "e\u0301",
		"e" + strings.Repeat("\u0301", 6): "e" + strings.Repeat("\u0301", 4) + strings.Repeat("{U+0301 COMBINING MARK, ONE OF TOO MANY}", 2),
	} {
		got := ""
		for _, r := range Runs(text) {
			if r.Name != "" {
				got += "{" + r.Code + " " + r.Name + "}"
			} else {
				got += r.Text
			}
		}
		if got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}

// FuzzRuns checks that every character is shown, as it is or as a box, and that none that is shown is invisible or moves others.
func FuzzRuns(f *testing.F) {
	for _, s := range []string{"a\u202eb", "\xff\xfe", "\U000e0041", "e\u0301\u0301\u0301\u0301\u0301\u0301", "\u2028"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		length := 0
		for _, r := range Runs(s) {
			if r.Name != "" {
				length++
				continue
			}
			length += len([]rune(r.Text))
			for _, c := range r.Text {
				if c != '\n' && c != '\t' && (unicode.IsControl(c) || unicode.In(c, unicode.Cf, unicode.Co, unicode.Zl, unicode.Zp)) {
					t.Errorf("%q: %U is shown as it is", s, c)
				}
			}
		}
		if want := len([]rune(s)); length != want {
			t.Errorf("%q: %d of %d characters are shown", s, length, want)
		}
	})
}
