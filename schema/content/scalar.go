package content

import (
	"bytes"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// looksLikeJSON reports whether a text begins like an object or a list with members, of JSON or of Python.
func looksLikeJSON(text []byte) bool {
	text = bytes.TrimLeft(text, " \t\r\n")
	if len(text) == 0 {
		return false
	}
	first := bytes.TrimLeft(text[1:], " \t\r\n")
	switch {
	case len(first) == 0:
		return false
	case text[0] == '{':
		return first[0] == '"' || first[0] == '\''
	case text[0] == '[':
		return strings.IndexByte("{[\"'-0123456789", first[0]) >= 0 || constant(bare(first))
	}
	return false
}

// maxDepth is the depth of objects and lists to which names of members are told from texts; below it all are texts.
const maxDepth = 64

// level is an open object or list.
type level struct {
	object bool
	name   bool // the next string is the name of a member
}

// json adds the scalars of a text that looks like JSON and the values in their texts. It returns the rest of the text after
// the end of the outermost object or list, or from the point at which it is not JSON. The key is that of all values, or if
// nil, the names of the outermost object are the keys.
func (v *Values) json(text []byte, key []byte) (rest []byte) {
	var open [maxDepth]level
	depth := 0
	at := func() *level { return &open[min(depth, maxDepth)-1] }
	outer := key == nil
	for i := 0; i < len(text) && !v.more; {
		switch c := text[i]; {
		case c == ' ' || c == '\t' || c == '\r' || c == '\n':
			i++
		case c == '{' || c == '[' || c == '(':
			depth++
			*at() = level{c == '{', c == '{'}
			i++
		case depth == 0:
			return text[i:]
		case c == '}' || c == ']' || c == ')':
			i++
			if depth--; depth == 0 {
				return text[i:]
			}
			at().name = false
		case c == ',':
			at().name = at().object
			i++
		case c == ':':
			at().name = false
			i++
		case c == '"' || c == '\'':
			end, closed := stringEnd(text, i)
			inside := text[i+1 : end]
			if closed {
				end++
			}
			if next := bytes.TrimLeft(text[end:], " \t\r\n"); at().name && len(next) > 0 && next[0] == ':' && depth <= maxDepth {
				if outer && depth == 1 {
					key = v.name(inside)
				}
			} else {
				v.scalar(inside, key)
			}
			i = end
		default:
			word := bare(text[i:])
			if !constant(word) && !number(word) {
				return text[i:]
			}
			v.add(v.fold(word), key)
			i += len(word)
		}
	}
	return nil
}

// bare returns the word at the beginning of a text, up to a byte that ends a scalar without quotes.
func bare(text []byte) []byte {
	if i := bytes.IndexAny(text, " \t\r\n,:]})\"'"); i >= 0 {
		return text[:i]
	}
	return text
}

// constant reports whether a word is a scalar of JSON or Python other than a text or a number.
func constant(word []byte) bool {
	switch string(word) {
	case "true", "false", "null", "True", "False", "None", "NaN", "nan", "Infinity", "-Infinity", "inf":
		return true
	}
	return false
}

// number reports whether a word is a number.
func number(word []byte) bool {
	return len(word) > 0 && len(bytes.Trim(word, "0123456789+-.eE")) == 0 && bytes.ContainsAny(word, "0123456789")
}

// stringEnd returns the offset of the quote that ends the string at p, or the length of the text.
func stringEnd(text []byte, p int) (end int, closed bool) {
	for i := p + 1; i < len(text); i++ {
		switch text[i] {
		case text[p]:
			return i, true
		case '\\':
			i++
		}
	}
	return len(text), false
}

// name returns the name of a member, decoded and cut.
func (v *Values) name(raw []byte) []byte {
	from := len(v.buf)
	v.buf = appendDecoded(v.buf, raw)
	key := v.buf[from:]
	if len(key) > maxValueKey {
		end := maxValueKey
		for end > maxValueKey-utf8.UTFMax && !utf8.RuneStart(key[end]) {
			end--
		}
		key = key[:end]
	}
	return key[:len(key):len(key)]
}

// scalar adds a string of JSON as a whole, and the values in its text.
func (v *Values) scalar(raw, key []byte) {
	text := raw
	if bytes.IndexByte(raw, '\\') >= 0 {
		from := len(v.plain)
		v.plain = appendDecoded(v.plain, raw)
		text = v.plain[from:]
	}
	if looksLikeJSON(text) {
		v.read(text, key)
		return
	}
	folded := v.fold(text)
	v.add(folded, key)
	v.words(folded, key)
}

// appendDecoded appends the text that the inside of a string spells.
func appendDecoded(to []byte, raw []byte) []byte {
	for {
		i := bytes.IndexByte(raw, '\\')
		if i < 0 {
			return append(to, raw...)
		}
		to = append(to, raw[:i]...)
		r, n := escaped(raw[i:])
		to = utf8.AppendRune(to, r)
		raw = raw[i+n:]
	}
}

// escaped decodes the escape sequence at the beginning of a text, of JSON, YAML or Python. It returns the character and the
// length of the sequence. A backslash that begins no escape sequence is one itself.
func escaped(text []byte) (r rune, n int) {
	if len(text) < 2 {
		return '\\', 1
	}
	switch text[1] {
	case 'n', 'r', 't', 'b', 'f', '0', '\n':
		return ' ', 2
	case 'x':
		return hexRune(text, 2)
	case 'u':
		r, n = hexRune(text, 4)
		if n > 2 && utf16.IsSurrogate(r) && bytes.HasPrefix(text[n:], []byte(`\u`)) {
			if low, m := hexRune(text[n:], 4); m > 2 {
				return utf16.DecodeRune(r, low), n + m
			}
		}
		return r, n
	case 'U':
		return hexRune(text, 8)
	case '"', '\'', '\\', '/', ' ':
		return rune(text[1]), 2
	}
	return '\\', 1
}

// hexRune decodes the hex digits after the two bytes that begin an escape sequence.
func hexRune(text []byte, digits int) (r rune, n int) {
	n = 2 + digits
	if len(text) < n {
		return '\\', 1
	}
	for _, c := range []byte(text[2:n]) {
		d := bytes.IndexByte([]byte("0123456789abcdef"), c|0x20)
		if c-'0' <= 9 {
			d = int(c - '0')
		}
		if d < 0 || r > 0xffffff {
			return '\\', 1
		}
		r = r<<4 | rune(d)
	}
	return r, n
}
