package decode

import (
	"slices"
	"strings"

	"github.com/aidr-engine/aidr/schema/scan"
)

// salvageKeys are the keys of envelopes whose lists are salvaged.
var salvageKeys = [...]string{"records", "Records", "value", "Events", "events", "items"}

// decodeSalvaged decodes the good elements of a list at the beginning of a text, which is not JSON because elements of the
// list are damaged or cut off. Each damaged element becomes a dead letter. It returns the offset after the list and its
// envelope, or 0 if the text does not begin with such a list or its first element has no end.
//
// A damaged element must not choose what counts as the next one: it may hold whatever its producer let a workload write. So
// its end is where its brackets are closed, or else where it must have been cut off, because no JSON could go on like this.
// If neither is found, the rest of the text is one dead letter.
func (d *Decoder) decodeSalvaged(text string, level int) (end int) {
	list, name := listStart(text)
	if list == 0 {
		return 0
	}
	at := skipBlanks(text, list)
	if end = elementEnd(text, at); end == len(text) {
		return 0
	}
	d.noteEnvelope(level, name)
	if !d.enter(level, text) {
		return len(text)
	}
	good := true
	for at < len(text) && text[at] != ']' && !d.elem.LimitExceeded() {
		end = elementEnd(text, at)
		good = d.decodeListed(text[:end], at, level+1) && good
		if at = skipBlanks(text, end); at < len(text) && text[at] == ',' {
			at = skipBlanks(text, at+1)
		}
	}
	after := at
	at = skipBlanks(text, min(at+1, len(text)))
	if good && (after == len(text) || text[0] == '{' && at == len(text)) {
		d.depth = level
		d.deadLetter(ReasonMalformed, "the list is cut off after these elements", text)
	}
	if text[0] == '{' && at < len(text) {
		if text[at] == '}' {
			return at + 1
		}
		return at + len(firstLine(text[at:])) // the other members of the envelope
	}
	return at
}

// decodeListed decodes the element of a damaged list that is the end of a text. It returns false if that becomes a dead letter.
func (d *Decoder) decodeListed(text string, at, level int) bool {
	d.depth = level
	v, next, dup, err := d.selection.Next(text, at)
	if err == nil && skipBlanks(text, next) == len(text) {
		d.decodeValue(text, v, dup, level)
		return true
	}
	part := text[at:]
	if d.decodeMended(part, level) {
		return true
	}
	reason, detail := ReasonMalformed, "another value follows without a comma"
	if err != nil {
		reason, detail = reasonOf(err)
	}
	d.deadLetter(reason, detail, part)
	return false
}

// skipBlanks returns the offset of the first character at or after an offset that is not blank.
func skipBlanks(text string, at int) int {
	for at < len(text) && strings.IndexByte(blanks, text[at]) >= 0 {
		at++
	}
	return at
}

// blanks are the characters that are allowed between JSON values.
const blanks = " \t\r\n"

// listStart returns the offset after the bracket of the list in a text that begins with a list, or with an envelope that has
// one of the salvageKeys after members that are texts or numbers. It returns 0 for any other text. The name is that of the
// envelope.
func listStart(text string) (list int, name string) {
	if strings.HasPrefix(text, "[") {
		return 1, "array"
	}
	if !strings.HasPrefix(text, "{") {
		return 0, ""
	}
	for at := skipBlanks(text, 1); at < len(text) && text[at] == '"'; at = skipBlanks(text, at+1) {
		end := quotedEnd(text, at)
		colon := skipBlanks(text, min(end+1, len(text)))
		if colon == len(text) || text[colon] != ':' {
			return 0, ""
		}
		value := skipBlanks(text, colon+1)
		if value < len(text) && text[value] == '[' && slices.Contains(salvageKeys[:], text[at+1:end]) {
			return value + 1, text[at+1 : end]
		}
		_, next, err := scan.Next(text[:value+scalarEnd(text[value:])], value)
		if at = skipBlanks(text, next); err != nil || at == len(text) || text[at] != ',' {
			return 0, ""
		}
	}
	return 0, ""
}

// scalarEnd returns the length of the text or number at the beginning of a text, 0 for an object or a list.
func scalarEnd(text string) int {
	switch {
	case text == "" || text[0] == '{' || text[0] == '[':
		return 0
	case text[0] == '"':
		return min(quotedEnd(text, 0)+1, len(text))
	}
	if end := strings.IndexAny(text, ",]}\n"); end >= 0 {
		return end
	}
	return len(text)
}

// elementEnd returns the end of the element of a list that begins at an offset. For JSON that is the end of the value. It
// also reads strings in single quotes. For an element that is cut off, it is the offset before the next element, if one of
// these shows where that is, because none of them can be in JSON:
//
//   - a newline in a string;
//   - an opening brace after a value, or after a comma between the members of an object;
//   - a string that ends after a comma and an opening brace, without a separator after it: its own end was cut off, and
//     the quotation mark is that of the next element's first key.
//
// Otherwise it is the end of the text.
func elementEnd(text string, at int) int {
	var open [scan.MaxDepth]byte
	depth, last := 0, byte(',') // the last character that is not blank
	comma := 0                  // the offset of the last comma
	for i := at; i < len(text); i++ {
		c := text[i]
		switch c {
		case ' ', '\t', '\r', '\n':
			continue
		case '"', '\'':
			end := quotedEnd(text, i)
			if end == len(text) || text[end] == '\n' {
				return end
			}
			if cut := cutOff(text, i, end); cut > 0 {
				return cut
			}
			i = end
		case '{', '[':
			switch {
			case depth == len(open):
				return len(text)
			case c == '{' && last == ',' && depth > 0 && open[depth-1] == '{':
				return comma
			case c == '{' && strings.IndexByte(",:[", last) < 0:
				return i
			}
			open[depth] = c
			depth++
		case '}', ']':
			switch {
			case depth == 0 && c == ']':
				return i
			case depth == 0 || open[depth-1]+2 != c: // '}' is '{'+2, and ']' is '['+2
				return len(text)
			case depth == 1:
				return i + 1
			}
			depth--
		case ',':
			if comma = i; depth == 0 {
				return i
			}
		}
		last = c
	}
	return len(text)
}

// quotedEnd returns the offset of the quotation mark that ends the string that begins at an offset, or of a newline in a
// string of JSON, which cannot have one, or the end of the text.
func quotedEnd(text string, at int) int {
	for i := at + 1; i < len(text); i++ {
		switch c := text[i]; {
		case c == '\\':
			i++
		case c == text[at] || c == '\n' && text[at] == '"':
			return i
		}
	}
	return len(text)
}

// cutOff returns the offset of the comma in a string from start to end that ends with a comma and an opening brace, and
// after which comes neither a separator nor a bracket. It returns 0 for any other string.
func cutOff(text string, start, end int) int {
	if end+1 >= len(text) || text[start] != '"' || strings.IndexByte(":,]} \t\r\n", text[end+1]) >= 0 {
		return 0
	}
	inside, ok := strings.CutSuffix(strings.TrimRight(text[start+1:end], blanks), "{")
	if !ok {
		return 0
	}
	if inside, ok = strings.CutSuffix(strings.TrimRight(inside, blanks), ","); !ok {
		return 0
	}
	return start + 1 + len(inside)
}
