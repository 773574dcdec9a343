package content

import (
	"bytes"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// fold appends a text to the buffer: as a person reads it, escape sequences decoded, in lower case. It returns the result.
func (v *Values) fold(text []byte) []byte {
	from := len(v.buf)
	if ascii(text) && bytes.IndexByte(text, '\\') < 0 {
		v.buf = append(v.buf, text...)
		lower(v.buf[from:])
		return v.buf[from:len(v.buf):len(v.buf)]
	}
	visible := v.forms[0][:0]
	for i := 0; i < len(text); {
		r, n := utf8.DecodeRune(text[i:])
		if r == '\\' && !windowsPath(visible) {
			r, n = escaped(text[i:])
		}
		if i += n; r >= utf8.RuneSelf {
			r = revealed(r)
		}
		if r >= 0 {
			visible = utf8.AppendRune(visible, r)
		}
	}
	v.forms[0] = visible
	if ascii(visible) {
		v.buf = append(v.buf, visible...)
		lower(v.buf[from:])
		return v.buf[from:len(v.buf):len(v.buf)]
	}
	composed := norm.NFKC.Append(v.forms[1][:0], visible...)
	v.forms[1] = composed
	for len(composed) > 0 {
		r, n := utf8.DecodeRune(composed)
		composed = composed[n:]
		if r = plain(r); r >= 0 {
			v.buf = utf8.AppendRune(v.buf, unicode.ToLower(r))
		}
	}
	return v.buf[from:len(v.buf):len(v.buf)]
}

// ascii reports whether a text consists of ASCII.
func ascii(text []byte) bool {
	for _, c := range text {
		if c >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// lower turns the capital letters of ASCII into small ones.
func lower(text []byte) {
	for i, c := range text {
		if c-'A' < 26 {
			text[i] = c | 0x20
		}
	}
}

// maxPath is the number of bytes at the end of a text in which the beginning of a path of Windows is looked for.
const maxPath = 2 * maxValue

// windowsPath reports whether a backslash that follows the text belongs to a path of Windows, such as C:\new or \\host\share.
func windowsPath(before []byte) bool {
	before = before[max(0, len(before)-maxPath):]
	word := before[bytes.LastIndexAny(before, " \t\r\n\"'`<>|,;=()[]{}")+1:]
	return len(word) >= 2 && (alnum(word[0]) && word[1] == ':' || word[0] == '\\')
}

// words adds the values of running text.
func (v *Values) words(text, key []byte) {
	var quotes [3]int // for each kind of quote, the offset up to which an end was looked for
	lineStart := true
	for i := 0; i < len(text); {
		c := text[i]
		if lineStart {
			v.add(named(text[i:]), key)
			lineStart = false
		}
		switch kind := bytes.IndexByte([]byte("\"'`"), c); {
		case c == '\n':
			lineStart = true
			i++
		case kind >= 0:
			if i == 0 || !wordLike(text[i-1]) {
				v.add(quoted(text, i, &quotes[kind]), key)
			}
			i++
		case separator(c):
			i++
		default:
			end := wordEnd(text, i)
			v.word(text[i:end], key)
			i = end
		}
	}
}

// named returns the rest of a line that begins with a name and a colon, as in YAML and in mail, without quotes.
func named(text []byte) []byte {
	const maxName, maxLine = 40, maxName + maxValue*utf8.UTFMax
	text = text[:min(len(text), maxLine)]
	if i := bytes.IndexByte(text, '\n'); i >= 0 {
		text = text[:i]
	} else if len(text) == maxLine {
		return nil
	}
	text = bytes.TrimLeft(text, " \t-*")
	colon := bytes.IndexByte(text, ':')
	if colon < 1 || colon > maxName || colon+1 >= len(text) || text[colon+1] != ' ' {
		return nil
	}
	return bytes.Trim(text[colon+1:], " \t\r\"',")
}

// quoted returns the text between the quote at p and the next one of its kind on the line that no letter follows, unless it
// is the name of a member. All bytes before searched, if it is further on, are known to hold no end.
func quoted(text []byte, p int, searched *int) []byte {
	limit := min(len(text), p+1+maxValue*utf8.UTFMax)
	i := max(p+1, *searched)
	for ; i < limit; i++ {
		switch c := text[i]; {
		case c == '\n':
			*searched = i
			return nil
		case c == text[p] && (i+1 == len(text) || !wordLike(text[i+1])):
			*searched = i
			if rest := bytes.TrimLeft(text[i+1:min(len(text), i+3)], " "); len(rest) > 0 && rest[0] == ':' {
				return nil
			}
			return text[p+1 : i]
		}
	}
	*searched = i
	return nil
}

// wordLike reports whether a byte may be part of a word of running text.
func wordLike(c byte) bool { return alnum(c) || c >= utf8.RuneSelf || c == '_' }

// separator reports whether a byte separates words of running text.
func separator(c byte) bool {
	switch c {
	case '"', '\'', '`', '<', '>', '(', ')', '[', ']', '{', '}', '|', ',', ';':
		return true
	}
	return c <= ' ' || c == 0x7f
}

// wordEnd returns the end of the word at p. A comma between digits belongs to the word.
func wordEnd(text []byte, p int) int {
	for ; p < len(text); p++ {
		c := text[p]
		if !separator(c) {
			continue
		}
		if c == ',' && p > 0 && digit(text[p-1]) && p+1 < len(text) && digit(text[p+1]) {
			continue
		}
		break
	}
	return p
}

func digit(c byte) bool { return c-'0' <= 9 }

// word adds the values of a word of running text: of bytes between two separators.
func (v *Values) word(word, key []byte) {
	word = trimmed(word)
	if len(word) < minValue {
		return
	}
	if i := bytes.Index(word, []byte("://")); i > 0 {
		v.url(word, i+len("://"), key)
		return
	}
	if colons(word) {
		v.add(word, key)
		return
	}
	// In name=value and name:value there are two words, unless it is host:port/path.
	for len(word) > 0 {
		i := bytes.IndexAny(word, "=:/")
		if i >= 0 && word[i] != '=' && bytes.IndexByte(word[:i], '.') > 0 {
			v.url(word, 0, key)
			return
		}
		if i >= 0 && word[i] == '/' {
			i = bytes.IndexAny(word, "=:")
		}
		if i < 0 {
			i = len(word)
		}
		v.part(trimmed(word[:i]), key)
		word = word[min(i+1, len(word)):]
	}
}

// trimmed returns a word without the punctuation around it.
func trimmed(word []byte) []byte {
	return bytes.TrimRight(bytes.TrimLeft(word, "*#$@:-!?&+=\\."), ".:!?*=-&+~\\/")
}

// part adds a word that is an address of mail or striking.
func (v *Values) part(word, key []byte) {
	if bytes.IndexByte(word, '@') > 0 || striking(word) {
		v.add(word, key)
	}
}

// colons reports whether a word is an address of IPv6 or of a network card, a fingerprint, or a path of Windows.
func colons(word []byte) bool {
	if len(word) > 2 && word[1] == ':' && (word[2] == '\\' || word[2] == '/') {
		return true
	}
	n := 0
	for _, c := range word {
		if c == ':' {
			n++
		} else if !hexByte(c) {
			return false
		}
	}
	return n >= 3
}

// url adds an address of the web and its host, which begins at an offset.
func (v *Values) url(word []byte, host int, key []byte) {
	v.add(word, key)
	end := host
	for end < len(word) && word[end] != '/' && word[end] != '?' && word[end] != '#' {
		if word[end] == '@' {
			host = end + 1
		}
		end++
	}
	name := word[host:end]
	if i := bytes.IndexByte(name, ':'); i >= 0 {
		name = name[:i]
	}
	v.add(name, key)
}

// striking reports whether a word is more than letters: it has a digit, an underscore, a slash, a dot inside, or two hyphens.
func striking(word []byte) bool {
	hyphens, slashes := 0, 0
	for i, c := range word {
		switch {
		case digit(c), c == '_', c == '\\', c == '.' && i > 0, c == '#':
			return true
		case c == '-':
			hyphens++
		case c == '/':
			slashes++
			if i == 0 {
				slashes++
			}
		}
	}
	return hyphens >= 2 || slashes >= 1
}

// distinctive reports whether a text of at least minValue bytes may be a value.
func distinctive(text []byte) bool {
	if n := utf8.RuneCount(text); n < minValue || n > maxValue {
		return false
	}
	letters, digits, others := 0, 0, 0
	for _, c := range text {
		switch {
		case digit(c):
			digits++
		case c|0x20-'a' < 26 || c >= utf8.RuneSelf:
			letters++
		default:
			others++
		}
	}
	switch {
	case letters+digits < 3:
		return false
	case letters == 0 && digits == len(text):
		return len(bytes.TrimLeft(text, "0")) >= minValue && !year(text)
	case letters <= 2 && dateLike(text):
		return false
	}
	return !common(text)
}

// common reports whether a text is a word that many results and arguments have in common.
func common(text []byte) bool {
	switch string(text) {
	case "true", "false", "null", "none", "undefined", "unknown", "infinity", "default", "n/a", "and/or":
		return true
	}
	return false
}

// year reports whether a number of 4 digits is a year from 1900 to 2099.
func year(text []byte) bool {
	return len(text) == 4 && (text[0] == '1' && text[1] == '9' || text[0] == '2' && text[1] == '0')
}

// dateLike reports whether a text is a date, a time or both, in digits.
func dateLike(text []byte) bool {
	if len(bytes.Trim(text, "0123456789-/:.tz +")) > 0 {
		return false
	}
	i := 0
	for i < len(text) && digit(text[i]) {
		i++
	}
	return i < len(text) && (i == 4 && (text[0] == '1' || text[0] == '2') || i <= 2 && text[i] != '.') && bytes.IndexByte([]byte("-/:."), text[i]) >= 0
}
