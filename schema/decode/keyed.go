package decode

import (
	"strings"

	"github.com/aidr-engine/aidr/schema/formats"
	"github.com/aidr-engine/aidr/schema/scan"
)

// maxKeyed is the length in bytes of the longest line of keys and values that is read, and maxPairs the number of pairs.
const (
	maxKeyed = 64 << 10
	maxPairs = 256
)

// lineRecord returns a line of text of a known form as JSON. ok is false for any other text.
func (d *Decoder) lineRecord(text string) (record string, ok bool) {
	if record, ok = d.keyed(text); ok {
		return record, true
	}
	return d.accessLine(text)
}

// keyed returns a line of text that consists of a time, a level, words, and pairs of key=value as the JSON object that
// agentgateway writes in its other form. ok is false for any other text. A line counts only if it has the keys that every
// request of agentgateway has.
func (d *Decoder) keyed(text string) (record string, ok bool) {
	if len(text) < len("2026-01-01T00:00:00Z") || text[0] < '1' || text[0] > '9' || text[4] != '-' || len(text) > maxKeyed {
		return "", false
	}
	line := strings.TrimRight(text, "\r\n")
	if !strings.Contains(line, " src.addr=") || !strings.Contains(line, " duration=") || strings.Contains(line, "\n") {
		return "", false
	}
	at, rest, ok := cutBlank(line)
	if !ok {
		return "", false
	}
	level, rest, ok := cutBlank(rest)
	if !ok {
		return "", false
	}
	d.line = append(d.line[:0], `{"time":`...)
	d.line = formats.AppendString(d.line, at)
	d.line = formats.AppendString(append(d.line, `,"level":`...), level)
	for n := 0; n < maxPairs && rest != ""; n++ {
		var word string
		if word, rest, ok = cutWord(rest); !ok {
			return "", false
		}
		key, value, pair := strings.Cut(word, "=")
		if !pair || key == "" {
			continue // a word, such as request
		}
		d.line = formats.AppendString(append(d.line, ','), key)
		d.line = append(d.line, ':')
		if strings.HasPrefix(value, `"`) {
			if v, err := scan.Valid(value); err == nil && v.Kind == scan.String {
				d.line = append(d.line, value...)
				continue
			}
			value = strings.Trim(value, `"`)
		}
		d.line = formats.AppendString(d.line, value)
	}
	d.line = append(d.line, '}')
	return d.elem.Arena.Copy(d.line), true
}

// cutBlank returns the text before and after the first run of blanks.
func cutBlank(text string) (before, after string, ok bool) {
	i := strings.IndexAny(text, " \t")
	if i <= 0 {
		return "", "", false
	}
	return text[:i], strings.TrimLeft(text[i:], " \t"), true
}

// cutWord returns the first word, in which blanks may stand between quotation marks, and the text after it. ok is false if
// a quotation mark is not closed.
func cutWord(text string) (word, rest string, ok bool) {
	quoted := false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '\\' && quoted:
			i++
		case c == '"':
			quoted = !quoted
		case (c == ' ' || c == '\t') && !quoted:
			return text[:i], strings.TrimLeft(text[i:], " \t"), true
		}
	}
	return text, "", !quoted
}
