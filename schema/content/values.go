package content

import (
	"bytes"
	"crypto/sha256"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// Values finds the distinctive values of texts: those that are unlikely to occur in two texts by chance, so that a value of
// a tool's result that comes back in the arguments of a later call was taken from there. It keeps the memory that one text
// needs for the next one, so that in steady state nothing is allocated.
//
// The zero Values is ready to use. It belongs to one goroutine and must not be copied.
//
// A text that begins as JSON does, or as a dictionary or list of Python, is read as such, as far as it goes on like that,
// and its rest as running text. These are values:
//
//	in JSON       each scalar, as a whole        {"to": "Mark Smith"}           mark smith
//	              and the values in its text     {"body": "see www.a.com/x"}    see www.a.com/x, www.a.com/x, www.a.com
//	              JSON in a text of JSON         {"a": "{\"b\": \"core-7\"}"}   core-7
//	in text       address of mail                write to Bob@B.com.            bob@b.com
//	              address of the web, its host   (https://a.com/x?y=1)          https://a.com/x?y=1, a.com
//	              host, address of IP            from evil.example, 10.1.2.3    evil.example, 10.1.2.3
//	              path, name of a repository     cat ~/.ssh/id_rsa acme/web     ~/.ssh/id_rsa, acme/web
//	              number from 1000 on            pay $1,200.00 now              1200
//	              identifier                     order PX-99, user_7, #abc12    px-99, user_7, abc12
//	              quoted words                   named 'Blue Harbor'             blue harbor
//	              rest of a line after a name    subject: Lunch today           lunch today
//	              beginning of a longer word     a key of 300 letters, digits   its first 120 characters
//
// These are not: names of members, true, false, null and their like, dates and times, years, numbers below 1000, words of
// letters alone in a sentence, and everything of fewer than 4 or more than 120 characters.
//
// A value is given as a person reads it (see Normalised): escape sequences are decoded, letters are small, numbers are without
// currency, commas and zeros at the end, and there are no blanks around it. A text has at most [MaxValues] values, each once,
// in the order in which they begin, a longer one first; a map that is given as JSON with sorted keys has them in that order.
// The limit is part of the definition: an attacker that puts so many other values in front of one hides it, and More reports
// that there were more. The cost is linear in the text.
type Values struct {
	list    []Value
	buf     []byte // the texts of the list
	plain   []byte // the whole text, and texts of JSON after their escape sequences are decoded
	visible []byte // a text without escape sequences and invisible characters
	form    norm.Iter
	slots   []uint16 // a hash table of the list: its indexes plus 1
	more    bool
	nested  int // depth of JSON in texts of JSON
}

// Value is a distinctive value of a text.
type Value struct {
	Text []byte // the value, normalised and in lower case
	Key  []byte // the name of the member of the outermost object in which it first occurs, nil outside of one
}

// Sum returns a hash of the text: the first half of its SHA-256. Nobody can make two texts with the same hash, so it may stand
// for the text.
func (v Value) Sum() [16]byte {
	sum := sha256.Sum256(v.Text)
	return [16]byte(sum[:16])
}

const (
	// MaxValues is the greatest number of values of a text. A page of a web site or a mailbox has fewer.
	MaxValues = 512
	// A value has at least minValue characters, because shorter ones occur everywhere, and at most maxValue, because
	// longer ones are texts, which are rarely repeated exactly.
	minValue = 4
	maxValue = 120
	// maxAmount is the greatest length in bytes of a number, with its commas, whose zeros and commas do not matter.
	maxAmount = 24
	// maxValueKey is the greatest length in bytes of a member's name that is kept.
	maxValueKey = 128
	// maxKept is the greatest capacity in bytes of a buffer that is kept for the next text.
	maxKept = 1 << 20
	// maxNested is the greatest depth of JSON in texts of JSON that is read. No API nests deeper.
	maxNested = 3
)

// Of returns the values of a text. They are valid until the next call.
func (v *Values) Of(text string) []Value {
	v.reset()
	v.plain = append(v.plain, text...)
	v.read(v.plain, nil)
	return v.list
}

// More reports whether the text of the last call of Of had more than MaxValues values.
func (v *Values) More() bool { return v.more }

// reset forgets the last text.
func (v *Values) reset() {
	clear(v.list)
	v.list, v.buf, v.plain, v.more, v.nested = v.list[:0], v.buf[:0], v.plain[:0], false, 0
	for _, b := range []*[]byte{&v.buf, &v.plain, &v.visible} {
		if cap(*b) > maxKept {
			*b = nil
		}
	}
	if v.slots == nil {
		v.slots = make([]uint16, 2*MaxValues)
	}
	clear(v.slots)
}

// read adds the values of a text: the whole text, or a text of JSON in it under a key.
func (v *Values) read(text, key []byte) {
	if v.nested < maxNested {
		v.nested++
		for looksLikeJSON(text) {
			text = v.json(text, key)
		}
		v.nested--
	}
	v.words(v.fold(text), key)
}

// add adds a value, without the blanks around it, if it is distinctive and new.
func (v *Values) add(text, key []byte) {
	text = v.amount(bytes.TrimSpace(text))
	if len(text) < minValue || len(text) > maxValue*utf8.UTFMax || !distinctive(text) {
		return
	}
	slot := v.slot(text)
	if *slot != 0 {
		return
	}
	if len(v.list) == MaxValues {
		v.more = true
		return
	}
	v.list = append(v.list, Value{text, key})
	*slot = uint16(len(v.list))
}

// amount returns a number without currency, commas between its digits and zeros after its point, and any other text as it is.
func (v *Values) amount(text []byte) []byte {
	if len(text) > maxAmount {
		return text
	}
	for _, c := range text {
		if !digit(c) && c != ',' && c != '.' && c != '$' && c != '+' {
			return text
		}
	}
	whole, fraction, _ := bytes.Cut(bytes.TrimLeft(text, "$+"), []byte("."))
	if len(whole) == 0 || bytes.ContainsAny(fraction, ".,") {
		return text
	}
	from := len(v.buf)
	for _, c := range whole {
		if c != ',' {
			v.buf = append(v.buf, c)
		}
	}
	if fraction = bytes.TrimRight(fraction, "0"); len(fraction) > 0 {
		v.buf = append(append(v.buf, '.'), fraction...)
	}
	return v.buf[from:len(v.buf):len(v.buf)]
}

// slot returns the slot of the hash table that holds the text, or the free one into which it belongs.
func (v *Values) slot(text []byte) *uint16 {
	const offset, prime = 14695981039346656037, 1099511628211 // FNV-1a
	h := uint64(offset)
	for _, c := range text {
		h = (h ^ uint64(c)) * prime
	}
	h ^= h >> 32
	for {
		slot := &v.slots[h%(2*MaxValues)]
		if *slot == 0 || bytes.Equal(v.list[*slot-1].Text, text) {
			return slot
		}
		h++
	}
}
