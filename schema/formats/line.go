package formats

import (
	"math"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/aidr-engine/aidr/schema"
)

// AppendEvent appends the event as a JSON object on one line, without a newline. Keys are flat dotted names in the order of
// the field table, times are RFC 3339 in UTC, durations are in ns, and JSON values are embedded as they are. Absent fields
// are omitted. If identity is set, "_identity" comes first. The format aidr reads the line back into an equal event.
func AppendEvent(dst []byte, e *schema.Event, identity bool) []byte {
	dst = append(dst, '{')
	start := len(dst)
	if identity {
		dst = append(append(append(dst, `"`+identityKey+`":"`...), e.Identity().String()...), '"')
	}
	for f := range e.Present().All {
		if len(dst) > start {
			dst = append(dst, ',')
		}
		dst = append(append(append(dst, '"'), f.String()...), '"', ':')
		dst = appendValue(dst, e.Value(f))
	}
	return append(dst, '}')
}

// identityKey is the key under which AppendEvent writes an event's identity.
const identityKey = "_identity"

func appendValue(dst []byte, v schema.Value) []byte {
	switch v.Kind {
	case schema.KindInt:
		return strconv.AppendInt(dst, v.Int(), 10)
	case schema.KindDouble:
		return appendDouble(dst, v.Double())
	case schema.KindBool:
		return strconv.AppendBool(dst, v.Bool())
	case schema.KindTimestamp:
		dst = append(dst, '"')
		dst = time.Unix(0, v.Int()).UTC().AppendFormat(dst, time.RFC3339Nano)
		return append(dst, '"')
	case schema.KindJSON, schema.KindList:
		return appendCompact(dst, v.Text)
	}
	return appendString(dst, v.Text)
}

// appendDouble appends the shortest text that parses to the same number. NaN and infinities, which JSON lacks, become
// null.
func appendDouble(dst []byte, f float64) []byte {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return append(dst, "null"...)
	}
	if a := math.Abs(f); a != 0 && (a < 1e-6 || a >= 1e21) {
		return strconv.AppendFloat(dst, f, 'e', -1, 64)
	}
	return strconv.AppendFloat(dst, f, 'f', -1, 64)
}

// appendCompact appends a valid JSON text without the white space between its tokens, so that the result is a single
// line.
func appendCompact(dst []byte, text string) []byte {
	inString := false
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case inString && c == '\\' && i+1 < len(text):
			dst = append(dst, c)
			i++
			c = text[i]
		case c == '"':
			inString = !inString
		case !inString && (c == ' ' || c == '\t' || c == '\n' || c == '\r'):
			continue
		}
		dst = append(dst, c)
	}
	return dst
}

const hexDigits = "0123456789abcdef"

// AppendString appends a text as a JSON string, for readers that compose JSON. Invalid UTF-8 becomes U+FFFD.
func AppendString(dst []byte, s string) []byte { return appendString(dst, s) }

// Quote returns a node that is a JSON string with this text.
func (el *Element) Quote(text string) Node {
	el.scratch = appendString(el.scratch[:0], text)
	return el.Parse(el.scratch)
}

// Parse returns the node of a JSON text that a reader composed. The node is Absent if the text is not valid JSON. Parse
// copies the text.
func (el *Element) Parse(text []byte) Node {
	src := el.Arena.Copy(text)
	v, err := el.Index.Valid(src)
	if err != nil {
		return Node{}
	}
	return Node{src, v}
}

// appendString appends a text as a JSON string. The result is valid JSON for any bytes: invalid UTF-8 becomes U+FFFD.
func appendString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	from := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= utf8.RuneSelf {
			r, n := utf8.DecodeRuneInString(s[i:])
			switch {
			case r == utf8.RuneError && n == 1:
				dst = utf8.AppendRune(append(dst, s[from:i]...), r)
				from = i + n
			case r == '\u2028' || r == '\u2029': // JavaScript and some log readers end a line here
				dst = appendEscape(append(dst, s[from:i]...), r)
				from = i + n
			}
			i += n
			continue
		}
		if c < ' ' || c == '"' || c == '\\' || c == 0x7f {
			dst = append(dst, s[from:i]...)
			dst = appendEscape(dst, rune(c))
			from = i + 1
		}
		i++
	}
	return append(append(dst, s[from:]...), '"')
}

func appendEscape(dst []byte, r rune) []byte {
	switch r {
	case '"', '\\':
		return append(dst, '\\', byte(r))
	case '\n':
		return append(dst, '\\', 'n')
	case '\r':
		return append(dst, '\\', 'r')
	case '\t':
		return append(dst, '\\', 't')
	}
	return append(dst, '\\', 'u', hexDigits[r>>12&15], hexDigits[r>>8&15], hexDigits[r>>4&15], hexDigits[r&15])
}
