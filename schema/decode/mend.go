package decode

import (
	"strings"
	"unicode/utf8"

	"github.com/aidr-engine/aidr/schema/formats"
	"github.com/aidr-engine/aidr/schema/scan"
)

// mending is a set of faults of a text that programs which write JSON without a library make, and that leave no doubt about
// what they meant. They are mended and counted.
type mending uint8

const (
	mendedEscape   mending = 1 << iota // \x22, as NGINX writes without escape=json, and \'
	mendedNumber                       // NaN and Infinity, as Python writes
	mendedEncoding                     // bytes that are not UTF-8: Latin-1
	mendedControl                      // a tab or another control character inside a text
)

// mendingNames are the names under which mended faults are counted as field errors of an element.
var mendingNames = [...]string{"json.escape", "json.number", "json.encoding", "json.control"}

// count counts the mended faults of an element.
func (m mending) count(el *formats.Element) {
	for i, name := range mendingNames {
		if m&(1<<i) != 0 {
			el.CountFaultNamed(name)
		}
	}
}

// decodeMended decodes a part of a text that is not JSON, if it is JSON after its faults are mended.
func (d *Decoder) decodeMended(part string, level int) bool {
	if part == "" || part[0] != '{' && part[0] != '[' {
		return false
	}
	text, faults := mend(part)
	if faults == 0 {
		return false
	}
	d.elem.Charge(len(text))
	v, next, dup, err := d.selection.Next(text, 0)
	if err != nil || v.Kind == scan.Absent {
		return false
	}
	outer := d.mended
	d.mended |= faults
	if skipSeparators(text, next) == len(text) {
		d.decodeValue(text, d.found[d.root], dup, level)
	} else {
		d.decodeLines(text, level, 0, v, next, dup, nil)
	}
	d.mended = outer
	return true
}

// mend returns a text without the faults, and which it had. It takes one pass. The text outside of strings changes only in
// numbers that JSON lacks, and a string never ends elsewhere than before.
func mend(text string) (mended string, faults mending) {
	var b strings.Builder
	from := 0
	replace := func(at, end int, with string, fault mending) {
		b.WriteString(text[from:at])
		b.WriteString(with)
		from, faults = end, faults|fault
	}
	quoted := false
	for i := 0; i < len(text); {
		c := text[i]
		if !quoted {
			if end := strangeNumber(text, i); end > i {
				replace(i, end, "null", mendedNumber)
				i = end
				continue
			}
			quoted = c == '"'
			i++
			continue
		}
		switch {
		case c == '"':
			quoted = false
			i++
		case c == '\\' && i+1 < len(text) && text[i+1] == '\'':
			replace(i, i+2, "'", mendedEscape)
			i += 2
		case c == '\\' && isHexEscape(text[i:]):
			end := i
			for isHexEscape(text[end:]) {
				end += len(`\x22`)
			}
			replace(i, end, unescaped(text[i:end]), mendedEscape)
			i = end
		case c == '\\':
			i += 2
		case c < ' ' && c != '\n' && c != '\r' && c != 0:
			replace(i, i+1, string([]byte{'\\', 'u', '0', '0', '0' + c>>4, "0123456789abcdef"[c&15]}), mendedControl)
			i++
		case c >= utf8.RuneSelf:
			r, size := utf8.DecodeRuneInString(text[i:])
			if r == utf8.RuneError && size == 1 {
				replace(i, i+1, string(rune(c)), mendedEncoding)
			}
			i += size
		default:
			i++
		}
	}
	if faults == 0 {
		return text, 0
	}
	b.WriteString(text[from:])
	return b.String(), faults
}

// strangeNumber returns the end of NaN, Infinity or -Infinity at an offset, or the offset if there is none of them.
func strangeNumber(text string, at int) (end int) {
	if c := text[at]; c != 'N' && c != 'I' && c != '-' {
		return at
	}
	for _, word := range [...]string{"NaN", "Infinity", "-Infinity"} {
		if strings.HasPrefix(text[at:], word) {
			return at + len(word)
		}
	}
	return at
}

// isHexEscape reports whether a text begins with \x and two hexadecimal digits.
func isHexEscape(text string) bool {
	return len(text) >= len(`\x22`) && text[0] == '\\' && text[1] == 'x' && hexDigit(text[2]) < 16 && hexDigit(text[3]) < 16
}

// hexDigit returns the value of a hexadecimal digit, or 16.
func hexDigit(c byte) byte {
	switch {
	case '0' <= c && c <= '9':
		return c - '0'
	case 'a' <= c|0x20 && c|0x20 <= 'f':
		return c | 0x20 - 'a' + 10
	}
	return 16
}

// unescaped returns the JSON text of consecutive escapes such as \xC3\xA4, which are the bytes of UTF-8, or of Latin-1 if
// they are not UTF-8.
func unescaped(escapes string) string {
	raw := make([]byte, 0, len(escapes)/len(`\x22`))
	for i := 0; i < len(escapes); i += len(`\x22`) {
		raw = append(raw, hexDigit(escapes[i+2])<<4|hexDigit(escapes[i+3]))
	}
	text := string(raw)
	if !utf8.ValidString(text) {
		runes := make([]rune, len(raw))
		for i, c := range raw {
			runes[i] = rune(c)
		}
		text = string(runes)
	}
	quoted := formats.AppendString(nil, text)
	return string(quoted[1 : len(quoted)-1])
}
