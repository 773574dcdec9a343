package expr

import (
	"encoding/json"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/aidr-engine/aidr/schema"
)

// The JSON of a dyn field or of a raw path is read where it stands: a look-up of one key scans the text once, keeps no
// tree and does not recurse. Decode has validated it; text that is no JSON after all is absent, never a panic.

// jsonAt returns the value at a path of keys, absent where there is none or where it is null.
func jsonAt(text string, path []string) schema.Value {
	text = strings.Trim(text, jsonBlanks)
	for _, key := range path {
		member, ok := jsonMember(text, key)
		if !ok {
			return schema.Value{}
		}
		text = member
	}
	return jsonValue(text)
}

const jsonBlanks = " \t\r\n"

// jsonValue types one JSON value without blanks around it; null is absent.
func jsonValue(text string) schema.Value {
	if text == "" {
		return schema.Value{}
	}
	switch text[0] {
	case '"':
		s, ok := jsonUnquote(text)
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

// jsonNumber is an int where the text is an integer of 64 bits, else a finite double.
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

// jsonUnquote returns what a JSON string spells: a view of it where nothing is escaped.
func jsonUnquote(text string) (string, bool) {
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

// jsonMember finds a key of an object; of a key that stands twice the last counts.
func jsonMember(object, key string) (value string, ok bool) {
	if object == "" || object[0] != '{' || !mayHave(object, key) {
		return "", false
	}
	it := jsonItems{text: object, at: 1}
	for it.next() {
		if it.isKey(key) {
			value, ok = it.value, true
		}
	}
	return value, ok && it.whole
}

// mayHave says whether JSON may hold a text: a search is ten times as fast as a walk, and most keys that conditions ask
// for are not there.
func mayHave(json, text string) bool {
	return strings.Contains(json, text) || strings.IndexByte(json, '\\') >= 0
}

// jsonItems walks the elements of an array or the members of an object: text is it, at starts at 1.
type jsonItems struct {
	text  string
	at    int
	key   string // quoted; "" in an array
	value string // without blanks around it
	whole bool   // the closing bracket was reached
}

// next goes to the next item; false at the end, and where the text is damaged (then whole is false).
func (it *jsonItems) next() bool {
	if it.whole || !it.skipTo() {
		return false
	}
	object := it.text[0] == '{'
	if c := it.text[it.at]; c == ']' || c == '}' {
		it.whole = (c == '}') == object
		return false
	}
	if it.text[it.at] == ',' {
		it.at++
		if !it.skipTo() {
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
		if !it.skipTo() || it.text[it.at] != ':' {
			return false
		}
		it.at++
		if !it.skipTo() {
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

// skipTo skips blanks; false at the end of the text.
func (it *jsonItems) skipTo() bool {
	for it.at < len(it.text) && strings.IndexByte(jsonBlanks, it.text[it.at]) >= 0 {
		it.at++
	}
	return it.at < len(it.text)
}

func (it *jsonItems) isKey(key string) bool { return jsonSpells(it.key, key) }

// jsonSpells says whether a quoted JSON string spells the text. It allocates nothing, whatever is escaped.
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

// jsonSpelled returns the text with its escapes spelled out: to be searched, no JSON any more. It is text itself where
// nothing is escaped.
func jsonSpelled(text string) string {
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
		if size == 0 { // no JSON after all: the backslash stands for itself
			out, size = append(out, '\\'), 1
		} else {
			out = utf8.AppendRune(out, r)
		}
		text = text[plain+size:]
	}
}

// jsonEscape reads the escape at the front of s, which begins with a backslash; size is 0 where it is none. A lone
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

// jsonSkip returns the end of the value that starts at from. Brackets are counted, not matched by kind.
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

// jsonStringEnd returns the place after the closing quote of the string at from, -1 where there is none.
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

func jsonScalarEnd(text string, from int) int {
	for i := from; i < len(text); i++ {
		switch text[i] {
		case ',', ':', ']', '}', '{', '[', '"', ' ', '\t', '\r', '\n':
			return i
		}
	}
	return len(text)
}
