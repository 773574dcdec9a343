package decode

import (
	"encoding/base64"
	"encoding/binary"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/aidr-engine/aidr/schema"
)

// wide returns a text in UTF-16 with a byte order mark.
func wide(order binary.AppendByteOrder, text string) string {
	var b []byte
	for _, unit := range utf16.Encode([]rune("\ufeff" + text)) {
		b = order.AppendUint16(b, unit)
	}
	return string(b)
}

// A record in UTF-16 gives the event that it gives in UTF-8, in every wrapping. Halves of characters are counted.
func TestUTF16(t *testing.T) {
	const text = "{\"request\":{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"h\u00e9 \U0001f600\"}]},\"response\":{\"object\":\"chat.completion\"},\"time\":1767261600}"
	const prompt = "h\u00e9 \U0001f600"
	little := wide(binary.LittleEndian, text)
	face := strings.Index(little, "\x3d\xd8") // the first half of the character
	cases := []struct {
		name, record string
		prompts      []string
		faults, dead string
	}{
		{"little-endian", little, []string{prompt}, "", ""},
		{"big-endian", wide(binary.BigEndian, text), []string{prompt}, "", ""},
		{"lines of Windows", wide(binary.LittleEndian, text+"\r\n"+text+"\r\n"), []string{prompt, prompt}, "", ""},
		{"gzip around it", gzipped(t, little), []string{prompt}, "", ""},
		{"base64 in an envelope", `{"records":[{"data":"` + base64.StdEncoding.EncodeToString([]byte(gzipped(t, little))) + `"}],"requestId":"r","timestamp":1}`, []string{prompt}, "", ""},
		{"an odd byte", little + "}", []string{prompt}, "json.encoding", ""},
		{"half a character", little[:face] + little[face+2:], []string{"h\u00e9 \ufffd"}, "json.encoding", ""},
		{"the replacement character itself", wide(binary.BigEndian, strings.Replace(text, "\U0001f600", "\ufffd", 1)), []string{"h\u00e9 \ufffd"}, "", ""},
		{"a mark alone", "\xff\xfe", nil, "", ReasonEmpty},
		{"cut off", little[:len(little)-4], nil, "", ReasonMalformed},
	}
	for _, c := range cases {
		d, err := New(Options{Format: Auto, Wanted: everything()})
		if err != nil {
			t.Fatal(err)
		}
		var prompts []string
		faults, dead := "", ""
		d.Decode(c.record, Meta{}, &Handler{
			Event:      func(e *schema.Event) { prompts = append(prompts, e.Text(schema.MessageContextPromptText)) },
			Dead:       func(d Dead) { dead += d.Reason },
			FieldError: func(_, name string) { faults += name },
		})
		if strings.Join(prompts, "|") != strings.Join(c.prompts, "|") || faults != c.faults || dead != c.dead {
			t.Errorf("%s: got %q, faults %q, dead %q, want %q, %q, %q", c.name, prompts, faults, dead, c.prompts, c.faults, c.dead)
		}
	}
}
