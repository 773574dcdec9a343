package content

import (
	"bytes"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// fold appends a text to the buffer: as a person reads it, escape sequences decoded, in lower case. It returns the result.
func (v *Values) fold(text []byte) []byte {
	from := len(v.buf)
	plainText := ascii(text)
	if !plainText || bytes.IndexByte(text, '\\') >= 0 {
		text = v.reveal(text)
		plainText = ascii(text)
	}
	if plainText {
		v.buf = append(v.buf, text...)
		lower(v.buf[from:])
		return v.buf[from:len(v.buf):len(v.buf)]
	}
	for v.form.Init(norm.NFKC, text); !v.form.Done(); {
		for composed := v.form.Next(); len(composed) > 0; {
			r, n := utf8.DecodeRune(composed)
			composed = composed[n:]
			if r = plain(r); r >= 0 {
				v.buf = utf8.AppendRune(v.buf, unicode.ToLower(r))
			}
		}
	}
	return v.buf[from:len(v.buf):len(v.buf)]
}

// reveal returns a text without invisible characters and with its escape sequences decoded. The result is valid until the next
// call.
func (v *Values) reveal(text []byte) []byte {
	visible := v.visible[:0]
	word := 0 // the offset at which the last word begins
	for len(text) > 0 {
		r, n := rune(text[0]), 1
		switch {
		case r >= utf8.RuneSelf:
			r, n = utf8.DecodeRune(text)
			r = revealed(r)
		case r == '\\' && !windowsPath(visible[word:]):
			if r, n = escaped(text); r >= utf8.RuneSelf {
				r = revealed(r)
			}
		}
		text = text[n:]
		if r >= 0 {
			visible = utf8.AppendRune(visible, r)
		}
		if r >= 0 && r < utf8.RuneSelf && (separator(byte(r)) || r == '=') {
			word = len(visible)
		}
	}
	v.visible = visible
	return visible
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

// windowsPath reports whether a backslash that follows the beginning of a word belongs to a path of Windows, such as C:\new
// or \\host\share.
func windowsPath(word []byte) bool {
	return len(word) >= 2 && (alnum(word[0]) && word[1] == ':' || word[0] == '\\')
}

// words adds the values of running text.
func (v *Values) words(text, key []byte) {
	var quotes [3]quotation
	lineStart := true
	for i := 0; i < len(text) && !v.more; {
		if lineStart {
			v.add(named(text[i:]), key)
			lineStart = false
		}
		switch c := text[i]; {
		case roles[c]&separates == 0:
			end, marked := wordEnd(text, i)
			if marked != 0 {
				v.word(text[i:end], key)
			}
			i = end
			continue
		case c == '\n':
			lineStart = true
		case roles[c]&quoting != 0 && (i == 0 || !wordLike(text[i-1])):
			v.add(quotes[strings.IndexByte(quoteBytes, c)].text(text, i), key)
		}
		i++
	}
}

// role is a set of roles that a byte has in running text.
type role uint8

const (
	separates role = 1 << iota // separates words
	quoting                    // begins or ends a quoted text
	marks                      // makes a word more than a word of prose, unless it is at its end
	leads                      // is no part of a word at its beginning
	trails                     // is no part of a word at its end
)

const quoteBytes = "\"'`"

// roles holds the roles of all bytes.
var roles = func() (table [256]role) {
	for c := range table {
		for _, r := range []struct {
			role  role
			bytes string
		}{
			{separates, quoteBytes + "<>()[]{}|,;\x7f"},
			{quoting, quoteBytes},
			{marks, "0123456789_-.:/=@\\#"},
			{leads, "*#$@:-!?&+=\\."},
			{trails, ".:!?*=-&+~\\/"},
		} {
			if strings.IndexByte(r.bytes, byte(c)) >= 0 {
				table[c] |= r.role
			}
		}
		if c <= ' ' {
			table[c] |= separates
		}
	}
	return table
}()

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
	rest := bytes.TrimLeft(text[colon+1:], " \t")
	if len(rest) > 0 && (rest[0] == '{' || rest[0] == '[') {
		return nil
	}
	return bytes.Trim(rest, " \t\r\"',")
}

// quotation is the search for texts between quotes of one kind.
type quotation struct {
	end    int // no byte before it can end a quoted text
	begins int // quotes at which a text that ends there may begin
}

// maxBegins is the number of texts that may end at one quote: of "the '90s were 'great'" there are two.
const maxBegins = 3

// text returns the text between the quote at p and the next one of its kind on the line that no letter follows, unless it is
// the name of a member.
func (q *quotation) text(text []byte, p int) []byte {
	if q.end <= p {
		*q = quotation{end: p + 1}
	}
	limit := min(len(text), p+1+maxValue*utf8.UTFMax)
	for ; q.end < limit && text[q.end] != '\n'; q.end, q.begins = q.end+1, 0 {
		if text[q.end] == text[p] && (q.end+1 == len(text) || !wordLike(text[q.end+1])) {
			break
		}
	}
	if q.begins++; q.end >= limit || text[q.end] == '\n' || q.begins > maxBegins {
		return nil
	}
	if rest := bytes.TrimLeft(text[q.end+1:min(len(text), q.end+3)], " "); len(rest) > 0 && rest[0] == ':' {
		return nil
	}
	return text[p+1 : q.end]
}

// wordLike reports whether a byte may be part of a word of running text.
func wordLike(c byte) bool { return alnum(c) || c >= utf8.RuneSelf || c == '_' }

// separator reports whether a byte separates words of running text.
func separator(c byte) bool { return roles[c]&separates != 0 }

// wordEnd returns the end of the word at p, and whether it has a mark before its last byte. A comma between digits belongs to
// the word.
func wordEnd(text []byte, p int) (end int, marked role) {
	last := role(0)
	for end = p; end < len(text); end++ {
		c := text[end]
		r := roles[c]
		if r&separates != 0 {
			if c != ',' || end == p || end+1 == len(text) || !digit(text[end-1]) || !digit(text[end+1]) {
				break
			}
		}
		marked |= last
		last = r & marks
	}
	if end > p && digit(text[end-1]) {
		marked |= last
	}
	return end, marked
}

func digit(c byte) bool { return c-'0' <= 9 }

// word adds the values of a word of running text: of bytes between two separators.
func (v *Values) word(word, key []byte) {
	word = trimmed(word)
	if len(word) < minValue {
		return
	}
	i := delimiter(word, 0, true)
	if i == len(word) {
		v.part(word, key)
		return
	}
	if word[i] == ':' && colons(word) {
		v.add(word, key)
		return
	}
	// In name=value and name:value there are two words, unless it is host:port/path.
	for len(word) > 0 {
		i := delimiter(word, 0, true)
		if i > 0 && bytes.HasPrefix(word[i:], []byte("://")) {
			v.url(word, i+len("://"), key)
			return
		}
		if i < len(word) && word[i] != '=' && bytes.IndexByte(word[:i], '.') > 0 {
			v.url(word, 0, key)
			return
		}
		if i < len(word) && word[i] == '/' {
			i = delimiter(word, i, false)
		}
		v.part(trimmed(word[:i]), key)
		word = word[min(i+1, len(word)):]
	}
}

// delimiter returns the offset of the first = or : of a word from p on, or / if slash is set, or the length of the word.
func delimiter(word []byte, p int, slash bool) int {
	for ; p < len(word); p++ {
		if c := word[p]; c == '=' || c == ':' || c == '/' && slash {
			break
		}
	}
	return p
}

// trimmed returns a word without the punctuation around it.
func trimmed(word []byte) []byte {
	for len(word) > 0 && roles[word[0]]&leads != 0 {
		word = word[1:]
	}
	for len(word) > 0 && roles[word[len(word)-1]]&trails != 0 {
		word = word[:len(word)-1]
	}
	return word
}

// part adds a word that is an address of mail or striking.
func (v *Values) part(word, key []byte) {
	if bytes.IndexByte(word, '@') > 0 || striking(word) {
		v.add(beginning(word), key)
	}
}

// beginning returns the first maxValue characters of a word: those of a long key or address distinguish it.
func beginning(word []byte) []byte {
	if len(word) <= maxValue {
		return word
	}
	end := 0
	for n := 0; n < maxValue && end < len(word); n++ {
		_, size := utf8.DecodeRune(word[end:])
		end += size
	}
	return word[:end]
}

// colons reports whether a word is an address of IPv6 or of a network card, a fingerprint, or a path of Windows.
func colons(word []byte) bool {
	if len(word) > 2 && word[1] == ':' && (word[2] == '\\' || word[2] == '/') && !bytes.HasPrefix(word[1:], []byte("://")) {
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

// url adds an address of the web and its host, which begins at an offset if there is a scheme.
func (v *Values) url(word []byte, host int, key []byte) {
	v.add(beginning(word), key)
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
	switch {
	case i == len(text):
		return false
	case text[i] == '.': // 31.12.2025 and not 12.5
		return i <= 2 && bytes.Count(text, []byte{'.'}) == 2
	}
	return (i == 4 && (text[0] == '1' || text[0] == '2') || i == 1 || i == 2) && strings.IndexByte("-/:", text[i]) >= 0
}
