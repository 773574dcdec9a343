package console

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxMarks is the number of combining marks on one letter that are shown. No script needs more, and a stack of hundreds covers the
// lines above and below.
const maxMarks = 4

// Run is a part of a text: letters as they are or, if Name is set, one character that cannot be seen, or that moves what is beside
// it. It is shown as a box with Code, and Name as its description.
type Run struct {
	Text string
	Code string // such as U+202E
	Name string // such as RIGHT-TO-LEFT OVERRIDE
}

// Runs splits a text. The line feed and the tab are letters.
func Runs(s string) (out []Run) {
	start, marks := 0, 0
	flush := func(end int) {
		if end > start {
			out = append(out, Run{Text: s[start:end]})
		}
	}
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		if unicode.In(r, unicode.Mn, unicode.Me) {
			marks++
		} else {
			marks = 0
		}
		name := ""
		switch {
		case r == utf8.RuneError && size == 1:
			name = "BYTE THAT IS NOT UTF-8"
		case marks > maxMarks:
			name = "COMBINING MARK, ONE OF TOO MANY"
		default:
			name = hidden(r)
		}
		if name != "" {
			flush(i)
			code := fmt.Sprintf("U+%04X", r)
			if r == utf8.RuneError && size == 1 {
				code = fmt.Sprintf("0x%02X", s[i])
			}
			out = append(out, Run{Code: code, Name: name})
			start = i + size
		}
		i += size
	}
	flush(len(s))
	return out
}

// Plain returns a text with the code in place of each character that Runs shows as a box, for places that hold text only.
func Plain(s string) string {
	var b strings.Builder
	for _, r := range Runs(s) {
		if r.Name != "" {
			b.WriteString("[" + r.Code + "]")
		} else {
			b.WriteString(r.Text)
		}
	}
	return b.String()
}

// names are the names of the characters that attackers use most. Unicode's own names.
var names = map[rune]string{
	0x00: "NULL", 0x07: "BELL", 0x08: "BACKSPACE", 0x0b: "LINE TABULATION", 0x0c: "FORM FEED", 0x0d: "CARRIAGE RETURN", 0x1b: "ESCAPE", 0x7f: "DELETE",
	0x9b: "CONTROL SEQUENCE INTRODUCER", 0xad: "SOFT HYPHEN", 0x34f: "COMBINING GRAPHEME JOINER", 0x61c: "ARABIC LETTER MARK",
	0x115f: "HANGUL CHOSEONG FILLER", 0x1160: "HANGUL JUNGSEONG FILLER", 0x17b4: "KHMER VOWEL INHERENT AQ", 0x17b5: "KHMER VOWEL INHERENT AA",
	0x180e: "MONGOLIAN VOWEL SEPARATOR", 0x200b: "ZERO WIDTH SPACE", 0x200c: "ZERO WIDTH NON-JOINER", 0x200d: "ZERO WIDTH JOINER",
	0x200e: "LEFT-TO-RIGHT MARK", 0x200f: "RIGHT-TO-LEFT MARK", 0x2028: "LINE SEPARATOR", 0x2029: "PARAGRAPH SEPARATOR",
	0x202a: "LEFT-TO-RIGHT EMBEDDING", 0x202b: "RIGHT-TO-LEFT EMBEDDING", 0x202c: "POP DIRECTIONAL FORMATTING", 0x202d: "LEFT-TO-RIGHT OVERRIDE",
	0x202e: "RIGHT-TO-LEFT OVERRIDE", 0x2060: "WORD JOINER", 0x2061: "FUNCTION APPLICATION", 0x2062: "INVISIBLE TIMES", 0x2063: "INVISIBLE SEPARATOR",
	0x2064: "INVISIBLE PLUS", 0x2066: "LEFT-TO-RIGHT ISOLATE", 0x2067: "RIGHT-TO-LEFT ISOLATE", 0x2068: "FIRST STRONG ISOLATE",
	0x2069: "POP DIRECTIONAL ISOLATE", 0x206a: "INHIBIT SYMMETRIC SWAPPING", 0x206b: "ACTIVATE SYMMETRIC SWAPPING",
	0x206c: "INHIBIT ARABIC FORM SHAPING", 0x206d: "ACTIVATE ARABIC FORM SHAPING", 0x206e: "NATIONAL DIGIT SHAPES", 0x206f: "NOMINAL DIGIT SHAPES",
	0x2800: "BRAILLE PATTERN BLANK", 0x3164: "HANGUL FILLER", 0xfeff: "ZERO WIDTH NO-BREAK SPACE", 0xffa0: "HALFWIDTH HANGUL FILLER",
	0xfff9: "INTERLINEAR ANNOTATION ANCHOR", 0xfffa: "INTERLINEAR ANNOTATION SEPARATOR", 0xfffb: "INTERLINEAR ANNOTATION TERMINATOR",
	0xfffc: "OBJECT REPLACEMENT CHARACTER", 0xe0001: "LANGUAGE TAG", 0xe007f: "CANCEL TAG",
}

// hidden returns the name of a character that is invisible, or that moves others; "" for all others.
func hidden(r rune) string {
	switch {
	case r == '\n' || r == '\t' || r >= ' ' && r < 0x7f:
		return ""
	case names[r] != "":
		return names[r]
	case r >= 0xe0020 && r <= 0xe007e:
		return fmt.Sprintf("TAG %q", r-0xe0000)
	case r >= 0xfe00 && r <= 0xfe0f, r >= 0xe0100 && r <= 0xe01ef, r >= 0x180b && r <= 0x180f:
		return "VARIATION SELECTOR"
	case unicode.IsControl(r):
		return "CONTROL CHARACTER"
	case unicode.Is(unicode.Cf, r):
		return "FORMAT CHARACTER"
	case unicode.Is(unicode.Co, r):
		return "PRIVATE USE CHARACTER"
	case unicode.Is(unicode.Zs, r) && r != 0xa0 && r != 0x3000:
		return "UNUSUAL SPACE"
	case !unicode.IsGraphic(r):
		return "UNASSIGNED CHARACTER"
	}
	return ""
}

// joinFilled joins the texts that are not empty.
func joinFilled(sep string, texts ...string) string {
	var filled []string
	for _, t := range texts {
		if t != "" {
			filled = append(filled, t)
		}
	}
	return strings.Join(filled, sep)
}
