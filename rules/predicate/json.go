package predicate

import (
	"encoding/json"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/aidr-engine/aidr/schema"
)

// The JSON of a dyn field or of a raw path is read in place: the look-up of a key scans the text once, builds no tree and
// does not recurse. Decoding has validated the text; a text that is nevertheless not JSON is absent, and never a panic.

// JSONAt returns the value at a path of keys in a JSON text. It is absent if the path does not exist or is null.
func JSONAt(text string, path []string) schema.Value {
	text = strings.Trim(text, jsonBlanks)
	for _, key := range path {
		member, ok := jsonMember(text, key)
		if !ok {
			return schema.Value{}
		}
		text = member
	}
	return JSONValue(text)
}

const jsonBlanks = " \t\r\n"

// JSONValue returns the value of a JSON text without blanks around it; null is absent.
func JSONValue(text string) schema.Value {
	if text == "" {
		return schema.Value{}
	}
	switch text[0] {
	case '"':
		s, ok := Unquote(text)
		if !ok {
			return schema.Value{}
		}
		return schema.StringValue(s)
	case '{', '[':
		return schema.JSONValue(text)
	case 't', 'f':
		if text == "true" || text == "false" {
			return schema.BoolValue(text == "true")
		}
		return schema.Value{}
	case 'n':
		return schema.Value{}
	}
	return jsonNumber(text)
}

// jsonNumber returns an integer if the text is an integer of 64 bits, otherwise a finite double.
func jsonNumber(text string) schema.Value {
	if c := text[0]; c != '-' && (c < '0' || c > '9') {
		return schema.Value{}
	}
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		return schema.IntValue(n)
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return schema.Value{}
	}
	return schema.DoubleValue(f)
}

// Unquote returns the text of a quoted JSON string. It is a part of the argument if no character is escaped.
func Unquote(text string) (string, bool) {
	if len(text) < 2 || text[0] != '"' || text[len(text)-1] != '"' {
		return "", false
	}
	inner := text[1 : len(text)-1]
	if strings.IndexByte(inner, '\\') < 0 {
		return inner, true
	}
	var s string
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		return "", false
	}
	return s, true
}

// jsonMember returns the value of a key of an object. If the key occurs twice, its last occurrence counts.
func jsonMember(object, key string) (value string, ok bool) {
	if object == "" || object[0] != '{' || !mayContain(object, key) {
		return "", false
	}
	it := JSONItems{text: object, at: 1}
	for it.Next() {
		if it.isKey(key) {
			value, ok = it.value, true
		}
	}
	return value, ok && it.whole
}

// mayContain reports whether a JSON text may contain a key. A search is ten times as fast as walking the members, and most
// keys that conditions read are absent.
func mayContain(json, text string) bool {
	return strings.Contains(json, text) || strings.IndexByte(json, '\\') >= 0
}

// JSONItems iterates over the elements of an array or the members of an object.
type JSONItems struct {
	text  string // of the array or object
	at    int    // offset of the rest; 1 at the start, after the opening bracket
	key   string // quoted; "" in an array
	value string // without blanks around it
	whole bool   // whether the closing bracket was reached
}

// Items returns the elements of an array or the members of an object.
func Items(text string) JSONItems { return JSONItems{text: text, at: 1} }

// Key returns the key of the current member, quoted; "" in an array.
func (it *JSONItems) Key() string { return it.key }

// Value returns the text of the current element or member, without blanks around it.
func (it *JSONItems) Value() string { return it.value }

// Next advances to the next item. It returns false at the end, and also if the text is damaged (then whole is false).
func (it *JSONItems) Next() bool {
	if it.whole || !it.skipBlanks() {
		return false
	}
	object := it.text[0] == '{'
	if c := it.text[it.at]; c == ']' || c == '}' {
		it.whole = (c == '}') == object
		return false
	}
	if it.text[it.at] == ',' {
		it.at++
		if !it.skipBlanks() {
			return false
		}
	}
	it.key = ""
	if object {
		end, ok := jsonSkip(it.text, it.at)
		if !ok || it.text[it.at] != '"' {
			return false
		}
		it.key, it.at = it.text[it.at:end], end
		if !it.skipBlanks() || it.text[it.at] != ':' {
			return false
		}
		it.at++
		if !it.skipBlanks() {
			return false
		}
	}
	end, ok := jsonSkip(it.text, it.at)
	if !ok {
		return false
	}
	it.value, it.at = it.text[it.at:end], end
	return true
}

// skipBlanks reports whether there is anything after the blanks that it skips.
func (it *JSONItems) skipBlanks() bool {
	for it.at < len(it.text) && strings.IndexByte(jsonBlanks, it.text[it.at]) >= 0 {
		it.at++
	}
	return it.at < len(it.text)
}

func (it *JSONItems) isKey(key string) bool { return jsonSpells(it.key, key) }

// jsonSpells reports whether a quoted JSON string is the text. It does not allocate, however the string is escaped.
func jsonSpells(quoted, text string) bool {
	if len(quoted) < 2 || quoted[0] != '"' || quoted[len(quoted)-1] != '"' {
		return false
	}
	inner := quoted[1 : len(quoted)-1]
	for {
		plain := strings.IndexByte(inner, '\\')
		if plain < 0 {
			return inner == text
		}
		if !strings.HasPrefix(text, inner[:plain]) {
			return false
		}
		r, size := jsonEscape(inner[plain:])
		var b [utf8.UTFMax]byte
		spelled := b[:utf8.EncodeRune(b[:], r)]
		text = text[plain:]
		if size == 0 || len(text) < len(spelled) || text[:len(spelled)] != string(spelled) {
			return false
		}
		inner, text = inner[plain+size:], text[len(spelled):]
	}
}

// SpellOut returns a JSON text with its escapes replaced by the characters that they denote. The result is for searching: it
// is not JSON. It is text itself if no character is escaped.
func SpellOut(text string) string {
	if strings.IndexByte(text, '\\') < 0 {
		return text
	}
	out := make([]byte, 0, len(text))
	for {
		plain := strings.IndexByte(text, '\\')
		if plain < 0 {
			return string(append(out, text...))
		}
		out = append(out, text[:plain]...)
		r, size := jsonEscape(text[plain:])
		if size == 0 { // not a JSON escape: keep the backslash
			out, size = append(out, '\\'), 1
		} else {
			out = utf8.AppendRune(out, r)
		}
		text = text[plain+size:]
	}
}

// jsonEscape decodes the escape at the front of s, which begins with a backslash; size is 0 if it is not an escape. A lone
// surrogate is U+FFFD, as in encoding/json.
func jsonEscape(s string) (r rune, size int) {
	if len(s) < 2 {
		return 0, 0
	}
	switch s[1] {
	case '"', '\\', '/':
		return rune(s[1]), 2
	case 'b':
		return '\b', 2
	case 'f':
		return '\f', 2
	case 'n':
		return '\n', 2
	case 'r':
		return '\r', 2
	case 't':
		return '\t', 2
	case 'u':
		return jsonUnicode(s)
	}
	return 0, 0
}

// jsonUnicode decodes an escape that begins with \u, or two of them that are a surrogate pair.
func jsonUnicode(s string) (r rune, size int) {
	r, ok := hex4(s[2:])
	if !ok {
		return 0, 0
	}
	if !utf16.IsSurrogate(r) {
		return r, 6
	}
	if strings.HasPrefix(s[6:], `\u`) {
		if low, ok := hex4(s[8:]); ok {
			if pair := utf16.DecodeRune(r, low); pair != utf8.RuneError {
				return pair, 12
			}
		}
	}
	return utf8.RuneError, 6
}

// hex4 parses the four hexadecimal digits at the front of s.
func hex4(s string) (r rune, ok bool) {
	if len(s) < 4 {
		return 0, false
	}
	for i := range 4 {
		digit := strings.IndexByte("0123456789abcdef", s[i]|0x20)
		if digit < 0 || s[i] < '0' {
			return 0, false
		}
		r = r<<4 | rune(digit)
	}
	return r, true
}

// jsonSkip returns the end of the value that starts at from. It counts brackets without distinguishing their kinds.
func jsonSkip(text string, from int) (end int, ok bool) {
	depth := 0
	for i := from; i < len(text); {
		switch text[i] {
		case '"':
			if i = jsonStringEnd(text, i); i < 0 {
				return 0, false
			}
		case '{', '[':
			depth++
			i++
		case '}', ']':
			depth--
			i++
		case ',', ':', ' ', '\t', '\r', '\n':
			if depth == 0 {
				return 0, false
			}
			i++
			continue
		default:
			i = jsonScalarEnd(text, i)
		}
		if depth == 0 {
			return i, true
		}
		if depth < 0 {
			return 0, false
		}
	}
	return 0, false
}

// jsonStringEnd returns the offset after the closing quote of the string at from, or -1 if the string is not closed.
func jsonStringEnd(text string, from int) int {
	for i := from + 1; i < len(text); {
		n := strings.IndexByte(text[i:], '"')
		if n < 0 {
			return -1
		}
		quote := i + n
		escapes := 0
		for quote-1-escapes > from && text[quote-1-escapes] == '\\' {
			escapes++
		}
		i = quote + 1
		if escapes%2 == 0 {
			return i
		}
	}
	return -1
}

// jsonScalarEnd returns the end of the number or word at from.
func jsonScalarEnd(text string, from int) int {
	for i := from; i < len(text); i++ {
		switch text[i] {
		case ',', ':', ']', '}', '{', '[', '"', ' ', '\t', '\r', '\n':
			return i
		}
	}
	return len(text)
}
